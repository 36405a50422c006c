use std::collections::BTreeSet;

use chrono::TimeDelta;
use http::Method;
use serde_json::Value;
use server::sandbox::ADMINISTRATOR;
use sqlx::PgPool;

use crate::company::Company;
use crate::python::judge;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// People with an account who manage nobody, so that nothing else changes with them.
fn people_without_reports(accounts: &[Value]) -> Vec<String> {
    let managers: BTreeSet<&str> = accounts
        .iter()
        .filter_map(|account| account[ENTERPRISE]["manager"]["value"].as_str())
        .collect();
    assert!(managers.len() > 10, "hardly anybody has a manager");
    accounts
        .iter()
        .filter(|account| !managers.contains(account["id"].as_str().unwrap()))
        .map(|account| account["userName"].as_str().unwrap().to_owned())
        .filter(|email| email != ADMINISTRATOR)
        .collect()
}

/// A cycle that succeeds, and how many writes it sent: by its own word and by the recorder's.
async fn sync(company: &Company) -> (Value, usize) {
    let mark = company.app.mark();
    let (code, result) = company.sync().await;
    assert_eq!(code, 0, "{result}");
    assert_eq!(result["outcome"], "completed", "{result}");
    assert_eq!(result["error"], Value::Null, "{result}");
    let writes = company
        .app
        .since(mark)
        .iter()
        .filter(|one| one.is_write())
        .count();
    assert_eq!(result["requests"]["scim_writes"], writes, "{result}");
    (result, writes)
}

/// Nobody is touched but in the one way that is named, with one write.
fn assert_applied(result: &Value, writes: usize, what: &str) {
    for kind in ["create", "link", "update", "suspend", "unsuspend", "delete"] {
        assert_eq!(
            result["applied"][kind],
            u64::from(kind == what),
            "{kind}: {result}"
        );
    }
    assert_eq!(writes, 1, "{result}");
}

async fn configure(company: &Company, file: &str) {
    let said = company.apply(file).await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let rows = company.rows().await;
    let again = company.apply(file).await;
    assert_eq!(
        (again.code, company.rows().await),
        (Some(0), rows),
        "{again:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_in_scope_gets_one_account_and_lives_with_it_with_the_mapping_for_any_app(
    pool: PgPool,
) {
    whole_path(pool, "scim").await;
}

#[sqlx::test(migrations = "./migrations")]
async fn everybody_in_scope_gets_one_account_and_lives_with_it_with_the_mapping_for_asana(
    pool: PgPool,
) {
    whole_path(pool, "asana").await;
}

async fn whole_path(pool: PgPool, catalog: &str) {
    let company = Company::found(pool).await;
    configure(&company, &company.file(catalog)).await;
    let in_scope: BTreeSet<String> = company.in_scope().into_iter().collect();
    assert!(in_scope.len() > 150, "{}", in_scope.len());

    let (first, _) = sync(&company).await;
    assert_eq!(first["applied"]["create"], in_scope.len(), "{first}");
    let accounts = company.server.accounts().await;
    assert_eq!(accounts.len(), in_scope.len());
    let names: BTreeSet<String> = accounts
        .iter()
        .map(|account| account["userName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, in_scope);
    let created = company.events("Create User By Auto Provisioning").await;
    assert_eq!(created.len(), in_scope.len());

    let mark = company.app.mark();
    let (second, _) = sync(&company).await;
    assert_eq!(
        company.app.since(mark).len(),
        0,
        "a second run asks the app nothing"
    );
    assert_eq!(second["applied"]["unchanged"], in_scope.len(), "{second}");

    let mut people = people_without_reports(&accounts).into_iter();
    let (titled, leaver) = (people.next().unwrap(), people.next().unwrap());
    a_title_comes_and_goes(&company, &titled).await;
    a_suspension_waits_for_its_window(&company, &titled).await;
    a_deletion_waits_for_the_longer_one(&company, &leaver).await;
    judge(&company.app.passed());
}

async fn a_title_comes_and_goes(company: &Company, email: &str) {
    let change = |title: Option<&'static str>| {
        company
            .sandbox
            .change_directory(|directory, _| directory.set_title(email, title))
            .unwrap();
    };
    change(Some("Keeper of the rolls"));
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "update");
    let account = company.server.account(email).await.unwrap();
    assert_eq!(account["title"], "Keeper of the rolls");

    change(None);
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "update");
    let account = company.server.account(email).await.unwrap();
    assert_eq!(account["title"], Value::Null, "{account}");
    assert_eq!(sync(company).await.1, 0);
}

async fn a_suspension_waits_for_its_window(company: &Company, email: &str) {
    company
        .sandbox
        .change_directory(|directory, now| directory.suspend(email, now))
        .unwrap();
    assert_eq!(sync(company).await.1, 0, "the window is seven days");
    let queue = company.rollcall(&["queue", "--app", "app", "--json"]).await;
    let queue: Value = serde_json::from_str(&queue.out).unwrap();
    assert_eq!(queue[0]["person"]["email"], email, "{queue}");
    assert_eq!(
        (&queue[0]["trigger"], &queue[0]["step"]),
        (&"suspended".into(), &"suspend".into())
    );
    company
        .clock
        .pass(TimeDelta::days(7) - TimeDelta::minutes(10));
    assert_eq!(sync(company).await.1, 0, "ten minutes too early");
    company.clock.pass(TimeDelta::minutes(10));
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "suspend");
    assert_eq!(
        company.server.account(email).await.unwrap()["active"],
        false
    );
    assert_eq!(sync(company).await.1, 0, "a suspension is not sent twice");

    company
        .sandbox
        .change_directory(|directory, _| directory.restore(email))
        .unwrap();
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "unsuspend");
    assert_eq!(company.server.account(email).await.unwrap()["active"], true);
    assert_eq!(sync(company).await.1, 0);
    for name in [
        "Suspend Auto Provisioned User",
        "Unsuspend Auto Provisioned User",
    ] {
        let events = company.events(name).await;
        assert_eq!(events.len(), 1, "{name}: {events:?}");
        assert_eq!(events[0]["person"]["email"], email);
    }
}

async fn a_deletion_waits_for_the_longer_one(company: &Company, email: &str) {
    let id = company.server.account(email).await.unwrap()["id"].clone();
    company
        .sandbox
        .change_directory(|directory, now| directory.delete(email, now))
        .unwrap();
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "suspend");
    // Google forgets the deleted after twenty days; the clock goes on.
    company
        .clock
        .pass(TimeDelta::days(21) - TimeDelta::minutes(10));
    assert_eq!(sync(company).await.1, 0, "ten minutes too early");
    company.clock.pass(TimeDelta::minutes(10));
    let mark = company.app.mark();
    let (result, writes) = sync(company).await;
    assert_applied(&result, writes, "delete");
    let deleted = company.app.since(mark);
    let deleted = deleted
        .iter()
        .find(|one| one.method == Method::DELETE)
        .unwrap();
    assert_eq!(deleted.path, format!("/v2/Users/{}", id.as_str().unwrap()));
    assert_eq!(company.server.account(email).await, None);
    assert_eq!(sync(company).await.1, 0, "a deletion is not sent twice");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_preview_lists_each_operation_with_its_values_and_whoever_is_left_out_with_the_reason(
    pool: PgPool,
) {
    let company = Company::found(pool).await;
    assert_eq!(company.apply(&company.file("scim")).await.code, Some(0));
    let said = company
        .rollcall(&["sync", "--app", "app", "--preview"])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let in_scope = company.in_scope();
    for email in &in_scope {
        let line = format!("create     {email}  ");
        assert!(
            said.out.lines().any(|one| one.starts_with(&line)),
            "{email}"
        );
    }
    let values: Vec<&str> = said
        .out
        .lines()
        .filter(|one| one.contains("userName: nothing -> "))
        .collect();
    assert_eq!(values.len(), in_scope.len());
    let left_out: Vec<&str> = said
        .out
        .lines()
        .filter(|one| one.starts_with("skip "))
        .collect();
    assert!(!left_out.is_empty());
    assert!(
        left_out.iter().all(|one| one.contains(": ")),
        "{left_out:?}"
    );
    assert_eq!(company.server.accounts().await.len(), 0, "nothing was sent");
}
