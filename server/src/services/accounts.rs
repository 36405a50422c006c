//! Accounts in an app, and what waits to happen to them.

use app::api::accounts::{AccountList, AccountRow, AccountState, AccountsQuery, Queue, QueueRow};
use app::services::{Accounts, Answer};
use async_trait::async_trait;
use provisioning::lifecycle::Trigger;
use provisioning::plan::LinkState;

use super::standing::{self, number};
use crate::store::pages::accounts::{self, AccountLine, QueueLine};
use crate::sync::Engine;

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
        let waiting = accounts::queue(&mut db, app.id, standing::part(page, PER_PAGE)).await?;
        Ok(Queue {
            head: standing::head(&mut db, &app).await?,
            now: self.engine.clock.now(),
            rows: waiting.rows.into_iter().map(queue_row).collect(),
            paging: standing::paging(page, PER_PAGE, waiting.total),
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

fn queue_row(line: QueueLine) -> QueueRow {
    let since = Trigger::parse(&line.trigger)
        .and_then(|trigger| line.lifecycle.clocks.get(&trigger))
        .map_or(line.due_at, |clock| clock.since);
    QueueRow {
        person: standing::person(line.person_id, line.person_name, line.person_email),
        trigger: standing::trigger(&line.trigger),
        since,
        step: standing::step(&line.step),
        due: line.due_at,
        held: line.held,
    }
}
