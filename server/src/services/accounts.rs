//! Accounts in an app.

use app::api::accounts::{
    AccountChoice, AccountList, AccountRow, AccountState, AccountsQuery, Decided, DifferenceKind,
    DifferenceRow, Differences, FoundAccount, UndecidedRow, UnlinkQuestion,
};
use app::api::{ApiError, ErrorCode};
use app::services::{Accounts, Actor, Answer};
use async_trait::async_trait;
use provisioning::identity::PersonId;
use provisioning::plan::LinkState;

use super::audit;
use super::removals::may_decide;
use super::standing::{self, number};
use crate::store::apps::AppState;
use crate::store::drifts::{self, DriftLine};
use crate::store::pages::accounts::{self, AccountLine};
use crate::store::pages::people;
use crate::store::person_decisions::{self, PersonDecision, Undecided};
use crate::sync::Engine;
use crate::sync::account_decisions::{self, AccountDecision, DecideError, Refusal};
use crate::sync::{inputs, pending};

const PER_PAGE: u32 = 50;

#[derive(Debug, Clone)]
pub struct AccountsService {
    pub engine: Engine,
}

#[async_trait]
impl Accounts for AccountsService {
    async fn accounts(
        &self,
        actor: &Actor,
        slug: &str,
        query: AccountsQuery,
    ) -> Answer<AccountList> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let state = query.state.map(|state| match state {
            AccountState::Active => LinkState::Active.as_str(),
            AccountState::Suspended => LinkState::SuspendedByUs.as_str(),
            AccountState::Gone => LinkState::Gone.as_str(),
        });
        let text = standing::sought(query.q.unwrap_or_default());
        let part = standing::part(query.page, PER_PAGE);
        let mut page = accounts::page(&mut db, app.id, &text, state, part).await?;
        if let Some(last) = standing::last_instead(query.page, PER_PAGE, page.total) {
            page = accounts::page(&mut db, app.id, &text, state, last).await?;
        }
        let counts = accounts::counts(&mut db, app.id).await?;
        let spared = pending::protected(&mut db, &app).await?;
        Ok(AccountList {
            head: standing::head(&mut db, &app).await?,
            rows: (page.rows.into_iter())
                .map(|line| account_row(line, &spared))
                .collect(),
            paging: standing::paging(query.page, PER_PAGE, page.total),
            active: number(counts.active),
            suspended: number(counts.suspended),
            gone: number(counts.gone),
            undecided: person_decisions::undecided(&mut db, app.id, None)
                .await?
                .into_iter()
                .map(undecided_row)
                .collect(),
            differing: number(drifts::count(&mut db, app.id).await?),
            may_decide: may_decide(actor),
        })
    }

    async fn differences(&self, actor: &Actor, slug: &str, page: u32) -> Answer<Differences> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let mut found = drifts::page(&mut db, app.id, standing::part(page, PER_PAGE)).await?;
        if let Some(last) = standing::last_instead(page, PER_PAGE, found.total) {
            found = drifts::page(&mut db, app.id, last).await?;
        }
        let config = inputs::configuration(&mut db, &app).await?;
        Ok(Differences {
            head: standing::head(&mut db, &app).await?,
            read_at: app.last_drift_at,
            every_hours: config.map_or(0, |config| number(config.drift_interval_hours)),
            rows: found.rows.into_iter().map(difference).collect(),
            paging: standing::paging(page, PER_PAGE, found.total),
            may_read: may_decide(actor) && app.state == AppState::On,
        })
    }

    async fn unlinking(&self, actor: &Actor, slug: &str, person: &str) -> Answer<UnlinkQuestion> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        let account = accounts::of_person(&mut db, app.id, person)
            .await?
            .filter(|account| LinkState::parse(&account.state) != Some(LinkState::Deleted))
            .ok_or_else(ApiError::not_found)?;
        let named = people::named(&mut db, &[person.to_owned()]).await?.pop();
        let spared = pending::protected(&mut db, &app).await?;
        let waits = accounts::next_of_person(&mut db, app.id, person).await?;
        let known = match named {
            Some(named) => standing::person(named.id, named.name, named.email),
            None => standing::person(person, "", account.user_name.as_str()),
        };
        Ok(UnlinkQuestion {
            head: standing::head(&mut db, &app).await?,
            person: known,
            state: state(&account.state),
            account: account.account_id,
            user_name: account.user_name,
            waits: waits.is_some() && !spared.iter().any(|id| id == person),
            may_decide: may_decide(actor),
        })
    }

    async fn decide(
        &self,
        actor: &Actor,
        slug: &str,
        person: &str,
        choice: AccountChoice,
        account: Option<String>,
    ) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        drop(db);
        let decision = match (choice, account) {
            (AccountChoice::Link, Some(account)) => AccountDecision::Link(account.into()),
            (AccountChoice::Link, None) => return Err(ApiError::new(ErrorCode::BadRequest)),
            (AccountChoice::Leave, _) => AccountDecision::Leave,
            (AccountChoice::TakeBack, _) => AccountDecision::TakeBack,
            (AccountChoice::CreateAgain, _) => AccountDecision::CreateAgain,
            (AccountChoice::Unlink, _) => AccountDecision::Unlink,
        };
        let person = PersonId::from(person.to_owned());
        account_decisions::decide(&self.engine, &app, &person, &decision, &actor.email)
            .await
            .map_err(|error| match error {
                DecideError::Refused(Refusal::BeingWritten) => ApiError::new(ErrorCode::RunActive),
                DecideError::Refused(_) => ApiError::new(ErrorCode::Conflict),
                DecideError::Store(error) => error.into(),
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

/// Of those who are `spared`, no step comes.
fn account_row(line: AccountLine, spared: &[String]) -> AccountRow {
    let spared = spared.contains(&line.person_id);
    AccountRow {
        person: standing::person(line.person_id, line.person_name, line.person_email),
        account: line.account_id,
        user_name: line.user_name,
        state: state(&line.state),
        since: line.created_at,
        changed_at: (line.updated_at > line.created_at).then_some(line.updated_at),
        next: line
            .next_step
            .filter(|_| !spared)
            .map(|word| (standing::step(&word), line.next_due_at)),
    }
}

fn difference(line: DriftLine) -> DifferenceRow {
    DifferenceRow {
        person: standing::person(line.person_id, line.person_name, line.person_email),
        account: line.account_id,
        kind: match line.kind.as_str() {
            "active" => DifferenceKind::Active,
            "inactive" => DifferenceKind::Inactive,
            "gone" => DifferenceKind::Gone,
            _ => DifferenceKind::Values,
        },
        changes: audit::changes(Some(&line.changes)),
        first_found: line.first_found_at,
        last_found: line.last_found_at,
    }
}

pub(super) fn undecided_row(one: Undecided) -> UndecidedRow {
    let why = match (&one.gone_account, one.detail) {
        (Some(account), _) => format!("The account {account} is gone from the app."),
        (None, Some(detail)) => detail,
        (None, None) => "It is carried out by the next run.".to_owned(),
    };
    UndecidedRow {
        person: standing::person(one.person_id.to_string(), one.person_name, one.person_email),
        why,
        gone: one.gone_account,
        accounts: (one.accounts.into_iter())
            .map(|account| FoundAccount {
                id: account.id.to_string(),
                user_name: account.user_name,
                active: account.active != Some(false),
            })
            .collect(),
        decided: match one.decision {
            Some(PersonDecision::Link(_)) => Some(Decided::Link),
            Some(PersonDecision::Leave) => Some(Decided::Leave),
            Some(PersonDecision::Create) | None => None,
        },
    }
}
