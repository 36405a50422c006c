//! What did not work in an app: for whom, why, what helps, and when it is tried again.

use crate::{
    api::{
        failures::{FailureList, FailureRow, FailureState, FailuresQuery, LoadFailures},
        terms::{OperationKind, Time},
    },
    components::{
        Field, GetForm, PostForm, app_page, asked, button_link, carrying, empty, hidden, icon,
        load, loaded, moment, op, pager, param, person_ref, plain_button, query, until, words,
    },
    format, words as say,
};
use leptos::prelude::*;

const KINDS: [(OperationKind, &str); 6] = [
    (OperationKind::Create, "create"),
    (OperationKind::Link, "link"),
    (OperationKind::Update, "update"),
    (OperationKind::Suspend, "suspend"),
    (OperationKind::Unsuspend, "unsuspend"),
    (OperationKind::Delete, "delete"),
];

const STATES: [(FailureState, &str, &str); 3] = [
    (
        FailureState::TriedAgain,
        "tried-again",
        "Tried again by itself",
    ),
    (FailureState::ForGood, "for-good", "Needs somebody"),
    (FailureState::Ignored, "ignored", "Ignored"),
];

#[component]
pub fn FailuresPage() -> impl IntoView {
    let slug = param("slug");
    let (q, state, kind, number) = (query("q"), query("state"), query("kind"), query("page"));
    let data = load(
        move || {
            let asked = FailuresQuery {
                q: q(),
                state: state().and_then(|key| {
                    STATES
                        .iter()
                        .find(|(_, k, _)| *k == key)
                        .map(|(state, ..)| *state)
                }),
                kind: kind()
                    .and_then(|key| KINDS.iter().find(|(_, k)| *k == key).map(|(kind, _)| *kind)),
                page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
            };
            (slug(), asked)
        },
        |(slug, query)| LoadFailures { slug, query },
    );
    loaded(data, page)
}

fn page(list: FailureList) -> AnyView {
    let slug = list.head.slug.clone();
    let open = list.tried_again + list.for_good;
    let own = format!("/apps/{slug}/failures");
    let csv = (open + list.ignored > 0).then(|| {
        view! { <a class="button" href=format!("/export/failures/{slug}") rel="external" download>{icon("save")}"CSV"</a> }
    });
    let retry = (list.may_decide && open > 0)
        .then(|| plain_button("/api/retry_failure", &slug, "", None, "Retry all now"));
    let month = format!("/audit?last=month&event=provisioning&outcome=failed&app={slug}");
    let lede = view! {
        <p class="lede">
            <b>{format!("{} failed.", format::people(open))}</b>
            {format!(
                " {} {}, {} {} somebody; {} {} ignored. A failure never keeps anybody else waiting.",
                format::number(list.tried_again),
                if list.tried_again == 1 { "is tried again by itself" } else { "are tried again by themselves" },
                format::number(list.for_good),
                if list.for_good == 1 { "needs" } else { "need" },
                format::number(list.ignored),
                if list.ignored == 1 { "is" } else { "are" },
            )}
            " Those that worked since are in the log: "
            <a href=month>"the failures of this month"</a>
            "."
        </p>
    };
    let filtered = ["q", "state", "kind"]
        .iter()
        .any(|name| asked(name).is_some());
    let body = if !list.rows.is_empty() {
        table(&list, &own)
    } else if filtered {
        empty(
            "search",
            "No failure matches these filters.",
            Some(button_link(own.clone(), "", "Clear the filters")),
        )
    } else {
        empty(
            "check",
            "Nothing failed. What does not work shows up here with its cause and what helps.",
            None,
        )
    };
    let filters = (open + list.ignored > 0).then(|| filters(&own));
    view! {
        {app_page(&list.head, "failures", Some(view! { {csv}{retry} }.into_any()), Some(lede.into_any()))}
        {filters}
        {body}
    }
    .into_any()
}

fn filters(own: &str) -> AnyView {
    let (q, state, kind) = (asked("q"), asked("state"), asked("kind"));
    let mut states = vec![(String::new(), "All but ignored".to_owned())];
    states.extend(
        STATES
            .iter()
            .map(|(_, key, text)| ((*key).to_owned(), (*text).to_owned())),
    );
    let mut kinds = vec![(String::new(), "Any operation".to_owned())];
    kinds.extend(
        KINDS
            .iter()
            .map(|(kind, key)| ((*key).to_owned(), say::operation(*kind).0.to_owned())),
    );
    let own = own.to_owned();
    view! {
        <GetForm action=own.clone() class="filters">
            {Field::new("q", "Search").kind("search").placeholder("Name, e-mail or cause").value(q.unwrap_or_default()).input()}
            {Field::new("state", "What happens next").value(state.unwrap_or_default()).select(states)}
            {Field::new("kind", "Operation").value(kind.unwrap_or_default()).select(kinds)}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href=own>"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}

fn table(list: &FailureList, own: &str) -> AnyView {
    let rows = list
        .rows
        .iter()
        .map(|row| line(list, row))
        .collect::<Vec<_>>();
    let decision = list
        .may_decide
        .then(|| view! { <th role="columnheader" scope="col">"Decision"</th> });
    view! {
        <table role="table" class="table stacks">
            <caption>{format!("{}.", format::people(list.paging.total))}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Person"</th>
                    <th role="columnheader" scope="col">"What failed"</th>
                    <th role="columnheader" scope="col">"Cause"</th>
                    <th role="columnheader" scope="col">"What helps"</th>
                    <th role="columnheader" scope="col">"Next try"</th>
                    {decision}
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(list.paging, &carrying(own.to_owned(), &["q", "state", "kind"]))}
    }
    .into_any()
}

fn line(list: &FailureList, row: &FailureRow) -> AnyView {
    let slug = &list.head.slug;
    let tries = if row.attempts > 1 {
        format!("{}, since ", format::counted(row.attempts, "try", "tries"))
    } else {
        "at ".to_owned()
    };
    let run = row.run.map(|number| {
        view! { " in " <a href=format!("/apps/{slug}/runs/{number}")>{format!("run {}", format::number(number))}</a> }
    });
    let decision = list.may_decide.then(|| {
        view! { <td role="cell" class="bare" data-label="Decision">{buttons(slug, row)}</td> }
    });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="What failed">
                {op(row.kind)}
                <br/>
                <span class="muted">{tries}{moment(row.first_at)}{run}</span>
            </td>
            <td role="cell" class="why" data-label="Cause">
                {words("failed", "op-failed", row.title.clone())}
                <br/>
                <span class="soft">{row.cause.clone()}</span>
            </td>
            <td role="cell" class="why" data-label="What helps">{row.remedy.clone()}{way(slug, &row.code)}</td>
            <td role="cell" data-label="Next try">{next(row, list.now)}</td>
            {decision}
        </tr>
    }
    .into_any()
}

/// Where what helps is done, when it is one page of this console.
fn way(slug: &str, code: &str) -> Option<AnyView> {
    let (path, text) = match code {
        "scim-authorization" => ("autoprovisioning/authorize", "Reauthorize"),
        "account-gone" => ("accounts", "Open the accounts"),
        "scim-rejected" | "scim-unsupported" | "scim-media-type" => {
            ("autoprovisioning/attributes", "Open the mapping")
        }
        "scim-endpoint" | "scim-web-page" | "scim-redirect" | "scim-not-found" => {
            ("autoprovisioning/authorize", "Check the endpoint")
        }
        _ => return None,
    };
    Some(view! { <br/><a href=format!("/apps/{slug}/{path}")>{text}</a> }.into_any())
}

fn next(row: &FailureRow, now: Time) -> AnyView {
    match (row.state, row.next_try) {
        (FailureState::Ignored, _) => {
            view! { "None"<br/><span class="muted">"ignored until its cause changes"</span> }.into_any()
        }
        (FailureState::ForGood, _) => {
            view! { "None"<br/><span class="muted">"until what is sent changes, or you retry"</span> }.into_any()
        }
        (FailureState::TriedAgain, Some(at)) if at > now => {
            view! { {moment(at)}<br/><span class="muted">{until(now, at)}</span> }.into_any()
        }
        (FailureState::TriedAgain, _) => "With the next run".into_any(),
    }
}

fn buttons(slug: &str, row: &FailureRow) -> AnyView {
    let button = |action: &'static str, text: &'static str| {
        let (slug, person) = (slug.to_owned(), row.person.id.clone());
        let spoken = format!(" {}", row.person.name);
        view! {
            <PostForm action=action class="inline">
                {hidden("slug", slug)}
                {hidden("person", person)}
                <button class="button button--s" type="submit">{text}<span class="visually-hidden">{spoken}</span></button>
            </PostForm>
        }
        .into_any()
    };
    let ignore =
        (row.state != FailureState::Ignored).then(|| button("/api/ignore_failure", "Ignore"));
    view! { <div class="actions">{button("/api/retry_failure", "Retry now")}{ignore}</div> }
        .into_any()
}
