//! The audit log proves itself: whatever is done to it behind the program's back is found.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone as _, Utc};
use provisioning::event::EventName;
use server::audit::{Break, Proof, SealError, Seals};
use server::clock::{Clock as _, FakeClock};
use server::secrets::SecretKey;
use server::store::events::{self, NewEvent};
use sqlx::PgPool;
use zeroize::Zeroizing;

struct Log {
    pool: PgPool,
    clock: FakeClock,
    folder: tempfile::TempDir,
}

impl Log {
    /// Thirty events over three months, sealed in three goes.
    async fn of_thirty(pool: PgPool) -> Self {
        let clock = FakeClock::at(Utc.with_ymd_and_hms(2026, 9, 23, 12, 0, 0).unwrap());
        let log = Self {
            pool,
            clock,
            folder: tempfile::tempdir().unwrap(),
        };
        for _ in 0..3 {
            log.record(10).await;
            assert_eq!(log.seals().seal().await.unwrap(), 10);
            log.clock.advance(TimeDelta::days(31));
        }
        log
    }

    async fn record(&self, count: i64) {
        let mut db = self.pool.acquire().await.unwrap();
        for at in 0..count {
            let event = NewEvent::new(self.clock.now(), EventName::UpdateUser, "Rollcall")
                .reason(format!("reason {at}"));
            events::record(&mut db, &event).await.unwrap();
        }
    }

    fn seals_under(&self, key: u8) -> Seals {
        Seals::new(
            self.pool.clone(),
            SecretKey::from_bytes(Zeroizing::new([key; 32])),
            Arc::new(self.clock.clone()),
            Some(self.folder.path().join("checkpoints")),
        )
    }

    fn seals(&self) -> Seals {
        self.seals_under(7)
    }

    /// As somebody does who owns the database.
    async fn tamper(&self, statements: &[&str]) {
        let mut transaction = self.pool.begin().await.unwrap();
        let unhindered = "SET LOCAL session_replication_role = replica";
        for statement in [unhindered].iter().chain(statements) {
            sqlx::query(sqlx::AssertSqlSafe(*statement))
                .execute(&mut *transaction)
                .await
                .unwrap();
        }
        transaction.commit().await.unwrap();
    }

    async fn first_break(&self) -> Break {
        match self.seals().verify().await {
            Err(SealError::Broken(found)) => found,
            other => panic!("nothing was found: {other:?}"),
        }
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_untouched_log_is_proven_with_what_came_since(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.record(2).await;
    let proof = Proof {
        events: 32,
        pruned: 0,
        checkpoints: 3,
    };
    assert_eq!(log.seals().verify().await.unwrap(), proof);
    assert_eq!(log.seals().verify().await.unwrap().checkpoints, 4);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_changed_event_is_named(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&["UPDATE events SET reason = 'none' WHERE id = 17"])
        .await;
    assert_eq!(log.first_break().await, Break::Changed { event: 17 });
}

#[sqlx::test(migrations = "./migrations")]
async fn a_deleted_event_is_named(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&["DELETE FROM events WHERE id IN (12, 25)"])
        .await;
    assert_eq!(log.first_break().await, Break::Deleted { event: 12 });
}

#[sqlx::test(migrations = "./migrations")]
async fn events_that_changed_places_are_named(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&[
        "UPDATE events SET reason = CASE id WHEN 4 THEN 'reason 4' ELSE 'reason 3' END WHERE id IN (4, 5)",
    ])
    .await;
    assert_eq!(log.first_break().await, Break::Changed { event: 4 });
}

#[sqlx::test(migrations = "./migrations")]
async fn an_event_that_is_slipped_in_is_named(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&[
        "DELETE FROM events WHERE id = 9",
        "DELETE FROM event_seals WHERE event_id = 9",
    ])
    .await;
    assert_eq!(
        log.first_break().await,
        Break::Changed { event: 10 },
        "its successor covers it"
    );
    log.tamper(&[
        "INSERT INTO events (id, time, event, outcome, actor) OVERRIDING SYSTEM VALUE
         VALUES (9, '2026-09-24', 'x', 'ok', 'y')",
    ])
    .await;
    assert_eq!(log.first_break().await, Break::Added { event: 9 });
}

#[sqlx::test(migrations = "./migrations")]
async fn a_tail_that_is_cut_off_is_missed_and_never_sealed_over(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&[
        "DELETE FROM events WHERE id > 28",
        "DELETE FROM event_seals WHERE event_id > 28",
    ])
    .await;
    let cut = Break::TailMissing {
        expected: 30,
        found: Some(28),
    };
    assert_eq!(log.first_break().await, cut);
    log.record(5).await;
    let sealed = log.seals().seal().await;
    assert!(
        matches!(&sealed, Err(SealError::Broken(found)) if *found == cut),
        "{sealed:?}"
    );
    assert_eq!(log.first_break().await, cut);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_head_that_is_forged_or_gone_is_found(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&[
        "DELETE FROM events WHERE id > 28",
        "DELETE FROM event_seals WHERE event_id > 28",
        "UPDATE event_head SET event_id = 28, events = 28,
             hash = (SELECT hash FROM event_seals WHERE event_id = 28)",
    ])
    .await;
    assert_eq!(log.first_break().await, Break::HeadForged);
    log.tamper(&["DELETE FROM event_head"]).await;
    assert_eq!(log.first_break().await, Break::HeadMissing);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_database_that_was_put_back_disagrees_with_its_checkpoints(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    log.tamper(&["CREATE TABLE kept AS SELECT * FROM event_head"])
        .await;
    log.record(3).await;
    log.seals().seal().await.unwrap();
    // Everything in the database is genuine, only older.
    log.tamper(&[
        "DELETE FROM events WHERE id > 30",
        "DELETE FROM event_seals WHERE event_id > 30",
        "DELETE FROM event_head",
        "INSERT INTO event_head SELECT * FROM kept",
    ])
    .await;
    let missing = Break::TailMissing {
        expected: 33,
        found: Some(30),
    };
    assert_eq!(log.first_break().await, missing);
}

#[sqlx::test(migrations = "./migrations")]
async fn another_secret_key_proves_nothing(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    let other = Seals::new(
        log.pool.clone(),
        SecretKey::from_bytes(Zeroizing::new([8; 32])),
        Arc::new(log.clock.clone()),
        None,
    );
    for seals in [other, log.seals_under(8)] {
        let refused = seals.verify().await;
        assert!(
            matches!(refused, Err(SealError::OtherKey { .. })),
            "{refused:?}"
        );
    }
    // Not even when the database says that it is the right one.
    let id = SecretKey::from_bytes(Zeroizing::new([8; 32])).id();
    log.tamper(&[&format!("UPDATE event_keys SET key_id = '{id}'")])
        .await;
    assert!(matches!(
        log.seals_under(8).verify().await,
        Err(SealError::Broken(Break::CheckpointForged { line: 1 }))
    ));
}

#[sqlx::test(migrations = "./migrations")]
async fn the_database_refuses_to_change_the_log(pool: PgPool) {
    let log = Log::of_thirty(pool).await;
    for statement in [
        "UPDATE events SET reason = 'none'",
        "DELETE FROM events WHERE id = 3",
        "TRUNCATE events",
        "UPDATE event_seals SET hash = ''",
        "DELETE FROM event_seals",
        "TRUNCATE event_seals",
    ] {
        let refused = sqlx::query(statement).execute(&log.pool).await;
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("append-only"), "{statement}: {message}");
    }
}
