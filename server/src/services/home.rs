//! The first page: what needs somebody, worst first, and how the apps are.

use app::api::home::{Attention, AttentionKind, Home, HomeApp, LastRun, Roll};
use app::api::terms::{AppStatus, Time};
use app::services::{Actor, Answer, HomePage};
use async_trait::async_trait;
use chrono::TimeDelta;
use provisioning::config::Sso;
use sqlx::PgConnection;
use std::collections::HashMap;

use super::app_status::{app_status, held_removals};
use super::standing::{self, number};
use crate::store::apps::{self, App, AppId, AppState};
use crate::store::notifications::{self, Channel};
use crate::store::runs::{self, Run};
use crate::store::standings::{self, DueSoon, Failing, RollCounts};
use crate::store::{connection, imports, links, person_decisions};
use crate::sync::{Engine, pending};

/// From how long before it a certificate's end is worth a line.
const CERTIFICATE_WARNING: TimeDelta = TimeDelta::days(30);
const SOON: TimeDelta = TimeDelta::hours(24);

#[derive(Debug, Clone)]
pub struct HomeService {
    pub engine: Engine,
}

/// One app with everything that the page says of it.
struct Looked {
    app: App,
    status: AppStatus,
    sso: Option<Sso>,
    last_run: Option<Run>,
    accounts: u32,
    suspended: u32,
    due: DueSoon,
    failing: Failing,
    roll: Option<Roll>,
    held_removals: u32,
    held_creates: u32,
    undecided: u32,
    paused_until: Option<Time>,
}

#[async_trait]
impl HomePage for HomeService {
    async fn home(&self, _: &Actor) -> Answer<Home> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let connected = connection::read(&mut db).await?;
        let complete = imports::latest_complete(&mut db).await?;
        let latest = imports::latest(&mut db).await?;
        let apps = apps::list(&mut db).await?;
        let configured = configured(&mut db, &apps).await?;
        let mut rolls = match complete {
            Some(_) => standings::rolls(&mut db, &configured).await?,
            None => HashMap::new(),
        };
        let spared: HashMap<AppId, Vec<String>> = configured.into_iter().collect();
        let mut looked = Vec::new();
        for app in apps {
            let status = app_status(&mut db, &app).await?;
            let counts = rolls.remove(&app.id);
            let spared = spared.get(&app.id).map_or(&[][..], Vec::as_slice);
            looked.push(look(&mut db, app, status, now, (counts, spared)).await?);
        }
        let running = || looked.iter().filter(|one| one.app.state == AppState::On);
        let next_run = running().filter_map(|one| one.app.next_run_at).min();
        let channels = notifications::channels(&mut db).await?;

        let mut attention = Vec::new();
        if connected
            .as_ref()
            .is_some_and(|connected| connected.seen_customer_id.is_some())
        {
            attention.push(Attention {
                app: None,
                kind: AttentionKind::DirectoryChanged,
            });
        }
        if let Some(failed) = latest.filter(|import| import.state == "failed") {
            let kind = AttentionKind::ImportFailed {
                at: failed.finished_at.unwrap_or(failed.started_at),
                reason: failed.error_message.unwrap_or_default(),
                next_try: next_run,
            };
            attention.push(Attention { app: None, kind });
        }
        let mut of_apps: Vec<(usize, Attention)> = looked
            .iter()
            .flat_map(|one| attention_of(one, now))
            .collect();
        of_apps.sort_by_key(|(rank, _)| *rank);
        attention.extend(of_apps.into_iter().map(|(_, attention)| attention));
        let is_any_on = running().next().is_some();
        attention.extend(untold(channels, is_any_on).map(|kind| Attention { app: None, kind }));

        Ok(Home {
            now,
            directory_connected: connected.is_some(),
            directory_read: complete.is_some(),
            attention,
            next_run,
            roll: looked.iter().filter_map(|one| one.roll.clone()).collect(),
            apps: looked.into_iter().map(home_app).collect(),
        })
    }
}

/// Who should be told and is not. Without an app that is on there is nothing to tell.
fn untold(channels: Vec<Channel>, is_any_on: bool) -> impl Iterator<Item = AttentionKind> {
    let nobody = is_any_on && !channels.iter().any(|channel| channel.on);
    let not_told = channels.into_iter().filter_map(|channel| {
        Some(AttentionKind::NotTold {
            since: channel.failed_at.filter(|_| channel.on)?,
            id: channel.id.0.to_string(),
            channel: channel.name,
            error: channel.error.unwrap_or_default(),
        })
    });
    not_told.chain(nobody.then_some(AttentionKind::NobodyTold))
}

/// Each with those who are protected in it.
async fn configured(db: &mut PgConnection, apps: &[App]) -> Answer<Vec<(AppId, Vec<String>)>> {
    let mut configured = Vec::new();
    for app in apps {
        if app.state != AppState::NotConfigured {
            configured.push((app.id, pending::protected(&mut *db, app).await?));
        }
    }
    Ok(configured)
}

async fn look(
    db: &mut PgConnection,
    app: App,
    status: AppStatus,
    now: Time,
    (counts, spared): (Option<RollCounts>, &[String]),
) -> Answer<Looked> {
    let (accounts, suspended) = match counts {
        Some(counts) => (counts.linked, counts.suspended),
        None => {
            let (active, suspended) = links::by_state(&mut *db, app.id).await?;
            (active + suspended, suspended)
        }
    };
    let roll = counts.map(|counts| Roll {
        slug: app.slug.to_string(),
        app: app.name.clone(),
        accounts: number(counts.accounts),
        created_next: number(counts.created_next),
        failing: number(counts.failing),
        leaving: number(counts.leaving),
        left_out: number(counts.left_out),
    });
    let on = app.state == AppState::On;
    let (held_creates, undecided) = match on {
        true => (
            number(
                person_decisions::held_creates(&mut *db, app.id, None)
                    .await?
                    .len(),
            ),
            number(person_decisions::count_undecided(&mut *db, app.id).await?),
        ),
        false => (0, 0),
    };
    Ok(Looked {
        held_removals: held_removals(&mut *db, &app, &status).await?,
        held_creates,
        undecided,
        paused_until: app.paused_until.filter(|until| on && *until > now),
        status,
        sso: standing::sign_in(&mut *db, &app).await?,
        last_run: runs::list(&mut *db, app.id, false, 1).await?.pop(),
        accounts: number(accounts),
        suspended: number(suspended),
        due: standings::due_before(&mut *db, app.id, now + SOON, spared).await?,
        failing: standings::failing(db, app.id).await?,
        roll,
        app,
    })
}

/// What needs somebody, with its rank: stopped, held, paused, failed, to decide, due soon,
/// expiring.
fn attention_of(one: &Looked, now: Time) -> Vec<(usize, Attention)> {
    let app = Some((one.app.slug.to_string(), one.app.name.clone()));
    let mut found = Vec::new();
    let mut add = |rank, kind| {
        found.push((
            rank,
            Attention {
                app: app.clone(),
                kind,
            },
        ))
    };
    if let AppStatus::Stopped { reason } = one.status {
        let waiting = one
            .last_run
            .as_ref()
            .map_or(0, |run| (run.total - run.done).max(0));
        let since = one.app.stopped_at.unwrap_or(now);
        add(
            0,
            AttentionKind::Stopped {
                reason,
                since,
                waiting: number(waiting),
            },
        );
    }
    if one.held_removals + one.held_creates > 0 {
        let kind = AttentionKind::Held {
            removals: one.held_removals,
            creates: one.held_creates,
            of: one.accounts,
        };
        add(1, kind);
    }
    if let Some(until) = one.paused_until {
        add(2, AttentionKind::Paused { until });
    }
    if one.failing.people > 0 {
        let kind = AttentionKind::Failing {
            people: number(one.failing.people),
            next_try: one.failing.next_try,
        };
        add(3, kind);
    }
    if one.undecided > 0 {
        let people = one.undecided;
        add(4, AttentionKind::Undecided { people });
    }
    if let Some(first) = one.due.first.filter(|_| one.app.state == AppState::On) {
        let kind = AttentionKind::DueSoon {
            suspensions: number(one.due.suspensions),
            deletions: number(one.due.deletions),
            first,
        };
        add(5, kind);
    }
    if let Some(Sso::Saml {
        certificate_expires: Some(on),
        ..
    }) = &one.sso
        && *on - now <= CERTIFICATE_WARNING
    {
        add(
            6,
            AttentionKind::CertificateExpires {
                on: *on,
                days: standing::days_until(*on, now),
            },
        );
    }
    found
}

fn home_app(one: Looked) -> HomeApp {
    HomeApp {
        slug: one.app.slug.to_string(),
        catalog: standing::catalog_name(&one.app.catalog),
        status: one.status,
        sign_in_ready: one.sso.is_some(),
        last_run: one.last_run.as_ref().map(last_run),
        next_run: one
            .app
            .next_run_at
            .filter(|_| one.app.state == AppState::On),
        paused_until: one.paused_until,
        accounts: one.accounts,
        suspended: one.suspended,
        due_in_24_hours: number(one.due.suspensions + one.due.deletions),
        failures: number(one.failing.people),
        name: one.app.name,
    }
}

/// The last run as overviews tell of it.
pub fn last_run(run: &Run) -> LastRun {
    let at = run.started_at.unwrap_or(run.queued_at);
    LastRun {
        number: run.number,
        at,
        seconds: run
            .finished_at
            .map(|end| number((end - at).num_seconds().max(0))),
        done: standing::counts(&run.applied),
        held: number(run.held),
        failed: number(run.failed),
    }
}
