use std::time::Duration;

use provisioning::identity::AccountId;
use serde_json::json;
use server::connectors::{ScimError, ScimErrorClass as Class};
use wiremock::ResponseTemplate;

use crate::script::*;

async fn create_against(answer: ResponseTemplate) -> (ScimError, Scripted) {
    let script = Scripted::in_turn(vec![answer]).await;
    let body = json!({"userName": "anna@example.com"});
    let error = script.app().create(&body).await.unwrap_err();
    (error, script)
}

async fn get_against(answer: ResponseTemplate) -> (ScimError, Scripted) {
    let script = Scripted::in_turn(vec![answer]).await;
    let error = script.app().get(&AccountId::new("7")).await.unwrap_err();
    (error, script)
}

#[tokio::test]
async fn every_status_of_a_write_gets_its_class_and_is_sent_once() {
    let transient = Class::Transient { retry_after: None };
    for (status, scim_type, class) in [
        (401, None, Class::Authorization),
        (402, None, Class::Authorization),
        (403, None, Class::Authorization),
        (409, None, Class::Conflict),
        (409, Some("uniqueness"), Class::Conflict),
        (400, Some("uniqueness"), Class::Conflict),
        (400, Some("invalidValue"), Class::Rejected),
        (400, None, Class::Rejected),
        (413, None, Class::Rejected),
        (422, None, Class::Rejected),
        (404, None, Class::NotFound),
        (405, None, Class::Unsupported),
        (501, None, Class::Unsupported),
        (500, None, transient.clone()),
        (503, None, transient),
        (502, None, Class::Ambiguous),
        (504, None, Class::Ambiguous),
        (302, None, Class::Endpoint),
    ] {
        let (error, script) = create_against(scim_error(status, scim_type, "Because.")).await;
        assert_eq!(error.class, class, "{status}: {error}");
        assert_eq!(error.status, Some(status));
        assert_eq!(error.scim_type.as_deref(), scim_type);
        let lines = script.lines().await;
        let (first, probes) = lines.split_first().unwrap();
        assert_eq!(first, "POST /scim/v2/Users", "{status}");
        // Whether it is the token or this account, a read tells.
        assert_eq!(probes.len(), usize::from(matches!(status, 402 | 403)));
        assert_eq!(script.totals().scim_writes, 1);
        let line = error.to_string();
        assert!(line.ends_with('.') && !line.contains('\n'), "{line}");
    }
}

#[tokio::test]
async fn errors_are_read_in_every_known_form() {
    for (body, said) in [
        (
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "detail": "userName is bad"}),
            "userName is bad",
        ),
        (
            json!({"errors": [{"message": "Not a recognized ID", "help": "x"}]}),
            "Not a recognized ID",
        ),
        (json!({"Errors": 1, "message": "plain"}), "plain"),
        (
            json!({"error": "invalid_request", "error_description": "described"}),
            "described",
        ),
        (json!({"error": {"message": "nested"}}), "nested"),
        (json!([{"detail": "in a list"}]), "in a list"),
        (json!({"errors": ["only text"]}), "only text"),
    ] {
        let (error, _) = create_against(status(400, body)).await;
        assert_eq!(error.detail, said);
        assert_eq!(
            error.to_string(),
            format!(
                "The app refused POST /Users with status 400 ({said}): correct the attribute in the directory or in the mapping."
            )
        );
    }
    let text = ResponseTemplate::new(400).set_body_string("plain\n  text");
    assert_eq!(create_against(text).await.0.detail, "plain text");
    let empty = ResponseTemplate::new(400);
    assert_eq!(create_against(empty).await.0.detail, "bad request");
}

#[tokio::test]
async fn a_web_page_is_an_endpoint_error_and_never_a_missing_account() {
    for answer in [web_page(200), web_page(404), web_page(400)] {
        let (error, _) = get_against(answer).await;
        assert_eq!(error.class, Class::Endpoint, "{error}");
        assert!(error.to_string().contains("web page"), "{error}");
    }
    let (error, _) = create_against(web_page(201)).await;
    assert_eq!(error.class, Class::Endpoint);
    let (error, _) = create_against(web_page(401)).await;
    assert_eq!(error.class, Class::Authorization);
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_token() {
    let elsewhere = Scripted::in_turn(vec![ok(account("7", "anna@example.com"))]).await;
    let target = elsewhere.url("/Users/7");
    let redirect = ResponseTemplate::new(307).insert_header("location", &*target);
    let (error, _) = get_against(redirect).await;
    assert_eq!(error.code(), "scim-redirect");
    assert!(error.to_string().contains("redirect"), "{error}");
    assert!(elsewhere.requests().await.is_empty());
}

#[tokio::test]
async fn no_token_and_no_password_shows_in_an_error() {
    let body = json!({"detail": format!("Token {TOKEN} is unknown"), "password": "hunter2", "x": format!("Bearer {TOKEN}")});
    let (error, script) = create_against(status(401, body)).await;
    let debug = format!("{error:?} {:?}", script.app());
    for text in [error.to_string(), debug, error.excerpt.unwrap().into()] {
        assert!(!text.contains(TOKEN) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_throttled_write_waits_as_wished_and_is_sent_again() {
    let date = (noon() + chrono::TimeDelta::seconds(30))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string();
    for (wish, seconds) in [("12", 12), (&*date, 30)] {
        let throttled = status(429, json!({})).insert_header("retry-after", wish);
        let created = status(201, account("7", "anna@example.com"));
        let script = Scripted::in_turn(vec![throttled, created]).await;
        script
            .app()
            .create(&json!({"userName": "anna@example.com"}))
            .await
            .unwrap();
        assert_eq!(script.lines().await.len(), 2);
        let waited: Duration = script.timer.waits().iter().sum();
        let wished = Duration::from_secs(seconds);
        assert!(
            waited >= wished && waited < wished + Duration::from_secs(3),
            "{wish}: {waited:?}"
        );
        assert!(script.totals().limit_waits > 0);
    }
}

#[tokio::test]
async fn all_requests_of_an_app_keep_the_pause_that_one_got() {
    let script = Scripted::in_turn(vec![
        status(429, json!({})).insert_header("retry-after", "600"),
        ok(account("7", "anna@example.com")),
    ])
    .await;
    let app = script.app();
    let started = server::connectors::Timer::now(&script.timer);
    for _ in 0..2 {
        let error = app.get(&AccountId::new("7")).await.unwrap_err();
        assert!(
            matches!(
                error.class,
                Class::RateLimited {
                    retry_after: Some(_)
                }
            ),
            "{error}"
        );
        assert!(error.retry_after().unwrap() > Duration::from_secs(500));
    }
    assert_eq!(
        script.lines().await.len(),
        1,
        "the second one is not even sent"
    );
    script.timer.advance(Duration::from_secs(601));
    assert!(app.get(&AccountId::new("7")).await.unwrap().is_some());
    assert!(server::connectors::Timer::now(&script.timer) - started >= Duration::from_secs(600));
}

#[tokio::test]
async fn throttling_without_end_is_given_back() {
    let (error, script) = create_against(status(429, json!({}))).await;
    assert!(matches!(error.class, Class::RateLimited { .. }));
    assert_eq!(script.lines().await.len(), 6);
}

#[tokio::test]
async fn reads_are_tried_again_after_server_errors_and_writes_are_not() {
    let script = Scripted::in_turn(vec![
        ResponseTemplate::new(500),
        web_page(502),
        ok(account("7", "anna@example.com")),
    ])
    .await;
    assert!(
        script
            .app()
            .get(&AccountId::new("7"))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(script.timer.waits().len(), 2);
    assert_eq!(script.totals().scim_reads, 3);
    let (error, script) = get_against(ResponseTemplate::new(500)).await;
    assert!(matches!(error.class, Class::Transient { .. }));
    assert_eq!(script.lines().await.len(), 4);
}

#[tokio::test]
async fn a_write_without_an_answer_is_ambiguous_and_a_read_is_not() {
    let slow = ResponseTemplate::new(201).set_delay(Duration::from_secs(30));
    let script = Scripted::in_turn(vec![slow]).await;
    let limits = server::connectors::RequestLimits {
        total: Duration::from_millis(300),
        write: Duration::from_millis(150),
        ..Default::default()
    };
    let lookup = server::connectors::targets::system_lookup();
    let outgoing = server::connectors::Outgoing::custom(loopback(), limits, lookup)
        .unwrap()
        .waiting_on(std::sync::Arc::new(script.timer.clone()));
    let script = Scripted { outgoing, ..script };
    let error = script
        .app()
        .create(&json!({"userName": "a"}))
        .await
        .unwrap_err();
    assert_eq!(error.class, Class::Ambiguous, "{error}");
    assert_eq!(script.totals().scim_writes, 1);
    let error = script.app().get(&AccountId::new("7")).await.unwrap_err();
    assert!(matches!(error.class, Class::Transient { .. }), "{error}");
    assert_eq!(script.totals().scim_reads, 4);
}

#[derive(Debug)]
struct Closed;

impl server::connectors::scim::Departure for Closed {
    fn may_leave(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_write_that_may_not_leave_any_more_is_not_sent_and_reads_still_are() {
    let script = Scripted::in_turn(vec![ok(json!({"id": "7", "userName": "a"}))]).await;
    let app = script.app().asking(std::sync::Arc::new(Closed));
    let error = app.create(&json!({"userName": "a"})).await.unwrap_err();
    assert_eq!(error.class, Class::Withheld, "{error}");
    assert_eq!(script.totals().scim_writes, 0);
    assert!(app.get(&AccountId::new("7")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_write_that_never_left_is_tried_again_and_then_transient() {
    let script = Scripted::in_turn(vec![ok(json!({}))]).await;
    // Nobody listens on the port of a server that is gone.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let app = script.app_with(|settings| {
        settings.endpoint = format!("http://{gone}/scim").parse().unwrap();
    });
    let error = app.create(&json!({"userName": "a"})).await.unwrap_err();
    assert_eq!(error.code(), "scim-unreachable");
    assert!(matches!(error.class, Class::Transient { .. }));
    assert_eq!(script.timer.waits().len(), 3);
}

#[tokio::test]
async fn an_inside_address_is_refused_before_a_client_exists() {
    let outgoing = server::connectors::Outgoing::new(Default::default()).unwrap();
    let settings = server::connectors::ScimSettings::new(
        "https://169.254.169.254/scim".parse().unwrap(),
        TOKEN.into(),
        server::connectors::ScimLimits::of(0, 1, 1),
    );
    let clock = std::sync::Arc::new(server::clock::FakeClock::at(noon()));
    let error = server::connectors::ScimApp::new(settings, outgoing, clock).unwrap_err();
    assert_eq!(error.class, Class::Target);
    assert_eq!(error.code(), "target-forbidden");
    assert!(error.to_string().contains("169.254.169.254"));
}

#[tokio::test]
async fn an_unaccepted_media_type_is_exchanged_once_and_remembered() {
    let script = Scripted::answering(|request| {
        match request
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
        {
            Some("application/json") => status(201, account("7", "anna@example.com")),
            _ => scim_error(415, None, "Unsupported Media Type"),
        }
    })
    .await;
    let app = script.app();
    app.create(&json!({"userName": "anna@example.com"}))
        .await
        .unwrap();
    assert_eq!(script.lines().await.len(), 2);
    app.create(&json!({"userName": "anna@example.com"}))
        .await
        .unwrap();
    assert_eq!(script.lines().await.len(), 3);
    let again = script.app_with(|settings| settings.learned = app.learned());
    again
        .create(&json!({"userName": "anna@example.com"}))
        .await
        .unwrap();
    assert_eq!(script.lines().await.len(), 4);
}

#[tokio::test]
async fn checking_an_app_names_what_is_wrong_with_it() {
    for (answer, class, said) in [
        (
            scim_error(401, None, "Invalid token"),
            Class::Authorization,
            "refused the access token",
        ),
        (
            web_page(200),
            Class::Endpoint,
            "the address answered a web page, not SCIM",
        ),
        (web_page(404), Class::Endpoint, "web page"),
        (
            scim_error(404, None, "No such path"),
            Class::Endpoint,
            "no Users below this address",
        ),
        (
            ok(json!({"hello": "world"})),
            Class::Endpoint,
            "not a list of accounts",
        ),
        (
            ResponseTemplate::new(200).set_body_string("hello"),
            Class::Endpoint,
            "not JSON",
        ),
    ] {
        let script = Scripted::in_turn(vec![answer]).await;
        let error = script.app().check().await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(script.lines().await.len(), 1);
    }
}

#[tokio::test]
async fn a_405_that_is_a_web_page_is_about_the_method_and_not_the_address() {
    let (error, _) = create_against(web_page(405)).await;
    assert_eq!(error.class, Class::Unsupported);
}

#[tokio::test]
async fn a_409_is_a_conflict_though_its_body_is_a_web_page() {
    let (error, _) = create_against(web_page(409)).await;
    assert_eq!(error.class, Class::Conflict, "{error}");
    assert_eq!(error.code(), "scim-conflict");
}

#[tokio::test]
async fn a_refusal_that_speaks_of_seats_is_about_seats_whatever_its_status() {
    for answer in [
        scim_error(403, None, "All seats are taken"),
        scim_error(402, None, "Upgrade your plan"),
        scim_error(409, None, "License limit reached"),
        scim_error(400, Some("tooMany"), "No."),
        scim_error(400, None, "Your quota of users is used up"),
        scim_error(422, None, "0 of 50 license(s) left."),
        scim_error(403, None, "User limits were reached"),
    ] {
        let script = Scripted::answering(move |request| match request.method.as_str() {
            "GET" => ok(list(0, &[])),
            _ => answer.clone(),
        })
        .await;
        let app = script.app();
        let error = app.create(&json!({"userName": "a@b.c"})).await.unwrap_err();
        assert_eq!(error.class, Class::NoSeats, "{error}");
        assert!(app.is_out_of_seats(), "creates wait after {error}");
    }
}

#[tokio::test]
async fn letters_of_seat_or_license_within_another_word_are_not_about_seats() {
    for (answer, class) in [
        (
            scim_error(409, None, "User a.seaton@example.com already exists"),
            Class::Conflict,
        ),
        (
            scim_error(409, None, "<seat@example.com> is taken"),
            Class::Conflict,
        ),
        (
            scim_error(409, None, "User window-seat already exists"),
            Class::Conflict,
        ),
        (
            scim_error(400, None, "Unknown attribute licenseType"),
            Class::Rejected,
        ),
        (
            scim_error(400, None, "urn:acme:2.0:User:license is not known"),
            Class::Rejected,
        ),
    ] {
        let script = Scripted::in_turn(vec![answer]).await;
        let app = script.app();
        let error = app.create(&json!({"userName": "a@b.c"})).await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert!(!app.is_out_of_seats(), "creates go on after {error}");
    }
}

#[tokio::test]
async fn a_403_on_one_account_is_its_own_and_on_one_after_the_other_the_tokens() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "GET" => ok(list(0, &[])),
        _ => scim_error(403, None, "not allowed"),
    })
    .await;
    let app = script.app();
    for _ in 0..4 {
        let error = app.create(&json!({"userName": "a@b.c"})).await.unwrap_err();
        assert_eq!(error.class, Class::Forbidden, "{error}");
        assert_eq!(error.code(), "scim-forbidden");
    }
    let error = app.create(&json!({"userName": "a@b.c"})).await.unwrap_err();
    assert_eq!(error.class, Class::Authorization);
}

#[tokio::test]
async fn a_token_that_reads_accounts_is_good_though_the_description_is_closed_to_it() {
    for code in [401, 403] {
        let script = Scripted::answering(move |request| match request.url.path() {
            "/scim/v2/Users" => ok(list(0, &[])),
            _ => scim_error(code, None, "no"),
        })
        .await;
        let facts = script.app().check().await.unwrap();
        assert_eq!(facts.service_provider_config, None);
        assert!(facts.remarks[0].contains("ServiceProviderConfig"));
    }
}

#[tokio::test]
async fn checking_an_app_bears_missing_discovery_and_heeds_what_there_is() {
    let script = Scripted::answering(|request| match request.url.path() {
        "/scim/v2/Users" => ok(list(41, &[account("1", "a")])),
        _ => web_page(404),
    })
    .await;
    let facts = script.app().check().await.unwrap();
    assert_eq!(facts.accounts, Some(41));
    assert_eq!((facts.service_provider_config, facts.patch), (None, None));
    assert_eq!(
        script.lines().await,
        [
            "GET /scim/v2/Users?startIndex=1&count=1",
            "GET /scim/v2/ServiceProviderConfig"
        ]
    );
    let script = Scripted::answering(|request| match request.url.path() {
        "/scim/v2/Users" => ok(list(0, &[])),
        _ => ok(json!({"patch": {"supported": false}, "filter": {"supported": true, "maxResults": 200}})),
    })
    .await;
    let app = script.app();
    let facts = app.check().await.unwrap();
    assert_eq!(
        (facts.patch, facts.filter, facts.max_results),
        (Some(false), Some(true), Some(200))
    );
    assert_eq!(
        app.learned().update,
        Some(server::connectors::scim::UpdateStyle::Put)
    );
}

#[tokio::test]
async fn a_pasted_token_loses_its_line_end_and_an_impossible_one_is_refused_unsent() {
    let script = Scripted::in_turn(vec![ok(account("7", "anna@example.com"))]).await;
    let app = script.app_with(|settings| settings.token = format!(" {TOKEN}\r\n").into());
    app.get(&AccountId::new("7")).await.unwrap();
    let sent = &script.requests().await[0].headers["authorization"];
    assert_eq!(sent, format!("Bearer {TOKEN}").as_str());
    for token in ["", " \n", "two words", "line\nbreak", "snow☃man"] {
        let outgoing = script.outgoing.clone();
        let settings = server::connectors::ScimSettings::new(
            script.url("/scim").parse().unwrap(),
            token.into(),
            server::connectors::ScimLimits::of(0, 1, 1),
        );
        let clock = std::sync::Arc::new(server::clock::FakeClock::at(noon()));
        let error = server::connectors::ScimApp::new(settings, outgoing, clock).unwrap_err();
        assert_eq!(error.code(), "scim-token-unusable", "{token:?}");
        assert!(error.is_authorization());
        assert!(
            token.trim().is_empty() || !error.to_string().contains(token),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_outage_with_a_wished_pause_holds_back_every_request() {
    let script = Scripted::in_turn(vec![
        ResponseTemplate::new(503).insert_header("retry-after", "20"),
        ok(account("7", "anna@example.com")),
    ])
    .await;
    let app = script.app();
    let error = app.create(&json!({"userName": "a"})).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
    app.get(&AccountId::new("7")).await.unwrap();
    let waited: Duration = script.timer.waits().iter().sum();
    assert!(waited >= Duration::from_secs(19), "{waited:?}");
}
