//! What `/metrics` shows (S12.9). Everything but the waits is read from the database when it is
//! asked for, so that every process says the same, whoever did the work.

use chrono::{DateTime, Utc};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use sqlx::PgConnection;

use crate::store::{Result, drifts, measures};

/// Says what each figure means.
pub fn describe() {
    for (name, text) in [
        ("rollcall_runs_total", "Runs that are over."),
        (
            "rollcall_operations_total",
            "Operations of runs that are over.",
        ),
        (
            "rollcall_requests_total",
            "Requests to the directory and to apps, by runs.",
        ),
        (
            "rollcall_rate_limit_waits_total",
            "Requests of this process that waited for an app's rate limit.",
        ),
    ] {
        describe_counter!(name, text);
    }
    for (name, unit, text) in [
        (
            "rollcall_queue_depth",
            Unit::Count,
            "Runs that wait for a worker.",
        ),
        (
            "rollcall_pending_removals",
            Unit::Count,
            "People with a suspension or deletion before them.",
        ),
        (
            "rollcall_failures",
            Unit::Count,
            "People for whom something does not work and is not ignored.",
        ),
        (
            "rollcall_app_on",
            Unit::Count,
            "1 while autoprovisioning is on.",
        ),
        (
            "rollcall_oldest_overdue_removal_seconds",
            Unit::Seconds,
            "For how long the oldest removal has been due without being held.",
        ),
        (
            "rollcall_drift",
            Unit::Count,
            "Where linked accounts differed when the app was last read back.",
        ),
        (
            "rollcall_last_complete_import_timestamp_seconds",
            Unit::Seconds,
            "When the directory was last read in full.",
        ),
    ] {
        describe_gauge!(name, unit, text);
    }
}

/// Brings the figures up to date.
pub async fn refresh(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<()> {
    // So that the figure is there before anything had to wait.
    counter!("rollcall_rate_limit_waits_total").increment(0);
    for row in measures::runs(connection).await? {
        counter!("rollcall_runs_total", "app" => row.app, "kind" => row.kind, "outcome" => row.outcome)
            .absolute(row.count.unsigned_abs());
    }
    for row in measures::operations(connection).await? {
        counter!("rollcall_operations_total", "app" => row.app, "kind" => row.kind, "outcome" => row.outcome)
            .absolute(row.count.unsigned_abs());
    }
    for row in measures::requests(connection).await? {
        for (target, count) in [
            ("directory", row.directory),
            ("scim_read", row.scim_reads),
            ("scim_write", row.scim_writes),
        ] {
            counter!("rollcall_requests_total", "app" => row.app.clone(), "target" => target)
                .absolute(count.unsigned_abs());
        }
    }
    for row in measures::standings(connection, now).await? {
        let overdue = row
            .oldest_overdue
            // An app that stopped by itself is late; one that was turned off is meant to be.
            .filter(|_| matches!(row.state.as_str(), "on" | "stopped"))
            .map_or(0.0, |due| seconds(now - due));
        for (name, value) in [
            ("rollcall_queue_depth", float(row.waiting_runs)),
            ("rollcall_pending_removals", float(row.pending_removals)),
            ("rollcall_failures", float(row.failures)),
            ("rollcall_app_on", f64::from(u8::from(row.state == "on"))),
            ("rollcall_oldest_overdue_removal_seconds", overdue),
        ] {
            gauge!(name, "app" => row.app.clone()).set(value);
        }
    }
    for (app, count) in drifts::counts(connection).await? {
        gauge!("rollcall_drift", "app" => app).set(float(count));
    }
    if let Some(at) = measures::last_complete_import(connection).await? {
        gauge!("rollcall_last_complete_import_timestamp_seconds").set(float(at.timestamp()));
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "counts of this size fit")]
fn float(number: i64) -> f64 {
    number as f64
}

fn seconds(time: chrono::TimeDelta) -> f64 {
    float(time.num_seconds().max(0))
}
