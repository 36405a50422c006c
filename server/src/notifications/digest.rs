//! The daily digest: figures of the day, and what is still open.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use provisioning::event::{EventName, Outcome};
use sqlx::PgConnection;

use super::message::Message;
use crate::store::notifications::{self as store, ChannelId, MessageKind};
use crate::store::settings::{self, DigestHour};
use crate::store::{Result, apps, events, standings};
use crate::sync::Engine;
use crate::sync::pending;

/// Writes the digest of this day for each channel that asks for one and has none yet.
pub async fn write_digests(engine: &Engine) -> Result<()> {
    let now = engine.clock.now();
    let mut transaction = engine.pool.begin().await?;
    let channels = store::channels(&mut transaction).await?;
    let wanted: Vec<ChannelId> = (channels.iter())
        .filter(|one| one.on && one.digest)
        .map(|one| one.id)
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let hour = settings::get::<DigestHour>(&mut transaction).await?;
    let hour = latest(hour, now);
    let mut written: Option<Message> = None;
    for channel in wanted {
        if !store::take_digest(&mut transaction, channel, hour).await? {
            continue;
        }
        let message = match &written {
            Some(message) => message.clone(),
            None => digest(&mut transaction, now).await?,
        };
        let kind = MessageKind::Digest;
        store::put(&mut transaction, channel, None, kind, &message, now).await?;
        written = Some(message);
    }
    transaction.commit().await?;
    Ok(())
}

/// When the digest was due last.
fn latest(hour: DigestHour, now: DateTime<Utc>) -> DateTime<Utc> {
    let today = now.date_naive();
    let time = NaiveTime::from_hms_opt(u32::from(hour.0), 0, 0).unwrap_or(NaiveTime::MIN);
    let at = today.and_time(time).and_utc();
    if at <= now {
        at
    } else {
        at - TimeDelta::days(1)
    }
}

async fn digest(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Message> {
    let since = now - TimeDelta::hours(24);
    let mut paragraphs = Vec::new();
    for app in apps::list(&mut *db).await? {
        if app.config_version == 0 {
            continue;
        }
        let counted = events::totals(&mut *db, app.slug.as_str(), since).await?;
        let total = |wanted: Option<EventName>| -> i64 {
            (counted.iter())
                .filter(|(event, outcome, _)| {
                    let failed = Outcome::parse(outcome) == Some(Outcome::Failed);
                    let name: Option<EventName> = event.parse().ok();
                    match wanted {
                        Some(_) => !failed && name == wanted,
                        None => failed && name.is_some_and(EventName::is_provisioning),
                    }
                })
                .map(|(.., count)| *count)
                .sum()
        };
        let (soon, spared) = (
            now + TimeDelta::hours(24),
            pending::protected(&mut *db, &app).await?,
        );
        let due = standings::due_before(&mut *db, app.id, soon, &spared).await?;
        let due = due.suspensions + due.deletions;
        let held = pending::count_under_review(&mut *db, &app).await?;
        paragraphs.push(format!(
            "{}, in 24 hours: {} created, {} updated, {} suspended, {} unsuspended, {} deleted, {} failed. Due in the next 24 hours: {due}. Held for review: {held}.",
            app.name,
            total(Some(EventName::CreateUser)),
            total(Some(EventName::UpdateUser)),
            total(Some(EventName::SuspendUser)),
            total(Some(EventName::UnsuspendUser)),
            total(Some(EventName::DeleteUser)),
            total(None),
        ));
    }
    if paragraphs.is_empty() {
        paragraphs.push("No app is configured yet.".to_owned());
    }
    let open = store::open_causes(db).await?;
    paragraphs.push(if open.is_empty() {
        "Nothing needs anybody.".to_owned()
    } else {
        let titles: Vec<&str> = open.iter().map(|cause| cause.title.as_str()).collect();
        format!("Open: {}.", titles.join("; "))
    });
    Ok(Message {
        cause: "digest".to_owned(),
        app: None,
        title: match open.len() {
            0 => "The day, and nothing needs anybody".to_owned(),
            1 => "The day, and 1 thing needs somebody".to_owned(),
            n => format!("The day, and {n} things need somebody"),
        },
        paragraphs,
        path: "/".to_owned(),
        at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_once_a_day_at_its_hour() {
        let at = |hour: u32| {
            let day = DateTime::from_timestamp(1_800_000_000, 0)
                .unwrap()
                .date_naive();
            day.and_hms_opt(hour, 30, 0).unwrap().and_utc()
        };
        let due = |now| latest(DigestHour(7), now);
        assert_eq!(due(at(8)), due(at(23)));
        assert_eq!(at(8) - due(at(8)), TimeDelta::minutes(90));
        assert_eq!(due(at(8)) - due(at(6)), TimeDelta::days(1));
    }
}
