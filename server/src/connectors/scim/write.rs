//! Creating, changing and removing accounts.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use provisioning::identity::{Account, AccountId};
use provisioning::mapping::{
    FieldChange, MappingRow, ScimPath, adds_entries, patch_operations, patch_value_style,
    replace_body,
};
use serde_json::Value;

use super::error::{ScimError, ScimErrorClass};
use super::learned::{Learned, UpdateStyle};
use super::request::Call;
use super::{ScimApp, account_of, kept, refused};

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

    /// Whether an account still shows the old of a value that was to change, where it is not known
    /// yet what the app makes of that attribute. Another value than both is the app's own way.
    fn leaves_an_old_value(&self, resource: &Value, learned: &Learned) -> bool {
        let is_old = |change: &FieldChange| {
            let held = held(change, resource);
            held.zip(change.old.as_ref())
                .is_some_and(|(held, old)| kept::same(held, old))
                && !shows(change, resource)
        };
        let is_known = |attribute: &String| {
            learned.tried.contains(attribute) || learned.not_kept.contains(attribute)
        };
        // What clearing needs says nothing about other changes.
        !self.clears()
            && self
                .changes
                .iter()
                .any(|change| !is_known(&change.attribute) && is_old(change))
    }
}

/// What an account has where a change is.
fn held<'a>(change: &FieldChange, resource: &'a Value) -> Option<&'a Value> {
    ScimPath::parse(&change.attribute).ok()?.read(resource)
}

fn shows(change: &FieldChange, resource: &Value) -> bool {
    held(change, resource)
        .zip(change.new.as_ref())
        .is_some_and(|(held, new)| kept::same(held, new))
}

/// Why another way of updating is tried.
enum Refusal {
    /// The app can't do it in this way, or says yes and does nothing.
    Style(ScimError),
    /// The app took it, but leaves a value as it was. The account is as just read.
    NoEffect(Box<Account>),
    Final(ScimError),
}

impl ScimApp {
    /// Makes an account, without what the app refuses to hear of. A conflict is for the caller to
    /// resolve.
    pub async fn create(&self, body: &Value) -> Result<Account, ScimError> {
        let mut leaner = Leaner::new(self, body);
        loop {
            match self.create_as(leaner.body()).await {
                Ok(account) => {
                    leaner.worked(self, true);
                    return Ok(account);
                }
                Err(error) => leaner.without_suspects(self, error)?,
            }
        }
    }

    async fn create_as(&self, body: &Value) -> Result<Account, ScimError> {
        let call = Call::new(self, Method::POST, &["Users"], Some(body))?;
        let answer = self.send_write(&call).await?;
        if answer.is_web_page() {
            return Err(web_page(&call, answer.status));
        }
        let answered = answer.json().map(|mut made| {
            // Some answer with no more than the id.
            if let (Some(members), Some(name)) = (made.as_object_mut(), body.get("userName"))
                && members.contains_key("id")
                && !members
                    .keys()
                    .any(|key| key.eq_ignore_ascii_case("userName"))
            {
                members.insert("userName".to_owned(), name.clone());
            }
            Account::from_resource(made)
        });
        let account = match answered {
            Some(Ok(account)) => account,
            // Done, it says, but not which: it has to be found.
            _ => self.find_created(&call, body, answer.status).await?,
        };
        self.note_kept(body, &account.resource);
        self.remember_name(&account.id, &account.user_name).await;
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
        self.forget_names().await;
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
    /// known. Gives the account back under the id that it has now; `None` when the app did not
    /// answer with it.
    pub async fn update(
        &self,
        id: &AccountId,
        update: Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let account = match self.update_without_refused(id, &update).await {
            Ok(None) if update.renames(id).is_some() => self.read_after(id, &update).await?,
            Ok(account) => account,
            // Sent before without a known answer, it may be there under its new id already.
            Err(error) if error.is_not_found() => match self.find_renamed(id, &update).await? {
                Some(account) => Some(account),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        if let Some(account) = &account {
            self.note_kept(update.body, &account.resource);
            if account.id != *id {
                self.forget_name(id).await;
            }
            self.remember_name(&account.id, &account.user_name).await;
        } else if let Some(name) = update.body.get("userName").and_then(Value::as_str) {
            self.remember_name(id, name).await;
        }
        if update.active == Some(false) {
            self.seat_was_freed();
        }
        Ok(account)
    }

    async fn update_without_refused(
        &self,
        id: &AccountId,
        update: &Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let mut leaner = Leaner::new(self, update.body);
        loop {
            let changes: Vec<FieldChange> = update
                .changes
                .iter()
                .filter(|change| !leaner.refuses(&change.attribute))
                .cloned()
                .collect();
            if changes.is_empty() && update.active.is_none() && !update.changes.is_empty() {
                // All of it is what the app does not want to hear.
                leaner.worked(self, false);
                return Ok(None);
            }
            let lean = Update {
                body: leaner.body(),
                changes: &changes,
                ..*update
            };
            match self.update_in_some_style(id, &lean).await {
                Ok(account) => {
                    leaner.worked(self, self.learned().update == Some(UpdateStyle::Put));
                    return Ok(account);
                }
                Err(error) => leaner.without_suspects(self, error)?,
            }
        }
    }

    async fn update_in_some_style(
        &self,
        id: &AccountId,
        update: &Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let first = self.first_style(update);
        let mut refused: Option<ScimError> = None;
        // The first style in which the app took it, though without effect, and the account since.
        let mut taken: Option<(UpdateStyle, Account)> = None;
        let mut cut_short = false;
        for style in std::iter::once(first).chain(first.others().iter().copied()) {
            let outcome = match style {
                UpdateStyle::PatchValue => match self.value_body(id, update).await {
                    Ok(Some(body)) => self.patch(id, &body, update).await,
                    // This style can't clear.
                    Ok(None) => continue,
                    Err(error) => Err(Refusal::Final(error)),
                },
                UpdateStyle::PatchPaths => match self.paths_body(id, update).await {
                    Ok(body) => self.patch(id, &body, update).await,
                    Err(error) => Err(Refusal::Final(error)),
                },
                UpdateStyle::Put => self.put(id, update).await,
            };
            match outcome {
                Ok(account) => {
                    // What clearing needs says nothing about other changes.
                    if !update.clears() {
                        self.learn_style(style, update, |change| {
                            let account = account.as_ref();
                            account.is_some_and(|account| shows(change, &account.resource))
                        });
                    }
                    return Ok(account);
                }
                Err(Refusal::NoEffect(account)) => {
                    let earlier = taken.map_or(style, |(earlier, _)| earlier);
                    taken = Some((earlier, *account));
                }
                Err(Refusal::Style(error)) => {
                    refused.get_or_insert(error);
                }
                Err(Refusal::Final(error)) if taken.is_none() => {
                    return Err(more_telling(refused, error));
                }
                // It was taken before: what is in the way of another style does not undo that.
                Err(Refusal::Final(error)) if error.class == ScimErrorClass::Rejected => {}
                Err(Refusal::Final(error)) => {
                    cut_short = matches!(
                        error.class,
                        ScimErrorClass::Authorization
                            | ScimErrorClass::RateLimited { .. }
                            | ScimErrorClass::Withheld
                    );
                    break;
                }
            }
        }
        if let Some((style, account)) = taken {
            // The app keeps a value as it likes, which is no failure; the next time it costs nothing.
            self.learn_style(style, update, |_| !cut_short);
            return Ok(Some(account));
        }
        Err(refused.unwrap_or_else(|| {
            ScimError::unsupported(&format!("PATCH /Users/{id}"), "no way of changing it works")
        }))
    }

    /// Remembers the style that worked, and those attributes of which more need not be found out.
    fn learn_style(
        &self,
        style: UpdateStyle,
        update: &Update<'_>,
        is_known: impl Fn(&FieldChange) -> bool,
    ) {
        let known = update.changes.iter().filter(|change| is_known(change));
        let known: Vec<String> = known.map(|change| change.attribute.clone()).collect();
        self.learn(|learned| {
            learned.update = Some(style);
            learned.tried.extend(known);
        });
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
        match self.send_write(&call).await {
            Ok(answer) if answer.is_web_page() => return Err(web_page(&call, answer.status)),
            Ok(_) => self.learn_deletion(&call, id).await?,
            Err(error) if error.is_not_found() => {}
            // Some fail the second time; what is there decides, not what they say.
            Err(error) if error.status == Some(500) => match self.get(id).await {
                Ok(None) => {}
                Ok(Some(account)) if account.active == Some(false) && self.delete_deactivates() => {
                }
                Ok(Some(_)) | Err(_) => return Err(error),
            },
            Err(error) => return Err(error),
        }
        if !self.delete_deactivates() {
            self.forget_name(id).await;
        }
        self.seat_was_freed();
        Ok(())
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

    /// The body of the style with paths. An entry that is new goes with all the others, because
    /// some apps take an addition for the whole list.
    async fn paths_body(&self, id: &AccountId, update: &Update<'_>) -> Result<Value, ScimError> {
        let (changes, body) = (update.changes, update.body);
        let read = match update.current {
            None if adds_entries(changes, body) => Some(self.read_account(id).await?.resource),
            _ => None,
        };
        let current = update.current.or(read.as_ref());
        Ok(patch_operations(changes, body, current, update.active))
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
        match self.send_write(&call).await {
            Ok(answer) if answer.is_web_page() => {
                Err(Refusal::Style(web_page(&call, answer.status)))
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
        let writable = self.app.settings.read_only.strip(&current.resource);
        let body = replace_body(&writable, update.body, rows, changes, update.active);
        let call = Call::new(self, Method::PUT, &parts, Some(&body)).map_err(Refusal::Final)?;
        match self.send_write(&call).await {
            Ok(answer) if answer.is_web_page() => {
                Err(Refusal::Final(web_page(&call, answer.status)))
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

    /// Takes the answered account, if there is one. Whether somebody can still get in matters
    /// most, so it is read unless the answer shows that the account is suspended or active as it
    /// should be: some say yes and do nothing, others answer how it was before, or not at all.
    async fn effect(
        &self,
        id: &AccountId,
        shown: &str,
        answered: Option<Value>,
        update: &Update<'_>,
    ) -> Result<Option<Account>, Refusal> {
        let account = answered.and_then(|json| Account::from_resource(json).ok());
        let Some(wanted) = update.active else {
            return Box::pin(self.effect_on_values(id, account, update)).await;
        };
        if account.as_ref().and_then(|account| account.active) == Some(wanted) {
            return Ok(account);
        }
        match self.read_after(id, update).await.map_err(Refusal::Final)? {
            Some(read) if read.active.is_some_and(|is| is != wanted) => {
                let state = if wanted { "inactive" } else { "active" };
                let detail = format!("it says yes, but the account stays {state}");
                Err(Refusal::Style(ScimError::unsupported(shown, &detail)))
            }
            Some(read) => Ok(Some(read)),
            // Suspended, and out of sight with it.
            None if !wanted => Ok(account),
            None => Err(Refusal::Final(ScimError::vanished(shown))),
        }
    }

    /// The same for values, once for each attribute of an app: where the answer shows an old one, a
    /// read tells.
    async fn effect_on_values(
        &self,
        id: &AccountId,
        answered: Option<Account>,
        update: &Update<'_>,
    ) -> Result<Option<Account>, Refusal> {
        let learned = self.learned();
        let is_old = |account: &Account| update.leaves_an_old_value(&account.resource, &learned);
        if !answered.as_ref().is_some_and(is_old) {
            return Ok(answered);
        }
        match self.read_after(id, update).await {
            Ok(Some(read)) if is_old(&read) => Err(Refusal::NoEffect(Box::new(read))),
            Ok(Some(read)) => Ok(Some(read)),
            // It was taken, and that is all that can be known.
            Ok(None) | Err(_) => Ok(answered),
        }
    }

    /// Whether an error says "not in this way" and not "not this value".
    fn is_about_style(&self, error: &ScimError, update: &Update<'_>) -> bool {
        let bracketed = update.changes_entries();
        let unproven = self.learned().update.is_none();
        match error.class {
            ScimErrorClass::Unsupported => true,
            ScimErrorClass::Endpoint => matches!(error.status, Some(400 | 404)),
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

/// So many times one body is made leaner.
const LEANER_AT_MOST: usize = 3;

/// A body that is sent again without what the app seems to refuse, until it is taken.
struct Leaner<'a> {
    whole: &'a Value,
    lean: Option<Value>,
    refused: BTreeSet<String>,
    found: BTreeSet<String>,
    rounds: usize,
    first: Option<ScimError>,
}

impl<'a> Leaner<'a> {
    fn new(app: &ScimApp, whole: &'a Value) -> Self {
        let refused = app.learned().refused;
        let lean = (!refused.is_empty()).then(|| refused::without(whole, &refused));
        Self {
            whole,
            lean,
            refused,
            found: BTreeSet::new(),
            rounds: 0,
            first: None,
        }
    }

    fn body(&self) -> &Value {
        self.lean.as_ref().unwrap_or(self.whole)
    }

    fn refuses(&self, attribute: &str) -> bool {
        let refused = self.refused.clone();
        Learned {
            refused,
            ..Learned::default()
        }
        .refuses(attribute)
    }

    /// Leaves out what the error may be about; gives it back when that is nothing.
    fn without_suspects(&mut self, app: &ScimApp, error: ScimError) -> Result<(), ScimError> {
        let suspects = refused::suspects(&error, self.body(), &app.learned().taken);
        if suspects.is_empty() || self.rounds >= LEANER_AT_MOST {
            return Err(
                match (error.class == ScimErrorClass::Rejected, self.first.take()) {
                    // It was not about what was left out.
                    (true, Some(first)) => first,
                    _ => error,
                },
            );
        }
        self.rounds += 1;
        self.first.get_or_insert(error);
        self.found.extend(suspects.iter().cloned());
        self.refused.extend(suspects);
        self.lean = Some(refused::without(self.whole, &self.refused));
        Ok(())
    }

    /// Remembers what the app refuses, and what it took where it looked at the body as a whole.
    fn worked(self, app: &ScimApp, as_a_whole: bool) {
        let taken = if as_a_whole {
            refused::names(self.body())
        } else {
            BTreeSet::new()
        };
        let known = app.learned();
        if self.found.is_subset(&known.refused) && taken.is_subset(&known.taken) {
            return;
        }
        app.learn(|learned| {
            learned.refused.extend(self.found);
            learned.taken.extend(taken);
            // What was taken from somebody else is not refused as such.
            let taken = &learned.taken;
            learned.refused.retain(|name| !taken.contains(name));
        });
    }
}

/// The later error tells where the write stands now, unless both refuse what it says: then the
/// first one speaks of the value, and not of the rest that another style sends along.
fn more_telling(first: Option<ScimError>, later: ScimError) -> ScimError {
    match first {
        Some(first)
            if first.class == ScimErrorClass::Rejected
                && later.class == ScimErrorClass::Rejected =>
        {
            first
        }
        _ => later,
    }
}

fn web_page(call: &Call, status: StatusCode) -> ScimError {
    let detail = "the address answered a web page, not SCIM";
    ScimError::endpoint(&call.shown, Some(status.as_u16()), detail)
}
