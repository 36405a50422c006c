//! Accounts in an app.

use app::api::accounts::{
    AccountChoice, AccountList, AccountRow, AccountState, AccountsQuery, Decided, FoundAccount,
    UndecidedRow,
};
use app::api::{ApiError, ErrorCode};
use app::services::{Accounts, Actor, Answer};
use async_trait::async_trait;
use provisioning::identity::PersonId;
use provisioning::plan::LinkState;

use super::standing::{self, number};
use crate::store::pages::accounts::{self, AccountLine};
use crate::store::person_decisions::{self, PersonDecision, Undecided};
use crate::sync::Engine;
use crate::sync::account_decisions::{self, AccountDecision, DecideError};

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
            undecided: person_decisions::undecided(&mut db, app.id, None)
                .await?
                .into_iter()
                .map(undecided_row)
                .collect(),
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

fn undecided_row(one: Undecided) -> UndecidedRow {
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
