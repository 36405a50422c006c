//! Everybody and one app: who is in scope, who is left out and by which rule, who lacks a value.

use super::{
    ApiError,
    terms::{AppHead, Paging, PersonRef},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Where somebody stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    #[default]
    LeftOut,
    InScope,
    /// By a change that is not saved yet.
    Entering,
    Leaving,
}

impl Place {
    pub const ALL: [Self; 4] = [Self::LeftOut, Self::InScope, Self::Entering, Self::Leaving];

    /// As it stands in an address.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::LeftOut => "left-out",
            Self::InScope => "in-scope",
            Self::Entering => "entering",
            Self::Leaving => "leaving",
        }
    }

    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.key() == key)
    }
}

/// What is laid against what is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compared {
    /// Nothing: how it is.
    #[default]
    Saved,
    /// The scope as drafted.
    Scope,
    /// The edit of user access.
    Access,
}

impl Compared {
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Scope => "scope",
            Self::Access => "access",
        }
    }

    #[must_use]
    pub fn parse(key: &str) -> Self {
        [Self::Scope, Self::Access]
            .into_iter()
            .find(|compared| compared.key() == key)
            .unwrap_or_default()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcernedQuery {
    #[serde(default)]
    pub place: Place,
    #[serde(default)]
    pub compared: Compared,
    /// Key of the rule that decided.
    pub rule: Option<String>,
    /// What that rule said, exactly.
    pub why: Option<String>,
    /// Letters of a name or an address.
    pub q: Option<String>,
    #[serde(default)]
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    pub head: AppHead,
    pub place: Place,
    pub compared: Compared,
    pub everybody: u32,
    pub stay: u32,
    pub enter: u32,
    pub leave: u32,
    /// Rules that decided in this place: key, name, people. Most people first.
    pub rules: Vec<(String, String, u32)>,
    pub rows: Vec<ConcernedRow>,
    pub paging: Paging,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConcernedRow {
    pub person: PersonRef,
    /// Name of the rule.
    pub rule: String,
    pub why: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LackingQuery {
    /// SCIM path.
    pub attribute: String,
    /// By the mapping that is drafted, not by the saved one.
    #[serde(default)]
    pub drafted: bool,
    pub q: Option<String>,
    #[serde(default)]
    pub page: u32,
}

/// People in scope who have no value for one row of the mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    pub head: AppHead,
    pub attribute: String,
    pub label: String,
    pub mandatory: bool,
    /// Where the value comes from, in words.
    pub source: String,
    /// What becomes of them.
    pub consequence: String,
    pub drafted: bool,
    pub in_scope: u32,
    pub lacking: u32,
    pub rows: Vec<LackingRow>,
    pub paging: Paging,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LackingRow {
    pub person: PersonRef,
    pub org_unit: String,
    /// What an expression met, or why the app would refuse the value.
    pub why: Option<String>,
}

#[server(endpoint = "concerned")]
pub async fn load_concerned(
    slug: String,
    #[server(default)] query: ConcernedQuery,
) -> Result<Concerned, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.concerned(&slug, query).await)
}

#[server(endpoint = "lacking")]
pub async fn load_lacking(
    slug: String,
    #[server(default)] query: LackingQuery,
) -> Result<Lacking, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.apps.lacking(&slug, query).await)
}
