//! S10.5: whole months go, and what is left is still proven.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, TimeZone as _, Utc};
use provisioning::event::EventName;
use server::audit::{Break, SealError, Seals};
use server::clock::{Clock as _, FakeClock};
use server::secrets::{Keyring, SecretKey, Vault};
use server::store::events::{self, NewEvent};
use server::store::settings::{self, RetentionDays};
use sqlx::{AssertSqlSafe, PgPool};
use zeroize::Zeroizing;

use crate::company::Company;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(Zeroizing::new([byte; 32]))
}

struct Log {
    pool: PgPool,
    clock: FakeClock,
    folder: tempfile::TempDir,
}

fn day(month: u32, day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2027, month, day, 12, 0, 0).unwrap()
}

impl Log {
    /// Four events in each month from January to June. The clock of whoever recorded the last one
    /// of each month was a little ahead, so that it counts to the next one.
    async fn of_half_a_year(pool: PgPool) -> Self {
        let log = Self {
            pool,
            clock: FakeClock::at(day(1, 10)),
            folder: tempfile::tempdir().unwrap(),
        };
        for month in 1..=6 {
            for time in [
                day(month, 10),
                day(month, 28),
                day(month + 1, 1),
                day(month, 28),
            ] {
                log.record(time).await;
            }
            log.clock.set(day(month, 28));
            log.seals().seal().await.unwrap();
        }
        log.clock.set(day(7, 2));
        log
    }

    async fn record(&self, time: DateTime<Utc>) {
        let mut db = self.pool.acquire().await.unwrap();
        let event = NewEvent::new(time, EventName::UpdateUser, "Rollcall");
        events::record(&mut db, &event).await.unwrap();
    }

    fn seals_with(&self, keys: impl Into<Keyring>) -> Seals {
        Seals::new(
            self.pool.clone(),
            keys,
            Arc::new(self.clock.clone()),
            Some(self.folder.path().join("checkpoints")),
        )
    }

    fn seals(&self) -> Seals {
        self.seals_with(key(7))
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

    async fn proof(&self) -> (u64, u64) {
        let proof = self.seals().verify().await.unwrap();
        (proof.events, proof.pruned)
    }

    async fn first_break(&self) -> Break {
        match self.seals().verify().await {
            Err(SealError::Broken(found)) => found,
            other => panic!("nothing was found: {other:?}"),
        }
    }

    async fn months(&self) -> i64 {
        let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
        sqlx::query_scalar(partitions)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whole_months_go_and_the_rest_is_proven_again_and_again(pool: PgPool) {
    let log = Log::of_half_a_year(pool).await;
    assert_eq!(log.proof().await, (24, 0));
    assert_eq!(log.months().await, 7);

    // The first of March is in the middle of nothing: January and February go.
    let pruned = log
        .seals()
        .prune(day(3, 20), "shell")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pruned.months, ["2027-01", "2027-02"]);
    // Four of January and three of February; the eighth counts to March.
    assert_eq!(pruned.events, 8 - 1);
    assert_eq!(log.months().await, 5);
    assert_eq!(
        log.proof().await,
        (24 - 7 + 1, 7),
        "with the event of pruning"
    );
    assert_eq!(log.seals().prune(day(3, 20), "shell").await.unwrap(), None);

    let pruned = log
        .seals()
        .prune(day(4, 1), "shell")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(pruned.events, 4);
    assert_eq!(log.proof().await, (24 - 11 + 2, 11));

    // Under a new key as well.
    let keys = Keyring::new(key(8), vec![key(7)]);
    let (seals, vault) = (log.seals_with(&keys), Vault::new(&keys));
    server::rotation::rotate(&seals, &vault, &log.clock, "shell")
        .await
        .unwrap();
    let proof = log.seals_with(key(8)).verify().await.unwrap();
    assert_eq!((proof.events, proof.pruned), (24 - 11 + 3, 11));
}

#[sqlx::test(migrations = "./migrations")]
async fn a_cut_that_pruning_did_not_make_is_found(pool: PgPool) {
    let log = Log::of_half_a_year(pool).await;
    // By the very function that pruning uses, without the key.
    log.tamper(&["SELECT prune_events('2027-02-01T00:00:00Z', 2)"])
        .await;
    let found = log.first_break().await;
    assert!(
        matches!(found, Break::Changed { event: 3 } | Break::Deleted { .. }),
        "{found}"
    );
    let refused = log.seals().prune(day(4, 1), "shell").await;
    assert!(
        matches!(refused, Err(SealError::Broken(_))),
        "a broken log is not pruned: {refused:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_forged_record_of_the_cut_and_a_deleted_one_are_found(pool: PgPool) {
    let log = Log::of_half_a_year(pool).await;
    log.seals()
        .prune(day(3, 1), "shell")
        .await
        .unwrap()
        .unwrap();
    log.proof().await;
    log.tamper(&[
        "UPDATE event_cut SET gone = gone || 9, events = events + 1",
        "DELETE FROM events WHERE id = 9",
    ])
    .await;
    assert_eq!(log.first_break().await, Break::CutForged);
    log.tamper(&["DELETE FROM event_cut"]).await;
    assert!(matches!(log.first_break().await, Break::Changed { .. }));
}

#[sqlx::test(migrations = "./migrations")]
async fn the_last_month_and_what_is_not_sealed_are_never_pruned(pool: PgPool) {
    let log = Log::of_half_a_year(pool).await;
    let all = "SELECT prune_events('2027-07-01T00:00:00Z', 0)";
    let refused = sqlx::query(all).execute(&log.pool).await.unwrap_err();
    assert!(refused.to_string().contains("thirty days"), "{refused}");
    let seals_alone = "SELECT prune_events('2027-01-01T00:00:00Z', 5)";
    let refused = sqlx::query(seals_alone)
        .execute(&log.pool)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("still in the audit log"),
        "{refused}"
    );
    log.record(day(1, 11)).await;
    let unsealed = "SELECT prune_events('2027-03-01T00:00:00Z', 0)";
    let refused = sqlx::query(unsealed).execute(&log.pool).await.unwrap_err();
    assert!(refused.to_string().contains("not sealed"), "{refused}");

    // Asked for everything, the last thirty days stay.
    log.clock.advance(TimeDelta::days(400));
    let pruned = log.seals().prune(log.clock.now(), "shell").await.unwrap();
    assert_eq!(pruned.unwrap().months.last().unwrap(), "2027-05");
    // With the event of January that came late: it is gone, and its seal is kept.
    let proof = log.seals().verify().await.unwrap();
    assert_eq!(proof.events + proof.pruned, 26);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_setting_says_how_long_the_log_is_kept(pool: PgPool) {
    let log = Log::of_half_a_year(pool).await;
    assert_eq!(log.seals().prune_by_setting().await.unwrap(), None);
    let mut db = log.pool.acquire().await.unwrap();
    let now = log.clock.now();
    settings::put(&mut db, &RetentionDays(Some(90)), now, "ada@example.com")
        .await
        .unwrap();
    let pruned = log.seals().prune_by_setting().await.unwrap().unwrap();
    assert_eq!(pruned.months, ["2027-01", "2027-02", "2027-03"]);
}

#[sqlx::test(migrations = "./migrations")]
async fn the_command_prunes_and_leaves_an_event(pool: PgPool) {
    let company = Company::found(pool.clone()).await;
    let program = &company.program;
    for said in [
        program.apply(&company.file()).await,
        program
            .rollcall(&["audit", "prune", "--older-than", "60"])
            .await,
    ] {
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let refused = program
        .rollcall(&["audit", "prune", "--older-than", "7"])
        .await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let for_ever = program.rollcall(&["audit", "prune"]).await;
    assert!(for_ever.line().contains("kept for ever"), "{for_ever:?}");
    program.clock.pass(TimeDelta::days(120));
    let (code, result) = program.sync().await;
    assert_eq!(code, 0, "{result}");
    let pruned = program
        .rollcall(&["audit", "prune", "--older-than", "60"])
        .await;
    assert!(
        pruned.out.starts_with("Pruned from the audit log"),
        "{pruned:?}"
    );
    let verified = program.rollcall(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.out.contains("were pruned"), "{verified:?}");
    assert_eq!(program.events("Log pruned").await.len(), 1);
}
