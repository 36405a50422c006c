//! What can go wrong with the directory, each with its remedy.

use std::time::Duration;

use super::scope::Scope;
use crate::connectors::http::SendFailure;
use crate::connectors::targets::TargetRefusal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryErrorClass {
    /// A scope, an administrator's right or an API is missing.
    Permission,
    Throttled,
    /// A listing that can't be proven complete.
    Incomplete,
    /// Network trouble, or the other side is out of order.
    Unreachable,
    /// The key or the administrator is refused.
    Credentials,
    NotFound,
    /// An answer that makes no sense.
    Protocol,
}

impl DirectoryErrorClass {
    /// Whether the same may work later without anybody doing anything.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::Throttled | Self::Incomplete | Self::Unreachable)
    }
}

/// Why a listing is not proven complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incompleteness {
    #[error("an answer lacks the list of {listing}")]
    MissingList { listing: &'static str },
    #[error("the page token of page {page} was given before")]
    RepeatedToken { page: u32 },
    #[error("page {page} repeats people or groups that were already listed")]
    RepeatedPage { page: u32 },
    #[error("it does not end after {pages} pages")]
    Endless { pages: u32 },
    #[error("{pages} pages in a row are empty and say that there is more")]
    EmptyPages { pages: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error(transparent)]
    Target(#[from] TargetRefusal),

    #[error(
        "The scope {} ({}) is not granted: add it to {delegation} in the Admin console under Security > Access and data control > API controls > Domain-wide delegation.",
        scope.url(), scope.purpose()
    )]
    ScopeMissing { scope: Scope, delegation: String },

    #[error(
        "Google does not know the administrator {admin_email}: enter the primary address of a super administrator of this Workspace."
    )]
    AdministratorUnknown { admin_email: String },

    #[error(
        "This machine's clock differs from Google's by {}, so Google refuses the sign-in: set the clock (for example with NTP) and try again.",
        shown_skew(*seconds)
    )]
    ClockSkew { seconds: Option<i64> },

    #[error(
        "Google refuses the key of {client_email} ({detail}): the key or the service account was deleted or disabled, so create a new key and upload it."
    )]
    KeyRefused {
        client_email: String,
        detail: String,
    },

    #[error(
        "Google refused to sign in as {admin_email} ({detail}): check the key, the administrator and the domain-wide delegation."
    )]
    SignInRefused { admin_email: String, detail: String },

    #[error(
        "{admin_email} is not allowed to {purpose} ({detail}): name a super administrator, or give this one the right in the Admin console under Account > Admin roles."
    )]
    Forbidden {
        admin_email: String,
        purpose: &'static str,
        detail: String,
    },

    #[error(
        "The Admin SDK API is not enabled for the project of {client_email}: enable it in the Google Cloud console under APIs & Services > Library > Admin SDK API."
    )]
    ApiDisabled { client_email: String },

    #[error(
        "Google throttles the reading of {what} and did not let up after {attempts} tries: wait some minutes, or ask for a higher quota in the Google Cloud console."
    )]
    Throttled {
        what: String,
        attempts: u32,
        retry_after: Option<Duration>,
    },

    #[error("The listing of {listing} is not complete: {cause}. Nothing of it is used.")]
    Incomplete {
        listing: &'static str,
        cause: Incompleteness,
    },

    /// The page token lapsed: the listing has to be started again.
    #[error(
        "The listing of {listing} lapsed at page {page} (status {status}) and has to be started again."
    )]
    ListingExpired {
        listing: &'static str,
        page: u32,
        status: u16,
    },

    #[error("Reading {what} failed: {cause} Check the endpoint and the network.")]
    Unreachable { what: String, cause: SendFailure },

    #[error(
        "Reading {what} failed {attempts} times, at last with status {status} ({detail}): Google's side is out of order, so try again later."
    )]
    Unavailable {
        what: String,
        status: u16,
        attempts: u32,
        detail: String,
    },

    #[error("The directory has no {what}.")]
    NotFound { what: String },

    #[error("Google refused the request for {what} with status {status} ({detail}).")]
    Rejected {
        what: String,
        status: u16,
        detail: String,
    },

    #[error(
        "The answer for {what} is not one of the Directory API ({detail}): check the endpoint, which is normally https://admin.googleapis.com."
    )]
    Protocol { what: String, detail: String },
}

impl DirectoryError {
    pub fn class(&self) -> DirectoryErrorClass {
        use DirectoryErrorClass as Class;
        match self {
            Self::Target(_) => Class::Unreachable,
            Self::ScopeMissing { .. } | Self::Forbidden { .. } | Self::ApiDisabled { .. } => {
                Class::Permission
            }
            Self::AdministratorUnknown { .. }
            | Self::ClockSkew { .. }
            | Self::KeyRefused { .. }
            | Self::SignInRefused { .. } => Class::Credentials,
            Self::Throttled { .. } => Class::Throttled,
            Self::Incomplete { .. } | Self::ListingExpired { .. } => Class::Incomplete,
            Self::Unreachable { .. } | Self::Unavailable { .. } => Class::Unreachable,
            Self::NotFound { .. } => Class::NotFound,
            Self::Rejected { .. } | Self::Protocol { .. } => Class::Protocol,
        }
    }

    pub fn code(&self) -> &'static str {
        match self {
            Self::Target(refusal) => refusal.code(),
            Self::ScopeMissing { .. } => "directory-scope-missing",
            Self::AdministratorUnknown { .. } => "directory-administrator-unknown",
            Self::ClockSkew { .. } => "directory-clock-skew",
            Self::KeyRefused { .. } => "directory-key-refused",
            Self::SignInRefused { .. } => "directory-sign-in-refused",
            Self::Forbidden { .. } => "directory-forbidden",
            Self::ApiDisabled { .. } => "directory-api-disabled",
            Self::Throttled { .. } => "directory-throttled",
            Self::Incomplete { .. } => "directory-listing-incomplete",
            Self::ListingExpired { .. } => "directory-listing-expired",
            Self::Unreachable { .. } => "directory-unreachable",
            Self::Unavailable { .. } => "directory-unavailable",
            Self::NotFound { .. } => "directory-not-found",
            Self::Rejected { .. } => "directory-rejected",
            Self::Protocol { .. } => "directory-protocol",
        }
    }

    /// Whether every other scope would fail in the same way.
    pub(super) fn concerns_every_scope(&self) -> bool {
        matches!(
            self,
            Self::Target(_)
                | Self::AdministratorUnknown { .. }
                | Self::ClockSkew { .. }
                | Self::KeyRefused { .. }
                | Self::SignInRefused { .. }
                | Self::ApiDisabled { .. }
                | Self::Unreachable { .. }
                | Self::Unavailable { .. }
                | Self::Protocol { .. }
        )
    }
}

fn shown_skew(seconds: Option<i64>) -> String {
    match seconds {
        None => "too much".to_owned(),
        Some(seconds) if seconds.abs() < 120 => format!("{} seconds", seconds.abs()),
        Some(seconds) => format!("{} minutes", seconds.abs() / 60),
    }
}
