//! Setting up autoprovisioning. The same forms edit one section later, on its own.

mod attributes;
mod authorize;
mod deprovisioning;
mod edit;
mod review;
mod scope;
mod turn_on;

pub use attributes::AttributesPage;
pub use authorize::AuthorizePage;
pub use deprovisioning::{DeprovisioningPage, when};
pub use edit::EditReviewPage;
pub use review::ReviewPage;
pub use scope::{ScopePage, remove_button};
pub use turn_on::TurnOnPage;

use crate::{
    api::{
        terms::AppHead,
        wizard::{Progress, Step},
    },
    components::{
        PostForm, crumbs, deed, hidden, icon, may_change, moment, note, read_only, tally, title,
    },
};
use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// The page is a section's own, not a step of the wizard.
pub fn live() -> bool {
    use_location()
        .pathname
        .with_untracked(|path| path.contains("/autoprovisioning/"))
}

pub fn name(step: Step) -> &'static str {
    match step {
        Step::Authorize => "Authorize",
        Step::Attributes => "Attributes",
        Step::Scope => "Scope",
        Step::Deprovisioning => "Deprovisioning",
        Step::Review => "Review and turn on",
    }
}

/// Title, lede and, in the wizard, the five steps.
pub fn step_head(
    app: &AppHead,
    progress: &Progress,
    step: Step,
    live: bool,
    heading: String,
    lede: AnyView,
) -> AnyView {
    let trail = vec![
        (format!("/apps/{}", app.slug), app.name.clone()),
        (
            format!("/apps/{}/autoprovisioning", app.slug),
            "Autoprovisioning".to_owned(),
        ),
    ];
    let here = if live {
        name(step).to_owned()
    } else {
        "Set up".to_owned()
    };
    let steps = (!live).then(|| steps(app, progress, step));
    let unsaved = (live && progress.edited.contains(&step)).then(|| {
        let edit = DiscardEdit { slug: app.slug.clone(), step };
        note(
            "accent",
            "edit",
            "This edit is not saved yet",
            view! {
                <p>"What you see is the edit. What counts is unchanged until you review and save it."</p>
                <div class="actions">{edit.button("Discard the edit")}</div>
            },
        )
    });
    view! {
        {title(format!("{heading} · {}", app.name))}
        <div class="page-head">
            {crumbs(trail, here)}
            <h1>{heading}</h1>
            <p class="lede">{lede}</p>
        </div>
        {steps}
        {unsaved.map(|note| view! { <div class="section-s">{note}</div> })}
    }
    .into_any()
}

/// Takes back the edit of one section.
pub struct DiscardEdit {
    pub slug: String,
    pub step: Step,
}

impl DiscardEdit {
    pub fn button(self, text: &'static str) -> Option<AnyView> {
        let button = view! {
            <PostForm action="/api/discard_edit" class="inline">
                {hidden("slug", self.slug)}
                {hidden("step", self.step.path())}
                <button class="button button--s" type="submit">{icon("undo")}{text}</button>
            </PostForm>
        };
        deed(button.into_any())
    }
}

fn steps(app: &AppHead, progress: &Progress, here: Step) -> AnyView {
    let items = Step::ALL
        .into_iter()
        .enumerate()
        .map(|(i, step)| {
            let href = format!("/apps/{}/setup/{}", app.slug, step.path());
            let text = format!("{}. {}", i + 1, name(step));
            let done = progress.done.contains(&step);
            if step == here {
                view! { <li aria-current="step">{text}</li> }.into_any()
            } else if done {
                view! { <li>{icon("check")}<a href=href>{name(step)}</a></li> }.into_any()
            } else {
                view! { <li>{text}</li> }.into_any()
            }
        })
        .collect::<Vec<_>>();
    let at = Step::ALL.iter().position(|step| *step == here);
    let saved = progress
        .saved_at
        .map(|at| view! { <p>"Draft saved " {moment(at)}</p> });
    view! { <nav class="steps" aria-label="Set-up steps">{tally(at)}<ol>{items}</ol>{saved}</nav> }
        .into_any()
}

/// The last row of a step: what comes next, and the buttons.
pub fn save_bar(slug: &str, step: Step, live: bool, next: AnyView) -> AnyView {
    if !may_change() {
        return view! { <div class="save-bar">{read_only()}</div> }.into_any();
    }
    let buttons = if live && step == Step::Authorize {
        view! {
            <a class="button" href=format!("/apps/{slug}/autoprovisioning")>"Cancel"</a>
            <button class="button button--primary" type="submit" name="go" value="save">"Save"</button>
        }
        .into_any()
    } else if live {
        view! {
            <button class="button" type="submit" name="go" value="cancel" formnovalidate>"Cancel"</button>
            <button class="button button--primary" type="submit" name="go" value="review">"Review and save"</button>
        }
        .into_any()
    } else {
        let before = Step::ALL.into_iter().rev().find(|other| *other < step);
        let back = before.map(|before| {
            view! { <a class="button" href=format!("/apps/{slug}/setup/{}", before.path())>"Back"</a> }
        });
        let leave = (step != Step::Authorize).then(|| {
            view! { <button class="button button--quiet" type="submit" name="go" value="leave" formnovalidate>"Save and leave"</button> }
        });
        view! {
            {leave}
            {back}
            <button class="button button--primary" type="submit" name="go" value="continue">"Continue"</button>
        }
        .into_any()
    };
    view! { <div class="save-bar"><p>{next}</p><div class="actions">{buttons}</div></div> }
        .into_any()
}
