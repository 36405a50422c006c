//! When removals and creates of an app wait for review.

use super::{held_from, lede, section};
use crate::{
    api::settings::{
        AppSafety, LoadSafetyOfApps, LoadThresholds, Thresholds, ThresholdsPage as Page,
    },
    components::{
        PostForm, button_link, empty, fact, facts, field_error, hidden, labelled, load, loaded,
        note_plain, param, read_only,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn ThresholdsListPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadSafetyOfApps {}), list)
}

fn list(apps: Vec<AppSafety>) -> AnyView {
    let intro = lede(
        "A directory that lost people, or a rule that was changed by mistake, shows as many removals at once. From these numbers on they wait for your word; everything else goes on.",
    );
    let rows = apps.iter().map(row).collect::<Vec<_>>();
    let body = if rows.is_empty() {
        empty(
            "apps",
            "No app yet. Thresholds are set by app.",
            Some(button_link("/apps/add", "button--primary", "Add an app")),
        )
    } else {
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"App"</th>
                        <th role="columnheader" scope="col">"Thresholds"</th>
                        <th role="columnheader" scope="col">"Means now"</th>
                        <th role="columnheader" scope="col" class="num">"Accounts"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        }
        .into_any()
    };
    section("thresholds", Vec::new(), "Thresholds", intro, body)
}

fn row(app: &AppSafety) -> AnyView {
    let (name, numbers, means) = match &app.thresholds {
        Some(thresholds) => (
            view! { <a href=format!("/settings/thresholds/{}", app.slug)><bdi>{app.name.clone()}</bdi></a> }.into_any(),
            in_numbers(thresholds),
            held_from(thresholds, app.accounts),
        ),
        None => (
            view! { <bdi>{app.name.clone()}</bdi> }.into_any(),
            "Not configured".to_owned(),
            String::new(),
        ),
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{name}</th>
            <td role="cell" data-label="Thresholds">{numbers}</td>
            <td role="cell" data-label="Means now">{means}</td>
            <td role="cell" class="num" data-label="Accounts">{format::number(app.accounts)}</td>
        </tr>
    }
    .into_any()
}

/// "More than 10 and 5 %, or 50".
fn in_numbers(thresholds: &Thresholds) -> String {
    let creates = match thresholds.creates {
        Some(creates) => format!("; more than {} creates", format::number(creates)),
        None => String::new(),
    };
    format!(
        "More than {} and {} %, or more than {}{creates}",
        format::number(thresholds.count),
        thresholds.percent,
        format::number(thresholds.maximum),
    )
}

#[component]
pub fn ThresholdsPage() -> impl IntoView {
    loaded(load(param("slug"), |slug| LoadThresholds { slug }), page)
}

fn page(page: Page) -> AnyView {
    let (name, saved, accounts) = (page.head.name.clone(), page.saved, page.accounts);
    let typed = [
        RwSignal::new(saved.count.to_string()),
        RwSignal::new(saved.percent.to_string()),
        RwSignal::new(saved.maximum.to_string()),
    ];
    // As typed, while every number is one; as saved before the page is alive.
    let chosen = Memo::new(move |_| {
        let number = |at: usize| typed[at].get().trim().parse::<u32>().ok();
        Some(Thresholds {
            count: number(0)?,
            percent: number(1).filter(|percent| *percent <= 100)?,
            maximum: number(2)?,
            creates: saved.creates,
        })
    });
    let (removed, due, waiting) = (page.removed, page.due, page.waiting);
    let means = move || match chosen.get() {
        None => "Enter whole numbers".to_owned(),
        Some(thresholds) => held_from(&thresholds, accounts),
    };
    let today = move || match chosen.get() {
        None => String::new(),
        Some(thresholds) => today(&thresholds, accounts, removed, due),
    };
    let usual = page.usual;
    let aside = view! {
        <aside class="aside panel" aria-labelledby="means">
            <header><h2 id="means">{format!("What this means for {name}")}</h2></header>
            <div class="stack-s">
            <p aria-live="polite"><b>{means}</b></p>
            <p>{today}</p>
            {facts(vec![
                fact("Accounts", format::number(accounts)),
                fact("Removed in 24 hours", format::number(removed)),
                fact("Due in 24 hours", format::number(due)),
                fact("Wait for review", format::number(waiting)),
            ])}
            <p class="hint">{format!("Usual: {}.", in_numbers(&usual).to_lowercase())}</p>
            </div>
        </aside>
    };
    let creates = saved
        .creates
        .map(|creates| creates.to_string())
        .unwrap_or_default();
    // Built inside the form, which tells each control of its error.
    let fields = move || {
        view! {
            {number("count", "Removals", "More than this, and more than the percentage below, are held.", saved.count.to_string(), Some(typed[0]))}
            {number("percent", "Percent of the accounts", "0 to 100.", saved.percent.to_string(), Some(typed[1]))}
            {number("maximum", "Removals, whatever the percentage", "More than this are always held.", saved.maximum.to_string(), Some(typed[2]))}
            {number("creates", "Creates in one run", "More than this are held. Empty: never. For apps with a fixed number of seats.", creates, None)}
        }
    };
    let form = if page.may_change {
        view! {
            <PostForm action="/api/save_thresholds" class="beside" locked=true>
                {hidden("slug", page.head.slug.clone())}
                <div class="stack measure">{fields()}</div>
                {aside}
                <div class="save-bar">
                    <p>"Holds from the next run on. What waits for review already stays until you decide."</p>
                    <div class="actions">
                        <a class="button" href="/settings/thresholds">"Back"</a>
                        <button class="button button--primary" type="submit">"Save"</button>
                    </div>
                </div>
            </PostForm>
        }
        .into_any()
    } else {
        view! { <div class="beside"><div class="stack">{read_only()}<p>{in_numbers(&saved)}</p></div>{aside}</div> }.into_any()
    };
    section(
        "thresholds",
        vec![(String::new(), name.clone())],
        format!("Thresholds of {name}"),
        lede(
            "Removals are suspensions and deletions, counted over 24 hours. All accounts of an app with at least five are always held.",
        ),
        view! {
            {form}
            {note_plain(
                "neutral",
                "shield",
                "Who does not count",
                view! { <p>"Removals that you allowed or asked for now, and people who are protected."</p> },
            )}
        },
    )
}

/// What would become of the removals of the next 24 hours.
fn today(thresholds: &Thresholds, accounts: u32, removed: u32, due: u32) -> String {
    let safety = provisioning::config::Safety {
        hold_count: thresholds.count,
        hold_percent: thresholds.percent,
        hold_max: thresholds.maximum,
        ..provisioning::config::Safety::default()
    };
    let first = provisioning::guard::first_held(&safety, u64::from(accounts));
    let all = u64::from(removed) + u64::from(due);
    let held = due > 0 && first.is_some_and(|first| all >= first);
    match (due, held) {
        (0, _) => "Today: no removal is due within 24 hours.".to_owned(),
        (n, false) => format!(
            "Today: {} due within 24 hours would go through.",
            format::counted(n, "removal", "removals")
        ),
        (n, true) => format!(
            "Today: {} due within 24 hours would be held, once enough of them are due.",
            format::counted(n, "removal", "removals")
        ),
    }
}

fn number(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
    typed: Option<RwSignal<String>>,
) -> AnyView {
    labelled(name, label);
    let (wrong, error) = field_error(name);
    let (hint_id, both) = (format!("{name}-hint"), format!("{name}-hint {name}-error"));
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <p class="hint" id=hint_id.clone()>{hint}</p>
            <input
                class="input input--number"
                id=name
                name=name
                inputmode="numeric"
                autocomplete="off"
                value=value
                aria-describedby=move || if wrong.get() { both.clone() } else { hint_id.clone() }
                aria-invalid=move || wrong.get().then_some("true")
                on:input=move |event| {
                    if let Some(typed) = typed {
                        typed.try_set(event_target_value(&event));
                    }
                }
            />
            {error}
        </div>
    }
    .into_any()
}
