//! What doctor finds, and the remedy beside each finding.

use chrono::TimeDelta;
use serde_json::Value;
use server::sandbox::Scope;
use sqlx::PgPool;

use crate::company::{Company, KEY, NEW_KEY};
use crate::program::Said;

/// The findings about one thing.
fn about<'a>(said: &'a Value, check: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let text = |value: &'a Value| value.as_str().unwrap_or("");
    said["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| text(&finding["check"]).starts_with(check))
        .map(|finding| {
            (
                text(&finding["level"]),
                text(&finding["message"]),
                text(&finding["remedy"]),
            )
        })
        .collect()
}

fn assert_found(said: &Said, check: &str, level: &str, message: &str, remedy: &str) {
    let json = said.json();
    let found = about(&json, check);
    assert!(
        found
            .iter()
            .any(|found| found.0 == level && found.1.contains(message) && found.2.contains(remedy)),
        "{check}: {found:?}"
    );
    let is_wrong = level == "failed";
    assert!(!is_wrong || said.code == Some(1), "{said:?}");
}

#[sqlx::test(migrations = "./migrations")]
async fn what_is_in_order_is_said_to_be(pool: PgPool) {
    let company = Company::provisioned(pool).await;
    let said = company.program.rollcall(&["doctor", "--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    for check in [
        "database",
        "migrations",
        "clock",
        "secret key",
        "directory, read people",
        "app app",
    ] {
        let json = said.json();
        let found = about(&json, check);
        assert!(
            !found.is_empty() && found.iter().all(|found| found.0 == "ok"),
            "{check}: {found:?}"
        );
    }
    // The tests own their tables, no worker runs and nothing is noted outside the database.
    assert_found(
        &said,
        "role",
        "warning",
        "owns the tables",
        "ROLLCALL_MIGRATE_URL",
    );
    assert_found(
        &said,
        "job engine",
        "warning",
        "no worker",
        "rollcall worker",
    );
    assert_found(
        &said,
        "audit log",
        "warning",
        "in the database only",
        "ROLLCALL_AUDIT_CHECKPOINT_FILE",
    );
    assert_found(
        &said,
        "address",
        "warning",
        "without https",
        "ROLLCALL_PUBLIC_URL",
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn each_thing_that_is_wrong_is_found_with_what_helps(pool: PgPool) {
    let company = Company::provisioned(pool.clone()).await;
    let doctor = async |settings: &[(&str, &str)]| {
        company.rollcall_with(&["doctor", "--json"], settings).await
    };

    let unreachable = doctor(&[("DATABASE_URL", "postgres://r:hunter2@127.0.0.1:1/r")]).await;
    assert_found(
        &unreachable,
        "database",
        "failed",
        "DATABASE_URL",
        "Start the database",
    );
    assert!(!unreachable.out.contains("hunter2"));

    let other_key = doctor(&[("ROLLCALL_SECRET_KEY", NEW_KEY)]).await;
    assert_found(
        &other_key,
        "secret key",
        "failed",
        "the token of The app",
        "enter the directory's key",
    );
    assert_found(&other_key, "audit log", "failed", "secret key", "");
    let half_way = doctor(&[
        ("ROLLCALL_SECRET_KEY", NEW_KEY),
        ("ROLLCALL_SECRET_KEY_OLD", KEY),
    ])
    .await;
    assert_found(
        &half_way,
        "secret key",
        "warning",
        "older key",
        "rollcall secrets rotate",
    );

    company.sandbox.delegate(Scope::Group, false);
    let missing_scope = doctor(&[]).await;
    assert_found(
        &missing_scope,
        "directory, read groups",
        "failed",
        "",
        "Connection",
    );
    company.sandbox.delegate(Scope::Group, true);

    company.sandbox.revoke_asana_token(false);
    let refused = doctor(&[]).await;
    assert_found(&refused, "app app", "failed", "", "Reauthorize");

    for (statement, check, message, remedy) in [
        (
            "UPDATE apps SET state = 'stopped', stop_code = 'reauthorize', stop_message = 'The token is refused.'",
            "app app",
            "it is stopped: The token is refused.",
            "how to go on",
        ),
        (
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'later', true, '', 0)",
            "migrations",
            "9999",
            "newer version",
        ),
        (
            "DELETE FROM _sqlx_migrations WHERE version IN (9999, 56)",
            "migrations",
            "1 migrations are missing",
            "rollcall migrate",
        ),
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
        assert_found(&doctor(&[]).await, check, "failed", message, remedy);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_clock_that_is_off_and_a_log_that_was_cut_are_found(pool: PgPool) {
    let company = Company::provisioned(pool.clone()).await;
    company.program.clock.pass(TimeDelta::minutes(10));
    let said = company.program.rollcall(&["doctor", "--json"]).await;
    assert_found(&said, "clock", "failed", "s apart", "time server");
    for statement in [
        "SET session_replication_role = replica; DELETE FROM events WHERE id = (SELECT max(id) FROM events)",
        "SET session_replication_role = replica; DELETE FROM event_seals WHERE event_id = (SELECT max(event_id) FROM event_seals)",
    ] {
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
    }
    let said = company.program.rollcall(&["doctor", "--json"]).await;
    assert_found(
        &said,
        "audit log",
        "failed",
        "cut off",
        "rollcall audit verify",
    );
}
