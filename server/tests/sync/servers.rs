//! Whole runs against an app that behaves as SCIM servers in the wild do. One test per behaviour;
//! each ends with a run that has nothing to send.

use chrono::TimeDelta;
use provisioning::catalog;
use provisioning::config::{AppConfig, Policy, Window};
use provisioning::mapping::MappingRow;
use serde_json::{Value, json};
use server::connectors::Learned;
use server::connectors::scim::{DeleteEffect, FilterWorth, UpdateStyle};
use server::sandbox::{ADMINISTRATOR, Call, Failure, Fault, NewPerson, Quirks, Rename};
use server::store::apps::AppState;
use server::store::events::EventRow;
use server::store::runs::{Run, RunState};
use sqlx::PgPool;

use crate::house::House;

/// A small company whose app has these quirks.
async fn company(pool: PgPool, quirks: Quirks) -> House {
    company_with(pool, quirks, |_| {}).await
}

async fn company_with(pool: PgPool, quirks: Quirks, config: impl FnOnce(&mut AppConfig)) -> House {
    let small = |options: &mut server::sandbox::SandboxOptions| {
        options.people = 60;
        options.accounts = 12;
        options.quirks = quirks;
    };
    House::build_with(pool, small, config).await
}

/// The same app, added as "Custom SCIM 2.0": nothing is known of it beforehand.
async fn custom(house: &House) {
    sqlx::query("UPDATE apps SET catalog = 'scim'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    let mapping = catalog::entry("scim").unwrap().default_mapping.clone();
    house.change_config(|config| config.mapping = mapping).await;
}

async fn learned(house: &House) -> Learned {
    serde_json::from_value(house.app().await.learned).unwrap()
}

/// A run in which everything works.
async fn works(house: &House) -> Run {
    let run = house.run().await;
    assert_eq!(run.error_message, None);
    let mut db = house.engine.connection().await.unwrap();
    let failures = sqlx::query_scalar::<_, String>("SELECT message FROM failures")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    assert_eq!(
        (run.state, run.failed),
        (RunState::Completed, 0),
        "{failures:?}"
    );
    run
}

/// A run after which nothing is left to do sends the app no request.
async fn rests(house: &House) {
    house.sandbox.forget_requests();
    let run = works(house).await;
    assert_eq!(
        house.sandbox.scim_requests(),
        0,
        "{:?}",
        house.sandbox.recorded()
    );
    assert_eq!((run.scim_reads, run.scim_writes), (0, 0));
}

/// Somebody who got an account and manages nobody, so that nothing else changes with them.
async fn somebody(house: &House) -> String {
    let accounts = house.sandbox.accounts();
    let manages = |id: &str| {
        accounts.iter().any(|account| {
            account
                .enterprise("manager")
                .is_some_and(|manager| manager["value"] == *id)
        })
    };
    house
        .sandbox
        .recorded()
        .iter()
        .filter(|call| call.method == "POST" && call.status == 201)
        .filter_map(|call| call.body["userName"].as_str())
        .find(|email| {
            let id = &house.sandbox.account(email).unwrap().id;
            *email != ADMINISTRATOR && !manages(id)
        })
        .unwrap()
        .to_owned()
}

fn joins(house: &House, email: &str) {
    let person = NewPerson {
        given_name: "Nell".to_owned(),
        family_name: "Marsh".to_owned(),
        primary_email: Some(email.to_owned()),
        ..NewPerson::default()
    };
    house
        .sandbox
        .change_directory(|directory, now| directory.add_person(person, now))
        .unwrap();
}

fn has_account(house: &House, email: &str) {
    let document = json!({"userName": email, "name": {"formatted": "Nell Marsh"}});
    let Value::Object(document) = document else {
        unreachable!()
    };
    assert!(house.sandbox.add_account(document));
}

fn promoted(house: &House, email: &str, title: Option<&str>) {
    house
        .sandbox
        .change_directory(|directory, _| directory.set_title(email, title))
        .unwrap();
}

fn renamed(house: &House, email: &str, new: &str) {
    let rename = Rename {
        primary_email: Some(new.to_owned()),
        ..Rename::default()
    };
    house
        .sandbox
        .change_directory(|directory, _| directory.rename(email, rename))
        .unwrap();
}

fn suspended(house: &House, email: &str) {
    house
        .sandbox
        .change_directory(|directory, now| directory.suspend(email, now))
        .unwrap();
}

fn why(event: &EventRow) -> Option<String> {
    Some(event.error.as_ref()?["message"].as_str()?.to_owned())
}

fn methods(house: &House) -> Vec<String> {
    let recorded = house.sandbox.recorded();
    recorded.into_iter().map(|call| call.method).collect()
}

/// Everybody gets one account, whoever has one is linked, and a newcomer after that too.
async fn joiners_get_one_account(house: &House) {
    let before = house.sandbox.account_count();
    let run = works(house).await;
    assert_eq!(run.planned.link, run.applied.link);
    assert!(run.applied.link > 0);
    assert_eq!(
        house.sandbox.account_count() as u64,
        before as u64 + run.applied.create
    );
    rests(house).await;
    has_account(house, "nell.marsh@northmoor.example");
    joins(house, "nell.marsh@northmoor.example");
    joins(house, "new.comer@northmoor.example");
    let run = works(house).await;
    assert_eq!((run.applied.link, run.applied.create), (1, 1), "{run:?}");
    rests(house).await;
}

/// A title and a suspension arrive, and a cleared title and the return.
async fn movers_are_followed(house: &House) -> String {
    works(house).await;
    let email = somebody(house).await;
    promoted(house, &email, Some("Keeper of the rolls"));
    assert_eq!(works(house).await.applied.update, 1);
    let account = house.sandbox.account(&email).unwrap();
    assert_eq!(account.title(), Some("Keeper of the rolls"));
    rests(house).await;
    suspended(house, &email);
    assert_eq!(works(house).await.applied.suspend, 1);
    assert!(!house.sandbox.account(&email).unwrap().active);
    rests(house).await;
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    promoted(house, &email, None);
    assert_eq!(works(house).await.applied.unsuspend, 1);
    let account = house.sandbox.account(&email).unwrap();
    assert_eq!((account.active, account.title()), (true, None));
    rests(house).await;
    email
}

macro_rules! behaviours {
    ($survives:ident: $($name:ident = $quirks:expr;)+) => {
        $(
            #[sqlx::test(migrations = "./migrations")]
            async fn $name(pool: PgPool) {
                let house = company(pool, $quirks).await;
                $survives(&house).await;
            }
        )+
    };
}

fn quirks(change: impl FnOnce(&mut Quirks)) -> Quirks {
    let mut quirks = Quirks::default();
    change(&mut quirks);
    quirks
}

behaviours! { joiners_get_one_account:
    joiners_get_one_account_where_the_filter_is_ignored = quirks(|q| q.filter_ignored = true);
    joiners_get_one_account_where_filters_fail_with_500 = quirks(|q| q.filter_fails = Some(500));
    joiners_get_one_account_where_filters_are_not_implemented = quirks(|q| q.filter_fails = Some(501));
    joiners_get_one_account_where_filters_are_a_bad_request = quirks(|q| q.filter_fails = Some(400));
    joiners_get_one_account_where_pages_are_capped = quirks(|q| q.page_cap = Some(20));
    joiners_get_one_account_where_paging_is_ignored = quirks(|q| q.paging_ignored = true);
    joiners_get_one_account_where_pages_begin_again_past_the_end = quirks(|q| q.start_index_repeats = true);
    joiners_get_one_account_where_any_count_is_a_500 = quirks(|q| q.count_refused = true);
    joiners_get_one_account_where_totals_are_missing = quirks(|q| q.no_total_results = true);
    joiners_get_one_account_where_the_user_name_is_the_id = quirks(|q| q.name_is_id = true);
    joiners_get_one_account_where_errors_are_web_pages = quirks(|q| q.html_errors = true);
}

behaviours! { movers_are_followed:
    movers_are_followed_where_patch_answers_no_content = quirks(|q| q.patch_no_content = true);
    movers_are_followed_where_patch_is_not_implemented = quirks(|q| q.patch_unsupported = true);
    movers_are_followed_where_patch_is_a_web_page_with_405 = quirks(|q| q.patch_answers_html = Some(405));
    movers_are_followed_where_patch_is_a_web_page_with_404 = quirks(|q| q.patch_answers_html = Some(404));
    movers_are_followed_where_patch_says_yes_and_leaves_active = quirks(|q| q.patch_keeps_active = true);
    movers_are_followed_where_patch_says_no_content_and_leaves_active = quirks(|q| {
        q.patch_keeps_active = true;
        q.patch_no_content = true;
    });
    movers_are_followed_where_writes_do_not_show_active = quirks(|q| q.writes_hide_active = true);
    movers_are_followed_where_the_user_name_is_the_id = quirks(|q| q.name_is_id = true);
}

#[sqlx::test(migrations = "./migrations")]
async fn movers_are_followed_in_an_app_of_which_nothing_is_known(pool: PgPool) {
    let house = company(pool, quirks(|q| q.keeps_everything = true)).await;
    custom(&house).await;
    movers_are_followed(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn suspensions_get_through_where_operations_with_paths_are_ignored(pool: PgPool) {
    let house = company(pool, quirks(|q| q.patch_ignores_paths = true)).await;
    custom(&house).await;
    works(&house).await;
    let email = somebody(&house).await;
    suspended(&house, &email);
    assert_eq!(works(&house).await.applied.suspend, 1);
    assert!(!house.sandbox.account(&email).unwrap().active);
    assert_eq!(learned(&house).await.update, Some(UpdateStyle::PatchValue));
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_never_suspends_is_a_failure_with_a_plain_cause(pool: PgPool) {
    let stubborn = quirks(|q| {
        q.patch_keeps_active = true;
        q.put_keeps_active = true;
        q.patch_no_content = true;
    });
    let house = company(pool, stubborn).await;
    works(&house).await;
    let email = somebody(&house).await;
    suspended(&house, &email);
    let run = house.run().await;
    assert_eq!((run.applied.suspend, run.failed), (0, 1));
    let events = house.events("Suspend Auto Provisioned User").await;
    let message = why(&events[0]).unwrap();
    assert!(message.contains("the account stays active"), "{message}");
    let request = &events[0].detail.as_ref().unwrap()["request"];
    assert!(
        request["method"].is_string() && request["planned"].is_null(),
        "{request}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_style_that_worked_is_remembered_and_used_at_once(pool: PgPool) {
    let house = company(pool, quirks(|q| q.patch_unsupported = true)).await;
    works(&house).await;
    let email = somebody(&house).await;
    for title in ["Reader", "Writer"] {
        house.sandbox.forget_requests();
        promoted(&house, &email, Some(title));
        works(&house).await;
    }
    assert_eq!(methods(&house), ["GET", "PUT"]);
    assert_eq!(learned(&house).await.update, Some(UpdateStyle::Put));
    // The log tells the request that worked, not the plan, and not what was tried before it.
    for update in house.events("Update Auto Provisioned User").await {
        let detail = update.detail.unwrap();
        let account = update.account_id.unwrap();
        assert_eq!(detail["request"]["method"], "PUT", "{detail}");
        assert_eq!(detail["request"]["path"], format!("/Users/{account}"));
        assert!(
            detail["request"]["body"]["userName"].is_string(),
            "{detail}"
        );
        assert_eq!(detail["response"]["status"], 200, "{detail}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_title_is_cleared_by_put_where_the_catalogue_says_so(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    works(&house).await;
    let email = somebody(&house).await;
    promoted(&house, &email, Some("Reader"));
    works(&house).await;
    house.sandbox.forget_requests();
    promoted(&house, &email, None);
    assert_eq!(works(&house).await.applied.update, 1);
    assert_eq!(methods(&house), ["GET", "PUT"]);
    assert_eq!(house.sandbox.account(&email).unwrap().title(), None);
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn the_e_mail_addresses_of_others_stay_where_an_addition_replaces_the_list(pool: PgPool) {
    let odd = quirks(|q| {
        q.add_replaces = true;
        q.keeps_everything = true;
    });
    let house = company(pool, odd).await;
    custom(&house).await;
    let email = "nell.marsh@northmoor.example";
    has_account(&house, email);
    let home = json!([{"type": "home", "value": "nell@home.example"}]);
    house.sandbox.change_account(email, |account| {
        account.attributes.insert("emails".to_owned(), home);
    });
    joins(&house, email);
    let run = works(&house).await;
    assert!(run.applied.link > 0);
    let account = house.sandbox.account(email).unwrap();
    assert_eq!(
        account.attributes["emails"],
        json!([{"type": "home", "value": "nell@home.example"}, {"type": "work", "value": email}])
    );
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_differs_by_case_is_linked_where_the_filter_compares_with_case(
    pool: PgPool,
) {
    let house = company(pool, quirks(|q| q.filter_case_sensitive = true)).await;
    works(&house).await;
    has_account(&house, "Nell.Marsh@Northmoor.example");
    joins(&house, "nell.marsh@northmoor.example");
    let run = works(&house).await;
    assert_eq!((run.applied.create, run.applied.link), (0, 1), "{run:?}");
    assert_eq!(learned(&house).await.filter, Some(FilterWorth::Misses));
    rests(&house).await;
    // What the filter is worth is known by now: no second conflict, once the listing is old.
    house
        .engine
        .outgoing()
        .timer()
        .wait(std::time::Duration::from_secs(1200))
        .await;
    has_account(&house, "Otto.Marsh@Northmoor.example");
    joins(&house, "otto.marsh@northmoor.example");
    house.sandbox.forget_requests();
    assert_eq!(works(&house).await.applied.link, 1);
    assert_eq!(house.sandbox.count(Call::AccountCreate), 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_plus_address_is_found_where_the_filter_is_decoded_twice(pool: PgPool) {
    let house = company(pool, quirks(|q| q.filter_decoded_twice = true)).await;
    works(&house).await;
    has_account(&house, "nell+rolls@northmoor.example");
    joins(&house, "nell+rolls@northmoor.example");
    let run = works(&house).await;
    assert_eq!((run.applied.create, run.applied.link), (0, 1), "{run:?}");
    assert_eq!(house.sandbox.count(Call::AccountCreate), creates(&house));
    rests(&house).await;
}

fn creates(house: &House) -> u64 {
    let recorded = house.sandbox.recorded();
    let made = recorded
        .iter()
        .filter(|call| call.method == "POST" && call.status == 201);
    made.count() as u64
}

#[sqlx::test(migrations = "./migrations")]
async fn attributes_that_vanish_are_named_and_not_sent_again(pool: PgPool) {
    let house = company(pool, quirks(|q| q.drops_enterprise = true)).await;
    works(&house).await;
    rests(&house).await;
    let not_kept = learned(&house).await.not_kept;
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    assert!(not_kept.contains(department), "{not_kept:?}");
    assert!(!not_kept.contains("name.formatted"), "{not_kept:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_deletion_that_only_deactivates_is_done_and_no_second_account_is_made(pool: PgPool) {
    let policy = Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
    let house = company_with(pool, quirks(|q| q.delete_deactivates = true), |config| {
        config.deprovisioning.suspended = policy
    })
    .await;
    works(&house).await;
    let email = somebody(&house).await;
    let accounts = house.sandbox.account_count();
    suspended(&house, &email);
    assert_eq!(works(&house).await.applied.delete, 1);
    assert_eq!(
        learned(&house).await.delete,
        Some(DeleteEffect::Deactivates)
    );
    rests(&house).await;
    house
        .sandbox
        .change_directory(|directory, _| directory.restore(&email))
        .unwrap();
    house.pass(TimeDelta::days(2));
    works(&house).await;
    assert_eq!(house.sandbox.account_count(), accounts);
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_second_deletion_that_fails_with_500_is_done_when_the_account_is_inactive(pool: PgPool) {
    let policy = Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
    let house = company_with(
        pool,
        quirks(|q| {
            q.delete_deactivates = true;
            q.second_delete_fails = true;
        }),
        |config| config.deprovisioning.suspended = policy,
    )
    .await;
    works(&house).await;
    let email = somebody(&house).await;
    let other = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .find(|name| {
            *name != email && name != ADMINISTRATOR && name.ends_with("@northmoor.example")
        })
        .unwrap();
    // The first deletion shows what deleting does here; the answer of the second one is lost.
    suspended(&house, &email);
    works(&house).await;
    suspended(&house, &other);
    house
        .sandbox
        .inject(Fault::once(Call::AccountDelete, Failure::DroppedAfter));
    let run = works(&house).await;
    assert_eq!(run.applied.delete, 1, "{run:?}");
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_rename_is_followed_where_the_user_name_is_the_id(pool: PgPool) {
    let house = company(
        pool,
        quirks(|q| {
            q.name_is_id = true;
            q.patch_no_content = true;
        }),
    )
    .await;
    works(&house).await;
    let email = somebody(&house).await;
    let new = "nell+new@northmoor.example";
    renamed(&house, &email, new);
    let run = works(&house).await;
    assert_eq!((run.applied.update, run.applied.create), (1, 0));
    rests(&house).await;
    // The link follows the account, so that the next change reaches it.
    promoted(&house, new, Some("Reader"));
    assert_eq!(works(&house).await.applied.update, 1);
    assert_eq!(house.sandbox.account(new).unwrap().title(), Some("Reader"));
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_has_an_account_in_the_end_where_writes_fail_at_random(pool: PgPool) {
    let house = company(pool, quirks(|q| q.random_failures = 40)).await;
    let mut runs = 0;
    loop {
        let run = house.run().await;
        if run.failed == 0 && run.applied.create == 0 {
            break;
        }
        runs += 1;
        assert!(runs < 10, "{run:?}");
        house.pass(TimeDelta::hours(25));
    }
    let names: Vec<String> = house
        .sandbox
        .accounts()
        .into_iter()
        .map(|account| account.user_name)
        .collect();
    let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    house.sandbox.set_quirks(Quirks::default());
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn without_seats_creates_pause_and_everything_else_goes_on(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    works(&house).await;
    let email = somebody(&house).await;
    let taken = house.sandbox.account_count();
    house.sandbox.set_quirks(quirks(|q| q.seats = Some(taken)));
    for number in 0..40 {
        joins(&house, &format!("joiner{number}@northmoor.example"));
    }
    promoted(&house, &email, Some("Reader"));
    house.sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!((run.applied.update, run.applied.create), (1, 0), "{run:?}");
    assert_eq!(run.failed, 1, "it is told once");
    let asked = house.sandbox.count(Call::AccountCreate);
    assert!((1..=30).contains(&asked), "{asked} creates were sent");
    let app = house.app().await;
    assert!(matches!(app.state, AppState::On));
    assert_eq!(app.paused_until, None);
    let events = house.events("Create User By Auto Provisioning").await;
    let message = events.iter().filter_map(why).next_back();
    assert!(message.unwrap().contains("no seat left"));
    // The next run, a moment later, leaves the app in peace but for what has nothing to do with it.
    house.sandbox.forget_requests();
    suspended(&house, &email);
    let run = house.run().await;
    assert_eq!((run.applied.suspend, run.failed), (1, 0), "{run:?}");
    // More seats were bought.
    house.sandbox.set_quirks(Quirks::default());
    house.pass(TimeDelta::hours(25));
    let run = works(&house).await;
    assert_eq!(run.applied.create, 40);
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_that_may_not_be_written_fails_alone_and_the_app_goes_on(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    works(&house).await;
    let owner = somebody(&house).await;
    house
        .sandbox
        .inject(Fault::always(Call::AccountPatch, Failure::Forbidden).about(&owner));
    promoted(&house, &owner, Some("Owner"));
    let run = house.run().await;
    assert_eq!((run.state, run.failed), (RunState::Completed, 1), "{run:?}");
    assert!(matches!(house.app().await.state, AppState::On));
    let events = house.events("Update Auto Provisioned User").await;
    let message = why(events.last().unwrap()).unwrap();
    assert!(
        message.contains("role that the token may not change"),
        "{message}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_that_may_read_and_write_nobody_stops_the_app(pool: PgPool) {
    let house = company(pool, Quirks::default()).await;
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, Failure::Forbidden));
    let run = house.run().await;
    assert_eq!(run.state, RunState::Stopped, "{run:?}");
    assert_eq!(run.error_code.as_deref(), Some("reauthorize"));
}

#[sqlx::test(migrations = "./migrations")]
async fn what_was_learned_is_kept_though_the_run_ends_early(pool: PgPool) {
    let house = company(pool, quirks(|q| q.filter_ignored = true)).await;
    works(&house).await;
    joins(&house, "nell.marsh@northmoor.example");
    house
        .sandbox
        .inject(Fault::always(Call::AccountCreate, Failure::Unauthorized));
    assert_eq!(house.run().await.state, RunState::Stopped);
    while learned(&house).await.filter.is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(learned(&house).await.filter, Some(FilterWorth::Ignored));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_tells_nothing_of_itself_works_with_what_everybody_knows(pool: PgPool) {
    let house = company(pool, quirks(|q| q.no_discovery = true)).await;
    custom(&house).await;
    works(&house).await;
    rests(&house).await;
    let facts = house.app().await.facts;
    assert_eq!(facts["service_provider_config"], Value::Null);
    assert!(
        facts["remarks"]
            .as_array()
            .is_some_and(|said| !said.is_empty())
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_was_configured_by_file_is_asked_for_its_schemas_at_its_first_run(
    pool: PgPool,
) {
    let house = company(pool, Quirks::default()).await;
    custom(&house).await;
    works(&house).await;
    let facts = house.app().await.facts;
    assert!(facts["schemas"]["Resources"].is_array(), "{facts}");
    assert_eq!(facts["patch"], json!(true));
    assert_eq!(house.sandbox.count(Call::Schemas), 1);
    rests(&house).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_gets_an_account_where_unknown_attributes_are_refused(pool: PgPool) {
    let house = company(pool, quirks(|q| q.refuses_unknown = true)).await;
    custom(&house).await;
    let badge = MappingRow::from_attribute("badge", "name.givenName");
    house
        .change_config(|config| config.mapping.push(badge))
        .await;
    let run = works(&house).await;
    assert!(run.applied.create > 10, "{run:?}");
    let known = learned(&house).await;
    assert!(
        known.refuses("badge") && !known.refuses("title"),
        "{known:?}"
    );
    // Resting forgets who was created.
    let email = somebody(&house).await;
    rests(&house).await;
    promoted(&house, &email, Some("Reader"));
    assert_eq!(works(&house).await.applied.update, 1);
    let account = house.sandbox.account(&email).unwrap();
    assert_eq!(account.title(), Some("Reader"));
    rests(&house).await;
}

/// Slack is in the catalogue by a data file alone.
#[sqlx::test(migrations = "./migrations")]
async fn an_app_of_the_catalogue_that_is_only_a_file_is_configured_and_run(pool: PgPool) {
    let slack = catalog::entry("slack").unwrap();
    let house = company_with(
        pool,
        quirks(|q| {
            q.keeps_everything = true;
            q.delete_deactivates = true;
        }),
        |config| {
            config.mapping = slack.default_mapping.clone();
            config.deprovisioning.suspended =
                Policy::new(None, Some(Window::WITHIN_24_HOURS)).unwrap();
        },
    )
    .await;
    sqlx::query("UPDATE apps SET catalog = 'slack', name = 'Slack'")
        .execute(&house.engine.pool)
        .await
        .unwrap();
    let run = works(&house).await;
    assert!(run.applied.create > 10, "{run:?}");
    let email = somebody(&house).await;
    let account = house.sandbox.account(&email).unwrap();
    assert!(account.attributes.contains_key("displayName"));
    rests(&house).await;
    promoted(&house, &email, Some("Reader"));
    house.sandbox.forget_requests();
    assert_eq!(works(&house).await.applied.update, 1);
    assert_eq!(
        house.sandbox.recorded()[0].body["Operations"][0]["path"],
        "title",
        "paths, as the file says"
    );
    suspended(&house, &email);
    assert_eq!(works(&house).await.applied.delete, 1);
    assert!(!house.sandbox.account(&email).unwrap().active);
    rests(&house).await;
}
