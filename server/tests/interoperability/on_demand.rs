//! One person now and what failed, at a shell (S8.3, S8.6).

use serde_json::Value;
use server::sandbox::{Call, Failure, Fault, NewPerson, Sandbox};
use sqlx::PgPool;

use crate::company::Company;
use crate::program::{Places, Said};

fn json(said: &Said) -> Value {
    serde_json::from_str(said.out.lines().last().unwrap_or_default()).unwrap()
}

#[sqlx::test(migrations = "./migrations")]
async fn one_person_is_provisioned_at_the_shell_and_what_fails_is_listed_and_decided(pool: PgPool) {
    let company = Company::found_with(pool, |options| options.people = 60).await;
    // The emulated app, which can be told to refuse.
    company.write("token", &company.sandbox.asana_token());
    let file = company.program.file(&Places {
        directory: company.directory.base(),
        app: &Sandbox::scim_endpoint(company.directory.base()),
        catalog: "asana",
    });
    assert_eq!(company.apply(&file).await.code, Some(0));
    assert_eq!(company.sync().await.0, 0);
    let email = (company.sandbox)
        .change_directory(|directory, now| {
            let new = NewPerson {
                given_name: "Nadia".to_owned(),
                family_name: "Novak".to_owned(),
                ..NewPerson::default()
            };
            directory.add_person(new, now)
        })
        .unwrap()
        .primary_email;

    // Rollcall has not read her yet; Google knows her.
    let arguments = ["provision", "--app", "app", "--person", &email];
    let refused = Failure::Status { status: 400 };
    company
        .sandbox
        .inject(Fault::always(Call::AccountCreate, refused));
    let said = company
        .rollcall(&[&arguments[..], &["--json"]].concat())
        .await;
    let result = json(&said);
    assert_eq!(
        (said.code, &result["failed"]),
        (Some(3), &1.into()),
        "{result}"
    );
    assert_eq!(result["person"]["email"], email);
    let steps = result["steps"].as_array().unwrap();
    assert_eq!(steps[0]["stage"], "directory");
    assert_eq!(steps.last().unwrap()["result"], "fail", "{result}");

    let said = company
        .rollcall(&["failures", "--app", "app", "--json"])
        .await;
    let failed = json(&said);
    assert_eq!(failed[0]["person"]["email"], email, "{failed}");
    assert_eq!(failed[0]["operation"], "create");
    assert!(!failed[0]["remedy"].as_str().unwrap().is_empty());
    let ignored = ["failures", "--app", "app", "--json", "--ignore", &email];
    let said = company.rollcall(&ignored).await;
    assert_eq!(json(&said)[0]["state"], "ignored");
    assert_eq!(
        company.rollcall(&ignored).await.code,
        Some(2),
        "it is already"
    );

    company.sandbox.clear_faults();
    let said = company.rollcall(&arguments).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("Answer: Done"), "{said:?}");
    let said = company.rollcall(&["failures", "--app", "app"]).await;
    assert_eq!(said.out, "Nothing failed.\n");
    assert_eq!(company.sync().await.1["requests"]["scim_writes"], 0);

    let said = company
        .rollcall(&[
            "provision",
            "--app",
            "app",
            "--person",
            "nobody@northmoor.example",
        ])
        .await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.line().contains("nor known to Google"), "{said:?}");
}
