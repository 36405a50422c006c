//! Creating, changing and removing accounts.

use http::{Method, StatusCode};
use provisioning::identity::{Account, AccountId};
use provisioning::mapping::{
    FieldChange, MappingRow, patch_operations, patch_value_style, replace_body,
};
use serde_json::Value;

use super::error::{ScimError, ScimErrorClass};
use super::learned::UpdateStyle;
use super::request::Call;
use super::{ScimApp, account_of};

/// What to change of an account.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The mapped attributes as they are to be.
    pub body: &'a Value,
    /// Where they differ from what the app is thought to have.
    pub changes: &'a [FieldChange],
    /// The mapping; PUT replaces its attributes and leaves the others as they were read.
    pub rows: &'a [MappingRow],
    /// Set when the account is suspended or brought back.
    pub active: Option<bool>,
    /// The account as just read, where the caller did read it.
    pub current: Option<&'a Value>,
}

impl Update<'_> {
    fn clears(&self) -> bool {
        self.changes.iter().any(|change| change.new.is_none())
    }

    /// Whether an entry of a list changes, such as the work phone.
    fn changes_entries(&self) -> bool {
        self.changes
            .iter()
            .any(|change| change.attribute.contains('['))
    }
}

/// Why another way of updating is tried.
enum Refusal {
    /// The app can't do it in this way, or says yes and does nothing.
    Style(ScimError),
    Final(ScimError),
}

impl ScimApp {
    /// Makes an account. A conflict is for the caller to resolve.
    pub async fn create(&self, body: &Value) -> Result<Account, ScimError> {
        let call = Call::new(self, Method::POST, &["Users"], Some(body))?;
        let answer = self.send(&call).await?;
        if answer.is_web_page() {
            let status = Some(answer.status.as_u16());
            let detail = "the address answered a web page, not SCIM";
            return Err(ScimError::endpoint(&call.shown, status, detail));
        }
        let account = match answer.json().map(Account::from_resource) {
            Some(Ok(account)) => account,
            // Done, it says, but not which: it has to be found.
            _ => self.find_created(&call, body, answer.status).await?,
        };
        self.remember_name(&account).await;
        Ok(account)
    }

    async fn find_created(
        &self,
        call: &Call,
        body: &Value,
        status: StatusCode,
    ) -> Result<Account, ScimError> {
        let name = body
            .get("userName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // An earlier reading of all names can't hold the new one.
        *self.app.names.lock().await = None;
        let mut found = self.find_by_user_name(name).await?;
        match (found.pop(), found.is_empty()) {
            (Some(account), true) => Ok(account),
            _ => Err(ScimError::ambiguous(
                &call.shown,
                Some(status.as_u16()),
                "the app accepted it but answered no account, and it can't be found by its user name",
            )),
        }
    }

    /// Changes an account in the way that this app understands, with one write where the way is
    /// known. `None` when the app did not answer with the account.
    pub async fn update(
        &self,
        id: &AccountId,
        update: Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let first = self.first_style(&update);
        let mut refused: Option<ScimError> = None;
        for style in std::iter::once(first).chain(first.others().iter().copied()) {
            let outcome = match style {
                UpdateStyle::PatchValue => match self.value_body(id, &update).await? {
                    Some(body) => self.patch(id, &body, &update).await,
                    // This style can't clear.
                    None => continue,
                },
                UpdateStyle::PatchPaths => {
                    let body = patch_operations(update.changes, update.body, update.current, update.active);
                    self.patch(id, &body, &update).await
                }
                UpdateStyle::Put => self.put(id, &update).await,
            };
            match outcome {
                Ok(account) => {
                    // What clearing needs says nothing about other changes.
                    if !update.clears() {
                        self.learn(|learned| learned.update = Some(style));
                    }
                    return Ok(account);
                }
                // The first refusal says most: the others were only tried because of it.
                Err(Refusal::Final(error)) => return Err(refused.unwrap_or(error)),
                Err(Refusal::Style(error)) => {
                    refused.get_or_insert(error);
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            ScimError::unsupported(&format!("PATCH /Users/{id}"), "no way of changing it works")
        }))
    }

    /// Suspends or brings back, in one write with whatever changed besides.
    pub async fn set_active(
        &self,
        id: &AccountId,
        active: bool,
        also: Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let active = Some(active);
        self.update(id, Update { active, ..also }).await
    }

    /// Removes an account; one that is gone already is a success.
    pub async fn delete(&self, id: &AccountId) -> Result<(), ScimError> {
        let call = Call::new(self, Method::DELETE, &["Users", id.as_str()], None)?;
        match self.send(&call).await {
            Ok(answer) if answer.is_web_page() => Err(ScimError::endpoint(
                &call.shown,
                Some(answer.status.as_u16()),
                "the address answered a web page, not SCIM",
            )),
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn first_style(&self, update: &Update<'_>) -> UpdateStyle {
        let settings = &self.app.settings;
        match self.learned().update.unwrap_or(settings.update) {
            UpdateStyle::Put => UpdateStyle::Put,
            _ if update.clears() && settings.clear_needs_put => UpdateStyle::Put,
            UpdateStyle::PatchValue if update.clears() => UpdateStyle::PatchPaths,
            style => style,
        }
    }

    /// The body of the value style. It replaces lists as a whole, so the entries that are not
    /// ours have to be known.
    async fn value_body(
        &self,
        id: &AccountId,
        update: &Update<'_>,
    ) -> Result<Option<Value>, ScimError> {
        if update.clears() {
            return Ok(None);
        }
        let read = match update.current {
            None if update.changes_entries() => Some(self.read_account(id).await?.resource),
            _ => None,
        };
        let current = update.current.or(read.as_ref());
        let (changes, body) = (update.changes, update.body);
        Ok(patch_value_style(changes, body, current, update.active))
    }

    /// The account, which has to be there.
    async fn read_account(&self, id: &AccountId) -> Result<Account, ScimError> {
        let call = Call::read(self, &["Users", id.as_str()])?;
        let json = self.send_for_json(&call).await?;
        account_of(&call.shown, json)
    }

    async fn patch(
        &self,
        id: &AccountId,
        body: &Value,
        update: &Update<'_>,
    ) -> Result<Option<Account>, Refusal> {
        let parts = ["Users", id.as_str()];
        let call = Call::new(self, Method::PATCH, &parts, Some(body)).map_err(Refusal::Final)?;
        match self.send(&call).await {
            Ok(answer) if answer.is_web_page() => {
                let status = Some(answer.status.as_u16());
                let detail = "the address answered a web page, not SCIM";
                Err(Refusal::Style(ScimError::endpoint(
                    &call.shown,
                    status,
                    detail,
                )))
            }
            Ok(answer) => self.effect(id, &call.shown, answer.json(), update).await,
            Err(error) if error.is_not_found() => {
                // Gone, or a server without PATCH: a read tells.
                match self.get(id).await {
                    Ok(None) => Err(Refusal::Final(error)),
                    Ok(Some(_)) => Err(Refusal::Style(error)),
                    Err(other) => Err(Refusal::Final(other)),
                }
            }
            Err(error) if self.is_about_style(&error, update) => Err(Refusal::Style(error)),
            Err(error) => Err(Refusal::Final(error)),
        }
    }

    async fn put(&self, id: &AccountId, update: &Update<'_>) -> Result<Option<Account>, Refusal> {
        let parts = ["Users", id.as_str()];
        let current = self.read_account(id).await.map_err(Refusal::Final)?;
        let (rows, changes) = (update.rows, update.changes);
        let body = replace_body(&current.resource, update.body, rows, changes, update.active);
        let call = Call::new(self, Method::PUT, &parts, Some(&body)).map_err(Refusal::Final)?;
        match self.send(&call).await {
            Ok(answer) if answer.is_web_page() => {
                let status = Some(answer.status.as_u16());
                let detail = "the address answered a web page, not SCIM";
                Err(Refusal::Final(ScimError::endpoint(
                    &call.shown,
                    status,
                    detail,
                )))
            }
            Ok(answer) => self.effect(id, &call.shown, answer.json(), update).await,
            // It was there a moment ago, so this is a server without PUT.
            Err(error) if error.is_not_found() => {
                let detail = "it knows the account, but not this way of changing it";
                Err(Refusal::Style(ScimError::unsupported(&call.shown, detail)))
            }
            Err(error) => match error.class {
                ScimErrorClass::Unsupported => Err(Refusal::Style(error)),
                _ => Err(Refusal::Final(error)),
            },
        }
    }

    /// Takes the answered account, if there is one, and looks whether it really is suspended or
    /// active as it should be: that it says yes and does nothing matters most there.
    async fn effect(
        &self,
        id: &AccountId,
        shown: &str,
        answered: Option<Value>,
        update: &Update<'_>,
    ) -> Result<Option<Account>, Refusal> {
        let Some(Ok(account)) = answered.map(Account::from_resource) else {
            return Ok(None);
        };
        let Some(wanted) = update.active else {
            return Ok(Some(account));
        };
        let differs = |account: &Account| account.active.is_some_and(|is| is != wanted);
        if !differs(&account) {
            return Ok(Some(account));
        }
        // The answer may show how it was before: a read decides.
        let read = self.get(id).await.map_err(Refusal::Final)?;
        match read {
            Some(account) if differs(&account) => {
                let state = if wanted { "inactive" } else { "active" };
                let detail = format!("it says yes, but the account stays {state}");
                Err(Refusal::Style(ScimError::unsupported(shown, &detail)))
            }
            other => Ok(other),
        }
    }

    /// Whether an error says "not in this way" and not "not this value".
    fn is_about_style(&self, error: &ScimError, update: &Update<'_>) -> bool {
        let bracketed = update.changes_entries();
        let unproven = self.learned().update.is_none();
        match error.class {
            ScimErrorClass::Unsupported => true,
            ScimErrorClass::Endpoint => error.status == Some(404),
            ScimErrorClass::Rejected => match error.scim_type.as_deref() {
                Some("invalidSyntax" | "invalidPath" | "noTarget" | "invalidFilter") => true,
                Some(_) => false,
                None => unproven || bracketed,
            },
            ScimErrorClass::Transient { .. } => {
                error.status == Some(500) && (unproven || bracketed)
            }
            _ => false,
        }
    }
}
