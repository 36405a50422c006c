//! The emulated Asana: a SCIM 2.0 service that keeps what Asana documents,
//! and can be told to misbehave as other SCIM services do.

mod accounts;
mod error;
mod limits;
mod metadata;
mod patch;
mod population;
mod quirks;
mod schema;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::faults::{Call, Failure, Suffered};
use super::{Recorded, Sandbox, drop_connection, lock, read, write};
use error::ScimError;

pub use accounts::{Account, Accounts};
pub use limits::{Limiter, Limits};
pub use population::populate;
pub use quirks::Quirks;

/// The path of the SCIM service.
pub const SCIM_BASE: &str = "/api/1.0/scim";
const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
const MEDIA_TYPE: &str = "application/scim+json";

/// Asana's paths.
pub fn router() -> Router<Sandbox> {
    let at = |path: &str| format!("{SCIM_BASE}{path}");
    Router::new()
        .route(&at("/ServiceProviderConfig"), get(service_provider_config))
        .route(&at("/ResourceTypes"), get(resource_types))
        .route(&at("/Schemas"), get(schemas))
        .route(&at("/Users"), get(list).post(create))
        .route(
            &at("/Users/{id}"),
            get(get_one).put(replace).patch(patch_one).delete(delete),
        )
        .route(&at("/{*rest}"), axum::routing::any(no_such_resource))
}

/// A request on its way through.
struct Request<'a> {
    sandbox: &'a Sandbox,
    call: Call,
    method: Method,
    path: String,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

/// What a handler answers when it succeeds.
struct Success {
    status: StatusCode,
    body: Option<Value>,
    location: Option<String>,
    /// Whether something has to be kept.
    changed: bool,
}

impl Success {
    fn ok(body: Value) -> Self {
        Self {
            status: StatusCode::OK,
            body: Some(body),
            location: None,
            changed: false,
        }
    }
}

impl Request<'_> {
    /// Everything around the work: counts, faults, token, limits, the record.
    async fn run(
        self,
        subject: Option<String>,
        work: impl FnOnce(&Quirks) -> Result<Success, ScimError>,
    ) -> Response {
        let sandbox = self.sandbox;
        let quirks = read(&sandbox.0.quirks).clone();
        // The place among the requests in flight is held until the answer is ready.
        let admission = sandbox.0.limiter.admit(self.call.is_scim_write());
        let Suffered { failure, .. } = sandbox.enter(self.call, subject.as_deref()).await;
        let dropped = failure == Some(Failure::DroppedAfter);
        let outcome = match (admission.refused(), failure) {
            (Some(seconds), _) => Err(ScimError::too_many(Some(seconds))),
            (None, Some(failure)) => match refusal(&failure) {
                Some(error) => Err(error),
                None => self.authorized().and_then(|()| work(&quirks)),
            },
            (None, None) => self
                .authorized()
                .and_then(|()| self.stumble(&quirks))
                .and_then(|()| work(&quirks)),
        };
        let (response, changed) = match outcome {
            Ok(success) => {
                let changed = success.changed;
                (success.into_response(), changed)
            }
            Err(error) => (error.respond(quirks.html_errors), false),
        };
        if sandbox.0.record {
            lock(&sandbox.0.recorded).push(Recorded {
                call: self.call,
                method: self.method.to_string(),
                path: self.path,
                body: serde_json::from_slice(self.body).unwrap_or(Value::Null),
                status: response.status().as_u16(),
            });
        }
        if changed && let Some(storage) = sandbox.0.storage.get() {
            storage.wait(storage.note()).await;
        }
        drop(admission);
        if dropped {
            drop_connection();
        }
        response
    }

    fn authorized(&self) -> Result<(), ScimError> {
        let access = read(&self.sandbox.0.access);
        let given = self
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        if access.asana_token_valid && given == Some(access.asana_token.as_str()) {
            Ok(())
        } else {
            Err(ScimError::unauthorized())
        }
    }

    /// Some services fail now and then for no reason.
    fn stumble(&self, quirks: &Quirks) -> Result<(), ScimError> {
        if quirks.random_failures == 0 || !self.call.is_scim_write() {
            return Ok(());
        }
        let count = self.sandbox.count(self.call);
        let mut chance =
            crate::sandbox::seed::Seeded::new(count, &format!("stumble {:?}", self.call));
        if chance.percent(u64::from(quirks.random_failures)) {
            return Err(ScimError::status(500, "database is locked"));
        }
        Ok(())
    }

    fn origin(&self) -> String {
        origin(self.headers)
    }
}

fn origin(headers: &HeaderMap) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("app.asana.example");
    format!("http://{host}")
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (
                self.status,
                [(header::CONTENT_TYPE, MEDIA_TYPE)],
                body.to_string(),
            )
                .into_response(),
            None => self.status.into_response(),
        };
        if let Some(location) = self.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

fn refusal(failure: &Failure) -> Option<ScimError> {
    match failure {
        Failure::TooManyRequests { retry_after } => Some(ScimError::too_many(*retry_after)),
        Failure::UserRateLimitExceeded | Failure::QuotaExceeded => {
            Some(ScimError::too_many(Some(1)))
        }
        Failure::Forbidden => Some(ScimError::status(403, "Forbidden")),
        Failure::Unauthorized => Some(ScimError::unauthorized()),
        Failure::Status { status } => Some(ScimError::status(*status, "A fault was asked for.")),
        Failure::Html { status } => Some(ScimError::html(*status)),
        Failure::MissingCollection
        | Failure::RepeatedPageToken
        | Failure::EndlessPages
        | Failure::EndsEarly
        | Failure::Latency { .. }
        | Failure::DroppedBefore
        | Failure::DroppedAfter => None,
    }
}

async fn service_provider_config(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    metadata_page(
        &sandbox,
        Call::ServiceProviderConfig,
        &uri,
        &headers,
        metadata::service_provider_config,
    )
    .await
}

async fn resource_types(State(sandbox): State<Sandbox>, uri: Uri, headers: HeaderMap) -> Response {
    metadata_page(
        &sandbox,
        Call::ResourceTypes,
        &uri,
        &headers,
        metadata::resource_types,
    )
    .await
}

async fn schemas(State(sandbox): State<Sandbox>, uri: Uri, headers: HeaderMap) -> Response {
    metadata_page(&sandbox, Call::Schemas, &uri, &headers, metadata::schemas).await
}

async fn metadata_page(
    sandbox: &Sandbox,
    call: Call,
    uri: &Uri,
    headers: &HeaderMap,
    page: impl FnOnce(&str) -> Value,
) -> Response {
    let request = request(sandbox, call, Method::GET, uri, headers, &[]);
    let base = format!("{}{SCIM_BASE}", request.origin());
    request
        .run(None, |quirks| {
            if quirks.no_discovery {
                return Err(ScimError::status(404, "Not found"));
            }
            Ok(Success::ok(page(&base)))
        })
        .await
}

fn request<'a>(
    sandbox: &'a Sandbox,
    call: Call,
    method: Method,
    uri: &Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
) -> Request<'a> {
    let path = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    Request {
        sandbox,
        call,
        method,
        path,
        headers,
        body,
    }
}

async fn no_such_resource() -> Response {
    ScimError::status(404, "Resource type not found").respond(false)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListParameters {
    filter: Option<String>,
    start_index: Option<String>,
    count: Option<String>,
}

async fn list(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Query<ListParameters>,
) -> Response {
    let request = request(
        &sandbox,
        Call::AccountsList,
        Method::GET,
        &uri,
        &headers,
        &[],
    );
    let base = format!("{}{SCIM_BASE}", request.origin());
    let subject = parameters
        .filter
        .as_deref()
        .and_then(|filter| read_filter(filter).ok());
    request
        .run(subject, |quirks| {
            let accounts = read(&sandbox.0.accounts);
            answer_list(&accounts, quirks, &parameters, &base)
        })
        .await
}

/// `userName eq "..."`, the only filter that Asana documents.
fn read_filter(filter: &str) -> Result<String, ScimError> {
    let wrong = || {
        ScimError::bad_request(
            "invalidFilter",
            "Only filters of the form userName eq \"value\" are supported",
        )
    };
    let mut parts = filter.trim().splitn(3, char::is_whitespace);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(attribute), Some(operator), Some(value))
            if attribute.eq_ignore_ascii_case("userName")
                && operator.eq_ignore_ascii_case("eq") =>
        {
            serde_json::from_str::<String>(value.trim()).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

fn answer_list(
    accounts: &Accounts,
    quirks: &Quirks,
    parameters: &ListParameters,
    base: &str,
) -> Result<Success, ScimError> {
    let number = |text: &Option<String>, name: &str| -> Result<Option<usize>, ScimError> {
        text.as_deref()
            .map(|text| {
                text.parse()
                    .map_err(|_| ScimError::bad_request("invalidValue", name))
            })
            .transpose()
    };
    let start = number(&parameters.start_index, "startIndex must be a number")?;
    let count = number(&parameters.count, "count must be a number")?;
    if quirks.count_refused && count.is_some() {
        return Err(ScimError::status(500, "count is not supported"));
    }
    let found: Vec<&Account> = match &parameters.filter {
        Some(filter) if !quirks.filter_ignored => {
            let wanted = read_filter(filter)?;
            accounts
                .by_name(&wanted)
                .filter(|account| !quirks.filter_case_sensitive || account.user_name == wanted)
                .into_iter()
                .collect()
        }
        _ => accounts.all().collect(),
    };
    let total = found.len();
    let (mut start, mut count) = if quirks.paging_ignored {
        (1, total)
    } else {
        (start.unwrap_or(1).max(1), count.unwrap_or(total))
    };
    if quirks.start_index_repeats && start > total {
        start = 1;
    }
    if let Some(cap) = quirks.page_cap {
        count = count.min(cap);
    }
    let page: Vec<Value> = found
        .into_iter()
        .skip(start - 1)
        .take(count)
        .map(|account| account.resource(base))
        .collect();
    let mut body = json!({ "schemas": [LIST_RESPONSE] });
    if let Some(body) = body.as_object_mut() {
        if !quirks.no_total_results {
            body.insert("totalResults".to_owned(), total.into());
        }
        body.insert("startIndex".to_owned(), start.into());
        body.insert("itemsPerPage".to_owned(), page.len().into());
        body.insert("Resources".to_owned(), page.into());
    }
    Ok(Success::ok(body))
}

async fn get_one(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let request = request(&sandbox, Call::AccountGet, Method::GET, &uri, &headers, &[]);
    let base = format!("{}{SCIM_BASE}", request.origin());
    request
        .run(Some(id.clone()), |_| {
            let accounts = read(&sandbox.0.accounts);
            let account = accounts.get(&id).ok_or_else(|| ScimError::no_such(&id))?;
            Ok(Success::ok(account.resource(&base)))
        })
        .await
}

/// The body as a JSON object.
fn read_body(body: &[u8]) -> Result<Map<String, Value>, ScimError> {
    serde_json::from_slice(body)
        .map_err(|_| ScimError::bad_request("invalidSyntax", "The body is not a JSON object"))
}

/// The name in a body, else the id: what a fault can be about.
fn subject_of(sandbox: &Sandbox, id: Option<&str>, body: &[u8]) -> Option<String> {
    match id {
        Some(id) => read(&sandbox.0.accounts)
            .get(id)
            .map(|account| account.user_name.clone())
            .or_else(|| Some(id.to_owned())),
        None => read_body(body)
            .ok()?
            .get("userName")?
            .as_str()
            .map(str::to_owned),
    }
}

async fn create(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = request(
        &sandbox,
        Call::AccountCreate,
        Method::POST,
        &uri,
        &headers,
        &body,
    );
    let base = format!("{}{SCIM_BASE}", request.origin());
    let subject = subject_of(&sandbox, None, &body);
    request
        .run(subject, |quirks| {
            let document = read_body(&body)?;
            let now = sandbox.0.clock.now();
            let is_known = |address: &str| read(&sandbox.0.directory).owns(address);
            let mut accounts = write(&sandbox.0.accounts);
            let account = accounts.create(document, quirks, is_known, now)?;
            Ok(Success {
                status: StatusCode::CREATED,
                location: Some(account.location(&base)),
                body: Some(account.resource(&base)),
                changed: true,
            })
        })
        .await
}

async fn replace(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let request = request(
        &sandbox,
        Call::AccountReplace,
        Method::PUT,
        &uri,
        &headers,
        &body,
    );
    let base = format!("{}{SCIM_BASE}", request.origin());
    let subject = subject_of(&sandbox, Some(&id), &body);
    request
        .run(subject, |quirks| {
            if quirks.put_not_found {
                return Err(ScimError::no_such(&id));
            }
            let document = read_body(&body)?;
            let now = sandbox.0.clock.now();
            let is_known = |address: &str| read(&sandbox.0.directory).owns(address);
            let mut accounts = write(&sandbox.0.accounts);
            let account = accounts.replace(&id, document, quirks, is_known, now)?;
            Ok(Success {
                changed: true,
                ..Success::ok(account.resource(&base))
            })
        })
        .await
}

async fn patch_one(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let request = request(
        &sandbox,
        Call::AccountPatch,
        Method::PATCH,
        &uri,
        &headers,
        &body,
    );
    let base = format!("{}{SCIM_BASE}", request.origin());
    let subject = subject_of(&sandbox, Some(&id), &body);
    request
        .run(subject, |quirks| {
            if quirks.patch_unsupported {
                return Err(ScimError::status(501, "PATCH is not supported"));
            }
            let operations = read_body(&body)?;
            let now = sandbox.0.clock.now();
            let is_known = |address: &str| read(&sandbox.0.directory).owns(address);
            let mut accounts = write(&sandbox.0.accounts);
            let account = accounts.patch(&id, &operations, quirks, is_known, now)?;
            let resource = account.resource(&base);
            Ok(if quirks.patch_no_content {
                Success {
                    status: StatusCode::NO_CONTENT,
                    body: None,
                    location: None,
                    changed: true,
                }
            } else {
                Success {
                    changed: true,
                    ..Success::ok(resource)
                }
            })
        })
        .await
}

async fn delete(
    State(sandbox): State<Sandbox>,
    uri: Uri,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let request = request(
        &sandbox,
        Call::AccountDelete,
        Method::DELETE,
        &uri,
        &headers,
        &[],
    );
    let subject = subject_of(&sandbox, Some(&id), &[]);
    request
        .run(subject, |quirks| {
            let now = sandbox.0.clock.now();
            write(&sandbox.0.accounts).delete(&id, quirks, now)?;
            Ok(Success {
                status: StatusCode::NO_CONTENT,
                body: None,
                location: None,
                changed: true,
            })
        })
        .await
}
