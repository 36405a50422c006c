//! Pruning (S10.5): whole months go, and what is left can still be proven.

use chrono::{DateTime, TimeDelta, Utc};
use provisioning::event::EventName;
use serde_json::json;

use super::{Break, SealError, Seals};
use crate::store::StoreError;
use crate::store::events::{self, NewEvent};
use crate::store::seals::{self, Cut};
use crate::store::settings::{self, RetentionDays};

/// Nothing younger than this is ever pruned; the database refuses it too.
pub const LEAST_RETENTION: TimeDelta = TimeDelta::days(30);

/// What was pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub events: u64,
    /// Such as `2027-01`.
    pub months: Vec<String>,
}

impl Seals {
    /// Drops the months that lie before a time as a whole, and records where the log was cut, in one
    /// transaction with its event. `None` when there is no such month. A log that can't be proven is
    /// not pruned: that would hide what is wrong.
    pub async fn prune(
        &self,
        before: DateTime<Utc>,
        actor: &str,
    ) -> Result<Option<Pruned>, SealError> {
        if !self.is_worth_pruning(before).await? {
            return Ok(None);
        }
        self.verify().await?;
        let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
        let db = &mut *transaction;
        seals::lock_for_pruning(db).await?;
        let (head, last) = (seals::head(db).await?, seals::last_seal(db).await?);
        let chain = self.chain(db, head.as_ref()).await?;
        let Some(head) = chain.end(head, last).map_err(SealError::Broken)? else {
            return Ok(None);
        };
        let earlier = seals::cut(db).await?;
        if earlier
            .as_ref()
            .is_some_and(|cut| !chain.is_authentic_cut(cut))
        {
            return Err(SealError::Broken(Break::CutForged));
        }
        let Some(newest) = seals::newest(db).await? else {
            return Ok(None);
        };
        let before = seals::start_of_month(before.min(newest - LEAST_RETENTION));
        let rest = seals::remainder(db, before, head.event_id).await?;
        // Recorded a moment ago with an old time: the next time is soon enough.
        if rest.unsealed {
            return Ok(None);
        }
        // The seal of the head always stays, for the chain to go on from.
        let last = rest.first.unwrap_or(i64::MAX).min(head.event_id) - 1;
        let (event_id, hash, sealed) = match (seals::sealed_up_to(db, last).await?, &earlier) {
            (Some(end), _) => end,
            (None, Some(cut)) => (cut.event_id, cut.hash.clone(), 0),
            (None, None) => (0, Vec::new(), 0),
        };
        let stragglers = seals::stragglers(db, before, event_id).await?;
        let (events_before, gone_before) = earlier
            .map(|cut| (cut.events, cut.gone))
            .unwrap_or_default();
        let (gone_as_well, still_apart): (Vec<i64>, Vec<i64>) =
            gone_before.into_iter().partition(|id| *id <= event_id);
        let events = sealed + count(&stragglers) - count(&gone_as_well);
        let months = seals::drop_months(db, before, event_id).await?;
        if months.is_empty() {
            return Ok(None);
        }
        let mut gone = still_apart;
        gone.extend(stragglers);
        gone.sort_unstable();
        let now = self.clock.now();
        let cut = chain.cut(Cut {
            event_id,
            hash,
            events: events_before + sealed,
            gone,
            before,
            cut_at: now,
            mac: Vec::new(),
        });
        seals::set_cut(db, &cut).await?;
        let detail = json!({ "months": months, "events": events, "before": before });
        let event = NewEvent::new(now, EventName::LogPruned, actor).detail(detail);
        events::record(db, &event).await?;
        transaction.commit().await.map_err(StoreError::from)?;
        self.seal().await?;
        Ok(Some(Pruned {
            events: events.unsigned_abs(),
            months,
        }))
    }

    /// Prunes what is older than the setting says; nothing while it says "for ever".
    pub async fn prune_by_setting(&self) -> Result<Option<Pruned>, SealError> {
        let mut db = self.pool.acquire().await.map_err(StoreError::from)?;
        let RetentionDays(days) = settings::get(&mut db).await?;
        drop(db);
        match days {
            None => Ok(None),
            Some(days) => {
                let before = self.clock.now() - TimeDelta::days(days.into());
                self.prune(before, "Rollcall").await
            }
        }
    }

    /// Whether a whole month lies before a time. Costs next to nothing.
    async fn is_worth_pruning(&self, before: DateTime<Utc>) -> Result<bool, SealError> {
        let mut db = self.pool.acquire().await.map_err(StoreError::from)?;
        let oldest = seals::oldest(&mut db).await?;
        let newest = seals::newest(&mut db).await?;
        Ok(match (oldest, newest) {
            (Some(oldest), Some(newest)) => {
                oldest < seals::start_of_month(before.min(newest - LEAST_RETENTION))
            }
            _ => false,
        })
    }
}

fn count(events: &[i64]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}
