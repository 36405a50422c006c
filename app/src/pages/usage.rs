//! What autoprovisioning did in the last 30 days, by day.

use crate::{
    api::usage::{LoadUsage, Usage, UsageFigure, UsageLane},
    components::{Lane, app_page, by_day, figures, lane, load, loaded, param, sheet, words},
    format,
};
use chrono::NaiveDate;
use leptos::prelude::*;

#[component]
pub fn UsagePage() -> impl IntoView {
    loaded(load(param("slug"), |slug| LoadUsage { slug }), usage)
}

/// Word, icon and tone of a figure.
fn look(figure: UsageFigure) -> (&'static str, &'static str, &'static str) {
    match figure {
        UsageFigure::Created => ("Created", "op-create", "created"),
        UsageFigure::Updated => ("Updated", "op-update", "updated"),
        UsageFigure::Suspended => ("Suspended", "op-suspend", "suspended"),
        UsageFigure::Unsuspended => ("Unsuspended", "op-unsuspend", "created"),
        UsageFigure::Deleted => ("Deleted", "op-delete", "deleted"),
        UsageFigure::Failures => ("Failures", "op-failed", "failed"),
    }
}

/// The events of a figure in the log, of the whole time or of one day.
fn events(slug: &str, one: &UsageLane, from: NaiveDate, to: NaiveDate) -> String {
    format!("/audit?app={slug}&{}&from={from}&to={to}", one.filter)
}

/// Each figure of the 30 days, leading to its events.
pub fn totals(usage: &Usage) -> AnyView {
    let (Some(first), Some(last)) = (usage.days.first(), usage.days.last()) else {
        return ().into_any();
    };
    let totals = usage
        .lanes
        .iter()
        .map(|one| {
            let (word, shape, tone) = look(one.figure);
            let href = events(&usage.head.slug, one, *first, *last);
            view! { <li><b>{format::number(one.total)}</b><a href=href>{words(tone, shape, word)}</a></li> }.into_any()
        })
        .collect();
    figures(totals)
}

fn usage(usage: Usage) -> AnyView {
    let slug = usage.head.slug.clone();
    let (Some(first), Some(last)) = (usage.days.first().copied(), usage.days.last().copied())
    else {
        return app_page(&usage.head, "usage", None, None);
    };
    let lanes = usage
        .lanes
        .iter()
        .map(|one| {
            let (word, shape, tone) = look(one.figure);
            let shown = Lane {
                word,
                shape,
                tone,
                href: events(&slug, one, first, last),
                values: &one.by_day,
                total: one.total,
                down: false,
            };
            lane(&shown, |at| {
                let day = *usage.days.get(at)?;
                let n = one.by_day.get(at).copied().unwrap_or(0);
                let text = format!("{}: {}", format::weekday(day), format::number(n));
                Some((text, events(&slug, one, day, day)))
            })
        })
        .collect::<Vec<_>>();
    let nothing = usage.lanes.iter().all(|one| one.total == 0);
    let table = (!nothing).then(|| table(&usage));
    let nothing =
        nothing.then(|| view! { <p class="soft">"Nothing happened in these 30 days."</p> });
    let middle = usage.days.get(usage.days.len() / 2).copied();
    let axis = [Some(first), middle, Some(last)]
        .into_iter()
        .flatten()
        .map(|day| view! { <span>{format::short_day(day)}</span> })
        .collect::<Vec<_>>();
    view! {
        {app_page(&usage.head, "usage", None, None)}
        {sheet("totals", "The last 30 days", "Each figure leads to its events.", None, totals(&usage))}
        {sheet(
            "by-day",
            "Day by day",
            format!("Each row has its own scale, and each day leads to its events. Days are those of {}.", usage.zone),
            None,
            view! {
                <div class="lanes">
                    {lanes}
                    <div class="lane lane--axis"><p class="axis">{axis}</p></div>
                </div>
                {nothing}
                {table}
            },
        )}
    }
    .into_any()
}

/// Newest first; days on which nothing happened are summed up.
fn table(usage: &Usage) -> AnyView {
    const COLUMNS: [&str; 6] = [
        "Created",
        "Updated",
        "Suspended",
        "Unsuspended",
        "Deleted",
        "Failures",
    ];
    let slug = &usage.head.slug;
    let rows = usage
        .days
        .iter()
        .enumerate()
        .rev()
        .filter(|(at, _)| usage.lanes.iter().any(|one| one.by_day.get(*at).is_some_and(|n| *n > 0)))
        .map(|(at, day)| {
            let cells = usage
                .lanes
                .iter()
                .map(|one| match one.by_day.get(at).copied().unwrap_or(0) {
                    0 => view! { <td class="num muted">"0"</td> }.into_any(),
                    n => view! { <td class="num"><a href=events(slug, one, *day, *day)>{format::number(n)}</a></td> }.into_any(),
                })
                .collect::<Vec<_>>();
            view! { <tr><th scope="row">{format::weekday(*day)}</th>{cells}</tr> }.into_any()
        })
        .collect::<Vec<_>>();
    let quiet = u32::try_from(usage.days.len() - rows.len()).unwrap_or_default();
    let rest = (quiet > 0).then(|| {
        let zeros = COLUMNS
            .iter()
            .map(|_| view! { <td class="num">"0"</td> }.into_any())
            .collect::<Vec<_>>();
        view! { <tr class="muted"><th scope="row">{format::counted(quiet, "other day", "other days")}</th>{zeros}</tr> }
    });
    by_day("Usage by day", &COLUMNS, view! { {rows}{rest} }.into_any())
}
