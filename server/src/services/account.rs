//! One's own account: second factor, password and sessions.

use app::api::account::{Enrolment, MyAccount, PasswordForm, ShownOnce};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Account, Actor, Answer, Assured, Enroller, RequestContext, Secret, Visitor};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::answers::{database, hashing, store};
use super::door::{self, Door};
use super::passkeys::{self as ceremonies, Asked};
use super::tries::Try;
use super::{new_password, passwords, second_factor, session_views, shown_once};
use crate::store::administrators::{self, Administrator};
use crate::store::events::{self, NewEvent};
use crate::store::{passkeys, second_factors, sessions};

#[derive(Clone, Debug)]
pub struct AccountService {
    door: Door,
}

impl AccountService {
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    async fn myself(&self, db: &mut PgConnection, id: Uuid) -> Answer<Administrator> {
        let found = administrators::by_id(db, id).await.map_err(database)?;
        found.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))
    }

    /// So that of two who take off what is left, one finds nothing more to take off.
    async fn lock_myself(&self, db: &mut PgConnection, id: Uuid) -> Answer<Administrator> {
        administrators::lock(&mut *db).await.map_err(database)?;
        self.myself(db, id).await
    }

    /// After one was taken off: recovery codes go with the last, which not everybody may give up.
    async fn settle_factors(&self, db: &mut PgConnection, me: &Administrator) -> Answer<()> {
        let left = second_factors::find(&mut *db, me.id).await;
        if left.map_err(database)?.is_some() {
            return Ok(());
        }
        if self.door.must_have_second_factor(me.role) {
            return Err(ApiError::new(ErrorCode::SecondFactorNeeded));
        }
        second_factor::remove(db, me.id).await.map_err(database)?;
        Ok(())
    }

    async fn tell_passkey(
        &self,
        db: &mut PgConnection,
        email: &str,
        change: &str,
        name: &str,
        now: DateTime<Utc>,
    ) -> Answer<()> {
        let event = NewEvent::new(now, EventName::SecondFactorChanged, email)
            .reason(change)
            .detail(json!({ "administrator": email, "passkey": name }));
        events::record(db, &event).await.map_err(store)?;
        Ok(())
    }

    async fn tell_factor(
        &self,
        db: &mut PgConnection,
        email: &str,
        change: &str,
        now: DateTime<Utc>,
    ) -> Answer<()> {
        let event = NewEvent::new(now, EventName::SecondFactorChanged, email)
            .reason(change)
            .detail(json!({ "administrator": email }));
        events::record(db, &event).await.map_err(store)?;
        Ok(())
    }
}

/// At the door only the first one is set up: this session proved nothing but the password, which
/// somebody else may know, too.
fn may_enrol(enroller: &Enroller, factor: Option<second_factors::Factors>) -> Answer<()> {
    match (enroller, factor) {
        (Enroller::AtTheDoor(_), Some(_)) => Err(ApiError::new(ErrorCode::Conflict)),
        _ => Ok(()),
    }
}

/// Whoever came in before a second factor or password changed has to come in again.
async fn end_others(
    db: &mut PgConnection,
    request: &RequestContext,
    administrator: Uuid,
) -> Answer<()> {
    let this = request.session.handle();
    let this = this.as_deref().and_then(session_views::id_hash);
    sessions::revoke_all(db, administrator, this.as_deref())
        .await
        .map_err(database)?;
    Ok(())
}

#[async_trait]
impl Account for AccountService {
    async fn overview(&self, request: &RequestContext, actor: &Actor) -> Answer<MyAccount> {
        let now = self.door.clock.now();
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let me = self.myself(&mut db, actor.id).await?;
        let factor = second_factors::find(&mut db, me.id)
            .await
            .map_err(database)?;
        let known = passkeys::of(&mut db, me.id).await.map_err(database)?;
        let site = self.door.site.as_ref();
        let this = request.session.handle();
        let sessions = session_views::of(&mut db, me.id, now, this.as_deref()).await;
        Ok(MyAccount {
            must_have_second_factor: self.door.must_have_second_factor(me.role),
            email: me.email,
            role: actor.role,
            app_since: factor.and_then(|factor| factor.app_since),
            recovery_codes_left: factor.map_or(0, |factor| {
                u32::try_from(factor.recovery_codes_left).unwrap_or(0)
            }),
            passkeys: known
                .into_iter()
                .map(|passkey| ceremonies::view(passkey, site))
                .collect(),
            passkeys_at: site.map(|site| site.origin().to_owned()),
            sessions: sessions?,
        })
    }

    async fn enrolment(&self, visitor: &Visitor) -> Answer<Enrolment> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let me = self.myself(&mut db, visitor.administrator).await?;
        let factor = second_factors::find(&mut db, me.id)
            .await
            .map_err(database)?;
        let secret = second_factor::begun(&mut db, &self.door.vault, me.id, &me.email).await?;
        Ok(Enrolment {
            email: me.email,
            replaces: factor.is_some_and(|factor| factor.app_since.is_some()),
            secret,
            passkeys_at: self
                .door
                .site
                .as_ref()
                .filter(|_| factor.is_none())
                .map(|site| site.origin().to_owned()),
        })
    }

    async fn begin_enrolment(&self, enroller: Enroller) -> Answer<()> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let now = self.door.clock.now();
        second_factor::begin(&mut db, &self.door.vault, enroller.id(), now).await?;
        Ok(())
    }

    async fn finish_enrolment(
        &self,
        request: &RequestContext,
        enroller: Enroller,
        code: Secret,
    ) -> Answer<()> {
        let now = self.door.clock.now();
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let me = self.myself(&mut transaction, enroller.id()).await?;
        let factor = second_factors::find(&mut transaction, me.id).await;
        may_enrol(&enroller, factor.map_err(database)?)?;
        let vault = &self.door.vault;
        let finished =
            second_factor::finish(&mut transaction, vault, me.id, code.reveal(), now).await?;
        let Some(codes) = finished else {
            return Err(ApiError::field("code", FieldCode::CodeWrong));
        };
        let shown = ShownOnce::RecoveryCodes { codes };
        shown_once::put(&mut transaction, vault, me.id, &shown, now).await?;
        end_others(&mut transaction, request, me.id).await?;
        self.tell_factor(&mut transaction, &me.email, "Authenticator app set up", now)
            .await?;
        transaction.commit().await.map_err(database)?;
        request.session.confirm().await
    }

    async fn begin_passkey(&self, request: &RequestContext, enroller: Enroller) -> Answer<String> {
        let now = self.door.clock.now();
        let site = self.door.passkey_site()?;
        let session = door::session_of(request)?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let me = self.myself(&mut db, enroller.id()).await?;
        let asked = Asked {
            administrator: me.id,
            session_hash: &session,
            now,
        };
        Ok(ceremonies::begin_adding(&mut db, site, asked, &me.email).await?)
    }

    async fn add_passkey(
        &self,
        request: &RequestContext,
        enroller: Enroller,
        name: &str,
        passkey: &str,
    ) -> Answer<bool> {
        let now = self.door.clock.now();
        let site = self.door.passkey_site()?;
        let session = door::session_of(request)?;
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let me = self.myself(&mut transaction, enroller.id()).await?;
        let factor = second_factors::find(&mut transaction, me.id).await;
        let factor = factor.map_err(database)?;
        may_enrol(&enroller, factor)?;
        let asked = Asked {
            administrator: me.id,
            session_hash: &session,
            now,
        };
        let added = ceremonies::finish_adding(&mut transaction, site, asked, name, passkey).await;
        let name = match added {
            Ok(name) => name.ok_or_else(|| ApiError::new(ErrorCode::Conflict))?,
            Err(error) => {
                // The challenge is used up all the same.
                transaction.commit().await.map_err(database)?;
                return Err(error.into());
            }
        };
        let first = factor.is_none();
        if first {
            let codes = second_factor::renew_codes(&mut transaction, me.id)
                .await
                .map_err(database)?;
            let shown = ShownOnce::RecoveryCodes { codes };
            shown_once::put(&mut transaction, &self.door.vault, me.id, &shown, now).await?;
        }
        end_others(&mut transaction, request, me.id).await?;
        self.tell_passkey(&mut transaction, &me.email, "Passkey added", &name, now)
            .await?;
        transaction.commit().await.map_err(database)?;
        request.session.confirm().await?;
        Ok(first)
    }

    async fn rename_passkey(&self, actor: &Actor, id: Uuid, name: &str) -> Answer<()> {
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let name = ceremonies::tidy(name);
        let renamed = passkeys::rename(&mut transaction, actor.id, id, &name).await;
        if !renamed.map_err(database)? {
            return Err(ApiError::not_found());
        }
        let now = self.door.clock.now();
        let change = "Passkey renamed";
        self.tell_passkey(&mut transaction, &actor.email, change, &name, now)
            .await?;
        transaction.commit().await.map_err(database)
    }

    async fn remove_passkey(
        &self,
        request: &RequestContext,
        actor: &Assured,
        id: Uuid,
    ) -> Answer<()> {
        let now = self.door.clock.now();
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let me = self.lock_myself(&mut transaction, actor.id).await?;
        let removed = passkeys::remove(&mut transaction, me.id, id).await;
        let name = removed.map_err(database)?.ok_or_else(ApiError::not_found)?;
        self.settle_factors(&mut transaction, &me).await?;
        end_others(&mut transaction, request, me.id).await?;
        self.tell_passkey(&mut transaction, &me.email, "Passkey removed", &name, now)
            .await?;
        transaction.commit().await.map_err(database)
    }

    async fn remove_second_factor(&self, request: &RequestContext, actor: &Assured) -> Answer<()> {
        let now = self.door.clock.now();
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let me = self.lock_myself(&mut transaction, actor.id).await?;
        let removed = second_factor::remove_app(&mut transaction, me.id).await;
        if removed.map_err(database)? {
            self.settle_factors(&mut transaction, &me).await?;
            end_others(&mut transaction, request, me.id).await?;
            let change = "Authenticator app taken off";
            self.tell_factor(&mut transaction, &me.email, change, now)
                .await?;
        }
        transaction.commit().await.map_err(database)
    }

    async fn renew_recovery_codes(&self, actor: &Assured) -> Answer<()> {
        let now = self.door.clock.now();
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let me = self.myself(&mut transaction, actor.id).await?;
        let factor = second_factors::find(&mut transaction, me.id).await;
        if factor.map_err(database)?.is_none() {
            return Err(ApiError::not_found());
        }
        let codes = second_factor::renew_codes(&mut transaction, me.id)
            .await
            .map_err(database)?;
        let shown = ShownOnce::RecoveryCodes { codes };
        shown_once::put(&mut transaction, &self.door.vault, me.id, &shown, now).await?;
        self.tell_factor(&mut transaction, &me.email, "Recovery codes renewed", now)
            .await?;
        transaction.commit().await.map_err(database)
    }

    async fn shown_once(&self, actor: &Actor) -> Answer<ShownOnce> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        shown_once::get(&mut db, &self.door.vault, actor.id, self.door.clock.now()).await
    }

    async fn put_away(&self, actor: &Actor) -> Answer<()> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        shown_once::put_away(&mut db, actor.id).await
    }

    async fn change_password(
        &self,
        request: &RequestContext,
        actor: &Actor,
        form: PasswordForm,
    ) -> Answer<()> {
        let now = self.door.clock.now();
        let attempt = Try::count(&self.door.pool, &actor.email, request.address, now).await?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let found = administrators::with_password(&mut db, &actor.email).await;
        drop(db);
        let hash = found.map_err(database)?.map(|(_, hash)| hash);
        let right = passwords::verify(form.current.reveal().into(), hash)
            .await
            .map_err(hashing)?;
        if !right {
            return Err(ApiError::field("current", FieldCode::PasswordWrong));
        }
        let chosen = new_password::check(
            &self.door.breached,
            form.password.as_ref(),
            form.repeated.as_ref(),
            &actor.email,
        )
        .await;
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        attempt
            .succeeded(&mut transaction)
            .await
            .map_err(database)?;
        let password = match chosen {
            Ok(password) => password,
            Err(problems) => {
                transaction.commit().await.map_err(database)?;
                return Err(problems);
            }
        };
        let hash = passwords::hash(password).await.map_err(hashing)?;
        administrators::set_password(&mut transaction, actor.id, &hash)
            .await
            .map_err(database)?;
        end_others(&mut transaction, request, actor.id).await?;
        let event = NewEvent::new(now, EventName::AdministratorChanged, &actor.email)
            .reason("New password")
            .detail(json!({ "administrator": actor.email }));
        events::record(&mut transaction, &event)
            .await
            .map_err(store)?;
        transaction.commit().await.map_err(database)?;
        // The old password may have been known to others, and with it this session's id.
        request.session.confirm().await
    }

    async fn revoke(
        &self,
        request: &RequestContext,
        actor: &Actor,
        session: Option<String>,
    ) -> Answer<()> {
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        match session {
            Some(handle) => revoke_one(&mut transaction, actor.id, &handle).await?,
            None => end_others(&mut transaction, request, actor.id).await?,
        }
        let event = NewEvent::new(
            self.door.clock.now(),
            EventName::SessionRevoked,
            &actor.email,
        )
        .detail(json!({ "administrator": actor.email }));
        events::record(&mut transaction, &event)
            .await
            .map_err(store)?;
        transaction.commit().await.map_err(database)
    }
}

/// Ends one session of this administrator and of nobody else.
pub async fn revoke_one(db: &mut PgConnection, administrator: Uuid, handle: &str) -> Answer<()> {
    let id_hash = session_views::id_hash(handle).ok_or_else(ApiError::not_found)?;
    let revoked = sessions::revoke(db, administrator, &id_hash).await;
    match revoked.map_err(database)? {
        true => Ok(()),
        false => Err(ApiError::not_found()),
    }
}
