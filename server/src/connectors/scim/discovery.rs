//! What an app tells of itself. Much of it may be missing.

use serde_json::Value;

use super::ScimApp;
use super::error::{ScimError, ScimErrorClass};
use super::learned::{FilterWorth, UpdateStyle};
use super::request::Call;

/// The answer to "does this address and token work, and what is there?".
#[derive(Clone, Debug, PartialEq)]
pub struct AppFacts {
    /// As the app gave it; `None` where it gives none.
    pub service_provider_config: Option<Value>,
    /// How many accounts there are, where the app tells.
    pub accounts: Option<u64>,
    pub patch: Option<bool>,
    pub filter: Option<bool>,
    /// The most accounts that a filtered listing gives.
    pub max_results: Option<u64>,
    /// What is odd, in sentences.
    pub remarks: Vec<String>,
}

impl ScimApp {
    /// Reads accounts and the service provider configuration. Only the former has to work.
    pub async fn check(&self) -> Result<AppFacts, ScimError> {
        let mut remarks = Vec::new();
        let first = match self.read_some_accounts("startIndex=1&count=1", false).await {
            // Some fail on any count.
            Err(error) if matches!(error.status, Some(400 | 500..=599)) => {
                self.read_some_accounts("", true).await?
            }
            other => other?,
        };
        if first.is_none() {
            remarks.push("The app does not say how many accounts it has.".to_owned());
        }
        let config = self.optional(&["ServiceProviderConfig"]).await?;
        let config = config.filter(Value::is_object);
        let supports = |name: &str| {
            config
                .as_ref()?
                .pointer(&format!("/{name}/supported"))?
                .as_bool()
        };
        let (patch, filter) = (supports("patch"), supports("filter"));
        let max_results = config
            .as_ref()
            .and_then(|config| config.pointer("/filter/maxResults"))
            .and_then(Value::as_u64);
        if config.is_none() {
            remarks.push("The app has no ServiceProviderConfig; defaults are used.".to_owned());
        }
        if patch == Some(false) {
            remarks.push("The app changes accounts by PUT only.".to_owned());
        }
        self.learn(|learned| {
            if patch == Some(false) && learned.update.is_none() {
                learned.update = Some(UpdateStyle::Put);
            }
            if filter == Some(false) && learned.filter.is_none() {
                learned.filter = Some(FilterWorth::Unsupported);
            }
        });
        Ok(AppFacts {
            service_provider_config: config,
            accounts: first,
            patch,
            filter,
            max_results,
            remarks,
        })
    }

    /// `/Schemas` as the app gave it; `None` where it gives none.
    pub async fn raw_schemas(&self) -> Result<Option<Value>, ScimError> {
        self.optional(&["Schemas"]).await
    }

    async fn read_some_accounts(
        &self,
        query: &str,
        patient: bool,
    ) -> Result<Option<u64>, ScimError> {
        super::listing::Page::read(self, query, patient)
            .await
            .map(|page| page.total)
    }

    /// What an app need not have: missing is `None`, whatever way it says so.
    async fn optional(&self, parts: &[&str]) -> Result<Option<Value>, ScimError> {
        let call = Call::read(self, parts)?.impatient();
        match self.send_for_json(&call).await {
            Ok(json) => Ok(Some(json)),
            Err(error) => match error.class {
                ScimErrorClass::RateLimited { .. } | ScimErrorClass::Target => Err(error),
                // The token has just read accounts: it is good, and this is closed to it.
                _ => Ok(None),
            },
        }
    }
}
