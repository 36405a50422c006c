//! Settings of the whole installation: every section in a line, and how long the log is kept.

use std::ops::RangeInclusive;

use app::api::settings::{RetentionPage, SessionLimitsPage, SettingsOverview};
use app::api::terms::Role;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Assured, ConsoleSettings};
use async_trait::async_trait;
use chrono::{Days, NaiveTime};
use provisioning::event::EventName;
use serde_json::json;

use super::safety::safety_of_apps;
use super::standing::number;
use crate::store::event_pages;
use crate::store::events::{self, NewEvent};
use crate::store::settings::{self, RetentionDays, SessionLimits};
use crate::store::{StoreError, notifications, sessions};
use crate::sync::Engine;

#[derive(Debug, Clone)]
pub struct ConsoleSettingsService {
    pub engine: Engine,
}

fn shown(limits: SessionLimits) -> app::api::settings::SessionLimits {
    app::api::settings::SessionLimits {
        idle_minutes: limits.idle_minutes,
        longest_hours: limits.longest_hours,
    }
}

#[async_trait]
impl ConsoleSettings for ConsoleSettingsService {
    async fn overview(&self) -> Answer<SettingsOverview> {
        let mut db = self.engine.connection().await?;
        let channels = notifications::channels(&mut db).await?;
        let failing = channels
            .iter()
            .filter(|one| one.on && one.failed_at.is_some());
        Ok(SettingsOverview {
            failing: number(failing.count()),
            channels: number(channels.len()),
            open: number(notifications::open_causes(&mut db).await?.len()),
            retention_days: settings::get::<RetentionDays>(&mut db).await?.0,
            sessions: shown(settings::get::<SessionLimits>(&mut db).await?),
            apps: safety_of_apps(&mut db).await?,
        })
    }

    async fn session_limits(&self, actor: &Actor) -> Answer<SessionLimitsPage> {
        let mut db = self.engine.connection().await?;
        let stored = settings::stored::<SessionLimits>(&mut db).await?;
        Ok(SessionLimitsPage {
            saved: shown(stored.value),
            changed: stored.changed.map(|changed| (changed.at, changed.by)),
            may_change: actor.role == Role::SuperAdministrator,
        })
    }

    async fn save_session_limits(
        &self,
        actor: &Assured,
        idle_minutes: &str,
        longest_hours: &str,
    ) -> Answer<()> {
        let mut wrong = ApiError::new(ErrorCode::Invalid);
        let mut read = |field: &str, text: &str, range: RangeInclusive<u32>| {
            let number = text.trim().parse::<u32>().ok();
            let number = number.filter(|number| range.contains(number));
            if number.is_none() {
                wrong = wrong.clone().and_field(field, FieldCode::OutOfRange);
            }
            number.unwrap_or(*range.start())
        };
        let wanted = SessionLimits {
            idle_minutes: read("idle_minutes", idle_minutes, SessionLimits::IDLE_MINUTES),
            longest_hours: read("longest_hours", longest_hours, SessionLimits::LONGEST_HOURS),
        };
        wrong.into_result()?;
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let before = settings::get::<SessionLimits>(&mut transaction).await?;
        if before == wanted {
            return Ok(());
        }
        settings::put(&mut transaction, &wanted, now, &actor.email).await?;
        sessions::shorten(&mut transaction, wanted.longest())
            .await
            .map_err(StoreError::from)?;
        let changed = |name: &str, old: u32, new: u32| {
            (old != new).then(|| json!({ "attribute": name, "old": old, "new": new }))
        };
        let changes: Vec<_> = [
            changed(
                "session_idle_minutes",
                before.idle_minutes,
                wanted.idle_minutes,
            ),
            changed(
                "session_longest_hours",
                before.longest_hours,
                wanted.longest_hours,
            ),
        ]
        .into_iter()
        .flatten()
        .collect();
        let event = NewEvent::new(now, EventName::SettingsChanged, &actor.email)
            .reason("Sessions")
            .changes(json!(changes));
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(())
    }

    async fn retention(&self, actor: &Actor) -> Answer<RetentionPage> {
        let mut db = self.engine.connection().await?;
        let stored = settings::stored::<RetentionDays>(&mut db).await?;
        let today = self.engine.clock.now().date_naive();
        let kept_since = (stored.value.0)
            .and_then(|days| today.checked_sub_days(Days::new(u64::from(days))))
            .map(|day| day.and_time(NaiveTime::MIN).and_utc());
        Ok(RetentionPage {
            days: stored.value.0,
            changed: stored.changed.map(|changed| (changed.at, changed.by)),
            oldest_event: event_pages::oldest(&mut db).await?,
            kept_since,
            may_change: actor.role == Role::SuperAdministrator,
        })
    }

    async fn save_retention(
        &self,
        actor: &Assured,
        days: Option<String>,
        confirmed: bool,
    ) -> Answer<()> {
        let wanted = match days.as_deref().map(str::parse::<u32>) {
            None => RetentionDays(None),
            Some(Ok(days))
                if (RetentionDays::SHORTEST..=RetentionDays::LONGEST).contains(&days) =>
            {
                RetentionDays(Some(days))
            }
            Some(_) => return Err(ApiError::field("days", FieldCode::OutOfRange)),
        };
        let now = self.engine.clock.now();
        let mut transaction = self.engine.pool.begin().await.map_err(StoreError::from)?;
        let before = settings::get::<RetentionDays>(&mut transaction).await?;
        if before == wanted {
            return Ok(());
        }
        let is_shorter = match (before.0, wanted.0) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(wanted)) => wanted < before,
        };
        if is_shorter && !confirmed {
            return Err(ApiError::field("confirmed", FieldCode::PruningUnconfirmed));
        }
        settings::put(&mut transaction, &wanted, now, &actor.email).await?;
        let event = NewEvent::new(now, EventName::SettingsChanged, &actor.email)
            .reason("Retention")
            .changes(json!([{ "attribute": "retention_days", "old": before.0, "new": wanted.0 }]));
        events::record(&mut transaction, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        Ok(())
    }
}
