//! What is wrong is told in one line (which thing, why, what to do), and nothing is half saved.

use axum::Router;
use axum::response::Html;
use serde_json::Value;
use server::sandbox::PRIMARY_DOMAIN;
use sqlx::PgPool;

use crate::company::Company;
use crate::program::Said;

fn assert_refused(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    let line = said.line();
    for part in parts {
        assert!(line.contains(part), "{part:?} is missing in {line:?}");
    }
    assert!(
        !line.contains("PRIVATE KEY") && !line.contains("wrong-token"),
        "{line:?}"
    );
    assert_eq!(said.out, "");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_file_that_is_wrong_in_one_place_is_one_line_and_saves_nothing(pool: PgPool) {
    let company = Company::found(pool).await;
    company.write("broken.json", "-----BEGIN PRIVATE KEY-----");
    let whole = company.file("scim");
    let mapping = "[app.mapping]\n\"name.formatted\" = \"name.fullName\"\n\n[app.deprovisioning]";
    for (was, is, parts) in [
        (
            "sa.json",
            "broken.json",
            ["directory.google.service_account_file", "not JSON"],
        ),
        (
            "sa.json",
            "nowhere.json",
            ["directory.google.service_account_file", "nowhere.json"],
        ),
        ("[app.deprovisioning]", mapping, ["mapping", "userName"]),
        (
            "delete = \"21d\"",
            "delete = \"24h\"",
            ["app[0].deprovisioning.deleted", "later"],
        ),
        (
            "everyone = true",
            "everybody = true",
            ["app[0].scope.everybody", "known here"],
        ),
        (
            "catalog = \"scim\"",
            "catalog = \"skim\"",
            ["app[0].catalog", "skim"],
        ),
        ("[app.scope]", "[app.scope", ["TOML", "line"]),
    ] {
        let text = whole.replacen(was, is, 1);
        assert_ne!(text, whole);
        assert_refused(&company.apply(&text).await, 2, &parts);
        assert_eq!(company.rows().await, 0, "{was} -> {is}");
    }
    // With one thing right, the wrong one still changes nothing.
    assert_eq!(company.apply(&whole).await.code, Some(0));
    let rows = company.rows().await;
    let text = whole
        .replace("name = \"The app\"", "name = \"Another name\"")
        .replace("delete = \"21d\"", "delete = \"24h\"");
    assert_refused(&company.apply(&text).await, 2, &["deprovisioning.deleted"]);
    assert_eq!(company.rows().await, rows);
    let export = company.rollcall(&["config", "export"]).await;
    assert!(export.out.contains("The app") && !export.out.contains("Another name"));
}

#[sqlx::test(migrations = "./migrations")]
async fn whom_directory_or_app_refuse_is_told_before_anything_is_saved(pool: PgPool) {
    let company = Company::found(pool).await;
    let whole = company.file("scim");
    let check = async |text: &str, parts: &[&str]| {
        assert_refused(&company.apply_with(text, &["--check"]).await, 2, parts);
        assert_eq!(company.rows().await, 0);
    };

    let ordinary = company.in_scope().pop().unwrap();
    let without_rights = whole.replace(server::sandbox::ADMINISTRATOR, &ordinary);
    check(&without_rights, &["directory.google", &ordinary]).await;
    let nobody = format!("nobody@{PRIMARY_DOMAIN}");
    let unknown = whole.replace(server::sandbox::ADMINISTRATOR, &nobody);
    check(&unknown, &["directory.google", &nobody]).await;

    company.write("token", "wrong-token");
    check(&whole, &["app[0].token_file", "refused the access token"]).await;
    let site = web_site().await;
    let html = whole.replace(&format!("{}/v2", company.app.base()), &site);
    check(&html, &["app[0]", "web page"]).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_that_meets_a_refused_token_stops_the_app_until_a_new_one_is_applied(pool: PgPool) {
    let company = Company::found(pool).await;
    company.write("token", "wrong-token");
    let file = company.file("scim");
    assert_eq!(company.apply(&file).await.code, Some(0));
    let said = company.rollcall(&["sync", "--app", "app"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let line = said.line();
    assert!(
        line.starts_with("rollcall: ") && line.contains("token"),
        "{line}"
    );
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (1, &"stopped".into()),
        "{result}"
    );
    assert_eq!(result["error"]["code"], "reauthorize", "{result}");
    assert_eq!(company.server.accounts().await.len(), 0);

    company.write("token", crate::python::TOKEN);
    assert_eq!(company.apply(&file).await.code, Some(0));
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (0, &"completed".into()),
        "{result}"
    );
    assert_eq!(result["applied"]["create"], company.in_scope().len());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_run_that_meets_a_web_page_fails_with_one_line_and_believes_nothing(pool: PgPool) {
    let company = Company::found(pool).await;
    let site = web_site().await;
    let file = company
        .file("scim")
        .replace(&format!("{}/v2", company.app.base()), &site);
    assert_eq!(company.apply(&file).await.code, Some(0));
    let said = company.rollcall(&["sync", "--app", "app"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let line = said.line();
    assert!(
        line.starts_with("rollcall: ") && line.contains("web page"),
        "{line}"
    );
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, &result["outcome"]),
        (1, &"failed".into()),
        "{result}"
    );
    assert_eq!(result["applied"]["create"], 0);
    assert_ne!(result["error"]["code"], Value::Null, "{result}");
    assert_eq!(
        company
            .events("Create User By Auto Provisioning")
            .await
            .len(),
        0
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_is_not_there_and_an_option_that_is_not_one_exit_2(pool: PgPool) {
    let company = Company::found(pool).await;
    let said = company.rollcall(&["sync", "--app", "nothing"]).await;
    assert_refused(&said, 2, &["nothing"]);
    let said = company
        .rollcall(&["config", "apply", "-f", "/nowhere.toml"])
        .await;
    assert_refused(&said, 2, &["/nowhere.toml"]);
    let said = company.rollcall(&["sync", "--app", "app", "--soon"]).await;
    assert_refused(&said, 2, &["--soon"]);
    assert_eq!(company.rows().await, 0);
}

/// An address that answers every request with a page for browsers; its base.
async fn web_site() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let page = || async { Html("<!doctype html><title>Sign in</title>") };
    let router: Router = Router::new().fallback(page);
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}

#[sqlx::test(migrations = "./migrations")]
async fn the_doctor_finds_nothing_wrong_and_then_names_a_token_that_is_refused(pool: PgPool) {
    let company = Company::found(pool).await;
    assert_eq!(company.apply(&company.file("scim")).await.code, Some(0));
    assert_eq!(company.sync().await.0, 0);
    let said = company.rollcall(&["doctor", "--json"]).await;
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (said.code, &found["ok"]),
        (Some(0), &true.into()),
        "{found}"
    );
    let verified = company.rollcall(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");

    company.write("token", "wrong-token");
    assert_eq!(company.apply(&company.file("scim")).await.code, Some(0));
    let said = company.rollcall(&["doctor"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let wrong: Vec<&str> = said
        .out
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .collect();
    assert_eq!(wrong.len(), 1, "{said:?}");
    assert!(
        wrong[0].contains("app app") && said.out.contains("Reauthorize"),
        "{said:?}"
    );
}
