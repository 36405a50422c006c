//! The whole lists behind an app's numbers: who stands where and why, and who lacks a value.

use crate::{
    api::concerned::{
        Compared, Concerned, ConcernedQuery, ConcernedRow, Lacking, LackingQuery, LackingRow,
        LoadConcerned, LoadLacking, Place,
    },
    api::terms::Paging,
    components::{
        Field, GetForm, asked, button_link, carrying, crumbs, empty, hidden, load, loaded, pager,
        param, person_ref, query, title, with_times, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn ConcernedPage() -> impl IntoView {
    let slug = param("slug");
    let (place, compared, rule, why, q, number) = (
        query("place"),
        query("compared"),
        query("rule"),
        query("why"),
        query("q"),
        query("page"),
    );
    let data = load(
        move || {
            let asked = ConcernedQuery {
                place: place()
                    .and_then(|key| Place::parse(&key))
                    .unwrap_or_default(),
                compared: compared().map_or(Compared::Saved, |key| Compared::parse(&key)),
                rule: rule(),
                why: why(),
                q: q(),
                page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
            };
            (slug(), asked)
        },
        |(slug, query)| LoadConcerned { slug, query },
    );
    loaded(data, page)
}

/// Where the list of a place is, for the numbers that lead to it.
pub fn list_of(slug: &str, place: Place, compared: Compared, why: Option<&str>) -> String {
    let mut address = format!("/apps/{slug}/people?place={}", place.key());
    if compared != Compared::Saved {
        address.push_str("&compared=");
        address.push_str(compared.key());
    }
    if let Some(why) = why {
        address.push_str("&why=");
        address.push_str(&format::query_value(why));
    }
    address
}

fn page(page: Concerned) -> AnyView {
    let (slug, app) = (page.head.slug.clone(), page.head.name.clone());
    let left_out = page
        .everybody
        .saturating_sub(page.stay + page.enter + page.leave);
    let count = |place: Place| match place {
        Place::LeftOut => left_out,
        Place::InScope => page.stay + page.enter,
        Place::Entering => page.enter,
        Place::Leaving => page.leave,
    };
    let name = |place: Place| match place {
        Place::LeftOut => "Left out",
        Place::InScope => "In scope",
        Place::Entering => "Enter",
        Place::Leaving => "Leave",
    };
    let (here, compared) = (page.place, page.compared);
    let places = Place::ALL
        .into_iter()
        .filter(|place| {
            compared != Compared::Saved || matches!(place, Place::LeftOut | Place::InScope)
        })
        .map(|place| {
            let current = (place == here).then_some("true");
            let text = format!("{} {}", name(place), format::number(count(place)));
            view! { <a href=list_of(&slug, place, compared, None) aria-current=current>{text}</a> }
                .into_any()
        })
        .collect::<Vec<_>>();
    let heading = match here {
        Place::LeftOut => format!("Who is left out of {app}, and why"),
        Place::InScope => format!("Who is in scope of {app}, and why"),
        Place::Entering => format!("Who enters the scope of {app}"),
        Place::Leaving => format!("Who leaves the scope of {app}"),
    };
    let (back, from, lede) = match compared {
        Compared::Saved => (
            format!("/apps/{slug}/autoprovisioning"),
            "Autoprovisioning",
            "Everybody of the directory, each once, with the rule that decided. Deleted people are not counted.",
        ),
        Compared::Scope => (
            if page.head.configured() {
                format!("/apps/{slug}/autoprovisioning/scope")
            } else {
                format!("/apps/{slug}/setup/scope")
            },
            "Scope",
            "As it will be when the scope that you are editing is saved.",
        ),
        Compared::Access => (
            format!("/apps/{slug}/access/review"),
            "User access",
            "As it will be when the change of user access is saved.",
        ),
    };
    let trail = vec![
        (format!("/apps/{slug}"), app.clone()),
        (back, from.to_owned()),
    ];
    let body = if page.rows.is_empty() {
        nobody(&slug, here, compared)
    } else {
        table(&page)
    };
    view! {
        {title(heading.clone())}
        <div class="page-head">
            {crumbs(trail, "People")}
            <h1>{heading}</h1>
            <p class="lede">{lede}</p>
            <nav class="tabs" aria-label="Where people stand">{places}</nav>
        </div>
        {filters(&page)}
        {body}
    }
    .into_any()
}

fn filters(page: &Concerned) -> AnyView {
    let (rule, why, q) = (asked("rule"), asked("why"), asked("q"));
    let mut options = vec![(String::new(), "Any rule".to_owned())];
    options.extend(page.rules.iter().map(|(key, label, people)| {
        (
            key.clone(),
            format!("{label} ({})", format::number(*people)),
        )
    }));
    let kept = vec![
        hidden("place", page.place.key()),
        hidden("compared", page.compared.key()),
    ];
    let why = why.map(|why| Field::new("why", "What the rule said").value(why).input());
    let clear = list_of(&page.head.slug, page.place, page.compared, None);
    view! {
        <GetForm action=format!("/apps/{}/people", page.head.slug) class="filters">
            {kept}
            {Field::new("q", "Search").kind("search").placeholder("Name or e-mail").value(q.unwrap_or_default()).input()}
            {Field::new("rule", "Rule that decided").value(rule.unwrap_or_default()).select(options)}
            {why}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href=clear>"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}

fn nobody(slug: &str, here: Place, compared: Compared) -> AnyView {
    let filtered = asked("q").is_some() || asked("rule").is_some() || asked("why").is_some();
    if filtered {
        let clear = button_link(list_of(slug, here, compared, None), "", "Clear the filters");
        return empty("search", "Nobody matches these filters.", Some(clear));
    }
    let text = match here {
        Place::LeftOut => "Nobody is left out.",
        Place::InScope => {
            "Nobody is in scope. Turn the app on for org units, and look at the groups of the scope."
        }
        Place::Entering => "Nobody enters.",
        Place::Leaving => "Nobody leaves.",
    };
    empty("people", text, None)
}

fn table(page: &Concerned) -> AnyView {
    let own = list_of(&page.head.slug, page.place, page.compared, None);
    concerned_table(&page.rows, page.paging, own)
}

/// People with the rule that decided about each. `own` is the list's address without filters.
pub fn concerned_table(rows: &[ConcernedRow], paging: Paging, own: String) -> AnyView {
    let rows = rows.iter().map(concerned_row).collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks">
            <caption>{format!("{}.", format::people(paging.total))}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"Rule that decided"</th>
                    <th role="columnheader" scope="col">"What it said"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(paging, &carrying(own, &["rule", "why", "q"]))}
    }
    .into_any()
}

fn concerned_row(row: &ConcernedRow) -> AnyView {
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Rule">{row.rule.clone()}</td>
            <td role="cell" class="why" data-label="What it said">{with_times(&row.why)}</td>
        </tr>
    }
    .into_any()
}

#[component]
pub fn LackingPage() -> impl IntoView {
    let slug = param("slug");
    let (attribute, drafted, q, number) = (
        query("attribute"),
        query("drafted"),
        query("q"),
        query("page"),
    );
    let data = load(
        move || {
            let asked = LackingQuery {
                attribute: attribute().unwrap_or_default(),
                drafted: drafted().is_some(),
                q: q(),
                page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
            };
            (slug(), asked)
        },
        |(slug, query)| LoadLacking { slug, query },
    );
    loaded(data, lacking)
}

/// Where the people who lack a value are listed.
pub fn list_of_lacking(slug: &str, attribute: &str, drafted: bool) -> String {
    let mut address = format!(
        "/apps/{slug}/lacking?attribute={}",
        format::query_value(attribute)
    );
    if drafted {
        address.push_str("&drafted=1");
    }
    address
}

fn lacking(page: Lacking) -> AnyView {
    let (slug, app) = (page.head.slug.clone(), page.head.name.clone());
    let editor = if page.head.configured() {
        format!("/apps/{slug}/autoprovisioning/attributes")
    } else {
        format!("/apps/{slug}/setup/attributes")
    };
    let trail = vec![
        (format!("/apps/{slug}"), app.clone()),
        (editor.clone(), "Attributes".to_owned()),
    ];
    let heading = format!("Who has no value for “{}”", page.label);
    let lede = view! {
        <b>{format!("{} of {}", format::number(page.lacking), format::people(page.in_scope))}</b>
        {format!(" in scope. It comes from: {}. {}", page.source, page.consequence)}
    };
    let own = list_of_lacking(&slug, &page.attribute, page.drafted);
    let (clear, typed) = (own.clone(), asked("q").unwrap_or_default());
    let q = asked("q");
    let fields = [
        Some(hidden("attribute", page.attribute.clone())),
        page.drafted.then(|| hidden("drafted", "1")),
    ];
    let search = view! {
        <GetForm action=format!("/apps/{slug}/lacking") class="filters">
            {fields.into_iter().flatten().collect::<Vec<_>>()}
            {Field::new("q", "Search").kind("search").placeholder("Name or e-mail").value(typed).input()}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href=clear>"Clear"</a>
            </div>
        </GetForm>
    };
    let body = if page.rows.is_empty() {
        match q {
            Some(q) => empty("search", format!("Nobody of them matches “{q}”."), None),
            None => empty(
                "check",
                "Everybody in scope has a value.",
                Some(button_link(editor.clone(), "", "Back to the attributes")),
            ),
        }
    } else {
        let address = match &q {
            Some(q) => format!("{own}&q={}", format::query_value(q)),
            None => own,
        };
        let problems = page.rows.iter().any(|row| row.why.is_some());
        let rows = page
            .rows
            .iter()
            .map(|row| lacking_row(row, problems))
            .collect::<Vec<_>>();
        let why =
            problems.then(|| view! { <th role="columnheader" scope="col">"What is wrong"</th> });
        view! {
            <table role="table" class="table stacks">
                <caption>{format!("{}. Fill in the value in Google, choose another source, or give a default.", format::people(page.paging.total))}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Org unit"</th>
                        {why}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(page.paging, &address)}
        }
        .into_any()
    };
    view! {
        {title(format!("{heading}, {app}"))}
        <div class="page-head">
            {crumbs(trail, page.label.clone())}
            <h1>{heading}</h1>
            <p class="lede">{lede}</p>
        </div>
        {search}
        {body}
    }
    .into_any()
}

fn lacking_row(row: &LackingRow, problems: bool) -> AnyView {
    let why = problems.then(|| {
        let said = match &row.why {
            Some(why) => words("failed", "op-failed", why.clone()),
            None => words("neutral", "st-none", "No value"),
        };
        view! { <td role="cell" class="why" data-label="What is wrong">{said}</td> }
    });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Org unit">{row.org_unit.clone()}</td>
            {why}
        </tr>
    }
    .into_any()
}
