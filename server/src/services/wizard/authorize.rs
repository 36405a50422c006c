//! Step 1: the access token, checked against the app before it is kept.

use app::api::wizard::{AuthorizeForm, AuthorizeStep, Mode};
use app::api::{ApiError, FieldCode};
use app::services::{Actor, Answer};
use provisioning::event::EventName;
use secrecy::SecretString;
use serde_json::json;

use super::super::apps::{AppServices, commit, endpoint, too_long};
use super::super::excuses;
use super::super::setup_draft::Setting;
use super::{opening, require_sign_in};
use crate::authorization::{self, endpoint_text, same_origin};
use crate::configuration;
use crate::connectors::{ScimError, ScimErrorClass};
use crate::store::credentials::{self, Credential, CredentialError};
use crate::store::runs::{NewRun, RunKind};
use crate::store::{apps, events};

const LONGEST_TOKEN: usize = 8 * 1024;

impl AppServices {
    pub(super) async fn authorize_step(&self, slug: &str) -> Answer<AuthorizeStep> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let (head, progress) = opening(&mut db, &setting).await?;
        let stored = credentials::stored_at(&mut db, Credential::AppToken(setting.app.id.0)).await;
        let token_stored = stored.map_err(CredentialError::from)?.is_some();
        let entered = events::newest(&mut db, slug, EventName::TokenChanged).await?;
        Ok(AuthorizeStep {
            head,
            progress,
            endpoint: setting.app.endpoint.clone(),
            endpoint_known: setting.entry.endpoint.is_some(),
            token_stored,
            checked_at: setting.app.authorized_at.filter(|_| token_stored),
            refused_since: (setting.app.stopped_at)
                .filter(|_| configuration::waits_for_token(&setting.app)),
            entered_by: entered.filter(|_| token_stored).map(|event| event.actor),
            instructions: setting.entry.token_help.clone(),
            help_url: None,
        })
    }

    pub(super) async fn keep_authorization(
        &self,
        actor: &Actor,
        slug: &str,
        form: AuthorizeForm,
        mode: Mode,
    ) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        drop(db);
        require_sign_in(&setting)?;
        let app = &setting.app;
        let given = form
            .token
            .as_ref()
            .map(|token| token_of(token.reveal()))
            .transpose()?;
        let address = endpoint(
            &self.engine,
            form.endpoint.as_deref().unwrap_or(&app.endpoint),
        )?;
        let moved = endpoint_text(&address) != app.endpoint;
        if given.is_none() && mode == Mode::Keep && !moved {
            return Ok(());
        }
        let token = match &given {
            Some(token) => token.clone(),
            // A token is only ever sent to the origin that it was entered for.
            None if !same_origin(address.as_str(), &app.endpoint) => {
                return Err(ApiError::field("token", FieldCode::Required));
            }
            None => match self.engine.token(app.id).await? {
                Some(_) if !moved && app.authorized_at.is_some() && mode == Mode::Draft => {
                    return Ok(());
                }
                Some(token) => token,
                None => return Err(ApiError::field("token", FieldCode::Required)),
            },
        };
        let accepted = authorization::check(&self.engine, &setting.entry, address.clone(), token)
            .await
            .map_err(|error| refused(&error))?;

        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        if moved {
            let new = endpoint_text(&address);
            let change = json!([{ "attribute": "endpoint", "old": app.endpoint, "new": new }]);
            apps::rename(&mut *db, app.id, &app.name, &new).await?;
            events::record(
                &mut *db,
                &by.event(EventName::ConfigurationChanged, app)
                    .changes(change),
            )
            .await?;
        }
        if let Some(token) = &given {
            let credential = Credential::AppToken(app.id.0);
            credentials::put(&mut *db, &self.engine.vault, credential, token, by.now).await?;
            events::record(&mut *db, &by.event(EventName::TokenChanged, app)).await?;
        }
        apps::set_authorized(&mut *db, app.id, &accepted.facts, by.now).await?;
        apps::set_learned(&mut *db, app.id, &accepted.learned).await?;
        if moved && setting.config.is_none() {
            crate::store::runs::outdate_previews(&mut *db, app.id, by.now).await?;
        }
        let resumed = configuration::reauthorize(db, app, by).await?;
        commit(transaction).await?;
        if resumed {
            let new = NewRun {
                app: app.id,
                kind: RunKind::Manual,
                actor: by.actor,
                config_version: app.config_version,
                fresh_import: true,
                plan_of: None,
            };
            self.queue.start(&new).await?;
        }
        Ok(())
    }
}

/// A token is one word; what a clipboard adds around it is not part of it.
fn token_of(text: &str) -> Answer<SecretString> {
    let token = text.trim();
    if token.len() > LONGEST_TOKEN {
        return Err(too_long("token", LONGEST_TOKEN));
    }
    if token.is_empty() {
        return Err(ApiError::field("token", FieldCode::Required));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::field("token", FieldCode::Invalid));
    }
    Ok(SecretString::from(token))
}

fn refused(error: &ScimError) -> ApiError {
    match error.class {
        ScimErrorClass::Authorization => ApiError::field("token", FieldCode::TokenRefused),
        ScimErrorClass::Target => ApiError::field("endpoint", FieldCode::TargetNotAllowed),
        _ => excuses::scim(error),
    }
}
