//! Google Workspace through the Admin SDK Directory API, read-only.

mod channel;
mod error;
mod key;
mod listing;
mod request;
mod scope;
mod token;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use provisioning::identity::{GroupId, PersonId};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

pub use self::channel::{OpenChannel, OpenedChannel, WatchedEvent};
pub use self::error::{DirectoryError, DirectoryErrorClass, Incompleteness};
pub use self::key::{KeyProblem, ServiceAccountKey};
pub use self::listing::{Listed, Listing, UserListing};
pub use self::scope::{Scope, ScopeCheck, ScopeResult};

use self::listing::ListingKind;
use self::request::Call;
use self::token::TokenCache;
use super::http::Outgoing;
use super::retry::Backoff;
use crate::clock::Clock;

pub const DEFAULT_ENDPOINT: &str = "https://admin.googleapis.com";
pub const MY_CUSTOMER: &str = "my_customer";

/// Where the directory is and who reads it.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    pub endpoint: Url,
    /// The administrator to impersonate.
    pub admin_email: String,
    /// `my_customer`, or a customer id.
    pub customer: String,
    pub key: ServiceAccountKey,
}

/// A person read individually.
#[derive(Clone, Debug, PartialEq)]
pub enum PersonLookup {
    Found(Value),
    /// Deleted within the last days: Google answers 412.
    Deleted,
    /// Not known, or deleted long ago. One such answer proves nothing yet.
    NotFound,
}

#[derive(Clone, Debug, PartialEq)]
pub enum GroupLookup {
    Found(Value),
    NotFound,
}

/// How long trouble is borne: a run has time, somebody who watches a test has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Run,
    Test,
    /// What must not be sent twice.
    Once,
}

impl Patience {
    /// 1, 2, 4, 8, 16, 32, 32 s: longer than the minute by which Google counts queries.
    fn throttling(self) -> Backoff {
        Backoff::new(match self {
            Self::Run => 8,
            Self::Test => 4,
            Self::Once => 1,
        })
    }

    fn outage(self) -> Backoff {
        Backoff::new(match self {
            Self::Run => 6,
            Self::Test => 2,
            Self::Once => 1,
        })
    }
}

/// Clones share tokens, and wait together when Google throttles.
#[derive(Clone, Debug)]
pub struct GoogleDirectory(Arc<Connection>);

#[derive(Debug)]
struct Connection {
    settings: ConnectionSettings,
    outgoing: Outgoing,
    clock: Arc<dyn Clock>,
    tokens: TokenCache,
    /// Until then everybody waits, because somebody was throttled.
    quiet_until: Mutex<Option<Instant>>,
    page_cap: u32,
}

impl GoogleDirectory {
    /// Fails when the endpoint or the key's token address is not allowed.
    pub fn new(
        settings: ConnectionSettings,
        outgoing: Outgoing,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DirectoryError> {
        outgoing.check(&settings.endpoint)?;
        outgoing.check(settings.key.token_uri())?;
        Ok(Self(Arc::new(Connection {
            settings,
            outgoing,
            clock,
            tokens: TokenCache::default(),
            quiet_until: Mutex::new(None),
            page_cap: 10_000,
        })))
    }

    pub fn settings(&self) -> &ConnectionSettings {
        &self.0.settings
    }

    /// People, 500 a page, with everything that Google knows of them.
    pub fn users(&self, which: UserListing) -> Listing {
        let mut query = vec![
            ("customer", self.0.settings.customer.clone()),
            ("projection", "full".to_owned()),
            ("maxResults", "500".to_owned()),
        ];
        if which == UserListing::Deleted {
            query.push(("showDeleted", "true".to_owned()));
        }
        let kind = match which {
            UserListing::Current => ListingKind::Users,
            UserListing::Deleted => ListingKind::DeletedUsers,
        };
        Listing::new(self.clone(), kind, "people".to_owned(), &["users"], query)
    }

    pub fn groups(&self) -> Listing {
        let query = vec![
            ("customer", self.0.settings.customer.clone()),
            ("maxResults", "200".to_owned()),
        ];
        let what = "groups".to_owned();
        Listing::new(self.clone(), ListingKind::Groups, what, &["groups"], query)
    }

    /// Direct members only, groups among them as they are. A group that is gone is `NotFound`.
    pub fn members(&self, group: &GroupId) -> Listing {
        let query = vec![("maxResults", "200".to_owned())];
        let what = format!("members of group {}", group.as_str());
        let path = ["groups", group.as_str(), "members"];
        Listing::new(self.clone(), ListingKind::Members, what, &path, query)
    }

    /// The groups of which somebody is a direct member.
    pub fn groups_of(&self, person: &PersonId) -> Listing {
        let query = vec![
            ("userKey", person.as_str().to_owned()),
            ("maxResults", "200".to_owned()),
        ];
        let what = format!("groups of person {}", person.as_str());
        Listing::new(self.clone(), ListingKind::Groups, what, &["groups"], query)
    }

    /// All org units below the root, which itself is not among them.
    pub async fn org_units(&self) -> Result<Vec<Value>, DirectoryError> {
        let path = ["customer", &self.0.settings.customer, "orgunits"];
        let call = Call::new(Scope::OrgUnits, "org units", &path).with("type", "all");
        let answer = self.read(&call, Patience::Run).await?;
        list_of(answer, "organizationUnits", "org units")
    }

    pub async fn domains(&self) -> Result<Vec<Value>, DirectoryError> {
        let path = ["customer", &self.0.settings.customer, "domains"];
        let call = Call::new(Scope::Domains, "domains", &path);
        let answer = self.read(&call, Patience::Run).await?;
        list_of(answer, "domains", "domains")
    }

    /// The customer with its `id` and `customerDomain`.
    pub async fn customer(&self) -> Result<Value, DirectoryError> {
        let path = ["customers", &self.0.settings.customer];
        let call = Call::new(Scope::Customer, "the customer", &path);
        self.read(&call, Patience::Run).await
    }

    pub async fn user(&self, person: &PersonId) -> Result<PersonLookup, DirectoryError> {
        self.user_by_key(person.as_str()).await
    }

    /// By id or by any of the person's addresses.
    pub async fn user_by_key(&self, key: &str) -> Result<PersonLookup, DirectoryError> {
        let what = format!("person {key}");
        let call = Call::new(Scope::Users, &what, &["users", key]).with("projection", "full");
        match self.read(&call, Patience::Run).await {
            Ok(user) => Ok(PersonLookup::Found(user)),
            Err(DirectoryError::NotFound { .. }) => Ok(PersonLookup::NotFound),
            Err(DirectoryError::Rejected { status: 412, .. }) => Ok(PersonLookup::Deleted),
            Err(error) => Err(error),
        }
    }

    pub async fn group(&self, group: &GroupId) -> Result<GroupLookup, DirectoryError> {
        self.group_by_key(group.as_str()).await
    }

    /// By id or by address.
    pub async fn group_by_key(&self, key: &str) -> Result<GroupLookup, DirectoryError> {
        let what = format!("group {key}");
        let call = Call::new(Scope::Groups, &what, &["groups", key]);
        match self.read(&call, Patience::Run).await {
            Ok(group) => Ok(GroupLookup::Found(group)),
            Err(DirectoryError::NotFound { .. }) => Ok(GroupLookup::NotFound),
            Err(error) => Err(error),
        }
    }

    /// Tries each scope by itself: a token of its own, and one small request.
    pub async fn test_scopes(&self) -> Vec<ScopeCheck> {
        let mut checks = Vec::new();
        let mut common: Option<DirectoryError> = None;
        let mut some_group = None;
        for scope in Scope::ALL {
            let outcome = match &common {
                // What ails the sign-in ails every scope: asking on would only take time.
                Some(error) => Err(error.clone()),
                None => self.try_scope(scope, &mut some_group).await,
            };
            if let Err(error) = &outcome
                && error.concerns_every_scope()
            {
                common = Some(error.clone());
            }
            checks.push(ScopeCheck {
                scope,
                purpose: scope.purpose(),
                result: match outcome {
                    Ok(()) => ScopeResult::Ok,
                    Err(error @ DirectoryError::ScopeMissing { .. }) => ScopeResult::Missing {
                        sentence: error.to_string(),
                    },
                    Err(error) => ScopeResult::Failed {
                        code: error.code(),
                        sentence: error.to_string(),
                    },
                },
            });
        }
        checks
    }

    async fn try_scope(
        &self,
        scope: Scope,
        some_group: &mut Option<String>,
    ) -> Result<(), DirectoryError> {
        let customer = self.0.settings.customer.as_str();
        let call = match scope {
            Scope::Users => Call::new(scope, "people", &["users"])
                .with("customer", customer)
                .with("maxResults", "1"),
            Scope::Groups => Call::new(scope, "groups", &["groups"])
                .with("customer", customer)
                .with("maxResults", "1"),
            Scope::Members => match some_group {
                Some(group) => {
                    Call::new(scope, "members of a group", &["groups", group, "members"])
                        .with("maxResults", "1")
                }
                // Without a group to look into, the token alone shows that it is granted.
                None => return self.sign_in(scope, Patience::Test).await,
            },
            Scope::OrgUnits => Call::new(scope, "org units", &["customer", customer, "orgunits"])
                .with("type", "children"),
            Scope::Customer => Call::new(scope, "the customer", &["customers", customer]),
            Scope::Domains => Call::new(scope, "domains", &["customer", customer, "domains"]),
        };
        // A token from before the administrator changed the delegation would prove nothing.
        self.0.tokens.forget(scope).await;
        let answer = self.read(&call, Patience::Test).await?;
        if scope == Scope::Groups {
            *some_group = answer
                .pointer("/groups/0/id")
                .and_then(Value::as_str)
                .map(str::to_owned);
        }
        Ok(())
    }

    fn quiet_for(&self, wait: Duration) -> Instant {
        let until = self.0.outgoing.timer().now() + wait;
        let mut quiet = self.quiet_until();
        let until = quiet.map_or(until, |known| known.max(until));
        *quiet = Some(until);
        until
    }

    fn quiet_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0
            .quiet_until
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The list under `key`; these listings are not paged and leave the key out when there is nothing.
fn list_of(answer: Value, key: &'static str, what: &str) -> Result<Vec<Value>, DirectoryError> {
    let Value::Object(mut answer) = answer else {
        return Err(protocol(what, "it is not an object"));
    };
    match answer.remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(protocol(what, &format!("{key:?} is not a list"))),
    }
}

fn protocol(what: &str, detail: &str) -> DirectoryError {
    DirectoryError::Protocol {
        what: what.to_owned(),
        detail: detail.to_owned(),
    }
}
