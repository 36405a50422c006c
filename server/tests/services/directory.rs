//! The directory's part of the console, against an emulated directory.

use crate::fixture::{connection_form, eventually, installation, sandbox};
use app::api::directory::{
    Confirmed, ConnectionForm, DirectoryQuestion, GroupsQuery, PeopleQuery, PersonState, Push,
    ScopeResult,
};
use app::api::{ErrorCode, FieldCode};
use app::services::{Directory as _, Secret};
use server::sandbox::{Call, Failure, Fault, Scope};
use server::store::apps::{self, AppState};
use server::store::events::{self, EventFilter, Order};
use server::store::{connection, imports};
use server::sync::{push, run};
use sqlx::PgPool;

async fn logged(pool: &PgPool) -> Vec<events::EventRow> {
    let mut db = pool.acquire().await.unwrap();
    events::page(
        &mut db,
        &EventFilter::default(),
        Order::OldestFirst,
        None,
        1000,
    )
    .await
    .unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_bad_key_is_named_and_nothing_is_saved(pool: PgPool) {
    let here = installation(&pool);
    let directory = here.directory();
    let cases = [
        ("not json at all", FieldCode::NotJson),
        (r#"{"installed": {}}"#, FieldCode::NotAServiceAccountKey),
        (
            r#"{"type":"service_account","client_email":"a@b.example","private_key":"-----BEGIN","token_uri":"https://oauth2.googleapis.com/token"}"#,
            FieldCode::KeyUnreadable,
        ),
    ];
    for (key, code) in cases {
        let form = ConnectionForm {
            key: Some(Secret::new(key.to_owned())),
            admin_email: "admin@example.com".to_owned(),
            endpoint: None,
        };
        let error = directory
            .save_connection(&here.actor, form)
            .await
            .unwrap_err();
        assert_eq!(error.code, ErrorCode::Invalid);
        assert_eq!(
            error
                .fields
                .iter()
                .map(|field| (field.field.as_str(), field.code))
                .collect::<Vec<_>>(),
            [("key", code)]
        );
    }
    let mut db = pool.acquire().await.unwrap();
    assert!(connection::read(&mut db).await.unwrap().is_none());
    assert!(logged(&pool).await.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn all_wrong_fields_are_named_at_once(pool: PgPool) {
    let here = installation(&pool);
    let form = ConnectionForm {
        key: None,
        admin_email: "nobody".to_owned(),
        endpoint: Some("https://169.254.169.254/".to_owned()),
    };
    let error = here
        .directory()
        .save_connection(&here.actor, form)
        .await
        .unwrap_err();
    let fields: Vec<_> = error
        .fields
        .iter()
        .map(|field| (field.field.as_str(), field.code))
        .collect();
    assert_eq!(
        fields,
        [
            ("admin_email", FieldCode::NotAnEmail),
            ("endpoint", FieldCode::TargetNotAllowed),
            ("key", FieldCode::Required),
        ]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn another_origin_asks_for_the_key_again(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    let moved = |endpoint: &str| ConnectionForm {
        key: None,
        admin_email: "admin@northmoor.example".to_owned(),
        endpoint: Some(endpoint.to_owned()),
    };
    let error = here
        .directory()
        .save_connection(&here.actor, moved("http://127.0.0.1:9/"))
        .await
        .unwrap_err();
    assert_eq!(error.fields.len(), 1);
    assert_eq!(
        (error.fields[0].field.as_str(), error.fields[0].code),
        ("key", FieldCode::Required)
    );

    // The same origin keeps the key.
    here.directory()
        .save_connection(&here.actor, moved(&base))
        .await
        .unwrap();
    let shown = here.directory().connection().await.unwrap();
    assert_eq!(shown.saved.unwrap().endpoint, base);
}

#[sqlx::test(migrations = "./migrations")]
async fn each_scope_is_tested_by_itself_and_the_missing_one_says_where_to_grant_it(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let untested = here.directory().connection().await.unwrap();
    assert!(
        untested
            .scopes
            .iter()
            .all(|scope| scope.result == ScopeResult::Untested)
    );

    sandbox.delegate(Scope::OrgUnit, false);
    here.connect(&sandbox, &base).await;
    let shown = here.directory().connection().await.unwrap();
    assert!(
        shown.saved.is_some(),
        "a missing scope does not lose what was typed"
    );
    for scope in &shown.scopes {
        let expected = if scope.scope.contains("orgunit") {
            ScopeResult::Missing
        } else {
            ScopeResult::Granted
        };
        assert_eq!(scope.result, expected, "{scope:?}");
    }
    let missing = shown
        .scopes
        .iter()
        .find(|scope| scope.result == ScopeResult::Missing)
        .unwrap();
    assert!(
        missing.sentence.contains("Domain-wide delegation"),
        "{}",
        missing.sentence
    );

    sandbox.delegate(Scope::OrgUnit, true);
    here.directory().test_connection(&here.actor).await.unwrap();
    let shown = here.directory().connection().await.unwrap();
    assert!(
        shown
            .scopes
            .iter()
            .all(|scope| scope.result == ScopeResult::Granted),
        "{:?}",
        shown.scopes
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_log_tells_of_a_connection_without_its_key(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    let events = logged(&pool).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, "Directory connected");
    assert_eq!(events[0].actor, here.actor.email);
    assert!(!format!("{events:?}").contains("PRIVATE KEY"));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_reading_on_demand_is_in_the_log_with_who_asked_for_it(pool: PgPool) {
    let here = installation(&pool);
    let refused = here.directory().read_now(&here.actor).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::DirectoryNotConnected);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.directory().read_now(&here.actor).await.unwrap();
    let event = eventually(|| async {
        logged(&pool)
            .await
            .into_iter()
            .find(|event| event.event == "Import completed")
    })
    .await;
    assert_eq!(event.actor, here.actor.email);
    let shown = here.directory().connection().await.unwrap();
    assert_eq!(shown.last_complete.unwrap().people, 250);
    assert!(shown.running.is_none());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_second_reading_is_refused_while_one_is_under_way(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    let mut db = pool.acquire().await.unwrap();
    imports::begin(&mut db, crate::fixture::start())
        .await
        .unwrap()
        .unwrap();
    let refused = here.directory().read_now(&here.actor).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::ImportRunning);
    assert!(
        here.directory()
            .connection()
            .await
            .unwrap()
            .running
            .is_some()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn people_are_found_by_letters_and_wildcards_are_only_letters(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let directory = here.directory();
    let ask = |q: &str| PeopleQuery {
        q: Some(q.to_owned()),
        ..PeopleQuery::default()
    };

    let everybody = directory.people(PeopleQuery::default()).await.unwrap();
    assert!(everybody.paging.total >= 250, "{}", everybody.paging.total);
    let somebody = everybody.rows[0].person.clone();
    let alias = "known-as@northmoor.example";
    sqlx::query("INSERT INTO person_addresses (address, person_id) VALUES ($1, $2)")
        .bind(alias)
        .bind(&somebody.id)
        .execute(&pool)
        .await
        .unwrap();
    for letters in [
        somebody.name.to_uppercase(),
        somebody.email.clone(),
        somebody.id.clone(),
        "Known-As@".to_owned(),
    ] {
        let found = directory.people(ask(&letters)).await.unwrap();
        assert!(
            found.rows.iter().any(|row| row.person.id == somebody.id),
            "{letters}"
        );
        assert!(found.paging.total < everybody.paging.total, "{letters}");
    }
    for wildcard in ["%", "_", "a%b", "\\"] {
        let found = directory.people(ask(wildcard)).await.unwrap();
        let honest = found
            .rows
            .iter()
            .all(|row| row.person.name.contains(wildcard) || row.person.email.contains(wildcard));
        assert!(honest, "{wildcard:?} found {} people", found.paging.total);
    }
    // The database takes no NUL.
    for nobody in ["\0", "a\0"] {
        let found = directory.people(ask(nobody)).await.unwrap();
        assert_eq!(found.paging.total, 0, "{nobody:?}");
        let groups = GroupsQuery {
            q: Some(nobody.to_owned()),
            ..GroupsQuery::default()
        };
        assert!(directory.groups(groups).await.unwrap().rows.is_empty());
        assert!(directory.find_people(nobody).await.unwrap().is_empty());
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn pages_of_people_show_everybody_once(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let mut seen = Vec::new();
    let mut page = 1;
    loop {
        let people = here
            .directory()
            .people(PeopleQuery {
                page,
                ..PeopleQuery::default()
            })
            .await
            .unwrap();
        // Behind the end there is the last page again.
        if people.paging.page < page {
            assert_eq!(people.paging.page, page - 1);
            assert_eq!(seen.len(), people.paging.total as usize);
            assert_eq!(seen.last(), people.rows.last().map(|row| &row.person.id));
            break;
        }
        seen.extend(people.rows.into_iter().map(|row| row.person.id));
        page += 1;
    }
    seen.sort();
    seen.dedup();
    let total = here
        .directory()
        .people(PeopleQuery::default())
        .await
        .unwrap()
        .paging
        .total;
    assert_eq!(seen.len(), total as usize);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_tree_of_org_units_adds_up_to_everybody(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let tree = here.directory().org_units().await.unwrap();
    assert_eq!(tree.rows[0].path, "/");
    assert_eq!(tree.rows[0].people_below, 250);
    assert_eq!(tree.rows.iter().map(|row| row.people).sum::<u32>(), 250);
    for unit in &tree.rows[1..] {
        let query = PeopleQuery {
            org_unit: Some(unit.path.clone()),
            ..PeopleQuery::default()
        };
        let all = here
            .directory()
            .people(query.clone())
            .await
            .unwrap()
            .paging
            .total;
        let deleted = PeopleQuery {
            state: Some(PersonState::Deleted),
            ..query
        };
        let deleted = here.directory().people(deleted).await.unwrap().paging.total;
        assert_eq!(all - deleted, unit.people_below, "{}", unit.path);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn the_members_of_a_group_are_fetched_when_somebody_looks(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let directory = here.directory();
    let listed = directory.groups(GroupsQuery::default()).await.unwrap();
    assert_eq!(listed.paging.total, 41);
    let group = listed
        .rows
        .iter()
        .find(|group| group.direct.is_some_and(|direct| direct > 2))
        .unwrap();
    assert_eq!(group.people, None, "nobody looked yet");
    let page = directory.group(&group.id, 1).await.unwrap();
    assert_eq!(Some(page.paging.total), group.direct);
    assert_eq!(page.read_at, Some(crate::fixture::start()));
    assert!(page.group.people.is_some());
    let asked = sandbox.counts();
    directory.group(&group.id, 1).await.unwrap();
    assert_eq!(sandbox.counts(), asked, "a second look asks nobody");
}

#[sqlx::test(migrations = "./migrations")]
async fn groups_whose_names_begin_with_the_letters_come_first(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let found = here.directory().find_groups("des").await.unwrap();
    assert!(found.len() <= 20);
    assert!(!found.is_empty());
    let begins: Vec<bool> = found
        .iter()
        .map(|group| group.name.to_lowercase().starts_with("des"))
        .collect();
    let mut sorted = begins.clone();
    sorted.sort_by_key(|begins| !begins);
    assert_eq!(begins, sorted, "{found:?}");
    assert!(here.directory().find_groups("%").await.unwrap().is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_person_is_shown_with_manager_groups_and_timeline(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    here.asana().await;
    let directory = here.directory();
    let people = directory
        .people(PeopleQuery {
            page: 1,
            ..PeopleQuery::default()
        })
        .await
        .unwrap();
    let mut managers = 0;
    for row in &people.rows {
        let person = directory.person(&here.actor, &row.person.id).await.unwrap();
        assert_eq!(person.person, row.person);
        assert_eq!(person.state, row.state);
        assert_eq!(person.apps.len(), 1);
        managers += usize::from(person.manager.is_some());
    }
    assert!(managers > 10, "{managers}");
    assert_eq!(
        directory
            .person(&here.actor, "nobody")
            .await
            .unwrap_err()
            .code,
        ErrorCode::NotFound
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_connection_form_never_shows_its_key(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let form = connection_form(&sandbox, &base);
    assert!(!format!("{form:?}").contains("PRIVATE"));
    here.connect(&sandbox, &base).await;
    let shown = here.directory().connection().await.unwrap();
    assert!(!format!("{shown:?}").contains("PRIVATE"));
    assert!(shown.saved.unwrap().key_id.is_some());
}

async fn read(here: &crate::fixture::Installation) -> Result<(), run::RunError> {
    let import = run::begin_reading(&here.engine).await.unwrap().unwrap();
    run::read_begun(&here.engine, import, "Rollcall")
        .await
        .map(drop)
}

fn answer_as(sandbox: &server::sandbox::Sandbox, customer: &str) -> String {
    sandbox.change_directory(|directory, _| {
        std::mem::replace(&mut directory.customer_id, customer.to_owned())
    })
}

async fn question(here: &crate::fixture::Installation) -> Option<DirectoryQuestion> {
    here.directory().connection().await.unwrap().question
}

fn confirmed(customer: &str) -> Confirmed {
    Confirmed::Directory {
        customer: customer.to_owned(),
        domain: "northmoor.example".to_owned(),
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn confirming_is_refused_when_yet_another_directory_answered_meanwhile(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let app = here.asana().await;
    answer_as(&sandbox, "C0second");
    read(&here).await.unwrap_err();
    let Some(DirectoryQuestion::OtherDirectory(on_the_page)) = question(&here).await else {
        panic!("nobody is asked")
    };
    assert_eq!(on_the_page.seen_customer, "C0second");
    answer_as(&sandbox, "C0third");
    read(&here).await.unwrap_err();

    let directory = here.directory();
    let refused = directory
        .confirm_directory(&here.actor, confirmed("C0second"))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    let mut db = pool.acquire().await.unwrap();
    let state = apps::get(&mut db, app).await.unwrap().unwrap().state;
    assert!(matches!(state, AppState::Stopped { .. }), "{state:?}");

    directory
        .confirm_directory(&here.actor, confirmed("C0third"))
        .await
        .unwrap();
    let state = apps::get(&mut db, app).await.unwrap().unwrap().state;
    assert_eq!(state, AppState::On);
    assert_eq!(question(&here).await, None);
    read(&here).await.unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_wrong_key_can_be_undone_and_the_apps_go_on(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    let (elsewhere, other_base) = crate::fixture::sandbox(&here.clock).await;
    answer_as(&elsewhere, "C0another");
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let app = here.asana().await;
    here.connect(&elsewhere, &other_base).await;
    read(&here).await.unwrap_err();
    assert!(question(&here).await.is_some());

    here.connect(&sandbox, &base).await;
    assert_eq!(question(&here).await, None, "it belonged to the wrong key");
    here.directory().read_now(&here.actor).await.unwrap();
    eventually(|| async {
        let mut db = pool.acquire().await.unwrap();
        let state = apps::get(&mut db, app).await.unwrap().unwrap().state;
        (state == AppState::On).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn reading_on_demand_stops_every_app_when_another_directory_answers(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let app = here.asana().await;
    answer_as(&sandbox, "C0another");
    here.directory().read_now(&here.actor).await.unwrap();
    eventually(|| async {
        let mut db = pool.acquire().await.unwrap();
        let state = apps::get(&mut db, app).await.unwrap().unwrap().state;
        matches!(state, AppState::Stopped { .. }).then_some(())
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn most_people_vanishing_at_once_is_asked_about_and_taken_when_it_is_confirmed(pool: PgPool) {
    let here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    sandbox.change_directory(|directory, now| {
        let people: Vec<String> = directory
            .living()
            .filter(|person| !person.is_admin)
            .map(|person| person.id.as_str().to_owned())
            .collect();
        for person in &people[..150] {
            directory.delete(person, now).unwrap();
        }
    });
    assert_eq!(read(&here).await.unwrap_err().code(), "directory-shrunk");
    let asked = question(&here).await;
    assert_eq!(
        asked,
        Some(DirectoryQuestion::FarFewerPeople {
            before: 250,
            now: 100
        })
    );
    let directory = here.directory();
    let refused = directory
        .confirm_directory(&here.actor, Confirmed::People(99))
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    directory
        .confirm_directory(&here.actor, Confirmed::People(100))
        .await
        .unwrap();
    read(&here).await.unwrap();
    assert_eq!(question(&here).await, None);
    let told = logged(&pool).await;
    assert!(told.iter().any(|event| {
        event.reason.as_deref() == Some("A directory with far fewer people was confirmed")
    }));
}

#[sqlx::test(migrations = "./migrations")]
async fn the_connection_says_whether_google_tells_of_changes_at_once(pool: PgPool) {
    let mut here = installation(&pool);
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    let shown = async |here: &crate::fixture::Installation| {
        here.directory().connection().await.unwrap().push
    };
    assert_eq!(shown(&here).await, Push::Unreachable);
    let url = "http://rollcall.example.com".parse().unwrap();
    here.engine = here.engine.clone().reachable_at(&url, true);
    assert_eq!(
        shown(&here).await,
        Push::Unreachable,
        "Google posts to https only"
    );
    let url = "https://rollcall.example.com".parse().unwrap();
    here.engine = here.engine.clone().reachable_at(&url, false);
    assert_eq!(shown(&here).await, Push::Starting);
    push::keep(&here.engine).await.unwrap();
    let until = here.engine.clock.now() + chrono::TimeDelta::hours(6);
    assert_eq!(shown(&here).await, Push::On { until, last: None });
    here.clock.advance(chrono::TimeDelta::hours(5));
    sandbox.inject(Fault::always(Call::UsersWatch, Failure::Forbidden));
    push::keep(&here.engine).await.unwrap();
    assert!(matches!(shown(&here).await, Push::Refused { .. }));
}
