//! The app's accounts.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::error::ScimError;
use super::patch;
use super::quirks::Quirks;
use super::schema::{self, Content, ENTERPRISE, USER};

/// An account of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: String,
    pub user_name: String,
    pub active: bool,
    /// Name, e-mails, title, extension and whatever else the app keeps.
    pub attributes: Map<String, Value>,
    pub created: DateTime<Utc>,
    pub changed: DateTime<Utc>,
    /// How often it was written, the creation included.
    pub writes: u64,
}

impl Account {
    /// `name.formatted`.
    pub fn name(&self) -> Option<&str> {
        self.attributes.get("name")?.get("formatted")?.as_str()
    }

    /// `title`.
    pub fn title(&self) -> Option<&str> {
        self.attributes.get("title")?.as_str()
    }

    /// An attribute of the enterprise extension.
    pub fn enterprise(&self, name: &str) -> Option<&Value> {
        self.attributes.get(ENTERPRISE)?.get(name)
    }

    /// Its address, given that of the service.
    pub fn location(&self, base: &str) -> String {
        let id =
            percent_encoding::utf8_percent_encode(&self.id, percent_encoding::NON_ALPHANUMERIC);
        format!("{base}/Users/{id}")
    }

    /// The account as a SCIM resource.
    pub fn resource(&self, base: &str) -> Value {
        let mut document = self.document();
        let mut schemas = vec![USER];
        if self.attributes.contains_key(ENTERPRISE) {
            schemas.push(ENTERPRISE);
        }
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        document.insert("schemas".to_owned(), json!(schemas));
        document.insert("id".to_owned(), self.id.as_str().into());
        document.insert(
            "meta".to_owned(),
            json!({
                "resourceType": "User",
                "created": time(self.created),
                "lastModified": time(self.changed),
                "location": self.location(base),
            }),
        );
        document.into()
    }

    /// The part that can be written.
    fn document(&self) -> Map<String, Value> {
        let mut document = self.attributes.clone();
        document.insert("userName".to_owned(), self.user_name.as_str().into());
        document.insert("active".to_owned(), self.active.into());
        document
    }
}

fn manager_of(attributes: &Map<String, Value>) -> Option<&str> {
    let extension = attributes.get(ENTERPRISE)?;
    extension.get("manager")?.get("value")?.as_str()
}

/// All accounts of the app.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Accounts {
    next_id: u64,
    by_id: BTreeMap<u64, Account>,
    /// Keys by lower-case userName.
    #[serde(skip)]
    names: HashMap<String, u64>,
    /// Keys by the id that the app shows.
    #[serde(skip)]
    ids: HashMap<String, u64>,
}

impl Accounts {
    /// None yet; ids are numbers from `first_id` on.
    pub fn starting_at(first_id: u64) -> Self {
        Self {
            next_id: first_id,
            ..Self::default()
        }
    }

    /// Fills the indexes after the accounts were read from a file.
    pub fn index(&mut self) {
        self.names.clear();
        self.ids.clear();
        for (key, account) in &self.by_id {
            self.names.insert(account.user_name.to_lowercase(), *key);
            self.ids.insert(account.id.clone(), *key);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Account> {
        self.by_id.values()
    }

    /// The account with this id.
    pub fn get(&self, id: &str) -> Option<&Account> {
        self.by_id.get(self.ids.get(id)?)
    }

    /// The account with this userName, without case.
    pub fn by_name(&self, user_name: &str) -> Option<&Account> {
        self.by_id.get(self.names.get(&user_name.to_lowercase())?)
    }

    /// Removes an account; false when there is none.
    pub fn remove_by_name(&mut self, user_name: &str) -> bool {
        match self.names.get(&user_name.to_lowercase()).copied() {
            Some(key) => self.remove(key),
            None => false,
        }
    }

    /// Changes what is not indexed of an account; false when there is none.
    pub fn change_by_name(&mut self, user_name: &str, change: impl FnOnce(&mut Account)) -> bool {
        let key = self.names.get(&user_name.to_lowercase());
        match key.and_then(|key| self.by_id.get_mut(key)) {
            Some(account) => {
                change(account);
                true
            }
            None => false,
        }
    }

    fn remove(&mut self, key: u64) -> bool {
        let Some(account) = self.by_id.remove(&key) else {
            return false;
        };
        self.names.remove(&account.user_name.to_lowercase());
        self.ids.remove(&account.id);
        true
    }

    fn key(&self, id: &str) -> Result<u64, ScimError> {
        self.ids
            .get(id)
            .copied()
            .ok_or_else(|| ScimError::no_such(id))
    }

    fn check(
        &self,
        content: &Content,
        own: Option<u64>,
        quirks: &Quirks,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<(), ScimError> {
        let is_address = content
            .user_name
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
        if !is_address {
            return Err(ScimError::bad_request(
                "invalidValue",
                "userName must be an email address",
            ));
        }
        if !quirks.any_domain && !is_known(&content.user_name) {
            return Err(ScimError::bad_request(
                "invalidValue",
                "userName must be in a domain of the organization",
            ));
        }
        match self.names.get(&content.user_name.to_lowercase()) {
            Some(key) if Some(*key) != own => {
                return Err(ScimError::taken(
                    &content.user_name,
                    !quirks.conflict_without_type,
                ));
            }
            _ => {}
        }
        // One that was named before may have been deleted since; that is no reason to refuse the rest.
        let named = own.and_then(|key| manager_of(&self.by_id.get(&key)?.attributes));
        let manager = manager_of(&content.attributes);
        if let Some(manager) = manager
            && named != Some(manager)
            && !self.ids.contains_key(manager)
        {
            return Err(ScimError::bad_request(
                "invalidValue",
                "manager.value is not the id of a user",
            ));
        }
        Ok(())
    }

    /// `POST`.
    pub fn create(
        &mut self,
        document: Map<String, Value>,
        quirks: &Quirks,
        is_known: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) -> Result<&Account, ScimError> {
        let content = schema::read(document, quirks)?;
        self.check(&content, None, quirks, is_known)?;
        if quirks.seats.is_some_and(|seats| self.len() >= seats) {
            return Err(ScimError::status(403, "All seats of your plan are taken"));
        }
        let key = self.next_id;
        self.next_id += 1;
        let id = if quirks.name_is_id {
            content.user_name.clone()
        } else {
            key.to_string()
        };
        self.names.insert(content.user_name.to_lowercase(), key);
        self.ids.insert(id.clone(), key);
        let account = Account {
            id,
            user_name: content.user_name,
            active: content.active,
            attributes: content.attributes,
            created: now,
            changed: now,
            writes: 1,
        };
        Ok(self.by_id.entry(key).insert_entry(account).into_mut())
    }

    /// `PUT`.
    pub fn replace(
        &mut self,
        id: &str,
        document: Map<String, Value>,
        quirks: &Quirks,
        is_known: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) -> Result<&Account, ScimError> {
        let key = self.key(id)?;
        let mut content = schema::read(document, quirks)?;
        self.check(&content, Some(key), quirks, is_known)?;
        if quirks.put_keeps_active {
            content.active = self.is_active(key);
        }
        self.put(key, id, content, quirks, now)
    }

    /// `PATCH`.
    pub fn patch(
        &mut self,
        id: &str,
        operations: &Map<String, Value>,
        quirks: &Quirks,
        is_known: impl Fn(&str) -> bool,
        now: DateTime<Utc>,
    ) -> Result<&Account, ScimError> {
        let key = self.key(id)?;
        let mut document = self
            .by_id
            .get(&key)
            .ok_or_else(|| ScimError::no_such(id))?
            .document();
        patch::apply(&mut document, operations, quirks)?;
        let mut content = schema::read(document, quirks)?;
        self.check(&content, Some(key), quirks, is_known)?;
        if quirks.patch_keeps_active {
            content.active = self.is_active(key);
        }
        self.put(key, id, content, quirks, now)
    }

    fn is_active(&self, key: u64) -> bool {
        self.by_id.get(&key).is_some_and(|account| account.active)
    }

    fn put(
        &mut self,
        key: u64,
        id: &str,
        content: Content,
        quirks: &Quirks,
        now: DateTime<Utc>,
    ) -> Result<&Account, ScimError> {
        let account = self
            .by_id
            .get_mut(&key)
            .ok_or_else(|| ScimError::no_such(id))?;
        self.names.remove(&account.user_name.to_lowercase());
        self.names.insert(content.user_name.to_lowercase(), key);
        if quirks.name_is_id {
            self.ids.remove(&account.id);
            account.id.clone_from(&content.user_name);
            self.ids.insert(account.id.clone(), key);
        }
        account.user_name = content.user_name;
        account.active = content.active && (account.active || !quirks.no_reactivation);
        account.attributes = content.attributes;
        account.changed = now;
        account.writes += 1;
        Ok(account)
    }

    /// `DELETE`.
    pub fn delete(
        &mut self,
        id: &str,
        quirks: &Quirks,
        now: DateTime<Utc>,
    ) -> Result<(), ScimError> {
        let key = self.key(id)?;
        if quirks.delete_deactivates {
            if quirks.second_delete_fails && !self.is_active(key) {
                return Err(ScimError::status(500, "It was deleted before"));
            }
            if let Some(account) = self.by_id.get_mut(&key) {
                account.active = false;
                account.changed = now;
                account.writes += 1;
            }
        } else {
            self.remove(key);
        }
        Ok(())
    }
}
