//! Sends one operation, and looks whether one whose answer never came took effect (S8.7).

use std::time::Duration;

use provisioning::identity::{Account, AccountId};
use provisioning::mapping::{self, MappingRow};
use provisioning::plan::OperationKind;
use serde_json::Value;

use super::engine::Engine;
use super::run::RunError;
use crate::connectors::scim::{Sent, Update, noting};
use crate::connectors::{ScimApp, ScimError, ScimErrorClass};
use crate::store::apps::AppId;
use crate::store::links;
use crate::store::operations::Operation;

/// Sends of one operation within a run, the first included.
const TRIES_PER_RUN: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A pause longer than this is not waited for within a run: the app is given it as a whole.
const PAUSE_OF_THE_APP: Duration = Duration::from_secs(5 * 60);
/// Pauses between looking for an account again: some apps show it late.
const LOOK_AGAIN_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// What the app acknowledged.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged {
    /// `None` when there is no account any more, or the app did not answer with it.
    pub account: Option<Account>,
    /// The write had happened before; it was found, not sent again.
    pub found: bool,
    /// The write as it left. Linking sends none.
    pub sent: Option<Sent>,
}

/// An operation that did not work, and the write that it was about, where one left.
#[derive(Debug)]
pub struct NotDone {
    pub error: ScimError,
    pub sent: Option<Sent>,
}

/// What the app shows of an operation whose answer never came.
#[derive(Debug)]
pub enum Effect {
    /// It was carried out; the account as it is now, `None` after a deletion.
    Done(Option<Account>),
    NotThere,
    /// It can't be told apart from what others did, so it must not be sent again.
    Unclear(String),
}

pub struct Sender<'a> {
    engine: &'a Engine,
    app: &'a ScimApp,
    id: AppId,
    /// The mapping of the planned version, for apps that need PUT.
    rows: &'a [MappingRow],
}

impl<'a> Sender<'a> {
    pub fn new(engine: &'a Engine, app: &'a ScimApp, id: AppId, rows: &'a [MappingRow]) -> Self {
        Self {
            engine,
            app,
            id,
            rows,
        }
    }

    pub fn app(&self) -> &ScimApp {
        self.app
    }

    pub async fn send(&self, operation: &Operation) -> Result<Acknowledged, NotDone> {
        match noting(Box::pin(self.write(operation))).await {
            (Ok(account), sent) => Ok(Acknowledged {
                account,
                found: false,
                sent,
            }),
            (Err(error), sent) => Err(NotDone { error, sent }),
        }
    }

    async fn write(&self, operation: &Operation) -> Result<Option<Account>, ScimError> {
        let plan = &operation.plan;
        let account = || {
            plan.account
                .clone()
                .ok_or_else(ScimError::incomplete_operation)
        };
        Ok(match plan.kind {
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
        })
    }

    /// Whether the app shows the effect of an operation.
    pub async fn find_effect(&self, operation: &Operation) -> Result<Effect, RunError> {
        let plan = &operation.plan;
        if plan.kind == OperationKind::Create {
            return self.find_created(operation).await;
        }
        // Linking asks nothing of the app, and is recorded in one go.
        let (Some(id), false) = (&plan.account, plan.kind == OperationKind::Link) else {
            return Ok(Effect::NotThere);
        };
        let Some(account) = self.app.get(id).await? else {
            return Ok(match plan.kind {
                OperationKind::Delete => Effect::Done(None),
                _ => Effect::NotThere,
            });
        };
        let holds = match plan.kind {
            OperationKind::Suspend => account.active == Some(false),
            OperationKind::Unsuspend => account.active == Some(true) && shows(&account, operation),
            OperationKind::Update => shows(&account, operation),
            OperationKind::Delete | OperationKind::Create | OperationKind::Link => false,
        };
        Ok(match holds {
            true => Effect::Done(Some(account)),
            false => Effect::NotThere,
        })
    }

    /// Nobody had this user name when the plan was made, so whoever has it now, active or not, and
    /// is nobody else's, is what was asked for. Absence is believed only after some looks.
    async fn find_created(&self, operation: &Operation) -> Result<Effect, RunError> {
        let Some(user_name) = user_name(operation) else {
            return Ok(Effect::NotThere);
        };
        let mut pauses = LOOK_AGAIN_AFTER.iter();
        loop {
            let hits = self.app.find_anew(user_name).await?;
            if let Some(effect) = self.told_by(operation, hits).await? {
                return Ok(effect);
            }
            match pauses.next() {
                Some(pause) => self.engine.outgoing().timer().wait(*pause).await,
                None => return Ok(Effect::NotThere),
            }
        }
    }

    async fn told_by(
        &self,
        operation: &Operation,
        mut hits: Vec<Account>,
    ) -> Result<Option<Effect>, RunError> {
        if hits.len() > 1 {
            let ids: Vec<&str> = hits.iter().map(|account| account.id.as_str()).collect();
            return Ok(Some(Effect::Unclear(format!(
                "The app did not answer whether it created the account, and several have its user name now: {}. Remove those that are too many in the app.",
                ids.join(", ")
            ))));
        }
        let Some(account) = hits.pop() else {
            return Ok(None);
        };
        let mut db = self.engine.connection().await?;
        let owner = links::owner(&mut db, self.id, &account.id).await?;
        Ok(Some(match owner {
            Some(owner) if owner != operation.person_id => Effect::Unclear(format!(
                "The app did not answer whether it created the account, and the one that has its user name now, {}, is linked to {owner}. Look which of them it belongs to.",
                account.id
            )),
            _ => Effect::Done(Some(account)),
        }))
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

/// The pause that the app as a whole is to be given, where it asked for a long one.
pub fn pause_of_the_app(error: &ScimError) -> Option<Duration> {
    error
        .retry_after()
        .filter(|pause| *pause > PAUSE_OF_THE_APP)
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
