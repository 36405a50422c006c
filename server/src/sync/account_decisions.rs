//! An administrator's decisions about accounts that no rule decides about: matches that wait,
//! accounts that are gone from the app, and links that are ended by hand (S4.4, S8.7).

use chrono::{DateTime, Utc};
use provisioning::event::EventName;
use provisioning::identity::{Account, AccountId, PersonId};
use provisioning::lifecycle::Lifecycle;
use provisioning::plan::{Link, LinkState};
use serde_json::json;
use sqlx::PgConnection;

use super::decisions::email;
use super::engine::Engine;
use crate::store::apps::{self, App};
use crate::store::events::{self, NewEvent};
use crate::store::person_decisions::{self, PersonDecision};
use crate::store::{StoreError, drifts, failures, lifecycles, links, operations};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountDecision {
    /// This account, one of those that were found, is the person's.
    Link(AccountId),
    /// The person gets no account until this is taken back.
    Leave,
    /// Takes `Link` or `Leave` back.
    TakeBack,
    /// An account that is gone is created anew.
    CreateAgain,
    /// The link ends, and the person is left without one. The account stays as it is.
    Unlink,
}

/// Why a decision can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is nothing to decide about this person's account")]
    Nothing,
    #[error("the account {0} was not found with this person's user name")]
    OtherAccount(AccountId),
    #[error("a run is about to write to this person's account; wait for it, or stop it")]
    BeingWritten,
    #[error("the account {account} is linked to {person}")]
    Taken {
        account: AccountId,
        person: PersonId,
    },
}

/// Ends the link of a living account. Nothing is sent to the app: whatever the account is, it stays.
/// It is remembered as one that was found, so that it can be linked again.
async fn unlink(
    db: &mut PgConnection,
    app: &App,
    person: &PersonId,
    link: &Link,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<(), DecideError> {
    // What a run is about to send would be recorded as a link again.
    if operations::is_open(db, app.id, person).await? {
        return Err(Refusal::BeingWritten.into());
    }
    let user_name = links::user_name(db, app.id, person).await?;
    let user_name = user_name.unwrap_or_default();
    links::remove(db, app.id, person).await?;
    lifecycles::save(db, app.id, person, &Lifecycle::default(), None).await?;
    failures::clear(db, app.id, person).await?;
    drifts::forget(db, app.id, person).await?;
    let account = Account {
        id: link.account_id.clone(),
        user_name: user_name.clone(),
        active: Some(link.state == LinkState::Active),
        resource: json!({ "id": link.account_id, "userName": user_name }),
    };
    links::remember_found(db, app.id, person, &user_name, &[account], now).await?;
    let decided = PersonDecision::Leave;
    person_decisions::put(db, app.id, person, &decided, now, actor).await?;
    let email = email(db, person).await?;
    let mut event = NewEvent::new(now, EventName::UnlinkUser, actor)
        .app(app.slug.as_str())
        .person(person.as_str(), &email)
        .reason("Unlinked by hand; the account stays as it is");
    event.changes = Some(json!([{ "attribute": "account", "old": link.account_id, "new": null }]));
    event.account_id = Some(link.account_id.as_str());
    events::record(db, &event).await?;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Decides for one person, with its event, in one transaction.
pub async fn decide(
    engine: &Engine,
    app: &App,
    person: &PersonId,
    decision: &AccountDecision,
    actor: &str,
) -> Result<(), DecideError> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
    let db = &mut *transaction;
    let link = links::get(db, app.id, person).await?;
    let gone = link.as_ref().filter(|link| link.state == LinkState::Gone);
    let live = link
        .as_ref()
        .filter(|link| matches!(link.state, LinkState::Active | LinkState::SuspendedByUs));
    if let (AccountDecision::Unlink, Some(live)) = (decision, live) {
        unlink(db, app, person, live, now, actor).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        return Ok(());
    }
    let open = person_decisions::undecided(db, app.id, Some(person))
        .await?
        .pop()
        .ok_or(Refusal::Nothing)?;
    let email = email(db, person).await?;
    let (name, old, new) = match decision {
        AccountDecision::Link(account) => {
            if gone.is_some() || !open.accounts.iter().any(|found| found.id == *account) {
                return Err(Refusal::OtherAccount(account.clone()).into());
            }
            if let Some(owner) = links::owner(db, app.id, account).await?
                && owner != *person
            {
                return Err(Refusal::Taken {
                    account: account.clone(),
                    person: owner,
                }
                .into());
            }
            let decided = PersonDecision::Link(account.clone());
            person_decisions::put(db, app.id, person, &decided, now, actor).await?;
            (EventName::MatchDecided, json!(null), json!(account))
        }
        AccountDecision::Leave => {
            if gone.is_some() {
                return Err(Refusal::Nothing.into());
            }
            let decided = PersonDecision::Leave;
            person_decisions::put(db, app.id, person, &decided, now, actor).await?;
            (EventName::MatchDecided, json!(null), json!("leave"))
        }
        AccountDecision::TakeBack => {
            if !person_decisions::take_back(db, app.id, person).await? {
                return Err(Refusal::Nothing.into());
            }
            let old = open.decision.as_ref().map(PersonDecision::word);
            (EventName::MatchDecided, json!(old), json!(null))
        }
        AccountDecision::CreateAgain => {
            let gone = gone.ok_or(Refusal::Nothing)?;
            // As after a deletion of ours: the person is provisioned anew, by the usual rules.
            links::set_state(db, app.id, person, LinkState::Deleted, now).await?;
            person_decisions::take_back(db, app.id, person).await?;
            let new = json!("create again");
            (EventName::MatchDecided, json!(gone.account_id), new)
        }
        AccountDecision::Unlink => {
            let gone = gone.ok_or(Refusal::Nothing)?;
            links::remove(db, app.id, person).await?;
            lifecycles::save(db, app.id, person, &Lifecycle::default(), None).await?;
            // Otherwise the next run would create it again, which nobody decided.
            let decided = PersonDecision::Leave;
            person_decisions::put(db, app.id, person, &decided, now, actor).await?;
            (EventName::UnlinkUser, json!(gone.account_id), json!(null))
        }
    };
    let mut event = NewEvent::new(now, name, actor)
        .app(app.slug.as_str())
        .person(person.as_str(), &email);
    event.changes = Some(json!([{ "attribute": "account", "old": old, "new": new }]));
    event.account_id = (link.as_ref()).map(|link| link.account_id.as_str());
    events::record(db, &event).await?;
    apps::want_run(db, app.id, now).await?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(())
}
