//! Every version of an app's configuration: who changed what, and putting one back.

use crate::{
    api::{
        history::{
            Comparison, History, LoadComparison, LoadHistory, LoadRestoring, Restoring, Section,
            Version,
        },
        terms::AppHead,
    },
    components::{
        EditForm, GetForm, app_page, button_link, change_list, crumbs, empty, field_error, hidden,
        labelled, load, loaded, moment, note, pager, param, query, state_chip, title,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn HistoryPage() -> impl IntoView {
    let (slug, page) = (param("slug"), query("page"));
    let source = move || {
        (
            slug(),
            page().and_then(|page| page.parse().ok()).unwrap_or(1),
        )
    };
    loaded(
        load(source, |(slug, page): (String, u32)| LoadHistory {
            slug,
            page,
        }),
        history,
    )
}

fn history(page: History) -> AnyView {
    let slug = page.head.slug.clone();
    let lede = view! { <p class="lede">"Every change of the configuration is a version. Any two can be compared, and an earlier one put back."</p> };
    if page.versions.is_empty() {
        return view! {
            {app_page(&page.head, "autoprovisioning", None, Some(lede.into_any()))}
            {empty(
                "log",
                "No version yet. The first one is made when autoprovisioning is turned on.",
                Some(button_link(format!("/apps/{slug}/autoprovisioning"), "", "Autoprovisioning")),
            )}
        }
        .into_any();
    }
    let rows = page
        .versions
        .iter()
        .map(|version| row(&slug, version, page.may_change))
        .collect::<Vec<_>>();
    view! {
        {app_page(&page.head, "autoprovisioning", None, Some(lede.into_any()))}
        <h2>"History of the configuration"</h2>
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Version"</th>
                    <th role="columnheader" scope="col">"When"</th>
                    <th role="columnheader" scope="col">"Who"</th>
                    <th role="columnheader" scope="col">"What changed"</th>
                    <th role="columnheader" scope="col"><span class="visually-hidden">"Action"</span></th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(page.paging, &format!("/apps/{slug}/history"))}
    }
    .into_any()
}

fn row(slug: &str, version: &Version, may_change: bool) -> AnyView {
    let n = version.number;
    let compare = (n > 1).then(|| {
        let href = format!("/apps/{slug}/history/compare?old={}&new={n}", n - 1);
        view! { <a class="button button--s" href=href>"Compare"<span class="visually-hidden">{format!(" version {n} with the one before")}</span></a> }
    });
    let restore = (may_change && !version.current).then(|| {
        let href = format!("/apps/{slug}/history/{n}/restore");
        view! { <a class="button button--s button--quiet" href=href>"Restore"<span class="visually-hidden">{format!(" version {n}")}</span></a> }
    });
    let current = version
        .current
        .then(|| state_chip("created", "st-on", "In force"));
    let note = (!version.note.is_empty())
        .then(|| view! { <small class="muted">{version.note.clone()}</small> });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{n.to_string()} " " {current}</th>
            <td role="cell" data-label="When">{moment(version.at)}</td>
            <td role="cell" data-label="Who">{version.by.clone()}</td>
            <td role="cell" data-label="What changed"><span class="stack-s">{version.summary.clone()}{note}</span></td>
            <td role="cell"><span class="actions">{compare}{restore}</span></td>
        </tr>
    }
    .into_any()
}

fn trail(head: &AppHead) -> Vec<(String, String)> {
    vec![
        (format!("/apps/{}", head.slug), head.name.clone()),
        (format!("/apps/{}/history", head.slug), "History".to_owned()),
    ]
}

#[component]
pub fn ComparePage() -> impl IntoView {
    let (slug, old, new) = (param("slug"), query("old"), query("new"));
    let number = |text: Option<String>| text.and_then(|text| text.parse::<i32>().ok());
    let source = move || (slug(), number(old()), number(new()));
    loaded(
        load(source, |(slug, old, new)| LoadComparison { slug, old, new }),
        comparison,
    )
}

fn comparison(page: Comparison) -> AnyView {
    let slug = page.head.slug.clone();
    let heading = format!(
        "Version {} and version {}",
        page.old.number, page.new.number
    );
    let newest = page.newest.to_string();
    let select = move |name: &'static str, label: &'static str, chosen: i32| {
        let newest = newest.clone();
        view! {
            <div class="field">
                <label for=name>{label}</label>
                <input class="input input--number" id=name name=name type="number" min="1" max=newest required value=chosen.to_string() autocomplete="off"/>
            </div>
        }
        .into_any()
    };
    let made = |version: &Version| {
        view! { <p>{format!("Version {}: ", version.number)} {version.by.clone()} ", " {moment(version.at)}</p> }.into_any()
    };
    let restore = (page.may_change && page.old.number < page.newest).then(|| {
        button_link(
            format!("/apps/{slug}/history/{}/restore", page.old.number),
            "button--primary",
            format!("Restore version {}", page.old.number),
        )
    });
    view! {
        {title(format!("{heading}, {}", page.head.name))}
        <div class="page-head">
            {crumbs(trail(&page.head), "Compare")}
            <div class="page-head__row"><h1>{heading}</h1><div class="actions">{restore}</div></div>
            <div class="lede">{made(&page.old)}{made(&page.new)}</div>
        </div>
        <GetForm action=format!("/apps/{slug}/history/compare") class="find-row measure section-s" label="Versions to compare">
            {select("old", "Version", page.old.number)}
            {select("new", "With version", page.new.number)}
            <button class="button" type="submit">"Compare"</button>
        </GetForm>
        {sections(&page.sections)}
    }
    .into_any()
}

/// Settings before and after, by section.
fn sections(sections: &[Section]) -> AnyView {
    if sections.is_empty() {
        return view! { <p class="soft">"Both say the same."</p> }.into_any();
    }
    sections
        .iter()
        .enumerate()
        .map(|(at, section)| {
            let id = format!("section-{at}");
            let labelled_by = id.clone();
            view! {
                <section class="sheet" aria-labelledby=labelled_by>
                    <div class="sheet__margin">
                        <h2 id=id>{section.title.clone()}</h2>
                        <p>{format::counted(u32::try_from(section.changes.len()).unwrap_or(0), "setting", "settings")}</p>
                    </div>
                    <div class="sheet__body">{change_list(&section.changes)}</div>
                </section>
            }
            .into_any()
        })
        .collect::<Vec<_>>()
        .into_any()
}

#[component]
pub fn RestorePage() -> impl IntoView {
    let (slug, version) = (param("slug"), param("version"));
    let source = move || (slug(), version().parse().unwrap_or_default());
    loaded(
        load(source, |(slug, version): (String, i32)| LoadRestoring {
            slug,
            version,
        }),
        restoring,
    )
}

fn restoring(page: Restoring) -> AnyView {
    let (slug, n) = (page.head.slug.clone(), page.version.number);
    let heading = format!("Restore version {n}?");
    let nothing = page.sections.is_empty();
    let possible = page.may_change && page.problems.is_empty() && !nothing;
    let problems = (!page.problems.is_empty()).then(|| {
        let lines = page
            .problems
            .iter()
            .map(|line| view! { <li>{line.clone()}</li> }.into_any())
            .collect::<Vec<_>>();
        note(
            "failed",
            "op-failed",
            "It can't be put back as it is",
            view! { <ul class="bullets">{lines}</ul> },
        )
    });
    let steps = match (page.due_at_once, page.re_dated) {
        (0, 0) => "No step that waits gets another date.".to_owned(),
        (0, moved) => format!(
            "{} another date, none is due at once.",
            format::counted(moved, "step that waits gets", "steps that wait get")
        ),
        (due, moved) => format!(
            "{} due at once, {} another date.",
            format::counted(
                due,
                "suspension or deletion is",
                "suspensions and deletions are"
            ),
            format::counted(moved, "other gets", "others get")
        ),
    };
    let everybody = page.opens_to_everybody.then(|| {
        view! { <p><b>"It has no groups: everybody for whom the app is on gets an account."</b></p> }
    });
    let effect = match &page.effect {
        Some(effect) => super::apps::effect(None, effect, 20),
        None => {
            view! { <p class="hint">"The directory was not read yet, so nobody is concerned."</p> }
                .into_any()
        }
    };
    let says = if nothing {
        "Nothing would change."
    } else {
        "It becomes a new version; the ones between stay in the history. The access token is not touched, and autoprovisioning stays on or off as it is."
    };
    view! {
        {title(format!("{heading} {}", page.head.name))}
        <div class="page-head">
            {crumbs(trail(&page.head), format!("Restore version {n}"))}
            <h1>{heading}</h1>
            <p class="lede">{format!("As it was after {} changed it, ", page.version.by)} {moment(page.version.at)} "."</p>
        </div>
        {problems}
        <EditForm action="/api/restore_version" class="beside" locked=true>
            {hidden("slug", slug.clone())}
            {hidden("version", n.to_string())}
            {hidden("current", page.current.to_string())}
            <div class="stack">{sections(&page.sections)}</div>
            <aside class="aside panel" aria-labelledby="effect-title">
                <header><h2 id="effect-title">"What this changes"</h2><p class="hint">"Everybody of the directory, each counted once."</p></header>
                {effect}
                <div class="stack-s">{everybody}<p>{steps}</p></div>
            </aside>
            <div class="save-bar">
                <div>{possible.then(confirmed)}<p>{says}</p></div>
                <div class="actions">
                    <a class="button" href=format!("/apps/{slug}/history")>"Back"</a>
                    {possible.then(|| view! { <button class="button button--primary" type="submit">{format!("Restore version {n}")}</button> })}
                </div>
            </div>
        </EditForm>
    }
    .into_any()
}

fn confirmed() -> AnyView {
    labelled("confirmed", "Restoring");
    let (wrong, error) = field_error("confirmed");
    view! {
        <label class="check">
            <input
                type="checkbox"
                id="confirmed"
                name="confirmed"
                value="true"
                aria-invalid=move || wrong.get().then_some("true")
                aria-describedby=move || wrong.get().then_some("confirmed-error")
            />
            <span>"I have looked at who enters, who leaves and what becomes due"</span>
        </label>
        {error}
    }
    .into_any()
}
