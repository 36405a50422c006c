use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Link, LinkState, Reason};
use crate::digest::Digest;
use crate::identity::{AccountId, PersonId};
use crate::lifecycle::{Lifecycle, Trigger};
use crate::mapping::{FieldChange, MappingRow, patch_operations, patch_value_style, replace_body};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    Create,
    /// Nothing is sent; the account is tied to the person.
    Link,
    Update,
    Suspend,
    /// Active again, with whatever changed meanwhile, in one write.
    Unsuspend,
    Delete,
}

impl OperationKind {
    pub const ALL: [Self; 6] = [
        Self::Create,
        Self::Link,
        Self::Update,
        Self::Suspend,
        Self::Unsuspend,
        Self::Delete,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Link => "link",
            Self::Update => "update",
            Self::Suspend => "suspend",
            Self::Unsuspend => "unsuspend",
            Self::Delete => "delete",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether it takes an account away.
    pub fn is_removal(self) -> bool {
        matches!(self, Self::Suspend | Self::Delete)
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing to do, complete: applying it takes no decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedOperation {
    pub kind: OperationKind,
    /// The account; `None` for a create.
    pub account: Option<AccountId>,
    /// The mapped body (without `active`) that the app holds once this is acknowledged, to be
    /// stored as the link's `last_body`. `None` for suspend and delete, which leave it as it was.
    pub body: Option<Value>,
    /// What the operation changes, attribute by attribute.
    pub changes: Vec<FieldChange>,
    pub reason: Reason,
    /// For a removal: when it fell due.
    pub due_at: Option<DateTime<Utc>>,
    /// For a removal: an administrator allowed it or asked for it now.
    pub allowed: bool,
    pub precondition: Precondition,
    /// State of the link once this is acknowledged.
    pub link_after: LinkState,
    /// This person's operation goes first (their rename frees the user name).
    pub after: Option<PersonId>,
    /// For a link: the deleted person whose link moves here and ends.
    pub moves_from: Option<PersonId>,
}

/// What must still hold when the operation is sent; otherwise the person is planned again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Precondition {
    /// [`crate::identity::fingerprint`] of the person.
    pub person: Digest,
    /// State of the link; `None`: there is none.
    pub link: Option<LinkState>,
    /// Hash of the link's `last_body`.
    pub body_hash: Option<Digest>,
    /// For a removal: the cause that has to be confirmed afresh
    /// ([`crate::lifecycle::confirm_cause`]).
    pub cause: Option<Trigger>,
}

/// The link and the clocks once an operation is acknowledged. `link` is the one before; `account`
/// is the id that the app gave for a create. `None` when there is no account to link to.
pub fn acknowledge(
    operation: &PlannedOperation,
    link: Option<&Link>,
    lifecycle: &Lifecycle,
    account: Option<&AccountId>,
    at: DateTime<Utc>,
) -> Option<(Link, Lifecycle)> {
    let account_id = match operation.kind {
        OperationKind::Create => account,
        _ => operation.account.as_ref(),
    };
    let last_body = operation
        .body
        .clone()
        .or_else(|| link.and_then(|link| link.last_body.clone()));
    let link = Link {
        account_id: account_id?.clone(),
        state: operation.link_after,
        last_body,
    };
    let mut lifecycle = lifecycle.clone();
    match operation.kind {
        OperationKind::Suspend => lifecycle.suspended(at),
        OperationKind::Unsuspend | OperationKind::Delete => lifecycle.suspension_ended(),
        OperationKind::Create | OperationKind::Link => lifecycle = Lifecycle::default(),
        OperationKind::Update => {}
    }
    Some((link, lifecycle))
}

impl PlannedOperation {
    /// What `active` is set to; `None`: it is not touched.
    pub fn active(&self) -> Option<bool> {
        match self.kind {
            OperationKind::Create | OperationKind::Unsuspend => Some(true),
            OperationKind::Suspend => Some(false),
            OperationKind::Link | OperationKind::Update | OperationKind::Delete => None,
        }
    }

    /// Whether some attribute is cleared, which PATCH cannot say everywhere.
    pub fn clears(&self) -> bool {
        self.changes.iter().any(|change| change.new.is_none())
    }

    /// Body of the POST of a create.
    pub fn create_request(&self) -> Value {
        let mut body = self.body.clone().unwrap_or_else(|| json!({}));
        if let (Some(active), Some(members)) = (self.active(), body.as_object_mut()) {
            members.insert("active".to_owned(), Value::Bool(active));
        }
        body
    }

    /// Body of a PATCH with one operation per attribute. `current`: the account as just read,
    /// needed to keep the entries of others where one is added.
    pub fn patch_request(&self, current: Option<&Value>) -> Value {
        let nothing = json!({});
        patch_operations(
            &self.changes,
            self.body.as_ref().unwrap_or(&nothing),
            current,
            self.active(),
        )
    }

    /// Body of a PATCH with an object as value; `None` when something is cleared, which takes a
    /// PUT. `current`: the account as just read, needed to keep the entries of others.
    pub fn patch_value_request(&self, current: Option<&Value>) -> Option<Value> {
        let nothing = json!({});
        let body = self.body.as_ref().unwrap_or(&nothing);
        patch_value_style(&self.changes, body, current, self.active())
    }

    /// Body of a PUT from the account as just read. `rows`: the mapping of the planned version.
    pub fn put_request(&self, read_back: &Value, rows: &[MappingRow]) -> Value {
        let nothing = json!({});
        let body = self.body.as_ref().unwrap_or(&nothing);
        replace_body(read_back, body, rows, &self.changes, self.active())
    }

    /// Hash by which a failure is recognised as the same one.
    pub fn body_hash(&self) -> Option<Digest> {
        self.body.as_ref().map(Digest::of_json)
    }
}
