//! Whether a write did what the app says, and what the refusal of one is about: the token, this
//! account, or the number of seats.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::identity::{Account, AccountId, same_address};
use serde_json::Value;

use super::ScimApp;
use super::error::{ScimError, ScimErrorClass};
use super::kept;
use super::learned::DeleteEffect;
use super::listing::Page;
use super::request::Call;
use super::write::Update;
use crate::connectors::http::Answer;

/// So many accounts refused one after the other, with nothing accepted between, and it is the
/// token that may not write.
const REFUSALS_OF_A_TOKEN: u32 = 5;
/// How long no account is made after the app said that it has no seat left.
const SEATS_PAUSE: TimeDelta = TimeDelta::minutes(10);

#[derive(Debug, Default)]
pub(super) struct Refusals {
    in_a_row: AtomicU32,
    no_seats_until: Mutex<Option<DateTime<Utc>>>,
}

impl ScimApp {
    /// Whether the app said a short while ago that it has no seat left. Creates wait then;
    /// everything else goes on.
    pub fn is_out_of_seats(&self) -> bool {
        let now = self.app.clock.now();
        self.seats().is_some_and(|until| now < until)
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, Option<DateTime<Utc>>> {
        let until = &self.app.refusals.no_seats_until;
        until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seat_was_freed(&self) {
        *self.seats() = None;
    }

    fn without_seats(&self, error: ScimError) -> ScimError {
        *self.seats() = Some(self.app.clock.now() + SEATS_PAUSE);
        error.of_class(ScimErrorClass::NoSeats)
    }

    /// Sends a write. A refusal is told apart by what it is about.
    pub(super) async fn send_write(&self, call: &Call) -> Result<Answer, ScimError> {
        let refusals = &self.app.refusals;
        match self.send_versioned(call).await {
            Ok(answer) => {
                refusals.in_a_row.store(0, Ordering::Relaxed);
                Ok(answer)
            }
            Err(error) if error.speaks_of_seats(&self.app.settings.seat_words) => {
                Err(self.without_seats(error))
            }
            Err(error) if matches!(error.status, Some(402 | 403)) => {
                // Who may read and not write this one account still has a good token.
                let probe = Page::read(self, "startIndex=1&count=1", false).await;
                if probe.is_err_and(|probe| probe.is_authorization()) {
                    return Err(error);
                }
                let before = refusals.in_a_row.fetch_add(1, Ordering::Relaxed);
                if before + 1 >= REFUSALS_OF_A_TOKEN {
                    return Err(error);
                }
                if error.status == Some(402) {
                    return Err(self.without_seats(error));
                }
                Err(error.of_class(ScimErrorClass::Forbidden))
            }
            Err(error) => Err(error),
        }
    }

    /// Remembers which attributes the app kept, as far as its answer shows.
    pub(super) fn note_kept(&self, sent: &Value, answered: &Value) {
        let compared = kept::compare(sent, answered);
        self.learn(|learned| {
            learned
                .not_kept
                .retain(|path| !compared.kept.contains(path));
            learned.not_kept.extend(compared.lost);
        });
    }

    /// The account after a write, under its new id where the user name is the id.
    pub(super) async fn read_after(
        &self,
        id: &AccountId,
        update: &Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        match self.get(id).await? {
            Some(account) => Ok(Some(account)),
            None => self.find_renamed(id, update).await,
        }
    }

    /// Some apps take the user name as the id, so that a rename gives an account another id.
    pub(super) async fn find_renamed(
        &self,
        id: &AccountId,
        update: &Update<'_>,
    ) -> Result<Option<Account>, ScimError> {
        let Some(new_name) = update.renames(id) else {
            return Ok(None);
        };
        let mut found = self.find_by_user_name(new_name).await?;
        Ok(found.pop().filter(|_| found.is_empty()))
    }

    /// Whether DELETE leaves an inactive account behind here.
    pub(super) fn delete_deactivates(&self) -> bool {
        self.app.settings.delete_deactivates
            || self.learned().delete == Some(DeleteEffect::Deactivates)
    }

    /// After the first deletion that an app accepted, looks what became of the account.
    pub(super) async fn learn_deletion(
        &self,
        call: &Call,
        id: &AccountId,
    ) -> Result<(), ScimError> {
        if self.app.settings.delete_deactivates || self.learned().delete.is_some() {
            return Ok(());
        }
        let effect = match self.get(id).await {
            Ok(None) => DeleteEffect::Removes,
            Ok(Some(account)) if account.active == Some(false) => DeleteEffect::Deactivates,
            Ok(Some(account)) if account.active == Some(true) => {
                let detail = "the app says yes, but the account is still there and active";
                return Err(ScimError::ambiguous(&call.shown, None, detail));
            }
            // It was accepted, and that is all that can be known.
            Ok(Some(_)) | Err(_) => return Ok(()),
        };
        self.learn(|learned| learned.delete = Some(effect));
        Ok(())
    }
}

impl Update<'_> {
    /// The new user name, when this is a rename of an account whose id is its user name.
    pub(super) fn renames(&self, id: &AccountId) -> Option<&str> {
        let change = self
            .changes
            .iter()
            .find(|change| change.attribute.eq_ignore_ascii_case("userName"))?;
        let old = change.old.as_ref()?.as_str()?;
        same_address(old, id.as_str())
            .then(|| change.new.as_ref()?.as_str())
            .flatten()
    }
}
