//! What only shows against the stored configuration, or by asking directory and apps.

use provisioning::config::file::{FileProblem, TokenSource};
use secrecy::SecretString;
use sqlx::PgConnection;

use super::ConfigFileError;
use super::material::{Wanted, WantedApp, WantedDirectory, problem};
use crate::authorization::{self, same_origin};
use crate::connectors::{ConnectionSettings, GoogleDirectory, ScopeCheck};
use crate::store::apps;
use crate::store::connection;
use crate::store::credentials::{self, Credential};
use crate::sync::run::RunError;
use crate::sync::{Engine, inputs};

/// Names everything that can't be applied to what is stored, and fills in the ids that are known.
pub(super) async fn against_stored(
    engine: &Engine,
    db: &mut PgConnection,
    mut wanted: Wanted,
) -> Result<(Wanted, Vec<FileProblem>), ConfigFileError> {
    let mut problems = Vec::new();
    if let Some(directory) = &wanted.directory {
        problems.extend(directory_problem(db, directory).await?);
    }
    for app in &mut wanted.apps {
        app_problems(engine, db, app, &mut problems).await?;
    }
    Ok((wanted, problems))
}

async fn directory_problem(
    db: &mut PgConnection,
    wanted: &WantedDirectory,
) -> Result<Option<FileProblem>, ConfigFileError> {
    const KEY: &str = "directory.google.service_account_file";
    if wanted.key.is_some() {
        return Ok(None);
    }
    let stored = connection::read(&mut *db).await?;
    let has_key = credentials::stored_at(db, Credential::DirectoryKey)
        .await?
        .is_some();
    Ok(match stored {
        Some(stored) if has_key => (!same_origin(&stored.endpoint, wanted.endpoint.as_str())).then(|| {
            problem(KEY, "key-needed", format!(
                "the endpoint moves from {} to {}, so the key has to be given again; name its file",
                stored.endpoint, wanted.file.endpoint
            ))
        }),
        _ => Some(problem(KEY, "key-needed", "no key is stored yet; name the service account's key file")),
    })
}

async fn app_problems(
    engine: &Engine,
    db: &mut PgConnection,
    wanted: &mut WantedApp,
    problems: &mut Vec<FileProblem>,
) -> Result<(), ConfigFileError> {
    let stored_app = apps::by_slug(&mut *db, wanted.file.slug.as_str()).await?;
    let key = wanted.key.clone();
    let mut stored_config = None;
    let mut has_token = false;
    if let Some(app) = &stored_app {
        stored_config = inputs::configuration(&mut *db, app).await?;
        has_token = credentials::get(&mut *db, &engine.vault, Credential::AppToken(app.id.0))
            .await?
            .is_some();
        if app.catalog != wanted.file.catalog {
            problems.push(problem(format!("{key}.catalog"), "catalog-changed", format!(
                "{} was added as {:?}, which can't change; choose another slug for the other app",
                app.slug, app.catalog
            )));
        }
        let moves = !same_origin(&app.endpoint, wanted.endpoint.as_str());
        if moves && has_token && wanted.token.is_none() {
            problems.push(problem(format!("{key}.token_file"), "token-needed", format!(
                "the endpoint moves from {} to {}, so the access token has to be given again; name its file",
                app.endpoint, wanted.file.endpoint
            )));
        }
    }
    if let Some(stored) = &stored_config {
        wanted.file.config.keep_ids_of(stored);
        // A group's alias, such as its address before a rename, is no other group.
        match inputs::facts(db, stored).await {
            Ok(facts) => drop(wanted.file.config.resolve_ids(&facts)),
            Err(RunError::Store(error)) => return Err(error.into()),
            // There was no import yet.
            Err(_) => {}
        }
    }
    for found in wanted
        .file
        .config
        .validate(wanted.entry, stored_config.as_ref())
    {
        let field = format!("{key}.{}", found.field);
        problems.push(FileProblem {
            key: field,
            line: None,
            code: found.code,
            message: found.message,
        });
    }
    if wanted.file.autoprovisioning {
        if wanted.file.config.sso.is_none() {
            problems.push(problem(
                format!("{key}.sso"),
                "sso-missing",
                format!(
                    "autoprovisioning of {} can't be on before sign-in is set up; add [app.sso]",
                    wanted.file.slug
                ),
            ));
        }
        if wanted.token.is_none() && !has_token {
            problems.push(problem(format!("{key}.token_file"), "token-missing", format!(
                "autoprovisioning of {} can't be on without an access token; name its file, or the variable that holds it (token_env)",
                wanted.file.slug
            )));
        }
    }
    Ok(())
}

/// Asks the directory for every scope and each app for users, with what is given or stored.
pub(super) async fn over_the_network(
    engine: &Engine,
    mut wanted: Wanted,
) -> Result<Wanted, Vec<FileProblem>> {
    let mut problems = Vec::new();
    if let Some(directory) = &wanted.directory {
        problems.extend(ask_directory(engine, directory).await);
    }
    for app in &mut wanted.apps {
        let (source, token) = match &app.token {
            Some(token) => match &app.file.token {
                Some(TokenSource::Env(_)) => ("token_env", Some(token.clone())),
                _ => ("token_file", Some(token.clone())),
            },
            None => ("endpoint", stored_token(engine, app).await),
        };
        let Some(token) = token else { continue };
        match authorization::check(engine, app.entry, app.endpoint.clone(), token).await {
            Ok(accepted) => app.accepted = Some(accepted),
            Err(error) => {
                let field = if error.is_authorization() {
                    source
                } else {
                    "endpoint"
                };
                problems.push(problem(
                    format!("{}.{field}", app.key),
                    error.code(),
                    error.to_string(),
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(wanted)
    } else {
        Err(problems)
    }
}

async fn stored_token(engine: &Engine, wanted: &WantedApp) -> Option<SecretString> {
    let mut db = engine.connection().await.ok()?;
    let app = apps::by_slug(&mut db, wanted.file.slug.as_str())
        .await
        .ok()??;
    drop(db);
    engine.token(app.id).await.ok()?
}

async fn ask_directory(engine: &Engine, wanted: &WantedDirectory) -> Vec<FileProblem> {
    let client = match &wanted.key {
        Some((_, key)) => {
            let settings = ConnectionSettings {
                endpoint: wanted.endpoint.clone(),
                admin_email: wanted.file.admin_email.clone(),
                customer: wanted.file.customer.clone(),
                key: key.clone(),
            };
            GoogleDirectory::new(settings, engine.outgoing().clone(), engine.clock.clone())
                .map_err(|error| (error.code(), error.to_string()))
        }
        None => engine
            .directory()
            .await
            .map_err(|error| (error.code(), error.to_string())),
    };
    let client = match client {
        Ok(client) => client,
        Err((code, sentence)) => return vec![problem("directory.google", code, sentence)],
    };
    let checks = client.test_scopes().await;
    // What stands in the way of one scope often stands in the way of all.
    let forbidden = ScopeCheck::forbidden_purposes(&checks);
    let mut sentences: Vec<String> = Vec::new();
    for check in &checks {
        let Some(sentence) = check.sentence() else {
            continue;
        };
        let sentence = match check.is_forbidden() {
            true => sentence.replacen(check.purpose, &forbidden, 1),
            false => sentence.to_owned(),
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
        .into_iter()
        .map(|sentence| problem("directory.google", "directory-refused", sentence))
        .collect()
}
