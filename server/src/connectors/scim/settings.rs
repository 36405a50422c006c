//! How one app is reached.

use std::num::{NonZeroU32, NonZeroUsize};

use provisioning::catalog::{self, Quirks, ReadOnly};
use secrecy::SecretString;
use url::Url;

use super::learned::{Learned, UpdateStyle};

/// What an app is asked at most. `None` is no limit of requests a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScimLimits {
    pub requests_per_minute: Option<NonZeroU32>,
    pub read_concurrency: NonZeroUsize,
    pub write_concurrency: NonZeroUsize,
}

impl ScimLimits {
    /// Zeros become "no limit" for the rate and one for concurrency.
    pub fn of(requests_per_minute: u32, read_concurrency: u32, write_concurrency: u32) -> Self {
        let at_least_one = |value: u32| {
            NonZeroUsize::new(usize::try_from(value).unwrap_or(usize::MAX))
                .unwrap_or(NonZeroUsize::MIN)
        };
        Self {
            requests_per_minute: NonZeroU32::new(requests_per_minute),
            read_concurrency: at_least_one(read_concurrency),
            write_concurrency: at_least_one(write_concurrency),
        }
    }
}

impl From<catalog::Limits> for ScimLimits {
    fn from(limits: catalog::Limits) -> Self {
        Self::of(
            limits.requests_per_minute,
            limits.read_concurrency,
            limits.write_concurrency,
        )
    }
}

#[derive(Clone, Debug)]
pub struct ScimSettings {
    /// The base address, to which `/Users` is added.
    pub endpoint: Url,
    pub token: SecretString,
    pub limits: ScimLimits,
    /// How the catalogue says that accounts are changed.
    pub update: UpdateStyle,
    /// Whether PATCH can't clear a value.
    pub clear_needs_put: bool,
    /// The largest page worth asking for.
    pub page_size: u32,
    /// Whether DELETE is known to leave an inactive account behind.
    pub delete_deactivates: bool,
    /// Words in a refusal that speak of seats and licences, in lower case.
    pub seat_words: Vec<String>,
    /// What the app says that clients can't write.
    pub read_only: ReadOnly,
    pub learned: Learned,
}

impl ScimSettings {
    pub fn new(endpoint: Url, token: SecretString, limits: ScimLimits) -> Self {
        Self {
            endpoint,
            token,
            limits,
            update: UpdateStyle::default(),
            clear_needs_put: false,
            page_size: 1000,
            delete_deactivates: false,
            seat_words: Quirks::default_seat_words(),
            read_only: ReadOnly::default(),
            learned: Learned::default(),
        }
    }

    /// What the catalogue knows of the app.
    #[must_use]
    pub fn with_quirks(mut self, quirks: &Quirks) -> Self {
        self.update = match quirks.update {
            // Paths are what most apps know; the app shows soon when it wants another style.
            catalog::UpdateStyle::Patch | catalog::UpdateStyle::Learn => UpdateStyle::PatchPaths,
            catalog::UpdateStyle::PatchValue => UpdateStyle::PatchValue,
            catalog::UpdateStyle::Put => UpdateStyle::Put,
        };
        self.clear_needs_put = quirks.clear_needs_put;
        self.page_size = quirks.page_size;
        self.delete_deactivates = quirks.delete_deactivates;
        self.seat_words = quirks
            .seat_words
            .iter()
            .map(|word| word.to_lowercase())
            .collect();
        self
    }

    #[must_use]
    pub fn leaving_away(mut self, read_only: ReadOnly) -> Self {
        self.read_only = read_only;
        self
    }

    #[must_use]
    pub fn knowing(mut self, learned: Learned) -> Self {
        self.learned = learned;
        self
    }
}
