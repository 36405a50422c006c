//! People: searched, and one of them with everything that is known.

use std::sync::LazyLock;

use app::api::ApiError;
use app::api::directory::{
    NextStep, People, PeopleQuery, Person, PersonApp, PersonRow, PersonState, RuleLine, RuleResult,
    TimelineItem,
};
use app::api::terms::PersonRef;
use app::services::{Actor, Answer};
use provisioning::identity::{self, Standing};
use provisioning::mapping::SourcePath;
use provisioning::plan::{LinkState, OperationKind};
use provisioning::scope::{self, Rule, Verdict};
use sqlx::PgConnection;

use super::super::accounts::undecided_row;
use super::super::removals::may_decide;
use super::super::{audit, on_demand, standing};
use crate::store::apps::{self, App, AppState};
use crate::store::event_pages;
use crate::store::pages::accounts::{self, PersonAccount};
use crate::store::pages::people::{self, Named, PeopleFilter};
use crate::store::{groups, imports, person_decisions};
use crate::sync::Engine;
use crate::sync::explain::{Explanation, explain};
use crate::sync::inputs;
use crate::sync::run::RunError;

const PER_PAGE: u32 = 50;
const OPTIONS: i64 = 20;
const TIMELINE: i64 = 20;

static TITLE: LazyLock<Option<SourcePath>> =
    LazyLock::new(|| SourcePath::parse("organizations[primary].title").ok());
static DEPARTMENT: LazyLock<Option<SourcePath>> =
    LazyLock::new(|| SourcePath::parse("organizations[primary].department").ok());

fn attribute(path: &LazyLock<Option<SourcePath>>, person: &identity::Person) -> Option<String> {
    path.as_ref()?.read(person)?.as_str().map(str::to_owned)
}

fn state(standing: Standing) -> PersonState {
    match standing {
        Standing::Active => PersonState::Active,
        Standing::Suspended => PersonState::Suspended,
        Standing::Archived => PersonState::Archived,
        Standing::Deleted => PersonState::Deleted,
        Standing::Unknown => PersonState::Unknown,
    }
}

fn standing_of(state: PersonState) -> Standing {
    match state {
        PersonState::Active => Standing::Active,
        PersonState::Suspended => Standing::Suspended,
        PersonState::Archived => Standing::Archived,
        PersonState::Deleted => Standing::Deleted,
        PersonState::Unknown => Standing::Unknown,
    }
}

fn reference(person: &identity::Person) -> PersonRef {
    standing::person(
        person.id.to_string(),
        person.full_name(),
        person.primary_email.clone(),
    )
}

fn named(person: Named) -> PersonRef {
    standing::person(person.id, person.name, person.email)
}

pub async fn list(engine: &Engine, query: PeopleQuery) -> Answer<People> {
    let mut db = engine.connection().await?;
    let filter = PeopleFilter {
        text: standing::sought(query.q.unwrap_or_default()),
        standing: query.state.map(|state| standing_of(state).as_str()),
        org_unit: (query.org_unit.filter(|path| !path.trim().is_empty())).map(standing::sought),
    };
    let mut page = people::page(&mut db, &filter, standing::part(query.page, PER_PAGE)).await?;
    if let Some(last) = standing::last_instead(query.page, PER_PAGE, page.total) {
        page = people::page(&mut db, &filter, last).await?;
    }
    let read = imports::latest_complete(&mut db).await?;
    Ok(People {
        rows: page
            .rows
            .into_iter()
            .map(|line| PersonRow {
                person: reference(&line.person),
                state: state(line.person.standing),
                title: attribute(&TITLE, &line.person),
                org_unit: line.person.org_unit_path,
                accounts: line.apps,
            })
            .collect(),
        paging: standing::paging(query.page, PER_PAGE, page.total),
        read_at: read.and_then(|import| import.finished_at),
    })
}

pub async fn find(engine: &Engine, letters: &str) -> Answer<Vec<PersonRef>> {
    let mut db = engine.connection().await?;
    Ok(people::find(&mut db, letters, OPTIONS)
        .await?
        .into_iter()
        .map(named)
        .collect())
}

pub async fn show(engine: &Engine, actor: &Actor, id: &str) -> Answer<Person> {
    let mut db = engine.connection().await?;
    let person = people::person(&mut db, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let manager = match person.manager_reference() {
        Some(address) => people::by_address(&mut db, address).await?.map(named),
        None => None,
    };
    let groups = groups::of_person(&mut db, id)
        .await?
        .into_iter()
        .map(|group| (group.id, group.name))
        .collect();
    let read = imports::latest_complete(&mut db).await?;
    let known = apps::list(&mut db).await?;
    let timeline = timeline(&mut db, &known, &person).await?;
    drop(db);
    let mut in_apps = Vec::new();
    for app in &known {
        in_apps.push(in_app(engine, app, &person).await?);
    }
    Ok(Person {
        person: reference(&person),
        state: state(person.standing),
        guest: person.is_guest,
        title: attribute(&TITLE, &person),
        department: attribute(&DEPARTMENT, &person),
        manager,
        org_unit: person.org_unit_path,
        aliases: person.aliases,
        groups,
        read_at: read.and_then(|import| import.finished_at),
        apps: in_apps,
        timeline,
        may_decide: may_decide(actor),
    })
}

async fn in_app(engine: &Engine, app: &App, someone: &identity::Person) -> Answer<PersonApp> {
    let person = &someone.id;
    let mut db = engine.connection().await?;
    let undecided = person_decisions::undecided(&mut db, app.id, Some(person)).await?;
    let config = inputs::configuration(&mut db, app).await?;
    let protected = config.is_some_and(|config| config.safety.protects(someone));
    let account = accounts::of_person(&mut db, app.id, person.as_str()).await?;
    let pending = accounts::next_of_person(&mut db, app.id, person.as_str()).await?;
    let run = on_demand::newest(&mut db, app, person).await?;
    drop(db);
    let live =
        account.filter(|account| LinkState::parse(&account.state) != Some(LinkState::Deleted));
    // An app that can't be planned for (no configuration yet) has no rules to tell.
    let explained = match explain(engine, app, person).await {
        Ok(explained) => explained,
        Err(RunError::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::debug!(app = %app.slug, %error, "nothing to explain");
            None
        }
    };
    // Of somebody who is protected, no step comes.
    let spared = pending
        .as_ref()
        .filter(|_| protected)
        .map(|next| standing::step(&next.step));
    let next = match &pending {
        Some(_) if protected => None,
        Some(next) => Some(NextStep {
            step: standing::step(&next.step),
            trigger: Some(standing::trigger(&next.trigger)),
            due: Some(next.due_at),
            held: next.held,
        }),
        None => explained.as_ref().and_then(next_run),
    };
    Ok(PersonApp {
        slug: app.slug.to_string(),
        name: app.name.clone(),
        account_state: account_state(live.as_ref()).to_owned(),
        account_id: live.as_ref().map(|account| account.account_id.clone()),
        since: live.as_ref().map(|account| account.created_at),
        headline: match (spared, &live) {
            (Some(step), Some(_)) => format!(
                "the account would be {}, but it is protected",
                match step {
                    app::api::terms::OperationKind::Delete => "deleted",
                    _ => "suspended",
                }
            ),
            _ => headline(live.as_ref(), next.as_ref(), explained.as_ref()),
        },
        rules: explained.map_or_else(Vec::new, |explained| {
            rule_lines(explained.rules, next.is_some())
        }),
        next,
        undecided: undecided.into_iter().next().map(undecided_row),
        protected,
        is_on: app.state == AppState::On,
        run,
    })
}

/// What the next run does for the person, when no step of theirs waits for its time.
fn next_run(explained: &Explanation) -> Option<NextStep> {
    let next = explained.next.as_ref()?;
    let kind = next
        .get("operation")?
        .as_str()
        .and_then(OperationKind::parse)?;
    Some(NextStep {
        step: standing::kind(kind),
        trigger: None,
        due: None,
        held: false,
    })
}

/// The rules in the order in which they are asked. The first that says no decides; the next step
/// has its own place on the page.
fn rule_lines(rules: Vec<scope::RuleResult>, has_next: bool) -> Vec<RuleLine> {
    let decides = rules.iter().position(|line| line.result == Verdict::Fail);
    rules
        .into_iter()
        .enumerate()
        .filter(|(_, line)| !(has_next && line.rule == Rule::NextStep))
        .map(|(at, line)| RuleLine {
            rule: line.rule.label().to_owned(),
            result: match (line.result, line.rule) {
                (Verdict::Pass, _) => RuleResult::Passed,
                (Verdict::Fail, _) => RuleResult::Refused,
                (Verdict::Info, Rule::NextStep) => RuleResult::NotAsked,
                (Verdict::Info, Rule::Match | Rule::Mapping | Rule::Trigger) => RuleResult::Waits,
                (Verdict::Info, _) => RuleResult::Passed,
            },
            answer: line.detail,
            detail: String::new(),
            decides: decides == Some(at),
        })
        .collect()
}

fn account_state(account: Option<&PersonAccount>) -> &'static str {
    match account.and_then(|account| LinkState::parse(&account.state)) {
        Some(LinkState::Active) => "Active",
        Some(LinkState::SuspendedByUs) => "Suspended",
        Some(LinkState::Gone) => "Gone",
        Some(LinkState::Deleted) | None => "None",
    }
}

fn headline(
    account: Option<&PersonAccount>,
    next: Option<&NextStep>,
    explained: Option<&Explanation>,
) -> String {
    use app::api::terms::OperationKind as K;
    let state = account.and_then(|account| LinkState::parse(&account.state));
    let sentence = match (state, next.map(|next| (next.step, next.held))) {
        (Some(LinkState::Gone), _) => "the account is gone from the app; somebody has to decide",
        (_, Some((_, true))) => "a step is held until somebody releases it",
        (_, Some((K::Create, _))) => "gets an account with the next run",
        (_, Some((K::Link, _))) => "is linked to an account with the next run",
        (_, Some((K::Update, _))) => "the account is updated with the next run",
        (_, Some((K::Unsuspend, _))) => "the account is unsuspended with the next run",
        (Some(_), Some((K::Delete, _))) => "the account will be deleted",
        (Some(_), Some((K::Suspend, _))) => "the account will be suspended",
        (Some(LinkState::SuspendedByUs), None) => "the account is suspended",
        (Some(LinkState::Active), None) => "has an account",
        (Some(LinkState::Deleted) | None, _) => {
            return match explained {
                None => "has no account".to_owned(),
                Some(explained) if explained.state == "no_account_yet" => {
                    "gets an account with the next run".to_owned()
                }
                Some(explained) => explained
                    .rules
                    .iter()
                    .find(|line| line.result == Verdict::Fail)
                    .map_or_else(
                        || "has no account".to_owned(),
                        |line| format!("has no account. {}", line.detail),
                    ),
            };
        }
    };
    sentence.to_owned()
}

/// What is to come, then what was, newest first.
async fn timeline(
    db: &mut PgConnection,
    known: &[App],
    someone: &identity::Person,
) -> Answer<Vec<TimelineItem>> {
    let person = &someone.id;
    let mut items = Vec::new();
    for app in known {
        let next = accounts::next_of_person(&mut *db, app.id, person.as_str()).await?;
        let config = inputs::configuration(&mut *db, app).await?;
        let protected = config.is_some_and(|config| config.safety.protects(someone));
        if let Some(next) = next
            && !next.held
            && !protected
        {
            let step = standing::step(&next.step);
            items.push(TimelineItem {
                at: next.due_at,
                event: match step {
                    app::api::terms::OperationKind::Delete => "Will be deleted",
                    _ => "Will be suspended",
                }
                .to_owned(),
                id: None,
                kind: Some(step),
                failed: false,
                app: Some(app.name.clone()),
                detail: Some(app::words::trigger(standing::trigger(&next.trigger)).to_owned()),
            });
        }
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.at));
    for event in event_pages::of_person(db, person.as_str(), TIMELINE).await? {
        let name = event.app.as_ref().map(|slug| {
            known
                .iter()
                .find(|app| app.slug.as_str() == slug)
                .map_or_else(|| slug.clone(), |app| app.name.clone())
        });
        let detail = audit::summary(&event);
        items.push(TimelineItem {
            at: event.time,
            id: Some(event.id.to_string()),
            kind: audit::operation_of(&event.event).map(standing::kind),
            failed: event.outcome == "failed",
            app: name,
            detail: Some(detail).filter(|text| !text.is_empty()),
            event: event.event,
        });
    }
    Ok(items)
}
