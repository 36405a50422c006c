//! Operations and skipped people, as plans and runs show them.

use super::skipped::list_of_skipped;
use crate::{
    api::{
        runs::{OperationRow, OperationState, SkipGroup},
        terms::OperationKind,
    },
    components::{change_list, icon, op, op_done, person_ref, with_times, words},
    format,
};
use leptos::prelude::*;

/// Everything that a plan or a run says of people, as a file.
pub fn csv_link(slug: &str, number: i64) -> AnyView {
    let href = format!("/export/runs/{slug}/{number}");
    view! { <a class="button" href=href rel="external" download>{icon("save")}"CSV"</a> }.into_any()
}

/// The table in which plans and runs show operations.
pub fn operations_table(rows: AnyView) -> AnyView {
    view! {
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"Operation"</th>
                    <th role="columnheader" scope="col">"Values"</th>
                    <th role="columnheader" scope="col">"Why"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

pub fn operation_rows(rows: &[OperationRow]) -> AnyView {
    rows.iter()
        .map(operation_row)
        .collect::<Vec<_>>()
        .into_any()
}

fn operation_row(row: &OperationRow) -> AnyView {
    let what = match row.state {
        OperationState::Done => op_done(row.kind),
        OperationState::Failed => words(
            "failed",
            "op-failed",
            format!("{} failed", crate::words::operation(row.kind).0),
        ),
        OperationState::Held => words(
            "held",
            "op-held",
            format!("{}, held", crate::words::operation(row.kind).0),
        ),
        OperationState::Superseded => words(
            "neutral",
            "op-skip",
            format!("{}, no longer needed", crate::words::operation(row.kind).0),
        ),
        OperationState::Planned | OperationState::Sending => op(row.kind),
    };
    let values = if row.changes.is_empty() {
        let text = match row.kind {
            OperationKind::Link => "No difference, nothing is sent",
            _ => "",
        };
        view! { <span class="muted">{text}</span> }.into_any()
    } else {
        change_list(&row.changes)
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Operation">{what}</td>
            <td role="cell" data-label="Values">{values}</td>
            <td role="cell" class="why" data-label="Why">{with_times(&row.reason)}</td>
        </tr>
    }
    .into_any()
}

pub fn skip_rows(slug: &str, number: i64, skipped: &[SkipGroup]) -> AnyView {
    let all: u32 = skipped.iter().map(|group| group.count).sum();
    let rows = skipped
        .iter()
        .map(|group| {
            let names = group.first.iter().map(|person| person.name.clone()).collect::<Vec<_>>().join(", ");
            let more = group.count.saturating_sub(u32::try_from(group.first.len()).unwrap_or(0));
            let all = list_of_skipped(slug, number, Some(&group.reason));
            let spoken = format!(", {}", group.reason);
            let more = (more > 0).then(|| {
                view! { " " <a href=all>{format!("and {} more", format::number(more))}<span class="visually-hidden">{spoken}</span></a> }
            });
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row"><b>{format::people(group.count)}</b></th>
                    <td role="cell" data-label="Operation">{words("neutral", "op-skip", "Skip")}</td>
                    <td role="cell" data-label="Who"><bdi>{names}</bdi>{more}</td>
                    <td role="cell" class="why" data-label="Why">{with_times(&group.reason)}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let head = (!rows.is_empty()).then(|| {
        view! {
            <tr role="row" class="group">
                <th role="rowheader" colspan="4" scope="rowgroup">
                    "Skip "
                    <span class="muted">{format!("{}, each with the rule that decided. ", format::people(all))}</span>
                    <a href=list_of_skipped(slug, number, None)>"List them all"</a>
                </th>
            </tr>
        }
    });
    view! { {head}{rows} }.into_any()
}
