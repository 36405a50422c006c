//! The audit log as the console reads it: filters from the address bar, pages by keyset.

use std::collections::HashMap;

use app::api::audit::{AuditPage, AuditQuery, EventDetail, EventRow, LAST, SavedFilter, When};
use app::api::terms::{Change, Time};
use app::api::{ApiError, FieldCode};
use app::services::{Actor, Answer, Audit};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use provisioning::catalog::CatalogEntry;
use provisioning::config;
use provisioning::event::EventName;
use provisioning::plan::OperationKind;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::standing;
use super::zones::Zone;
use crate::setting_words::say;
use crate::store::event_pages;
use crate::store::events::{self, EventFilter, EventKey, Order, Wanted};
use crate::store::pages::{people, runs};
use crate::store::{StoreError, apps, saved_filters};
use crate::sync::Engine;

const PER_PAGE: usize = 50;

#[derive(Debug, Clone)]
pub struct AuditService {
    pub engine: Engine,
}

/// The keys of groups of events.
pub const PROVISIONING: &str = "provisioning";
const CONSOLE: &str = "console";
/// What is kept of a filter: the address has no more.
const LONGEST_QUERY: usize = 2000;
const LONGEST_NAME: usize = 80;

/// The key by which an event is named in the address bar.
pub fn key_of(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn named(key: &str) -> Option<EventName> {
    EventName::ALL
        .iter()
        .copied()
        .find(|name| key_of(name.as_str()) == key || name.as_str().eq_ignore_ascii_case(key))
}

/// The names behind the key of a group.
fn grouped(key: &str) -> Option<Vec<String>> {
    let wanted = match key {
        PROVISIONING => true,
        CONSOLE => false,
        _ => return None,
    };
    let names = EventName::ALL
        .iter()
        .filter(|name| name.is_provisioning() == wanted);
    Some(names.map(|name| name.as_str().to_owned()).collect())
}

/// What was asked for as the store understands it; `None` when it can match nothing.
/// Days are those of `zone`.
pub async fn filter(
    db: &mut PgConnection,
    query: &AuditQuery,
    zone: Zone,
    now: DateTime<Utc>,
) -> Answer<Option<EventFilter>> {
    // The database takes no NUL, so nothing holds one.
    let asked = [&query.q, &query.app, &query.person, &query.actor];
    if asked.into_iter().flatten().any(|text| text.contains('\0')) {
        return Ok(None);
    }
    let mut filter = EventFilter::default();
    let text = |value: &Option<String>| {
        value
            .as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    if let Some(from) = text(&query.from) {
        let Some(moment) = moment(&from, Edge::Start, zone) else {
            return Ok(None);
        };
        filter.since = Some(moment);
    }
    if let Some(to) = text(&query.to) {
        let Some(moment) = moment(&to, Edge::End, zone) else {
            return Ok(None);
        };
        filter.until = Some(moment);
    }
    if let Some(last) = text(&query.last) {
        let Some((.., when)) = LAST.iter().find(|(key, ..)| *key == last) else {
            return Ok(None);
        };
        let (since, until) = stretch(*when, zone, now);
        filter.since = filter.since.max(Some(since));
        filter.until = match (filter.until, until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
    if let Some(key) = text(&query.event) {
        match (named(&key), grouped(&key)) {
            (Some(name), _) => filter.event = Some(name.as_str().to_owned()),
            (None, Some(names)) => filter.events = names,
            (None, None) => return Ok(None),
        }
    }
    filter.outcome = query.outcome.map(|outcome| {
        match outcome {
            app::api::terms::Outcome::Ok => "ok",
            app::api::terms::Outcome::Failed => "failed",
        }
        .to_owned()
    });
    filter.app = text(&query.app);
    filter.person = text(&query.person);
    // The worker acts under one name, however it is typed.
    filter.actor = text(&query.actor).map(|actor| {
        if actor.eq_ignore_ascii_case("rollcall") {
            "Rollcall".to_owned()
        } else {
            actor
        }
    });
    if let Some(run) = text(&query.run) {
        let id = match (run.parse::<Uuid>(), run.replace(',', "").parse::<i64>()) {
            (Ok(id), _) => Some(id),
            (_, Ok(number)) => runs::id_of(db, number, filter.app.as_deref()).await?,
            _ => None,
        };
        let Some(id) = id else { return Ok(None) };
        filter.run = Some(id);
    }
    filter.text = text(&query.q);
    Ok(Some(filter))
}

/// From when and until when; without an end it goes on.
fn stretch(when: When, zone: Zone, now: DateTime<Utc>) -> (DateTime<Utc>, Option<DateTime<Utc>>) {
    let this_month = zone.month(now);
    match when {
        When::Hours(hours) => (now - TimeDelta::hours(hours), None),
        When::ThisMonth => (this_month, None),
        When::LastMonth => (
            zone.month(this_month - TimeDelta::hours(12)),
            Some(this_month),
        ),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Start,
    End,
}

/// A day, or a time in RFC 3339. The end of a day is the beginning of the next.
fn moment(text: &str, edge: Edge, zone: Zone) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.with_timezone(&Utc));
    }
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(match edge {
        Edge::Start => zone.start(day),
        Edge::End => zone.end(day),
    })
}

async fn key(db: &mut PgConnection, id: Option<&str>) -> Answer<Option<EventKey>> {
    let Some(id) = id.map(str::trim).filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let event = match id.parse() {
        Ok(id) => events::get(db, id).await?,
        Err(_) => None,
    };
    event
        .map(|event| {
            Some(EventKey {
                time: event.time,
                id: event.id,
            })
        })
        .ok_or_else(ApiError::not_found)
}

#[async_trait]
impl Audit for AuditService {
    async fn events(&self, actor: &Actor, query: AuditQuery, zone: &str) -> Answer<AuditPage> {
        let mut db = self.engine.connection().await?;
        let zone = Zone::named(zone);
        let before = key(&mut db, query.before.as_deref()).await?;
        let after = key(&mut db, query.after.as_deref()).await?;
        let mut page = AuditPage {
            rows: Vec::new(),
            about: Some(0),
            older: None,
            newer: None,
            events: kinds(),
            apps: Vec::new(),
            saved: (saved_filters::list(&mut db, actor.id).await?.into_iter())
                .map(|one| SavedFilter {
                    id: one.id,
                    name: one.name,
                    query: one.query,
                })
                .collect(),
            zone: zone.name().to_owned(),
        };
        let known = apps::list(&mut db).await?;
        page.apps = known
            .iter()
            .map(|app| (app.slug.to_string(), app.name.clone()))
            .collect();
        let Some(filter) = filter(&mut db, &query, zone, self.engine.clock.now()).await? else {
            return Ok(page);
        };

        let wanted = Wanted::look_up(&mut db, &filter).await?;
        // One more than shown tells whether there is more in that direction.
        let limit = i64::try_from(PER_PAGE + 1).unwrap_or(i64::MAX);
        let (mut rows, older, newer) = match after {
            Some(after) => {
                let mut rows =
                    events::page_of(&mut db, &wanted, Order::OldestFirst, Some(after), limit)
                        .await?;
                let more = rows.len() > PER_PAGE;
                rows.truncate(PER_PAGE);
                rows.reverse();
                (rows, true, more)
            }
            None => {
                let rows =
                    events::page_of(&mut db, &wanted, Order::NewestFirst, before, limit).await?;
                let more = rows.len() > PER_PAGE;
                (rows, more, before.is_some())
            }
        };
        rows.truncate(PER_PAGE);
        page.older = rows
            .last()
            .filter(|_| older)
            .map(|event| event.id.to_string());
        page.newer = rows
            .first()
            .filter(|_| newer)
            .map(|event| event.id.to_string());
        page.about = match (before, after) {
            (None, None) if !older => u64::try_from(rows.len()).ok(),
            _ => event_pages::about(&mut db, &wanted).await?,
        };
        page.rows = event_rows(&mut db, rows, &page.apps).await?;
        Ok(page)
    }

    async fn event(&self, id: &str) -> Answer<EventDetail> {
        let mut db = self.engine.connection().await?;
        let id: i64 = id.parse().map_err(|_| ApiError::not_found())?;
        let event = events::get(&mut db, id)
            .await?
            .ok_or_else(ApiError::not_found)?;
        let previous = event_pages::seal_before(&mut db, id).await?;
        let apps = apps::list(&mut db).await?;
        let apps: Vec<_> = apps
            .iter()
            .map(|app| (app.slug.to_string(), app.name.clone()))
            .collect();
        let part = |name: &str| {
            event
                .detail
                .as_ref()
                .and_then(|detail| detail.get(name))
                .and_then(shown)
        };
        let row = event_rows(&mut db, vec![event.clone()], &apps)
            .await?
            .pop()
            .ok_or_else(ApiError::not_found)?;
        Ok(EventDetail {
            row,
            reason: event.reason.as_deref().map(standing::in_words),
            account: event.account_id.clone(),
            changes: said(&event),
            request: part("request"),
            response: part("response"),
            error: error(&event),
            address: event
                .detail
                .as_ref()
                .and_then(|detail| detail.get("address"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            previous_hash: event.hash.as_ref().and(previous).as_deref().map(hex),
            hash: event.hash.as_deref().map(hex),
        })
    }

    async fn save_filter(&self, actor: &Actor, name: &str, query: &str) -> Answer<()> {
        let name = name.trim();
        if name.is_empty() {
            return Err(ApiError::field("name", FieldCode::Required));
        }
        if name.chars().count() > LONGEST_NAME {
            return Err(ApiError::field("name", FieldCode::TooLong));
        }
        if !is_query(query) {
            return Err(ApiError::field("query", FieldCode::Invalid));
        }
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        saved_filters::save(&mut db, actor.id, name, query, now).await?;
        Ok(())
    }

    async fn forget_filter(&self, actor: &Actor, id: i64) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        match saved_filters::forget(&mut db, actor.id, id).await? {
            true => Ok(()),
            false => Err(ApiError::not_found()),
        }
    }
}

/// Groups of events first, then each kind.
fn kinds() -> Vec<(String, String)> {
    let groups = [
        (PROVISIONING, "Any change of an account"),
        (CONSOLE, "Anything else"),
    ];
    let groups = groups.map(|(key, name)| (key.to_owned(), name.to_owned()));
    let each = EventName::ALL
        .iter()
        .map(|name| (key_of(name.as_str()), name.as_str().to_owned()));
    groups.into_iter().chain(each).collect()
}

/// Whether a text could stand in the address of the log.
fn is_query(text: &str) -> bool {
    text.len() <= LONGEST_QUERY && text.chars().all(|c| c.is_ascii_graphic() && c != '#')
}

/// Events as lines, with names of people and numbers of runs looked up once for all of them.
pub async fn event_rows(
    db: &mut PgConnection,
    rows: Vec<events::EventRow>,
    apps: &[(String, String)],
) -> Result<Vec<EventRow>, StoreError> {
    let ids: Vec<String> = rows
        .iter()
        .filter_map(|event| event.person_id.clone())
        .collect();
    let run_ids: Vec<Uuid> = rows.iter().filter_map(|event| event.run_id).collect();
    let names: HashMap<String, String> = people::named(&mut *db, &ids)
        .await?
        .into_iter()
        .map(|person| (person.id, person.name))
        .collect();
    let numbers: HashMap<Uuid, i64> = runs::numbers(db, &run_ids).await?.into_iter().collect();
    Ok(rows
        .iter()
        .map(|event| row(event, apps, &names, &numbers))
        .collect())
}

fn row(
    event: &events::EventRow,
    apps: &[(String, String)],
    names: &HashMap<String, String>,
    numbers: &HashMap<Uuid, i64>,
) -> EventRow {
    let time: Time = event.time;
    EventRow {
        id: event.id.to_string(),
        time,
        key: key_of(&event.event),
        name: event.event.clone(),
        outcome: standing::outcome(&event.outcome),
        kind: operation_of(&event.event).map(standing::kind),
        actor: event.actor.clone(),
        app: event.app.as_ref().map(|slug| {
            let name = apps
                .iter()
                .find(|(known, _)| known == slug)
                .map_or(slug, |(_, name)| name);
            (slug.clone(), name.clone())
        }),
        person: event.person_id.as_ref().map(|id| {
            let name = names.get(id).filter(|name| !name.is_empty()).cloned();
            (
                id.clone(),
                name.or_else(|| event.person_email.clone())
                    .unwrap_or_else(|| id.clone()),
            )
        }),
        summary: summary(event),
        run: event.run_id.and_then(|run| numbers.get(&run).copied()),
    }
}

/// The operation that an event of provisioning tells of.
pub fn operation_of(event: &str) -> Option<OperationKind> {
    OperationKind::ALL
        .into_iter()
        .find(|kind| EventName::of(*kind).as_str() == event)
}

/// One line: why it failed, else what changed, else why it was done.
pub fn summary(event: &events::EventRow) -> String {
    if let Some(error) = error(event) {
        return error;
    }
    let attributes: Vec<String> = said(event)
        .into_iter()
        .map(|change| change.attribute)
        .collect();
    match (operation_of(&event.event), attributes.as_slice()) {
        (Some(OperationKind::Create), [_, ..]) => values(attributes.len()),
        (_, [one]) => one.clone(),
        (_, [one, two]) => format!("{one}, {two}"),
        (_, [one, two, rest @ ..]) => format!("{one}, {two} and {} more", rest.len()),
        (_, []) => standing::in_words(event.reason.as_deref().unwrap_or_default()),
    }
}

fn values(count: usize) -> String {
    if count == 1 {
        "1 value".to_owned()
    } else {
        format!("{count} values")
    }
}

fn error(event: &events::EventRow) -> Option<String> {
    let error = event.error.as_ref()?;
    error
        .get("message")
        .or(error.get("code"))
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or_else(|| shown(error))
}

/// What an event changed, a setting in the words that its page and the history have for it.
fn said(event: &events::EventRow) -> Vec<Change> {
    let name: Option<EventName> = event.event.parse().ok();
    let of_app = matches!(
        name,
        Some(EventName::ConfigurationChanged | EventName::SsoChanged)
    );
    if operation_of(&event.event).is_some() {
        return changes(event.changes.as_ref());
    }
    listed(event.changes.as_ref())
        .into_iter()
        .map(|change| match (setting(&change.key), of_app) {
            (None, true) => {
                let said = say(&change, None::<&CatalogEntry>);
                Change {
                    attribute: format!("{}: {}", said.section, said.label),
                    old: said.before,
                    new: said.after,
                }
            }
            (Some(words), _) => in_text(words.to_owned(), &change),
            (None, false) => in_text(standing::attribute(&change.key), &change),
        })
        .collect()
}

/// What the console calls a setting that is not in an app's configuration.
fn setting(key: &str) -> Option<&'static str> {
    Some(match key {
        "session_idle_minutes" => "Minutes without use until signed out",
        "session_longest_hours" => "Hours until signed out in any case",
        "retention_days" => "Days that events are kept",
        "name" => "Name",
        "endpoint" => "Endpoint",
        "host" => "Mail server",
        "port" => "Port",
        "security" => "Security",
        "user_name" => "User name",
        "sender" => "Sender",
        "recipients" => "Recipients",
        "digest" => "Daily digest",
        "address" => "Address",
        "key" => "Key",
        "admin_email" | "administrator" => "Administrator",
        "customer" => "Customer",
        "primary domain" => "Primary domain",
        "people" => "People",
        _ => return None,
    })
}

/// Old and new values, in whichever of the log's two shapes: a list of attributes, or an object.
pub fn changes(value: Option<&Value>) -> Vec<Change> {
    listed(value)
        .iter()
        .map(|change| in_text(standing::attribute(&change.key), change))
        .collect()
}

fn in_text(attribute: String, change: &config::Change) -> Change {
    Change {
        attribute,
        old: change.before.as_ref().and_then(shown),
        new: change.after.as_ref().and_then(shown),
    }
}

fn listed(value: Option<&Value>) -> Vec<config::Change> {
    let change = |key: &str, before: Option<&Value>, after: Option<&Value>| config::Change {
        key: key.to_owned(),
        before: before.cloned(),
        after: after.cloned(),
    };
    match value {
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(|item| {
                let name = ["attribute", "field", "path", "key"]
                    .iter()
                    .find_map(|key| item.get(key))?;
                let (old, new) = (item.get("old"), item.get("new"));
                Some(change(
                    name.as_str()?,
                    old.or(item.get("before")),
                    new.or(item.get("after")),
                ))
            })
            .collect(),
        Some(Value::Object(members)) => members
            .iter()
            .map(|(name, value)| match (value.get("old"), value.get("new")) {
                (None, None) => change(name, None, Some(value)),
                (old, new) => change(name, old, new),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A JSON value for people: text as it is, a request by its first line and its body, the rest as
/// JSON; nothing when there is nothing.
pub fn shown(value: &Value) -> Option<String> {
    let text = |name| value.get(name).and_then(Value::as_str);
    if let (Some(method), Some(path)) = (text("method"), text("path")) {
        let line = format!("{method} {path}");
        let body = value.get("body").and_then(shown);
        return Some(body.map_or_else(|| line.clone(), |body| format!("{line}\n\n{body}")));
    }
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(_) => serde_json::to_string_pretty(&without_secrets(value)).ok(),
        other => Some(other.to_string()),
    }
}

/// What is recorded holds no secret; should one slip in, it is not shown either.
fn without_secrets(value: &Value) -> Value {
    const SECRET: [&str; 5] = [
        "authorization",
        "token",
        "password",
        "private_key",
        "secret",
    ];
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let hidden = SECRET
                    .iter()
                    .any(|secret| name.to_lowercase().contains(secret));
                (
                    name.clone(),
                    match (hidden, name.as_str()) {
                        (true, _) => Value::from("removed"),
                        (false, "excerpt") => without_secrets(&unfolded(value)),
                        (false, _) => without_secrets(value),
                    },
                )
            })
            .collect(),
        Value::Array(list) => list.iter().map(without_secrets).collect(),
        other => other.clone(),
    }
}

/// What an app answered, where it is JSON in full and no longer text.
fn unfolded(excerpt: &Value) -> Value {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    (excerpt.as_str().and_then(read))
        .filter(|read| read.is_object() || read.is_array())
        .unwrap_or_else(|| excerpt.clone())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_of_event_has_its_own_key() {
        let keys: std::collections::BTreeSet<_> = EventName::ALL
            .iter()
            .map(|name| key_of(name.as_str()))
            .collect();
        assert_eq!(keys.len(), EventName::ALL.len());
        for name in EventName::ALL {
            assert_eq!(named(&key_of(name.as_str())), Some(*name));
        }
        assert_eq!(named("no-such-event"), None);
    }

    #[test]
    fn a_day_reaches_to_its_end_and_nonsense_is_no_time() {
        let start = moment("2026-11-22", Edge::Start, Zone::UTC).unwrap();
        let end = moment("2026-11-22", Edge::End, Zone::UTC).unwrap();
        assert_eq!(end - start, TimeDelta::days(1));
        let time = moment("2026-11-22T10:00:00+01:00", Edge::End, Zone::UTC).unwrap();
        assert_eq!(time.to_rfc3339(), "2026-11-22T09:00:00+00:00");
        for nonsense in ["yesterday", "2026-13-01", "", "22.11.2026"] {
            assert_eq!(
                moment(nonsense, Edge::Start, Zone::UTC),
                None,
                "{nonsense:?}"
            );
        }
    }

    #[test]
    fn changes_are_read_from_lists_and_from_objects() {
        let list = json!([{ "attribute": "title", "old": "A", "new": null }]);
        assert_eq!(
            changes(Some(&list)),
            [Change {
                attribute: "Job title".into(),
                old: Some("A".into()),
                new: None
            }]
        );
        let object = json!({ "endpoint": { "old": "a", "new": "b" }, "note": "x" });
        assert_eq!(changes(Some(&object)).len(), 2);
        assert!(changes(None).is_empty());
    }

    fn nothing() -> events::EventRow {
        events::EventRow {
            id: 1,
            time: DateTime::UNIX_EPOCH,
            event: String::new(),
            outcome: "ok".to_owned(),
            actor: String::new(),
            app: None,
            person_id: None,
            person_email: None,
            account_id: None,
            run_id: None,
            reason: None,
            changes: None,
            error: None,
            detail: None,
            hash: None,
        }
    }

    #[test]
    fn the_log_calls_settings_as_their_pages_do() {
        let entries = [
            (
                EventName::ConfigurationChanged,
                "deprovisioning.suspended.delete",
                "Deprovisioning: Suspended in Google: delete",
            ),
            (
                EventName::ConfigurationChanged,
                "mapping.\"preferredLanguage\"",
                "Attributes: Language",
            ),
            (
                EventName::ConfigurationChanged,
                "access.org_units.\"/Contractors\"",
                "User access: Org unit /Contractors",
            ),
            (EventName::ConfigurationChanged, "endpoint", "Endpoint"),
            (EventName::SsoChanged, "sso", "Sign-in: How people sign in"),
            (
                EventName::SettingsChanged,
                "retention_days",
                "Days that events are kept",
            ),
            (EventName::SettingsChanged, "host", "Mail server"),
            (EventName::UpdateUser, "name", "name"),
        ];
        for (name, key, words) in entries {
            let event = events::EventRow {
                event: name.as_str().to_owned(),
                changes: Some(json!([{ "attribute": key, "old": null, "new": "x" }])),
                ..nothing()
            };
            assert_eq!(summary(&event), words, "{key}");
        }
    }

    #[test]
    fn a_secret_that_slipped_into_an_exchange_is_not_shown() {
        let value = json!({ "Authorization": "Bearer abc", "body": { "title": "x", "accessToken": "abc" } });
        let text = shown(&value).unwrap();
        assert!(!text.contains("abc"), "{text}");
        assert!(text.contains("title"), "{text}");
    }

    #[test]
    fn what_an_app_answered_in_json_is_shown_as_json_and_without_secrets() {
        let answer = json!({ "detail": "too \"long\"", "access_token": "abc" }).to_string();
        let text = shown(&json!({ "status": 400, "excerpt": answer })).unwrap();
        assert!(text.contains("\"detail\": \"too \\\"long\\\"\""), "{text}");
        assert!(!text.contains("abc"), "{text}");
        for other in ["<html>no</html>", "17", "{\"detail\": \"cut o"] {
            let shown = shown(&json!({ "excerpt": other })).unwrap();
            assert!(shown.contains(&json!(other).to_string()), "{shown}");
        }
    }
}
