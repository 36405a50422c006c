//! Faults that tests and curious people switch on: what fails, how, how often.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of request; faults and counts go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    Token,
    UsersList,
    DeletedUsersList,
    UserGet,
    UsersWatch,
    ChannelStop,
    GroupsList,
    GroupGet,
    MembersList,
    OrgUnitsList,
    CustomerGet,
    DomainsList,
    ServiceProviderConfig,
    ResourceTypes,
    Schemas,
    AccountsList,
    AccountGet,
    AccountCreate,
    AccountReplace,
    AccountPatch,
    AccountDelete,
}

impl Call {
    /// Whether the request goes to the app.
    pub fn is_scim(self) -> bool {
        self.is_scim_write()
            || matches!(
                self,
                Self::ServiceProviderConfig
                    | Self::ResourceTypes
                    | Self::Schemas
                    | Self::AccountsList
                    | Self::AccountGet
            )
    }

    /// Whether the request changes an account.
    pub fn is_scim_write(self) -> bool {
        matches!(
            self,
            Self::AccountCreate | Self::AccountReplace | Self::AccountPatch | Self::AccountDelete
        )
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "failure", rename_all = "snake_case")]
pub enum Failure {
    /// 429, with `Retry-After` in seconds unless it is left out.
    TooManyRequests { retry_after: Option<u64> },
    /// 403 of domain `usageLimits`, reason `userRateLimitExceeded`.
    UserRateLimitExceeded,
    /// 403 of domain `usageLimits`, reason `quotaExceeded`.
    QuotaExceeded,
    /// 403 that no waiting cures.
    Forbidden,
    /// 401, as for a revoked token.
    Unauthorized,
    /// An error of this status in the API's own format.
    Status { status: u16 },
    /// A page of HTML with this status, as a proxy sends it.
    Html { status: u16 },
    /// 200, but the list's own key is missing.
    MissingCollection,
    /// The same page and the same next page token, for ever.
    RepeatedPageToken,
    /// The same page and always another next page token.
    EndlessPages,
    /// The next page token of a page is left out, as if it were the last.
    EndsEarly,
    /// The answer comes late.
    Latency { milliseconds: u64 },
    /// The connection ends before anything was done.
    DroppedBefore,
    /// The connection ends after everything was done.
    DroppedAfter,
}

/// A failure on the requests that it is meant for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub call: Call,
    /// Only requests about this id or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// How many requests pass before the first failure.
    #[serde(default)]
    pub skip: u32,
    /// How many requests fail; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    #[serde(flatten)]
    pub failure: Failure,
}

impl Fault {
    /// A failure of every request of a kind.
    pub fn always(call: Call, failure: Failure) -> Self {
        Self {
            call,
            about: None,
            skip: 0,
            times: None,
            failure,
        }
    }

    /// A failure of the next request of a kind.
    pub fn once(call: Call, failure: Failure) -> Self {
        Self::always(call, failure).times(1)
    }

    /// Ends after so many failures.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Only for requests about one id or address.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.about = Some(subject.to_owned());
        self
    }
}

/// A flag that the directory can forget to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    Suspended,
    Archived,
}

/// All faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults {
    active: Vec<Fault>,
    hidden: BTreeSet<(Flag, String)>,
    everyone_hidden: BTreeSet<Flag>,
    left_out: BTreeSet<String>,
}

/// What one request has to suffer.
#[derive(Debug, Default)]
pub struct Suffered {
    /// Waits this long first.
    pub latency: Duration,
    /// Fails like this.
    pub failure: Option<Failure>,
}

impl Faults {
    /// Switches a fault on.
    pub fn add(&mut self, fault: Fault) {
        self.active.push(fault);
    }

    /// Leaves a flag out for one person (id or address), or for all.
    pub fn hide(&mut self, flag: Flag, person: Option<&str>) {
        match person {
            Some(person) => drop(self.hidden.insert((flag, person.to_lowercase()))),
            None => drop(self.everyone_hidden.insert(flag)),
        }
    }

    /// Whether a flag is left out for the person with this id and address.
    pub fn hides(&self, flag: Flag, id: &str, email: &str) -> bool {
        self.everyone_hidden.contains(&flag)
            || (!self.hidden.is_empty()
                && (self.hidden.contains(&(flag, id.to_owned()))
                    || self.hidden.contains(&(flag, email.to_lowercase()))))
    }

    /// Leaves a person or group (by id) out of listings; whoever asks for it still finds it.
    pub fn leave_out(&mut self, id: &str) {
        self.left_out.insert(id.to_owned());
    }

    /// Whether a person or group is left out of listings.
    pub fn leaves_out(&self, id: &str) -> bool {
        self.left_out.contains(id)
    }

    /// Switches all faults off.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// What a request about `subject` has to suffer; counts it down.
    pub fn suffer(&mut self, call: Call, subject: Option<&str>) -> Suffered {
        let mut suffered = Suffered::default();
        for fault in &mut self.active {
            let meant = fault.call == call
                && fault.about.as_deref().is_none_or(|about| {
                    subject.is_some_and(|subject| subject.eq_ignore_ascii_case(about))
                });
            if !meant || fault.times == Some(0) {
                continue;
            }
            let is_latency = matches!(fault.failure, Failure::Latency { .. });
            if suffered.failure.is_some() && !is_latency {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            if let Some(times) = &mut fault.times {
                *times -= 1;
            }
            match fault.failure {
                Failure::Latency { milliseconds } => {
                    suffered.latency += Duration::from_millis(milliseconds);
                }
                ref failure => suffered.failure = Some(failure.clone()),
            }
        }
        self.active.retain(|fault| fault.times != Some(0));
        suffered
    }
}
