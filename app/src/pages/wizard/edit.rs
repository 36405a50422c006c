//! The last look at an edit: what differs, whom it concerns, and saving exactly that.

use super::name;
use crate::{
    api::{
        ApiError,
        edits::{EditEffect, EditReview, LoadEditReview, MappingEffect, MovedStep, PolicyEffect},
        terms::{OperationKind, Time},
        wizard::Step,
    },
    components::{
        PostForm, change_list, crumbs, deed_or_why, hidden, load_unless, loaded, moment, note, op,
        param, person_ref, person_why, title,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn EditReviewPage() -> impl IntoView {
    let (slug, step) = (param("slug"), param("step"));
    let data = load_unless(
        move || (slug(), step()),
        |(slug, step)| {
            let step = Step::ALL.into_iter().find(|one| one.path() == step);
            match step {
                Some(step) => Ok(LoadEditReview { slug, step }),
                None => Err(ApiError::not_found().into()),
            }
        },
    );
    loaded(data, page)
}

fn page(edit: EditReview) -> AnyView {
    let (slug, app) = (edit.head.slug.clone(), edit.head.name.clone());
    let overview = format!("/apps/{slug}/autoprovisioning");
    let form = format!("{overview}/{}", edit.step.path());
    let section = name(edit.step);
    let trail = vec![
        (format!("/apps/{slug}"), app.clone()),
        (overview.clone(), "Autoprovisioning".to_owned()),
        (form.clone(), section.to_owned()),
    ];
    let nothing = edit.changes.is_empty();
    let heading = match edit.step {
        Step::Attributes => "Which accounts change by this?",
        Step::Scope => "Who is concerned by this change?",
        _ => "Which steps get other dates?",
    };
    let list = if nothing {
        view! { <p class="soft">"Nothing is changed."</p> }.into_any()
    } else {
        change_list(&edit.changes)
    };
    let (effect, next) = match &edit.effect {
        EditEffect::Attributes(effect) => mapping(&slug, &app, effect, edit.live),
        EditEffect::Scope(effect) => (
            crate::pages::apps::effect(Some(&slug), &effect.effect, 20),
            format!(
                "{} enter, {} leave.",
                format::people(effect.effect.enter),
                format::people(effect.effect.leave)
            ),
        ),
        EditEffect::Deprovisioning(effect) => policies(effect),
    };
    let save = (!nothing).then(|| {
        let save = view! {
            <PostForm action="/api/save_edit" class="inline" confirmed=true>
                {hidden("slug", slug)}
                {hidden("step", edit.step.path())}
                {hidden("version", edit.version)}
                <button class="button button--primary" type="submit">"Save"</button>
            </PostForm>
        };
        deed_or_why(save.into_any())
    });
    let when = if edit.live {
        "It is not saved yet. Once saved, it holds from the next run on."
    } else {
        "It is not saved yet. Autoprovisioning is off, so nothing is sent."
    };
    view! {
        {title(format!("Review {}, {app}", section.to_lowercase()))}
        <div class="page-head">
            {crumbs(trail, "Review")}
            <h1>{heading}</h1>
            <p class="lede">{when}</p>
        </div>
        <div class="beside">
            <section class="stack effect" aria-labelledby="effect-title">
                <h2 id="effect-title">"What this changes"</h2>
                {effect}
            </section>
            <aside class="aside panel" aria-labelledby="changes">
                <header><h2 id="changes">"Changes"</h2></header>
                <div>{list}</div>
            </aside>
            <div class="save-bar">
                <p>{next}</p>
                <div class="actions">
                    <a class="button" href=form>"Back"</a>
                    {save}
                </div>
            </div>
        </div>
    }
    .into_any()
}

fn mapping(slug: &str, app: &str, effect: &MappingEffect, live: bool) -> (AnyView, String) {
    let (updated, accounts) = (effect.updated, effect.accounts);
    let summary = if updated == 0 {
        format!(
            "None of the {} is sent anything because of this edit.",
            format::counted(accounts, "account", "accounts")
        )
    } else {
        format!(
            "{} of {} {} updated{}.",
            format::number(updated),
            format::counted(accounts, "account", "accounts"),
            if updated == 1 { "is" } else { "are" },
            if live {
                " by the next run"
            } else {
                " once it is on again"
            },
        )
    };
    let by = effect
        .by_attribute
        .iter()
        .map(|(attribute, n)| {
            crate::components::fact(
                format::counted(*n, "account", "accounts"),
                attribute.clone(),
            )
        })
        .collect::<Vec<_>>();
    let by = (!by.is_empty()).then(|| view! { <dl class="facts facts--tight">{by}</dl> });
    let examples = effect
        .examples
        .iter()
        .map(|example| {
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{person_ref(&example.person)}</th>
                    <td role="cell" data-label="Values">{change_list(&example.changes)}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let shown = u32::try_from(effect.examples.len()).unwrap_or(0);
    let examples = (!examples.is_empty()).then(|| {
        let caption = if updated > shown {
            format!("The first {shown} of them.")
        } else {
            "All of them.".to_owned()
        };
        view! {
            <table role="table" class="table stacks">
                <caption>{caption}</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Person"</th>
                        <th role="columnheader" scope="col">"Values"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{examples}</tbody>
            </table>
        }
    });
    let lacking = (effect.lacking > 0).then(|| {
        let people = effect
            .lacking_first
            .iter()
            .map(|(person, why)| {
                view! { <li>{person_why(person, why)}</li> }.into_any()
            })
            .collect::<Vec<_>>();
        note(
            "failed",
            "op-failed",
            format!("{} lose what is mandatory", format::people(effect.lacking)),
            view! {
                <p>{format!("Without it they get no account in {app}, and accounts they have are no longer updated.")}</p>
                <ul class="people-list">{people}</ul>
            },
        )
    });
    let again = format!("/apps/{slug}/autoprovisioning/attributes");
    let body = view! {
        <div>
            {lacking}
            <p>{summary.clone()}</p>
            {by}
            <p class="hint">"Values come from the directory as it was last read. "<a href=again>"Look at one person"</a></p>
        </div>
        {examples}
    };
    (body.into_any(), summary)
}

fn policies(effect: &PolicyEffect) -> (AnyView, String) {
    let at_once = effect.suspensions_at_once + effect.deletions_at_once;
    let due = (at_once > 0).then(|| {
        let counted = |n: u32, one: &str, many: &str| (n > 0).then(|| format::counted(n, one, many));
        let parts: Vec<String> = [
            counted(effect.suspensions_at_once, "suspension", "suspensions"),
            counted(effect.deletions_at_once, "deletion", "deletions"),
        ]
        .into_iter()
        .flatten()
        .collect();
        note(
            "deleted",
            "st-waiting",
            format!("{} due at once", parts.join(" and ")),
            view! { <p>"Their time has run out by the new windows: the next run carries them out, unless they are more than you allow at once."</p> },
        )
    });
    let lines: Vec<AnyView> = [
        (effect.earlier, "come earlier"),
        (effect.later, "come later"),
        (effect.ended, "are no longer taken"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, what)| crate::components::fact(format::counted(n, "step", "steps"), what.to_owned()))
    .collect();
    let none = (at_once == 0 && lines.is_empty()).then(|| {
        let text = if effect.waiting == 0 {
            "Nothing waits in the queue, so nothing gets another date.".to_owned()
        } else {
            format!(
                "{} in the queue keep their dates.",
                format::counted(effect.waiting, "step", "steps")
            )
        };
        view! { <p>{text}</p> }
    });
    let moved = effect.moved.iter().map(moved_step).collect::<Vec<_>>();
    let changed = at_once + effect.earlier + effect.later + effect.ended;
    let more = changed.saturating_sub(u32::try_from(effect.moved.len()).unwrap_or(changed));
    let more = (more > 0)
        .then(|| view! { <li class="muted">{format!("and {} more", format::number(more))}</li> });
    let moved = (!moved.is_empty()).then(|| {
        view! { <ul class="people-list">{moved}{more}</ul> }
    });
    let next = match (at_once, changed) {
        (0, 0) => "No waiting step gets another date.".to_owned(),
        (0, n) => format!(
            "{} get another date.",
            format::counted(n, "waiting step", "waiting steps")
        ),
        (n, _) => format!(
            "{} {} due at once.",
            format::counted(n, "step", "steps"),
            if n == 1 { "is" } else { "are" }
        ),
    };
    let body = view! {
        <div>{due}{none}<dl class="facts facts--tight">{lines}</dl></div>
        {moved}
    };
    (body.into_any(), next)
}

fn moved_step(step: &MovedStep) -> AnyView {
    let dated = |at: &Option<(OperationKind, Time)>| match at {
        Some((kind, at)) => view! { {op(*kind)} " " {moment(*at)} }.into_any(),
        None => view! { <span class="muted">"nothing"</span> }.into_any(),
    };
    let after = if step.at_once {
        let kind = step.after.map(|(kind, _)| op(kind));
        view! { {kind} " " <b>"with the next run"</b> }.into_any()
    } else {
        dated(&step.after)
    };
    view! {
        <li>
            <span class="stack-0">
                {person_ref(&step.person)}
                <small class="soft">{dated(&step.before)} ", then " {after}</small>
            </span>
        </li>
    }
    .into_any()
}
