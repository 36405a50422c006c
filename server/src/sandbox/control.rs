//! What only a sandbox has: paths below `/sandbox` that change the emulated
//! organization and switch faults on. Every change is a POST or DELETE with
//! JSON, so that no page of another site can send one.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asana::{Account, Limits, Quirks};
use super::directory::{Directory, DirectoryError, NewPerson, Person, Rename};
use super::faults::{Fault, Flag};
use super::google::Scope;
use super::{ADMINISTRATOR, Sandbox, read};

/// How many entries a list has unless it is told otherwise.
const PAGE: usize = 50;

/// The controls.
pub fn router() -> Router<Sandbox> {
    Router::new()
        .route("/sandbox/state", get(state))
        .route("/sandbox/credentials", get(credentials))
        .route("/sandbox/people", get(people).post(add_person))
        .route("/sandbox/people/{person}", get(person))
        .route("/sandbox/people/{person}/{action}", post(change_person))
        .route("/sandbox/org-units", get(org_units))
        .route("/sandbox/groups", get(groups).post(add_group))
        .route("/sandbox/groups/{group}", delete(delete_group))
        .route("/sandbox/groups/{group}/members", post(change_members))
        .route("/sandbox/accounts", get(accounts))
        .route("/sandbox/accounts/{user_name}", delete(remove_account))
        .route("/sandbox/faults", post(add_fault).delete(clear_faults))
        .route("/sandbox/hidden-flags", post(hide_flag))
        .route("/sandbox/scopes", post(delegate))
        .route("/sandbox/quirks", post(set_quirks))
        .route("/sandbox/limits", post(set_limits))
        .route("/sandbox/token/revoke", post(revoke_token))
        .route("/sandbox/google-tokens/revoke", post(revoke_google_tokens))
        .route("/sandbox/requests", get(requests).delete(forget_requests))
}

/// A change that was refused.
struct Refused(StatusCode, String);

impl From<DirectoryError> for Refused {
    fn from(error: DirectoryError) -> Self {
        let status = match &error {
            DirectoryError::UnknownPerson(_)
            | DirectoryError::UnknownGroup(_)
            | DirectoryError::UnknownOrgUnit(_) => StatusCode::NOT_FOUND,
            DirectoryError::AddressTaken(_) | DirectoryError::Deleted(_) => StatusCode::CONFLICT,
            DirectoryError::AddressOutside(_)
            | DirectoryError::NotRestorable(_)
            | DirectoryError::NameMissing => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

type Answer = Result<Json<Value>, Refused>;

/// A person as the controls show them.
fn shown(directory: &Directory, person: &Person) -> Value {
    let state = if person.deleted_at.is_some() {
        "deleted"
    } else if person.archived_at.is_some() {
        "archived"
    } else if person.suspended_at.is_some() {
        "suspended"
    } else {
        "active"
    };
    json!({
        "id": person.id,
        "primaryEmail": person.primary_email,
        "givenName": person.given_name,
        "familyName": person.family_name,
        "fullName": person.full_name(),
        "title": person.title(),
        "orgUnitPath": directory.path_of(&person.org_unit),
        "state": state,
        "guest": person.guest_of.is_some(),
        "aliases": person.aliases,
        "administrator": person.is_admin,
    })
}

async fn state(State(sandbox): State<Sandbox>) -> Json<Value> {
    let accounts = sandbox.accounts();
    let active = accounts.iter().filter(|account| account.active).count();
    sandbox.directory(|directory| {
        let living = || directory.living();
        Json(json!({
            "organization": directory.name,
            "customer": directory.customer_id,
            "domains": directory.domains.iter().map(|d| &d.name).collect::<Vec<_>>(),
            "administrator": ADMINISTRATOR,
            "people": living().count(),
            "suspended": living().filter(|p| p.suspended_at.is_some()).count(),
            "archived": living().filter(|p| p.archived_at.is_some()).count(),
            "guests": living().filter(|p| p.guest_of.is_some()).count(),
            "deleted": directory.people.values().filter(|p| p.deleted_at.is_some()).count(),
            "groups": directory.groups.len(),
            "orgUnits": directory.org_units.len(),
            "accounts": { "total": accounts.len(), "active": active },
        }))
    })
}

async fn credentials(State(sandbox): State<Sandbox>, headers: HeaderMap) -> Json<Value> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1");
    let base = format!("http://{host}");
    Json(json!({
        "google": {
            "endpoint": base,
            "administrator": ADMINISTRATOR,
            "customer": "my_customer",
            "serviceAccountKey": sandbox.key().file(&base),
        },
        "asana": {
            "endpoint": Sandbox::scim_endpoint(&base),
            "token": sandbox.asana_token(),
        },
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    search: String,
    limit: Option<usize>,
}

impl Search {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE)
    }

    fn finds(&self, texts: &[&str]) -> bool {
        let wanted = self.search.trim().to_lowercase();
        texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted))
    }
}

async fn people(State(sandbox): State<Sandbox>, Query(search): Query<Search>) -> Json<Value> {
    sandbox.directory(|directory| {
        let mut found: Vec<&Person> = directory
            .people
            .values()
            .filter(|person| search.finds(&[&person.full_name(), &person.primary_email]))
            .collect();
        let total = found.len();
        found.sort_by_cached_key(|person| person.primary_email.to_lowercase());
        let page: Vec<Value> = found
            .into_iter()
            .take(search.limit())
            .map(|person| shown(directory, person))
            .collect();
        Json(json!({ "total": total, "people": page }))
    })
}

async fn person(State(sandbox): State<Sandbox>, Path(key): Path<String>) -> Answer {
    sandbox.directory(|directory| {
        let person = directory
            .person(&key)
            .ok_or_else(|| DirectoryError::UnknownPerson(key.clone()))?;
        Ok(Json(shown(directory, person)))
    })
}

async fn add_person(State(sandbox): State<Sandbox>, Json(new): Json<NewPerson>) -> Answer {
    let answer = sandbox.change_directory(|directory, now| {
        let person = directory.add_person(new, now)?;
        Ok(Json(shown(directory, &person)))
    });
    sandbox.saved().await;
    answer
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Change {
    given_name: Option<String>,
    family_name: Option<String>,
    primary_email: Option<String>,
    org_unit_path: Option<String>,
    title: Option<String>,
}

async fn change_person(
    State(sandbox): State<Sandbox>,
    Path((key, action)): Path<(String, String)>,
    Json(change): Json<Change>,
) -> Answer {
    let answer = sandbox.change_directory(|directory, now| {
        let person = match action.as_str() {
            "rename" => directory.rename(
                &key,
                Rename {
                    given_name: change.given_name,
                    family_name: change.family_name,
                    primary_email: change.primary_email,
                },
            )?,
            "move" => {
                let path = change.org_unit_path.ok_or_else(|| {
                    Refused(StatusCode::BAD_REQUEST, "orgUnitPath is missing".to_owned())
                })?;
                directory.move_to(&key, &path)?
            }
            "title" => directory.set_title(&key, change.title.as_deref())?,
            "suspend" => directory.suspend(&key, now)?,
            "restore" => directory.restore(&key)?,
            "archive" => directory.archive(&key, now)?,
            "unarchive" => directory.unarchive(&key)?,
            "delete" => directory.delete(&key, now)?,
            "undelete" => directory.undelete(&key, now)?,
            other => {
                return Err(Refused(
                    StatusCode::NOT_FOUND,
                    format!(
                        "there is no action {other:?}; use rename, move, title, suspend, restore, archive, unarchive, delete or undelete"
                    ),
                ));
            }
        };
        Ok(Json(shown(directory, &person)))
    });
    sandbox.saved().await;
    answer
}

async fn org_units(State(sandbox): State<Sandbox>) -> Json<Value> {
    sandbox.directory(|directory| {
        let mut paths: Vec<String> = directory
            .org_units
            .keys()
            .map(|id| directory.path_of(id))
            .collect();
        paths.sort();
        Json(json!({ "orgUnits": paths }))
    })
}

async fn groups(State(sandbox): State<Sandbox>, Query(search): Query<Search>) -> Json<Value> {
    sandbox.directory(|directory| {
        let mut found: Vec<_> = directory
            .groups
            .values()
            .filter(|group| search.finds(&[&group.name, &group.email]))
            .collect();
        let total = found.len();
        found.sort_by_key(|group| group.email.to_lowercase());
        let page: Vec<Value> = found
            .into_iter()
            .take(search.limit())
            .map(|group| {
                json!({
                    "id": group.id,
                    "email": group.email,
                    "name": group.name,
                    "members": directory.members(group, false).len(),
                })
            })
            .collect();
        Json(json!({ "total": total, "groups": page }))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    email: String,
    name: String,
}

async fn add_group(State(sandbox): State<Sandbox>, Json(new): Json<NewGroup>) -> Answer {
    let answer = sandbox.change_directory(|directory, _| {
        let group = directory.add_group(&new.email, &new.name)?;
        Ok(Json(
            json!({ "id": group.id, "email": group.email, "name": group.name }),
        ))
    });
    sandbox.saved().await;
    answer
}

async fn delete_group(State(sandbox): State<Sandbox>, Path(key): Path<String>) -> Answer {
    sandbox.change_directory(|directory, _| directory.delete_group(&key))?;
    sandbox.saved().await;
    Ok(Json(json!({})))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MemberChange {
    add: Vec<String>,
    remove: Vec<String>,
}

async fn change_members(
    State(sandbox): State<Sandbox>,
    Path(key): Path<String>,
    Json(change): Json<MemberChange>,
) -> Answer {
    let answer = sandbox.change_directory(|directory, _| {
        for address in &change.add {
            directory.add_member(&key, address)?;
        }
        for address in &change.remove {
            directory.remove_member(&key, address)?;
        }
        let group = directory
            .group(&key)
            .ok_or_else(|| DirectoryError::UnknownGroup(key.clone()))?;
        Ok(Json(json!({
            "email": group.email,
            "members": directory.members(group, false).len(),
        })))
    });
    sandbox.saved().await;
    answer
}

async fn accounts(State(sandbox): State<Sandbox>, Query(search): Query<Search>) -> Json<Value> {
    let mut found: Vec<Account> = sandbox.accounts();
    found.retain(|account| search.finds(&[&account.user_name, account.name().unwrap_or_default()]));
    let total = found.len();
    found.sort_by_cached_key(|account| account.user_name.to_lowercase());
    found.truncate(search.limit());
    Json(json!({ "total": total, "accounts": found }))
}

async fn remove_account(State(sandbox): State<Sandbox>, Path(name): Path<String>) -> Answer {
    if !sandbox.remove_account(&name) {
        return Err(Refused(
            StatusCode::NOT_FOUND,
            format!("no account has the userName {name:?}"),
        ));
    }
    sandbox.saved().await;
    Ok(Json(json!({})))
}

async fn add_fault(State(sandbox): State<Sandbox>, Json(fault): Json<Fault>) -> Json<Value> {
    sandbox.inject(fault);
    Json(json!({}))
}

async fn clear_faults(State(sandbox): State<Sandbox>) -> Json<Value> {
    sandbox.clear_faults();
    Json(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HiddenFlag {
    flag: Flag,
    /// Everybody when absent.
    person: Option<String>,
}

async fn hide_flag(State(sandbox): State<Sandbox>, Json(hidden): Json<HiddenFlag>) -> Json<Value> {
    sandbox.hide_flag(hidden.flag, hidden.person.as_deref());
    Json(json!({}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delegation {
    scope: Scope,
    delegated: bool,
}

async fn delegate(State(sandbox): State<Sandbox>, Json(change): Json<Delegation>) -> Json<Value> {
    sandbox.delegate(change.scope, change.delegated);
    sandbox.saved().await;
    let delegated = read(&sandbox.0.access).delegated.clone();
    Json(json!({ "delegated": delegated }))
}

async fn set_quirks(State(sandbox): State<Sandbox>, Json(quirks): Json<Quirks>) -> Json<Value> {
    sandbox.set_quirks(quirks);
    Json(json!({}))
}

async fn set_limits(State(sandbox): State<Sandbox>, Json(limits): Json<Limits>) -> Json<Value> {
    sandbox.set_limits(limits);
    Json(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Revocation {
    /// Whether a new token holds from now on.
    rotate: bool,
}

async fn revoke_token(
    State(sandbox): State<Sandbox>,
    Json(revocation): Json<Revocation>,
) -> Json<Value> {
    let token = sandbox.revoke_asana_token(revocation.rotate);
    sandbox.saved().await;
    Json(if revocation.rotate {
        json!({ "token": token })
    } else {
        json!({})
    })
}

async fn revoke_google_tokens(State(sandbox): State<Sandbox>, Json(_): Json<Value>) -> Json<Value> {
    sandbox.revoke_google_tokens();
    Json(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    bodies: bool,
}

async fn requests(State(sandbox): State<Sandbox>, Query(wanted): Query<Wanted>) -> Json<Value> {
    let mut answer = json!({
        "counts": sandbox.counts(),
        "scimWrites": sandbox.scim_writes(),
        "scimRequests": sandbox.scim_requests(),
    });
    if wanted.bodies
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("recorded".to_owned(), json!(sandbox.recorded()));
    }
    Json(answer)
}

async fn forget_requests(State(sandbox): State<Sandbox>) -> Json<Value> {
    sandbox.forget_requests();
    Json(json!({}))
}
