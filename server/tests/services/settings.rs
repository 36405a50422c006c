//! Settings in the console: thresholds, protected people, the history of configurations, and how
//! long the log is kept (S9.1, S9.3, S9.5, S10.5).

use crate::house::House;
use app::api::settings::ThresholdsForm;
use app::api::terms::Role;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{
    Actor, Assured, ConfigurationHistory as _, ConsoleSettings as _, SafetySettings as _,
};
use chrono::TimeDelta;
use provisioning::config::{AppConfig, Policy, Trigger, Window, diff};
use server::clock::Clock as _;
use server::config_file::{self, Options};
use server::jobs::Queue;
use server::sandbox::ADMINISTRATOR;
use server::services::apps::AppServices;
use server::services::console_settings::ConsoleSettingsService;
use server::store::apps;
use server::store::runs::RunState;
use server::sync::inputs;
use sqlx::PgPool;
use uuid::Uuid;

const ASANA: &str = "asana";

struct Console {
    house: House,
    apps: AppServices,
    ines: Assured,
}

impl Console {
    async fn build(pool: PgPool, adapt: impl FnOnce(&mut AppConfig)) -> Self {
        let house = House::build_with(pool, |_| {}, adapt).await;
        house.run().await;
        Self {
            apps: AppServices::new(house.engine.clone(), Queue::new(house.engine.clone())),
            ines: ines(),
            house,
        }
    }

    /// People who have an account, those whose addresses come first.
    fn people(&self, many: usize) -> Vec<String> {
        let mut people: Vec<String> = (self.house.sandbox.accounts().into_iter())
            .map(|account| account.user_name)
            .filter(|email| email != ADMINISTRATOR)
            .collect();
        people.sort();
        people.truncate(many);
        people
    }

    fn suspend(&self, email: &str) {
        let suspended = self
            .house
            .sandbox
            .change_directory(|directory, now| directory.suspend(email, now));
        suspended.unwrap();
    }

    fn id_of(&self, email: &str) -> String {
        let id = |directory: &server::sandbox::Directory| {
            directory.person(email).unwrap().id.as_str().to_owned()
        };
        self.house.sandbox.directory(id)
    }

    fn active(&self, email: &str) -> bool {
        self.house.sandbox.account(email).unwrap().active
    }

    async fn config(&self) -> AppConfig {
        let app = self.house.app().await;
        let mut db = self.house.engine.connection().await.unwrap();
        inputs::configuration(&mut db, &app).await.unwrap().unwrap()
    }
}

fn ines() -> Assured {
    Assured::in_demo(Actor {
        id: Uuid::from_u128(1),
        email: "ines@northmoor.example".to_owned(),
        role: Role::SuperAdministrator,
    })
}

fn numbers(count: &str, percent: &str, maximum: &str, creates: Option<&str>) -> ThresholdsForm {
    ThresholdsForm {
        count: count.to_owned(),
        percent: percent.to_owned(),
        maximum: maximum.to_owned(),
        creates: creates.map(str::to_owned),
    }
}

fn at_once(config: &mut AppConfig) {
    let policy = Policy::new(Some(Window::WITHIN_24_HOURS), None).unwrap();
    config.deprovisioning.set(Trigger::Suspended, policy);
}

fn fields(error: &ApiError) -> Vec<(&str, FieldCode)> {
    let each = error.fields.iter();
    each.map(|field| (field.field.as_str(), field.code))
        .collect()
}

#[sqlx::test(migrations = "./migrations")]
async fn thresholds_of_the_console_hold_the_next_run_and_stand_in_the_file(pool: PgPool) {
    let console = Console::build(pool, at_once).await;
    for email in console.people(2) {
        console.suspend(&email);
    }
    let wrong = console
        .apps
        .save_thresholds(&console.ines, ASANA, numbers("", "200", "x", None))
        .await
        .unwrap_err();
    assert_eq!(
        fields(&wrong),
        [
            ("count", FieldCode::Required),
            ("maximum", FieldCode::OutOfRange),
            ("percent", FieldCode::OutOfRange)
        ]
    );
    let form = numbers("0", "0", "1", Some("40"));
    (console.apps.save_thresholds(&console.ines, ASANA, form))
        .await
        .unwrap();
    let run = console.house.run().await;
    assert_eq!((run.state, run.held), (RunState::Held, 2), "{run:?}");
    let page = console.apps.thresholds(&console.ines, ASANA).await.unwrap();
    assert_eq!((page.saved.maximum, page.waiting), (1, 2));
    assert_eq!(page.saved.creates, Some(40));

    let events = console.house.events("Configuration changed").await;
    let told = events.last().unwrap();
    assert_eq!(told.actor, console.ines.email);
    assert!(
        told.changes
            .as_ref()
            .unwrap()
            .to_string()
            .contains("hold_max")
    );

    // What the console saved is what the file says, and applying it changes nothing.
    let engine = &console.house.engine;
    let mut file = Vec::new();
    config_file::export(engine, &mut file).await.unwrap();
    let text = String::from_utf8(file).unwrap();
    for line in ["hold_max = 1", "hold_creates = 40"] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rollcall.toml");
    let before = console.house.app().await.config_version;
    std::fs::write(&path, text.replace("hold_max = 1", "hold_max = 9")).unwrap();
    let mut out = Vec::new();
    config_file::apply(engine, &path, Options::default(), "shell", &mut out)
        .await
        .unwrap();
    assert_eq!(console.house.app().await.config_version, before + 1);
    let page = console.apps.thresholds(&console.ines, ASANA).await.unwrap();
    assert_eq!(
        page.saved.maximum, 9,
        "the file changes what the console shows"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn somebody_protected_keeps_the_account_under_another_address_until_it_is_taken_back(
    pool: PgPool,
) {
    let console = Console::build(pool, at_once).await;
    let email = console.people(1).remove(0);
    let id = console.id_of(&email);
    let found = console
        .apps
        .protected(&console.ines, ASANA, Some(email.clone()))
        .await
        .unwrap();
    assert_eq!(found.found.first().map(|one| one.id.as_str()), Some(&*id));
    (console.apps.protect(&console.ines, ASANA, &id))
        .await
        .unwrap();
    // Once more changes nothing.
    let version = console.house.app().await.config_version;
    (console.apps.protect(&console.ines, ASANA, &id))
        .await
        .unwrap();
    assert_eq!(console.house.app().await.config_version, version);
    let nobody = console.apps.protect(&console.ines, ASANA, "nobody").await;
    assert_eq!(
        fields(&nobody.unwrap_err()),
        [("person", FieldCode::Unknown)]
    );

    console.suspend(&email);
    let run = console.house.run().await;
    assert_eq!((run.applied.suspend, run.held), (0, 0), "{run:?}");
    assert!(console.active(&email));
    let list = console
        .apps
        .protected(&console.ines, ASANA, None)
        .await
        .unwrap();
    let [one] = list.people.as_slice() else {
        panic!("{:?}", list.people)
    };
    assert_eq!(
        (one.key.as_str(), one.waiting.len()),
        (&*id, 1),
        "what would happen is said"
    );

    let asked = console
        .apps
        .unprotecting(&console.ines, ASANA, &id)
        .await
        .unwrap();
    assert_eq!(asked.person.waiting, one.waiting);
    (console.apps.unprotect(&console.ines, ASANA, &id))
        .await
        .unwrap();
    let again = console.apps.unprotect(&console.ines, ASANA, &id).await;
    assert_eq!(again.unwrap_err().code, ErrorCode::Conflict);
    let run = console.house.run().await;
    assert_eq!(run.applied.suspend, 1, "{run:?}");
    assert!(!console.active(&email));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_earlier_version_is_found_by_who_changed_it_and_put_back_as_a_new_one(pool: PgPool) {
    let console = Console::build(pool, |_| {}).await;
    let first = console.config().await;
    console.house.pass(TimeDelta::hours(1));
    let later = Policy::new(Some(Window::SEVEN_DAYS), None).unwrap();
    (console.house)
        .change_config(|config| config.deprovisioning.set(Trigger::Suspended, later))
        .await;
    let ines = &console.ines;
    let history = console.apps.versions(ines, ASANA, 1).await.unwrap();
    let lines: Vec<(i32, bool, &str)> = (history.versions.iter())
        .map(|one| (one.number, one.current, one.summary.as_str()))
        .collect();
    let [(2, true, changed), (1, false, "First configuration")] = lines.as_slice() else {
        panic!("{lines:?}")
    };
    assert!(
        changed.starts_with("Deprovisioning: Suspended in Google"),
        "{changed}"
    );
    let compared = console.apps.compare(ines, ASANA, None, None).await.unwrap();
    assert_eq!((compared.old.number, compared.new.number), (1, 2));
    assert_eq!(compared.sections[0].title, "Deprovisioning");

    let asked = console.apps.restoring(ines, ASANA, 1).await.unwrap();
    assert_eq!((asked.current, asked.problems.len()), (2, 0));
    assert!(
        asked
            .effect
            .is_some_and(|effect| effect.stay > 0 && effect.leave == 0)
    );
    let refused = console.apps.restore(ines, ASANA, 1, 2, false).await;
    assert_eq!(
        fields(&refused.unwrap_err()),
        [("confirmed", FieldCode::RestoringUnconfirmed)]
    );
    let before = console.house.app().await;
    (console.apps.restore(ines, ASANA, 1, 2, true))
        .await
        .unwrap();
    let after = console.house.app().await;
    assert_eq!((after.config_version, &after.state), (3, &before.state));
    assert_eq!(diff(&first, &console.config().await), vec![]);
    let late = console.apps.restore(ines, ASANA, 2, 2, true).await;
    assert_eq!(
        late.unwrap_err().code,
        ErrorCode::Conflict,
        "it was changed meanwhile"
    );

    let mut db = console.house.engine.connection().await.unwrap();
    let newest = apps::config(&mut db, console.house.app)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (newest.actor, newest.note.as_str()),
        (ines.email.clone(), "Restored version 1")
    );
    let events = console.house.events("Configuration changed").await;
    assert_eq!(
        events.last().unwrap().reason.as_deref(),
        Some("Restored version 1")
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn putting_back_says_what_becomes_due_and_who_leaves(pool: PgPool) {
    let console = Console::build(pool, |config| {
        at_once(config);
        config.access.org_units[0].on = true;
    })
    .await;
    let ines = &console.ines;
    // Since then suspensions wait a week, and one does.
    let later = Policy::new(Some(Window::SEVEN_DAYS), None).unwrap();
    (console.house)
        .change_config(|config| config.deprovisioning.set(Trigger::Suspended, later))
        .await;
    let email = console.people(1).remove(0);
    console.suspend(&email);
    console.house.run().await;
    let asked = console.apps.restoring(ines, ASANA, 1).await.unwrap();
    assert_eq!((asked.due_at_once, asked.re_dated), (1, 0));
    assert!(console.active(&email), "asking does nothing");

    // A version from before the app was on for anybody: everybody would leave.
    (console.house)
        .change_config(|config| config.access.org_units.clear())
        .await;
    let on_again = console.apps.restoring(ines, ASANA, 2).await.unwrap();
    assert!(on_again.effect.is_some_and(|effect| effect.enter > 0));
}

#[sqlx::test(migrations = "./migrations")]
async fn the_log_is_kept_for_a_shorter_time_only_when_that_is_confirmed(pool: PgPool) {
    let house = House::build(pool).await;
    let settings = ConsoleSettingsService {
        engine: house.engine.clone(),
    };
    let ines = ines();
    let save = async |days: Option<&str>, confirmed| {
        let days = days.map(str::to_owned);
        settings.save_retention(&ines, days, confirmed).await
    };
    for wrong in ["7", "x", "99999999"] {
        let refused = save(Some(wrong), true).await.unwrap_err();
        assert_eq!(
            fields(&refused),
            [("days", FieldCode::OutOfRange)],
            "{wrong}"
        );
    }
    let refused = save(Some("365"), false).await.unwrap_err();
    assert_eq!(
        fields(&refused),
        [("confirmed", FieldCode::PruningUnconfirmed)]
    );
    save(Some("365"), true).await.unwrap();
    save(Some("730"), false).await.unwrap();
    let page = settings.retention(&ines).await.unwrap();
    assert_eq!(page.days, Some(730));
    assert_eq!(page.changed, Some((house.clock.now(), ines.email.clone())));
    assert_eq!(house.events("Settings changed").await.len(), 2);
    save(None, false).await.unwrap();
    assert_eq!(settings.overview().await.unwrap().retention_days, None);
}
