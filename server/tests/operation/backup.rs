//! A dump of the database and the secret key are a whole backup.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::json;
use server::clock::{Clock as _, SystemClock};
use server::store::apps;
use server::store::runs::{self, NewRun, RunKind};
use sqlx::{AssertSqlSafe, Executor as _, PgPool};
use tokio::process::Command;

use crate::company::{Company, NEVER, NEW_KEY};

/// The newest one that is installed, which reads every server of these tests.
pub fn postgres_program(name: &str) -> PathBuf {
    let folder = std::env::var_os("ROLLCALL_POSTGRES_BIN").map(PathBuf::from);
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .chain(folder)
        .map(|folder| folder.join(name))
        .filter(|program| program.exists())
        .collect();
    installed.sort();
    installed.pop().unwrap_or_else(|| name.into())
}

pub fn url_of(database: &str) -> String {
    let mut url: url::Url = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    url.set_path(database);
    url.to_string()
}

#[sqlx::test(migrations = "./migrations")]
async fn a_restored_dump_goes_on_with_its_key_and_nothing_is_sent_twice(pool: PgPool) {
    let company = Company::provisioned(pool.clone()).await;
    // A run that nobody has begun yet is in the dump too.
    let mut db = pool.acquire().await.unwrap();
    let app = apps::by_slug(&mut db, "app").await.unwrap().unwrap();
    let new = NewRun {
        app: app.id,
        kind: RunKind::Manual,
        actor: "ada@northmoor.example",
        config_version: app.config_version,
        fresh_import: false,
        plan_of: None,
    };
    runs::queue(&mut db, &new, SystemClock.now()).await.unwrap();
    drop(db);
    let name = pool.connect_options().get_database().unwrap().to_owned();
    // A name has 63 bytes at the most.
    let restored = format!("restored_{}", &name[name.len() - 20..]);
    let dump = company.program.folder.path().join("rollcall.dump");
    let dumped = Command::new(postgres_program("pg_dump"))
        .args(["--format=custom", "--file"])
        .arg(&dump)
        .arg(url_of(&name))
        .output()
        .await
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let create = format!("CREATE DATABASE \"{restored}\"");
    pool.execute(AssertSqlSafe(create)).await.unwrap();
    let loaded = Command::new(postgres_program("pg_restore"))
        .args([
            "--exit-on-error",
            "--no-owner",
            "--dbname",
            &url_of(&restored),
        ])
        .arg(&dump)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(loaded.status.success(), "{loaded:?}");

    let url = url_of(&restored);
    let there = [("DATABASE_URL", url.as_str())];
    let before = company
        .rollcall_with(&["audit", "export", "--format", "ndjson"], &there)
        .await;
    let verified = company.rollcall_with(&["audit", "verify"], &there).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(before.out.lines().count() > 25, "{before:?}");

    // The token is usable, every link is known, and nobody is sent again.
    company.sandbox.forget_requests();
    let sync = company
        .rollcall_with(&["sync", "--app", "app", "--json"], &there)
        .await;
    assert_eq!(sync.code, Some(0), "{sync:?}");
    assert_eq!(sync.json()["requests"]["scim_writes"], json!(0), "{sync:?}");
    assert_eq!(company.sandbox.scim_writes(), 0);
    let restored_pool = PgPool::connect(&url).await.unwrap();
    let open: Vec<String> = sqlx::query_scalar("SELECT state FROM runs WHERE finished_at IS NULL")
        .fetch_all(&restored_pool)
        .await
        .unwrap();
    assert!(open.is_empty(), "the queued run was carried out: {open:?}");
    restored_pool.close().await;
    let doctor = company.rollcall_with(&["doctor"], &there).await;
    assert!(doctor.out.contains("it takes the token"), "{doctor:?}");

    // Without its key it is of no use, and says so.
    let other = [there[0], ("ROLLCALL_SECRET_KEY", NEW_KEY)];
    let doctor = company.rollcall_with(&["doctor"], &other).await;
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.out.contains("FAILED  secret key"), "{doctor:?}");

    let gone = format!("DROP DATABASE \"{restored}\" WITH (FORCE)");
    tokio::time::timeout(NEVER, pool.execute(AssertSqlSafe(gone)))
        .await
        .unwrap()
        .unwrap();
}
