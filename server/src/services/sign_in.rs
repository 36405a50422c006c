//! Signing in and out, and confirming who somebody is.

use app::api::account::ConfirmForm;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, RequestContext, Secret, SignIn, SignInStep, Stage};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use serde_json::json;

use super::answers::{database, hashing, store};
use super::door::Door;
use super::second_factor::{self, Right};
use super::tries::Try;
use super::{email, passwords};
use crate::store::administrators;
use crate::store::events::{self, NewEvent};

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
        events::record(&mut db, &event).await.map_err(store)?;
        Ok(())
    }

    async fn is_right_code(
        &self,
        actor: &Actor,
        code: &Secret,
        now: DateTime<Utc>,
    ) -> Answer<Option<Right>> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let vault = &self.door.vault;
        Ok(second_factor::verify(&mut db, vault, actor.id, code.reveal(), now).await?)
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
                    .map_err(store)?;
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

    async fn second_factor(&self, request: &RequestContext, code: Secret) -> Answer<()> {
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
        let Some(right) = self.is_right_code(&actor, &code, now).await? else {
            let cause = ("wrong-code", "The second factor is wrong.");
            self.fail(Some(&actor.email), request, cause, now).await?;
            return Err(wrong_code());
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
            .map_err(store)?;
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
        let (code, password) = match (form.code, form.password) {
            (Some(code), _) => (Some(code), None),
            (None, Some(password)) => (None, Some(password)),
            (None, None) => return Err(ApiError::field("password", FieldCode::Required)),
        };
        let attempt = Try::count(&self.door.pool, &actor.email, request.address, now).await?;
        let mut right = None;
        let mut is_right = false;
        if let Some(code) = &code {
            right = self.is_right_code(actor, code, now).await?;
            is_right = right.is_some();
        } else if let Some(password) = &password {
            is_right = self.is_right_password(actor, password).await?;
        }
        if !is_right {
            let cause = ("wrong-confirmation", "They could not confirm who they are.");
            self.fail(Some(&actor.email), request, cause, now).await?;
            return Err(match code {
                Some(_) => ApiError::field("code", FieldCode::CodeWrong),
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
            .map_err(store)?;
        transaction.commit().await.map_err(database)?;
        request.session.confirm().await
    }

    async fn sign_out(&self, request: &RequestContext, actor: &Actor) -> Answer<()> {
        request.session.end().await?;
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let event = NewEvent::new(self.door.clock.now(), EventName::SignOut, &actor.email);
        events::record(&mut db, &event).await.map_err(store)?;
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
        Right::RecoveryCode { left } => format!("Recovery code; codes left: {left}"),
    })
}

fn wrong() -> ApiError {
    ApiError::new(ErrorCode::WrongCredentials)
}

fn wrong_code() -> ApiError {
    ApiError::new(ErrorCode::WrongCode).and_field("code", FieldCode::CodeWrong)
}
