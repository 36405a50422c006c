//! What failed in an app, and administrators' decisions about it.

use app::api::failures::{FailureList, FailureRow, FailureState, FailuresQuery};
use app::api::terms::{OperationKind, Role};
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer, Failures};
use async_trait::async_trait;
use provisioning::identity::PersonId;
use provisioning::plan;

use super::standing::{self, number};
use crate::jobs::Queue;
use crate::remedies;
use crate::store::apps::App;
use crate::store::failures::{self, FailureFilter, FailureLine, Fate};
use crate::sync::Engine;
use crate::sync::failure_decisions;

const PER_PAGE: u32 = 50;

#[derive(Clone)]
pub struct FailuresService {
    pub engine: Engine,
    pub queue: Queue,
}

#[async_trait]
impl Failures for FailuresService {
    async fn list(&self, actor: &Actor, slug: &str, query: FailuresQuery) -> Answer<FailureList> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let filter = FailureFilter {
            text: query.q.unwrap_or_default(),
            fate: query.state.map(|state| match state {
                FailureState::TriedAgain => Fate::TriedAgain,
                FailureState::ForGood => Fate::ForGood,
                FailureState::Ignored => Fate::Ignored,
            }),
            kind: query.kind.map(kind_word),
        };
        let part = standing::part(query.page, PER_PAGE);
        let mut page = failures::page(&mut db, app.id, &filter, part).await?;
        if let Some(last) = standing::last_instead(query.page, PER_PAGE, page.total) {
            page = failures::page(&mut db, app.id, &filter, last).await?;
        }
        let counts = failures::counts(&mut db, app.id).await?;
        Ok(FailureList {
            head: standing::head(&mut db, &app).await?,
            now: self.engine.clock.now(),
            rows: page.rows.into_iter().map(row).collect(),
            paging: standing::paging(query.page, PER_PAGE, page.total),
            tried_again: number(counts.tried_again),
            for_good: number(counts.for_good),
            ignored: number(counts.ignored),
            may_decide: actor.role == Role::SuperAdministrator,
        })
    }

    async fn retry(&self, actor: &Actor, slug: &str, person: Option<&str>) -> Answer<()> {
        let app = self.app(slug).await?;
        let person = person.map(PersonId::from);
        let by = &actor.email;
        let retried = failure_decisions::retry(&self.engine, &app, person.as_ref(), by).await?;
        if retried.people.is_empty() {
            // It worked meanwhile.
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        if let Some(run) = retried.run {
            self.queue.hand_out(run).await?;
        }
        Ok(())
    }

    async fn ignore(&self, actor: &Actor, slug: &str, person: &str) -> Answer<()> {
        let app = self.app(slug).await?;
        let person = PersonId::from(person);
        match failure_decisions::ignore(&self.engine, &app, &person, &actor.email).await? {
            true => Ok(()),
            false => Err(ApiError::new(ErrorCode::Conflict)),
        }
    }
}

impl FailuresService {
    async fn app(&self, slug: &str) -> Answer<App> {
        let mut db = self.engine.connection().await?;
        standing::app(&mut db, slug).await
    }
}

fn row(line: FailureLine) -> FailureRow {
    let (title, remedy) = remedies::of_operation(&line.code);
    let kind = plan::OperationKind::parse(&line.kind);
    FailureRow {
        state: match line.fate() {
            Fate::TriedAgain => FailureState::TriedAgain,
            Fate::ForGood => FailureState::ForGood,
            Fate::Ignored => FailureState::Ignored,
        },
        kind: kind.map_or(OperationKind::Update, standing::kind),
        title: title.to_owned(),
        cause: standing::in_words(&line.message),
        remedy: remedy.to_owned(),
        code: line.code,
        attempts: number(line.attempts),
        first_at: line.first_at,
        last_at: line.last_at,
        next_try: line.next_try_at,
        run: line.run,
        person: standing::person(line.person_id, line.person_name, line.person_email),
    }
}

pub(super) fn kind_word(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Create => "create",
        OperationKind::Link => "link",
        OperationKind::Update => "update",
        OperationKind::Suspend => "suspend",
        OperationKind::Unsuspend => "unsuspend",
        OperationKind::Delete => "delete",
    }
}
