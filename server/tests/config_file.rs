//! The configuration file: applied as a whole or not at all, idempotent, and exported so that
//! applying the export changes nothing (S12.4).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't go on has failed"
)]

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use secrecy::ExposeSecret as _;
use server::clock::FakeClock;
use server::config_file::{self, ConfigFileError, Options};
use server::connectors::{Outgoing, TargetPolicy};
use server::sandbox::{ADMINISTRATOR, Sandbox, SandboxOptions};
use server::secrets::{SecretKey, Vault};
use server::store::apps::{self, App, AppState};
use server::store::credentials::{self, Credential};
use server::store::events::{self, EventFilter, Order};
use server::store::{connection, links};
use server::sync::{Engine, inputs};
use sqlx::PgPool;
use zeroize::Zeroizing;

struct Desk {
    engine: Engine,
    clock: FakeClock,
    folder: tempfile::TempDir,
    key: String,
}

fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 12, 0, 0).unwrap()
}

fn desk(pool: PgPool) -> Desk {
    let clock = FakeClock::at(noon());
    let vault = Vault::new(SecretKey::from_bytes(Zeroizing::new([7; 32])));
    let policy = TargetPolicy {
        allow_loopback: true,
        allow_private: false,
    };
    let outgoing = Outgoing::new(policy).unwrap();
    let engine = Engine::new(pool, Arc::new(clock.clone()), vault, outgoing);
    let sandbox =
        Sandbox::new(SandboxOptions::for_tests(Arc::new(clock.clone())).unwrap()).unwrap();
    let key = sandbox.service_account_key_json("http://127.0.0.1:9");
    let desk = Desk {
        engine,
        clock,
        folder: tempfile::tempdir().unwrap(),
        key,
    };
    desk.write("sa.json", &desk.key);
    desk.write("asana-token", "1/secret\n");
    desk
}

const WHOLE: &str = r#"
[directory.google]
service_account_file = "sa.json"
admin_email = "admin@northmoor.example"
endpoint = "http://127.0.0.1:9"

[[app]]
slug = "asana"
catalog = "asana"
name = "Asana"
token_file = "asana-token"
autoprovisioning = "on"

[app.sso]
method = "google"

[app.access.org_units]
"/" = "on"
"/Contractors" = "off"

[app.access]
groups_on = ["guests@northmoor.example"]

[app.scope]
groups = [{ email = "eng@northmoor.example", members = "nested" }]

[app.mapping]
"userName" = "primaryEmail"
"name.formatted" = "name.fullName"
"emails[type eq \"work\"].value" = "primaryEmail"
"title" = { from = "organizations[primary].title", missing = "keep" }
"preferredLanguage" = { constant = "en" }

[app.deprovisioning]
app_turned_off = { suspend = "24h", delete = "21d" }
deleted = { suspend = "24h", delete = "7d" }

[app.safety]
hold_max = 40
protected = ["ceo@northmoor.example"]
"#;

impl Desk {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn apply_with(
        &self,
        text: &str,
        options: Options,
    ) -> Result<(bool, String), ConfigFileError> {
        let path = self.write("rollcall.toml", text);
        let mut out = Vec::new();
        let changed = config_file::apply(&self.engine, &path, options, "shell", &mut out).await?;
        Ok((changed, String::from_utf8(out).unwrap()))
    }

    async fn apply(&self, text: &str) -> (bool, String) {
        self.apply_with(text, Options::default()).await.unwrap()
    }

    async fn refused(&self, text: &str) -> Vec<String> {
        let error = self.apply_with(text, Options::default()).await.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.lines()
    }

    async fn export(&self) -> String {
        let mut out = Vec::new();
        config_file::export(&self.engine, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    async fn app(&self) -> App {
        let mut db = self.engine.connection().await.unwrap();
        apps::by_slug(&mut db, "asana").await.unwrap().unwrap()
    }

    async fn token(&self) -> Option<String> {
        let token = self.engine.token(self.app().await.id).await.unwrap();
        token.map(|token| token.expose_secret().to_owned())
    }

    async fn events(&self) -> Vec<String> {
        let mut db = self.engine.connection().await.unwrap();
        let all = events::page(
            &mut db,
            &EventFilter::default(),
            Order::OldestFirst,
            None,
            1000,
        )
        .await
        .unwrap();
        all.into_iter().map(|event| event.event).collect()
    }

    async fn stop(&self, code: &str) {
        let mut db = self.engine.connection().await.unwrap();
        let state = AppState::Stopped {
            code: code.to_owned(),
            message: "refused".to_owned(),
        };
        apps::set_state(
            &mut db,
            self.app().await.id,
            &state,
            self.engine.clock.now(),
        )
        .await
        .unwrap();
    }

    async fn is_empty(&self) -> bool {
        let mut db = self.engine.connection().await.unwrap();
        apps::list(&mut db).await.unwrap().is_empty()
            && connection::read(&mut db).await.unwrap().is_none()
            && credentials::stored_at(&mut db, Credential::DirectoryKey)
                .await
                .unwrap()
                .is_none()
            && self.events().await.is_empty()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_file_is_applied_whole_and_applying_it_again_changes_nothing(pool: PgPool) {
    let desk = desk(pool);
    let (changed, told) = desk.apply(WHOLE).await;
    assert!(changed);
    for line in [
        "directory: admin_email: (nothing) -> \"admin@northmoor.example\"",
        "asana: added as Asana, at https://app.asana.com/api/1.0/scim",
        "asana: access token stored",
        "asana: configured",
        "asana: autoprovisioning turned on",
    ] {
        assert!(told.contains(line), "{line} is missing in:\n{told}");
    }
    assert!(
        !told.contains("1/secret") && !told.contains("PRIVATE KEY"),
        "{told}"
    );
    let app = desk.app().await;
    assert_eq!(app.state, AppState::On);
    assert!(app.first_plan_confirmed);
    assert_eq!(app.config_version, 1);
    assert_eq!(desk.token().await.as_deref(), Some("1/secret"));
    let mut db = desk.engine.connection().await.unwrap();
    let config = inputs::configuration(&mut db, &app).await.unwrap().unwrap();
    assert_eq!(config.scope.groups.len(), 1);
    assert_eq!(config.safety.hold_max, 40);
    drop(db);
    let log = desk.events().await;
    for event in [
        "Directory connected",
        "App added",
        "Access token changed",
        "Configuration changed",
        "Autoprovisioning turned on",
    ] {
        assert!(
            log.iter().any(|there| there == event),
            "{event} is missing in {log:?}"
        );
    }

    let (changed, told) = desk.apply(WHOLE).await;
    assert!(!changed, "{told}");
    assert_eq!(told, "Nothing differs from the file.\n");
    assert_eq!(
        desk.events().await,
        log,
        "what changes nothing leaves no event"
    );
    assert_eq!(desk.app().await.config_version, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn applying_an_export_changes_nothing_and_the_export_holds_no_secret(pool: PgPool) {
    let desk = desk(pool);
    let saml = r#"[app.sso]
method = "saml"
metadata_file = "idp.xml""#;
    desk.write("idp.xml", "<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='urn:idp \"quoted\"'><IDPSSODescriptor>\
        <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST' Location='https://idp.example.com/post'/>\
        </IDPSSODescriptor></EntityDescriptor>");
    let second = WHOLE.replace("slug = \"asana\"", "slug = \"asana-2\"");
    let second = &second[second.find("[[app]]").unwrap()..];
    let other = second
        .replace("[app.sso]\nmethod = \"google\"", saml)
        .replace("Asana\"", "Odd \\\"name\\\" # 研究\"")
        .replace("autoprovisioning = \"on\"", "autoprovisioning = \"off\"\nlinking = \"review\"\ninterval_minutes = 15\nconcurrency = 3")
        .replace("\"/Contractors\"", "\"/Équipe \\\"A\\\"/= 1\"")
        .replace("groups = [{ email = \"eng@northmoor.example\", members = \"nested\" }]", "everyone = true\nsecondary_domains = [\"labs.example\"]")
        .replace("{ constant = \"en\" }", "{ expression = \"person.name.givenName + '\\\\n'\", missing = { default = \"x\" } }");
    desk.apply(&format!("{WHOLE}\n{other}")).await;
    let exported = desk.export().await;
    assert!(
        !exported.contains("1/secret") && !exported.contains("PRIVATE"),
        "{exported}"
    );
    let (changed, told) = desk.apply(&exported).await;
    assert!(!changed, "{told}\n{exported}");
    assert_eq!(desk.export().await, exported);
    assert_eq!(
        desk.token().await.as_deref(),
        Some("1/secret"),
        "a file without a token keeps the stored one"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_file_that_is_wrong_anywhere_changes_nothing_and_names_every_problem(pool: PgPool) {
    let desk = desk(pool);
    let wrong = WHOLE
        .replace("token_file = \"asana-token\"", "token_file = \"missing\"")
        .replace("sa.json", "asana-token");
    let lines = desk.refused(&wrong).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with(
            "directory.google.service_account_file: asana-token: The key file is not JSON"
        ),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("token_file: can't read missing: "),
        "{lines:?}"
    );
    assert!(desk.is_empty().await);

    for (was, is, expected) in [
        ("hold_max = 40", "hold_maximum = 40", "hold_maximum"),
        (
            "{ suspend = \"24h\", delete = \"7d\" }",
            "{ suspend = \"7d\", delete = \"7d\" }",
            "deprovisioning.deleted",
        ),
        ("\"userName\" = \"primaryEmail\"", "", "userName"),
        ("[app.sso]\nmethod = \"google\"", "", "sso"),
        ("token_file = \"asana-token\"", "", "token_file"),
        (
            "token_file = \"asana-token\"",
            "token_env = \"ROLLCALL_TEST_UNSET\"",
            "token_env: the environment has no variable ROLLCALL_TEST_UNSET",
        ),
        (
            "endpoint = \"http://127.0.0.1:9\"",
            "endpoint = \"https://169.254.169.254\"",
            "directory.google.endpoint",
        ),
        (
            "name = \"Asana\"",
            "name = \"Asana\"\nendpoint = \"https://10.0.0.1/scim\"",
            "endpoint: 10.0.0.1 is a private network address",
        ),
        (
            "service_account_file = \"sa.json\"",
            "",
            "directory.google.service_account_file: no key is stored yet",
        ),
        ("catalog = \"asana\"", "catalog = \"asanna\"", "catalog"),
        ("[app.safety]", "[app.safety", "TOML"),
    ] {
        let text = WHOLE.replacen(was, is, 1);
        assert_ne!(text, WHOLE, "{was}");
        let lines = desk.refused(&text).await;
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{expected} is missing in {lines:?}"
        );
        assert!(desk.is_empty().await, "{was} -> {is}");
    }
    let several = WHOLE
        .replace("hold_max = 40", "hold_maximum = 40")
        .replace("sa.json", "nowhere.json")
        .replace("token_file = \"asana-token\"", "token_file = \"nowhere\"");
    let lines = desk.refused(&several).await;
    assert_eq!(lines.len(), 3, "one look finds them all: {lines:?}");
    desk.write("asana-token", "two words");
    assert!(desk.refused(WHOLE).await[0].contains("asana-token holds more than a token"));
    assert!(desk.is_empty().await);
    let mut out = Vec::new();
    let nowhere = desk.folder.path().join("nowhere.toml");
    let error = config_file::apply(
        &desk.engine,
        &nowhere,
        Options::default(),
        "shell",
        &mut out,
    )
    .await
    .unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_changed_setting_makes_a_new_version_with_old_and_new_value(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    let (_, told) = desk
        .apply(&WHOLE.replace("hold_max = 40", "hold_max = 30"))
        .await;
    assert_eq!(told, "asana: safety.hold_max: 40 -> 30\n");
    assert_eq!(desk.app().await.config_version, 2);
    let mut db = desk.engine.connection().await.unwrap();
    let newest = events::page(
        &mut db,
        &EventFilter::default(),
        Order::NewestFirst,
        None,
        1,
    )
    .await
    .unwrap();
    assert_eq!(newest[0].event, "Configuration changed");
    assert_eq!(newest[0].actor, "shell");
    assert_eq!(
        newest[0].changes,
        Some(serde_json::json!([{ "attribute": "safety.hold_max", "old": 40, "new": 30 }]))
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_comparison_says_what_would_change_and_changes_nothing(pool: PgPool) {
    let desk = desk(pool);
    let path = desk.write("rollcall.toml", WHOLE);
    let mut out = Vec::new();
    assert!(
        config_file::diff(&desk.engine, &path, Options::default(), &mut out)
            .await
            .unwrap()
    );
    assert!(
        String::from_utf8(out)
            .unwrap()
            .contains("asana: autoprovisioning turned on")
    );
    assert!(desk.is_empty().await);
    let (_, applied) = desk.apply(WHOLE).await;
    assert!(applied.contains("asana: configured"));
    let mut out = Vec::new();
    assert!(
        !config_file::diff(&desk.engine, &path, Options::default(), &mut out)
            .await
            .unwrap()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_new_token_resumes_an_app_that_was_stopped_for_its_token_and_only_that(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    desk.stop("reauthorize").await;
    let (changed, told) = desk.apply(WHOLE).await;
    assert!(
        !changed && told.contains("asana: is stopped: refused"),
        "{told}"
    );
    assert!(matches!(desk.app().await.state, AppState::Stopped { .. }));
    desk.write("asana-token", "1/other");
    let (_, told) = desk.apply(WHOLE).await;
    assert_eq!(
        told,
        "asana: access token replaced\nasana: resumed with the new access token\n"
    );
    assert_eq!(desk.app().await.state, AppState::On);

    desk.stop("directory-changed").await;
    desk.write("asana-token", "1/third");
    desk.apply(WHOLE).await;
    assert!(matches!(desk.app().await.state, AppState::Stopped { .. }));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_app_that_is_not_named_is_left_unless_it_is_pruned(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    let (changed, told) = desk.apply("").await;
    assert!(!changed);
    assert!(
        told.contains("asana: not in the file, left as it is"),
        "{told}"
    );
    assert_eq!(desk.app().await.state, AppState::On);

    let app = desk.app().await;
    let options = Options {
        prune: true,
        ..Options::default()
    };
    let (_, told) = desk.apply_with("", options).await.unwrap();
    assert!(told.contains("asana: configuration deleted"), "{told}");
    let after = desk.app().await;
    assert_eq!(after.state, AppState::NotConfigured);
    assert_eq!(after.config_version, 0);
    assert_eq!(desk.token().await, None);
    let mut db = desk.engine.connection().await.unwrap();
    assert_eq!(links::count(&mut db, app.id).await.unwrap(), 0);
    let kept = inputs::draft(&mut db, &after).await.unwrap().unwrap();
    assert!(kept.sso.is_some() && kept.access.is_some() && kept.mapping.is_none());
    drop(db);
    assert!(
        desk.events()
            .await
            .contains(&"Configuration deleted".to_owned())
    );
    let (changed, _) = desk.apply_with("", options).await.unwrap();
    assert!(!changed, "pruning twice deletes once");
}

#[sqlx::test(migrations = "./migrations")]
async fn moving_to_another_origin_asks_for_the_credential_again(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    let moved = WHOLE
        .replace(
            "token_file = \"asana-token\"",
            "endpoint = \"https://asana.example/scim\"",
        )
        .replace("service_account_file = \"sa.json\"\n", "")
        .replace("http://127.0.0.1:9", "https://google.example");
    let lines = desk.refused(&moved).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("so the key has to be given again"));
    assert!(lines[1].contains("so the access token has to be given again"));
}

#[sqlx::test(migrations = "./migrations")]
async fn groups_that_would_all_go_need_everyone_to_be_said(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    let without = WHOLE.replace(
        "groups = [{ email = \"eng@northmoor.example\", members = \"nested\" }]",
        "groups = []",
    );
    let lines = desk.refused(&without).await;
    assert!(lines[0].contains("scope.everyone"), "{lines:?}");
    desk.apply(&without.replace("groups = []", "everyone = true"))
        .await;
}

#[sqlx::test(migrations = "./migrations")]
async fn turning_off_and_on_by_file_keeps_the_configuration(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    let off = WHOLE.replace("autoprovisioning = \"on\"", "autoprovisioning = \"off\"");
    let (_, told) = desk.apply(&off).await;
    assert_eq!(told, "asana: autoprovisioning turned off\n");
    assert_eq!(desk.app().await.state, AppState::Off);
    desk.clock.advance(TimeDelta::hours(1));
    let (_, told) = desk.apply(WHOLE).await;
    assert_eq!(told, "asana: autoprovisioning turned on\n");
    assert_eq!(desk.app().await.config_version, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn check_asks_directory_and_app_before_anything_is_changed(pool: PgPool) {
    let desk = desk(pool);
    let sandbox =
        Sandbox::new(SandboxOptions::for_tests(Arc::new(desk.clock.clone())).unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = sandbox.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    desk.write("sa.json", &sandbox.service_account_key_json(&base));
    let text = WHOLE
        .replace("http://127.0.0.1:9", &base)
        .replace("admin@northmoor.example", ADMINISTRATOR)
        .replace(
            "name = \"Asana\"",
            &format!(
                "name = \"Asana\"\nendpoint = \"{}\"",
                Sandbox::scim_endpoint(&base)
            ),
        );
    let check = Options {
        check: true,
        ..Options::default()
    };
    let error = desk.apply_with(&text, check).await.unwrap_err();
    let lines = error.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("app[0].token_file: The app refused the access token"),
        "{lines:?}"
    );
    assert!(desk.is_empty().await);

    desk.write("asana-token", &sandbox.asana_token());
    desk.apply_with(&text, check).await.unwrap();
    assert!(desk.app().await.authorized_at.is_some());
    let wrong = text.replace(ADMINISTRATOR, "nobody@northmoor.example");
    let lines = desk.apply_with(&wrong, check).await.unwrap_err().lines();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with("directory.google")),
        "{lines:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_file_that_names_a_group_by_its_alias_changes_nothing_after_an_import(pool: PgPool) {
    let desk = desk(pool);
    desk.apply(WHOLE).await;
    for statement in [
        "UPDATE directory_connection SET customer_id = 'C1', primary_domain = 'northmoor.example'",
        "INSERT INTO groups (id, email, name, aliases) VALUES
             ('g1', 'engineering@northmoor.example', 'Engineering', '{eng@northmoor.example}')",
    ] {
        sqlx::query(statement)
            .execute(&desk.engine.pool)
            .await
            .unwrap();
    }
    inputs::resolve_names(&desk.engine).await.unwrap();
    let (changed, told) = desk.apply(WHOLE).await;
    assert!(!changed, "{told}");
    assert_eq!(desk.app().await.config_version, 1);
    let mut db = desk.engine.connection().await.unwrap();
    let app = desk.app().await;
    let config = inputs::configuration(&mut db, &app).await.unwrap().unwrap();
    let group = &config.scope.groups[0].group;
    assert_eq!(group.id.as_ref().map(|id| id.as_str()), Some("g1"));
}
