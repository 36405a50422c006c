//! The secret key is rotated while everything goes on, and the log stays provable.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{TimeDelta, TimeZone as _, Utc};
use provisioning::event::EventName;
use secrecy::ExposeSecret as _;
use server::audit::{Break, SealError, Seals};
use server::clock::{Clock as _, FakeClock};
use server::rotation::{Rotated, rotate};
use server::secrets::{Keyring, SecretKey, Vault};
use server::store::credentials::{self, Credential};
use server::store::events::{self, NewEvent};
use server::store::sealed::SealedTable;
use sqlx::{AssertSqlSafe, PgPool};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::company::{Company, KEY, NEW_KEY};

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(Zeroizing::new([byte; 32]))
}

/// A process with these keys, the current one first.
struct Process {
    pool: PgPool,
    clock: FakeClock,
    keys: Keyring,
    checkpoints: PathBuf,
}

impl Process {
    fn seals(&self) -> Seals {
        Seals::new(
            self.pool.clone(),
            &self.keys,
            Arc::new(self.clock.clone()),
            Some(self.checkpoints.clone()),
        )
    }

    fn vault(&self) -> Vault {
        Vault::new(&self.keys)
    }

    async fn rotate(&self) -> Rotated {
        rotate(&self.seals(), &self.vault(), &self.clock, "shell")
            .await
            .unwrap()
    }

    async fn record(&self, count: usize) {
        let mut db = self.pool.acquire().await.unwrap();
        for _ in 0..count {
            let event = NewEvent::new(self.clock.now(), EventName::UpdateUser, "Rollcall");
            events::record(&mut db, &event).await.unwrap();
        }
        self.seals().seal().await.unwrap();
    }

    async fn read(&self, app: u128) -> String {
        let mut db = self.pool.acquire().await.unwrap();
        let token = Credential::AppToken(Uuid::from_u128(app));
        let token = credentials::get(&mut db, &self.vault(), token).await;
        token.unwrap().unwrap().expose_secret().to_owned()
    }

    async fn store(&self, app: u128, token: &str) {
        let mut db = self.pool.acquire().await.unwrap();
        let place = Credential::AppToken(Uuid::from_u128(app));
        credentials::put(
            &mut db,
            &self.vault(),
            place,
            &token.into(),
            self.clock.now(),
        )
        .await
        .unwrap();
    }

    async fn tamper(&self, statements: &[&str]) {
        let mut transaction = self.pool.begin().await.unwrap();
        let unhindered = "SET LOCAL session_replication_role = replica";
        for statement in [unhindered].iter().chain(statements) {
            sqlx::query(AssertSqlSafe(*statement))
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
    }
}

/// Processes that share a database, its clock and its file of checkpoints.
fn house(pool: &PgPool, folder: &tempfile::TempDir) -> impl Fn(&[u8]) -> Process {
    let clock = FakeClock::at(Utc.with_ymd_and_hms(2027, 1, 4, 12, 0, 0).unwrap());
    let (pool, checkpoints) = (pool.clone(), folder.path().join("checkpoints"));
    move |keys: &[u8]| {
        clock.advance(TimeDelta::minutes(1));
        Process {
            pool: pool.clone(),
            clock: clock.clone(),
            keys: Keyring::new(key(keys[0]), keys[1..].iter().copied().map(key).collect()),
            checkpoints: checkpoints.clone(),
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn after_two_rotations_the_newest_key_alone_reads_every_secret_and_proves_the_log(
    pool: PgPool,
) {
    let folder = tempfile::tempdir().unwrap();
    let process = house(&pool, &folder);
    let first = process(&[1]);
    first.store(1, "token of the first app").await;
    first.record(3).await;

    let second = process(&[2, 1]);
    // Before the rotation both processes go on side by side.
    second.record(2).await;
    first.record(2).await;
    let done = second.rotate().await;
    assert_eq!((done.secrets, done.log_was_under), (1, Some(key(1).id())));
    assert_eq!(
        second.rotate().await,
        Rotated::default(),
        "nothing is left to do"
    );
    second.store(2, "token of the second app").await;
    second.record(4).await;

    let third = process(&[3, 2]);
    // Two tokens, and the key of the log's first segment.
    assert_eq!(third.rotate().await.secrets, 3);
    third.record(1).await;

    let alone = process(&[3]);
    let proof = alone.seals().verify().await.unwrap();
    // Twelve, and two that tell of the rotations.
    assert_eq!((proof.events, proof.pruned), (14, 0));
    assert!(proof.checkpoints > 4);
    assert_eq!(alone.read(1).await, "token of the first app");
    assert_eq!(alone.read(2).await, "token of the second app");

    // Who has only an old key seals nothing and is told which one is in use.
    for old in [1, 2] {
        let refused = process(&[old]).seals().verify().await.unwrap_err();
        assert!(matches!(refused, SealError::OtherKey { .. }), "{refused}");
        assert!(refused.to_string().contains(&key(3).id().0), "{refused}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_has_the_old_key_and_the_database_can_not_rewrite_the_log(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let process = house(&pool, &folder);
    let thief = process(&[1]);
    thief.record(5).await;
    thief
        .tamper(&["CREATE TABLE kept AS SELECT * FROM event_head"])
        .await;
    process(&[2, 1]).rotate().await;
    let alone = process(&[2]);
    alone.seals().verify().await.unwrap();

    // The past, changed and sealed anew with the old key: what came later covers the seal it had.
    thief
        .tamper(&[
            "CREATE TABLE later AS SELECT * FROM event_seals WHERE event_id > 5",
            "CREATE TABLE keys AS SELECT * FROM event_keys",
            "CREATE TABLE head AS SELECT * FROM event_head",
            "CREATE TABLE told AS SELECT * FROM events WHERE id > 5",
            "DELETE FROM event_seals",
            "DELETE FROM event_keys",
            "DELETE FROM event_head",
            "DELETE FROM events WHERE id > 5",
            "UPDATE events SET actor = 'nobody' WHERE id = 2",
        ])
        .await;
    thief.seals().seal().await.unwrap();
    thief
        .tamper(&[
            "INSERT INTO event_seals SELECT * FROM later",
            "INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM told",
            "DELETE FROM event_keys",
            "INSERT INTO event_keys SELECT * FROM keys",
            "DELETE FROM event_head",
            "INSERT INTO event_head SELECT * FROM head",
        ])
        .await;
    std::fs::remove_file(&alone.checkpoints).unwrap();
    let found = alone.seals().verify().await.unwrap_err();
    assert!(
        matches!(found, SealError::Broken(Break::Changed { event: 6 })),
        "{found}"
    );

    // The log put back to before the rotation, head and all.
    thief
        .tamper(&[
            "DELETE FROM events WHERE id > 5",
            "DELETE FROM event_seals WHERE event_id > 5",
            "DELETE FROM event_keys WHERE from_event > 0",
            "DELETE FROM event_head",
            "INSERT INTO event_head SELECT * FROM kept",
        ])
        .await;
    let found = alone.seals().verify().await.unwrap_err();
    assert!(matches!(found, SealError::OtherKey { .. }), "{found}");
}

#[sqlx::test(migrations = "./migrations")]
async fn a_secret_that_no_key_opens_is_named_and_the_others_are_rotated(pool: PgPool) {
    let folder = tempfile::tempdir().unwrap();
    let process = house(&pool, &folder);
    process(&[9]).store(1, "lost").await;
    process(&[1]).store(2, "token").await;
    let done = process(&[2, 1]).rotate().await;
    assert_eq!(done.secrets, 1);
    assert!(
        matches!(done.unreadable.as_slice(), [one] if one.contains("app_token") && one.contains(&key(9).id().0)),
        "{done:?}"
    );
    assert_eq!(process(&[2]).read(2).await, "token");
}

#[sqlx::test(migrations = "./migrations")]
async fn every_sealed_column_of_the_schema_is_rotated(pool: PgPool) {
    let mut tables: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT table_name::text FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name LIKE '%ciphertext%'
         ORDER BY 1",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let mut known: Vec<&str> = SealedTable::ALL.map(SealedTable::name).to_vec();
    known.sort_unstable();
    tables.sort_unstable();
    assert_eq!(tables, known, "add the table to store::sealed");
}

#[sqlx::test(migrations = "./migrations")]
async fn the_command_rotates_with_two_lines_in_the_key_file(pool: PgPool) {
    let company = Company::found(pool).await;
    let applied = company.program.apply(&company.file()).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let both = company
        .program
        .write("keys", &format!("# the new one\n{NEW_KEY}\n{KEY}\n"));
    let settings = [
        ("ROLLCALL_SECRET_KEY", ""),
        ("ROLLCALL_SECRET_KEY_FILE", both.to_str().unwrap()),
    ];
    let rotated = company
        .rollcall_with(&["secrets", "rotate"], &settings)
        .await;
    assert_eq!(rotated.code, Some(0), "{rotated:?}");
    // The directory's key and the token.
    assert!(rotated.out.contains(": 2 secrets"), "{rotated:?}");

    let new = [("ROLLCALL_SECRET_KEY", NEW_KEY)];
    for command in [
        &["audit", "verify"][..],
        &["sync", "--app", "app", "--json"],
        &["audit", "verify"],
    ] {
        let said = company.rollcall_with(command, &new).await;
        assert_eq!(said.code, Some(0), "{command:?}: {said:?}");
    }
    let old = company.program.rollcall(&["audit", "verify"]).await;
    assert_eq!(old.code, Some(1), "{old:?}");
    assert!(old.err.contains("secret key"), "{old:?}");
    let told = company
        .rollcall_with(
            &[
                "audit",
                "export",
                "--format",
                "ndjson",
                "--event",
                "Secret key rotated",
            ],
            &new,
        )
        .await;
    assert_eq!(told.out.lines().count(), 1, "{told:?}");
}
