//! Apps: the catalogue, one app, how people sign in to it, for whom it is on.

mod access;
mod add;
mod overview;
mod sign_in;

pub use access::{AccessPage, AccessReviewPage};
pub use add::AddAppPage;
pub use overview::OverviewPage;
pub use sign_in::AppSignInPage;

use crate::{
    api::apps::Effect,
    components::{Tick, person_ref, roll, words},
    format,
};
use leptos::prelude::*;

/// Who stays, enters, leaves or is left out when a change is saved. Everybody is counted once.
pub fn effect(effect: &Effect) -> AnyView {
    let ticks = vec![
        Tick {
            look: "in",
            count: effect.stay,
            label: "stay".to_owned(),
            href: None,
        },
        Tick {
            look: "new",
            count: effect.enter,
            label: "enter".to_owned(),
            href: None,
        },
        Tick {
            look: "leave",
            count: effect.leave,
            label: "leave".to_owned(),
            href: None,
        },
        Tick {
            look: "out",
            count: effect
                .everybody
                .saturating_sub(effect.stay + effect.enter + effect.leave),
            label: "left out".to_owned(),
            href: None,
        },
    ];
    let list = |people: &[(crate::api::terms::PersonRef, String)], all: u32| {
        let more = all.saturating_sub(u32::try_from(people.len()).unwrap_or(all));
        let lines = people
            .iter()
            .map(|(person, why)| {
                view! { <li><span class="stack-s">{person_ref(person)}<small class="muted">{why.clone()}</small></span></li> }.into_any()
            })
            .collect::<Vec<_>>();
        let more = (more > 0).then(
            || view! { <li class="muted">{format!("and {} more", format::number(more))}</li> },
        );
        view! { <ul class="stack-s">{lines}{more}</ul> }.into_any()
    };
    let entering = (effect.enter > 0).then(|| {
        view! {
            <details class="fold" open=true>
                <summary>{words("created", "op-create", format!("{} enter", format::number(effect.enter)))}</summary>
                {list(&effect.entering, effect.enter)}
            </details>
        }
    });
    let leaving = (effect.leave > 0).then(|| {
        let hint = if effect.live {
            "Their accounts follow the policy for “app turned off”."
        } else {
            "Nobody loses anything yet: autoprovisioning is not on."
        };
        view! {
            <details class="fold" open=true>
                <summary>{words("suspended", "op-suspend", format!("{} leave", format::number(effect.leave)))}</summary>
                {list(&effect.leaving, effect.leave)}
                <p class="hint">{hint}</p>
            </details>
        }
    });
    let reasons = effect
        .left_out
        .iter()
        .map(|(reason, n)| crate::components::fact(format::people(*n), reason.clone()))
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
