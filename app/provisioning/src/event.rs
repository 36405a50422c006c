//! Names of the audit log's events (S10.1). Provisioning events carry Google's names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plan::OperationKind;

macro_rules! event_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What happened. Text and JSON form is the name as shown.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum EventName {
            $($(#[$doc])* $variant),+
        }

        impl EventName {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }
    };
}

event_names! {
    CreateUser = "Create User By Auto Provisioning",
    LinkUser = "Link Auto Provisioned User",
    UpdateUser = "Update Auto Provisioned User",
    SuspendUser = "Suspend Auto Provisioned User",
    UnsuspendUser = "Unsuspend Auto Provisioned User",
    DeleteUser = "Delete Auto Provisioned User",
    UnlinkUser = "Unlink Auto Provisioned User",

    FirstRunSetup = "First-run setup",
    SignIn = "Sign in",
    FailedSignIn = "Failed sign in",
    SignOut = "Sign out",
    StepUp = "Identity confirmed",
    SessionRevoked = "Session revoked",
    AdministratorAdded = "Administrator added",
    AdministratorChanged = "Administrator changed",
    AdministratorRemoved = "Administrator removed",
    SecondFactorChanged = "Second factor changed",

    DirectoryConnected = "Directory connected",
    DirectoryChanged = "Directory connection changed",
    ImportCompleted = "Import completed",
    ImportFailed = "Import failed",

    AppAdded = "App added",
    AppRemoved = "App removed",
    SsoChanged = "SSO changed",
    ConfigurationChanged = "Configuration changed",
    ConfigurationDeleted = "Configuration deleted",
    TokenChanged = "Access token changed",
    Reauthorized = "App reauthorized",
    AppStopped = "App stopped",
    AppPaused = "App paused",
    TurnedOn = "Autoprovisioning turned on",
    TurnedOff = "Autoprovisioning turned off",

    RunStarted = "Run started",
    RunFinished = "Run finished",
    RunStopped = "Run stopped",
    DriftFound = "Drift found",
    RemovalsHeld = "Removals held",
    CreatesHeld = "Creates held",
    /// This machine's clock is behind the last run's; nobody is removed.
    ClockBehind = "Clock behind",
    HoldApproved = "Hold approved",
    HoldDismissed = "Hold dismissed",
    StepCancelled = "Step cancelled",
    StepHeld = "Step held",
    StepReleased = "Step released",
    StepNow = "Step marked for now",
    MatchDecided = "Match decided",
    FailureRetried = "Failure retried",
    FailureIgnored = "Failure ignored",

    SettingsChanged = "Settings changed",
    NotificationTested = "Notification tested",
    Export = "Export",
    LogPruned = "Log pruned",
    /// Everything that is sealed is sealed with the current secret key from here on.
    SecretKeyRotated = "Secret key rotated",
    /// Only in demo mode: somebody changed the emulated directory.
    SandboxChanged = "Sandbox changed",
}

impl EventName {
    /// The event of an operation.
    pub const fn of(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Create => Self::CreateUser,
            OperationKind::Link => Self::LinkUser,
            OperationKind::Update => Self::UpdateUser,
            OperationKind::Suspend => Self::SuspendUser,
            OperationKind::Unsuspend => Self::UnsuspendUser,
            OperationKind::Delete => Self::DeleteUser,
        }
    }

    /// Whether it tells of an account in an app; the others tell of administrators and runs.
    pub const fn is_provisioning(self) -> bool {
        matches!(
            self,
            Self::CreateUser
                | Self::LinkUser
                | Self::UpdateUser
                | Self::SuspendUser
                | Self::UnsuspendUser
                | Self::DeleteUser
                | Self::UnlinkUser
        )
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no event called {0:?}")]
pub struct UnknownEvent(String);

impl FromStr for EventName {
    type Err = UnknownEvent;

    /// Case does not matter.
    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let text = text.trim();
        Self::ALL
            .iter()
            .copied()
            .find(|name| name.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownEvent(text.to_owned()))
    }
}

impl TryFrom<String> for EventName {
    type Error = UnknownEvent;

    fn try_from(text: String) -> Result<Self, UnknownEvent> {
        text.parse()
    }
}

impl From<EventName> for String {
    fn from(name: EventName) -> Self {
        name.as_str().to_owned()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    Failed,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ok" => Some(Self::Ok),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_are_unique_and_hold_googles_words() {
        for name in EventName::ALL {
            assert_eq!(name.as_str().parse(), Ok(*name));
            let json = serde_json::to_string(name).unwrap();
            assert_eq!(serde_json::from_str::<EventName>(&json).unwrap(), *name);
        }
        assert_eq!(
            "create user by auto provisioning".parse(),
            Ok(EventName::CreateUser)
        );
        assert!("Create user".parse::<EventName>().is_err());
        let googles = "Create User By Auto Provisioning, Update Auto Provisioned User, \
                       Suspend Auto Provisioned User, Unsuspend Auto Provisioned User";
        for name in googles.split(", ") {
            assert!(
                name.parse::<EventName>()
                    .is_ok_and(EventName::is_provisioning),
                "{name}"
            );
        }
    }
}
