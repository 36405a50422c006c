//! Apps that speak SCIM 2.0, as liberal as they are.

mod discovery;
mod error;
mod kept;
mod learned;
mod limits;
mod listing;
mod lookup;
mod refused;
mod request;
mod sent;
mod settings;
mod verify;
mod version;
mod write;

use std::sync::Arc;

use provisioning::identity::Account;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

pub use self::discovery::AppFacts;
pub use self::error::{ScimError, ScimErrorClass};
pub use self::learned::{BodyType, DeleteEffect, FilterWorth, IfMatch, Learned, UpdateStyle};
pub use self::limits::{Access, Limiter};
pub use self::listing::{AccountListing, Trust};
pub use self::sent::{Sent, noting};
pub use self::settings::{ScimLimits, ScimSettings};
pub use self::write::Update;

use self::lookup::NameIndex;
use self::verify::Refusals;
use super::http::{Outgoing, RequestCounts};
use crate::clock::Clock;

/// One app. Clones share its limiter and what was learned of it.
#[derive(Clone, Debug)]
pub struct ScimApp {
    app: Arc<App>,
    outgoing: Outgoing,
    departure: Option<Arc<dyn Departure>>,
}

/// Asked when a write's turn has come, right before it leaves: its sender may have changed its mind
/// while it waited in the line.
pub trait Departure: std::fmt::Debug + Send + Sync {
    fn may_leave(&self) -> bool;
}

#[derive(Debug)]
struct App {
    settings: ScimSettings,
    clock: Arc<dyn Clock>,
    limiter: Limiter,
    /// Whoever keeps what is learned is told of each change.
    learned: watch::Sender<Learned>,
    refusals: Refusals,
    /// User names of all accounts, read once where the app's filter is of no use.
    names: tokio::sync::Mutex<Option<NameIndex>>,
}

impl ScimApp {
    /// Fails when the endpoint is not allowed or the token can't be one.
    pub fn new(
        mut settings: ScimSettings,
        outgoing: Outgoing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ScimError> {
        outgoing.check(&settings.endpoint)?;
        settings.token = usable_token(&settings.token)?;
        let limiter = Limiter::new(settings.limits, Arc::clone(outgoing.timer()));
        let (learned, _) = watch::channel(settings.learned.clone());
        let app = App {
            settings,
            clock,
            limiter,
            learned,
            refusals: Refusals::default(),
            names: tokio::sync::Mutex::new(None),
        };
        Ok(Self {
            app: Arc::new(app),
            outgoing,
            departure: None,
        })
    }

    /// The same app, its limits and all that was learned, counting elsewhere: one set of counts
    /// for each run.
    #[must_use]
    pub fn counting(&self, counts: RequestCounts) -> Self {
        Self {
            app: Arc::clone(&self.app),
            outgoing: self.outgoing.clone().counting(counts),
            departure: self.departure.clone(),
        }
    }

    /// The same app, whose writes leave only when they still may.
    #[must_use]
    pub fn asking(&self, departure: Arc<dyn Departure>) -> Self {
        Self {
            departure: Some(departure),
            ..self.clone()
        }
    }

    fn may_leave(&self) -> bool {
        self.departure.as_ref().is_none_or(|one| one.may_leave())
    }

    pub fn endpoint(&self) -> &Url {
        &self.app.settings.endpoint
    }

    /// What is known by now; the caller stores it for the next time.
    pub fn learned(&self) -> Learned {
        self.app.learned.borrow().clone()
    }

    /// Tells of each change of what is known, until the last clone of this app is dropped.
    pub fn learning(&self) -> watch::Receiver<Learned> {
        self.app.learned.subscribe()
    }

    /// Requests a minute at the present pace, or `None` without a limit.
    pub fn pace_per_minute(&self) -> Option<f64> {
        self.app.limiter.pace_per_minute()
    }

    fn learn(&self, change: impl FnOnce(&mut Learned)) {
        self.app.learned.send_if_modified(|learned| {
            let before = learned.clone();
            change(learned);
            *learned != before
        });
    }
}

/// The token without the blanks and line ends that pasting brings along.
fn usable_token(token: &SecretString) -> Result<SecretString, ScimError> {
    let trimmed = token.expose_secret().trim();
    if trimmed.is_empty() {
        return Err(ScimError::unusable_token("it is empty"));
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "it holds blanks or characters that no token has";
        return Err(ScimError::unusable_token(detail));
    }
    Ok(SecretString::from(trimmed))
}

/// The account in an answer to a request for one.
fn account_of(shown: &str, json: Value) -> Result<Account, ScimError> {
    Account::from_resource(json)
        .map_err(|problem| ScimError::endpoint(shown, None, &problem.to_string()))
}
