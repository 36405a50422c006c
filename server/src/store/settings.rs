//! Settings of the whole installation that administrators change in the console. Each is a type
//! with a key of its own; one that nobody set has its default.

use super::{Result, decode, encode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::ops::RangeInclusive;

/// A value that is kept under one key.
pub trait Setting: Serialize + DeserializeOwned + Default + Send + Sync {
    const KEY: &'static str;
}

/// How long the audit log is kept (S10.5), in days; `None`: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetentionDays(pub Option<u32>);

impl RetentionDays {
    /// Usage shows 30 days, and whoever looks into something needs some more.
    pub const SHORTEST: u32 = 90;
    /// A hundred years: longer means for ever.
    pub const LONGEST: u32 = 36_500;
}

impl Setting for RetentionDays {
    const KEY: &'static str = "retention_days";
}

/// The hour of the daily digest, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DigestHour(pub u8);

impl Default for DigestHour {
    fn default() -> Self {
        Self(7)
    }
}

impl Setting for DigestHour {
    const KEY: &'static str = "digest_hour";
}

/// How long somebody stays signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLimits {
    /// A session that nobody used for so long is over.
    pub idle_minutes: u32,
    /// A session is over after so long in any case.
    pub longest_hours: u32,
}

impl SessionLimits {
    pub const IDLE_MINUTES: RangeInclusive<u32> = 5..=1440;
    /// At most thirty days.
    pub const LONGEST_HOURS: RangeInclusive<u32> = 1..=720;

    pub fn idle(&self) -> TimeDelta {
        TimeDelta::minutes(self.idle_minutes.into())
    }

    pub fn longest(&self) -> TimeDelta {
        TimeDelta::hours(self.longest_hours.into())
    }
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle_minutes: 8 * 60,
            longest_hours: 7 * 24,
        }
    }
}

impl Setting for SessionLimits {
    const KEY: &'static str = "session_limits";
}

/// Where the audit log was found broken when it was sealed last; kept by Rollcall itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BrokenLog(pub Option<String>);

impl Setting for BrokenLog {
    const KEY: &'static str = "broken_log";
}

/// A setting with who changed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<S> {
    pub value: S,
    /// `None` while it is the default.
    pub changed: Option<Changed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    pub at: DateTime<Utc>,
    pub by: String,
}

pub async fn get<S: Setting>(connection: &mut PgConnection) -> Result<S> {
    Ok(stored(connection).await?.value)
}

pub async fn stored<S: Setting>(connection: &mut PgConnection) -> Result<Stored<S>> {
    let row = sqlx::query!(
        "SELECT value, changed_at, changed_by FROM settings WHERE key = $1",
        S::KEY
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(Stored {
            value: S::default(),
            changed: None,
        });
    };
    Ok(Stored {
        value: decode(row.value, "settings", "value", S::KEY)?,
        changed: Some(Changed {
            at: row.changed_at,
            by: row.changed_by,
        }),
    })
}

pub async fn put<S: Setting>(
    connection: &mut PgConnection,
    value: &S,
    now: DateTime<Utc>,
    actor: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO settings (key, value, changed_at, changed_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (key) DO UPDATE SET value = $2, changed_at = $3, changed_by = $4",
        S::KEY,
        encode(value)?,
        now,
        actor,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::PgPool;

    #[sqlx::test(migrations = "./migrations")]
    async fn a_setting_has_its_default_until_somebody_changes_it(pool: PgPool) {
        let mut db = pool.acquire().await.unwrap();
        let before = stored::<RetentionDays>(&mut db).await.unwrap();
        assert_eq!((before.value, before.changed), (RetentionDays(None), None));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for days in [Some(365), Some(730)] {
            put(&mut db, &RetentionDays(days), now, "a@larkfield.example")
                .await
                .unwrap();
            let after = stored::<RetentionDays>(&mut db).await.unwrap();
            assert_eq!(after.value, RetentionDays(days));
            assert_eq!(after.changed.unwrap().by, "a@larkfield.example");
        }
    }
}
