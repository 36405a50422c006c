//! What an app showed of itself, kept by the caller from run to run.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How an account is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStyle {
    /// PATCH with one operation without a path, its value holding what changes.
    #[default]
    PatchValue,
    /// PATCH with one operation for each path.
    PatchPaths,
    /// Read, replace what is mapped, PUT.
    Put,
}

impl UpdateStyle {
    /// What to try, in this order, when the app can't do this one.
    pub fn others(self) -> &'static [Self] {
        match self {
            Self::PatchValue => &[Self::PatchPaths, Self::Put],
            Self::PatchPaths => &[Self::PatchValue, Self::Put],
            Self::Put => &[Self::PatchValue, Self::PatchPaths],
        }
    }
}

/// What `filter=userName eq "…"` is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilterWorth {
    /// Found what was asked.
    Works,
    /// Finds some and misses others that are there: an empty answer proves nothing.
    Misses,
    /// Answered everybody: the listing itself has to be searched.
    Ignored,
    /// Refused.
    Unsupported,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyType {
    #[default]
    ScimJson,
    Json,
}

/// What a write has to say of the version that it changes (RFC 7644, 3.14), where an app insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IfMatch {
    /// `If-Match: *` is enough.
    Any,
    /// The very version, which is read before each write.
    Version,
}

/// What DELETE leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteEffect {
    /// The account is gone.
    Removes,
    /// The account stays, inactive, and keeps its user name.
    Deactivates,
}

/// Memory of one app. Unknown or absent members read as "not learned yet".
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Learned {
    /// Set once the app showed that another style than the catalogue's is needed.
    pub update: Option<UpdateStyle>,
    pub filter: Option<FilterWorth>,
    pub body_type: BodyType,
    /// The largest page that worked; 0 means that `count` must not be sent.
    pub page_size: Option<u32>,
    /// When that was; larger ones are tried again some time later.
    pub page_size_at: Option<DateTime<Utc>>,
    pub delete: Option<DeleteEffect>,
    pub if_match: Option<IfMatch>,
    /// Attributes that were sent and came back without a value or with another one.
    pub not_kept: BTreeSet<String>,
    /// Attributes that were changed here once: the style that changes them is found, or none does.
    pub tried: BTreeSet<String>,
    /// Names that the app refuses as such: attributes, extensions, or parts of them.
    pub refused: BTreeSet<String>,
    /// Names that it took in a body as a whole, so that a later refusal is about a value.
    pub taken: BTreeSet<String>,
}
