//! The question before something is decided about steps of the queue: whom it concerns, and what
//! it does.

use super::{address, back_to, due, filters, here, key_of, of, pairs};
use crate::{
    api::{
        queue::{CHOICES, Chosen, LoadQuestion, Question, QueueRow, StepChoice, StepKey},
        terms::AppStatus,
    },
    components::{
        PostForm, button_link, crumbs, empty, hidden, load, loaded, note_plain, op, param,
        person_ref, title,
    },
    format, words as say,
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

#[component]
pub fn DecidePage() -> impl IntoView {
    let slug = param("slug");
    let asked = use_query_map();
    let data = load(
        move || (slug(), asked.with(choice), asked.with(chosen)),
        |(slug, choice, chosen): (String, StepChoice, Chosen)| LoadQuestion {
            slug,
            choice,
            chosen,
        },
    );
    loaded(data, question)
}

/// Without a choice the one that does least is asked about.
fn choice(query: &ParamsMap) -> StepChoice {
    query
        .get("choice")
        .and_then(|word| of(&CHOICES, &word))
        .unwrap_or(StepChoice::Hold)
}

fn chosen(query: &ParamsMap) -> Chosen {
    let keys = query.get_all("chosen").unwrap_or_default();
    let steps: Vec<StepKey> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    let all = query
        .get("all")
        .is_some()
        .then(|| filters(|name| query.get(name)));
    Chosen { steps, all }
}

/// "Suspend 3 and delete 2 accounts".
fn accounts(suspensions: u32, deletions: u32) -> String {
    let parts: Vec<String> = [(suspensions, "suspend"), (deletions, "delete")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, verb)| format!("{verb} {}", format::number(n)))
        .collect();
    let noun = if suspensions + deletions == 1 {
        "account"
    } else {
        "accounts"
    };
    let mut text = format!("{} {noun}", parts.join(" and "));
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn deed(choice: StepChoice, question: &Question) -> String {
    let steps = format::counted(question.suspensions + question.deletions, "step", "steps");
    match choice {
        StepChoice::Cancel => format!("Cancel {steps}"),
        StepChoice::Hold => format!("Hold {steps}"),
        StepChoice::Release => format!("Release {steps}"),
        StepChoice::Now => accounts(question.suspensions, question.deletions),
    }
}

/// What follows, a line each.
fn means(choice: StepChoice, question: &Question) -> Vec<String> {
    match choice {
        StepChoice::Cancel => vec![
            "The accounts stay as they are until the causes end; then everything starts anew."
                .to_owned(),
            "A cancelled step can be taken up again as long as its cause holds.".to_owned(),
        ],
        StepChoice::Hold => vec![
            "Nothing happens to the accounts until somebody releases the steps, whatever their time."
                .to_owned(),
            "When a cause ends meanwhile, its step ends with it.".to_owned(),
        ],
        StepChoice::Release => vec![
            "The steps keep their time. What is due by now is carried out by the next run."
                .to_owned(),
        ],
        StepChoice::Now => {
            let mut lines = question.does.clone();
            lines.push(when(&question.head.status).to_owned());
            lines.push(
                "They are not counted by the hold, and carried out even when other removals are held."
                    .to_owned(),
            );
            lines
        }
    }
}

/// When a decision is carried out, and what is asked before.
fn when(status: &AppStatus) -> &'static str {
    match status {
        AppStatus::On | AppStatus::Running { .. } | AppStatus::Held { .. } => {
            "A run starts within seconds. It asks Google first: when a cause has ended, nothing is sent."
        }
        AppStatus::Off | AppStatus::NotConfigured | AppStatus::Stopped { .. } => {
            "Nothing is sent while the app is not on. The first run after that asks Google, and sends nothing when a cause has ended."
        }
    }
}

fn question(question: Question) -> AnyView {
    let query = here();
    let (choice, chosen) = use_query_map().with_untracked(|query| (choice(query), chosen(query)));
    let (slug, app) = (question.head.slug.clone(), question.head.name.clone());
    let back = back_to(&slug, &query);
    let all = question.suspensions + question.deletions;
    let head = |heading: String| {
        let trail = vec![
            (format!("/apps/{slug}"), app.clone()),
            (back.clone(), "Queue".to_owned()),
        ];
        view! {
            {title(format!("{heading}, {app}"))}
            <div class="page-head">
                {crumbs(trail, heading.clone())}
                <h1>{heading}</h1>
            </div>
        }
    };
    if all == 0 {
        let nothing = if chosen.steps.is_empty() && chosen.all.is_none() {
            "No step is ticked. Tick at least one line of the queue."
        } else {
            "There is nothing to decide about these steps any more."
        };
        return view! {
            {head("Nothing to decide".to_owned())}
            {empty("st-waiting", nothing, Some(button_link(back.clone(), "", "Back to the queue")))}
            {left_out(&question)}
        }
        .into_any();
    }
    let deed = deed(choice, &question);
    let now = if choice == StepChoice::Now {
        " now"
    } else {
        ""
    };
    let heading = format!("{deed} in {app}{now}?");
    let lines = means(choice, &question)
        .into_iter()
        .map(|line| view! { <li>{line}</li> })
        .collect::<Vec<_>>();
    let button = question.may_decide.then(|| {
        let mut fields = vec![
            hidden("slug", slug.clone()),
            hidden("choice", key_of(&CHOICES, choice)),
            hidden("version", question.version.clone()),
            hidden("back", address(&query)),
        ];
        match &chosen.all {
            Some(query) => {
                fields.push(hidden("chosen[all][page]", "1"));
                fields.extend(pairs(query).into_iter().map(|(name, value)| {
                    let name = format!("chosen[all][{name}]");
                    view! { <input type="hidden" name=name value=value/> }.into_any()
                }));
            }
            None => fields.extend(question.rows.iter().enumerate().map(|(at, row)| {
                let name = format!("chosen[steps][{at}]");
                view! { <input type="hidden" name=name value=row.key.to_string()/> }.into_any()
            })),
        }
        let class = if choice == StepChoice::Now {
            "button--danger"
        } else {
            "button--primary"
        };
        view! {
            <PostForm action="/api/decide_steps" class="inline" confirmed=choice == StepChoice::Now>
                {fields}
                <button class=format!("button {class}") type="submit">{deed.clone()}</button>
            </PostForm>
        }
    });
    let only_reading = (!question.may_decide).then(|| {
        note_plain(
            "held",
            "lock",
            "You may read this, not change it",
            view! { <p>"You are signed in as an auditor. A super administrator can decide."</p> },
        )
    });
    view! {
        {head(heading)}
        {only_reading}
        <ul class="bullets measure">{lines}</ul>
        {concerned(&question, all)}
        {left_out(&question)}
        <div class="actions section">{button}<a class="button" href=back>"Back"</a></div>
    }
    .into_any()
}

fn concerned(question: &Question, all: u32) -> AnyView {
    let rows = question
        .rows
        .iter()
        .map(|row| line(row, due(row, question.now)))
        .collect::<Vec<_>>();
    let shown = u32::try_from(question.rows.len()).unwrap_or(u32::MAX);
    let more = (shown < all).then(|| {
        view! { <p class="soft">{format!("And {} more.", format::number(all - shown))}</p> }
    });
    view! {
        <section class="section stack-s" aria-labelledby="concerned">
            <h2 id="concerned">"Whom it concerns"</h2>
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Step"</th>
                        <th role="columnheader" scope="col">"Because"</th>
                        <th role="columnheader" scope="col">"Due"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {more}
        </section>
    }
    .into_any()
}

fn left_out(question: &Question) -> Option<AnyView> {
    if question.left_out.is_empty() {
        return None;
    }
    let rows = question
        .left_out
        .iter()
        .map(|(row, why)| line(row, why.clone().into_any()))
        .collect::<Vec<_>>();
    let heading = format!(
        "Left out: {}",
        format::counted(question.left_out_count, "step", "steps")
    );
    let section = view! {
        <details class="fold" open=question.rows.is_empty()>
            <summary>{heading}</summary>
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Step"</th>
                        <th role="columnheader" scope="col">"Because"</th>
                        <th role="columnheader" scope="col">"Why it is left out"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </details>
    };
    Some(section.into_any())
}

fn line(row: &QueueRow, last: AnyView) -> AnyView {
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{person_ref(&row.person)}</th>
            <td role="cell" data-label="Step">{op(row.operation())}</td>
            <td role="cell" data-label="Because">{say::trigger(row.key.trigger)}</td>
            <td role="cell" data-label="Then">{last}</td>
        </tr>
    }
    .into_any()
}
