//! What one-time links are good for: the first administrator, a new password, the demo's door.

use std::sync::Arc;

use app::api::setup::{LinkPurpose, OneTimeLink, RedeemForm};
use app::api::{ApiError, ErrorCode, FieldCode, FieldError};
use app::services::{Actor, Answer, RequestContext, Secret, Setup};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use secrecy::SecretString;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::answers::{database, hashing, store};
use super::passwords::PasswordProblem;
use super::{email, one_time_links as links, passwords};
use crate::clock::Clock;
use crate::store::administrators::{self, Administrator, Role};
use crate::store::events::{self, NewEvent};
use crate::store::one_time_links::{self, Purpose};

#[derive(Clone, Debug)]
pub struct SetupService {
    pool: PgPool,
    clock: Arc<dyn Clock>,
}

impl SetupService {
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// What the link is good for now, and until when; an error says why it is not.
    async fn look(
        &self,
        db: &mut PgConnection,
        token: &Secret,
    ) -> Answer<(Purpose, DateTime<Utc>)> {
        let refuse = |code| Err(ApiError::new(code));
        let found = one_time_links::find(&mut *db, &links::hash(token.reveal())).await;
        let Some(link) = found.map_err(database)? else {
            return refuse(ErrorCode::LinkInvalid);
        };
        if link.used_at.is_some() {
            return refuse(ErrorCode::LinkUsed);
        }
        if link.expires_at <= self.clock.now() {
            return refuse(ErrorCode::LinkExpired);
        }
        if link.purpose == Purpose::FirstAdministrator
            && administrators::any(db).await.map_err(database)?
        {
            return refuse(ErrorCode::LinkUsed);
        }
        Ok((link.purpose, link.expires_at))
    }

    /// In one transaction: nothing happens to the link unless all of it happens.
    async fn carry_out(&self, token: &Secret, deed: Deed) -> Answer<Actor> {
        let now = self.clock.now();
        let mut transaction = self.pool.begin().await.map_err(database)?;
        let taken = one_time_links::take(&mut transaction, &links::hash(token.reveal()), now).await;
        if !taken.map_err(database)? {
            return Err(ApiError::new(ErrorCode::LinkUsed));
        }
        let (id, told) = match deed {
            Deed::Create { email, hash } => {
                let id = Uuid::now_v7();
                let administrator = Administrator {
                    id,
                    email,
                    role: Role::SuperAdministrator,
                    created_at: now,
                    last_sign_in: None,
                };
                let added = administrators::add(&mut transaction, &administrator, &hash).await;
                if !added.map_err(database)? {
                    return Err(ApiError::field("email", FieldCode::Taken));
                }
                one_time_links::end_first_run(&mut transaction)
                    .await
                    .map_err(database)?;
                (
                    id,
                    vec![EventName::FirstRunSetup, EventName::AdministratorAdded],
                )
            }
            Deed::SetPassword { id, hash } => {
                administrators::set_password(&mut transaction, id, &hash)
                    .await
                    .map_err(database)?;
                (id, vec![EventName::AdministratorChanged])
            }
            Deed::SignIn { id } => (id, Vec::new()),
        };
        administrators::signed_in(&mut transaction, id, now)
            .await
            .map_err(database)?;
        let administrator = administrators::by_id(&mut transaction, id)
            .await
            .map_err(database)?;
        let administrator = administrator.ok_or_else(|| ApiError::new(ErrorCode::LinkInvalid))?;
        for name in told.into_iter().chain([EventName::SignIn]) {
            let event = NewEvent::new(now, name, &administrator.email).reason("One-time link");
            events::record(&mut transaction, &event)
                .await
                .map_err(store)?;
        }
        transaction.commit().await.map_err(database)?;
        Ok(super::actor(&administrator))
    }
}

/// What a redeemed link does.
enum Deed {
    Create { email: String, hash: String },
    SetPassword { id: Uuid, hash: String },
    SignIn { id: Uuid },
}

#[async_trait]
impl Setup for SetupService {
    async fn link(&self, token: &Secret) -> Answer<OneTimeLink> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let (purpose, expires_at) = self.look(&mut db, token).await?;
        let (purpose, administrator) = match purpose {
            Purpose::FirstAdministrator => (LinkPurpose::FirstAdministrator, None),
            Purpose::ResetPassword(id) => (LinkPurpose::ResetPassword, Some(id)),
            Purpose::DemoSignIn(id) => (LinkPurpose::DemoSignIn, Some(id)),
        };
        let email = match administrator {
            Some(id) => administrators::by_id(&mut db, id).await.map_err(database)?,
            None => None,
        };
        Ok(OneTimeLink {
            purpose,
            email: email.map(|one| one.email),
            expires_at,
        })
    }

    async fn redeem(
        &self,
        request: &RequestContext,
        token: Secret,
        form: RedeemForm,
    ) -> Answer<Actor> {
        let mut db = self.pool.acquire().await.map_err(database)?;
        let (purpose, _) = self.look(&mut db, &token).await?;
        let deed = match purpose {
            Purpose::DemoSignIn(id) => Deed::SignIn { id },
            Purpose::FirstAdministrator => {
                drop(db);
                let (email, password) = first_administrator(&form)?;
                Deed::Create {
                    email,
                    hash: passwords::hash(password).await.map_err(hashing)?,
                }
            }
            Purpose::ResetPassword(id) => {
                let whose = administrators::by_id(&mut db, id).await.map_err(database)?;
                drop(db);
                let email = whose.map(|one| one.email).unwrap_or_default();
                let mut problems = ApiError::new(ErrorCode::Invalid);
                let password = new_password(&form, &email, &mut problems);
                problems.into_result()?;
                Deed::SetPassword {
                    id,
                    hash: passwords::hash(password).await.map_err(hashing)?,
                }
            }
        };
        let actor = self.carry_out(&token, deed).await?;
        request.session.start(&actor).await?;
        Ok(actor)
    }
}

fn first_administrator(form: &RedeemForm) -> Answer<(String, SecretString)> {
    let mut problems = ApiError::new(ErrorCode::Invalid);
    let typed = form.email.as_deref();
    let email = typed.and_then(email::normalize);
    if email.is_none() {
        let code = if typed.is_none() {
            FieldCode::Required
        } else {
            FieldCode::NotAnEmail
        };
        problems = problems.and_field("email", code);
    }
    let email = email.unwrap_or_default();
    let password = new_password(form, &email, &mut problems);
    problems.into_result()?;
    Ok((email, password))
}

/// Adds what is wrong with the new password to `problems`.
fn new_password(form: &RedeemForm, email: &str, problems: &mut ApiError) -> SecretString {
    let mut refuse = |field: &str, code, args| {
        problems.fields.push(FieldError {
            field: field.to_owned(),
            code,
            args,
        });
    };
    let Some(password) = &form.password else {
        refuse("password", FieldCode::Required, Vec::new());
        return SecretString::default();
    };
    let text = SecretString::from(password.reveal());
    match passwords::check(&text, email) {
        Ok(()) => {}
        Err(PasswordProblem::TooShort) => {
            refuse(
                "password",
                FieldCode::TooShort,
                vec![passwords::SHORTEST.to_string()],
            );
        }
        Err(PasswordProblem::TooLong) => {
            refuse(
                "password",
                FieldCode::TooLong,
                vec![passwords::LONGEST.to_string()],
            );
        }
        Err(PasswordProblem::TooCommon) => {
            refuse("password", FieldCode::PasswordTooCommon, Vec::new());
        }
    }
    if form.repeated.as_ref().map(Secret::reveal) != Some(password.reveal()) {
        refuse("repeated", FieldCode::PasswordsDiffer, Vec::new());
    }
    text
}
