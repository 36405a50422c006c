//! Finding one account: by id, by user name, and by everything else when a conflict says it exists.

use std::collections::HashMap;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use provisioning::identity::{Account, AccountId, same_address};
use serde_json::Value;
use tokio::time::Instant;

use super::error::{ScimError, ScimErrorClass};
use super::learned::FilterWorth;
use super::listing::Page;
use super::request::Call;
use super::{ScimApp, account_of};

/// What needs no encoding in a query value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How long a reading of all names is good for.
const NAMES_LAST: Duration = Duration::from_secs(15 * 60);

/// User names in lower case, with the ids that have them.
#[derive(Debug)]
pub(super) struct NameIndex {
    ids: HashMap<String, Vec<AccountId>>,
    /// Under which name each id is kept.
    names: HashMap<AccountId, String>,
    read_at: Instant,
}

impl NameIndex {
    fn read_at(read_at: Instant) -> Self {
        Self {
            ids: HashMap::new(),
            names: HashMap::new(),
            read_at,
        }
    }

    fn put(&mut self, id: &AccountId, user_name: &str) {
        self.remove(id);
        let name = user_name.to_lowercase();
        self.ids.entry(name.clone()).or_default().push(id.clone());
        self.names.insert(id.clone(), name);
    }

    fn remove(&mut self, id: &AccountId) {
        if let Some(name) = self.names.remove(id)
            && let Some(ids) = self.ids.get_mut(&name)
        {
            ids.retain(|known| known != id);
        }
    }
}

impl ScimApp {
    /// The account with this id, or `None` when the app says that there is none.
    pub async fn get(&self, id: &AccountId) -> Result<Option<Account>, ScimError> {
        let call = Call::read(self, &["Users", id.as_str()])?;
        match self.send_for_json(&call).await {
            Ok(json) => account_of(&call.shown, json).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Accounts whose user name is this one, compared without case. Where the app's filter can't
    /// be relied on, the listing is searched.
    pub async fn find_by_user_name(&self, user_name: &str) -> Result<Vec<Account>, ScimError> {
        let worth = self.learned().filter;
        if let Some(FilterWorth::Ignored | FilterWorth::Unsupported) = worth {
            return self.find_by_scanning(user_name).await;
        }
        match self.find_by_filter(user_name).await? {
            Filtered::Hits(hits) if hits.is_empty() && worth == Some(FilterWorth::Misses) => {
                self.find_by_scanning(user_name).await
            }
            Filtered::Hits(hits) => Ok(hits),
            Filtered::Useless => self.find_by_scanning(user_name).await,
            Filtered::Failed => {
                let hits = self.find_by_scanning(user_name).await?;
                // The listing is fine, so it is the filter and not the app that fails.
                self.learn(|learned| {
                    learned.filter.get_or_insert(FilterWorth::Unsupported);
                });
                Ok(hits)
            }
        }
    }

    async fn find_by_filter(&self, user_name: &str) -> Result<Filtered, ScimError> {
        match self.filter("userName", user_name).await? {
            Filtered::Hits(hits) if hits.is_empty() => {}
            other => return Ok(other),
        }
        // One kind of server decodes twice, so that "+" arrives as a space.
        if user_name.contains('+')
            && let Filtered::Hits(hits) = self.filter_encoded_twice(user_name).await?
            && !hits.is_empty()
        {
            return Ok(Filtered::Hits(hits));
        }
        // Others compare with case, against the standard.
        let lower = user_name.to_lowercase();
        if lower != user_name
            && let Filtered::Hits(hits) = self.filter("userName", &lower).await?
        {
            return Ok(Filtered::Hits(hits));
        }
        Ok(Filtered::Hits(Vec::new()))
    }

    /// The same, whatever was read before: for a write that may have happened meanwhile.
    pub async fn find_anew(&self, user_name: &str) -> Result<Vec<Account>, ScimError> {
        self.forget_names().await;
        self.find_by_user_name(user_name).await
    }

    /// After a 409: whoever may be in the way, looked for by name in the whole listing when the
    /// filter finds nobody, and at last by external id. What it shows of the filter is remembered,
    /// so that the next look-up finds the same.
    pub async fn find_in_the_way(
        &self,
        user_name: &str,
        external_id: Option<&str>,
    ) -> Result<Vec<Account>, ScimError> {
        // What an earlier scan did not see may have come since.
        self.forget_names().await;
        let hits = self.find_by_user_name(user_name).await?;
        if !hits.is_empty() {
            return Ok(hits);
        }
        let hits = self.find_by_scanning(user_name).await?;
        if !hits.is_empty() {
            // Unless it was made this very moment, the filter misses what is there.
            if let Filtered::Hits(again) = self.find_by_filter(user_name).await?
                && again.is_empty()
            {
                self.learn(|learned| learned.filter = Some(FilterWorth::Misses));
            }
            return Ok(hits);
        }
        if let Some(external_id) = external_id
            && let Ok(Filtered::Hits(hits)) = self.filter("externalId", external_id).await
        {
            return Ok(hits);
        }
        Ok(Vec::new())
    }

    /// The next search of the listing reads it anew: what was written meanwhile, by this process
    /// or another, may not be in what was read.
    pub async fn forget_names(&self) {
        *self.app.names.lock().await = None;
    }

    /// Reads the listing once and searches in it from then on.
    async fn find_by_scanning(&self, user_name: &str) -> Result<Vec<Account>, ScimError> {
        let ids = {
            // Held while listing, so that it is read once for all who ask.
            let mut names = self.app.names.lock().await;
            let now = self.outgoing.timer().now();
            if names
                .as_ref()
                .is_none_or(|index| now.saturating_duration_since(index.read_at) > NAMES_LAST)
            {
                let mut index = NameIndex::read_at(now);
                let mut listing = self.accounts();
                while let Some(page) = listing.next_page().await? {
                    for account in &page {
                        index.put(&account.id, &account.user_name);
                    }
                }
                *names = Some(index);
            }
            names
                .as_ref()
                .and_then(|index| index.ids.get(&user_name.to_lowercase()).cloned())
                .unwrap_or_default()
        };
        let mut hits = Vec::new();
        for id in ids {
            if let Some(account) = self.get(&id).await?
                && same_address(&account.user_name, user_name)
            {
                hits.push(account);
            }
        }
        Ok(hits)
    }

    /// Keeps the index of names true when an account is created or renamed.
    pub(super) async fn remember_name(&self, id: &AccountId, user_name: &str) {
        if let Some(index) = self.app.names.lock().await.as_mut() {
            index.put(id, user_name);
        }
    }

    /// The same when one is deleted, or goes on under another id.
    pub(super) async fn forget_name(&self, id: &AccountId) {
        if let Some(index) = self.app.names.lock().await.as_mut() {
            index.remove(id);
        }
    }

    async fn filter(&self, attribute: &str, value: &str) -> Result<Filtered, ScimError> {
        let filter = filter_of(attribute, value);
        self.filtered(
            attribute,
            value,
            &utf8_percent_encode(&filter, VALUE).to_string(),
        )
        .await
    }

    async fn filter_encoded_twice(&self, value: &str) -> Result<Filtered, ScimError> {
        let once = value.replace('+', "%2B");
        let filter = filter_of("userName", &once);
        self.filtered(
            "userName",
            value,
            &utf8_percent_encode(&filter, VALUE).to_string(),
        )
        .await
    }

    async fn filtered(
        &self,
        attribute: &str,
        value: &str,
        encoded: &str,
    ) -> Result<Filtered, ScimError> {
        let by_name = attribute == "userName";
        let page = match Page::read(self, &format!("filter={encoded}"), true).await {
            Ok(page) => page,
            // Some say "not found" where an empty list is meant.
            Err(error) if error.is_not_found() => return Ok(Filtered::Hits(Vec::new())),
            Err(error) if refuses_filter(&error) => {
                if by_name {
                    self.learn(|learned| learned.filter = Some(FilterWorth::Unsupported));
                }
                return Ok(Filtered::Useless);
            }
            Err(error) if error.status == Some(500) => return Ok(Filtered::Failed),
            Err(error) => return Err(error),
        };
        let returned = page.resources.len() as u64;
        let told = page.total.unwrap_or(returned).max(returned);
        let hits: Vec<Account> = page
            .resources
            .into_iter()
            .filter_map(|resource| Account::from_resource(resource).ok())
            .filter(|account| is_hit(account, attribute, value))
            .collect();
        // Answers that were not asked for: the filter is not looked at.
        if told > hits.len() as u64 && by_name {
            if hits.is_empty() || told > 1 + hits.len() as u64 {
                self.learn(|learned| learned.filter = Some(FilterWorth::Ignored));
            }
            if hits.is_empty() {
                return Ok(Filtered::Useless);
            }
        } else if by_name && !hits.is_empty() {
            self.learn(|learned| {
                learned.filter.get_or_insert(FilterWorth::Works);
            });
        }
        Ok(Filtered::Hits(hits))
    }
}

enum Filtered {
    Hits(Vec<Account>),
    /// The app does not filter by this.
    Useless,
    /// It fails, again and again, when asked to.
    Failed,
}

/// Whether the app does not filter like this; some word their 400 as a web page.
fn refuses_filter(error: &ScimError) -> bool {
    match error.class {
        ScimErrorClass::Rejected | ScimErrorClass::Unsupported => true,
        ScimErrorClass::Endpoint => error.status == Some(400),
        _ => false,
    }
}

/// RFC 7644, 3.4.2.2: the value is a JSON string.
fn filter_of(attribute: &str, value: &str) -> String {
    format!("{attribute} eq {}", Value::from(value))
}

fn is_hit(account: &Account, attribute: &str, value: &str) -> bool {
    match attribute {
        "userName" => same_address(&account.user_name, value),
        _ => account.resource.get(attribute).and_then(Value::as_str) == Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filter_values_are_escaped_as_json() {
        for (value, filter) in [
            ("a@b.c", r#"userName eq "a@b.c""#),
            (
                r#"x" or userName pr or "y"#,
                r#"userName eq "x\" or userName pr or \"y""#,
            ),
            (r"back\slash", r#"userName eq "back\\slash""#),
            ("new\nline", r#"userName eq "new\nline""#),
        ] {
            assert_eq!(filter_of("userName", value), filter);
        }
    }

    #[test]
    fn filters_are_percent_encoded_to_the_last_sign() {
        let filter = filter_of("userName", "a+b&c=d #é@x");
        let encoded = utf8_percent_encode(&filter, VALUE).to_string();
        assert_eq!(
            encoded,
            "userName%20eq%20%22a%2Bb%26c%3Dd%20%23%C3%A9%40x%22"
        );
    }
}
