//! `users.list` and `users.get`.

use std::collections::HashMap;
use std::ops::Bound;

use axum::extract::{Path, Query as Parameters, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Refusal;
use super::query::Query;
use super::{Cursor, Scope, Twist, answer, enter, etag, time};
use crate::sandbox::directory::{Directory, KEPT_AFTER_DELETION, OrgUnitId, Person, PersonId};
use crate::sandbox::faults::{Call, Faults, Flag};
use crate::sandbox::{Sandbox, lock, read};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Projection {
    Basic,
    Custom,
    Full,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListParameters {
    customer: Option<String>,
    domain: Option<String>,
    max_results: Option<String>,
    page_token: Option<String>,
    projection: Option<String>,
    custom_field_mask: Option<String>,
    query: Option<String>,
    order_by: Option<String>,
    sort_order: Option<String>,
    show_deleted: Option<String>,
    view_type: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Name<'a> {
    given_name: &'a str,
    family_name: &'a str,
    full_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Email<'a> {
    address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<bool>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GuestAccountInfo<'a> {
    primary_guest_email: &'a str,
}

/// A person as the API shows them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct User<'a> {
    kind: &'static str,
    id: &'a str,
    etag: String,
    primary_email: &'a str,
    name: Name<'a>,
    is_admin: bool,
    is_delegated_admin: bool,
    last_login_time: String,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_time: Option<String>,
    agreed_to_terms: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspension_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspension_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archival_time: Option<String>,
    change_password_at_next_login: bool,
    ip_whitelisted: bool,
    emails: Vec<Email<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_ids: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relations: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organizations: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phones: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    languages: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aliases: &'a [String],
    customer_id: &'a str,
    org_unit_path: &'a str,
    is_mailbox_setup: bool,
    #[serde(rename = "isEnrolledIn2Sv")]
    is_enrolled_in_2sv: bool,
    #[serde(rename = "isEnforcedIn2Sv")]
    is_enforced_in_2sv: bool,
    include_in_global_address_list: bool,
    is_guest_user: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_account_info: Option<GuestAccountInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_schemas: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Users<'a> {
    kind: &'static str,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<User<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

fn shown<'a>(
    directory: &'a Directory,
    person: &'a Person,
    path: &'a str,
    projection: Projection,
    faults: &Faults,
) -> User<'a> {
    let hides = |flag| faults.hides(flag, person.id.as_str(), &person.primary_email);
    let primary = Email {
        address: &person.primary_email,
        primary: Some(true),
    };
    let aliases = person.aliases.iter().map(|address| Email {
        address,
        primary: None,
    });
    User {
        kind: "admin#directory#user",
        id: person.id.as_str(),
        etag: etag(person.id.as_str(), person.revision),
        primary_email: &person.primary_email,
        name: Name {
            given_name: &person.given_name,
            family_name: &person.family_name,
            full_name: person.full_name(),
            display_name: person.display_name.as_deref(),
        },
        is_admin: person.is_admin,
        is_delegated_admin: person.is_delegated_admin,
        last_login_time: person
            .last_login_at
            .map_or_else(|| "1970-01-01T00:00:00.000Z".to_owned(), time),
        creation_time: time(person.created_at),
        deletion_time: person.deleted_at.map(time),
        agreed_to_terms: person.last_login_at.is_some(),
        suspended: (!hides(Flag::Suspended)).then_some(person.suspended_at.is_some()),
        suspension_reason: person.suspended_at.map(|_| "ADMIN"),
        suspension_time: person.suspended_at.map(time),
        archived: (!hides(Flag::Archived)).then_some(person.archived_at.is_some()),
        archival_time: person.archived_at.map(time),
        change_password_at_next_login: false,
        ip_whitelisted: false,
        emails: std::iter::once(primary).chain(aliases).collect(),
        external_ids: person.external_ids.as_deref(),
        relations: person.relations.as_deref(),
        organizations: person.organizations.as_deref(),
        phones: person.phones.as_deref(),
        addresses: person.addresses.as_deref(),
        languages: person.languages.as_deref(),
        aliases: &person.aliases,
        customer_id: &directory.customer_id,
        org_unit_path: path,
        is_mailbox_setup: person.guest_of.is_none(),
        is_enrolled_in_2sv: person.is_admin,
        is_enforced_in_2sv: person.is_admin,
        include_in_global_address_list: true,
        is_guest_user: person.guest_of.is_some(),
        guest_account_info: person.guest_of.as_deref().map(|primary_guest_email| {
            GuestAccountInfo {
                primary_guest_email,
            }
        }),
        custom_schemas: (projection != Projection::Basic)
            .then_some(person.custom_schemas.as_deref())
            .flatten(),
    }
}

fn read_projection(value: Option<&str>, mask: Option<&str>) -> Result<Projection, Refusal> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("basic") => Ok(Projection::Basic),
        Some("full") => Ok(Projection::Full),
        Some("custom") if mask.is_some_and(|mask| !mask.is_empty()) => Ok(Projection::Custom),
        Some("custom") => Err(Refusal::invalid("Invalid Input: customFieldMask")),
        Some(other) => Err(Refusal::invalid_parameter(
            "projection",
            other,
            "Values must match the following regular expression: 'basic|custom|full'",
        )),
    }
}

/// One of the listed values, without case.
fn check_enum(name: &str, value: Option<&str>, known: &[&str]) -> Result<(), Refusal> {
    match value {
        Some(value) if !known.iter().any(|k| k.eq_ignore_ascii_case(value)) => {
            Err(Refusal::invalid_parameter(
                name,
                value,
                &format!("Values must match one of: {}", known.join(", ")),
            ))
        }
        _ => Ok(()),
    }
}

fn read_max_results(value: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = value else { return Ok(100) };
    match text.parse::<usize>() {
        Ok(number) if (1..=500).contains(&number) => Ok(number),
        _ => Err(Refusal::invalid_parameter(
            "maxResults",
            text,
            "Values must be within the range: [1, 500]",
        )),
    }
}

/// `GET /admin/directory/v1/users`.
pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Response, Refusal> {
    let deleted = parameters
        .show_deleted
        .as_deref()
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let call = if deleted {
        Call::DeletedUsersList
    } else {
        Call::UsersList
    };
    let twist = enter(&sandbox, call, parameters.page_token.as_deref()).await?;
    sandbox.authorize(&headers, Scope::User)?;
    match (&parameters.customer, &parameters.domain) {
        (None, None) => return Err(Refusal::bad_request("Bad Request")),
        (Some(customer), _) => sandbox.check_customer(customer)?,
        (None, Some(_)) => {}
    }
    let most = read_max_results(parameters.max_results.as_deref())?;
    let projection = read_projection(
        parameters.projection.as_deref(),
        parameters.custom_field_mask.as_deref(),
    )?;
    check_enum(
        "orderBy",
        parameters.order_by.as_deref(),
        &["email", "familyName", "givenName"],
    )?;
    check_enum(
        "sortOrder",
        parameters.sort_order.as_deref(),
        &["ASCENDING", "DESCENDING"],
    )?;
    check_enum(
        "viewType",
        parameters.view_type.as_deref(),
        &["admin_view", "domain_public"],
    )?;
    let query = Query::read(parameters.query.as_deref())?;
    query.check_person_fields()?;
    let cursor = Cursor::read(parameters.page_token.as_deref())?;

    let directory = read(&sandbox.0.directory);
    if let Some(domain) = &parameters.domain
        && !directory
            .domains
            .iter()
            .any(|d| d.name.eq_ignore_ascii_case(domain))
    {
        return Err(Refusal::domain_not_found());
    }
    let paths: HashMap<&OrgUnitId, String> = directory
        .org_units
        .keys()
        .map(|id| (id, directory.path_of(id)))
        .collect();
    let path = |person: &Person| paths.get(&person.org_unit).map_or("/", String::as_str);
    let now = sandbox.0.clock.now();
    let faults = lock(&sandbox.0.faults);
    let wanted = |person: &Person| {
        let state = match person.deleted_at {
            Some(at) => deleted && now - at <= KEPT_AFTER_DELETION,
            None => !deleted,
        };
        state
            && !faults.leaves_out(person.id.as_str())
            && parameters.domain.as_deref().is_none_or(|domain| {
                person
                    .primary_email
                    .rsplit_once('@')
                    .is_some_and(|(_, d)| d.eq_ignore_ascii_case(domain))
            })
            && (query.is_empty() || query.finds_person(person, path(person)))
    };
    let (page, next) = match parameters.order_by.as_deref() {
        None => by_id(&directory, cursor.as_ref(), most, wanted),
        Some(order) => {
            let descending = parameters
                .sort_order
                .as_deref()
                .is_some_and(|order| order.eq_ignore_ascii_case("DESCENDING"));
            by_order(&directory, order, descending, cursor.as_ref(), most, wanted)
        }
    };
    let users: Vec<User<'_>> = page
        .iter()
        .map(|person| shown(&directory, person, path(person), projection, &faults))
        .collect();
    let body = Users {
        kind: "admin#directory#users",
        etag: etag("users", users.len() as u64),
        users: (twist != Twist::MissingCollection && !users.is_empty()).then_some(users),
        next_page_token: Cursor::next(twist, cursor.as_ref(), next),
    };
    answer(twist, &body)
}

type Page<'a> = (Vec<&'a Person>, Option<Cursor>);

/// A page in the order of ids: found without walking what came before.
fn by_id<'a>(
    directory: &'a Directory,
    cursor: Option<&Cursor>,
    most: usize,
    wanted: impl Fn(&Person) -> bool,
) -> Page<'a> {
    let start = match cursor {
        Some(Cursor::After(id)) => Bound::Excluded(PersonId(id.clone())),
        _ => Bound::Unbounded,
    };
    let mut found = directory
        .people
        .range((start, Bound::Unbounded))
        .map(|(_, person)| person)
        .filter(|person| wanted(person));
    let page: Vec<&Person> = found.by_ref().take(most).collect();
    let next = found
        .next()
        .and(page.last())
        .map(|last| Cursor::After(last.id.0.clone()));
    (page, next)
}

fn by_order<'a>(
    directory: &'a Directory,
    order: &str,
    descending: bool,
    cursor: Option<&Cursor>,
    most: usize,
    wanted: impl Fn(&Person) -> bool,
) -> Page<'a> {
    let mut people: Vec<&Person> = directory.people.values().filter(|p| wanted(p)).collect();
    people.sort_by_cached_key(|person| {
        let key = match order.to_ascii_lowercase().as_str() {
            "email" => &person.primary_email,
            "familyname" => &person.family_name,
            _ => &person.given_name,
        };
        (key.to_lowercase(), person.id.clone())
    });
    if descending {
        people.reverse();
    }
    let place = Cursor::place(cursor);
    let end = place + most;
    let next = (people.len() > end).then_some(Cursor::Place(end));
    (people.into_iter().skip(place).take(most).collect(), next)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GetParameters {
    projection: Option<String>,
    custom_field_mask: Option<String>,
    view_type: Option<String>,
}

/// `GET /admin/directory/v1/users/{userKey}`.
pub(super) async fn get(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(key): Path<String>,
    Parameters(parameters): Parameters<GetParameters>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::UserGet, Some(&key)).await?;
    sandbox.authorize(&headers, Scope::User)?;
    let projection = read_projection(
        parameters.projection.as_deref(),
        parameters.custom_field_mask.as_deref(),
    )?;
    check_enum(
        "viewType",
        parameters.view_type.as_deref(),
        &["admin_view", "domain_public"],
    )?;
    let directory = read(&sandbox.0.directory);
    let Some(person) = directory.person(&key) else {
        if directory.group(&key).is_some() {
            return Err(Refusal::wrong_kind_of_key());
        }
        if key.contains('@') && !directory.owns(&key) {
            return Err(Refusal::not_authorized());
        }
        return Err(Refusal::not_found("userKey"));
    };
    if let Some(at) = person.deleted_at {
        return Err(if sandbox.0.clock.now() - at <= KEPT_AFTER_DELETION {
            Refusal::user_is_deleted()
        } else {
            Refusal::not_found("userKey")
        });
    }
    let path = directory.path_of(&person.org_unit);
    let faults = lock(&sandbox.0.faults);
    answer(
        twist,
        &shown(&directory, person, &path, projection, &faults),
    )
}
