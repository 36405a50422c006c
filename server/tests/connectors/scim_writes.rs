use provisioning::catalog::ReadOnly;
use provisioning::identity::AccountId;
use provisioning::mapping::{FieldChange, MappingRow};
use serde_json::{Value, json};
use server::connectors::scim::{DeleteEffect, UpdateStyle, noting};
use server::connectors::{RequestCounts, ScimErrorClass, Update};
use wiremock::ResponseTemplate;

use crate::script::*;

fn id() -> AccountId {
    AccountId::new("7")
}

fn change(attribute: &str, old: Option<&str>, new: Option<&str>) -> FieldChange {
    FieldChange {
        attribute: attribute.to_owned(),
        old: old.map(Value::from),
        new: new.map(Value::from),
    }
}

/// A change of the title, as the rules would hand it over.
struct Wish {
    body: Value,
    changes: Vec<FieldChange>,
    rows: Vec<MappingRow>,
}

impl Wish {
    fn title(new: Option<&str>) -> Self {
        let mut body = json!({"userName": "anna@example.com"});
        if let Some(new) = new {
            body["title"] = json!(new);
        }
        Self {
            body,
            changes: vec![change("title", Some("Old"), new)],
            rows: ["userName", "title"]
                .map(|attribute| MappingRow::from_attribute(attribute, "primaryEmail"))
                .to_vec(),
        }
    }

    fn update(&self) -> Update<'_> {
        Update {
            body: &self.body,
            changes: &self.changes,
            rows: &self.rows,
            active: None,
            current: None,
        }
    }
}

fn seven(title: &str, active: bool) -> Value {
    let mut account = account("7", "anna@example.com");
    account["title"] = json!(title);
    account["active"] = json!(active);
    account["nickName"] = json!("Annie");
    account
}

#[tokio::test]
async fn a_created_account_is_read_from_the_answer() {
    let body = json!({"userName": "anna@example.com", "active": true});
    for code in [200, 201] {
        let script = Scripted::in_turn(vec![status(code, account("7", "Anna@Example.com"))]).await;
        let created = script.app().create(&body).await.unwrap();
        assert_eq!(created.id, id());
        let request = &script.requests().await[0];
        assert_eq!(line(request), "POST /scim/v2/Users");
        assert_eq!(request.body_json::<Value>().unwrap(), body);
        assert_eq!(request.headers["content-type"], "application/scim+json");
        assert_eq!(
            request.headers["authorization"],
            format!("Bearer {TOKEN}").as_str()
        );
        assert!(
            request.headers["accept"]
                .to_str()
                .unwrap()
                .starts_with("application/scim+json")
        );
    }
}

#[tokio::test]
async fn a_created_account_that_is_not_answered_is_looked_up_and_its_location_not_trusted() {
    let created =
        ResponseTemplate::new(201).insert_header("location", "https://evil.example/Users/666");
    let found = ok(list(1, &[account("7", "anna@example.com")]));
    let script = Scripted::in_turn(vec![created.clone(), found]).await;
    let body = json!({"userName": "anna@example.com"});
    assert_eq!(script.app().create(&body).await.unwrap().id, id());
    let script = Scripted::in_turn(vec![created, ok(list(0, &[]))]).await;
    let error = script.app().create(&body).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Ambiguous, "{error}");
}

#[tokio::test]
async fn an_update_is_one_write_in_the_style_of_the_catalogue() {
    for (style, operations) in [
        (
            UpdateStyle::PatchValue,
            json!([{"op": "replace", "value": {"title": "New"}}]),
        ),
        (
            UpdateStyle::PatchPaths,
            json!([{"op": "replace", "path": "title", "value": "New"}]),
        ),
    ] {
        let script = Scripted::in_turn(vec![ok(seven("New", true))]).await;
        let app = script.app_with(|settings| settings.update = style);
        let updated = app
            .update(&id(), Wish::title(Some("New")).update())
            .await
            .unwrap();
        assert_eq!(updated.unwrap().resource["title"], "New");
        assert_eq!(script.lines().await, ["PATCH /scim/v2/Users/7"]);
        let body = &script.bodies("PATCH").await[0];
        assert_eq!(body["Operations"], operations);
        assert_eq!(
            body["schemas"],
            json!(["urn:ietf:params:scim:api:messages:2.0:PatchOp"])
        );
    }
}

#[tokio::test]
async fn an_answer_without_a_body_is_a_success_that_tells_nothing() {
    let script = Scripted::in_turn(vec![ResponseTemplate::new(204)]).await;
    let updated = script
        .app()
        .update(&id(), Wish::title(Some("New")).update())
        .await;
    assert_eq!(updated, Ok(None));
}

#[tokio::test]
async fn put_sends_the_account_as_read_with_the_mapped_values_replaced() {
    let script = Scripted::in_turn(vec![ok(seven("Old", true)), ok(seven("New", true))]).await;
    let app = script.app_with(|settings| settings.update = UpdateStyle::Put);
    app.update(&id(), Wish::title(Some("New")).update())
        .await
        .unwrap();
    assert_eq!(
        script.lines().await,
        ["GET /scim/v2/Users/7", "PUT /scim/v2/Users/7"]
    );
    assert_eq!(
        script.bodies("PUT").await[0],
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "active": true,
            "userName": "anna@example.com", "title": "New", "nickName": "Annie"})
    );
}

#[tokio::test]
async fn put_leaves_away_what_the_app_says_clients_can_not_write() {
    let mut read = seven("Old", true);
    read["lastLogin"] = json!("today");
    read["emails"] = json!([{"value": "anna@example.com", "verified": true}]);
    let script = Scripted::in_turn(vec![ok(read), ok(seven("New", true))]).await;
    let told = json!({"id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": [
        {"name": "lastLogin", "mutability": "readOnly"},
        {"name": "emails", "subAttributes": [{"name": "verified", "mutability": "readOnly"}]}]});
    let app = script.app_with(|settings| {
        settings.update = UpdateStyle::Put;
        settings.read_only = ReadOnly::from_schemas(&told);
    });
    app.update(&id(), Wish::title(Some("New")).update())
        .await
        .unwrap();
    let put = script.bodies("PUT").await.remove(0);
    assert_eq!(put["title"], "New");
    assert_eq!(put["nickName"], "Annie", "what others wrote stays");
    assert_eq!(put.get("lastLogin"), None);
    assert_eq!(put["emails"], json!([{"value": "anna@example.com"}]));
}

#[tokio::test]
async fn clearing_takes_paths_or_put_where_the_value_style_can_not() {
    let wish = Wish::title(None);
    let script = Scripted::in_turn(vec![ok(seven("", true))]).await;
    let app = script.app();
    app.update(&id(), wish.update()).await.unwrap();
    let operations = &script.bodies("PATCH").await[0]["Operations"];
    assert_eq!(*operations, json!([{"op": "remove", "path": "title"}]));
    assert_eq!(
        app.learned().update,
        None,
        "clearing says nothing about other changes"
    );
    let script = Scripted::in_turn(vec![ok(seven("Old", true))]).await;
    let app = script.app_with(|settings| settings.clear_needs_put = true);
    app.update(&id(), wish.update()).await.unwrap();
    assert!(script.bodies("PUT").await[0].get("title").is_none());
}

#[tokio::test]
async fn a_refused_style_gives_way_to_the_next_and_is_remembered() {
    let refusals = [
        scim_error(501, None, "no"),
        scim_error(405, None, "no"),
        scim_error(400, Some("invalidSyntax"), "no"),
        scim_error(400, Some("invalidPath"), "no"),
        scim_error(400, None, "no"),
        ResponseTemplate::new(500),
        web_page(400),
        web_page(404),
        web_page(200),
    ];
    for refusal in refusals {
        let shown = format!("{refusal:?}");
        let script = Scripted::answering(move |request| match request.method.as_str() {
            "PATCH" => refusal.clone(),
            _ => ok(seven("New", true)),
        })
        .await;
        let app = script.app();
        app.update(&id(), Wish::title(Some("New")).update())
            .await
            .unwrap();
        assert_eq!(script.bodies("PATCH").await.len(), 2, "{shown}");
        assert_eq!(script.bodies("PUT").await.len(), 1, "{shown}");
        assert_eq!(app.learned().update, Some(UpdateStyle::Put));
        let again = script.app_with(|settings| settings.learned = app.learned());
        again
            .update(&id(), Wish::title(Some("New")).update())
            .await
            .unwrap();
        assert_eq!(script.bodies("PATCH").await.len(), 2, "{shown}");
    }
}

#[tokio::test]
async fn a_refused_value_is_the_persons_trouble_and_not_the_styles() {
    for (answer, class) in [
        (
            scim_error(400, Some("invalidValue"), "title is too long"),
            ScimErrorClass::Rejected,
        ),
        (
            scim_error(400, Some("mutability"), "read-only"),
            ScimErrorClass::Rejected,
        ),
        (
            scim_error(409, Some("uniqueness"), "taken"),
            ScimErrorClass::Conflict,
        ),
        (
            scim_error(401, None, "expired"),
            ScimErrorClass::Authorization,
        ),
        (ResponseTemplate::new(504), ScimErrorClass::Ambiguous),
    ] {
        let script = Scripted::in_turn(vec![answer]).await;
        let error = script
            .app()
            .update(&id(), Wish::title(Some("New")).update())
            .await
            .unwrap_err();
        assert_eq!(error.class, class);
        assert_eq!(script.lines().await.len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_style_that_worked_before_is_not_doubted_for_a_server_error() {
    let script = Scripted::in_turn(vec![ok(seven("New", true)), ResponseTemplate::new(500)]).await;
    let app = script.app();
    let wish = Wish::title(Some("New"));
    app.update(&id(), wish.update()).await.unwrap();
    let error = app.update(&id(), wish.update()).await.unwrap_err();
    assert!(matches!(error.class, ScimErrorClass::Transient { .. }));
    assert_eq!(script.lines().await.len(), 2);
}

#[tokio::test]
async fn not_found_on_a_patch_is_confirmed_by_a_read() {
    let gone = Scripted::in_turn(vec![scim_error(404, None, "not found")]).await;
    let wish = Wish::title(Some("New"));
    let error = gone.app().update(&id(), wish.update()).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::NotFound);
    assert_eq!(
        gone.lines().await,
        ["PATCH /scim/v2/Users/7", "GET /scim/v2/Users/7"]
    );
    let without_patch = Scripted::answering(|request| match request.method.as_str() {
        "PATCH" => scim_error(404, None, "no such route"),
        _ => ok(seven("New", true)),
    })
    .await;
    let app = without_patch.app();
    assert!(app.update(&id(), wish.update()).await.unwrap().is_some());
    assert_eq!(app.learned().update, Some(UpdateStyle::Put));
    let without_put = Scripted::answering(|request| match request.method.as_str() {
        "PUT" => scim_error(404, None, "no such route"),
        _ => ok(seven("New", true)),
    })
    .await;
    let app = without_put.app_with(|settings| settings.update = UpdateStyle::Put);
    assert!(app.update(&id(), wish.update()).await.unwrap().is_some());
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchValue));
}

#[tokio::test]
async fn suspending_is_one_write_with_a_json_boolean_and_whatever_else_changed() {
    let script = Scripted::in_turn(vec![ok(seven("New", false))]).await;
    let wish = Wish::title(Some("New"));
    script
        .app()
        .set_active(&id(), false, wish.update())
        .await
        .unwrap();
    assert_eq!(
        script.bodies("PATCH").await[0]["Operations"],
        json!([{"op": "replace", "value": {"title": "New", "active": false}}])
    );
    let nothing_else = Update {
        changes: &[],
        ..wish.update()
    };
    let script = Scripted::in_turn(vec![ok(seven("New", false))]).await;
    let app = script.app_with(|settings| settings.update = UpdateStyle::PatchPaths);
    app.set_active(&id(), false, nothing_else).await.unwrap();
    assert_eq!(
        script.bodies("PATCH").await[0]["Operations"],
        json!([{"op": "replace", "path": "active", "value": false}])
    );
}

#[tokio::test]
async fn a_suspension_that_is_answered_yes_and_not_done_is_not_taken_for_done() {
    // Values without a path are ignored here; paths work.
    let script = Scripted::answering(|request| {
        let body = request.body_json::<Value>().unwrap_or_default();
        let by_path = body["Operations"][0]["path"] == "active";
        ok(seven("Old", !by_path))
    })
    .await;
    let app = script.app();
    let wish = Wish::title(None);
    let only = Update {
        changes: &[],
        ..wish.update()
    };
    let done = app.set_active(&id(), false, only).await.unwrap().unwrap();
    assert_eq!(done.active, Some(false));
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchPaths));
    let stubborn = Scripted::answering(|_| ok(seven("Old", true))).await;
    let error = stubborn
        .app()
        .set_active(&id(), false, only)
        .await
        .unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Unsupported);
    assert!(
        error.to_string().contains("the account stays active"),
        "{error}"
    );
}

#[tokio::test]
async fn an_entry_of_a_list_is_changed_without_losing_the_others() {
    let mut current = seven("Old", true);
    current["emails"] =
        json!([{"type": "home", "value": "h@x"}, {"type": "work", "value": "old@x"}]);
    let wish = Wish {
        body: json!({"emails": [{"type": "work", "value": "new@x"}]}),
        changes: vec![change(
            "emails[type eq \"work\"].value",
            Some("old@x"),
            Some("new@x"),
        )],
        rows: vec![MappingRow::from_attribute(
            "emails[type eq \"work\"].value",
            "primaryEmail",
        )],
    };
    let emails = json!([{"type": "home", "value": "h@x"}, {"type": "work", "value": "new@x"}]);
    let mut changed = current.clone();
    changed["emails"] = emails.clone();
    let script = Scripted::in_turn(vec![ok(current.clone()), ok(changed.clone())]).await;
    script.app().update(&id(), wish.update()).await.unwrap();
    assert_eq!(
        script.lines().await,
        ["GET /scim/v2/Users/7", "PATCH /scim/v2/Users/7"]
    );
    assert_eq!(
        script.bodies("PATCH").await[0]["Operations"][0]["value"]["emails"],
        emails
    );
    let script = Scripted::in_turn(vec![ok(changed)]).await;
    let knowing = Update {
        current: Some(&current),
        ..wish.update()
    };
    script.app().update(&id(), knowing).await.unwrap();
    assert_eq!(
        script.lines().await.len(),
        1,
        "what the caller read is not read again"
    );
}

#[tokio::test]
async fn deleting_what_is_gone_is_a_success_and_a_web_page_is_not() {
    for answer in [
        ResponseTemplate::new(204),
        ok(json!({})),
        scim_error(404, None, "gone"),
    ] {
        let script = Scripted::in_turn(vec![answer]).await;
        let app = script.app_with(|settings| {
            settings.learned.delete = Some(DeleteEffect::Removes);
        });
        assert_eq!(app.delete(&id()).await, Ok(()));
        assert_eq!(script.lines().await, ["DELETE /scim/v2/Users/7"]);
    }
    for answer in [web_page(404), web_page(200)] {
        let script = Scripted::in_turn(vec![answer]).await;
        let error = script.app().delete(&id()).await.unwrap_err();
        assert_eq!(error.class, ScimErrorClass::Endpoint);
    }
}

#[tokio::test]
async fn runs_count_apart_and_share_the_limits() {
    let script = Scripted::in_turn(vec![ok(seven("New", true))]).await;
    let (first, second) = (RequestCounts::default(), RequestCounts::default());
    let app = script.app();
    app.counting(first.clone()).get(&id()).await.unwrap();
    app.counting(second.clone())
        .update(&id(), Wish::title(Some("New")).update())
        .await
        .unwrap();
    assert_eq!(
        (first.totals().scim_reads, first.totals().scim_writes),
        (1, 0)
    );
    assert_eq!(
        (second.totals().scim_reads, second.totals().scim_writes),
        (0, 1)
    );
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchValue));
}

#[tokio::test]
async fn an_answer_that_shows_the_account_as_it_was_is_checked_by_a_read() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "PATCH" => ok(seven("Old", true)),
        _ => ok(seven("Old", false)),
    })
    .await;
    let wish = Wish::title(None);
    let only = Update {
        changes: &[],
        ..wish.update()
    };
    let done = script.app().set_active(&id(), false, only).await.unwrap();
    assert_eq!(done.unwrap().active, Some(false));
    assert_eq!(script.bodies("PATCH").await.len(), 1);
}

#[tokio::test]
async fn a_value_that_is_answered_yes_and_not_changed_is_tried_in_the_next_style() {
    // Values without a path are ignored here; paths work.
    let title = std::sync::Mutex::new("Old".to_owned());
    let script = Scripted::answering(move |request| {
        let body = request.body_json::<Value>().unwrap_or_default();
        let operation = &body["Operations"][0];
        let mut title = title.lock().unwrap();
        if operation["path"] == "title" {
            *title = operation["value"].as_str().unwrap().to_owned();
        }
        ok(seven(&title, true))
    })
    .await;
    let app = script.app();
    let wish = Wish::title(Some("New"));
    let done = app.update(&id(), wish.update()).await.unwrap().unwrap();
    assert_eq!(done.resource["title"], "New");
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchPaths));
    let (patch, get) = ("PATCH /scim/v2/Users/7", "GET /scim/v2/Users/7");
    assert_eq!(script.lines().await, [patch, get, patch]);
    app.update(&id(), wish.update()).await.unwrap();
    assert_eq!(script.lines().await, [patch, get, patch, patch]);
}

#[tokio::test]
async fn a_value_that_no_style_changes_is_no_failure_and_costs_nothing_the_next_time() {
    let script = Scripted::answering(|_| ok(seven("Old", true))).await;
    let app = script.app();
    let wish = Wish::title(Some("New"));
    let done = app.update(&id(), wish.update()).await.unwrap().unwrap();
    assert_eq!(done.resource["title"], "Old");
    let writes = (script.bodies("PATCH").await, script.bodies("PUT").await);
    assert_eq!((writes.0.len(), writes.1.len()), (2, 1));
    assert_eq!(app.learned().update, Some(UpdateStyle::PatchValue));
    let before = script.lines().await.len();
    let again = script.app_with(|settings| settings.learned = app.learned());
    again.update(&id(), wish.update()).await.unwrap();
    assert_eq!(script.lines().await.len(), before + 1);
}

#[tokio::test]
async fn an_answer_that_shows_a_value_as_it_was_is_checked_by_one_read() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "PATCH" => ok(seven("Old", true)),
        _ => ok(seven("New", true)),
    })
    .await;
    let app = script.app();
    let wish = Wish::title(Some("New"));
    let done = app.update(&id(), wish.update()).await.unwrap().unwrap();
    assert_eq!(done.resource["title"], "New");
    app.update(&id(), wish.update()).await.unwrap();
    let (patch, get) = ("PATCH /scim/v2/Users/7", "GET /scim/v2/Users/7");
    assert_eq!(script.lines().await, [patch, get, patch]);
}

#[tokio::test]
async fn a_value_that_the_app_rewrites_is_taken_for_changed() {
    for kept in ["NEW", "N.", ""] {
        let script = Scripted::in_turn(vec![ok(seven(kept, true))]).await;
        let wish = Wish::title(Some("New"));
        script.app().update(&id(), wish.update()).await.unwrap();
        assert_eq!(script.lines().await, ["PATCH /scim/v2/Users/7"]);
    }
}

#[tokio::test]
async fn what_the_app_took_is_no_failure_because_it_refuses_another_style() {
    for refusal in [
        scim_error(400, Some("invalidPath"), "no"),
        scim_error(400, Some("invalidValue"), "no"),
        scim_error(403, None, "no"),
        ResponseTemplate::new(504),
    ] {
        let script = Scripted::answering(move |request| {
            let body = request.body_json::<Value>().unwrap_or_default();
            match request.method.as_str() {
                "PUT" => scim_error(405, None, "no PUT"),
                "PATCH" if body["Operations"][0].get("path").is_some() => refusal.clone(),
                _ if request.url.path() == "/scim/v2/Users" => ok(list(0, &[])),
                _ => ok(seven("Old", true)),
            }
        })
        .await;
        let app = script.app();
        let wish = Wish::title(Some("New"));
        let (id, update) = (id(), wish.update());
        let (done, sent) = noting(Box::pin(app.update(&id, update))).await;
        assert_eq!(done.unwrap().unwrap().resource["title"], "Old");
        assert_eq!(sent.unwrap().status, Some(200), "the write that counted");
        let before = script.lines().await.len();
        app.update(&id, update).await.unwrap();
        assert_eq!(script.lines().await.len(), before + 1);
    }
}

#[tokio::test]
async fn the_later_error_tells_where_a_write_stands() {
    for (later, class) in [
        (ResponseTemplate::new(504), ScimErrorClass::Ambiguous),
        (
            ResponseTemplate::new(500),
            ScimErrorClass::Transient { retry_after: None },
        ),
        (
            scim_error(401, None, "expired"),
            ScimErrorClass::Authorization,
        ),
        (web_page(404), ScimErrorClass::Endpoint),
    ] {
        let script = Scripted::answering(move |request| match request.method.as_str() {
            "GET" => ok(seven("Old", true)),
            "PATCH" => scim_error(501, None, "no PATCH"),
            _ => later.clone(),
        })
        .await;
        let wish = Wish::title(Some("New"));
        let error = script.app().update(&id(), wish.update()).await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
    }
}

#[tokio::test]
async fn a_suspension_without_an_answer_is_read_and_tried_in_every_style() {
    // Only PUT really suspends here, and nothing is answered.
    let suspended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = suspended.clone();
    let script = Scripted::answering(move |request| match request.method.as_str() {
        "GET" => ok(seven(
            "Old",
            !state.load(std::sync::atomic::Ordering::Relaxed),
        )),
        "PUT" => {
            state.store(true, std::sync::atomic::Ordering::Relaxed);
            ResponseTemplate::new(204)
        }
        _ => ResponseTemplate::new(204),
    })
    .await;
    let app = script.app_with(|settings| settings.update = UpdateStyle::PatchPaths);
    let wish = Wish::title(None);
    let only = Update {
        changes: &[],
        ..wish.update()
    };
    let done = app.set_active(&id(), false, only).await.unwrap().unwrap();
    assert_eq!(done.active, Some(false));
    assert_eq!(script.bodies("PATCH").await.len(), 2);
    assert_eq!(app.learned().update, Some(UpdateStyle::Put));
}

#[tokio::test]
async fn what_the_app_did_not_keep_is_remembered_until_it_does() {
    let script = Scripted::in_turn(vec![
        ok(json!({"id": "7", "userName": "anna@example.com", "name": {"formatted": "Anna"}})),
        ok(json!({"id": "7", "userName": "anna@example.com", "name": {"formatted": "Anna"}, "title": "New"})),
    ])
    .await;
    let app = script.app();
    let body =
        json!({"userName": "anna@example.com", "title": "New", "name": {"formatted": "Anna"}});
    app.create(&body).await.unwrap();
    assert_eq!(
        app.learned().not_kept.into_iter().collect::<Vec<_>>(),
        ["title"]
    );
    app.create(&body).await.unwrap();
    assert!(app.learned().not_kept.is_empty());
}

#[tokio::test]
async fn a_deletion_that_leaves_an_active_account_is_not_taken_for_done() {
    let script = Scripted::answering(|request| match request.method.as_str() {
        "DELETE" => ResponseTemplate::new(204),
        _ => ok(seven("Old", true)),
    })
    .await;
    let error = script.app().delete(&id()).await.unwrap_err();
    assert_eq!(error.class, ScimErrorClass::Ambiguous, "{error}");
}
