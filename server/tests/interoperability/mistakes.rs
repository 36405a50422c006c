//! What goes wrong at Google or in the configuration costs nobody their account: the run stops
//! with the reason, or the removals are held and listed.

use std::collections::BTreeSet;

use serde_json::Value;
use server::sandbox::{Call, Failure, Fault};
use sqlx::PgPool;

use crate::company::Company;

const GROUP: &str = "provisioned@northmoor.example";

/// A company in which the members of one group have accounts, and nobody else.
async fn with_accounts(pool: PgPool) -> (Company, String, BTreeSet<String>) {
    // More than a page of people, so that the listing can end in the middle.
    let company = Company::found_with(pool, |options| options.people = 600).await;
    let members: BTreeSet<String> = company.in_scope().into_iter().take(40).collect();
    company.sandbox.change_directory(|directory, _| {
        directory.add_group(GROUP, "Provisioned").unwrap();
        for member in &members {
            directory.add_member(GROUP, member).unwrap();
        }
    });
    let scope = format!("[app.scope]\ngroups = [{{ email = \"{GROUP}\", members = \"direct\" }}]");
    let file = company
        .file("asana")
        .replace("[app.scope]\neveryone = true", &scope);
    assert_eq!(company.apply(&file).await.code, Some(0));
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["applied"]["create"]),
        (0, &members.len().into()),
        "{result}"
    );
    (company, file, members)
}

/// Nothing is written, and everybody's account is there and active.
async fn assert_nobody_lost(company: &Company, mark: usize, members: &BTreeSet<String>) {
    let writes: Vec<_> = company
        .app
        .since(mark)
        .into_iter()
        .filter(|one| one.is_write())
        .collect();
    assert!(writes.is_empty(), "{writes:?}");
    let accounts = company.server.accounts().await;
    let active: BTreeSet<String> = accounts
        .iter()
        .filter(|account| account["active"] == true)
        .map(|account| account["userName"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(&active, members);
}

/// Every removal is held, and the review says who would have been suspended and why.
async fn assert_all_held(company: &Company, members: &BTreeSet<String>) {
    let mark = company.app.mark();
    let (code, result) = company.sync().await;
    assert_eq!((code, &result["outcome"]), (4, &"held".into()), "{result}");
    assert_eq!(result["plan"]["suspend"], members.len(), "{result}");
    assert_eq!(result["held"], members.len(), "{result}");
    assert_eq!(result["applied"]["suspend"], 0, "{result}");
    assert_nobody_lost(company, mark, members).await;
    let review = review(company).await;
    let people: BTreeSet<String> = review
        .iter()
        .map(|line| line["person"]["email"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(&people, members);
    for line in &review {
        assert_eq!(
            (&line["trigger"], &line["step"], &line["held"]),
            (&"app_turned_off".into(), &"suspend".into(), &true.into()),
            "{line}"
        );
    }
}

async fn review(company: &Company) -> Vec<Value> {
    let said = company
        .rollcall(&["review", "--app", "app", "--json"])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.json().as_array().unwrap().clone()
}

/// With the mistake mended nothing is held any more, and nothing was or is sent.
async fn assert_mended(company: &Company, members: &BTreeSet<String>) {
    let mark = company.app.mark();
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (0, &"completed".into()),
        "{result}"
    );
    assert_nobody_lost(company, mark, members).await;
    assert_eq!(review(company).await, Vec::<Value>::new());
}

#[sqlx::test(migrations = "./migrations")]
async fn an_org_unit_that_is_mistyped_stops_the_run_and_a_wrong_one_is_held(pool: PgPool) {
    let (company, file, members) = with_accounts(pool).await;
    let mark = company.app.mark();
    let mistyped = file.replace("\"/\" = \"on\"", "\"/Enginering\" = \"on\"");
    assert_eq!(company.apply(&mistyped).await.code, Some(0));
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (2, &"failed".into()),
        "{result}"
    );
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains("/Enginering"), "{message}");
    assert_nobody_lost(&company, mark, &members).await;

    // A unit that exists, but where nobody with an account is.
    let wrong = file.replace("\"/\" = \"on\"", "\"/Archive\" = \"on\"");
    assert_eq!(company.apply(&wrong).await.code, Some(0));
    assert_all_held(&company, &members).await;
    assert_eq!(company.apply(&file).await.code, Some(0));
    assert_mended(&company, &members).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn the_removals_of_a_group_that_was_emptied_are_held_until_it_is_filled_again(pool: PgPool) {
    let (company, _, members) = with_accounts(pool).await;
    company.sandbox.change_directory(|directory, _| {
        for member in &members {
            directory.remove_member(GROUP, member).unwrap();
        }
    });
    assert_all_held(&company, &members).await;
    // Held is held, however often it runs.
    assert_all_held(&company, &members).await;
    company.sandbox.change_directory(|directory, _| {
        for member in &members {
            directory.add_member(GROUP, member).unwrap();
        }
    });
    assert_mended(&company, &members).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_group_that_is_deleted_stops_the_run_and_costs_nobody_their_account(pool: PgPool) {
    let (company, _, members) = with_accounts(pool).await;
    let mark = company.app.mark();
    company
        .sandbox
        .change_directory(|directory, _| directory.delete_group(GROUP))
        .unwrap();
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (2, &"failed".into()),
        "{result}"
    );
    let message = result["error"]["message"].as_str().unwrap();
    assert!(message.contains(GROUP), "{message}");
    assert_nobody_lost(&company, mark, &members).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_directory_that_answers_by_half_ends_the_run_and_plans_nothing(pool: PgPool) {
    let (company, _, members) = with_accounts(pool).await;
    let mark = company.app.mark();
    for failure in [
        Failure::EndsEarly,
        Failure::MissingCollection,
        Failure::RepeatedPageToken,
    ] {
        let shown = format!("{failure:?}");
        company
            .sandbox
            .inject(Fault::always(Call::UsersList, failure));
        let (code, result) = company.sync().await;
        assert_eq!(
            (code, &result["outcome"]),
            (1, &"failed".into()),
            "{shown}: {result}"
        );
        assert!(result["error"]["code"].is_string(), "{shown}: {result}");
        for kind in ["create", "update", "suspend", "delete"] {
            assert_eq!(result["plan"][kind], 0, "{shown}: {result}");
        }
        company.sandbox.clear_faults();
        assert_nobody_lost(&company, mark, &members).await;
    }
    assert_eq!(
        company.app.since(mark).len(),
        0,
        "the app was not even asked"
    );
    assert_mended(&company, &members).await;
}
