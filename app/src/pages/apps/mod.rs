//! Apps: the catalogue, one app, how people sign in to it, for whom it is on.

mod access;
mod add;
mod concerned;
mod overview;
mod sign_in;

pub use access::{AccessPage, AccessReviewPage};
pub use add::AddAppPage;
pub use concerned::{ConcernedPage, LackingPage, concerned_table, list_of, list_of_lacking};
pub use overview::OverviewPage;
pub use sign_in::AppSignInPage;

use crate::{
    api::{apps::Effect, concerned::Place},
    components::{Tick, person_why, roll, words},
    format,
};
use leptos::prelude::*;

/// Who stays, enters, leaves or is left out when a change is saved. Everybody is counted once.
/// `shown` people of each list are named; the whole lists of the app that is named have pages of
/// their own.
pub fn effect(lists_of: Option<&str>, effect: &Effect, shown: usize) -> AnyView {
    let at = |place: Place| lists_of.map(|slug| list_of(slug, place, effect.compared, None));
    let ticks = vec![
        Tick {
            look: "in",
            count: effect.stay,
            label: "stay".to_owned(),
            href: at(Place::InScope),
        },
        Tick {
            look: "new",
            count: effect.enter,
            label: "enter".to_owned(),
            href: at(Place::Entering),
        },
        Tick {
            look: "leave",
            count: effect.leave,
            label: "leave".to_owned(),
            href: at(Place::Leaving),
        },
        Tick {
            look: "out",
            count: effect
                .everybody
                .saturating_sub(effect.stay + effect.enter + effect.leave),
            label: "left out".to_owned(),
            href: at(Place::LeftOut),
        },
    ];
    let list = |people: &[(crate::api::terms::PersonRef, String)], all: u32, place: Place| {
        let whole = at(place);
        let people = &people[..people.len().min(shown)];
        let more = all.saturating_sub(u32::try_from(people.len()).unwrap_or(all));
        let lines = people
            .iter()
            .map(|(person, why)| view! { <li>{person_why(person, why)}</li> }.into_any())
            .collect::<Vec<_>>();
        let more = (more > 0).then(|| {
            let more = format::number(more);
            match whole {
                Some(whole) => {
                    view! { <li><a href=whole>{format!("{more} more, the whole list")}</a></li> }
                        .into_any()
                }
                None => view! { <li>{format!("and {more} more")}</li> }.into_any(),
            }
        });
        view! { <ul class="people-list">{lines}{more}</ul> }.into_any()
    };
    let entering = (effect.enter > 0).then(|| {
        view! {
            <details class="fold" open=true>
                <summary>{words("created", "op-create", format!("{} enter", format::number(effect.enter)))}</summary>
                {list(&effect.entering, effect.enter, Place::Entering)}
            </details>
        }
    });
    let leaving = (effect.leave > 0).then(|| {
        let mut said = effect.consequences.clone();
        if !effect.live {
            said.push("Nobody loses anything yet: autoprovisioning is not on.".to_owned());
        }
        let consequences = said
            .into_iter()
            .map(|line| view! { <p class="soft">{line}</p> }.into_any())
            .collect::<Vec<_>>();
        view! {
            <details class="fold" open=true>
                <summary>{words("suspended", "op-suspend", format!("{} leave", format::number(effect.leave)))}</summary>
                {consequences}
                {list(&effect.leaving, effect.leave, Place::Leaving)}
            </details>
        }
    });
    let reasons = effect
        .left_out
        .iter()
        .map(|(reason, n)| {
            let said = match lists_of {
                Some(slug) if !reason.ends_with("other reasons") => {
                    let href = list_of(slug, Place::LeftOut, effect.compared, Some(reason));
                    view! { <a href=href>{reason.clone()}</a> }.into_any()
                }
                _ => reason.clone().into_any(),
            };
            crate::components::fact(format::people(*n), said)
        })
        .collect::<Vec<_>>();
    let out: u32 = effect.left_out.iter().map(|(_, n)| n).sum();
    let left_out = (!reasons.is_empty()).then(|| {
        view! {
            <details class="fold">
                <summary>{format!("{} left out, by the rule that decided", format::number(out))}</summary>
                <dl class="facts facts--tight">{reasons}</dl>
            </details>
        }
    });
    view! { <div>{roll("effect", ticks)}</div><div>{entering}{leaving}{left_out}</div> }.into_any()
}
