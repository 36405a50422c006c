//! Whose directory is read, told and confirmed at a shell.

use serde_json::Value;
use sqlx::PgPool;

use crate::company::Company;

async fn shown(company: &Company) -> Value {
    let said = company.rollcall(&["directory", "--json"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn another_directory_stops_the_app_until_exactly_that_one_is_confirmed_at_the_shell(
    pool: PgPool,
) {
    let company = Company::found(pool).await;
    let file = company.file("scim");
    assert_eq!(company.apply(&file).await.code, Some(0));
    assert_eq!(company.sync().await.0, 0);
    assert_eq!(shown(&company).await["waits_for"], Value::Null);
    company
        .sandbox
        .change_directory(|directory, _| directory.customer_id = "C0another".to_owned());
    let (code, result) = company.sync().await;
    assert_eq!(
        (code, result["error"]["code"].as_str()),
        (1, Some("directory-changed"))
    );
    let (_, result) = company.sync().await;
    assert_eq!(result["outcome"], "stopped");
    assert_eq!(shown(&company).await["waits_for"]["customer"], "C0another");

    for wrong in [["--customer", "C0other"], ["--people", "3"]] {
        let said = company
            .rollcall(&[&["directory", "confirm"], &wrong[..]].concat())
            .await;
        assert_eq!(said.code, Some(2));
        assert!(said.line().contains("confirmation"), "{said:?}");
    }
    let said = company
        .rollcall(&["directory", "confirm", "--customer", "C0another"])
        .await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("C0another"), "{said:?}");
    assert_eq!(company.sync().await.0, 0);
}
