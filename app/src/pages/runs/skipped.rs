//! Everybody for whom a run does nothing, each with the rule that decided.

use crate::{
    api::runs::{LoadSkipped, SkippedList, SkippedQuery},
    components::{
        Field, GetForm, asked, button_link, crumbs, empty, load, loaded, param, query, title,
    },
    format,
    pages::apps::concerned_table,
};
use leptos::prelude::*;

#[component]
pub fn SkippedPage() -> impl IntoView {
    let (slug, number) = (param("slug"), param("number"));
    let (rule, why, q, page_number) = (query("rule"), query("why"), query("q"), query("page"));
    let data = load(
        move || {
            let asked = SkippedQuery {
                rule: rule(),
                why: why(),
                q: q(),
                page: page_number()
                    .and_then(|page| page.parse().ok())
                    .unwrap_or(1),
            };
            (slug(), number().parse::<i64>().unwrap_or(0), asked)
        },
        |(slug, number, query)| LoadSkipped {
            slug,
            number,
            query,
        },
    );
    loaded(data, page)
}

/// Where a run's skipped people are listed.
pub fn list_of_skipped(slug: &str, number: i64, why: Option<&str>) -> String {
    let address = format!("/apps/{slug}/runs/{number}/skipped");
    match why {
        Some(why) => format!("{address}?why={}", format::query_value(why)),
        None => address,
    }
}

/// Of a run whose list is not kept any more.
pub const FORGOTTEN: &str = "Who was skipped is kept for the newest 20 runs of an app. Whoever is still skipped is listed in the newest run.";

fn page(list: SkippedList) -> AnyView {
    let (slug, number) = (list.head.slug.clone(), list.number);
    let own = list_of_skipped(&slug, number, None);
    let trail = vec![
        (format!("/apps/{slug}"), list.head.name.clone()),
        (format!("/apps/{slug}/runs"), "Runs".to_owned()),
        (
            format!("/apps/{slug}/runs/{number}"),
            format!("Run {}", format::number(number)),
        ),
    ];
    let body = if list.rules.is_empty() {
        let sentence = if list.counted > 0 {
            FORGOTTEN
        } else {
            "Nobody was skipped in this run."
        };
        empty("op-skip", sentence, None)
    } else if list.rows.is_empty() {
        empty(
            "search",
            "Nobody matches these filters.",
            Some(button_link(own.clone(), "", "Clear the filters")),
        )
    } else {
        concerned_table(&list.rows, list.paging, own.clone())
    };
    view! {
        {title(format!("Skipped in run {number}, {}", list.head.name))}
        <div class="page-head">
            {crumbs(trail, "Skipped")}
            <h1>{format!("Who was skipped in run {}", format::number(number))}</h1>
            <p class="lede">"For them nothing was to be done, or nothing may be done. Each person once, with the rule that decided."</p>
        </div>
        {(!list.rules.is_empty()).then(|| filters(&list, own))}
        {body}
    }
    .into_any()
}

fn filters(list: &SkippedList, own: String) -> AnyView {
    let (rule, why, q) = (asked("rule"), asked("why"), asked("q"));
    let mut options = vec![(String::new(), "Any rule".to_owned())];
    options.extend(list.rules.iter().map(|(key, label, people)| {
        (
            key.clone(),
            format!("{label} ({})", format::number(*people)),
        )
    }));
    let why = why.map(|why| Field::new("why", "What the rule said").value(why).input());
    view! {
        <GetForm action=own.clone() class="filters">
            {Field::new("q", "Search").kind("search").placeholder("Name or e-mail").value(q.unwrap_or_default()).input()}
            {Field::new("rule", "Rule that decided").value(rule.unwrap_or_default()).select(options)}
            {why}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href=own>"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}
