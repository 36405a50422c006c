//! `rollcall sync` is killed with SIGKILL wherever it is, and started again.

use std::collections::BTreeSet;

use http::Method;
use sqlx::PgPool;

use crate::company::Company;
use crate::python::judge;
use crate::recorder::{Halt, Recorder};

const SYNC: [&str; 4] = ["sync", "--app", "app", "--json"];

/// Lets the program come as far as the named request, kills it there, and lets its lease lapse.
async fn kill_at(
    company: &Company,
    at: &Recorder,
    (method, path, after, halt): (Method, &'static str, usize, Halt),
) {
    let shown = format!("{method} {path} {after} {halt:?}");
    let caught = at.trap(method, path, after, halt);
    let mut process = company.start(&SYNC);
    tokio::select! {
        caught = caught => caught.unwrap(),
        ended = process.wait() => panic!("the run ended before {shown}: {ended:?}"),
    }
    process.start_kill().unwrap();
    assert_eq!(
        process.wait().await.unwrap().code(),
        None,
        "killed by a signal"
    );
    company.app.settle().await;
    company.let_leases_lapse().await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_killed_at_many_places_is_finished_with_each_account_and_event_once(pool: PgPool) {
    let company = Company::found(pool).await;
    assert_eq!(company.apply(&company.file("scim")).await.code, Some(0));
    let in_scope: BTreeSet<String> = company.in_scope().into_iter().collect();

    use Halt::{BeforeItArrives, BeforeItsAnswer};
    let (directory, app) = (&company.directory, &company.app);
    let get = || Method::GET;
    kill_at(&company, directory, (get(), "/users", 0, BeforeItsAnswer)).await;
    kill_at(&company, directory, (get(), "/groups", 0, BeforeItsAnswer)).await;
    kill_at(&company, app, (get(), "/Users", 0, BeforeItsAnswer)).await;
    assert_eq!(company.server.accounts().await.len(), 0);
    for (after, halt) in [
        (0, BeforeItArrives),
        (0, BeforeItsAnswer),
        (1, BeforeItsAnswer),
        (30, BeforeItArrives),
        (30, BeforeItsAnswer),
        (60, BeforeItsAnswer),
    ] {
        kill_at(&company, app, (Method::POST, "/Users", after, halt)).await;
    }
    let before = company.server.accounts().await.len();
    assert!(
        before > 100 && before < in_scope.len(),
        "{before} of {}",
        in_scope.len()
    );

    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (0, &"completed".into()),
        "{result}"
    );
    assert_eq!(result["applied"]["create"], in_scope.len(), "{result}");
    let accounts = company.server.accounts().await;
    let names: BTreeSet<String> = accounts
        .iter()
        .map(|account| account["userName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((accounts.len(), &names), (in_scope.len(), &in_scope));
    // The app would refuse a second account of the same name, so it must not even be asked.
    let asked: Vec<_> = app
        .passed()
        .into_iter()
        .filter(|one| one.method == Method::POST)
        .collect();
    assert!(
        asked.iter().all(|one| one.status == 201),
        "an account was asked for twice"
    );
    assert_eq!(asked.len(), in_scope.len());

    let created = company.events("Create User By Auto Provisioning").await;
    let people: BTreeSet<&str> = created
        .iter()
        .map(|event| event["person"]["email"].as_str().unwrap())
        .collect();
    assert_eq!(
        (created.len(), people.len()),
        (in_scope.len(), in_scope.len())
    );
    judge(&app.passed());

    let mark = app.mark();
    let (_, next) = company.sync().await;
    assert_eq!(app.since(mark).len(), 0, "nothing is left to do: {next}");
    assert_eq!(next["applied"]["unchanged"], in_scope.len(), "{next}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_killed_suspension_is_found_done_and_not_sent_again(pool: PgPool) {
    let company = Company::found(pool).await;
    let file = company.file("scim").replace("\"7d\" }", "\"24h\" }");
    assert_eq!(company.apply(&file).await.code, Some(0));
    assert_eq!(company.sync().await.0, 0);
    let email = company
        .in_scope()
        .into_iter()
        .find(|email| email != server::sandbox::ADMINISTRATOR)
        .unwrap();
    company
        .sandbox
        .change_directory(|directory, now| directory.suspend(&email, now))
        .unwrap();
    let mark = company.app.mark();
    let at = (Method::PATCH, "/Users/", 0, Halt::BeforeItsAnswer);
    kill_at(&company, &company.app, at).await;
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["applied"]["suspend"]),
        (0, &1.into()),
        "{result}"
    );
    let writes = company.app.since(mark);
    let writes: Vec<_> = writes.iter().filter(|one| one.is_write()).collect();
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!(
        company.server.account(&email).await.unwrap()["active"],
        false
    );
    assert_eq!(
        company.events("Suspend Auto Provisioned User").await.len(),
        1
    );
}
