//! `users.watch`, `channels.stop` and the notifications in between.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use url::{Host, Url};

use super::error::Refusal;
use super::{Scope, answer, enter, etag};
use crate::sandbox::directory::{Directory, PersonId};
use crate::sandbox::faults::Call;
use crate::sandbox::seed::Seeded;
use crate::sandbox::{Sandbox, lock, read};

/// As Google documents it; what is asked for is granted up to six hours.
const USUAL_LIFE: TimeDelta = TimeDelta::hours(2);
const LONGEST_LIFE: TimeDelta = TimeDelta::hours(6);
const EVENTS: [&str; 5] = ["add", "delete", "makeAdmin", "undelete", "update"];

/// An open channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub id: String,
    pub event: String,
    pub address: String,
    pub token: String,
    pub resource_id: String,
    pub expires_at: DateTime<Utc>,
    /// Numbers its messages.
    sent: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct WatchParameters {
    customer: Option<String>,
    domain: Option<String>,
    event: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Asked {
    id: String,
    r#type: String,
    address: String,
    token: String,
    resource_id: String,
    params: HashMap<String, String>,
}

/// `POST /admin/directory/v1/users/watch`.
pub(super) async fn watch(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<WatchParameters>,
    Json(asked): Json<Asked>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::UsersWatch, parameters.event.as_deref()).await?;
    sandbox.authorize(&headers, Scope::User)?;
    match (&parameters.customer, &parameters.domain) {
        (None, None) => return Err(Refusal::bad_request("Bad Request")),
        (Some(customer), _) => sandbox.check_customer(customer)?,
        (None, Some(_)) => {}
    }
    let event = parameters.event.unwrap_or_default();
    if !EVENTS.contains(&event.as_str()) {
        return Err(Refusal::invalid("Invalid Input: event"));
    }
    if asked.r#type != "web_hook" || asked.id.is_empty() {
        return Err(Refusal::invalid("Invalid Input: channel"));
    }
    if !may_be_posted_to(&asked.address) {
        return Err(Refusal::invalid("WebHook callback must be HTTPS"));
    }
    let life = asked
        .params
        .get("ttl")
        .and_then(|ttl| ttl.parse().ok())
        .and_then(TimeDelta::try_seconds)
        .map_or(USUAL_LIFE, |ttl| ttl.min(LONGEST_LIFE));
    let now = sandbox.0.clock.now();
    let channel = Channel {
        resource_id: Seeded::new(1, &event).letters(27),
        id: asked.id,
        event,
        address: asked.address,
        token: asked.token,
        expires_at: now + life,
        sent: 0,
    };
    {
        let mut channels = lock(&sandbox.0.channels);
        if channels.iter().any(|known| known.id == channel.id) {
            return Err(Refusal::invalid("Channel id not unique"));
        }
        channels.push(channel.clone());
    }
    sandbox.send(&channel.id, "sync", json!({}));
    answer(
        twist,
        &json!({
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": "https://admin.googleapis.com/admin/directory/v1/users?alt=json",
            "token": channel.token,
            "expiration": channel.expires_at.timestamp_millis().to_string(),
        }),
    )
}

/// `POST /admin/directory_v1/channels/stop`.
pub(super) async fn stop(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Response, Refusal> {
    enter(&sandbox, Call::ChannelStop, Some(&asked.id)).await?;
    sandbox.authorize(&headers, Scope::User)?;
    let mut channels = lock(&sandbox.0.channels);
    let before = channels.len();
    channels.retain(|known| known.id != asked.id || known.resource_id != asked.resource_id);
    if channels.len() == before {
        return Err(Refusal::not_found("channel"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Google wants https with a name; on this machine the sandbox does without.
fn may_be_posted_to(address: &str) -> bool {
    Url::parse(address).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(ip)) if ip.is_loopback() => true,
        Some(Host::Domain("localhost")) => true,
        _ => url.scheme() == "https",
    })
}

/// Who is there, at which revision, deleted or not.
pub type Picture = HashMap<PersonId, (u64, bool)>;

fn picture(directory: &Directory) -> Picture {
    let people = directory.people.values();
    people
        .map(|person| {
            let seen = (person.revision, person.deleted_at.is_some());
            (person.id.clone(), seen)
        })
        .collect()
}

impl Sandbox {
    /// The channels that are open now.
    pub fn channels(&self) -> Vec<Channel> {
        let now = self.0.clock.now();
        let mut channels = lock(&self.0.channels);
        channels.retain(|channel| channel.expires_at > now);
        channels.clone()
    }

    /// How people are now, when somebody wants to know of changes.
    pub(in crate::sandbox) fn watched(&self) -> Option<Picture> {
        (!self.channels().is_empty()).then(|| picture(&read(&self.0.directory)))
    }

    /// Tells the channels what changed since.
    pub(in crate::sandbox) fn notify(&self, before: &Picture) {
        let changes: Vec<(&str, serde_json::Value)> = {
            let directory = read(&self.0.directory);
            let people = directory.people.values();
            people
                .filter_map(|person| {
                    let event = match (before.get(&person.id), person.deleted_at.is_some()) {
                        (None, _) => "add",
                        (Some((_, false)), true) => "delete",
                        (Some((_, true)), false) => "undelete",
                        (Some((revision, _)), _) if *revision != person.revision => "update",
                        _ => return None,
                    };
                    let user = json!({
                        "kind": "admin#directory#user",
                        "id": person.id.as_str(),
                        "etag": etag(person.id.as_str(), person.revision),
                        "primaryEmail": person.primary_email,
                    });
                    Some((event, user))
                })
                .collect()
        };
        for (event, user) in changes {
            let channels = self.channels();
            for channel in channels.iter().filter(|channel| channel.event == event) {
                self.send(&channel.id, event, user.clone());
            }
        }
    }

    /// Posts one message. Whether anybody takes it is not the sandbox's business.
    fn send(&self, channel: &str, state: &str, body: serde_json::Value) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let message = {
            let mut channels = lock(&self.0.channels);
            let Some(channel) = channels.iter_mut().find(|known| known.id == channel) else {
                return;
            };
            channel.sent += 1;
            channel.clone()
        };
        crate::connectors::install_crypto();
        let Ok(client) = reqwest::Client::builder().no_proxy().build() else {
            return;
        };
        let request = client
            .post(&message.address)
            .header("X-Goog-Channel-ID", &message.id)
            .header("X-Goog-Channel-Token", &message.token)
            .header("X-Goog-Resource-ID", &message.resource_id)
            .header("X-Goog-Resource-State", state)
            .header("X-Goog-Message-Number", message.sent)
            .json(&body);
        runtime.spawn(async move {
            let _ = request.send().await;
        });
    }
}
