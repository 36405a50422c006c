//! The life of an account in apps that take the standard in their own way. Nothing is set for them:
//! they are "Custom SCIM 2.0" with the default mapping.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use server::sandbox::{ADMINISTRATOR, Rename};
use sqlx::PgPool;

use crate::company::Company;
use crate::python::{OtherApp, ScimServer};

const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

async fn synced(company: &Company) -> Value {
    let (code, result) = company.sync().await;
    assert_eq!((code, &result["error"]), (0, &Value::Null), "{result}");
    result["applied"].clone()
}

/// A run after which nothing is left to do asks the app nothing.
async fn rests(company: &Company) {
    let mark = company.app.mark();
    synced(company).await;
    let asked = company.app.since(mark);
    assert!(asked.is_empty(), "{asked:?}");
}

async fn lives(pool: PgPool, other: OtherApp) {
    let server = ScimServer::start_other(other).await;
    let company = Company::found_before(pool, server, |options| options.people = 70).await;
    let in_scope = company.in_scope();
    let mut people = in_scope.iter().filter(|email| *email != ADMINISTRATOR);
    let mut next = || people.next().unwrap().as_str();
    let (known, renamed, leaver, gone) = (next(), next(), next(), next());
    for user_name in [known, "stranger@elsewhere.example"] {
        let account = json!({"schemas": [CORE], "userName": user_name, "active": true,
            "name": {"givenName": "Old", "familyName": "Name"},
            "emails": [{"type": "work", "value": user_name}]});
        let status = company
            .server
            .ask(Method::POST, "/Users", Some(account))
            .await;
        assert_eq!(status, 201);
    }
    // A deletion at once, so that no clock has to be moved.
    let file = company
        .file("scim")
        .replace(r#"{ suspend = "7d" }"#, r#"{ suspend = "24h" }"#)
        .replace(
            r#"{ suspend = "24h", delete = "21d" }"#,
            r#"{ delete = "24h" }"#,
        );
    let said = company.apply(&file).await;
    assert_eq!(said.code, Some(0), "{said:?}");

    let applied = synced(&company).await;
    assert_eq!(
        (&applied["link"], &applied["create"]),
        (&json!(1), &json!(in_scope.len() - 1))
    );
    let accounts = company.server.accounts().await;
    let names: BTreeSet<&str> = accounts
        .iter()
        .filter_map(|account| account["userName"].as_str())
        .filter(|name| *name != "stranger@elsewhere.example")
        .collect();
    assert_eq!(names, in_scope.iter().map(String::as_str).collect());
    let account = company.server.account(known).await.unwrap();
    assert_ne!(account["name"]["givenName"], "Old", "{account}");
    rests(&company).await;

    let change =
        |change: &dyn Fn(&mut server::sandbox::Directory, chrono::DateTime<chrono::Utc>)| {
            company
                .sandbox
                .change_directory(|directory, now| change(directory, now));
        };
    change(&|directory, now| {
        let rename = Rename {
            primary_email: Some("zoe+new@northmoor.example".to_owned()),
            given_name: Some("Zoë".to_owned()),
            ..Rename::default()
        };
        directory.rename(renamed, rename).unwrap();
        directory.suspend(leaver, now).unwrap();
        directory.delete(gone, now).unwrap();
    });
    let applied = synced(&company).await;
    assert_eq!(
        (&applied["suspend"], &applied["delete"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(company.server.account(renamed).await, None);
    let account = company
        .server
        .account("zoe+new@northmoor.example")
        .await
        .unwrap();
    assert_eq!(account["name"]["givenName"], "Zoë");
    let addresses = account["emails"].as_array().unwrap();
    assert_eq!(addresses.len(), 1, "{account}");
    assert_eq!(addresses[0]["value"], "zoe+new@northmoor.example");
    let account = company.server.account(leaver).await.unwrap();
    assert_eq!(account["active"], false);
    match (other, company.server.account(gone).await) {
        (OtherApp::DjangoScim2Server, Some(account)) => assert_eq!(account["active"], false),
        (_, account) => assert_eq!(account, None),
    }
    // Whose manager went is written once more.
    synced(&company).await;
    rests(&company).await;

    change(&|directory, _| {
        directory.restore(leaver).unwrap();
    });
    assert_eq!(synced(&company).await["unsuspend"], 1);
    assert_eq!(
        company.server.account(leaver).await.unwrap()["active"],
        true
    );

    let account = company.server.account(leaver).await.unwrap();
    let path = format!("/Users/{}", account["id"].as_str().unwrap());
    company.server.ask(Method::DELETE, &path, None).await;
    change(&|directory, _| {
        let rename = Rename {
            given_name: Some("Later".to_owned()),
            ..Rename::default()
        };
        directory.rename(leaver, rename).unwrap();
    });
    if other != OtherApp::DjangoScim2Server {
        let (code, result) = company.sync().await;
        assert_eq!((code, &result["failed"]), (3, &json!(1)), "{result}");
        let accounts = company.rollcall(&["accounts", "--app", "app"]).await;
        assert!(
            accounts.out.contains(leaver),
            "a gone account is offered: {accounts:?}"
        );
    }
    synced(&company).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_lives_in_an_app_with_scimmy(pool: PgPool) {
    lives(pool, OtherApp::Scimmy).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_lives_in_an_app_with_django_scim2_server(pool: PgPool) {
    lives(pool, OtherApp::DjangoScim2Server).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn an_account_lives_in_an_app_with_django_scim2(pool: PgPool) {
    lives(pool, OtherApp::DjangoScim2).await;
}
