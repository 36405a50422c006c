use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use provisioning::catalog;
use provisioning::identity::{AccountId, GroupId, PersonId};
use provisioning::mapping::{FieldChange, MappingRow};
use secrecy::SecretString;
use serde_json::{Value, json};
use server::clock::FakeClock;
use server::connectors::google_directory::{Scope, ScopeResult};
use server::connectors::scim::{Trust, UpdateStyle};
use server::connectors::{
    ConnectionSettings, DirectoryErrorClass, GoogleDirectory, JumpingTimer, Outgoing, PersonLookup,
    ScimApp, ScimErrorClass, ScimLimits, ScimSettings, ServiceAccountKey, Update, UserListing,
};
use server::sandbox::{self, Call, Failure, Fault, Limits, Quirks, Sandbox, SandboxOptions};

use crate::script::{loopback, noon};

struct Running {
    sandbox: Sandbox,
    base: String,
    clock: FakeClock,
    timer: JumpingTimer,
    outgoing: Outgoing,
}

async fn start(adapt: impl FnOnce(&mut SandboxOptions)) -> Running {
    let clock = FakeClock::at(noon());
    let mut options = SandboxOptions::for_tests(Arc::new(clock.clone())).unwrap();
    options.quirks.any_domain = true;
    adapt(&mut options);
    let sandbox = Sandbox::new(options).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serving = sandbox.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let timer = JumpingTimer::default();
    let outgoing = Outgoing::new(loopback())
        .unwrap()
        .waiting_on(Arc::new(timer.clone()));
    Running {
        sandbox,
        base,
        clock,
        timer,
        outgoing,
    }
}

impl Running {
    fn google(&self) -> GoogleDirectory {
        self.google_as(sandbox::ADMINISTRATOR)
    }

    fn google_as(&self, admin: &str) -> GoogleDirectory {
        let key = self.sandbox.service_account_key_json(&self.base);
        let settings = ConnectionSettings {
            endpoint: self.base.parse().unwrap(),
            admin_email: admin.to_owned(),
            customer: "my_customer".to_owned(),
            key: ServiceAccountKey::parse(&key).unwrap(),
        };
        let clock = Arc::new(self.clock.clone());
        GoogleDirectory::new(settings, self.outgoing.clone(), clock).unwrap()
    }

    fn app(&self) -> ScimApp {
        self.app_with(|_| {})
    }

    fn app_with(&self, change: impl FnOnce(&mut ScimSettings)) -> ScimApp {
        let endpoint = Sandbox::scim_endpoint(&self.base).parse().unwrap();
        let token = SecretString::from(self.sandbox.asana_token());
        let asana = catalog::entry("asana").unwrap();
        let limits = ScimLimits::of(0, 8, 8);
        let mut settings = ScimSettings::new(endpoint, token, limits).with_quirks(&asana.quirks);
        change(&mut settings);
        ScimApp::new(
            settings,
            self.outgoing.clone(),
            Arc::new(self.clock.clone()),
        )
        .unwrap()
    }
}

fn ids(values: &[Value]) -> BTreeSet<String> {
    values
        .iter()
        .map(|value| value["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_whole_directory_is_read() {
    let running = start(|options| options.people = 1_200).await;
    let google = running.google();
    let living: BTreeSet<String> = running.sandbox.directory(|directory| {
        directory
            .living()
            .map(|person| person.id.0.clone())
            .collect()
    });
    let users = google.users(UserListing::Current).all().await.unwrap();
    assert_eq!(ids(&users), living);
    assert_eq!(running.sandbox.count(Call::UsersList), 3);
    assert!(users.iter().all(|user| user["suspended"].is_boolean()));
    let deleted = google.users(UserListing::Deleted).all().await.unwrap();
    assert!(ids(&deleted).is_disjoint(&living));
    let groups = google.groups().all().await.unwrap();
    assert_eq!(groups.len(), 41);
    let mut members = 0;
    for group in &groups {
        let id = GroupId::new(group["id"].as_str().unwrap());
        let direct = google.members(&id).all().await.unwrap();
        let told: usize = group["directMembersCount"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(direct.len(), told, "{group}");
        members += direct.len();
    }
    assert!(members > 500);
    assert!(google.org_units().await.unwrap().len() > 3);
    assert!(google.domains().await.unwrap().len() > 1);
    assert_eq!(
        google.customer().await.unwrap()["customerDomain"],
        sandbox::PRIMARY_DOMAIN
    );
    let one = PersonId::new(living.first().unwrap());
    assert!(matches!(
        google.user(&one).await.unwrap(),
        PersonLookup::Found(_)
    ));
    let gone = PersonId::new(ids(&deleted).first().unwrap());
    assert_eq!(google.user(&gone).await.unwrap(), PersonLookup::Deleted);
    assert_eq!(
        google.user(&PersonId::new("1")).await.unwrap(),
        PersonLookup::NotFound
    );
    assert_eq!(running.sandbox.count(Call::Token), 6);
}

#[tokio::test]
async fn no_fault_of_the_directory_passes_for_a_complete_listing() {
    for failure in [
        Failure::MissingCollection,
        Failure::RepeatedPageToken,
        Failure::EndlessPages,
        Failure::Forbidden,
        Failure::Status { status: 500 },
        Failure::Html { status: 200 },
        Failure::Html { status: 502 },
        Failure::DroppedBefore,
        Failure::DroppedAfter,
        Failure::UserRateLimitExceeded,
    ] {
        let running = start(|options| options.people = 1_200).await;
        let google = running.google();
        running
            .sandbox
            .inject(Fault::always(Call::UsersList, failure.clone()).after(1));
        let read = google.users(UserListing::Current).all().await;
        let error = read.unwrap_err();
        assert!(error.to_string().ends_with('.'), "{error}");
        running.sandbox.clear_faults();
        assert_eq!(
            google
                .users(UserListing::Current)
                .all()
                .await
                .unwrap()
                .len(),
            1_200
        );
    }
}

#[tokio::test]
async fn passing_trouble_of_the_directory_is_waited_out() {
    for failure in [
        Failure::UserRateLimitExceeded,
        Failure::QuotaExceeded,
        Failure::TooManyRequests {
            retry_after: Some(30),
        },
        Failure::TooManyRequests { retry_after: None },
        Failure::Status { status: 503 },
        Failure::Html { status: 502 },
        Failure::DroppedBefore,
        Failure::DroppedAfter,
        Failure::Unauthorized,
    ] {
        let running = start(|options| options.people = 600).await;
        let times = if failure == Failure::Unauthorized {
            1
        } else {
            2
        };
        running.sandbox.inject(
            Fault::always(Call::UsersList, failure.clone())
                .after(1)
                .times(times),
        );
        let users = running.google().users(UserListing::Current).all().await;
        assert_eq!(users.map(|users| users.len()), Ok(600), "{failure:?}");
    }
}

#[tokio::test]
async fn a_scope_that_was_taken_away_is_named() {
    let running = start(|_| {}).await;
    assert!(
        running
            .google()
            .test_scopes()
            .await
            .iter()
            .all(|check| check.is_ok())
    );
    running.sandbox.delegate(sandbox::Scope::Member, false);
    let checks = running.google().test_scopes().await;
    for check in checks {
        let missing = matches!(check.result, ScopeResult::Missing { .. });
        assert_eq!(missing, check.scope == Scope::Members, "{check:?}");
    }
}

#[tokio::test]
async fn a_wrong_administrator_is_told_apart_from_one_without_rights() {
    let running = start(|_| {}).await;
    let stranger = running.google_as("nobody@northmoor.example");
    let error = stranger.customer().await.unwrap_err();
    assert_eq!(error.code(), "directory-administrator-unknown", "{error}");
    let plain = running.sandbox.directory(|directory| {
        let person = directory
            .living()
            .find(|person| {
                !person.is_admin && !person.is_delegated_admin && person.suspended_at.is_none()
            })
            .unwrap();
        person.primary_email.clone()
    });
    let error = running
        .google_as(&plain)
        .users(UserListing::Current)
        .all()
        .await
        .unwrap_err();
    assert_eq!(error.class(), DirectoryErrorClass::Permission, "{error}");
    assert!(error.to_string().contains(&plain), "{error}");
}

const NAME: &str = "Nuala+test@northmoor.example";

fn person(title: Option<&str>) -> Value {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": NAME,
        "name": {"formatted": "Nuala Byrne"},
        "emails": [{"value": NAME, "primary": true}],
        "active": true,
    });
    if let Some(title) = title {
        body["title"] = json!(title);
    }
    body
}

fn title(old: Option<&str>, new: Option<&str>) -> FieldChange {
    FieldChange {
        attribute: "title".to_owned(),
        old: old.map(Value::from),
        new: new.map(Value::from),
    }
}

/// One account's whole life.
async fn live(app: &ScimApp, sandbox: &Sandbox) {
    let rows = ["userName", "name.formatted", "title"]
        .map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"));
    let kept =
        |look: fn(&sandbox::Account) -> Value| sandbox.account(NAME).map(|account| look(&account));
    let created = app.create(&person(Some("Engineer"))).await.unwrap();
    let id = created.id.clone();
    assert_eq!(
        app.create(&person(None)).await.unwrap_err().class,
        ScimErrorClass::Conflict
    );
    let found = app
        .find_in_the_way(&NAME.to_lowercase(), None)
        .await
        .unwrap();
    assert_eq!(
        found.iter().map(|account| &account.id).collect::<Vec<_>>(),
        [&id]
    );
    assert!(
        app.find_by_user_name("no+body@northmoor.example")
            .await
            .unwrap()
            .is_empty()
    );

    let body = person(Some("Director"));
    let changes = [title(Some("Engineer"), Some("Director"))];
    let update = Update {
        body: &body,
        changes: &changes,
        rows: &rows,
        active: None,
        current: None,
    };
    app.update(&id, update).await.unwrap();
    assert_eq!(
        kept(|account| json!(account.title())),
        Some(json!("Director"))
    );

    let nothing = Update {
        changes: &[],
        ..update
    };
    app.set_active(&id, false, nothing).await.unwrap();
    assert_eq!(kept(|account| json!(account.active)), Some(json!(false)));
    app.set_active(&id, true, nothing).await.unwrap();
    assert_eq!(kept(|account| json!(account.active)), Some(json!(true)));
    assert_eq!(app.get(&id).await.unwrap().unwrap().active, Some(true));

    let body = person(None);
    let changes = [title(Some("Director"), None)];
    let update = Update {
        body: &body,
        changes: &changes,
        ..update
    };
    app.update(&id, update).await.unwrap();
    assert_eq!(kept(|account| json!(account.title())), Some(Value::Null));
    assert_eq!(
        kept(|account| json!(account.name())),
        Some(json!("Nuala Byrne"))
    );

    app.delete(&id).await.unwrap();
    app.delete(&id).await.unwrap();
}

#[tokio::test]
async fn an_account_lives_through_every_quirk() {
    let quirks: Vec<(&str, Quirks)> = vec![
        ("none", Quirks::default()),
        (
            "patch unsupported",
            Quirks {
                patch_unsupported: true,
                ..Quirks::default()
            },
        ),
        (
            "patch without content",
            Quirks {
                patch_no_content: true,
                ..Quirks::default()
            },
        ),
        (
            "keeps everything",
            Quirks {
                keeps_everything: true,
                ..Quirks::default()
            },
        ),
        (
            "filter ignored",
            Quirks {
                filter_ignored: true,
                ..Quirks::default()
            },
        ),
        (
            "filter with case",
            Quirks {
                filter_case_sensitive: true,
                ..Quirks::default()
            },
        ),
        (
            "page cap",
            Quirks {
                page_cap: Some(7),
                filter_ignored: true,
                ..Quirks::default()
            },
        ),
        (
            "paging ignored",
            Quirks {
                paging_ignored: true,
                filter_ignored: true,
                ..Quirks::default()
            },
        ),
        (
            "count refused",
            Quirks {
                count_refused: true,
                filter_ignored: true,
                ..Quirks::default()
            },
        ),
        (
            "no totals",
            Quirks {
                no_total_results: true,
                ..Quirks::default()
            },
        ),
        (
            "conflict without type",
            Quirks {
                conflict_without_type: true,
                ..Quirks::default()
            },
        ),
        (
            "name is id",
            Quirks {
                name_is_id: true,
                ..Quirks::default()
            },
        ),
        (
            "delete deactivates",
            Quirks {
                delete_deactivates: true,
                ..Quirks::default()
            },
        ),
        (
            "no discovery",
            Quirks {
                no_discovery: true,
                ..Quirks::default()
            },
        ),
    ];
    for (name, quirks) in quirks {
        println!("{name}");
        let running = start(|options| {
            options.quirks = Quirks {
                any_domain: true,
                ..quirks
            };
        })
        .await;
        live(&running.app(), &running.sandbox).await;
    }
}

#[tokio::test]
async fn an_app_without_put_is_changed_by_paths() {
    let running = start(|options| options.quirks.put_not_found = true).await;
    let app = running.app_with(|settings| {
        settings.clear_needs_put = false;
        settings.update = UpdateStyle::Put;
    });
    live(&app, &running.sandbox).await;
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchValue));
}

#[tokio::test]
async fn a_reactivation_that_does_nothing_is_not_taken_for_done() {
    let running = start(|options| options.quirks.no_reactivation = true).await;
    let app = running.app();
    let body = person(None);
    let created = app.create(&body).await.unwrap();
    let update = Update {
        body: &body,
        changes: &[],
        rows: &[],
        active: None,
        current: None,
    };
    app.set_active(&created.id, false, update).await.unwrap();
    let error = app.set_active(&created.id, true, update).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Unsupported, "{error}");
    assert!(error.to_string().contains("stays inactive"), "{error}");
}

#[tokio::test]
async fn every_listing_is_whole_or_says_that_it_is_not() {
    for (name, quirks, trusted) in [
        ("none", Quirks::default(), true),
        (
            "page cap",
            Quirks {
                page_cap: Some(7),
                ..Quirks::default()
            },
            true,
        ),
        (
            "paging ignored",
            Quirks {
                paging_ignored: true,
                ..Quirks::default()
            },
            true,
        ),
        (
            "repeats",
            Quirks {
                start_index_repeats: true,
                page_cap: Some(20),
                ..Quirks::default()
            },
            true,
        ),
        (
            "count refused",
            Quirks {
                count_refused: true,
                ..Quirks::default()
            },
            true,
        ),
        (
            "no totals",
            Quirks {
                no_total_results: true,
                page_cap: Some(7),
                ..Quirks::default()
            },
            true,
        ),
    ] {
        let running = start(|options| {
            options.accounts = 240;
            options.quirks = quirks;
        })
        .await;
        let all: BTreeSet<String> = running
            .sandbox
            .accounts()
            .into_iter()
            .map(|account| account.id)
            .collect();
        let mut listing = running.app().accounts();
        let mut read = BTreeSet::new();
        while let Some(page) = listing.next_page().await.unwrap() {
            read.extend(page.into_iter().map(|account| account.id.into_string()));
        }
        assert_eq!(
            listing.trust() == Trust::Trusted,
            trusted,
            "{name}: {:?}",
            listing.trust()
        );
        assert_eq!(read, all, "{name}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_ambiguous_and_the_look_up_finds_what_was_made() {
    let running = start(|_| {}).await;
    let app = running.app();
    running
        .sandbox
        .inject(Fault::once(Call::AccountCreate, Failure::DroppedAfter));
    let error = app.create(&person(None)).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Ambiguous, "{error}");
    assert_eq!(running.sandbox.count(Call::AccountCreate), 1);
    assert_eq!(app.find_by_user_name(NAME).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_token_is_an_authorization_error_for_reads_and_writes() {
    let running = start(|_| {}).await;
    let app = running.app();
    running.sandbox.revoke_asana_token(true);
    assert!(app.check().await.unwrap_err().is_authorization());
    assert!(
        app.create(&person(None))
            .await
            .unwrap_err()
            .is_authorization()
    );
    assert!(
        app.delete(&AccountId::new("1"))
            .await
            .unwrap_err()
            .is_authorization()
    );
}

#[tokio::test]
async fn the_app_is_checked_and_tells_its_schemas() {
    let running = start(|_| {}).await;
    let facts = running.app().check().await.unwrap();
    assert_eq!(facts.accounts, Some(running.sandbox.account_count() as u64));
    assert_eq!(facts.patch, Some(true));
    let schemas = running.app().raw_schemas().await.unwrap().unwrap();
    let attributes = catalog::attributes_from_schemas(&schemas);
    assert!(
        attributes
            .iter()
            .any(|attribute| attribute.path == "userName")
    );
}

/// Real time: the app counts by the machine's clock.
#[tokio::test]
async fn a_burst_stays_below_the_apps_limits() {
    let running = start(|options| {
        options.limits = Limits {
            requests_per_minute: Some(1_200),
            burst: 15,
            reads_in_flight: Some(8),
            writes_in_flight: Some(4),
        };
    })
    .await;
    let mut outgoing = running.outgoing.clone();
    outgoing = outgoing.waiting_on(Arc::new(server::connectors::SystemTimer));
    let running = Running {
        outgoing,
        ..running
    };
    let app = running.app_with(|settings| settings.limits = ScimLimits::of(1_200, 8, 4));
    let started = std::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60 {
        let app = app.clone();
        let mut body = person(None);
        body["userName"] = json!(format!("p{n}@northmoor.example"));
        tasks.spawn(async move { app.create(&body).await.unwrap() });
    }
    tasks.join_all().await;
    let took = started.elapsed();
    let throttled = running
        .sandbox
        .recorded()
        .iter()
        .filter(|call| call.status == 429)
        .count();
    assert_eq!(throttled, 0);
    assert!(running.sandbox.peak_concurrency().1 <= 4);
    // 60 at 20 a second, the first few at once.
    assert!(
        took >= Duration::from_millis(2_400) && took < Duration::from_millis(3_800),
        "{took:?}"
    );
    assert!(running.timer.waits().is_empty());
}
