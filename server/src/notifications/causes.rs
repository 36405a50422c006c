//! What needs somebody right now, and who was told of it.

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::config::{AppConfig, Sso};
use sqlx::{Connection as _, PgConnection};

use super::message::Message;
use crate::store::apps::{self, App, AppState};
use crate::store::notifications::{self as store, ChannelId, MessageKind};
use crate::store::settings::{self, BrokenLog};
use crate::store::{Result, connection, person_decisions};
use crate::sync::tenant::{DIRECTORY_CHANGED, Question, question};
use crate::sync::{inputs, pending};

/// From how long before it a certificate's end needs somebody.
const CERTIFICATE_WARNING: TimeDelta = TimeDelta::days(30);

/// Something that needs somebody. Two with the same key are the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    pub key: String,
    pub message: Message,
}

/// Opens what is new, ends what is over, and writes the messages about both, in the caller's
/// transaction. As long as no channel is on, nothing is told and nothing is kept.
pub async fn look(db: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    if !store::may_look(&mut *db).await? {
        return Ok(());
    }
    let open = store::open_causes(&mut *db).await?;
    let channels = store::channels(&mut *db).await?;
    let channels: Vec<ChannelId> = (channels.iter())
        .filter(|channel| channel.on)
        .map(|channel| channel.id)
        .collect();
    if channels.is_empty() && open.is_empty() {
        return Ok(());
    }
    let current = current(&mut *db, now).await?;
    for cause in &current {
        if channels.is_empty() || open.iter().any(|open| open.key == cause.key) {
            continue;
        }
        let message = &cause.message;
        let id =
            store::open_cause(&mut *db, &cause.key, &message.title, &message.path, now).await?;
        for channel in &channels {
            store::put(
                &mut *db,
                *channel,
                Some(id),
                MessageKind::Opened,
                message,
                now,
            )
            .await?;
        }
    }
    for open in open {
        if current.iter().any(|cause| cause.key == open.key) {
            continue;
        }
        let message = over(&open, now);
        for channel in store::resolve_cause(&mut *db, open.id, now).await? {
            store::put(
                &mut *db,
                channel,
                Some(open.id),
                MessageKind::Resolved,
                &message,
                now,
            )
            .await?;
        }
    }
    Ok(())
}

/// The same for whoever causes something: what goes wrong here must not undo what they do.
pub async fn look_along(db: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    let mut inner = db.begin().await?;
    match look(&mut inner, now).await {
        Ok(()) => inner.commit().await?,
        Err(error) => {
            tracing::error!(%error, "what needs somebody could not be told; it is looked at again");
            inner.rollback().await?;
        }
    }
    Ok(())
}

fn over(open: &store::OpenCause, now: DateTime<Utc>) -> Message {
    let (cause, app) = match open.key.split('/').collect::<Vec<_>>().as_slice() {
        [cause, app, ..] => ((*cause).to_owned(), Some((*app).to_owned())),
        _ => (open.key.clone(), None),
    };
    Message {
        cause,
        app,
        title: open.title.clone(),
        paragraphs: Vec::new(),
        path: open.path.clone(),
        at: open.opened_at,
    }
    .over(now)
}

/// Everything that needs somebody now.
pub async fn current(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Vec<Cause>> {
    let mut found = Found {
        causes: Vec::new(),
        now,
    };
    if let Some(broken) = settings::get::<BrokenLog>(&mut *db).await?.0 {
        found.add(
            "log-broken",
            None,
            "",
            "The audit log is broken",
            [
                format!("The audit log is not as it was sealed: {broken}"),
                "Somebody changed or removed events past Rollcall, or the database was put back to an earlier state. Until it is mended, new events are not sealed.".to_owned(),
                "Run rollcall audit verify, and find out who has access to the database.".to_owned(),
            ],
            "/audit".to_owned(),
        );
    }
    let directory_is_failing = found.directory(&mut *db).await?;
    let paused = store::paused_apps(&mut *db).await?;
    for app in apps::list(&mut *db).await? {
        let pause = paused.iter().find(|(id, _)| *id == app.id.0);
        found
            .app(
                &mut *db,
                &app,
                pause.map(|(_, cause)| cause.as_str()),
                directory_is_failing,
            )
            .await?;
    }
    Ok(found.causes)
}

struct Found {
    causes: Vec<Cause>,
    now: DateTime<Utc>,
}

impl Found {
    /// `about` tells apart what may be true of one app more than once.
    fn add(
        &mut self,
        cause: &str,
        app: Option<&App>,
        about: &str,
        title: impl Into<String>,
        paragraphs: [String; 3],
        path: String,
    ) {
        let mut key = cause.to_owned();
        if let Some(app) = app {
            key = format!("{key}/{}", app.slug);
        }
        if !about.is_empty() {
            key = format!("{key}/{about}");
        }
        self.causes.push(Cause {
            key,
            message: Message {
                cause: cause.to_owned(),
                app: app.map(|app| app.slug.to_string()),
                title: title.into(),
                paragraphs: paragraphs.into(),
                path,
                at: self.now,
            },
        });
    }

    /// Says whether runs fail because of the directory.
    async fn directory(&mut self, db: &mut PgConnection) -> Result<bool> {
        let path = "/directory/connection".to_owned();
        let Some(saved) = connection::read(&mut *db).await? else {
            return Ok(false);
        };
        match question(&saved) {
            Some(Question::Tenant {
                customer, domain, ..
            }) => {
                self.add(
                    "directory-changed",
                    None,
                    "",
                    "Another directory answered",
                    [
                        format!("Google answered for the customer {customer} with the primary domain {domain}, which is not the one on record."),
                        "Every app that was on is stopped. Nothing is sent.".to_owned(),
                        "Confirm the directory on the connection page if it is the right one; otherwise connect the right one.".to_owned(),
                    ],
                    path,
                );
                return Ok(true);
            }
            Some(Question::Shrunk { from, to }) => {
                self.add(
                    "directory-shrunk",
                    None,
                    "",
                    "Most people are gone from the directory",
                    [
                        format!("The directory listed {to} people; before it were {from}."),
                        "Nothing is planned from it, so nobody loses an account.".to_owned(),
                        "Confirm the number on the connection page if it is right.".to_owned(),
                    ],
                    path,
                );
                return Ok(true);
            }
            None => {}
        }
        // One reading that fails is tried again soon; two in a row need somebody.
        let readings = store::ended_readings(db, 2).await?;
        let [Some(why), Some(_)] = readings.as_slice() else {
            return Ok(matches!(readings.first(), Some(Some(_))));
        };
        self.add(
            "directory-failing",
            None,
            "",
            "The directory can't be read",
            [
                format!("The last two readings failed: {why}"),
                "Nothing is planned from them. People who join or leave are not noticed until a reading succeeds.".to_owned(),
                "Test the connection; it says which right is missing, if one is.".to_owned(),
            ],
            path,
        );
        Ok(true)
    }

    async fn app(
        &mut self,
        db: &mut PgConnection,
        app: &App,
        pause: Option<&str>,
        directory_is_failing: bool,
    ) -> Result<()> {
        let name = &app.name;
        let at = |page: &str| format!("/apps/{}/{page}", app.slug);
        match &app.state {
            AppState::NotConfigured => return Ok(()),
            // The directory says so once, for all of them.
            AppState::Stopped { code, .. } if code == DIRECTORY_CHANGED => return Ok(()),
            AppState::Stopped { code, message } => {
                let (title, helps) = match code.as_str() {
                    "reauthorize" => (
                        format!("{name} is stopped: it needs reauthorization"),
                        "Enter a new access token. Mapping, scope, links and timers are kept.",
                    ),
                    _ => (format!("{name} is stopped"), "Its page says what helps."),
                };
                self.add(
                    "app-stopped",
                    Some(app),
                    code,
                    title,
                    [
                        message.clone(),
                        format!("Nothing is sent to {name} until this is resolved; who joins or leaves waits."),
                        helps.to_owned(),
                    ],
                    at("autoprovisioning"),
                );
                return Ok(());
            }
            AppState::Off | AppState::On => {}
        }
        if app.state == AppState::On {
            self.running(&mut *db, app, pause, directory_is_failing)
                .await?;
            self.held(&mut *db, app).await?;
        }
        self.certificate(db, app).await
    }

    async fn running(
        &mut self,
        db: &mut PgConnection,
        app: &App,
        pause: Option<&str>,
        directory_is_failing: bool,
    ) -> Result<()> {
        let name = &app.name;
        if let Some(cause) = pause {
            let next = app.paused_until.unwrap_or(self.now);
            self.add(
                "app-paused",
                Some(app),
                cause,
                format!("{name} is paused: most operations failed"),
                [
                    format!("At least 40 % of the operations of a run failed, most of them with {cause}."),
                    format!("The next try is at {} UTC, then later and later.", next.format("%Y-%m-%d %H:%M")),
                    "The failures of the last run name the cause and the remedy for each.".to_owned(),
                ],
                format!("/apps/{}/runs", app.slug),
            );
            return Ok(());
        }
        let runs = store::ended_runs(db, app.id, 2).await?;
        let failed = |at: usize| runs.get(at).filter(|run| run.state == "failed");
        let Some(last) = failed(0) else {
            return Ok(());
        };
        let why = last.error_message.clone().unwrap_or_default();
        let code = last.error_code.as_deref().unwrap_or_default();
        if code == "scope-unresolved" {
            self.add(
                "scope-unresolved",
                Some(app),
                "",
                format!("{name}: a group or org unit of its scope can't be found or read"),
                [
                    why,
                    format!("Nothing is planned for {name} until then, so nobody loses an account by it."),
                    "Restore the group, or take it out of the scope or of user access.".to_owned(),
                ],
                format!("/apps/{}/autoprovisioning/scope", app.slug),
            );
        } else if failed(1).is_some() && !(directory_is_failing && last.stage == "import") {
            self.add(
                "runs-failing",
                Some(app),
                code,
                format!("Runs of {name} fail"),
                [
                    format!("The last two runs ended early: {why}"),
                    "Who joins or leaves waits until a run succeeds.".to_owned(),
                    "The run's page says more; the next run is tried as scheduled.".to_owned(),
                ],
                format!("/apps/{}/runs", app.slug),
            );
        }
        Ok(())
    }

    async fn held(&mut self, db: &mut PgConnection, app: &App) -> Result<()> {
        let name = &app.name;
        let removals = pending::count_under_review(&mut *db, app).await?;
        if removals > 0 {
            self.add(
                "removals-held",
                Some(app),
                "",
                format!("Removals of {name} wait for your word"),
                [
                    format!("{} held, because they are more than the thresholds allow at once.", counted(removals, "suspension or deletion is", "suspensions and deletions are")),
                    "They may be right, or the directory or a rule may have been changed by mistake. Everything else goes on.".to_owned(),
                    "Look at who and why, then allow or dismiss them.".to_owned(),
                ],
                format!("/apps/{}/review", app.slug),
            );
        }
        let creates = person_decisions::held_creates(db, app.id, None)
            .await?
            .len();
        if creates > 0 {
            self.add(
                "creates-held",
                Some(app),
                "",
                format!("New accounts of {name} wait for your word"),
                [
                    format!(
                        "{} held, because they are more than the ceiling allows in one run.",
                        counted(creates, "create is", "creates are")
                    ),
                    "They may need more seats than there are. Everything else goes on.".to_owned(),
                    "Look at who, then allow them, or raise the ceiling.".to_owned(),
                ],
                format!("/apps/{}/review", app.slug),
            );
        }
        Ok(())
    }

    async fn certificate(&mut self, db: &mut PgConnection, app: &App) -> Result<()> {
        let Some(AppConfig {
            sso:
                Some(Sso::Saml {
                    certificate_expires: Some(on),
                    ..
                }),
            ..
        }) = inputs::configuration(db, app).await?
        else {
            return Ok(());
        };
        if on - self.now > CERTIFICATE_WARNING {
            return Ok(());
        }
        let (name, day) = (&app.name, on.format("%Y-%m-%d").to_string());
        self.add(
            "certificate-expires",
            Some(app),
            &day,
            format!("The sign-in certificate of {name} expires on {day}"),
            [
                format!("The certificate of the identity provider, as it was recorded for {name}, is good until {day}."),
                format!("From then on nobody can sign in to {name}. Provisioning goes on."),
                "Renew it at the identity provider and in the app, then record the new metadata.".to_owned(),
            ],
            format!("/apps/{}/sign-in", app.slug),
        );
        Ok(())
    }
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
