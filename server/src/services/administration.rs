//! Changes to who may sign in. Each locks the administrators, so that two who shut each other out
//! at once leave one of them inside.

use app::api::account::ShownOnce;
use app::api::administrators::AdministratorChange;
use app::api::terms;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Answer, Assured};
use chrono::{DateTime, TimeDelta, Utc};
use provisioning::event::EventName;
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::account::revoke_one;
use super::answers::{database, store};
use super::door::Door;
use super::{email, one_time_links as links, second_factor, shown_once};
use crate::store::administrators::{self, Administrator, Entry, Role};
use crate::store::events::{self, NewEvent};
use crate::store::one_time_links::{self, Purpose};
use crate::store::sessions;

/// How long an invited or locked-out administrator has to open the link that a colleague sent.
const LINK_LIFETIME: TimeDelta = TimeDelta::hours(24);

#[derive(Clone, Debug)]
pub(super) struct Administration {
    pub door: Door,
    /// Where browsers reach this console; links begin with it.
    pub origin: String,
}

/// Whether nobody could change anything any more without this one.
pub(super) fn is_last(everyone: &[Entry], id: Uuid) -> bool {
    let can = |entry: &&Entry| {
        entry.can_sign_in() && entry.administrator.role == Role::SuperAdministrator
    };
    let mut able = everyone.iter().filter(can);
    able.next().is_some_and(|one| one.administrator.id == id) && able.next().is_none()
}

/// Somebody who is about to be changed, while nobody else changes anybody.
struct Locked {
    transaction: Transaction<'static, Postgres>,
    everyone: Vec<Entry>,
    whom: Administrator,
    now: DateTime<Utc>,
}

impl Locked {
    fn entry(&self) -> Option<&Entry> {
        let mut all = self.everyone.iter();
        all.find(|one| one.administrator.id == self.whom.id)
    }

    fn keep_one(&self) -> Answer<()> {
        match is_last(&self.everyone, self.whom.id) {
            true => Err(ApiError::new(ErrorCode::LastSuperAdministrator)),
            false => Ok(()),
        }
    }

    async fn tell(&mut self, name: EventName, actor: &Assured, what: &str) -> Answer<()> {
        let event = NewEvent::new(self.now, name, &actor.email)
            .reason(what)
            .detail(json!({ "administrator": self.whom.email }));
        events::record(&mut self.transaction, &event)
            .await
            .map_err(store)?;
        Ok(())
    }

    async fn sign_out(&mut self) -> Answer<()> {
        let ended = sessions::revoke_all(&mut self.transaction, self.whom.id, None).await;
        ended.map_err(database)?;
        Ok(())
    }

    async fn commit(self) -> Answer<()> {
        self.transaction.commit().await.map_err(database)
    }
}

impl Administration {
    /// Whoever acts may have been shut out a moment ago, so they are looked at once more.
    async fn begin(&self, actor: &Assured) -> Answer<(Transaction<'static, Postgres>, Vec<Entry>)> {
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let everyone = administrators::lock(&mut transaction)
            .await
            .map_err(database)?;
        let may = everyone.iter().any(|one| {
            let it = &one.administrator;
            it.id == actor.id && it.role == Role::SuperAdministrator && one.can_sign_in()
        });
        match may {
            true => Ok((transaction, everyone)),
            false => Err(ApiError::new(ErrorCode::Forbidden)),
        }
    }

    async fn lock(&self, actor: &Assured, id: Uuid) -> Answer<Locked> {
        let (transaction, everyone) = self.begin(actor).await?;
        let whom = everyone.iter().find(|one| one.administrator.id == id);
        let whom = whom.ok_or_else(ApiError::not_found)?.administrator.clone();
        if whom.id == actor.id {
            return Err(ApiError::new(ErrorCode::NotYourself));
        }
        Ok(Locked {
            transaction,
            everyone,
            whom,
            now: self.door.clock.now(),
        })
    }

    pub(super) async fn invite(
        &self,
        actor: &Assured,
        typed: &str,
        role: terms::Role,
    ) -> Answer<Uuid> {
        let not_one = || ApiError::field("email", FieldCode::NotAnEmail);
        let email = email::normalize(typed).ok_or_else(not_one)?;
        let (mut transaction, _) = self.begin(actor).await?;
        let now = self.door.clock.now();
        let invited = Administrator {
            id: Uuid::now_v7(),
            email,
            role: stored(role),
            created_at: now,
            last_sign_in: None,
        };
        let added = administrators::invite(&mut transaction, &invited).await;
        if !added.map_err(database)? {
            return Err(ApiError::field("email", FieldCode::Taken));
        }
        self.show_link(
            &mut transaction,
            actor,
            &invited,
            Purpose::Invitation(invited.id),
            now,
        )
        .await?;
        let event = NewEvent::new(now, EventName::AdministratorAdded, &actor.email)
            .reason("Invited")
            .detail(json!({ "administrator": invited.email, "role": invited.role.word() }));
        events::record(&mut transaction, &event)
            .await
            .map_err(store)?;
        transaction.commit().await.map_err(database)?;
        Ok(invited.id)
    }

    pub(super) async fn change(
        &self,
        actor: &Assured,
        id: Uuid,
        change: AdministratorChange,
    ) -> Answer<()> {
        let mut locked = self.lock(actor, id).await?;
        let now = locked.now;
        match change {
            AdministratorChange::MakeSuperAdministrator | AdministratorChange::MakeAuditor => {
                let role = match change {
                    AdministratorChange::MakeAuditor => Role::Auditor,
                    _ => Role::SuperAdministrator,
                };
                if role == Role::Auditor {
                    locked.keep_one()?;
                }
                administrators::set_role(&mut locked.transaction, id, role)
                    .await
                    .map_err(database)?;
                // What they may do changed: they come in anew, and with it a second factor.
                locked.sign_out().await?;
                let what = match role {
                    Role::Auditor => "Made auditor",
                    Role::SuperAdministrator => "Made super administrator",
                };
                locked
                    .tell(EventName::AdministratorChanged, actor, what)
                    .await?;
            }
            AdministratorChange::Disable => {
                locked.keep_one()?;
                administrators::set_disabled(&mut locked.transaction, id, Some(now))
                    .await
                    .map_err(database)?;
                one_time_links::end_all_of(&mut locked.transaction, id)
                    .await
                    .map_err(database)?;
                locked.sign_out().await?;
                locked
                    .tell(EventName::AdministratorChanged, actor, "Disabled")
                    .await?;
            }
            AdministratorChange::Enable => {
                administrators::set_disabled(&mut locked.transaction, id, None)
                    .await
                    .map_err(database)?;
                locked
                    .tell(EventName::AdministratorChanged, actor, "Enabled")
                    .await?;
            }
            AdministratorChange::ResetSecondFactor => {
                second_factor::remove(&mut locked.transaction, id)
                    .await
                    .map_err(database)?;
                locked.sign_out().await?;
                let what = "Second factor reset";
                locked
                    .tell(EventName::SecondFactorChanged, actor, what)
                    .await?;
            }
        }
        locked.commit().await
    }

    pub(super) async fn renew_link(&self, actor: &Assured, id: Uuid) -> Answer<()> {
        let mut locked = self.lock(actor, id).await?;
        let Some(entry) = locked.entry().cloned() else {
            return Err(ApiError::not_found());
        };
        if entry.disabled_at.is_some() {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        let (purpose, what) = match entry.has_password {
            true => (Purpose::ResetPassword(id), "Link for a new password"),
            false => (Purpose::Invitation(id), "Invited again"),
        };
        let (whom, now) = (locked.whom.clone(), locked.now);
        self.show_link(&mut locked.transaction, actor, &whom, purpose, now)
            .await?;
        locked
            .tell(EventName::AdministratorChanged, actor, what)
            .await?;
        locked.commit().await
    }

    pub(super) async fn remove(&self, actor: &Assured, id: Uuid) -> Answer<()> {
        let mut locked = self.lock(actor, id).await?;
        locked.keep_one()?;
        second_factor::remove(&mut locked.transaction, id)
            .await
            .map_err(database)?;
        administrators::remove(&mut locked.transaction, id)
            .await
            .map_err(database)?;
        locked
            .tell(EventName::AdministratorRemoved, actor, "Removed")
            .await?;
        locked.commit().await
    }

    pub(super) async fn revoke(
        &self,
        actor: &Assured,
        id: Uuid,
        session: Option<String>,
    ) -> Answer<()> {
        let mut locked = self.lock(actor, id).await?;
        match session {
            Some(handle) => revoke_one(&mut locked.transaction, id, &handle).await?,
            None => locked.sign_out().await?,
        }
        locked
            .tell(EventName::SessionRevoked, actor, "By a super administrator")
            .await?;
        locked.commit().await
    }

    async fn show_link(
        &self,
        db: &mut PgConnection,
        actor: &Assured,
        whom: &Administrator,
        purpose: Purpose,
        now: DateTime<Utc>,
    ) -> Answer<()> {
        let until = now + LINK_LIFETIME;
        let address = links::issue_until(&mut *db, purpose, now, until, &self.origin)
            .await
            .map_err(database)?;
        let shown = ShownOnce::Link {
            email: whom.email.clone(),
            address,
            until,
        };
        shown_once::put(db, &self.door.vault, actor.id, &shown, now).await
    }
}

fn stored(role: terms::Role) -> Role {
    match role {
        terms::Role::SuperAdministrator => Role::SuperAdministrator,
        terms::Role::Auditor => Role::Auditor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u128, role: Role, has_password: bool, disabled: bool) -> Entry {
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Entry {
            administrator: Administrator {
                id: Uuid::from_u128(id),
                email: format!("{id}@example.com"),
                role,
                created_at: at,
                last_sign_in: None,
            },
            disabled_at: disabled.then_some(at),
            has_password,
        }
    }

    #[test]
    fn only_super_administrators_who_can_sign_in_count_as_one_who_stays() {
        let ada = entry(1, Role::SuperAdministrator, true, false);
        let others = [
            entry(2, Role::Auditor, true, false),
            entry(3, Role::SuperAdministrator, false, false),
            entry(4, Role::SuperAdministrator, true, true),
        ];
        let mut all = vec![ada];
        all.extend(others);
        assert!(is_last(&all, Uuid::from_u128(1)));
        assert!(!is_last(&all, Uuid::from_u128(2)));
        all.push(entry(5, Role::SuperAdministrator, true, false));
        assert!(!is_last(&all, Uuid::from_u128(1)));
    }
}
