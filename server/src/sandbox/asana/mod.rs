//! The emulated Asana: a SCIM 2.0 service that keeps what Asana documents,
//! and can be told to misbehave as other SCIM services do.

mod accounts;
mod error;
mod limits;
mod metadata;
mod patch;
mod population;
mod quirks;
mod request;
mod schema;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::faults::Call;
use super::{Sandbox, read, write};
use error::ScimError;
use request::{Success, request};

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
    if let (Some(status), Some(_)) = (quirks.filter_fails, &parameters.filter) {
        return Err(ScimError::status(status, "Filters are not supported"));
    }
    let found: Vec<&Account> = match &parameters.filter {
        Some(filter) if !quirks.filter_ignored => {
            let mut wanted = read_filter(filter)?;
            if quirks.filter_decoded_twice {
                wanted = wanted.replace('+', " ").replace("%2B", "+");
            }
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

/// What a write answers.
fn shown(mut resource: Value, quirks: &Quirks) -> Value {
    if let (true, Some(members)) = (quirks.writes_hide_active, resource.as_object_mut()) {
        members.remove("active");
    }
    resource
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
                ..Success::ok(shown(account.resource(&base), quirks))
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
            if let Some(status) = quirks.patch_answers_html {
                return Err(ScimError::html(status));
            }
            let operations = read_body(&body)?;
            let now = sandbox.0.clock.now();
            let is_known = |address: &str| read(&sandbox.0.directory).owns(address);
            let mut accounts = write(&sandbox.0.accounts);
            let account = accounts.patch(&id, &operations, quirks, is_known, now)?;
            let resource = shown(account.resource(&base), quirks);
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
