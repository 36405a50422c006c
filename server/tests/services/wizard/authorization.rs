//! Adding an app, how people sign in to it, and its access token.

use app::api::apps::{AddAppForm, SignInForm, SignInMethod};
use app::api::terms::{AppStatus, StopReason};
use app::api::wizard::{AuthorizeForm, Mode, ScopeForm, Step};
use app::api::{ErrorCode, FieldCode};
use app::services::{Apps as _, Secret, Wizard as _};
use secrecy::ExposeSecret as _;
use server::sandbox::Sandbox;
use server::store::apps::{self, AppState};
use server::store::links;
use sqlx::PgPool;

use super::walk::*;

#[sqlx::test(migrations = "./migrations")]
async fn provisioning_cannot_be_configured_before_sign_in(pool: PgPool) {
    let walk = walk(&pool).await;
    let token = walk.sandbox.asana_token();
    for refused in [
        walk.authorize(&token, Mode::Draft).await,
        walk.save_attributes(walk.rows().await, Mode::Draft).await,
        walk.save_scope(ScopeForm::default(), Mode::Keep).await,
        walk.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
            .await,
        walk.services.plan_again(&walk.here.actor, "asana").await,
    ] {
        assert_eq!(refused.unwrap_err().code, ErrorCode::SignInMissing);
    }
    assert!(
        walk.services
            .progress("asana")
            .await
            .unwrap()
            .done
            .is_empty()
    );
    assert!(
        walk.here
            .engine
            .token(walk.app().await.id)
            .await
            .unwrap()
            .is_none()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn metadata_is_read_and_what_is_none_is_refused_with_its_reason(pool: PgPool) {
    let walk = walk(&pool).await;
    let save = async |metadata: Option<&str>| {
        let form = SignInForm {
            method: SignInMethod::Saml,
            metadata: metadata.map(str::to_owned),
        };
        walk.services
            .save_sign_in(&walk.here.actor, "asana", form)
            .await
    };
    let error = save(None).await.unwrap_err();
    assert_eq!(fields(&error), [("metadata", FieldCode::Required)]);
    let error = save(Some("<html/>")).await.unwrap_err();
    assert_eq!(fields(&error), [("metadata", FieldCode::NotMetadata)]);
    assert_eq!(error.fields[0].args, ["other-root"]);
    assert!(!walk.services.head("asana").await.unwrap().sign_in_ready);
    save(Some(
        "<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='urn:idp'><IDPSSODescriptor>\
         <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect' Location='https://idp.example.com/'/>\
         </IDPSSODescriptor></EntityDescriptor>",
    ))
    .await
    .unwrap();
    let page = walk.services.sign_in("asana").await.unwrap();
    assert_eq!(page.method, Some(SignInMethod::Saml));
    assert_eq!(page.entity_id.as_deref(), Some("urn:idp"));
    assert_eq!(page.recorded_by.as_deref(), Some("ines@northmoor.example"));
    assert!(page.head.sign_in_ready && !page.head.draft);
    assert_eq!(walk.events("SSO changed").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_is_kept_only_after_the_app_accepted_it(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    for (token, code) in [
        ("wrong", FieldCode::TokenRefused),
        ("two words", FieldCode::Invalid),
    ] {
        let error = walk.authorize(token, Mode::Draft).await.unwrap_err();
        assert_eq!(fields(&error), [("token", code)], "{token}");
    }
    let web_page = AuthorizeForm {
        endpoint: Some(format!("{}/sandbox", walk.base)),
        token: Some(Secret::new("1/token".to_owned())),
    };
    let error = walk
        .services
        .save_authorize(&walk.here.actor, "asana", web_page, Mode::Draft)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.code,
            ErrorCode::AppAnsweredOddly | ErrorCode::TokenRefused
        ),
        "{error:?}"
    );
    for (endpoint, code) in [
        ("not an address", FieldCode::NotAUrl),
        ("http://app.asana.com/api", FieldCode::NotHttps),
        ("https://169.254.169.254/", FieldCode::TargetNotAllowed),
    ] {
        let form = AuthorizeForm {
            endpoint: Some(endpoint.to_owned()),
            token: Some(Secret::new("t".to_owned())),
        };
        let error = walk
            .services
            .save_authorize(&walk.here.actor, "asana", form, Mode::Draft)
            .await
            .unwrap_err();
        assert_eq!(fields(&error), [("endpoint", code)], "{endpoint}");
    }
    let app = walk.app().await;
    assert!(walk.here.engine.token(app.id).await.unwrap().is_none());
    assert_eq!(app.authorized_at, None);
    assert_eq!(app.endpoint, Sandbox::scim_endpoint(&walk.base));
    assert_eq!(walk.events("Access token changed").await, 0);

    walk.authorize(&format!("  {}\n", walk.sandbox.asana_token()), Mode::Draft)
        .await
        .unwrap();
    let stored = walk.here.engine.token(app.id).await.unwrap().unwrap();
    assert_eq!(stored.expose_secret(), walk.sandbox.asana_token());
    let step = walk.services.authorize("asana").await.unwrap();
    assert!(step.token_stored && step.checked_at.is_some());
    assert_eq!(step.entered_by.as_deref(), Some("ines@northmoor.example"));
    assert!(!format!("{step:?}").contains(&walk.sandbox.asana_token()));

    // The token is never sent to another origin than the one that it was entered for.
    let elsewhere = AuthorizeForm {
        endpoint: Some("https://scim.example.com/".to_owned()),
        token: None,
    };
    let error = walk
        .services
        .save_authorize(&walk.here.actor, "asana", elsewhere, Mode::Draft)
        .await
        .unwrap_err();
    assert_eq!(fields(&error), [("token", FieldCode::Required)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn reauthorizing_resumes_a_stopped_app_and_keeps_its_links(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let app = walk.app().await;
    let mut db = walk.here.engine.connection().await.unwrap();
    let linked = links::count(&mut db, app.id).await.unwrap();
    let state = AppState::Stopped {
        code: "reauthorize".to_owned(),
        message: "refused".to_owned(),
    };
    apps::set_state(&mut db, app.id, &state, walk.here.engine.clock.now())
        .await
        .unwrap();
    drop(db);
    let stopped = AppStatus::Stopped {
        reason: StopReason::NeedsReauthorization,
    };
    assert_eq!(walk.services.head("asana").await.unwrap().status, stopped);
    let step = walk.services.authorize("asana").await.unwrap();
    assert_eq!(step.refused_since, Some(walk.here.engine.clock.now()));
    let error = walk.authorize("wrong", Mode::Live).await.unwrap_err();
    assert_eq!(fields(&error), [("token", FieldCode::TokenRefused)]);
    assert_eq!(walk.services.head("asana").await.unwrap().status, stopped);
    let fresh = walk.sandbox.revoke_asana_token(true);
    walk.authorize(&fresh, Mode::Live).await.unwrap();
    assert!(matches!(
        walk.services.head("asana").await.unwrap().status,
        AppStatus::Running { .. }
    ));
    let step = walk.services.authorize("asana").await.unwrap();
    assert_eq!(step.refused_since, None);
    walk.work().await;
    assert_eq!(
        walk.services.head("asana").await.unwrap().status,
        AppStatus::On
    );
    let mut db = walk.here.engine.connection().await.unwrap();
    assert_eq!(links::count(&mut db, app.id).await.unwrap(), linked);
    drop(db);
    assert_eq!(walk.events("App reauthorized").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn apps_are_added_from_the_catalogue_under_names_of_their_own(pool: PgPool) {
    let walk = walk(&pool).await;
    let add = async |catalog: &str, name: Option<&str>, endpoint: Option<&str>| {
        let form = AddAppForm {
            catalog: catalog.to_owned(),
            name: name.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
        };
        walk.services.add(&walk.here.actor, form).await
    };
    assert_eq!(add("asana", None, None).await.unwrap(), "asana-2");
    assert_eq!(
        add(
            "scim",
            Some("Fieldnote (EU)"),
            Some("https://fieldnote.example/scim/v2/")
        )
        .await
        .unwrap(),
        "fieldnote-eu"
    );
    for (refused, field, code) in [
        (add("jira", None, None).await, "catalog", FieldCode::Unknown),
        (
            add("scim", Some("Other"), None).await,
            "endpoint",
            FieldCode::Required,
        ),
        (
            add("scim", Some("Other"), Some("ftp://x.example")).await,
            "endpoint",
            FieldCode::NotHttps,
        ),
        (
            add("asana", Some(&"x".repeat(61)), None).await,
            "name",
            FieldCode::TooLong,
        ),
    ] {
        assert_eq!(fields(&refused.unwrap_err()), [(field, code)]);
    }
    let catalog = walk.services.catalog().await.unwrap();
    let asana = catalog.iter().find(|item| item.id == "asana").unwrap();
    assert_eq!(asana.added.len(), 2);
    assert_eq!(
        asana.endpoint.as_deref(),
        Some("https://app.asana.com/api/1.0/scim")
    );
    assert_eq!(
        walk.services.head("nothing").await.unwrap_err().code,
        ErrorCode::NotFound
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn another_endpoint_is_kept_together_with_a_token_that_it_accepts(pool: PgPool) {
    let walk = walk(&pool).await;
    let preset = AddAppForm {
        catalog: "asana".to_owned(),
        name: Some("Asana (demo)".to_owned()),
        endpoint: None,
    };
    let slug = walk.services.add(&walk.here.actor, preset).await.unwrap();
    assert_eq!(slug, "asana-demo");
    let google = SignInForm {
        method: SignInMethod::Google,
        metadata: None,
    };
    walk.services
        .save_sign_in(&walk.here.actor, &slug, google)
        .await
        .unwrap();
    let form = AuthorizeForm {
        endpoint: Some(Sandbox::scim_endpoint(&walk.base)),
        token: Some(Secret::new(walk.sandbox.asana_token())),
    };
    walk.services
        .save_authorize(&walk.here.actor, &slug, form, Mode::Draft)
        .await
        .unwrap();
    let step = walk.services.authorize(&slug).await.unwrap();
    assert_eq!(step.endpoint, Sandbox::scim_endpoint(&walk.base));
    assert!(step.token_stored && step.progress.done == [Step::Authorize]);
    // Going on without typing it again asks nobody and keeps it.
    let asked = walk.sandbox.scim_requests();
    let form = AuthorizeForm {
        endpoint: None,
        token: None,
    };
    walk.services
        .save_authorize(&walk.here.actor, &slug, form, Mode::Draft)
        .await
        .unwrap();
    assert_eq!(walk.sandbox.scim_requests(), asked);
}
