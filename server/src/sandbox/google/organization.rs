//! The customer, its domains and its org units.

use axum::extract::{Path, Query as Parameters, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::Refusal;
use super::{Scope, Twist, answer, enter, etag, time};
use crate::sandbox::directory::{Directory, OrgUnit};
use crate::sandbox::faults::Call;
use crate::sandbox::{Sandbox, read};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OrgUnitParameters {
    r#type: Option<String>,
    org_unit_path: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OrgUnitShown<'a> {
    kind: &'static str,
    name: &'a str,
    description: &'a str,
    etag: String,
    block_inheritance: bool,
    org_unit_id: &'a str,
    org_unit_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_org_unit_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_org_unit_path: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OrgUnits<'a> {
    kind: &'static str,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_units: Option<Vec<OrgUnitShown<'a>>>,
}

/// `GET /admin/directory/v1/customer/{customerId}/orgunits`.
pub(super) async fn org_units(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(customer): Path<String>,
    Parameters(parameters): Parameters<OrgUnitParameters>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::OrgUnitsList, None).await?;
    sandbox.authorize(&headers, Scope::OrgUnit)?;
    sandbox.check_customer(&customer)?;
    let directory = read(&sandbox.0.directory);
    let top = match parameters.org_unit_path.as_deref() {
        None | Some("") => "/",
        Some(path) => path,
    };
    let top = directory
        .org_units
        .values()
        .find(|unit| unit.id.as_str() == top)
        .or_else(|| directory.org_unit_at(top))
        .ok_or_else(|| Refusal::invalid("Org unit not found"))?;
    let wanted: Box<dyn Fn(&OrgUnit) -> bool> = match parameters.r#type.as_deref() {
        None | Some("children") => Box::new(|unit| unit.parent.as_ref() == Some(&top.id)),
        Some("all") => Box::new(|unit| unit.id != top.id && below(&directory, unit, top)),
        Some("allIncludingParent") => Box::new(|unit| below(&directory, unit, top)),
        Some(other) => {
            return Err(Refusal::invalid_parameter(
                "type",
                other,
                "Values must match one of: all, children, allIncludingParent",
            ));
        }
    };
    let mut units: Vec<OrgUnitShown<'_>> = directory
        .org_units
        .values()
        .filter(|unit| wanted(unit))
        .map(|unit| OrgUnitShown {
            kind: "admin#directory#orgUnit",
            name: &unit.name,
            description: &unit.description,
            etag: etag(unit.id.as_str(), 1),
            block_inheritance: false,
            org_unit_id: unit.id.as_str(),
            org_unit_path: directory.path_of(&unit.id),
            parent_org_unit_id: unit.parent.as_ref().map(|id| id.as_str()),
            parent_org_unit_path: unit.parent.as_ref().map(|id| directory.path_of(id)),
        })
        .collect();
    units.sort_by(|a, b| a.org_unit_path.cmp(&b.org_unit_path));
    let body = OrgUnits {
        kind: "admin#directory#orgUnits",
        etag: etag("orgunits", units.len() as u64),
        organization_units: (twist != Twist::MissingCollection && !units.is_empty())
            .then_some(units),
    };
    answer(twist, &body)
}

/// Whether a unit is `top` or somewhere below it.
fn below(directory: &Directory, unit: &OrgUnit, top: &OrgUnit) -> bool {
    let mut next = Some(unit);
    while let Some(unit) = next {
        if unit.id == top.id {
            return true;
        }
        next = unit
            .parent
            .as_ref()
            .and_then(|id| directory.org_units.get(id));
    }
    false
}

/// `GET /admin/directory/v1/customers/{customerKey}`.
pub(super) async fn customer(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(customer): Path<String>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::CustomerGet, None).await?;
    sandbox.authorize(&headers, Scope::Customer)?;
    let directory = read(&sandbox.0.directory);
    if customer != directory.primary_domain() {
        sandbox.check_customer(&customer)?;
    }
    let created = directory
        .domains
        .first()
        .map(|domain| time(domain.created_at));
    answer(
        twist,
        &json!({
            "kind": "admin#directory#customer",
            "etag": etag(&directory.customer_id, 1),
            "id": directory.customer_id,
            "customerDomain": directory.primary_domain(),
            "alternateEmail": "postmaster@northmoor-office.example",
            "language": "en",
            "customerCreationTime": created,
            "postalAddress": { "organizationName": directory.name, "countryCode": "GB" },
        }),
    )
}

/// `GET /admin/directory/v1/customer/{customer}/domains`.
pub(super) async fn domains(
    State(sandbox): State<Sandbox>,
    headers: HeaderMap,
    Path(customer): Path<String>,
) -> Result<Response, Refusal> {
    let twist = enter(&sandbox, Call::DomainsList, None).await?;
    sandbox.authorize(&headers, Scope::Domain)?;
    sandbox.check_customer(&customer)?;
    let directory = read(&sandbox.0.directory);
    let domains: Vec<_> = directory
        .domains
        .iter()
        .map(|domain| {
            json!({
                "kind": "admin#directory#domain",
                "etag": etag(&domain.name, 1),
                "domainName": domain.name,
                "isPrimary": domain.primary,
                "verified": true,
                "creationTime": domain.created_at.timestamp_millis().to_string(),
            })
        })
        .collect();
    let mut body = json!({
        "kind": "admin#directory#domains",
        "etag": etag("domains", domains.len() as u64),
    });
    if twist != Twist::MissingCollection
        && let Some(body) = body.as_object_mut()
    {
        body.insert("domains".to_owned(), domains.into());
    }
    answer(twist, &body)
}
