//! What somebody tries who means harm: from another site, with odd requests, with odd names.

use app::api::ErrorCode;
use app::services::Apps as _;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use chrono::TimeDelta;
use provisioning::event::EventName;
use server::clock::Clock as _;
use server::jobs::Queue;
use server::sandbox::{Rename, Sandbox};
use server::services::apps::AppServices;
use server::store::apps::{self, AppId};
use server::store::events::{self, NewEvent};
use sqlx::PgPool;
use tower::ServiceExt as _;

use super::fixture::{self, Installation};
use super::house::{House, PASSWORD_TYPED};
use super::markup;

#[sqlx::test(migrations = "./migrations")]
async fn another_site_can_post_nothing_with_an_administrators_cookie(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let request = Request::post("/api/sign_out")
            .header(header::HOST, "console")
            .header(header::COOKIE, ada.cookie().unwrap())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(name, value);
        let answer = house
            .router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap());
        assert_eq!(
            answer.await.unwrap().status(),
            StatusCode::FORBIDDEN,
            "{name}: {value}"
        );
    }
    assert!(ada.is_in().await);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_session_id_that_somebody_else_chose_is_never_taken_over(pool: PgPool) {
    let house = House::new(pool);
    let (_, thief) = house.auditor("otto@example.com").await;
    let planted = thief.cookie();
    house.auditor("eve@example.com").await;
    let victim = house.browser();
    for cookie in [
        planted.clone(),
        Some("rollcall=AAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    ] {
        victim.set_cookie(cookie.clone());
        victim.sign_in("eve@example.com").await.succeeded();
        assert!(victim.is_in().await);
        assert_ne!(victim.cookie(), cookie);
    }
    thief.set_cookie(planted);
    assert!(
        !thief.is_in().await,
        "nor does the planted one lead anywhere"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_header_that_claims_another_address_does_not_escape_the_delay(pool: PgPool) {
    let house = House::new(pool);
    let form = |turn: i32| format!("email=person{turn}@example.com&password=wrong&next=");
    let mut delayed = 0;
    for turn in 0..12 {
        let request = Request::post("/api/sign_in")
            .header("x-forwarded-for", format!("198.51.100.{turn}"))
            .header("forwarded", format!("for=198.51.100.{turn}"))
            .header("x-real-ip", format!("198.51.100.{turn}"))
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut request = request.body(Body::from(form(turn))).unwrap();
        let from: std::net::SocketAddr = "192.0.2.9:4000".parse().unwrap();
        request
            .extensions_mut()
            .insert(axum::extract::ConnectInfo(from));
        let answer = house.router.clone().oneshot(request).await.unwrap();
        delayed += i32::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(
        delayed, 1,
        "passwords are sprayed from one address, whatever it says"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn bodies_that_are_too_large_or_too_deep_are_refused_and_cost_nothing(pool: PgPool) {
    let house = House::new(pool);
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let large = format!("slug=a&token={}", "x".repeat(1024 * 1024));
    let answer = ada.post("/api/save_authorize", &large).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    let deep = format!("slug=a&rows{}=x", "%5Ba%5D".repeat(20_000));
    let answer = ada.post("/api/save_attributes", &deep).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    let many: String = (0..50_000)
        .map(|n| format!("&chosen%5B{n}%5D=create.{n}"))
        .collect();
    let many = format!("slug=none&choice=dismiss-all{many}");
    let answer = ada.post("/api/decide_held", &many).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    let braces = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let form = format!("admin_email=a@b.example&key={braces}");
    let answer = ada.post("/api/save_connection", &form).await;
    assert!(answer.status.is_client_error(), "{}", answer.status);
    assert!(ada.is_in().await);
}

#[sqlx::test(migrations = "./migrations")]
async fn nothing_typed_gets_into_headers_or_breaks_a_line_of_the_log(pool: PgPool) {
    let house = House::new(pool);
    house.auditor("otto@example.com").await;
    let browser = house.browser();
    for next in [
        "/audit%0d%0aSet-Cookie:%20a=b",
        "//evil.example/",
        "/%5Cevil.example",
        "https:%2f%2fevil.example",
        "javascript:alert(1)",
    ] {
        let form = format!("email=otto@example.com&password={PASSWORD_TYPED}&next={next}");
        let answer = browser.post("/api/sign_in", &form).await;
        assert_eq!(answer.location, "/", "{next}");
    }
    let odd = "email=a%0aERROR%20root%20signed%20in@x.example&password=x&next=";
    browser.set_cookie(None);
    assert_eq!(
        browser.post("/api/sign_in", odd).await.code(),
        ErrorCode::WrongCredentials
    );
    let dump = format!("{:?}", house.events().await);
    assert!(!dump.contains("ERROR root"));
}

const PAYLOADS: [&str; 8] = [
    "<xss onload=alert(1)>",
    "\"><xss a=\"",
    "' onmouseover='xss(1)' x='",
    "\" onfocus=\"xss(1)\" autofocus=\"",
    "</script><xss></script>",
    "<!--<script>xss",
    "]]><xss/>",
    "=HYPERLINK(\"https://evil.example\";\"x\")\u{202e}\u{0000a0}{{7*7}}${7*7}",
];

async fn hostile_company(pool: &PgPool) -> (Installation, Sandbox, AppId, Vec<String>) {
    let here = fixture::installation(pool);
    server::jobs::migrate(pool).await.unwrap();
    let (sandbox, base) = fixture::sandbox(&here.clock).await;
    let emails: Vec<String> = sandbox.change_directory(|directory, _| {
        let mut emails: Vec<_> = (directory.people.values())
            .filter(|person| person.deleted_at.is_none())
            .map(|person| person.primary_email.clone())
            .collect();
        emails.truncate(PAYLOADS.len());
        for (email, payload) in emails.iter().zip(PAYLOADS) {
            let rename = Rename {
                given_name: Some(payload.to_owned()),
                family_name: Some(payload.to_owned()),
                primary_email: None,
            };
            directory.rename(email, rename).unwrap();
            directory.set_title(email, Some(payload)).unwrap();
            directory
                .set_organization(email, "department", Some(payload))
                .unwrap();
        }
        for (index, payload) in PAYLOADS.into_iter().enumerate() {
            let address = format!("odd{index}@{}", directory.primary_domain());
            directory.add_group(&address, payload).unwrap();
        }
        emails
    });
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let app = here.asana().await;
    (here, sandbox, app, emails)
}

#[sqlx::test(migrations = "./migrations")]
async fn names_from_the_directory_and_the_app_are_text_on_every_page(pool: PgPool) {
    let (here, _sandbox, _app, emails) = hostile_company(&pool).await;
    let mut db = pool.acquire().await.unwrap();
    for payload in PAYLOADS {
        let event = NewEvent::new(here.clock.now(), EventName::UpdateUser, payload)
            .app("asana")
            .person(payload, payload)
            .reason(payload)
            .changes(serde_json::json!([{ "attribute": payload, "old": payload, "new": payload }]))
            .failed(payload, payload)
            .detail(serde_json::json!({ "response": { "body": payload } }));
        events::record(&mut db, &event).await.unwrap();
    }
    sqlx::query("UPDATE apps SET name = $1")
        .bind(PAYLOADS[1])
        .execute(&mut *db)
        .await
        .unwrap();
    let people: Vec<String> =
        sqlx::query_scalar("SELECT id FROM people WHERE primary_email = ANY($1)")
            .bind(&emails)
            .fetch_all(&mut *db)
            .await
            .unwrap();
    let groups: Vec<String> = sqlx::query_scalar("SELECT id FROM groups WHERE name LIKE '%xss%'")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let events: Vec<i64> = sqlx::query_scalar("SELECT id FROM events ORDER BY id DESC LIMIT 8")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    drop(db);
    let house = House::over(here.engine.clone(), here.clock.clone());
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let mut pages = vec![
        "/".to_owned(),
        "/directory/people".to_owned(),
        "/directory/groups".to_owned(),
        "/directory/org-units".to_owned(),
        "/directory/connection".to_owned(),
        "/audit".to_owned(),
        "/audit?person=%3Cxss".to_owned(),
        "/directory/people?q=%22%3E%3Cxss%20a%3D%22".to_owned(),
        "/apps/asana/setup/scope?find=%3Cxss".to_owned(),
        "/apps/asana/setup/attributes?preview=%22%3E%3Cxss".to_owned(),
        "/sign-in?next=%22%3E%3Cxss%3E".to_owned(),
        "/confirm-identity?next=/%22%3E%3Cxss%3E".to_owned(),
    ];
    for tab in [
        "",
        "/sign-in",
        "/access",
        "/autoprovisioning",
        "/accounts",
        "/queue",
        "/runs",
        "/usage",
        "/review",
    ] {
        pages.push(format!("/apps/asana{tab}"));
    }
    pages.extend(people.iter().map(|id| format!("/directory/people/{id}")));
    pages.extend(groups.iter().map(|id| format!("/directory/groups/{id}")));
    pages.extend(events.iter().map(|id| format!("/audit/{id}")));
    assert!(people.len() == 8 && groups.len() >= 5 && events.len() == 8);
    let mut seen = 0;
    for path in pages {
        let answer = ada.get(&path).await;
        assert!(
            !answer.status.is_server_error(),
            "{path}: {}",
            answer.status
        );
        seen += usize::from(answer.body.contains("xss"));
        for (element, attributes) in markup::elements(&answer.body) {
            assert!(!element.contains("xss"), "{path}: an element <{element}>");
            for name in attributes {
                let fine = !name.starts_with("on") && name != "autofocus" && name != "style";
                assert!(fine && !name.contains("xss"), "{path}: <{element} {name}>");
            }
        }
    }
    assert!(seen > 25, "only {seen} pages showed what was planted");

    // An export ends before now.
    house.wait(TimeDelta::seconds(1));
    let csv = ada.get("/export/audit?format=csv").await.body;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let mut formulas = 0;
    for record in reader.records() {
        for cell in &record.unwrap() {
            assert!(!cell.starts_with(['=', '+', '@', '\t', '\r']), "{cell}");
            formulas += usize::from(cell.starts_with("'="));
        }
    }
    assert!(formulas > 0);
}

#[sqlx::test(migrations = "./migrations")]
async fn what_belongs_to_one_app_is_not_reached_through_another(pool: PgPool) {
    let here = fixture::installation(&pool);
    server::jobs::migrate(&pool).await.unwrap();
    let asana = here.asana().await;
    let services = AppServices::new(here.engine.clone(), Queue::new(here.engine.clone()));
    let form = app::api::apps::AddAppForm {
        catalog: "scim".to_owned(),
        name: Some("Other".to_owned()),
        endpoint: Some("https://other.example/scim".to_owned()),
    };
    let other = services.add(&here.actor, form).await.unwrap();
    let run = server::store::runs::NewRun {
        app: asana,
        kind: server::store::runs::RunKind::Manual,
        actor: "test",
        config_version: 1,
        fresh_import: false,
        plan_of: None,
    };
    let mut db = pool.acquire().await.unwrap();
    server::store::runs::queue(&mut db, &run, here.clock.now())
        .await
        .unwrap();
    let number: i64 = sqlx::query_scalar("SELECT number FROM runs")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert!(apps::by_slug(&mut db, &other).await.unwrap().is_some());
    drop(db);
    let house = House::over(here.engine.clone(), here.clock.clone());
    let (_, ada) = house.super_administrator("ada@example.com").await;
    let own = ada
        .post("/api/run", &format!("slug=asana&number={number}"))
        .await;
    own.succeeded();
    for (function, form) in [
        ("run", format!("slug={other}&number={number}")),
        ("stop_run", format!("slug={other}&number={number}")),
        ("approve_run", format!("slug={other}&number={number}")),
    ] {
        let answer = ada.post(&format!("/api/{function}"), &form).await;
        assert!(answer.status.is_client_error(), "{function}: {answer:?}");
    }
    let state: String = sqlx::query_scalar("SELECT state FROM runs")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(state, "queued");
    house.wait(TimeDelta::seconds(1));
}
