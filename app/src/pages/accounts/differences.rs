//! Where an app differs from what Rollcall left there, as last read back.

use crate::{
    api::accounts::{DifferenceKind, DifferenceRow, Differences, LoadDifferences},
    components::{
        change_list, crumbs, empty, load, loaded, moment, pager, param, person_ref, plain_button,
        query, title, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn DifferencesPage() -> impl IntoView {
    let (slug, number) = (param("slug"), query("page"));
    let data = load(
        move || {
            (
                slug(),
                number().and_then(|page| page.parse().ok()).unwrap_or(1),
            )
        },
        |(slug, page)| LoadDifferences { slug, page },
    );
    loaded(data, differences)
}

fn differences(page: Differences) -> AnyView {
    let (slug, app) = (page.head.slug.clone(), page.head.name.clone());
    let trail = vec![
        (format!("/apps/{slug}"), app.clone()),
        (format!("/apps/{slug}/accounts"), "Accounts".to_owned()),
    ];
    let heading = match (page.read_at, page.paging.total) {
        (None, _) => "Not read back yet".to_owned(),
        (Some(_), 0) => format!("{app} is as Rollcall left it"),
        (Some(_), n) => format!(
            "{} changed in {app}",
            format::counted(n, "account was", "accounts were")
        ),
    };
    let read = page
        .read_at
        .map(|at| view! { "Read back last at " {moment(at)} ". " });
    let every = match page.every_hours {
        0 => "Scheduled runs do not read back.".to_owned(),
        hours => format!(
            "A scheduled run reads back when the last reading is older than {}.",
            format::counted(hours, "hour", "hours")
        ),
    };
    let button = page.may_read.then(|| {
        plain_button(
            "/api/read_back",
            &slug,
            "button--primary",
            None,
            "Read back now",
        )
    });
    let body = if page.rows.is_empty() {
        let text = match page.read_at {
            None => {
                "Reading back compares every linked account with what Rollcall wrote last. Only values that the app showed after our write are compared."
            }
            Some(_) => {
                "Nothing was changed there by others. What is found shows up here, and in the audit log."
            }
        };
        empty("op-same", text, None)
    } else {
        let rows = page.rows.iter().map(row).collect::<Vec<_>>();
        let address = format!("/apps/{slug}/accounts/differences");
        view! {
            <table role="table" class="table stacks">
                <caption>"What differs is sent again by the run that found it, unless the person is left alone."</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"What is different"</th>
                        <th role="columnheader" scope="col">"Left by Rollcall, and found"</th>
                        <th role="columnheader" scope="col">"First found"</th>
                        <th role="columnheader" scope="col">"Last found"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(page.paging, &address)}
        }
        .into_any()
    };
    view! {
        {title(format!("Changed there, {app}"))}
        <div class="page-head">
            {crumbs(trail, "Changed there")}
            <div class="page-head__row"><h1>{heading}</h1><div class="actions">{button}</div></div>
            <p class="lede">{read}{every}</p>
        </div>
        {body}
    }
    .into_any()
}

fn row(row: &DifferenceRow) -> AnyView {
    let (tone, shape, word) = match row.kind {
        DifferenceKind::Active => ("failed", "op-unsuspend", "Active again"),
        DifferenceKind::Inactive => ("suspended", "op-suspend", "Suspended there"),
        DifferenceKind::Values => ("updated", "op-update", "Values"),
        DifferenceKind::Gone => ("deleted", "op-delete", "Gone"),
    };
    let changes = (!row.changes.is_empty()).then(|| change_list(&row.changes));
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="What is different">
                {words(tone, shape, word)}
                <br/>
                <code class="muted">{row.account.clone()}</code>
            </td>
            <td role="cell" data-label="Left, and found">{changes}</td>
            <td role="cell" data-label="First found">{moment(row.first_found)}</td>
            <td role="cell" data-label="Last found">{moment(row.last_found)}</td>
        </tr>
    }
    .into_any()
}
