//! Accounts in an app, and what waits to happen to them.

use app::api::accounts::{AccountList, AccountRow, AccountState, AccountsQuery, Queue, QueueRow};
use app::services::{Accounts, Answer};
use async_trait::async_trait;
use provisioning::plan::LinkState;

use super::standing::{self, number};
use crate::store::pages::accounts::{self, AccountLine};
use crate::sync::Engine;
use crate::sync::pending::{self, PendingStep};

const PER_PAGE: u32 = 50;

#[derive(Debug, Clone)]
pub struct AccountsService {
    pub engine: Engine,
}

#[async_trait]
impl Accounts for AccountsService {
    async fn accounts(&self, slug: &str, query: AccountsQuery) -> Answer<AccountList> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let state = query.state.map(|state| match state {
            AccountState::Active => LinkState::Active.as_str(),
            AccountState::Suspended => LinkState::SuspendedByUs.as_str(),
            AccountState::Gone => LinkState::Gone.as_str(),
        });
        let text = query.q.unwrap_or_default();
        let part = standing::part(query.page, PER_PAGE);
        let page = accounts::page(&mut db, app.id, &text, state, part).await?;
        let counts = accounts::counts(&mut db, app.id).await?;
        Ok(AccountList {
            head: standing::head(&mut db, &app).await?,
            rows: page.rows.into_iter().map(account_row).collect(),
            paging: standing::paging(query.page, PER_PAGE, page.total),
            active: number(counts.active),
            suspended: number(counts.suspended),
            gone: number(counts.gone),
        })
    }

    async fn queue(&self, slug: &str, page: u32) -> Answer<Queue> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let now = self.engine.clock.now();
        let steps = pending::steps(&mut db, &app, now).await?;
        let total = i64::try_from(steps.len()).unwrap_or(i64::MAX);
        let part = standing::part(page, PER_PAGE);
        let (before, many) = (number(part.offset), number(part.limit));
        let rows = (steps.into_iter())
            .skip(usize::try_from(before).unwrap_or(usize::MAX))
            .take(usize::try_from(many).unwrap_or(usize::MAX));
        Ok(Queue {
            head: standing::head(&mut db, &app).await?,
            now,
            rows: rows.map(queue_row).collect(),
            paging: standing::paging(page, PER_PAGE, total),
        })
    }
}

fn state(word: &str) -> AccountState {
    match LinkState::parse(word) {
        Some(LinkState::SuspendedByUs) => AccountState::Suspended,
        Some(LinkState::Gone | LinkState::Deleted) => AccountState::Gone,
        Some(LinkState::Active) | None => AccountState::Active,
    }
}

fn account_row(line: AccountLine) -> AccountRow {
    AccountRow {
        person: standing::person(line.person_id, line.person_name, line.person_email),
        account: line.account_id,
        user_name: line.user_name,
        state: state(&line.state),
        since: line.created_at,
        changed_at: (line.updated_at > line.created_at).then_some(line.updated_at),
        next: line
            .next_step
            .map(|word| (standing::step(&word), line.next_due_at)),
    }
}

fn queue_row(pending: PendingStep) -> QueueRow {
    QueueRow {
        held: pending.is_held(),
        person: standing::person(
            pending.person_id.to_string(),
            pending.person_name,
            pending.person_email,
        ),
        trigger: standing::trigger(pending.step.trigger.key()),
        since: pending.step.since,
        step: standing::step(pending.step.step.key()),
        due: pending.step.due_at,
    }
}
