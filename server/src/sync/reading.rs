//! Readings of the directory: one at a time, shared by runs, ended when they may not go on, and
//! told in the log.

use std::time::Duration;

use chrono::{DateTime, Utc};
use provisioning::event::EventName;

use super::engine::Engine;
use super::import::{self, ImportError};
use super::run::RunError;
use super::{inputs, observing, tenant};
use crate::notifications;
use crate::store::StoreError;
use crate::store::events::{self, NewEvent};
use crate::store::imports::{self as import_store, ImportId};

/// Well below the time after which a reading counts as abandoned.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often somebody who waits for another reading, or for the end of this one, looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Which reading of the directory is recent enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Begun after this one, whatever the clock says.
    NewerThan(ImportId),
    /// Begun between these times: a clock that was ahead began in the future.
    Between {
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    },
}

/// Says whether whoever reads may go on; asked again and again.
pub type MayGoOn<'a> = &'a (dyn Fn() -> Result<(), RunError> + Sync);

/// Reads the directory, unless a complete reading is recent enough and listed every group that
/// apps name by now. One at a time: whoever comes second waits for the first.
pub async fn read_directory(
    engine: &Engine,
    wanted: Wanted,
    may_go_on: MayGoOn<'_>,
) -> Result<ImportId, RunError> {
    loop {
        let (ids, emails) = inputs::named_groups(engine).await?;
        let named: Vec<String> = ids
            .into_iter()
            .map(|id| id.as_str().to_owned())
            .chain(emails)
            .collect();
        let mut db = engine.connection().await?;
        if let Some(latest) = import_store::latest_complete(&mut db).await?
            && match wanted {
                Wanted::NewerThan(import) => latest.id > import,
                Wanted::Between { from, to } => (from..=to).contains(&latest.started_at),
            }
            && import_store::was_asked_for(&mut db, latest.id, &named).await?
        {
            return Ok(latest.id);
        }
        let Some(import) = import_store::begin(&mut db, engine.clock.now()).await? else {
            drop(db);
            may_go_on()?;
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        };
        drop(db);
        return read_while(engine, import, "Rollcall", may_go_on).await;
    }
}

/// Begins a reading that somebody asked for; `None` while another one is under way.
pub async fn begin_reading(engine: &Engine) -> Result<Option<ImportId>, StoreError> {
    let mut db = engine.connection().await?;
    import_store::begin(&mut db, engine.clock.now()).await
}

/// Carries a reading that has begun to its end. What comes of it is kept with it and told in the
/// log, with who asked for it.
pub async fn read_begun(
    engine: &Engine,
    import: ImportId,
    actor: &str,
) -> Result<ImportId, RunError> {
    let may_go_on = || {
        if engine.shutdown().is_cancelled() {
            Err(RunError::ShuttingDown)
        } else {
            Ok(())
        }
    };
    read_while(engine, import, actor, &may_go_on).await
}

/// Reads as long as it may, and stops at whatever is waited for otherwise.
async fn read_while(
    engine: &Engine,
    import: ImportId,
    actor: &str,
    may_go_on: MayGoOn<'_>,
) -> Result<ImportId, RunError> {
    let beating = tokio::spawn({
        let engine = engine.clone();
        async move {
            loop {
                tokio::time::sleep(BEAT_EVERY).await;
                if let Ok(mut db) = engine.connection().await {
                    // An import that was given up meanwhile notices at its next page.
                    let _ = import_store::beat(&mut db, import).await;
                }
            }
        }
    });
    let read = async {
        let (named, emails) = inputs::named_groups(engine).await?;
        let directory = engine.directory().await?;
        import::read_directory(engine, &directory, import, &named, &emails, actor)
            .await
            .map_err(RunError::from)
    };
    let ended = async {
        loop {
            if let Err(why) = may_go_on() {
                return why;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let result = tokio::select! {
        biased;
        why = ended => Err((RunError::from(ImportError::Interrupted), Some(why))),
        result = read => result.map_err(|error| (error, None)),
    };
    beating.abort();
    match result {
        Ok(counts) => {
            tracing::info!(
                import = import.0,
                people = counts.people,
                groups = counts.groups,
                "directory read"
            );
            inputs::resolve_names(engine).await?;
            observing::observe_everywhere(engine).await?;
            Ok(import)
        }
        Err((error, why)) => {
            tracing::warn!(
                import = import.0,
                code = error.code(),
                "the directory could not be read"
            );
            let now = engine.clock.now();
            let requests = i64::try_from(engine.requests().directory).unwrap_or(i64::MAX);
            let (code, message) = (error.code(), error.to_string());
            let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
            import_store::fail(&mut transaction, import, now, requests, &code, &message).await?;
            if let RunError::Import(error) = &error {
                tenant::note(&mut transaction, error, now).await?;
            }
            // Whoever ended it on purpose is told in the log by what they did.
            if why.is_none() {
                let event =
                    NewEvent::new(now, EventName::ImportFailed, actor).failed(&code, &message);
                events::record(&mut transaction, &event).await?;
                notifications::look_along(&mut transaction, now).await?;
            }
            transaction.commit().await.map_err(StoreError::from)?;
            Err(why.unwrap_or(error))
        }
    }
}
