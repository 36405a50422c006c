//! Sends one operation, and settles one that is in doubt by looking at the app first (S8.7).

use std::time::Duration;

use provisioning::identity::{Account, AccountId};
use provisioning::mapping::{self, MappingRow};
use provisioning::plan::OperationKind;
use serde_json::Value;

use super::engine::Engine;
use crate::connectors::scim::Update;
use crate::connectors::{ScimApp, ScimError, ScimErrorClass};
use crate::store::operations::Operation;

/// Sends of one operation within a run, the first included.
const TRIES_PER_RUN: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What the app acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// `None` when there is no account any more, or the app did not answer with it.
    pub account: Option<Account>,
    /// The write had happened before; it was found, not sent again.
    pub found: bool,
}

pub struct Sender<'a> {
    engine: &'a Engine,
    app: &'a ScimApp,
    /// The mapping of the planned version, for apps that need PUT.
    rows: &'a [MappingRow],
}

impl<'a> Sender<'a> {
    pub fn new(engine: &'a Engine, app: &'a ScimApp, rows: &'a [MappingRow]) -> Self {
        Self { engine, app, rows }
    }

    pub fn app(&self) -> &ScimApp {
        self.app
    }

    /// Sends the operation. One that was sent before without a known answer is looked up first.
    pub async fn carry_out(
        &self,
        operation: &Operation,
        in_doubt: bool,
    ) -> Result<Acknowledged, ScimError> {
        if in_doubt && let Some(found) = self.find_effect(operation).await? {
            return Ok(Acknowledged {
                account: found,
                found: true,
            });
        }
        let plan = &operation.plan;
        let account = || {
            plan.account
                .clone()
                .ok_or_else(|| ScimError::incomplete_operation())
        };
        let account = match plan.kind {
            // Linking asks nothing of the app.
            OperationKind::Link => None,
            OperationKind::Create => Some(self.app.create(&plan.create_request()).await?),
            OperationKind::Update | OperationKind::Unsuspend | OperationKind::Suspend => {
                let nothing = Value::Object(serde_json::Map::new());
                let update = Update {
                    body: plan.body.as_ref().unwrap_or(&nothing),
                    changes: &plan.changes,
                    rows: self.rows,
                    active: plan.active(),
                    current: None,
                };
                self.app.update(&account()?, update).await?
            }
            OperationKind::Delete => {
                self.app.delete(&account()?).await?;
                None
            }
        };
        Ok(Acknowledged {
            account,
            found: false,
        })
    }

    /// Whether the app shows the effect of an operation: `Some` with the account as it is now
    /// (`None` inside after a deletion), `None` when the operation has to be sent.
    async fn find_effect(
        &self,
        operation: &Operation,
    ) -> Result<Option<Option<Account>>, ScimError> {
        let plan = &operation.plan;
        if plan.kind == OperationKind::Link {
            return Ok(None);
        }
        if plan.kind == OperationKind::Create {
            let Some(user_name) = user_name(operation) else {
                return Ok(None);
            };
            // Nobody had this user name when the plan was made: one hit is ours.
            return Ok(
                match self.app.find_by_user_name(user_name).await?.as_slice() {
                    [account] if account.active != Some(false) => Some(Some(account.clone())),
                    _ => None,
                },
            );
        }
        let Some(id) = &plan.account else {
            return Ok(None);
        };
        let Some(account) = self.app.get(id).await? else {
            return Ok((plan.kind == OperationKind::Delete).then_some(None));
        };
        let holds = match plan.kind {
            OperationKind::Suspend => account.active == Some(false),
            OperationKind::Unsuspend => account.active == Some(true) && shows(&account, operation),
            OperationKind::Update => shows(&account, operation),
            OperationKind::Delete | OperationKind::Create | OperationKind::Link => false,
        };
        Ok(holds.then_some(Some(account)))
    }

    /// How long to wait before the operation is sent again in this run; `None` leaves it to the
    /// next one, or to an administrator.
    pub fn try_again_after(&self, error: &ScimError, tries: u32) -> Option<Duration> {
        if tries >= TRIES_PER_RUN {
            return None;
        }
        let asked = match &error.class {
            ScimErrorClass::RateLimited { retry_after }
            | ScimErrorClass::Transient { retry_after } => *retry_after,
            ScimErrorClass::Ambiguous => None,
            _ => return None,
        };
        let pause = asked.unwrap_or(Duration::from_millis(500 * 2_u64.pow(tries)));
        (pause <= LONGEST_PAUSE && !self.engine.shutdown().is_cancelled()).then_some(pause)
    }

    /// Whether the account is really not there: asked by its id, and by its user name (S8.7).
    pub async fn is_gone(&self, id: &AccountId, user_name: &str) -> Result<bool, ScimError> {
        if self.app.get(id).await?.is_some() {
            return Ok(false);
        }
        let named = self.app.find_by_user_name(user_name).await?;
        Ok(named.iter().all(|account| account.id != *id))
    }
}

/// Whether the account holds every value that the operation was to write.
fn shows(account: &Account, operation: &Operation) -> bool {
    operation.plan.changes.iter().all(|change| {
        let Ok(path) = mapping::ScimPath::parse(&change.attribute) else {
            return false;
        };
        match (path.read(&account.resource), &change.new) {
            (None, None) => true,
            (Some(held), Some(new)) => mapping::same_value(held, new),
            _ => false,
        }
    })
}

/// The user name that the operation writes.
pub fn user_name(operation: &Operation) -> Option<&str> {
    operation.plan.body.as_ref()?.get("userName")?.as_str()
}
