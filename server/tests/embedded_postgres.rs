//! The embedded cluster, with the PostgreSQL of this machine, as whoever runs the tests (root too).
#![allow(clippy::unwrap_used, reason = "a test that can not go on stops")]

use std::fs;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::str::FromStr as _;

use server::postgres::{Cluster, Durability};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    dir
}

async fn join(data_dir: &Path) -> Cluster {
    Cluster::join(data_dir, None, Durability::ThrowAway)
        .await
        .unwrap()
}

async fn works(cluster: &Cluster) -> bool {
    let Ok(mut db) = PgConnection::connect_with(&cluster.options()).await else {
        return false;
    };
    sqlx::query("CREATE TABLE IF NOT EXISTS notes (note text)")
        .execute(&mut db)
        .await
        .is_ok()
}

async fn answers(options: &PgConnectOptions) -> bool {
    PgConnection::connect_with(options).await.is_ok()
}

#[tokio::test]
async fn the_cluster_runs_while_somebody_uses_it_and_the_last_to_leave_stops_it() {
    let dir = open_dir();
    let first = join(&dir.path().join("data")).await;
    let second = join(&dir.path().join("data")).await;
    let options = first.options();
    assert_eq!(
        options.get_port(),
        second.options().get_port(),
        "one cluster, not two"
    );
    assert!(works(&first).await);
    first.leave().await;
    assert!(works(&second).await, "it was stopped under somebody's feet");
    second.leave().await;
    assert!(!answers(&options).await, "nobody uses it and it still runs");
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_stop_and_a_start() {
    let dir = open_dir();
    let first = join(dir.path()).await;
    assert!(works(&first).await);
    first.leave().await;
    let second = join(dir.path()).await;
    let mut db = PgConnection::connect_with(&second.options()).await.unwrap();
    sqlx::query("SELECT note FROM notes")
        .execute(&mut db)
        .await
        .unwrap();
    second.leave().await;
}

#[tokio::test]
async fn processes_that_start_together_end_up_in_one_cluster() {
    let dir = open_dir();
    let (a, b, c) = tokio::join!(join(dir.path()), join(dir.path()), join(dir.path()));
    assert_eq!(a.options().get_port(), b.options().get_port());
    assert_eq!(b.options().get_port(), c.options().get_port());
    for cluster in [a, b, c] {
        assert!(works(&cluster).await);
        cluster.leave().await;
    }
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_stop_the_start() {
    let dir = open_dir();
    let cluster = join(dir.path()).await;
    let directory = cluster.directory().to_owned();
    cluster.leave().await;
    // This very process is alive and is no Postgres; nothing listens on port 9 either.
    let pid = std::process::id();
    let stale = format!(
        "{pid}\n{}\n0\n9\n\n127.0.0.1\n\nready\n",
        directory.display()
    );
    fs::write(directory.join("postmaster.pid"), stale).unwrap();
    let again = join(dir.path()).await;
    assert!(works(&again).await);
    again.leave().await;
}

#[tokio::test]
async fn an_unfinished_cluster_is_made_anew() {
    let dir = open_dir();
    fs::create_dir(dir.path().join("postgres.new")).unwrap();
    fs::write(dir.path().join("postgres.new/PG_VERSION"), "15").unwrap();
    let cluster = join(dir.path()).await;
    assert!(works(&cluster).await);
    cluster.leave().await;
}

#[tokio::test]
async fn a_data_directory_that_only_its_owner_can_enter_works_too() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let cluster = join(&dir.path().join("data")).await;
    assert!(works(&cluster).await);
    let outside = cluster.directory().parent().map(Path::to_owned).unwrap();
    cluster.leave().await;
    if !outside.starts_with(dir.path()) {
        fs::remove_dir_all(outside).unwrap();
    }
}

#[tokio::test]
async fn the_password_and_the_log_are_for_their_owner_alone() {
    let dir = open_dir();
    let cluster = join(dir.path()).await;
    for path in [
        dir.path().join("postgres.log"),
        cluster.directory().join("rollcall.password"),
    ] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is readable for others", path.display());
    }
    cluster.leave().await;
}

#[tokio::test]
async fn a_killed_owner_leaves_the_cluster_running_for_the_next_to_join() {
    let dir = open_dir();
    let mut owner = std::process::Command::new(env!("CARGO_BIN_EXE_rollcall"))
        .args([
            "database",
            "--",
            "sh",
            "-c",
            "echo $DATABASE_URL; read line",
        ])
        .env("ROLLCALL_DATA_DIR", dir.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufReader::new(owner.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    let url = PgConnectOptions::from_str(line.trim()).unwrap();
    assert!(answers(&url).await, "it went down with its owner");
    let joined = join(dir.path()).await;
    assert_eq!(
        joined.options().get_port(),
        url.get_port(),
        "a second cluster was started"
    );
    joined.leave().await;
    assert!(!answers(&url).await, "the last to leave did not stop it");
}
