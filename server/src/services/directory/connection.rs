//! The connection: saved as a whole or not at all, each scope tested by itself, read on demand.

use app::api::directory::{
    Confirmed, Connection, ConnectionForm, DirectoryChange, DirectoryQuestion, ImportFacts,
    ImportProgress, Push, SavedConnection, ScopeCheck, ScopeResult,
};
use app::api::terms::Outcome;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Secret};
use provisioning::event::EventName;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::Url;

use super::super::standing::number;
use super::super::{email, excuses};
use crate::connectors::google_directory::{DEFAULT_ENDPOINT, MY_CUSTOMER};
use crate::connectors::{self, KeyProblem, Scope, ServiceAccountKey};
use crate::store::connection::{self as stored, ConnectionSettings};
use crate::store::credentials::{self, Credential};
use crate::store::events::{self, NewEvent};
use crate::store::imports::{self, ImportSummary};
use crate::store::scope_checks::{self, CheckResult, StoredCheck};
use crate::store::{StoreError, push, standings};
use crate::sync::tenant::{self, ConfirmError};
use crate::sync::{Engine, run};

/// A page of Google's listing of people.
const PAGE_OF_PEOPLE: i64 = 500;

pub async fn show(engine: &Engine) -> Answer<Connection> {
    let mut db = engine.connection().await?;
    let saved = stored::read(&mut db).await?;
    let checks = scope_checks::read(&mut db).await?;
    let running = standings::running_import(&mut db).await?;
    let complete = imports::latest_complete(&mut db).await?;
    let latest = imports::latest(&mut db)
        .await?
        .filter(|import| import.state != "running");
    let push = shown_push(engine, push::state(&mut db, engine.clock.now()).await?);
    let key_id = match &saved {
        Some(_) => key_id(engine, &mut db).await,
        None => None,
    };
    Ok(Connection {
        push,
        default_endpoint: DEFAULT_ENDPOINT.to_owned(),
        scopes: Scope::ALL
            .into_iter()
            .map(|scope| shown_check(scope, &checks))
            .collect(),
        checked_at: checks.iter().map(|check| check.checked_at).max(),
        last_import: latest.or_else(|| complete.clone()).as_ref().map(facts),
        last_complete: complete.as_ref().map(facts),
        running: running.map(|import| ImportProgress {
            started_at: import.started_at,
            stage: match (import.people, import.members) {
                (0, _) => "Org units, domains and groups",
                (_, 0) => "People",
                _ => "Members of groups",
            }
            .to_owned(),
            people: number(import.people),
            groups: 0,
            pages: number((import.people + PAGE_OF_PEOPLE - 1) / PAGE_OF_PEOPLE),
        }),
        question: saved
            .as_ref()
            .and_then(tenant::question)
            .map(shown_question),
        saved: saved.map(|saved| SavedConnection {
            client_id: Some(saved.client_id).filter(|id| !id.is_empty()),
            client_email: saved.client_email,
            key_id,
            token_uri: saved.token_uri,
            admin_email: saved.admin_email,
            endpoint: saved.endpoint,
            customer: saved.customer_id.unwrap_or(saved.customer),
            primary_domain: saved.primary_domain,
            saved_at: saved.updated_at,
            saved_by: Some(saved.updated_by),
        }),
    })
}

fn shown_push(engine: &Engine, state: push::State) -> Push {
    match (engine.push_address(), state.problem, state.until) {
        (None, ..) => Push::Unreachable,
        (_, Some(problem), _) => Push::Refused {
            problem,
            next_try: state.next_try_at,
        },
        (_, None, Some(until)) => Push::On {
            until,
            last: state.hinted_at,
        },
        (_, None, None) => Push::Starting,
    }
}

fn shown_question(question: tenant::Question) -> DirectoryQuestion {
    match question {
        tenant::Question::Tenant {
            recorded_customer,
            recorded_domain,
            customer,
            domain,
        } => DirectoryQuestion::OtherDirectory(DirectoryChange {
            recorded_customer,
            seen_customer: customer,
            recorded_domain,
            seen_domain: domain,
        }),
        tenant::Question::Shrunk { from, to } => DirectoryQuestion::FarFewerPeople {
            before: number(i64::from(from)),
            now: number(i64::from(to)),
        },
    }
}

/// By which name Google's page lists the stored key.
async fn key_id(engine: &Engine, db: &mut PgConnection) -> Option<String> {
    let key = credentials::get(db, &engine.vault, Credential::DirectoryKey)
        .await
        .ok()??;
    let key: Value = serde_json::from_str(key.expose_secret()).ok()?;
    key.get("private_key_id")?.as_str().map(str::to_owned)
}

fn facts(import: &ImportSummary) -> ImportFacts {
    ImportFacts {
        started_at: import.started_at,
        finished_at: import.finished_at,
        outcome: if import.state == "failed" {
            Outcome::Failed
        } else {
            Outcome::Ok
        },
        problem: import.error_message.clone(),
        people: number(import.counts.people),
        deleted: number(import.counts.deleted_people),
        groups: number(import.counts.groups),
        org_units: number(import.counts.org_units),
        requests: number(import.counts.requests),
    }
}

fn shown_check(scope: Scope, checks: &[StoredCheck]) -> ScopeCheck {
    let check = checks.iter().find(|check| check.scope == scope.url());
    let mut purpose = scope.purpose().to_owned();
    if let Some(first) = purpose.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    ScopeCheck {
        scope: scope.url().to_owned(),
        purpose,
        result: match check.map(|check| check.result) {
            None => ScopeResult::Untested,
            Some(CheckResult::Granted) => ScopeResult::Granted,
            Some(CheckResult::Missing) => ScopeResult::Missing,
            Some(CheckResult::Failed) => ScopeResult::Failed,
        },
        sentence: check.map_or_else(
            || "Not tested yet.".to_owned(),
            |check| check.sentence.clone(),
        ),
    }
}

/// What a form says, once all of it holds.
struct Parsed {
    settings: ConnectionSettings,
    /// The key as given, when one was; else the stored one stays.
    key: Option<SecretString>,
}

pub async fn save(engine: &Engine, actor: &Actor, form: ConnectionForm) -> Answer<()> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    let before = stored::read(&mut transaction).await?;
    let has_key = credentials::stored_at(&mut transaction, Credential::DirectoryKey)
        .await
        .map_err(StoreError::from)?
        .is_some();
    let parsed = parse(engine, &form, before.as_ref().filter(|_| has_key))?;
    let changes = differences(before.as_ref(), &parsed);
    if changes.is_empty() {
        // The same as before: nothing to record, but worth a test.
        transaction.commit().await.map_err(StoreError::from)?;
        return test(engine).await;
    }
    stored::save(&mut transaction, &parsed.settings, now, &actor.email).await?;
    if let Some(key) = &parsed.key {
        credentials::put(
            &mut transaction,
            &engine.vault,
            Credential::DirectoryKey,
            key,
            now,
        )
        .await?;
    }
    scope_checks::forget(&mut transaction).await?;
    let name = if before.is_some() {
        EventName::DirectoryChanged
    } else {
        EventName::DirectoryConnected
    };
    let event = NewEvent::new(now, name, &actor.email).changes(Value::Array(changes));
    events::record(&mut transaction, &event).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    test(engine).await
}

/// Everything that is wrong is said at once; nothing of it is saved.
fn parse(
    engine: &Engine,
    form: &ConnectionForm,
    before: Option<&stored::Connection>,
) -> Answer<Parsed> {
    let mut problems = ApiError::new(ErrorCode::Invalid);
    let admin_email = match (form.admin_email.trim(), email::normalize(&form.admin_email)) {
        ("", _) => {
            problems = problems.and_field("admin_email", FieldCode::Required);
            None
        }
        (_, None) => {
            problems = problems.and_field("admin_email", FieldCode::NotAnEmail);
            None
        }
        (_, found) => found,
    };
    let typed = form
        .endpoint
        .as_deref()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .unwrap_or(DEFAULT_ENDPOINT);
    let endpoint = match Url::parse(typed) {
        Err(_) => {
            problems = problems.and_field("endpoint", FieldCode::NotAUrl);
            None
        }
        Ok(url) => match engine.outgoing().check(&url) {
            Err(refusal) => {
                problems
                    .fields
                    .extend(excuses::target("endpoint", &refusal).fields);
                None
            }
            Ok(()) => Some(url),
        },
    };
    let key = form
        .key
        .as_ref()
        .filter(|key| !key.reveal().trim().is_empty());
    let parsed_key = match key {
        Some(key) => match parse_key(engine, key) {
            Ok(key) => Some(key),
            Err(code) => {
                problems = problems.and_field("key", code);
                None
            }
        },
        None => None,
    };
    if key.is_none() {
        // A key goes only where it was given for.
        let same_origin = before
            .zip(endpoint.as_ref())
            .is_some_and(|(before, endpoint)| {
                Url::parse(&before.endpoint).is_ok_and(|known| known.origin() == endpoint.origin())
            });
        let refused_endpoint = endpoint.is_none() && before.is_some();
        if !same_origin && !refused_endpoint {
            problems = problems.and_field("key", FieldCode::Required);
        }
    }
    let (Some(admin_email), Some(endpoint), true) =
        (admin_email, endpoint, problems.fields.is_empty())
    else {
        return Err(problems);
    };
    let customer = before.map_or_else(|| MY_CUSTOMER.to_owned(), |before| before.customer.clone());
    let endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
    let settings = match (&parsed_key, before) {
        (Some(key), _) => ConnectionSettings {
            endpoint,
            token_uri: key.token_uri().to_string(),
            admin_email,
            customer,
            client_email: key.client_email().to_owned(),
            client_id: key.client_id().unwrap_or_default().to_owned(),
        },
        (None, Some(before)) => ConnectionSettings {
            endpoint,
            token_uri: before.token_uri.clone(),
            admin_email,
            customer,
            client_email: before.client_email.clone(),
            client_id: before.client_id.clone(),
        },
        (None, None) => return Err(ApiError::field("key", FieldCode::Required)),
    };
    Ok(Parsed {
        settings,
        key: key.map(|key| SecretString::from(key.reveal())),
    })
}

fn parse_key(engine: &Engine, key: &Secret) -> Result<ServiceAccountKey, FieldCode> {
    let key = ServiceAccountKey::parse(key.reveal()).map_err(|problem| match problem {
        KeyProblem::Empty => FieldCode::Required,
        KeyProblem::NotJson { .. } => FieldCode::NotJson,
        KeyProblem::PrivateKey => FieldCode::KeyUnreadable,
        KeyProblem::TooLarge
        | KeyProblem::NotServiceAccount { .. }
        | KeyProblem::Missing { .. }
        | KeyProblem::TokenUri => FieldCode::NotAServiceAccountKey,
    })?;
    engine
        .outgoing()
        .check(key.token_uri())
        .map_err(|_| FieldCode::TargetNotAllowed)?;
    Ok(key)
}

/// What the log tells of a saved form. Of the key it tells that it is another one.
fn differences(before: Option<&stored::Connection>, parsed: &Parsed) -> Vec<Value> {
    let after = &parsed.settings;
    let old = |read: fn(&stored::Connection) -> &String| before.map(read).cloned();
    let mut changes: Vec<Value> = [
        ("endpoint", old(|c| &c.endpoint), &after.endpoint),
        ("administrator", old(|c| &c.admin_email), &after.admin_email),
        (
            "service account",
            old(|c| &c.client_email),
            &after.client_email,
        ),
        ("token address", old(|c| &c.token_uri), &after.token_uri),
    ]
    .into_iter()
    .filter(|(_, old, new)| old.as_ref() != Some(new))
    .map(|(attribute, old, new)| json!({ "attribute": attribute, "old": old, "new": new }))
    .collect();
    if parsed.key.is_some() {
        changes.push(
            json!({ "attribute": "key", "old": before.map(|_| "stored"), "new": "stored anew" }),
        );
    }
    changes
}

/// Tries every scope by itself and keeps what came of it.
pub async fn test(engine: &Engine) -> Answer<()> {
    let directory = engine.directory().await.map_err(excuses::import)?;
    let tested = directory.test_scopes().await;
    let checked_at = engine.clock.now();
    let checks: Vec<StoredCheck> = tested
        .into_iter()
        .map(|check| {
            let (result, sentence) = match check.result {
                connectors::ScopeResult::Ok => (CheckResult::Granted, "Granted.".to_owned()),
                connectors::ScopeResult::Missing { sentence } => (CheckResult::Missing, sentence),
                connectors::ScopeResult::Failed { sentence, .. } => (CheckResult::Failed, sentence),
            };
            StoredCheck {
                scope: check.scope.url().to_owned(),
                result,
                sentence,
                checked_at,
            }
        })
        .collect();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    scope_checks::replace(&mut transaction, &checks).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}

/// What an administrator saw on the page is right; apps that stopped for it go on.
pub async fn confirm(engine: &Engine, actor: &Actor, confirmed: Confirmed) -> Answer<()> {
    let confirmation = match confirmed {
        Confirmed::Directory { customer, domain } => {
            tenant::Confirmation::Tenant { customer, domain }
        }
        Confirmed::People(people) => {
            tenant::Confirmation::People(i32::try_from(people).unwrap_or(i32::MAX))
        }
    };
    match tenant::confirm(engine, &actor.email, &confirmation).await {
        Ok(_) => Ok(()),
        Err(ConfirmError::NotConnected) => Err(ApiError::new(ErrorCode::DirectoryNotConnected)),
        Err(ConfirmError::NotAsked) => Err(ApiError::new(ErrorCode::Conflict)),
        Err(ConfirmError::Store(error)) => Err(error.into()),
    }
}

/// Reads the directory in the background; the page shows how far it is.
pub async fn read_now(engine: &Engine, actor: &Actor) -> Answer<()> {
    let mut db = engine.connection().await?;
    if stored::read(&mut db).await?.is_none() {
        return Err(ApiError::new(ErrorCode::DirectoryNotConnected));
    }
    drop(db);
    let engine = engine.counting_anew();
    let Some(import) = run::begin_reading(&engine).await? else {
        return Err(ApiError::new(ErrorCode::ImportRunning));
    };
    let actor = actor.email.clone();
    tokio::spawn(async move {
        // What came of it is kept with the reading and shown on the page.
        if let Err(error) = run::read_begun(&engine, import, &actor).await {
            tracing::warn!(
                import = import.0,
                code = error.code(),
                "a reading on demand came to nothing"
            );
        }
    });
    Ok(())
}
