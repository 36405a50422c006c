//! What one-time links are good for: the first administrator, a first or new password, the demo's
//! door.

use app::api::setup::{LinkPurpose, OneTimeLink, RedeemForm};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Answer, RequestContext, Secret, Setup, SignInStep, Stage};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use secrecy::SecretString;
use sqlx::PgConnection;
use uuid::Uuid;

use super::answers::{database, hashing, store};
use super::door::{Door, Scrutiny};
use super::{email, new_password, one_time_links as links, passwords, second_factor};
use crate::store::administrators::{self, Administrator, Role};
use crate::store::events::{self, NewEvent};
use crate::store::one_time_links::{self, Purpose};
use crate::store::sessions;

#[derive(Clone, Debug)]
pub struct SetupService {
    door: Door,
}

impl SetupService {
    pub fn new(door: Door) -> Self {
        Self { door }
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
        if link.expires_at <= self.door.clock.now() {
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
    async fn carry_out(&self, token: &Secret, deed: Deed) -> Answer<(Administrator, Stage)> {
        let now = self.door.clock.now();
        let mut transaction = self.door.pool.begin().await.map_err(database)?;
        let db = &mut *transaction;
        let taken = one_time_links::take(&mut *db, &links::hash(token.reveal()), now).await;
        if !taken.map_err(database)? {
            return Err(ApiError::new(ErrorCode::LinkUsed));
        }
        let is_demo = matches!(deed, Deed::SignIn { .. });
        let (id, told) = match deed {
            Deed::Create { email, hash } => {
                let id = create(&mut *db, email, &hash, now).await?;
                let told = vec![EventName::FirstRunSetup, EventName::AdministratorAdded];
                (id, told)
            }
            Deed::SetPassword { id, hash, anew } => {
                administrators::set_password(&mut *db, id, &hash)
                    .await
                    .map_err(database)?;
                // Whoever was signed in as them is signed out.
                sessions::revoke_all(&mut *db, id, None)
                    .await
                    .map_err(database)?;
                let mut told = vec![EventName::AdministratorChanged];
                if anew
                    && second_factor::remove(&mut *db, id)
                        .await
                        .map_err(database)?
                {
                    told.push(EventName::SecondFactorChanged);
                }
                (id, told)
            }
            Deed::SignIn { id } => (id, Vec::new()),
        };
        let administrator = administrators::by_id(&mut *db, id)
            .await
            .map_err(database)?;
        let administrator = administrator.ok_or_else(|| ApiError::new(ErrorCode::LinkInvalid))?;
        let stage = match self.door.scrutiny {
            Scrutiny::Demo if is_demo => Stage::Inside,
            _ => {
                self.door
                    .after_password(&mut *db, &administrator, now)
                    .await?
            }
        };
        let mut told = told;
        if stage != Stage::SecondFactor {
            administrators::signed_in(&mut *db, id, now)
                .await
                .map_err(database)?;
            told.push(EventName::SignIn);
        }
        for name in told {
            let event = NewEvent::new(now, name, &administrator.email).reason("One-time link");
            events::record(&mut *db, &event).await.map_err(store)?;
        }
        transaction.commit().await.map_err(database)?;
        Ok((administrator, stage))
    }

    async fn first_administrator(&self, form: &RedeemForm) -> Answer<(String, SecretString)> {
        let typed = form.email.as_deref();
        let email = typed.and_then(email::normalize);
        let password = self
            .password(form, email.as_deref().unwrap_or_default())
            .await;
        let Some(email) = email else {
            let code = match typed {
                None => FieldCode::Required,
                Some(_) => FieldCode::NotAnEmail,
            };
            let mut problems = ApiError::field("email", code);
            if let Err(further) = password {
                problems.fields.extend(further.fields);
            }
            return Err(problems);
        };
        Ok((email, password?))
    }

    async fn password(&self, form: &RedeemForm, email: &str) -> Answer<SecretString> {
        let (password, repeated) = (form.password.as_ref(), form.repeated.as_ref());
        new_password::check(&self.door.breached, password, repeated, email).await
    }
}

/// What a redeemed link does.
enum Deed {
    Create {
        email: String,
        hash: String,
    },
    /// `anew`: the second factor is set up anew, too.
    SetPassword {
        id: Uuid,
        hash: String,
        anew: bool,
    },
    SignIn {
        id: Uuid,
    },
}

async fn create(
    db: &mut PgConnection,
    email: String,
    hash: &str,
    now: DateTime<Utc>,
) -> Answer<Uuid> {
    let administrator = Administrator {
        id: Uuid::now_v7(),
        email,
        role: Role::SuperAdministrator,
        created_at: now,
        last_sign_in: None,
    };
    let added = administrators::add(&mut *db, &administrator, hash).await;
    if !added.map_err(database)? {
        return Err(ApiError::field("email", FieldCode::Taken));
    }
    one_time_links::end_first_run(db).await.map_err(database)?;
    Ok(administrator.id)
}

#[async_trait]
impl Setup for SetupService {
    async fn link(&self, token: &Secret) -> Answer<OneTimeLink> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let (purpose, expires_at) = self.look(&mut db, token).await?;
        let (purpose, administrator) = match purpose {
            Purpose::FirstAdministrator => (LinkPurpose::FirstAdministrator, None),
            Purpose::Invitation(id) => (LinkPurpose::Invitation, Some(id)),
            Purpose::ResetPassword(id) | Purpose::ResetAccess(id) => {
                (LinkPurpose::ResetPassword, Some(id))
            }
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
    ) -> Answer<SignInStep> {
        let mut db = self.door.pool.acquire().await.map_err(database)?;
        let (purpose, _) = self.look(&mut db, &token).await?;
        let deed = match purpose {
            Purpose::DemoSignIn(id) => Deed::SignIn { id },
            Purpose::FirstAdministrator => {
                drop(db);
                let (email, password) = self.first_administrator(&form).await?;
                let hash = passwords::hash(password).await.map_err(hashing)?;
                Deed::Create { email, hash }
            }
            Purpose::Invitation(id) | Purpose::ResetPassword(id) | Purpose::ResetAccess(id) => {
                let whose = administrators::by_id(&mut db, id).await.map_err(database)?;
                drop(db);
                // Shut out meanwhile, or removed.
                let whose = whose.ok_or_else(|| ApiError::new(ErrorCode::LinkInvalid))?;
                let password = self.password(&form, &whose.email).await?;
                Deed::SetPassword {
                    id,
                    hash: passwords::hash(password).await.map_err(hashing)?,
                    anew: matches!(purpose, Purpose::ResetAccess(_)),
                }
            }
        };
        let (administrator, stage) = self.carry_out(&token, deed).await?;
        let actor = super::actor(&administrator);
        request.session.start(&actor, stage).await?;
        Ok(match stage {
            Stage::Inside => SignInStep::Inside,
            Stage::SecondFactor => SignInStep::SecondFactor,
            Stage::Enrolment => SignInStep::Enrolment,
        })
    }
}
