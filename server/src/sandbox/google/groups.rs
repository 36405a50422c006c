//! `groups.list`, `groups.get` and `members.list`.

use std::ops::Bound;
use std::sync::Arc;

use axum::extract::{Path, Query as Parameters, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::Refusal;
use super::query::Query;
use super::{Cursor, Scope, Twist, answer, enter, etag};
use crate::sandbox::directory::{
    Directory, Group, GroupId, Member, Membership, OutsiderType, Role,
};
use crate::sandbox::faults::Call;
use crate::sandbox::{Sandbox, lock, read};

/// The API never answers more than this at once.
const MOST: usize = 200;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ListParameters {
    customer: Option<String>,
    domain: Option<String>,
    user_key: Option<String>,
    max_results: Option<String>,
    page_token: Option<String>,
    query: Option<String>,
    order_by: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MembersParameters {
    include_derived_membership: Option<String>,
    max_results: Option<String>,
    page_token: Option<String>,
    roles: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupShown<'a> {
    kind: &'static str,
    id: &'a str,
    etag: String,
    email: &'a str,
    name: &'a str,
    direct_members_count: String,
    description: &'a str,
    admin_created: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aliases: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Groups<'a> {
    kind: &'static str,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupShown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

#[derive(Debug, Serialize)]
struct MemberShown<'a> {
    kind: &'static str,
    etag: String,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    role: Role,
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    kind: &'static str,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberShown<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

fn read_max_results(value: Option<&str>) -> Result<usize, Refusal> {
    let Some(text) = value else { return Ok(MOST) };
    match text.parse::<usize>() {
        Ok(number) if number >= 1 => Ok(number.min(MOST)),
        _ => Err(Refusal::invalid_parameter(
            "maxResults",
            text,
            "Values must be within the range: [1, 2147483647]",
        )),
    }
}

fn shown<'a>(directory: &Directory, group: &'a Group) -> GroupShown<'a> {
    let count = group
        .members
        .iter()
        .filter(|membership| directory.is_listed(membership))
        .count();
    GroupShown {
        kind: "admin#directory#group",
        id: group.id.as_str(),
        etag: etag(group.id.as_str(), group.revision),
        email: &group.email,
        name: &group.name,
        direct_members_count: count.to_string(),
        description: &group.description,
        admin_created: true,
        aliases: &group.aliases,
    }
}

/// `GET /admin/directory/v1/groups`.
pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::GroupsList, parameters.user_key.as_deref()).await?;
    sandbox.authorize(&headers, Scope::Group)?;
    match (
        &parameters.customer,
        &parameters.domain,
        &parameters.user_key,
    ) {
        (None, None, None) | (Some(_), _, Some(_)) => {
            return Err(Refusal::bad_request("Bad Request"));
        }
        (Some(customer), _, None) => sandbox.check_customer(customer)?,
        _ => {}
    }
    let most = read_max_results(parameters.max_results.as_deref())?;
    if let Some(order) = &parameters.order_by
        && order != "email"
    {
        return Err(Refusal::invalid_parameter(
            "orderBy",
            order,
            "Values must match the following regular expression: 'email'",
        ));
    }
    let query = Query::read(parameters.query.as_deref())?;
    query.check_group_fields()?;
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
    let member = match &parameters.user_key {
        None => None,
        Some(key) => match directory.person(key) {
            Some(person) if person.deleted_at.is_none() => Some(Member::Person(person.id.clone())),
            _ => return Err(Refusal::not_found("userKey")),
        },
    };
    let faults = lock(&sandbox.0.faults);
    let wanted = |group: &&Group| {
        !faults.leaves_out(group.id.as_str())
            && parameters.domain.as_deref().is_none_or(|domain| {
                group
                    .email
                    .rsplit_once('@')
                    .is_some_and(|(_, d)| d.eq_ignore_ascii_case(domain))
            })
            && member
                .as_ref()
                .is_none_or(|member| group.members.iter().any(|m| m.member == *member))
            && (query.is_empty() || query.finds_group(&directory, group))
    };
    let (page, next): (Vec<&Group>, Option<Cursor>) = if parameters.order_by.is_some() {
        let mut groups: Vec<&Group> = directory.groups.values().filter(wanted).collect();
        groups.sort_by_key(|group| group.email.to_lowercase());
        let place = Cursor::place(cursor.as_ref());
        let next = (groups.len() > place + most).then_some(Cursor::Place(place + most));
        (groups.into_iter().skip(place).take(most).collect(), next)
    } else {
        let start = match &cursor {
            Some(Cursor::After(id)) => Bound::Excluded(GroupId(id.clone())),
            _ => Bound::Unbounded,
        };
        let mut found = directory
            .groups
            .range((start, Bound::Unbounded))
            .map(|(_, group)| group)
            .filter(wanted);
        let page: Vec<&Group> = found.by_ref().take(most).collect();
        let next = found
            .next()
            .and(page.last())
            .map(|last| Cursor::After(last.id.0.clone()));
        (page, next)
    };
    let groups: Vec<GroupShown<'_>> = page.iter().map(|g| shown(&directory, g)).collect();
    let body = Groups {
        kind: "admin#directory#groups",
        etag: etag("groups", groups.len() as u64),
        groups: (twist != Twist::MissingCollection && !groups.is_empty()).then_some(groups),
        next_page_token: Cursor::next(twist, cursor.as_ref(), next),
    };
    answer(twist, &body)
}

/// `GET /admin/directory/v1/groups/{groupKey}`.
pub(super) async fn get(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(key): Path<String>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::GroupGet, Some(&key)).await?;
    sandbox.authorize(&headers, Scope::Group)?;
    let directory = read(&sandbox.0.directory);
    let group = directory
        .group(&key)
        .ok_or_else(|| Refusal::not_found("groupKey"))?;
    answer(twist, &shown(&directory, group))
}

/// `GET /admin/directory/v1/groups/{groupKey}/members`.
pub(super) async fn members(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(key): Path<String>,
    Parameters(parameters): Parameters<MembersParameters>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::MembersList, Some(&key)).await?;
    sandbox.authorize_any(&headers, &[Scope::Member, Scope::Group])?;
    let most = read_max_results(parameters.max_results.as_deref())?;
    let roles: Vec<Role> = match parameters.roles.as_deref() {
        None | Some("") => vec![Role::Owner, Role::Manager, Role::Member],
        Some(text) => text
            .split(',')
            .filter_map(|role| match role.trim().to_ascii_uppercase().as_str() {
                "OWNER" => Some(Role::Owner),
                "MANAGER" => Some(Role::Manager),
                "MEMBER" => Some(Role::Member),
                _ => None,
            })
            .collect(),
    };
    let cursor = Cursor::read(parameters.page_token.as_deref())?;
    let derived = parameters
        .include_derived_membership
        .as_deref()
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));

    let directory = read(&sandbox.0.directory);
    let group = directory
        .group(&key)
        .ok_or_else(|| Refusal::not_found("groupKey"))?;
    let listed = sandbox.walk(&directory, group, derived);
    let with_role: Vec<&Membership> = listed
        .iter()
        .filter(|membership| roles.contains(&membership.role))
        .collect();
    let place = Cursor::place(cursor.as_ref());
    let next = (with_role.len() > place + most).then_some(Cursor::Place(place + most));
    let members: Vec<MemberShown<'_>> = with_role
        .into_iter()
        .skip(place)
        .take(most)
        .filter_map(|membership| member_shown(&directory, membership))
        .collect();
    let body = Members {
        kind: "admin#directory#members",
        etag: etag(group.id.as_str(), group.revision),
        members: (twist != Twist::MissingCollection && !members.is_empty()).then_some(members),
        next_page_token: Cursor::next(twist, cursor.as_ref(), next),
    };
    answer(twist, &body)
}

fn member_shown<'a>(
    directory: &'a Directory,
    membership: &'a Membership,
) -> Option<MemberShown<'a>> {
    let (id, email, r#type, status) = match &membership.member {
        Member::Person(id) => {
            let person = directory.people.get(id)?;
            let status = if person.suspended_at.is_some() {
                "SUSPENDED"
            } else if person.archived_at.is_some() {
                "ARCHIVED"
            } else {
                "ACTIVE"
            };
            (
                id.as_str(),
                Some(person.primary_email.as_str()),
                "USER",
                Some(status),
            )
        }
        Member::Group(id) => {
            let group = directory.groups.get(id)?;
            (
                id.as_str(),
                Some(group.email.as_str()),
                "GROUP",
                Some("ACTIVE"),
            )
        }
        Member::Customer => (directory.customer_id.as_str(), None, "CUSTOMER", None),
        Member::Outsider { id, email, r#type } => {
            let r#type = match r#type {
                OutsiderType::User => "USER",
                OutsiderType::External => "EXTERNAL",
            };
            (id.as_str(), Some(email.as_str()), r#type, None)
        }
    };
    Some(MemberShown {
        kind: "admin#directory#member",
        etag: etag(id, 1),
        id,
        email,
        role: membership.role,
        r#type,
        status,
    })
}

impl Sandbox {
    /// A group's members; walks of nested groups are kept until something changes.
    fn walk(&self, directory: &Directory, group: &Group, derived: bool) -> Arc<Vec<Membership>> {
        if !derived {
            return Arc::new(directory.members(group, false));
        }
        if let Some(walked) = lock(&self.0.walked).get(group.id.as_str()) {
            return Arc::clone(walked);
        }
        let walked = Arc::new(directory.members(group, true));
        lock(&self.0.walked).insert(group.id.0.clone(), Arc::clone(&walked));
        walked
    }
}
