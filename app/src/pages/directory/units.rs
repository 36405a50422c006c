//! The tree of org units.

use super::connection::read_at;
use crate::{
    api::directory::{LoadOrgUnits, OrgUnitRow, OrgUnits},
    components::{empty, head, icon, load, loaded},
    format,
};
use leptos::prelude::*;

#[component]
pub fn OrgUnitsPage() -> impl IntoView {
    view! {
        {head("Org units", "The tree as Google has it. Apps are turned on and off along it.", None)}
        {loaded(load(|| (), |()| LoadOrgUnits {}), page)}
    }
}

fn page(units: OrgUnits) -> AnyView {
    if units.rows.is_empty() {
        return empty(
            "units",
            "No org units yet. They show up here once the directory is read.",
            None,
        );
    }
    let rows = units.rows.iter().map(row).collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks middle">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Org unit"</th>
                    <th role="columnheader" scope="col">"Path"</th>
                    <th role="columnheader" scope="col" class="num">"People here"</th>
                    <th role="columnheader" scope="col" class="num">"With those below"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {read_at(units.read_at)}
    }
    .into_any()
}

fn row(unit: &OrgUnitRow) -> AnyView {
    let href = format!(
        "/directory/people?org_unit={}",
        format::query_value(&unit.path)
    );
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <span class=format!("tree d{}", unit.depth.min(5))>
                    {icon(if unit.depth == 0 { "units" } else { "turn" })}
                    <bdi>{unit.name.clone()}</bdi>
                </span>
            </th>
            <td role="cell" class="muted" data-label="Path">{unit.path.clone()}</td>
            <td role="cell" class="num" data-label="People here">{format::number(unit.people)}</td>
            <td role="cell" class="num" data-label="With those below"><a href=href>{format::number(unit.people_below)}</a></td>
        </tr>
    }
    .into_any()
}
