//! Every function of the console and who may call it. A new function without a line here fails.

use std::collections::BTreeSet;

use app::api::ErrorCode;
use axum::http::{Method, StatusCode};
use chrono::TimeDelta;
use leptos::server_fn::axum::server_fn_paths;
use sqlx::PgPool;

use super::house::{Browser, House};
use Who::{Administrator, Anybody, Assured, AssuredSelf, Enrolling, Halfway, Reader};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Without a session.
    Anybody,
    /// After the password.
    Halfway,
    /// At the door, or inside with a fresh confirmation.
    Enrolling,
    /// Everybody who is signed in.
    Reader,
    /// Everybody, about themselves, with a fresh confirmation.
    AssuredSelf,
    /// Super administrators.
    Administrator,
    /// Super administrators with a fresh confirmation (S13).
    Assured,
}

const NOBODY: &str = "id=00000000-0000-7000-8000-000000000000";

/// Function, who may call it, and a form that it understands. Apps and people are such as there
/// are not, so that nothing is done.
const TABLE: &[(&str, Who, &str)] = &[
    ("about", Reader, ""),
    ("access", Reader, "slug=none"),
    ("access_effect", Reader, "slug=none"),
    ("accounts", Reader, "slug=none"),
    ("add_app", Administrator, "catalog=none"),
    ("add_passkey", Enrolling, "passkey=no"),
    ("administrator", Reader, NOBODY),
    ("administrators", Reader, ""),
    ("app_head", Reader, "slug=none"),
    ("app_overview", Reader, "slug=none"),
    ("app_sign_in", Reader, "slug=none"),
    ("approve_run", Administrator, "slug=none&number=1"),
    ("ask_passkey", Reader, ""),
    ("attributes_step", Reader, "slug=none"),
    ("authorize_step", Reader, "slug=none"),
    ("autoprovisioning", Reader, "slug=none"),
    ("autoprovisioning_status", Reader, "slug=none"),
    ("begin_enrolment", Enrolling, ""),
    ("begin_passkey", Enrolling, ""),
    ("catalog", Reader, ""),
    (
        "change_administrator",
        Assured,
        "id=00000000-0000-7000-8000-000000000000&change=disable",
    ),
    (
        "change_channel",
        Administrator,
        "id=00000000-0000-7000-8000-000000000000&change=test",
    ),
    (
        "change_channel",
        Administrator,
        "id=00000000-0000-7000-8000-000000000000&change=turn-on",
    ),
    (
        "change_channel",
        Administrator,
        "id=00000000-0000-7000-8000-000000000000&change=secret-kept",
    ),
    (
        "change_channel",
        Assured,
        "id=00000000-0000-7000-8000-000000000000&change=turn-off",
    ),
    (
        "change_channel",
        Assured,
        "id=00000000-0000-7000-8000-000000000000&change=delete",
    ),
    ("change_demo", Administrator, "person=none&deed=suspend"),
    (
        "change_password",
        Reader,
        "current=no&password=no&repeated=no",
    ),
    ("channel", Reader, "id=new"),
    ("compare_versions", Reader, "slug=none"),
    ("concerned", Reader, "slug=none"),
    ("confirm_directory", Assured, "customer=C1&domain=d.example"),
    ("confirm_identity", Reader, ""),
    ("connection", Reader, ""),
    (
        "decide_account",
        Administrator,
        "slug=none&person=1&choice=unlink",
    ),
    (
        "decide_held",
        Administrator,
        "slug=none&choice=dismiss-all&version=v",
    ),
    (
        "decide_held",
        Assured,
        "slug=none&choice=allow-all&version=v",
    ),
    (
        "decide_held",
        Assured,
        "slug=none&choice=allow-selected&chosen%5B0%5D=create.1",
    ),
    (
        "decide_steps",
        Administrator,
        "slug=none&choice=cancel&chosen%5Bsteps%5D%5B0%5D=deleted.delete.117",
    ),
    (
        "decide_steps",
        Administrator,
        "slug=none&choice=hold&chosen%5Bsteps%5D%5B0%5D=deleted.delete.117",
    ),
    (
        "decide_steps",
        Administrator,
        "slug=none&choice=release&chosen%5Bsteps%5D%5B0%5D=deleted.delete.117",
    ),
    (
        "decide_steps",
        Assured,
        "slug=none&choice=now&chosen%5Bsteps%5D%5B0%5D=deleted.delete.117",
    ),
    ("delete_configuration", Assured, "slug=none"),
    ("demo_directory", Reader, ""),
    ("deprovisioning_step", Reader, "slug=none"),
    ("differences", Reader, "slug=none&page=1"),
    ("discard_access", Administrator, "slug=none"),
    ("discard_draft", Administrator, "slug=none"),
    (
        "discard_edit",
        Administrator,
        "slug=none&step=deprovisioning",
    ),
    ("draft_access", Administrator, "slug=none"),
    ("edit_review", Reader, "slug=none&step=scope"),
    ("enrolment", Enrolling, ""),
    ("event", Reader, "id=1"),
    ("events", Reader, ""),
    ("failures", Reader, "slug=none"),
    ("find_groups", Reader, "letters=a"),
    ("find_people", Reader, "letters=a"),
    ("finish_enrolment", Enrolling, "code=000000"),
    ("forget_filter", Reader, "id=1"),
    ("frame", Reader, ""),
    ("group", Reader, "id=none&page=1"),
    ("groups", Reader, ""),
    ("history", Reader, "slug=none&page=1"),
    ("home", Reader, ""),
    ("ignore_failure", Administrator, "slug=none&person=1"),
    ("invite_administrator", Assured, "email=nobody&role=auditor"),
    ("lacking", Reader, "slug=none"),
    ("look_at_mapping", Reader, "slug=none"),
    ("my_account", Reader, ""),
    ("notifications", Reader, ""),
    ("one_time_link", Anybody, "token=none"),
    ("org_units", Reader, ""),
    ("people", Reader, ""),
    ("person", Reader, "id=none"),
    ("person_run", Reader, "slug=none&person=1"),
    ("plan_again", Administrator, "slug=none"),
    ("preferences", Reader, ""),
    ("preview_run", Administrator, "slug=none"),
    ("protect", Assured, "slug=none&person=1"),
    ("protected", Reader, "slug=none"),
    ("provision_now", Administrator, "slug=none&person=1"),
    ("put_away", Reader, ""),
    ("question", Reader, "slug=none&choice=hold"),
    ("queue", Reader, "slug=none&page=1"),
    ("read_back", Administrator, "slug=none"),
    ("read_directory", Administrator, ""),
    (
        "redeem_link",
        Anybody,
        "token=none&email=&password=&repeated=",
    ),
    ("remove_administrator", Assured, NOBODY),
    ("remove_passkey", AssuredSelf, NOBODY),
    ("remove_second_factor", AssuredSelf, ""),
    ("renew_administrator_link", Assured, NOBODY),
    (
        "rename_passkey",
        Reader,
        "id=00000000-0000-7000-8000-000000000000&name=n",
    ),
    ("renew_channel_secret", Assured, NOBODY),
    ("renew_recovery_codes", AssuredSelf, ""),
    ("restore_version", Assured, "slug=none&version=1&current=1"),
    ("restoring", Reader, "slug=none&version=1"),
    ("retention", Reader, ""),
    ("retry_failure", Administrator, "slug=none"),
    (
        "retry_operation",
        Administrator,
        "slug=none&number=1&operation=1",
    ),
    ("review", Reader, "slug=none&page=1"),
    ("review_step", Reader, "slug=none"),
    ("revoke_administrator_session", Assured, NOBODY),
    ("revoke_session", Reader, "session=none"),
    ("run", Reader, "slug=none&number=1"),
    ("runs", Reader, "slug=none&page=1"),
    ("safety_of_apps", Reader, ""),
    ("save_access", Administrator, "slug=none"),
    ("save_app_sign_in", Administrator, "slug=none&method=google"),
    ("save_attributes", Administrator, "slug=none"),
    ("save_authorize", Assured, "slug=none&token=t"),
    ("save_authorize", Assured, "slug=none&token=t&live=true"),
    ("save_connection", Assured, "admin_email=nobody"),
    ("save_deprovisioning", Assured, "slug=none"),
    ("save_deprovisioning", Assured, "slug=none&live=true"),
    ("save_digest_hour", Administrator, "hour=7"),
    ("save_edit", Assured, "slug=none&step=scope&version=v"),
    (
        "save_email_channel",
        Assured,
        "host=none&port=1&security=tls&sender=nobody&recipients=nobody",
    ),
    ("save_filter", Reader, "name="),
    ("save_preferences", Reader, "zone=UTC"),
    ("save_retention", Assured, "days=none"),
    ("save_scope", Administrator, "slug=none"),
    ("save_scope", Assured, "slug=none&everyone=true"),
    ("save_session_limits", Assured, "idle_minutes=none"),
    ("save_thresholds", Assured, "slug=none"),
    ("save_webhook_channel", Assured, "url=none"),
    ("scope_step", Reader, "slug=none"),
    ("session_limits", Reader, ""),
    ("settings", Reader, ""),
    ("settings_overview", Reader, ""),
    ("shown_once", Reader, ""),
    ("sign_in", Anybody, "email=nobody&password=no&next="),
    ("sign_in_code", Halfway, "code=000000"),
    ("sign_in_passkey", Halfway, ""),
    ("sign_in_ways", Halfway, ""),
    ("skipped", Reader, "slug=none&number=1"),
    ("start_run", Administrator, "slug=none"),
    ("stop_run", Administrator, "slug=none&number=1"),
    ("test_connection", Administrator, ""),
    ("thresholds", Reader, "slug=none"),
    ("turn_off", Administrator, "slug=none"),
    ("turn_on", Assured, "slug=none"),
    ("turn_on_first", Assured, "slug=none&plan=1"),
    ("unlink_question", Reader, "slug=none&person=1"),
    ("unprotect", Assured, "slug=none&person=1"),
    ("unprotecting", Reader, "slug=none&person=1"),
    ("usage", Reader, "slug=none"),
    ("wizard_progress", Reader, "slug=none"),
    // Last, because it ends the session that asks.
    ("sign_out", Reader, ""),
];

/// Whether a function is for super administrators only.
pub fn refuses_auditors(function: &str) -> bool {
    let line = TABLE.iter().find(|(name, ..)| *name == function);
    let (_, who, _) = line.unwrap_or_else(|| panic!("{function} is not in the table"));
    matches!(who, Administrator | Assured)
}

/// How a function answers somebody who may not call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// Nobody is signed in.
    Unknown,
    /// Whoever is signed in may only read.
    Role,
    /// The confirmation is missing or too old.
    Stale,
}

async fn compare(browser: &Browser<'_>, refusal: impl Fn(Who) -> Option<Refusal>) {
    for (function, who, form) in TABLE {
        let answer = browser.post(&format!("/api/{function}"), form).await;
        let refused = match answer.status {
            StatusCode::UNAUTHORIZED if answer.code() == ErrorCode::Unauthenticated => {
                Some(Refusal::Unknown)
            }
            StatusCode::FORBIDDEN if answer.code() == ErrorCode::ConfirmFirst => {
                Some(Refusal::Stale)
            }
            StatusCode::FORBIDDEN => Some(Refusal::Role),
            StatusCode::BAD_REQUEST => panic!("{function} does not understand {form:?}"),
            _ => None,
        };
        assert_eq!(
            refused,
            refusal(*who),
            "{function} {form}, for {who:?}: {answer:?}"
        );
    }
}

/// As somebody without a session, whatever cookie they have.
fn outside(who: Who) -> Option<Refusal> {
    (who != Anybody).then_some(Refusal::Unknown)
}

#[test]
fn every_function_stands_in_the_table_and_nothing_else_does() {
    let known: BTreeSet<String> = TABLE
        .iter()
        .map(|(function, ..)| format!("/api/{function}"))
        .collect();
    let mut registered = BTreeSet::new();
    for (path, method) in server_fn_paths() {
        assert_eq!(method, Method::POST, "{path}");
        registered.insert(path.to_owned());
    }
    assert_eq!(registered, known);
}

#[sqlx::test(migrations = "./migrations")]
async fn without_a_session_only_the_door_is_open(pool: PgPool) {
    let house = House::new(pool);
    house
        .add(
            "ada@example.com",
            server::store::administrators::Role::SuperAdministrator,
        )
        .await;
    compare(&house.browser(), outside).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_super_administrator_who_just_signed_in_may_do_everything(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    compare(&ada, |who| (who == Halfway).then_some(Refusal::Unknown)).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn after_ten_minutes_what_does_harm_asks_again_who_it_is(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    house.wait(TimeDelta::minutes(10));
    for (function, who, form) in TABLE {
        // Looking at an enrolment is harmless; beginning one is not.
        if *function == "enrolment" || *function == "sign_out" {
            continue;
        }
        let answer = ada.post(&format!("/api/{function}"), form).await;
        let asks =
            answer.status == StatusCode::FORBIDDEN && answer.code() == ErrorCode::ConfirmFirst;
        let should = matches!(who, Assured | AssuredSelf | Enrolling);
        assert_eq!(asks, should, "{function} {form}: {answer:?}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_auditor_reads_everything_and_changes_nothing_but_their_own_account(pool: PgPool) {
    let house = House::new(pool);
    house
        .add(
            "ada@example.com",
            server::store::administrators::Role::SuperAdministrator,
        )
        .await;
    let (_, otto) = house.auditor("otto@example.com").await;
    compare(&otto, |who| match who {
        Halfway => Some(Refusal::Unknown),
        Administrator | Assured => Some(Refusal::Role),
        Anybody | Enrolling | Reader | AssuredSelf => None,
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn with_the_password_alone_only_the_second_factor_can_be_given(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    drop(ada);
    let thief = house.browser();
    assert_eq!(
        thief.sign_in("ada@example.com").await.location,
        "/sign-in/code"
    );
    compare(&thief, |who| match who {
        Anybody | Halfway => None,
        _ => Some(Refusal::Unknown),
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_has_to_set_up_a_second_factor_can_do_nothing_else(pool: PgPool) {
    let house = House::new(pool);
    house
        .add(
            "ada@example.com",
            server::store::administrators::Role::SuperAdministrator,
        )
        .await;
    let ada = house.browser();
    assert_eq!(
        ada.sign_in("ada@example.com").await.location,
        "/second-factor"
    );
    compare(&ada, |who| match who {
        Anybody | Enrolling => None,
        _ => Some(Refusal::Unknown),
    })
    .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_session_that_is_over_opens_nothing(pool: PgPool) {
    let house = House::new(pool);
    let (ada_id, ada) = house.super_administrator("ada@example.com").await;
    let cookie = ada.cookie();
    // A cookie that was copied before signing out.
    ada.post("/api/sign_out", "").await.succeeded();
    ada.set_cookie(cookie);
    compare(&ada, outside).await;

    house.wait(TimeDelta::seconds(30));
    ada.set_cookie(None);
    ada.sign_in("ada@example.com").await.succeeded();
    let code = house.code(ada_id).await;
    ada.post("/api/sign_in_code", &format!("code={code}"))
        .await
        .succeeded();
    assert!(ada.is_in().await);
    house.wait(TimeDelta::hours(9));
    compare(&ada, outside).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn every_page_but_the_door_leads_those_without_a_session_there(pool: PgPool) {
    let house = House::new(pool);
    house
        .add(
            "ada@example.com",
            server::store::administrators::Role::SuperAdministrator,
        )
        .await;
    let stranger = house.browser();
    let pages = leptos_axum::generate_route_list(app::App);
    assert!(pages.len() > 40, "only {} pages", pages.len());
    for page in pages {
        let path = page.path().replace(['{', '}', ':'], "");
        let answer = stranger.get(&path).await;
        match path.as_str() {
            // Without a token the set-up says that there is no such link.
            "/sign-in" | "/setup" => assert_eq!(answer.location, "", "{path}"),
            _ => assert!(
                answer.location.starts_with("/sign-in"),
                "{path}: {answer:?}"
            ),
        }
    }
    let answer = stranger.get("/export/audit?format=csv").await;
    assert!(answer.location.starts_with("/sign-in"), "{answer:?}");
}
