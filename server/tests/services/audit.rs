//! The audit log as the console and its export show it.

use std::sync::Arc;

use crate::fixture::{Installation, installation, secret_key, start};
use app::api::ErrorCode;
use app::api::audit::AuditQuery;
use app::api::terms::Outcome;
use app::api::usage::UsageFigure;
use app::services::{Actor, Audit as _, Autoprovisioning as _};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use chrono::TimeDelta;
use provisioning::event::EventName;
use serde_json::json;
use server::audit::Seals;
use server::services::apps::AppServices;
use server::services::audit::AuditService;
use server::services::export_route::{self, Exports};
use server::store::administrators::{self, Administrator};
use server::store::events::{self, EventFilter, EventKey, NewEvent, Order};
use sqlx::PgPool;
use tower::ServiceExt as _;
use uuid::Uuid;

fn audit(here: &Installation) -> AuditService {
    AuditService {
        engine: here.engine.clone(),
    }
}

/// Events a minute apart, every third failed, several at the same moment.
async fn fill(pool: &PgPool, count: i64) {
    let mut db = pool.acquire().await.unwrap();
    for n in 0..count {
        let time = start() - TimeDelta::minutes(n / 4);
        let person = (format!("id-{n}"), format!("person-{n}@example.com"));
        let event = NewEvent::new(time, EventName::UpdateUser, "Rollcall")
            .app("asana")
            .person(&person.0, &person.1)
            .changes(json!([{ "attribute": "title", "old": "A", "new": format!("B{n}") }]));
        let event = if n % 3 == 0 {
            event.failed("scim-rejected", "The app refused it")
        } else {
            event
        };
        events::record(&mut db, &event).await.unwrap();
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn pages_in_both_directions_give_every_event_once(pool: PgPool) {
    let here = installation(&pool);
    fill(&pool, 173).await;
    let audit = audit(&here);
    let mut older = Vec::new();
    let mut query = AuditQuery::default();
    let last = loop {
        let page = audit.events(&here.actor, query, "UTC").await.unwrap();
        older.extend(page.rows.iter().map(|row| row.id.clone()));
        match page.older {
            Some(before) => {
                query = AuditQuery {
                    before: Some(before),
                    ..AuditQuery::default()
                }
            }
            None => break page.rows.last().unwrap().id.clone(),
        }
    };
    let mut unique = older.clone();
    unique.sort();
    unique.dedup();
    assert_eq!((older.len(), unique.len()), (173, 173));

    let mut newer = vec![last.clone()];
    let mut query = AuditQuery {
        after: Some(last),
        ..AuditQuery::default()
    };
    loop {
        let page = audit.events(&here.actor, query, "UTC").await.unwrap();
        newer.extend(page.rows.iter().rev().map(|row| row.id.clone()));
        match page.newer {
            Some(after) => {
                query = AuditQuery {
                    after: Some(after),
                    ..AuditQuery::default()
                }
            }
            None => break,
        }
    }
    newer.reverse();
    assert_eq!(newer, older);
}

#[sqlx::test(migrations = "./migrations")]
async fn filters_narrow_the_log_and_nonsense_finds_nothing(pool: PgPool) {
    let here = installation(&pool);
    fill(&pool, 30).await;
    let audit = audit(&here);
    let count = async |query: AuditQuery| {
        audit
            .events(&here.actor, query, "UTC")
            .await
            .unwrap()
            .rows
            .len()
    };
    let all = AuditQuery::default;
    assert_eq!(
        count(AuditQuery {
            outcome: Some(Outcome::Failed),
            ..all()
        })
        .await,
        10
    );
    let event = Some("update-auto-provisioned-user".to_owned());
    assert_eq!(count(AuditQuery { event, ..all() }).await, 30);
    // The database takes no NUL.
    let nul = || Some("\0".to_owned());
    for query in [
        AuditQuery { q: nul(), ..all() },
        AuditQuery {
            app: nul(),
            ..all()
        },
        AuditQuery {
            person: nul(),
            ..all()
        },
        AuditQuery {
            actor: nul(),
            ..all()
        },
    ] {
        assert_eq!(count(query).await, 0);
    }
    assert_eq!(
        count(AuditQuery {
            event: Some("no-such-thing".to_owned()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(AuditQuery {
            person: Some("id-7".to_owned()),
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        count(AuditQuery {
            person: Some("person-7@example.com".to_owned()),
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        count(AuditQuery {
            app: Some("other".to_owned()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(AuditQuery {
            actor: Some("rollcall".to_owned()),
            ..all()
        })
        .await,
        30
    );
    assert_eq!(
        count(AuditQuery {
            run: Some("17".to_owned()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(AuditQuery {
            q: Some("person-2".to_owned()),
            ..all()
        })
        .await,
        11
    );
    assert_eq!(
        count(AuditQuery {
            q: Some("person_2".to_owned()),
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        count(AuditQuery {
            from: Some("soon".to_owned()),
            ..all()
        })
        .await,
        0
    );
    let day = start().format("%Y-%m-%d").to_string();
    assert_eq!(
        count(AuditQuery {
            from: Some(day.clone()),
            to: Some(day),
            ..all()
        })
        .await,
        30
    );
    let error = audit
        .events(
            &here.actor,
            AuditQuery {
                before: Some("999999".to_owned()),
                ..all()
            },
            "UTC",
        )
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
}

#[sqlx::test(migrations = "./migrations")]
async fn an_event_shows_old_and_new_and_hides_what_must_not_be_seen(pool: PgPool) {
    let here = installation(&pool);
    let mut db = pool.acquire().await.unwrap();
    let event = NewEvent::new(start(), EventName::UpdateUser, "Rollcall")
        .changes(json!([{ "attribute": "title", "old": "A", "new": "B" }]))
        .detail(json!({
            "request": { "method": "PATCH", "path": "/Users/7", "body": { "title": "B", "password": "abc" } },
            "response": { "status": 200 },
        }));
    let id = events::record(&mut db, &event).await.unwrap();
    let shown = audit(&here).event(&id.to_string()).await.unwrap();
    assert_eq!(shown.changes.len(), 1);
    assert_eq!(shown.row.summary, "Job title");
    let request = shown.request.unwrap();
    assert!(
        request.starts_with("PATCH /Users/7\n\n{")
            && request.contains("title")
            && !request.contains("abc"),
        "{request}"
    );
    assert_eq!(shown.hash, None, "not sealed yet");
    seals(&here).seal().await.unwrap();
    assert!(
        audit(&here)
            .event(&id.to_string())
            .await
            .unwrap()
            .hash
            .is_some()
    );
}

fn seals(here: &Installation) -> Seals {
    Seals::new(
        here.engine.pool.clone(),
        secret_key(),
        Arc::new(here.clock.clone()),
        None,
    )
}

async fn download(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = to_bytes(answer.into_body(), 10_000_000).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[sqlx::test(migrations = "./migrations")]
async fn an_export_holds_what_the_filter_shows_and_is_itself_in_the_log(pool: PgPool) {
    let here = installation(&pool);
    fill(&pool, 2100).await;
    here.clock.advance(TimeDelta::minutes(1));
    let exports = Exports {
        engine: here.engine.clone(),
        seals: seals(&here),
    };
    let router = export_route::routes(exports).layer(Extension(Some(Actor::clone(&here.actor))));
    let (status, body) = download(&router, "/export/audit?format=ndjson&outcome=failed&q=").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body.lines().count(), 700);
    for line in body.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["outcome"], "failed");
        assert!(event["hash"].is_string(), "an export is sealed");
    }
    let (_, csv) = download(&router, "/export/audit").await;
    assert_eq!(csv.lines().count(), 2100 + 1, "a header and the events");
    let (status, reports) = download(&router, "/export/audit?format=reports&app=asana").await;
    assert_eq!(status, StatusCode::OK);
    let reports: serde_json::Value = serde_json::from_str(&reports).unwrap();
    assert_eq!(reports["items"].as_array().unwrap().len(), 2100);
    let query = AuditQuery {
        event: Some("export".to_owned()),
        ..AuditQuery::default()
    };
    let page = audit(&here)
        .events(&here.actor, query, "UTC")
        .await
        .unwrap();
    assert_eq!(page.rows.len(), 3);
    assert_eq!(page.rows[0].actor, here.actor.email);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_day_of_the_filters_is_a_day_where_the_reader_is(pool: PgPool) {
    let here = installation(&pool);
    let mut db = pool.acquire().await.unwrap();
    // The day before in Berlin, but half past midnight in Athens.
    let time = "2026-11-22T22:30:00Z".parse().unwrap();
    let event = NewEvent::new(time, EventName::SignIn, "ines@northmoor.example");
    events::record(&mut db, &event).await.unwrap();
    let found = async |day: &str, zone: &str| {
        let query = AuditQuery {
            from: Some(day.to_owned()),
            to: Some(day.to_owned()),
            ..AuditQuery::default()
        };
        let page = audit(&here).events(&here.actor, query, zone).await;
        page.unwrap().rows.len()
    };
    assert_eq!(found("2026-11-22", "Europe/Berlin").await, 1);
    assert_eq!(found("2026-11-23", "Europe/Berlin").await, 0);
    assert_eq!(found("2026-11-22", "Europe/Athens").await, 0);
    assert_eq!(found("2026-11-23", "Europe/Athens").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_month_of_the_filters_is_a_month_where_the_reader_is(pool: PgPool) {
    let here = installation(&pool);
    let mut db = pool.acquire().await.unwrap();
    // Tests begin in November; two hours before it, it has begun in Kolkata.
    let times = [
        "2026-11-15T12:00:00Z",
        "2026-10-31T22:00:00Z",
        "2026-10-02T12:00:00Z",
        "2026-09-30T12:00:00Z",
    ];
    for time in times {
        let event = NewEvent::new(time.parse().unwrap(), EventName::UpdateUser, "Rollcall");
        events::record(&mut db, &event).await.unwrap();
    }
    let found = async |last: &str, zone: &str| {
        let query = AuditQuery {
            last: Some(last.to_owned()),
            ..AuditQuery::default()
        };
        let page = audit(&here).events(&here.actor, query, zone).await.unwrap();
        page.rows.len()
    };
    assert_eq!(found("month", "UTC").await, 1);
    assert_eq!(found("last-month", "UTC").await, 2);
    assert_eq!(found("month", "Asia/Kolkata").await, 2);
    assert_eq!(found("last-month", "Asia/Kolkata").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn usage_counts_each_event_once_on_the_readers_day_whether_it_is_sealed_or_not(pool: PgPool) {
    let here = installation(&pool);
    here.asana().await;
    let record = async |time: &str, app: &str, failed: bool| {
        let mut db = pool.acquire().await.unwrap();
        let event = NewEvent::new(time.parse().unwrap(), EventName::UpdateUser, "Rollcall")
            .app(app)
            .person("id-1", "person-1@example.com");
        let event = if failed {
            event.failed("scim-rejected", "The app refused it")
        } else {
            event
        };
        events::record(&mut db, &event).await.unwrap();
    };
    // In Kathmandu, 5:45 ahead, a day begins at 18:15.
    let times = ["2026-11-10T18:14:59Z", "2026-11-10T18:15:00Z"];
    let usage = async || {
        let services = AppServices::new(here.engine.clone(), here.queue.clone());
        let usage = services.usage("asana", "Asia/Kathmandu").await.unwrap();
        let by_day = |wanted: UsageFigure| {
            let lane = usage.lanes.iter().find(|lane| lane.figure == wanted);
            let day = |at: &str| {
                let at = usage.days.iter().position(|day| day.to_string() == at);
                lane.unwrap().by_day[at.unwrap()]
            };
            (day("2026-11-10"), day("2026-11-11"), lane.unwrap().total)
        };
        (by_day(UsageFigure::Updated), by_day(UsageFigure::Failures))
    };
    assert_eq!(usage().await, ((0, 0, 0), (0, 0, 0)));
    for round in 1..=3 {
        for time in times {
            record(time, "asana", false).await;
            record(time, "slack", false).await;
        }
        record(times[1], "asana", true).await;
        let expected = ((round, round, 2 * round), (0, round, round));
        assert_eq!(usage().await, expected, "before they are sealed");
        seals(&here).seal().await.unwrap();
        assert_eq!(usage().await, expected, "after they are sealed");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn filters_are_kept_for_whoever_keeps_them_and_for_nobody_else(pool: PgPool) {
    let here = installation(&pool);
    let audit = audit(&here);
    let mut db = pool.acquire().await.unwrap();
    let mut people = Vec::new();
    for (number, email) in [(1, "ines@northmoor.example"), (2, "jo@northmoor.example")] {
        let one = Administrator {
            id: Uuid::from_u128(number),
            email: email.to_owned(),
            role: administrators::Role::Auditor,
            created_at: start(),
            last_sign_in: None,
        };
        administrators::add(&mut db, &one, "no hash").await.unwrap();
        people.push(server::services::actor(&one));
    }
    let (ines, jo) = (&people[0], &people[1]);
    let of = async |actor: &Actor| {
        let page = audit.events(actor, AuditQuery::default(), "UTC").await;
        page.unwrap().saved
    };
    let query = "outcome=failed&last=24h";
    audit
        .save_filter(ines, " Failures of today ", query)
        .await
        .unwrap();
    audit
        .save_filter(ines, "Failures of today", "outcome=failed&last=7d")
        .await
        .unwrap();
    let kept = of(ines).await;
    assert_eq!(kept.len(), 1, "a name stands for one thing");
    assert_eq!(kept[0].name, "Failures of today");
    assert_eq!(kept[0].query, "outcome=failed&last=7d");
    assert!(of(jo).await.is_empty());
    for (name, query) in [
        ("", "q=a"),
        ("x", "q=a b"),
        ("x", "q=a#b"),
        ("x", "q=\r\nb"),
    ] {
        let refused = audit.save_filter(ines, name, query).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Invalid, "{name:?} {query:?}");
    }
    let stranger = audit.forget_filter(jo, kept[0].id).await.unwrap_err();
    assert_eq!(stranger.code, ErrorCode::NotFound);
    audit.forget_filter(ines, kept[0].id).await.unwrap();
    assert!(of(ines).await.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn nobody_exports_without_a_session(pool: PgPool) {
    let here = installation(&pool);
    fill(&pool, 3).await;
    let exports = Exports {
        engine: here.engine.clone(),
        seals: seals(&here),
    };
    let bare = export_route::routes(exports);
    let nobody = bare.clone().layer(Extension(None::<Actor>));
    for router in [bare, nobody] {
        let (status, body) = download(&router, "/export/audit").await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(!body.contains("person-1"));
    }
    assert_eq!(
        audit(&here)
            .events(&here.actor, AuditQuery::default(), "UTC")
            .await
            .unwrap()
            .rows
            .len(),
        3,
        "nothing is recorded"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn an_unknown_format_or_filter_is_refused_in_words(pool: PgPool) {
    let here = installation(&pool);
    let exports = Exports {
        engine: here.engine.clone(),
        seals: seals(&here),
    };
    let router = export_route::routes(exports).layer(Extension(Some(Actor::clone(&here.actor))));
    let (status, body) = download(&router, "/export/audit?format=xls").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("csv, ndjson or reports"), "{body}");
    assert_eq!(
        download(&router, "/export/audit?from=whenever").await.0,
        StatusCode::NOT_FOUND
    );
}

/// More events than a page looks at before it asks the indexes, with rare ones among the oldest.
async fn long_log(pool: &PgPool) {
    sqlx::query(
        "INSERT INTO people (id, primary_email, full_name, standing, is_guest, org_unit_path, person, fingerprint, seen_in, changed_in)
         VALUES ('id-7', 'old-address@example.com', 'Zoë Quist', 'active', false, '/', '{}', '', 1, 1)",
    )
    .execute(pool)
    .await
    .unwrap();
    sqlx::query("SELECT ensure_event_partition(month) FROM generate_series($1::timestamptz, $2, '20 days') AS month")
        .bind(start() - TimeDelta::days(100))
        .bind(start())
        .execute(pool)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO events (time, event, outcome, actor, app, person_id, person_email, account_id, reason, error)
         SELECT $1::timestamptz - n / 3 * interval '1 minute',
                CASE WHEN n % 9000 = 8999 THEN 'Signed in' ELSE 'Update auto-provisioned user' END,
                CASE WHEN n % 4000 = 3999 THEN 'failed' ELSE 'ok' END,
                CASE WHEN n % 9000 = 8999 THEN 'ines.rare@example.com' ELSE 'Rollcall' END,
                'app' || n % 2, 'id-' || n % 5000, 'person-' || n % 5000 || '@example.com', 'acc_' || n,
                CASE WHEN n = 9500 THEN '100% of the quota' ELSE 'The title changed' END,
                CASE WHEN n % 4000 = 3999 THEN '{\"message\": \"No seat is left\"}'::jsonb END
         FROM generate_series(0, 9999) AS n",
    )
    .bind(start())
    .execute(pool)
    .await
    .unwrap();
}

/// Reads every page of a filter in one direction.
async fn all_pages(pool: &PgPool, filter: &EventFilter, order: Order) -> Vec<i64> {
    let mut db = pool.acquire().await.unwrap();
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = events::page(&mut db, filter, order, after, 700)
            .await
            .unwrap();
        ids.extend(page.iter().map(|event| event.id));
        let Some(last) = page.last() else { break ids };
        after = Some(EventKey {
            time: last.time,
            id: last.id,
        });
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn every_event_that_has_the_words_is_found_wherever_it_stands_and_no_other(pool: PgPool) {
    long_log(&pool).await;
    for text in [
        "title changed",
        "acc_4711",
        "ACC_9999",
        "no seat",
        "person-4999@example",
        "Zoë",
        "quist",
        "id-4999",
        "ines.rare",
        "signed in",
        "Rollcall",
        "100% of",
        "%",
        "_",
        "zq",
        "4",
        "nobody writes this",
    ] {
        let filter = EventFilter {
            text: Some(text.to_owned()),
            ..EventFilter::default()
        };
        let expected: Vec<i64> = sqlx::query_scalar(
            "SELECT e.id FROM events e LEFT JOIN people p ON p.id = e.person_id
             WHERE e.person_id = $1
                OR position(lower($1) in lower(concat_ws(E'\\n', e.person_email, e.account_id, e.reason, e.event, e.actor,
                                                         e.error->>'message', p.full_name))) > 0
             ORDER BY e.time, e.id",
        )
        .bind(text)
        .fetch_all(&pool)
        .await
        .unwrap();
        let mut newest = all_pages(&pool, &filter, Order::NewestFirst).await;
        newest.reverse();
        assert_eq!(newest, expected, "newest first: {text}");
        let oldest = all_pages(&pool, &filter, Order::OldestFirst).await;
        assert_eq!(oldest, expected, "oldest first: {text}");
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn filters_together_find_what_each_of_them_lets_through(pool: PgPool) {
    long_log(&pool).await;
    let rare = EventFilter {
        outcome: Some("failed".to_owned()),
        app: Some("app1".to_owned()),
        text: Some("seat".to_owned()),
        person: Some("person-2999@example.com".to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(all_pages(&pool, &rare, Order::NewestFirst).await.len(), 1);
    let plain = EventFilter {
        outcome: Some("ok".to_owned()),
        event: Some("Signed in".to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(all_pages(&pool, &plain, Order::OldestFirst).await.len(), 1);
    let part = EventFilter {
        person: Some("N-4999@exa".to_owned()),
        ..EventFilter::default()
    };
    assert_eq!(all_pages(&pool, &part, Order::NewestFirst).await.len(), 2);
}
