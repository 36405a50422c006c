//! Who is who: ids, people of the directory, accounts of an app.

mod account;
mod person;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use account::{Account, AccountProblem};
pub use person::{Person, PersonName, PersonProblem, Standing};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_id! {
    /// Google's immutable `id` of a user. Never the e-mail address.
    PersonId
}
text_id! {
    /// The app's SCIM `id` of a user (RFC 7643, 3.1). Opaque: may be a number or hold `@`.
    AccountId
}
text_id! {
    /// Google's `id` of a group.
    GroupId
}
text_id! {
    /// Google's `orgUnitId` (`id:03ph8a2z...`).
    OrgUnitId
}

/// The short name of an app in addresses, commands and the configuration file:
/// 1 to 40 lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppSlug(String);

impl AppSlug {
    pub const MAX_LENGTH: usize = 40;

    pub fn parse(text: &str) -> Result<Self, SlugProblem> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlugProblem(text.to_owned()))
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AppSlug {
    type Err = SlugProblem;

    fn from_str(text: &str) -> Result<Self, SlugProblem> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AppSlug {
    type Error = SlugProblem;

    fn try_from(text: String) -> Result<Self, SlugProblem> {
        Self::parse(&text)
    }
}

impl From<AppSlug> for String {
    fn from(slug: AppSlug) -> Self {
        slug.0
    }
}

impl fmt::Display for AppSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AppSlug {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a short name: use 1 to 40 lower-case letters, digits and hyphens")]
pub struct SlugProblem(String);

impl SlugProblem {
    pub fn code(&self) -> &'static str {
        "bad-slug"
    }
}

/// Whether two addresses or user names mean the same: compared without case.
///
/// SCIM's `userName` is `caseExact: false` (RFC 7643, 4.1.1) and Google's addresses are too.
pub fn same_address(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}

/// The domain of an address, in lower case; empty when there is none.
pub fn domain_of(address: &str) -> String {
    address
        .rsplit_once('@')
        .map(|(_, domain)| domain.to_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_hold_lower_case_letters_digits_and_hyphens_up_to_forty() {
        for good in ["asana", "a", "app-2", &"x".repeat(40)] {
            assert_eq!(AppSlug::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Asana", "a_b", "a b", "é", "../x", &"x".repeat(41)] {
            assert!(AppSlug::parse(bad).is_err(), "{bad:?}");
            assert!(serde_json::from_value::<AppSlug>(bad.into()).is_err());
        }
    }

    #[test]
    fn ids_are_plain_strings_in_json() {
        let id = PersonId::new("123");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"123\"");
    }
}
