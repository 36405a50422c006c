//! S12.3, S12.7: the role of a process owns nothing, can do all its work, and can't touch the log.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use server::clock::SystemClock;
use server::http::{Health, health_routes};
use server::secrets::{SecretKey, Vault};
use server::telemetry;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tower::ServiceExt as _;

use crate::company::{Company, KEY, NEW_KEY};

/// Roles belong to the whole cluster, so each test has its own.
struct Roles {
    owner: String,
    process: String,
}

impl Roles {
    /// An owner of the database, and a role that may sign in and nothing else.
    async fn make(pool: &PgPool) -> Self {
        let name = pool.connect_options().get_database().unwrap().to_owned();
        let tail = &name[name.len() - 20..];
        let (owner, process) = (format!("owner_{tail}"), format!("process_{tail}"));
        for statement in [
            format!("CREATE ROLE \"{owner}\" LOGIN PASSWORD 'o'"),
            format!("CREATE ROLE \"{process}\" LOGIN PASSWORD 'p'"),
            format!("ALTER DATABASE \"{name}\" OWNER TO \"{owner}\""),
            format!("ALTER SCHEMA public OWNER TO \"{owner}\""),
        ] {
            execute(pool, &statement).await.unwrap();
        }
        let url = |role: &str, password: &str| {
            let mut url: url::Url = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
            url.set_path(&name);
            url.set_username(role).unwrap();
            url.set_password(Some(password)).unwrap();
            url.to_string()
        };
        Self {
            owner: url(&owner, "o"),
            process: url(&process, "p"),
        }
    }
}

async fn connect(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(2)
        .connect(url)
        .await
        .unwrap()
}

async fn execute(pool: &PgPool, statement: &str) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(pool)
        .await;
    done.map(drop).map_err(|error| error.to_string())
}

#[sqlx::test(migrations = false)]
async fn a_process_that_owns_nothing_does_all_its_work_and_can_not_change_the_log(pool: PgPool) {
    let roles = Roles::make(&pool).await;
    let company = Company::found(pool).await;
    let file = company.written();
    let process = [("DATABASE_URL", roles.process.as_str())];
    let both = [process[0], ("ROLLCALL_MIGRATE_URL", roles.owner.as_str())];

    let early = company.rollcall_with(&["migrate"], &process).await;
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(
        early.line().contains("run rollcall migrate")
            && early.line().contains("ROLLCALL_MIGRATE_URL"),
        "{early:?}"
    );
    for _ in 0..2 {
        let migrated = company.rollcall_with(&["migrate"], &both).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
    }

    for command in [
        &["config", "apply", "-f", &file][..],
        &["sync", "--app", "app", "--json"],
        &["audit", "verify"],
    ] {
        let said = company.rollcall_with(command, &process).await;
        assert_eq!(said.code, Some(0), "{command:?}: {said:?}");
    }
    assert!(!company.sandbox.accounts().is_empty());
    let doctor = company.rollcall_with(&["doctor"], &process).await;
    assert!(doctor.out.contains("does not own the tables"), "{doctor:?}");

    let as_process = connect(&roles.process).await;
    let as_owner = connect(&roles.owner).await;
    // The job engine hides its rows from all roles but its owner's, unless they are let in.
    execute(
        &as_process,
        "SELECT graphile_worker.add_job('nothing', '{}'::json)",
    )
    .await
    .unwrap();
    let jobs: i64 = sqlx::query_scalar("SELECT count(*) FROM graphile_worker._private_jobs")
        .fetch_one(&as_process)
        .await
        .unwrap();
    assert!(jobs >= 1);
    // A month that nobody has seen yet.
    execute(&as_process, "SELECT ensure_event_partition('2031-05-05')")
        .await
        .unwrap();
    execute(
        &as_process,
        "INSERT INTO events (time, event, outcome, actor) VALUES ('2031-05-05', 'Export', 'ok', 'x')",
    )
    .await
    .unwrap();

    for statement in [
        "UPDATE events SET actor = 'y'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE events_2031_05 SET actor = 'y'",
        "DELETE FROM events_2031_05",
        "TRUNCATE events_2031_05",
        "UPDATE event_seals SET hash = ''",
        "DELETE FROM event_seals",
        "TRUNCATE event_seals",
    ] {
        let refused = execute(&as_process, statement).await.unwrap_err();
        assert!(
            refused.contains("permission denied"),
            "{statement}: {refused}"
        );
        let refused = execute(&as_owner, statement).await.unwrap_err();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    for statement in [
        "ALTER TABLE events DISABLE TRIGGER ALL",
        "DROP TABLE events",
        "CREATE TABLE mine (x int)",
        "DELETE FROM event_head",
        "SET session_replication_role = replica",
        "UPDATE _sqlx_migrations SET success = false",
    ] {
        assert!(
            execute(&as_process, statement).await.is_err(),
            "{statement}"
        );
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn a_process_that_does_not_fit_the_database_says_so_and_does_not_start(pool: PgPool) {
    let ready = async |vault: Vault| {
        let routes = health_routes(Health {
            pool: pool.clone(),
            clock: std::sync::Arc::new(SystemClock),
            metrics: metrics(),
            vault: Some(vault),
        });
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let answer = routes.oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 1000)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let vault = |key: &str| Vault::new(SecretKey::from_base64(&key.into()).unwrap());
    let company = Company::found(pool.clone()).await;
    let applied = company.program.apply(&company.file()).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert_eq!(ready(vault(KEY)).await.0, StatusCode::OK);

    let (status, reason) = ready(vault(NEW_KEY)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.contains("another secret key"), "{reason}");

    // As the next version leaves it.
    execute(
        &pool,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '', 0)",
    )
    .await
    .unwrap();
    let (status, reason) = ready(vault(KEY)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.contains("newer"), "{reason}");
    let started = company.program.rollcall(&["sync", "--app", "app"]).await;
    assert_eq!(started.code, Some(1), "{started:?}");
    assert!(started.line().contains("9999"), "{started:?}");

    execute(&pool, "DELETE FROM _sqlx_migrations WHERE version >= 56")
        .await
        .unwrap();
    let (status, reason) = ready(vault(KEY)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(reason.contains("rollcall migrate"), "{reason}");
}

fn metrics() -> metrics_exporter_prometheus::PrometheusHandle {
    static METRICS: std::sync::OnceLock<metrics_exporter_prometheus::PrometheusHandle> =
        std::sync::OnceLock::new();
    METRICS
        .get_or_init(|| telemetry::start_metrics().unwrap())
        .clone()
}
