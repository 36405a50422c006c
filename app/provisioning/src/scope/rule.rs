use serde::{Deserialize, Serialize};

/// The rules by which a person is judged, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Active, suspended, archived, deleted or unknown in Google.
    DirectoryState,
    Guest,
    /// Whether the app is on for the person: org unit, or group on top.
    Access,
    /// The groups of the provisioning scope.
    Group,
    Domain,
    Mapping,
    Match,
    Link,
    /// A cause to end the account: clocks and due steps.
    Trigger,
    Protected,
    /// An earlier failure that waits.
    Failure,
    NextStep,
}

impl Rule {
    pub const ALL: [Self; 12] = [
        Self::DirectoryState,
        Self::Guest,
        Self::Access,
        Self::Group,
        Self::Domain,
        Self::Mapping,
        Self::Match,
        Self::Link,
        Self::Trigger,
        Self::Protected,
        Self::Failure,
        Self::NextStep,
    ];

    /// As in `explain --json` and in stored rows.
    pub fn key(self) -> &'static str {
        match self {
            Self::DirectoryState => "directory_state",
            Self::Guest => "guest",
            Self::Access => "access",
            Self::Group => "group",
            Self::Domain => "domain",
            Self::Mapping => "mapping",
            Self::Match => "match",
            Self::Link => "link",
            Self::Trigger => "trigger",
            Self::Protected => "protected",
            Self::Failure => "failure",
            Self::NextStep => "next_step",
        }
    }

    /// Whether the rule looks only at the person and at what is the same for everybody, so that its
    /// word does not change by itself.
    pub fn rests(self) -> bool {
        match self {
            Self::DirectoryState
            | Self::Guest
            | Self::Access
            | Self::Group
            | Self::Domain
            | Self::Mapping => true,
            Self::Match
            | Self::Link
            | Self::Trigger
            | Self::Protected
            | Self::Failure
            | Self::NextStep => false,
        }
    }

    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.key() == key)
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::DirectoryState => "Directory state",
            Self::Guest => "Guest",
            Self::Access => "User access",
            Self::Group => "Group",
            Self::Domain => "Domain",
            Self::Mapping => "Mapping",
            Self::Match => "Match",
            Self::Link => "Link",
            Self::Trigger => "Deprovisioning",
            Self::Protected => "Protected",
            Self::Failure => "Earlier failure",
            Self::NextStep => "Next step",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    Fail,
    Info,
}

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleResult {
    pub rule: Rule,
    pub result: Verdict,
    pub detail: String,
}

impl RuleResult {
    pub fn pass(rule: Rule, detail: impl Into<String>) -> Self {
        Self {
            rule,
            result: Verdict::Pass,
            detail: detail.into(),
        }
    }

    pub fn fail(rule: Rule, detail: impl Into<String>) -> Self {
        Self {
            rule,
            result: Verdict::Fail,
            detail: detail.into(),
        }
    }

    pub fn info(rule: Rule, detail: impl Into<String>) -> Self {
        Self {
            rule,
            result: Verdict::Info,
            detail: detail.into(),
        }
    }
}
