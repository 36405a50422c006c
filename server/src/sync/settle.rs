//! What is in doubt is settled by looking, and never ended without an answer: in the run that sent
//! it, or first thing in the app's next one (S8.7, S8.8).

use futures::{StreamExt as _, stream};

use super::engine::Engine;
use super::inputs::World;
use super::journal::{Failed, Journal, Outcome};
use super::lease::Lease;
use super::run::RunError;
use super::send::{Acknowledged, Effect, Sender};
use crate::connectors::ScimApp;
use crate::store::apps::App;
use crate::store::operations::{self, Operation};
use crate::store::runs::Run;

#[derive(Debug)]
pub enum Settled {
    /// It is recorded as what it was.
    As(Outcome),
    /// It did not happen.
    NotThere,
    /// The app could not be asked; it stays in doubt.
    StillInDoubt,
}

pub async fn settle(
    sender: &Sender<'_>,
    journal: &Journal<'_>,
    operation: &Operation,
) -> Result<Settled, RunError> {
    match sender.find_effect(operation).await {
        Ok(Effect::Done(account)) => {
            let found = Acknowledged {
                account,
                found: true,
                sent: None,
            };
            journal.done(operation, found).await.map(Settled::As)
        }
        Ok(Effect::NotThere) => Ok(Settled::NotThere),
        Ok(Effect::Unclear(why)) => {
            let failed = Failed::for_good("account-unclear", why);
            journal.failed(operation, &failed).await.map(Settled::As)
        }
        Err(RunError::App(error)) if !error.is_authorization() => {
            tracing::warn!(
                operation = operation.id.0,
                code = error.code(),
                "a request stays in doubt: the app could not be asked what became of it"
            );
            Ok(Settled::StillInDoubt)
        }
        Err(error) => Err(error),
    }
}

/// Settles what earlier runs of the app left in doubt. What did not happen is planned anew.
pub async fn settle_earlier(
    engine: &Engine,
    run: &Run,
    app: &App,
    world: &World,
    client: &ScimApp,
    lease: &Lease,
) -> Result<(), RunError> {
    let mut db = engine.connection().await?;
    let doubtful = operations::in_doubt(&mut db, app.id).await?;
    drop(db);
    if doubtful.is_empty() {
        return Ok(());
    }
    let sender = Sender::new(engine, client, app.id, &world.config.mapping);
    let journal = Journal::new(engine, run, app, world, lease.writer());
    let width = usize::try_from(world.entry.limits.read_concurrency).unwrap_or(1);
    let results: Vec<Result<(), RunError>> = stream::iter(doubtful)
        .map(|operation| {
            let (sender, journal) = (&sender, &journal);
            async move {
                lease.check()?;
                if let Settled::NotThere = settle(sender, journal, &operation).await? {
                    journal
                        .supersede(
                            &operation,
                            "not-carried-out",
                            "The app did not carry it out. It is planned anew.",
                        )
                        .await?;
                }
                Ok(())
            }
        })
        .buffer_unordered(width.max(1))
        .collect()
        .await;
    results.into_iter().collect()
}
