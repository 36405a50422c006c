//! Signing in and out, and confirming who somebody is.

use app::api::account::{ConfirmForm, Evidence, Ways};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, RequestContext, Secret, SignIn, SignInStep, Stage};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use serde_json::json;

use super::answers::{database, hashing, store as stored};
use super::door::{self, Door};
use super::passkeys::{self, Asked, PasskeyError};
use super::second_factor::{self, Right};
use super::tries::Try;
use super::{email, passwords};
use crate::store::events::{self, NewEvent};
use crate::store::{self, administrators, second_factors};

#[derive(Clone, Debug)]
pub struct SignInService {
    door: Door,
}

impl SignInService {
    pub fn new(door: Door) -> Self {
        Self { door }
    }

    /// An e-mail that nobody has is not kept: it may be a password in the wrong field.
    async fn fail(
        &self,
        known: Option<&str>,
        request: &RequestContext,
        (code, message): (&str, &str),
        now: DateTime<Utc>,
    ) -> Answer<()> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let address = request.address.map(|address| address.to_string());
        let event = NewEvent::new(now, EventName::FailedSignIn, known.unwrap_or("unknown"))
            .failed(code, message)
            .detail(json!({ "address": address }));
        events::record(&mut db, &event).await.map_err(stored)?;
        Ok(())
    }

    /// A wrong code is `None`; a wrong passkey says so itself.
    async fn judge(
        &self,
        request: &RequestContext,
        actor: &Actor,
        evidence: &Evidence,
        now: DateTime<Utc>,
    ) -> Answer<Option<Right>> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        match evidence {
            Evidence::Code(code) => {
                let vault = &self.door.vault;
                Ok(second_factor::verify(&mut db, vault, actor.id, code.reveal(), now).await?)
            }
            Evidence::Passkey(answer) => {
                let site = self.door.passkey_site()?;
                let session = door::session_of(request)?;
                let asked = Asked {
                    administrator: actor.id,
                    session_hash: &session,
                    now,
                };
                match passkeys::prove(&mut db, site, asked, answer).await {
                    Ok(()) => Ok(Some(Right::Passkey)),
                    Err(PasskeyError::Refused(cause)) => {
                        tracing::info!(cause, "a passkey was refused");
                        Ok(None)
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }
}

fn not_right(evidence: &Evidence) -> (&'static str, &'static str) {
    match evidence {
        Evidence::Code(_) => ("wrong-code", "The second factor is wrong."),
        Evidence::Passkey(_) => ("wrong-passkey", "The passkey was not accepted."),
    }
}

#[async_trait]
impl SignIn for SignInService {
    async fn sign_in(
        &self,
        request: &RequestContext,
        email: String,
        password: Secret,
    ) -> Answer<SignInStep> {
        let now = self.door.clock.now();
        let email = email::normalize(&email).ok_or_else(wrong)?;
        let attempt = Try::count(&self.door.pool, &email, request.address, now).await?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let found = administrators::with_password(&mut db, &email)
            .await
            .map_err(database)?;
        drop(db);
        let (administrator, hash) = found.unzip();
        let right = passwords::verify(password.reveal().into(), hash)
            .await
            .map_err(hashing)?;
        let Some(administrator) = administrator.as_ref().filter(|_| right) else {
            let known = administrator.as_ref().map(|known| known.email.as_str());
            let cause = ("wrong-credentials", "The e-mail or the password is wrong.");
            self.fail(known, request, cause, now).await?;
            return Err(wrong());
        };
        let actor = super::actor(administrator);
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let stage = self
            .door
            .after_password(&mut transaction, administrator, now)
            .await?;
        let step = match stage {
            Stage::SecondFactor => {
                attempt
                    .half_succeeded(&mut transaction)
                    .await
                    .map_err(database)?;
                SignInStep::SecondFactor
            }
            Stage::Enrolment | Stage::Inside => {
                attempt
                    .succeeded(&mut transaction)
                    .await
                    .map_err(database)?;
                administrators::signed_in(&mut transaction, actor.id, now)
                    .await
                    .map_err(database)?;
                let mut event = signed_in(&actor, request, now);
                if stage == Stage::Enrolment {
                    event = event.reason("Has to set up a second factor first");
                }
                events::record(&mut transaction, &event)
                    .await
                    .map_err(stored)?;
                match stage {
                    Stage::Enrolment => SignInStep::Enrolment,
                    _ => SignInStep::Inside,
                }
            }
        };
        transaction.commit().await.map_err(database)?;
        request.session.start(&actor, stage).await?;
        Ok(step)
    }

    async fn ways(&self, request: &RequestContext) -> Answer<Ways> {
        let visitor = request.visitor;
        let visitor = visitor.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let factors = second_factors::find(&mut db, visitor.administrator).await;
        let factors = factors.map_err(database)?;
        let known = store::passkeys::of(&mut db, visitor.administrator).await;
        let known = known.map_err(database)?;
        let site = self.door.site.as_ref();
        let site = site.filter(|site| known.iter().any(|passkey| site.is_of(passkey)));
        Ok(Ways {
            app: factors.is_some_and(|factors| factors.app_since.is_some()),
            passkeys_at: site.map(|site| site.origin().to_owned()),
        })
    }

    async fn ask_passkey(&self, request: &RequestContext) -> Answer<String> {
        let visitor = request.visitor;
        let visitor = visitor.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        let site = self.door.passkey_site()?;
        let session = door::session_of(request)?;
        let asked = Asked {
            administrator: visitor.administrator,
            session_hash: &session,
            now: self.door.clock.now(),
        };
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let asks = passkeys::begin_proving(&mut db, site, asked).await?;
        asks.ok_or_else(ApiError::not_found)
    }

    async fn second_factor(&self, request: &RequestContext, evidence: Evidence) -> Answer<()> {
        let now = self.door.clock.now();
        let visitor = request
            .visitor
            .filter(|one| one.stage == Stage::SecondFactor);
        let visitor = visitor.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let found = administrators::by_id(&mut db, visitor.administrator).await;
        drop(db);
        let found = found.map_err(database)?;
        let administrator = found.ok_or_else(|| ApiError::new(ErrorCode::Unauthenticated))?;
        let actor = super::actor(&administrator);
        let attempt = Try::count(&self.door.pool, &actor.email, request.address, now).await?;
        let Some(right) = self.judge(request, &actor, &evidence, now).await? else {
            let cause = not_right(&evidence);
            self.fail(Some(&actor.email), request, cause, now).await?;
            return Err(match evidence {
                Evidence::Code(_) => wrong_code(),
                Evidence::Passkey(_) => ApiError::new(ErrorCode::PasskeyRefused),
            });
        };
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        attempt
            .succeeded(&mut transaction)
            .await
            .map_err(database)?;
        administrators::signed_in(&mut transaction, actor.id, now)
            .await
            .map_err(database)?;
        let event = with_factor(signed_in(&actor, request, now), right);
        events::record(&mut transaction, &event)
            .await
            .map_err(stored)?;
        transaction.commit().await.map_err(database)?;
        request.session.confirm().await
    }

    async fn confirm(
        &self,
        request: &RequestContext,
        actor: &Actor,
        form: ConfirmForm,
    ) -> Answer<()> {
        let now = self.door.clock.now();
        if form.evidence.is_none() && form.password.is_none() {
            return Err(ApiError::field("password", FieldCode::Required));
        }
        let attempt = Try::count(&self.door.pool, &actor.email, request.address, now).await?;
        let mut right = None;
        let mut is_right = false;
        if let Some(evidence) = &form.evidence {
            right = self.judge(request, actor, evidence, now).await?;
            is_right = right.is_some();
        } else if let Some(password) = &form.password {
            is_right = self.is_right_password(actor, password).await?;
        }
        if !is_right {
            let cause = ("wrong-confirmation", "They could not confirm who they are.");
            self.fail(Some(&actor.email), request, cause, now).await?;
            return Err(match form.evidence {
                Some(Evidence::Code(_)) => ApiError::field("code", FieldCode::CodeWrong),
                Some(Evidence::Passkey(_)) => ApiError::new(ErrorCode::PasskeyRefused),
                None => ApiError::field("password", FieldCode::PasswordWrong),
            });
        }
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        attempt
            .succeeded(&mut transaction)
            .await
            .map_err(database)?;
        let mut event = NewEvent::new(now, EventName::StepUp, &actor.email)
            .detail(json!({ "address": request.address.map(|one| one.to_string()) }));
        event = match right {
            Some(right) => with_factor(event, right),
            None => event.reason("Password"),
        };
        events::record(&mut transaction, &event)
            .await
            .map_err(stored)?;
        transaction.commit().await.map_err(database)?;
        request.session.confirm().await
    }

    async fn sign_out(&self, request: &RequestContext, actor: &Actor) -> Answer<()> {
        request.session.end().await?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let event = NewEvent::new(self.door.clock.now(), EventName::SignOut, &actor.email);
        events::record(&mut db, &event).await.map_err(stored)?;
        Ok(())
    }
}

impl SignInService {
    async fn is_right_password(&self, actor: &Actor, password: &Secret) -> Answer<bool> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let found = administrators::with_password(&mut db, &actor.email).await;
        drop(db);
        let hash = found
            .map_err(database)?
            .filter(|(who, _)| who.id == actor.id)
            .map(|(_, hash)| hash);
        passwords::verify(password.reveal().into(), hash)
            .await
            .map_err(hashing)
    }
}

fn signed_in<'a>(actor: &'a Actor, request: &RequestContext, now: DateTime<Utc>) -> NewEvent<'a> {
    let address = request.address.map(|address| address.to_string());
    NewEvent::new(now, EventName::SignIn, &actor.email).detail(json!({ "address": address }))
}

fn with_factor(event: NewEvent<'_>, right: Right) -> NewEvent<'_> {
    event.reason(match right {
        Right::App => "Authenticator app".to_owned(),
        Right::Passkey => "Passkey".to_owned(),
        Right::RecoveryCode { left } => format!("Recovery code; codes left: {left}"),
    })
}

fn wrong() -> ApiError {
    ApiError::new(ErrorCode::WrongCredentials)
}

fn wrong_code() -> ApiError {
    ApiError::new(ErrorCode::WrongCode).and_field("code", FieldCode::CodeWrong)
}
