//! What autoprovisioning of an app did in the last 30 days, counted from the log (S10.2).

use app::api::usage::{Usage, UsageFigure, UsageLane};
use app::services::Answer;
use chrono::{DateTime, Days, NaiveDate, Utc};
use provisioning::event::{EventName, Outcome};

use super::audit::{PROVISIONING, key_of};
use super::standing::{self, number};
use super::zones::Zone;
use crate::store::events::{self, OfDay};
use crate::sync::Engine;

/// Today included.
const DAYS: usize = 30;

const FIGURES: [(UsageFigure, Option<EventName>); 6] = [
    (UsageFigure::Created, Some(EventName::CreateUser)),
    (UsageFigure::Updated, Some(EventName::UpdateUser)),
    (UsageFigure::Suspended, Some(EventName::SuspendUser)),
    (UsageFigure::Unsuspended, Some(EventName::UnsuspendUser)),
    (UsageFigure::Deleted, Some(EventName::DeleteUser)),
    (UsageFigure::Failures, None),
];

pub(super) async fn of(engine: &Engine, slug: &str, zone: Zone) -> Answer<Usage> {
    let mut db = engine.connection().await?;
    let app = standing::app(&mut db, slug).await?;
    let days = days_until(zone.day(engine.clock.now()));
    let starts: Vec<DateTime<Utc>> = days.iter().map(|day| zone.start(*day)).collect();
    let counted = events::totals_by_day(&mut db, slug, &starts).await?;
    Ok(Usage {
        head: standing::head(&mut db, &app).await?,
        zone: zone.name().to_owned(),
        lanes: FIGURES
            .into_iter()
            .map(|(figure, wanted)| lane(figure, wanted, &counted))
            .collect(),
        days,
    })
}

/// The last days, the oldest first.
fn days_until(today: NaiveDate) -> Vec<NaiveDate> {
    let back = u64::try_from(DAYS - 1).unwrap_or_default();
    let first = today.checked_sub_days(Days::new(back)).unwrap_or(today);
    first.iter_days().take(DAYS).collect()
}

fn lane(figure: UsageFigure, wanted: Option<EventName>, counted: &[OfDay]) -> UsageLane {
    let mut by_day = vec![0_u32; DAYS];
    for one in counted {
        let failed = Outcome::parse(&one.outcome) == Some(Outcome::Failed);
        let name: Option<EventName> = one.event.parse().ok();
        let counts = match wanted {
            Some(_) => !failed && name == wanted,
            None => failed && name.is_some_and(EventName::is_provisioning),
        };
        if let Some(day) = by_day.get_mut(one.day).filter(|_| counts) {
            *day = day.saturating_add(number(one.count));
        }
    }
    UsageLane {
        figure,
        filter: match wanted {
            Some(name) => format!("event={}&outcome=ok", key_of(name.as_str())),
            None => format!("event={PROVISIONING}&outcome=failed"),
        },
        total: by_day.iter().sum(),
        by_day,
    }
}
