//! Whatever a directory or an app answers, well meant or not: it is a value or an error that
//! names its cause, never a panic, never an endless listing, and never a secret in a message.
//!
//! Each case takes a good answer and spoils it: other values in some places, places missing, text
//! cut off, another status or type. `ROLLCALL_PROPERTY_FACTOR` multiplies the cases and
//! `ROLLCALL_SEED` chooses them.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use provisioning::catalog::attributes_from_schemas;
use provisioning::identity::{AccountId, GroupId, Person, PersonId};
use serde_json::{Value, json};
use server::connectors::{DirectoryError, ScimApp, ScimError, Update, UserListing};
use server::services::saml;
use wiremock::ResponseTemplate;

use crate::script::*;

/// Far more pages than any of these answers has.
const MOST_PAGES: usize = 2_000;

/// What a server says to every request of one case.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    media: &'static str,
    body: Vec<u8>,
}

impl Answer {
    fn template(&self) -> ResponseTemplate {
        ResponseTemplate::new(self.status).set_body_raw(self.body.clone(), self.media)
    }
}

fn config(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let factor = number("ROLLCALL_PROPERTY_FACTOR").unwrap_or(1);
    let seed = number("ROLLCALL_SEED").unwrap_or(20_261_127);
    println!(
        "answers: {} cases, ROLLCALL_SEED={seed}",
        u64::from(cases) * factor
    );
    ProptestConfig {
        cases: cases * factor as u32,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..ProptestConfig::default()
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("true")),
        Just(json!("\u{0}\u{202e}")),
        Just(json!("https://user:secret@[::1]:0/%00")),
        Just(json!("x".repeat(5_000))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z$:.]{0,8}", inner, 0..3)
                .prop_map(|members| json!(members)),
        ]
    })
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.values().map(size).sum(),
        _ => 0,
    }
}

/// Puts `put` where the walk through all places comes to `at`; without it the place goes.
fn spoil(value: &mut Value, at: &mut usize, put: Option<&Value>) -> bool {
    if *at == 0 {
        *value = put.cloned().unwrap_or(Value::Null);
        return true;
    }
    *at -= 1;
    match value {
        Value::Array(items) => {
            if *at == 0 && put.is_none() && !items.is_empty() {
                items.remove(0);
                return true;
            }
            items.iter_mut().any(|item| spoil(item, at, put))
        }
        Value::Object(members) => {
            if *at == 0 && put.is_none() {
                let first = members.keys().next().cloned();
                return first.is_some_and(|key| members.remove(&key).is_some());
            }
            members.values_mut().any(|member| spoil(member, at, put))
        }
        _ => false,
    }
}

fn answer(good: Vec<Value>) -> impl Strategy<Value = Answer> {
    let places = prop::collection::vec((0..60usize, prop::option::of(odd_value())), 0..5);
    let status = prop_oneof![
        6 => Just(200u16),
        1 => prop::sample::select(vec![
            201u16, 204, 301, 400, 401, 402, 403, 404, 409, 412, 418, 429, 500, 501, 503
        ]),
    ];
    let media = prop::sample::select(vec![
        "application/scim+json",
        "application/json; charset=utf-8",
        "text/html",
        "",
    ]);
    let cut = prop::option::weighted(0.15, 0.0..1.0f64);
    let noise = prop::option::weighted(0.1, prop::collection::vec(any::<u8>(), 0..40));
    (
        prop::sample::select(good),
        places,
        status,
        media,
        cut,
        noise,
    )
        .prop_map(|(mut value, places, status, media, cut, noise)| {
            for (at, put) in places {
                let mut at = at % size(&value);
                spoil(&mut value, &mut at, put.as_ref());
            }
            let mut body = value.to_string().into_bytes();
            if let Some(part) = cut {
                body.truncate((body.len() as f64 * part) as usize);
            }
            if let Some(noise) = noise {
                body.extend(noise);
            }
            Answer {
                status,
                media,
                body,
            }
        })
}

/// Puts each answer before `meet`, which talks to the server and comes back.
fn whatever_is_answered<T>(
    good: Vec<Value>,
    cases: u32,
    directory: bool,
    connect: impl Fn(&Scripted) -> T,
    meet: impl AsyncFn(&T),
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let now: Arc<Mutex<Option<Answer>>> = Arc::default();
    let answering = {
        let now = now.clone();
        move |_: &wiremock::Request| now.lock().unwrap().as_ref().unwrap().template()
    };
    let script = runtime.block_on(async {
        if directory {
            Scripted::directory(answering).await
        } else {
            Scripted::answering(answering).await
        }
    });
    TestRunner::new(config(cases))
        .run(&answer(good), |answer| {
            *now.lock().unwrap() = Some(answer);
            runtime.block_on(meet(&connect(&script)));
            Ok(())
        })
        .unwrap();
}

/// An error is one line about the thing, and no secret.
fn assert_told(error: &(impl ToString + Debug)) {
    let said = error.to_string();
    assert!(!said.trim().is_empty(), "{error:?}");
    assert!(!said.contains(TOKEN) && !said.contains("ya29"), "{said}");
    assert!(said.chars().count() < 3_000, "{said}");
}

fn scim<T>(result: Result<T, ScimError>) -> Option<T> {
    result.inspect_err(assert_told).ok()
}

fn google<T>(result: Result<T, DirectoryError>) -> Option<T> {
    result.inspect_err(assert_told).ok()
}

fn good_scim() -> Vec<Value> {
    let full = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "id": "7", "externalId": "e7", "userName": "ann@example.com", "active": true,
        "name": {"formatted": "Ann", "givenName": "Ann"},
        "emails": [{"value": "ann@example.com", "primary": true, "type": "work"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
            {"department": "D", "manager": {"value": "3", "$ref": "../3"}},
        "meta": {"resourceType": "User", "version": "W/\"1\"", "location": "/Users/7"},
    });
    vec![
        full.clone(),
        list(1, std::slice::from_ref(&full)),
        list(250, &[account("1", "a@example.com"), full]),
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "409",
            "scimType": "uniqueness", "detail": "taken"}),
        json!({"errors": [{"message": "no", "phrase": "3 small dogs"}]}),
        json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": true}, "filter": {"supported": true, "maxResults": 200},
            "etag": {"supported": false}, "bulk": {"supported": false, "maxOperations": 0},
            "authenticationSchemes": [{"type": "oauthbearertoken", "name": "Bearer"}]}),
        json!({"totalResults": 1, "Resources": [{"id": "urn:ietf:params:scim:schemas:core:2.0:User",
        "name": "User", "attributes": [
            {"name": "userName", "type": "string", "required": true, "mutability": "readWrite"},
            {"name": "emails", "type": "complex", "multiValued": true, "subAttributes": [
                {"name": "value", "type": "string"}, {"name": "type", "canonicalValues": ["work"]}]}
        ]}]}),
    ]
}

#[test]
fn an_app_may_answer_anything() {
    whatever_is_answered(
        good_scim(),
        60,
        false,
        Scripted::app,
        async |app: &ScimApp| {
            let mut listing = app.accounts();
            let mut pages = 0;
            while let Some(Some(_)) = scim(listing.next_page().await) {
                pages += 1;
                assert!(pages < MOST_PAGES, "the listing has no end");
            }
            let _ = (listing.trust(), listing.total());
            let id = AccountId::from("7".to_owned());
            scim(app.get(&id).await);
            scim(app.find_by_user_name("ann@example.com").await);
            scim(app.create(&account("", "ann@example.com")).await);
            let body = account("", "ann@example.com");
            let update = Update {
                body: &body,
                changes: &[],
                rows: &[],
                active: Some(false),
                current: None,
            };
            scim(app.update(&id, update).await);
            scim(app.delete(&id).await);
            scim(app.check().await);
            if let Some(Some(schemas)) = scim(app.raw_schemas().await) {
                let _ = attributes_from_schemas(&schemas);
            }
        },
    );
}

fn good_google() -> Vec<Value> {
    let ann = json!({
        "kind": "admin#directory#user", "id": "118", "etag": "\"x\"",
        "primaryEmail": "ann@example.com", "aliases": ["a@example.com"],
        "name": {"givenName": "Ann", "familyName": "Bee", "fullName": "Ann Bee"},
        "suspended": false, "archived": false, "orgUnitPath": "/Eng", "customerId": "C01",
        "organizations": [{"primary": true, "title": "T", "department": "D"}],
        "relations": [{"type": "manager", "value": "bo@example.com"}],
        "phones": [{"type": "work", "value": "1"}], "customSchemas": {"S": {"f": [{"value": 1}]}},
        "deletionTime": "2026-11-01T00:00:00.000Z",
    });
    vec![
        ann.clone(),
        json!({"kind": "admin#directory#users", "users": [ann], "nextPageToken": "t"}),
        json!({"kind": "admin#directory#users", "users": [ann]}),
        json!({"groups": [{"id": "g1", "email": "g@example.com", "name": "G",
            "directMembersCount": "3", "aliases": []}]}),
        json!({"members": [{"id": "1", "email": "a@example.com", "type": "USER", "role": "MEMBER",
            "status": "ACTIVE"}, {"id": "g2", "type": "GROUP"}, {"id": "C01", "type": "CUSTOMER"}]}),
        json!({"organizationUnits": [{"orgUnitId": "id:1", "orgUnitPath": "/Eng", "name": "Eng",
            "parentOrgUnitId": "id:0", "parentOrgUnitPath": "/"}]}),
        json!({"domains": [{"domainName": "example.com", "isPrimary": true, "verified": true}]}),
        json!({"id": "C01", "customerDomain": "example.com"}),
        json!({"error": {"code": 403, "message": "slow down", "errors": [
            {"domain": "usageLimits", "reason": "userRateLimitExceeded", "message": "m"}]}}),
    ]
}

#[test]
fn a_directory_may_answer_anything() {
    let meet = async |directory: &server::connectors::GoogleDirectory| {
        let group = GroupId::from("g1".to_owned());
        for mut listing in [
            directory.users(UserListing::Current),
            directory.users(UserListing::Deleted),
            directory.groups(),
            directory.members(&group),
        ] {
            let mut pages = 0;
            while let Some(Some(page)) = google(listing.next_page().await) {
                pages += 1;
                assert!(pages < MOST_PAGES, "the listing has no end");
                for user in &page {
                    if let Err(problem) = Person::from_google(user, false) {
                        assert_told(&problem);
                    }
                }
            }
        }
        google(directory.org_units().await);
        google(directory.domains().await);
        google(directory.customer().await);
        google(directory.user(&PersonId::from("118".to_owned())).await);
        google(directory.group(&group).await);
        for check in directory.test_scopes().await {
            let _ = check.sentence();
        }
    };
    whatever_is_answered(good_google(), 60, true, Scripted::google, meet);
}

const METADATA: &str = r#"<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata"
    xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://idp.example/saml">
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data>
      <ds:X509Certificate>MIIBszCCAVmgAwIBAgIUTm90QQ==</ds:X509Certificate>
    </ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
    <md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
      Location="https://idp.example/sso?a=1&amp;b=2"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>"#;

#[test]
fn metadata_may_be_anything() {
    let piece = prop_oneof![
        "[<>/&;\"'=!\\[\\]\\-?a-z0-9:# \u{0}\u{feff}é]{0,8}",
        prop::sample::select(vec![
            "<![CDATA[",
            "]]>",
            "<!--",
            "<!DOCTYPE x [<!ENTITY a \"b\">]>",
            "&a;",
            "&#0;",
            "<?x?>",
            "<md:EntityDescriptor>",
            "</md:IDPSSODescriptor>",
            "xmlns:md=\"\"",
            "use=\"encryption\"",
        ])
        .prop_map(str::to_owned),
    ];
    let edits = prop::collection::vec((0.0..1.0f64, 0..40usize, piece), 0..6);
    TestRunner::new(config(400))
        .run(&edits, |edits| {
            let mut text = METADATA.to_owned();
            for (place, cut, put) in edits {
                let near = |at: usize| {
                    (0..=at.min(text.len()))
                        .rev()
                        .find(|at| text.is_char_boundary(*at))
                        .unwrap()
                };
                let from = near((text.len() as f64 * place) as usize);
                let to = near(from + cut);
                text.replace_range(from..to.max(from), &put);
            }
            match saml::parse(&text) {
                Ok(provider) => {
                    assert!(!provider.entity_id.trim().is_empty(), "{text}");
                    assert!(provider.sign_in_url.starts_with("http"), "{text}");
                }
                Err(problem) => assert_told(&problem),
            }
            Ok(())
        })
        .unwrap();
}
