//! What autoprovisioning of an app did in the last 30 days.

use super::{ApiError, terms::AppHead};
use chrono::NaiveDate;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub head: AppHead,
    /// The zone whose days these are.
    pub zone: String,
    /// Oldest first, today last.
    pub days: Vec<NaiveDate>,
    pub lanes: Vec<UsageLane>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLane {
    pub figure: UsageFigure,
    /// What finds its events in the log, as it stands in an address.
    pub filter: String,
    pub total: u32,
    /// For each of the days.
    pub by_day: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UsageFigure {
    Created,
    Updated,
    Suspended,
    Unsuspended,
    Deleted,
    Failures,
}

#[server(endpoint = "usage")]
pub async fn load_usage(slug: String) -> Result<Usage, ApiError> {
    let (_, services) = super::signed_in()?;
    let zone = super::preferences::zone_of_reader();
    super::answer(services.autoprovisioning.usage(&slug, &zone).await)
}
