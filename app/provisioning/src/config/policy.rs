//! Deprovisioning policies: how long an account lives on after its cause to end (S6.1).

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How long after its trigger a step is due. Ordered as listed: within 24 hours, 1 day, ...
///
/// *Within 24 hours* is due at the first run after the trigger; a day is 24 elapsed hours.
/// Text form: `24h`, `1d`, `7d`, `21d`. Which ones an app offers is in its catalogue entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window(u16);

impl Window {
    pub const WITHIN_24_HOURS: Self = Self(0);
    pub const ONE_DAY: Self = Self(1);
    pub const SEVEN_DAYS: Self = Self(7);
    pub const TWENTY_ONE_DAYS: Self = Self(21);
    /// The ones that Google offers for Asana.
    pub const USUAL: [Self; 4] = [
        Self::WITHIN_24_HOURS,
        Self::ONE_DAY,
        Self::SEVEN_DAYS,
        Self::TWENTY_ONE_DAYS,
    ];

    /// From the trigger to the first moment at which the step may be carried out.
    pub fn delay(self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.0) * 24)
    }

    /// `within 24 hours`, `after 1 day`, `after 7 days`.
    pub fn sentence(self) -> String {
        match self.0 {
            0 => "within 24 hours".to_owned(),
            1 => "after 1 day".to_owned(),
            days => format!("after {days} days"),
        }
    }

    /// `24 hours`, `1 day`, `7 days`.
    pub fn label(self) -> String {
        match self.0 {
            0 => "24 hours".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("24h"),
            days => write!(f, "{days}d"),
        }
    }
}

impl FromStr for Window {
    type Err = PolicyProblem;

    fn from_str(text: &str) -> Result<Self, PolicyProblem> {
        let unknown = || PolicyProblem::UnknownWindow(text.to_owned());
        if text == "24h" {
            return Ok(Self::WITHIN_24_HOURS);
        }
        let days = text.strip_suffix('d').ok_or_else(unknown)?;
        if days.starts_with(['0', '+']) {
            return Err(unknown());
        }
        match days.parse() {
            Ok(days @ 1..=365) => Ok(Self(days)),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for Window {
    type Error = PolicyProblem;

    fn try_from(text: String) -> Result<Self, PolicyProblem> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

/// What happens after one trigger: suspend, delete, or suspend and later delete.
///
/// Cannot be built wrong, by JSON neither: at least one step, and delete strictly later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "PolicyParts", into = "PolicyParts")]
pub struct Policy {
    suspend: Option<Window>,
    delete: Option<Window>,
}

impl Policy {
    pub fn new(suspend: Option<Window>, delete: Option<Window>) -> Result<Self, PolicyProblem> {
        match (suspend, delete) {
            (None, None) => Err(PolicyProblem::NoStep),
            (Some(suspend), Some(delete)) if delete <= suspend => {
                Err(PolicyProblem::DeleteNotLater { suspend, delete })
            }
            (suspend, delete) => Ok(Self { suspend, delete }),
        }
    }

    pub fn suspend(self) -> Option<Window> {
        self.suspend
    }

    pub fn delete(self) -> Option<Window> {
        self.delete
    }

    /// The policy of a trigger for which nothing was chosen: suspend within 24 hours.
    pub fn suspend_within_24_hours() -> Self {
        Self {
            suspend: Some(Window::WITHIN_24_HOURS),
            delete: None,
        }
    }

    /// Every problem of a policy for an app that offers `windows`; empty when it holds.
    /// `field` is the policy's key (`deprovisioning.deleted`).
    pub fn windows_not_offered(self, windows: &[Window]) -> Vec<(&'static str, Window)> {
        [("suspend", self.suspend), ("delete", self.delete)]
            .into_iter()
            .filter_map(|(step, window)| window.map(|window| (step, window)))
            .filter(|(_, window)| !windows.contains(window))
            .collect()
    }
}

impl fmt::Display for Policy {
    /// `Suspend the account within 24 hours and delete it after 21 days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.suspend, self.delete) {
            (Some(suspend), Some(delete)) => write!(
                f,
                "Suspend the account {} and delete it {}",
                suspend.sentence(),
                delete.sentence()
            ),
            (Some(suspend), None) => {
                write!(
                    f,
                    "Suspend the account {} and never delete it",
                    suspend.sentence()
                )
            }
            (None, Some(delete)) => write!(f, "Delete the account {}", delete.sentence()),
            (None, None) => Ok(()),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyParts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspend: Option<Window>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delete: Option<Window>,
}

impl TryFrom<PolicyParts> for Policy {
    type Error = PolicyProblem;

    fn try_from(parts: PolicyParts) -> Result<Self, PolicyProblem> {
        Self::new(parts.suspend, parts.delete)
    }
}

impl From<Policy> for PolicyParts {
    fn from(policy: Policy) -> Self {
        Self {
            suspend: policy.suspend,
            delete: policy.delete,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    #[error("nothing is chosen; choose when to suspend the account, when to delete it, or both")]
    NoStep,
    #[error(
        "delete must be later than suspend, and {delete} is not later than {suspend}; choose a longer time for delete, or suspend sooner"
    )]
    DeleteNotLater { suspend: Window, delete: Window },
    #[error("{0:?} is not a time; choose 24h, 1d, 7d or 21d")]
    UnknownWindow(String),
}

impl PolicyProblem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoStep => "no-step",
            Self::DeleteNotLater { .. } => "delete-not-later",
            Self::UnknownWindow(_) => "unknown-window",
        }
    }

    /// The part of the policy that has to change; empty for the policy as a whole.
    pub fn part(&self) -> &'static str {
        match self {
            Self::DeleteNotLater { .. } => "delete",
            _ => "",
        }
    }
}

/// The three triggers (S6.1), each with its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeprovisioningPolicies {
    #[serde(default = "Policy::suspend_within_24_hours")]
    pub app_turned_off: Policy,
    #[serde(default = "Policy::suspend_within_24_hours")]
    pub suspended: Policy,
    #[serde(default = "Policy::suspend_within_24_hours")]
    pub deleted: Policy,
}

impl Default for DeprovisioningPolicies {
    fn default() -> Self {
        let policy = Policy::suspend_within_24_hours();
        Self {
            app_turned_off: policy,
            suspended: policy,
            deleted: policy,
        }
    }
}

impl DeprovisioningPolicies {
    pub fn of(&self, trigger: Trigger) -> Policy {
        match trigger {
            Trigger::AppTurnedOff => self.app_turned_off,
            Trigger::Suspended => self.suspended,
            Trigger::Deleted => self.deleted,
        }
    }

    pub fn set(&mut self, trigger: Trigger, policy: Policy) {
        match trigger {
            Trigger::AppTurnedOff => self.app_turned_off = policy,
            Trigger::Suspended => self.suspended = policy,
            Trigger::Deleted => self.deleted = policy,
        }
    }
}

/// What ends an account's life (H): each has its own clock and policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Org unit, group, domain or scope no longer include the person.
    AppTurnedOff,
    /// Suspended in Google.
    Suspended,
    /// Deleted from Google.
    Deleted,
}

impl Trigger {
    pub const ALL: [Self; 3] = [Self::AppTurnedOff, Self::Suspended, Self::Deleted];

    /// The key in the configuration file and in `queue --json`.
    pub fn key(self) -> &'static str {
        match self {
            Self::AppTurnedOff => "app_turned_off",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.key() == key)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AppTurnedOff => "App turned off",
            Self::Suspended => "Suspended in Google",
            Self::Deleted => "Deleted from Google",
        })
    }
}

/// The two ways to take an account away. Suspend comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Suspend,
    Delete,
}

impl Step {
    pub fn key(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Delete => "delete",
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        [Self::Suspend, Self::Delete]
            .into_iter()
            .find(|step| step.key() == key)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suspend => "Suspend",
            Self::Delete => "Delete",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const H24: Window = Window::WITHIN_24_HOURS;
    const D1: Window = Window::ONE_DAY;
    const D7: Window = Window::SEVEN_DAYS;

    #[test]
    fn windows_are_ordered_as_listed_and_round_trip() {
        assert!(H24 < D1 && D1 < D7 && D7 < Window::TWENTY_ONE_DAYS);
        for window in Window::USUAL {
            assert_eq!(window.to_string().parse(), Ok(window));
        }
        assert_eq!(H24.delay(), TimeDelta::zero());
        assert_eq!(D7.delay(), TimeDelta::hours(7 * 24));
        for bad in [
            "", "0d", "1", "48h", "d", "-1d", "+1d", "01d", "1 d", "366d", "7D",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_policy_has_a_step_and_deletes_strictly_later_than_it_suspends() {
        assert!(Policy::new(Some(H24), Some(D1)).is_ok());
        assert!(Policy::new(Some(D7), None).is_ok());
        assert!(Policy::new(None, Some(H24)).is_ok());
        assert_eq!(Policy::new(None, None), Err(PolicyProblem::NoStep));
        for (suspend, delete) in [(D7, D7), (D7, D1), (H24, H24)] {
            assert_eq!(
                Policy::new(Some(suspend), Some(delete)),
                Err(PolicyProblem::DeleteNotLater { suspend, delete })
            );
        }
    }

    #[test]
    fn a_wrong_policy_cannot_come_in_through_json() {
        for wrong in [
            json!({}),
            json!({"suspend": "7d", "delete": "1d"}),
            json!({"suspend": "2 weeks"}),
            json!({"suspend": "24h", "remove": "7d"}),
        ] {
            assert!(
                serde_json::from_value::<Policy>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
        let policy = Policy::new(Some(H24), Some(D7)).unwrap();
        assert_eq!(
            serde_json::to_value(policy).unwrap(),
            json!({"suspend": "24h", "delete": "7d"})
        );
    }
}
