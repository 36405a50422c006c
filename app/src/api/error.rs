//! The one error that crosses the wire.
//!
//! A form that is posted without WebAssembly gets its error back in the address bar, so an
//! error holds codes, field names and short harmless arguments, never what was typed.

use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// Why something was refused, as a kebab-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Nobody is signed in.
    Unauthenticated,
    /// Signed in, but the role may only read.
    Forbidden,
    NotFound,
    /// Somebody else changed the same thing meanwhile.
    Conflict,
    /// The fields say which.
    Invalid,
    /// The request could not be read at all.
    BadRequest,
    WrongCredentials,
    /// The second factor was wrong, or was used before.
    WrongCode,
    /// What the passkey signed proves nothing.
    PasskeyRefused,
    /// The browser made or used no passkey: somebody thought better of it, or it can't.
    PasskeyUnused,
    /// Argument: the address at which passkeys work.
    PasskeysElsewhere,
    /// The console is reached without TLS, or by an address that has no name.
    PasskeysImpossible,
    TooManyPasskeys,
    /// The last confirmation of who it is was too long ago (S13).
    ConfirmFirst,
    /// Super administrators may not go without a second factor.
    SecondFactorNeeded,
    /// One's own role and access are another's to change.
    NotYourself,
    /// Nobody could change anything any more.
    LastSuperAdministrator,
    /// Argument: seconds until the next try.
    TooManyAttempts,
    LinkInvalid,
    LinkExpired,
    LinkUsed,
    DirectoryNotConnected,
    DirectoryNotRead,
    DirectoryChanged,
    DirectoryUnreachable,
    DirectoryRefused,
    ImportRunning,
    SignInMissing,
    NotConfigured,
    /// A wizard step before this one is not finished. Argument: the step.
    StepMissing,
    AlreadyOn,
    AlreadyOff,
    RunActive,
    RunNotActive,
    PlanOutdated,
    TokenMissing,
    TokenRefused,
    AppUnreachable,
    /// The app answered something that is not SCIM. Argument: what it looked like.
    AppAnsweredOddly,
    AppThrottled,
    TargetNotAllowed,
    DemoOnly,
    Unavailable,
    Internal,
}

impl ErrorCode {
    /// The HTTP status that says the same.
    #[must_use]
    pub fn status(self) -> u16 {
        use ErrorCode as C;
        match self {
            C::Unauthenticated | C::WrongCredentials | C::WrongCode | C::PasskeyRefused => 401,
            C::Forbidden | C::ConfirmFirst => 403,
            C::NotFound | C::DemoOnly | C::LinkInvalid => 404,
            C::Conflict
            | C::SecondFactorNeeded
            | C::PasskeyUnused
            | C::PasskeysElsewhere
            | C::PasskeysImpossible
            | C::TooManyPasskeys
            | C::NotYourself
            | C::LastSuperAdministrator
            | C::LinkExpired
            | C::LinkUsed
            | C::DirectoryNotConnected
            | C::DirectoryNotRead
            | C::DirectoryChanged
            | C::ImportRunning
            | C::SignInMissing
            | C::NotConfigured
            | C::StepMissing
            | C::AlreadyOn
            | C::AlreadyOff
            | C::RunActive
            | C::RunNotActive
            | C::PlanOutdated
            | C::TokenMissing => 409,
            C::Invalid
            | C::TokenRefused
            | C::TargetNotAllowed
            | C::DirectoryRefused
            | C::AppAnsweredOddly => 422,
            C::BadRequest => 400,
            C::TooManyAttempts => 429,
            C::Unavailable | C::DirectoryUnreachable | C::AppUnreachable | C::AppThrottled => 503,
            C::Internal => 500,
        }
    }
}

/// What is wrong with one field, as a kebab-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldCode {
    Required,
    /// Argument: the longest length allowed.
    TooLong,
    /// Argument: the shortest length allowed.
    TooShort,
    NotAnEmail,
    NotAUrl,
    NotHttps,
    TargetNotAllowed,
    NotJson,
    NotAServiceAccountKey,
    KeyUnreadable,
    NotMetadata,
    CertificateExpired,
    PasswordTooCommon,
    PasswordsDiffer,
    /// The current password was not the right one.
    PasswordWrong,
    CodeWrong,
    Taken,
    Unknown,
    MandatoryUnmapped,
    SourceUnknown,
    ExpressionInvalid,
    DefaultMissing,
    ConstantMissing,
    MappedTwice,
    WindowUnknown,
    NothingChosen,
    /// No line of a list was ticked.
    NothingTicked,
    DeleteNotAfterSuspend,
    GroupUnknown,
    GroupAmbiguous,
    GroupTwice,
    /// A list is as long as the console lets it become.
    TooMany,
    EveryoneUnconfirmed,
    /// Events are removed for good, and nobody said yes to that.
    PruningUnconfirmed,
    /// Putting a version back has consequences, and nobody said yes to them.
    RestoringUnconfirmed,
    /// Mail servers that are not on this machine are spoken to with TLS only.
    TlsNeeded,
    OrgUnitUnknown,
    TokenRefused,
    OutOfRange,
    Invalid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// The name of the form's control, such as `email` or `rows[3][source]`.
    pub field: String,
    pub code: FieldCode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    pub code: ErrorCode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldError>,
    /// Short and harmless: a number of seconds, a status, the name of a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

impl ApiError {
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            fields: Vec::new(),
            args: Vec::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, arg: impl ToString) -> Self {
        self.args.push(arg.to_string());
        self
    }

    /// One field is wrong.
    #[must_use]
    pub fn field(field: impl Into<String>, code: FieldCode) -> Self {
        Self::new(ErrorCode::Invalid).and_field(field, code)
    }

    #[must_use]
    pub fn and_field(mut self, field: impl Into<String>, code: FieldCode) -> Self {
        self.fields.push(FieldError {
            field: field.into(),
            code,
            args: Vec::new(),
        });
        self
    }

    /// `Err` when a field was found wrong.
    pub fn into_result(self) -> Result<(), Self> {
        if self.fields.is_empty() {
            Ok(())
        } else {
            Err(self)
        }
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound)
    }

    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::Internal)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::words::error(self).title)
    }
}

impl std::error::Error for ApiError {}

impl FromServerFnError for ApiError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(value: ServerFnErrorErr) -> Self {
        let code = match value {
            // Nothing of the text is kept: it may quote what was typed.
            ServerFnErrorErr::Args(_)
            | ServerFnErrorErr::MissingArg(_)
            | ServerFnErrorErr::UnsupportedRequestMethod(_) => ErrorCode::BadRequest,
            // Of the body: too large, or cut off.
            #[cfg(feature = "ssr")]
            ServerFnErrorErr::Deserialization(_) => ErrorCode::BadRequest,
            ServerFnErrorErr::Request(_) => ErrorCode::Unavailable,
            _ => ErrorCode::Internal,
        };
        let error = Self::new(code);
        #[cfg(feature = "ssr")]
        super::set_status(&error);
        error
    }
}
