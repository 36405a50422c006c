//! Step 4: what ends an account, and when. Each policy is a sentence and a line in time.

use super::{live, save_bar, step_head};
use crate::{
    api::{
        FieldCode, FieldError,
        terms::{OperationKind, Trigger},
        wizard::{DeprovisioningStep, LoadDeprovisioningStep, PolicyView, Step},
    },
    components::{
        EditForm, default_button, field_error, hidden, icon, labelled, load, loaded, op, param,
    },
    words,
};
use leptos::prelude::*;
use provisioning::config::{Policy, PolicyProblem, Window};

#[component]
pub fn DeprovisioningPage() -> impl IntoView {
    loaded(
        load(param("slug"), |slug| LoadDeprovisioningStep { slug }),
        page,
    )
}

fn page(step: DeprovisioningStep) -> AnyView {
    let live = live();
    let slug = step.head.slug.clone();
    let app = step.head.name.clone();
    let lede = "Three things can end an account. Say for each how long people keep it. If the cause ends in time, the step is cancelled.";
    let (windows, policies) = (step.windows.clone(), step.policies.clone());
    let sentences = move || {
        policies
            .iter()
            .map(|one| policy(one, &windows))
            .collect::<Vec<_>>()
    };
    let bullets = |lines: &[String]| {
        lines
            .iter()
            .map(|line| view! { <li>{line.clone()}</li> }.into_any())
            .collect::<Vec<_>>()
    };
    let (suspending, deleting) = (bullets(&step.suspending), bullets(&step.deleting));
    let next = if live && step.waiting > 0 {
        "The next page says which waiting steps get other dates, before anything is saved."
    } else if live {
        "The next page says what changes, before anything is saved."
    } else {
        "Next: a plan with every person by name. Nothing is sent yet."
    };
    view! {
        {step_head(&step.head, &step.progress, Step::Deprovisioning, live, "What happens when somebody leaves?".to_owned(), lede.into_any())}
        <EditForm action="/api/save_deprovisioning" class="beside" confirmed=true>
            {default_button("go", if live { "review" } else { "continue" })}
            {hidden("slug", slug.clone())}
            {live.then(|| hidden("live", "true"))}
            <div>{sentences()}</div>
            <aside class="aside stack" aria-labelledby="truth">
                <div class="panel">
                    <header><h2 id="truth">{format!("What {app} really does")}</h2></header>
                    <div><h3>{op(OperationKind::Suspend)}</h3><ul class="bullets">{suspending}</ul></div>
                    <div><h3>{op(OperationKind::Delete)}</h3><ul class="bullets">{deleting}</ul></div>
                </div>
            </aside>
            {save_bar(&slug, Step::Deprovisioning, live, next.into_any())}
        </EditForm>
    }
    .into_any()
}

/// "24h" as "24 hours".
fn label(window: &str) -> String {
    window
        .parse::<Window>()
        .map_or_else(|_| window.to_owned(), Window::label)
}

/// "within 24 hours", "after 7 days".
pub fn when(window: &str) -> String {
    window
        .parse::<Window>()
        .map_or_else(|_| window.to_owned(), Window::sentence)
}

/// What the rules say of this choice; empty is never.
fn problem(suspend: &str, delete: &str) -> Option<FieldCode> {
    let window = |text: &str| {
        if text.is_empty() {
            Ok(None)
        } else {
            text.parse::<Window>().map(Some)
        }
    };
    let policy = window(suspend).and_then(|suspend| Policy::new(suspend, window(delete)?));
    match policy.err()? {
        PolicyProblem::NoStep => Some(FieldCode::NothingChosen),
        PolicyProblem::DeleteNotLater { .. } => Some(FieldCode::DeleteNotAfterSuspend),
        PolicyProblem::UnknownWindow(_) => Some(FieldCode::WindowUnknown),
    }
}

fn policy(policy: &PolicyView, windows: &[String]) -> AnyView {
    let (key, legend, hint, cause) = match policy.trigger {
        Trigger::AppTurnedOff => (
            "app_turned_off",
            "The app is turned off for a person",
            "Their org unit, a group or the scope no longer includes them.",
            "when the app is turned off",
        ),
        Trigger::Suspended => (
            "suspended",
            "A person is suspended in Google",
            "They come back when the suspension ends.",
            "when suspended in Google",
        ),
        Trigger::Deleted => (
            "deleted",
            "A person is deleted from Google",
            "Google keeps deleted people for 20 days.",
            "when deleted from Google",
        ),
    };
    let (suspend, delete) = (
        RwSignal::new(policy.suspend.clone()),
        RwSignal::new(policy.delete.clone()),
    );
    let found =
        Memo::new(move |_| suspend.with(|suspend| delete.with(|delete| problem(suspend, delete))));
    let own = move || {
        found.get().map(|code| {
            let text = words::field(&FieldError { field: String::new(), code, args: Vec::new() });
            view! { <p class="error" id=format!("{key}-problem")>{icon("op-failed")}<span>{text}</span></p> }
        })
    };
    let select =
        |part: &'static str, never: &'static str, verb: &'static str, value: RwSignal<String>| {
            let name = format!("{key}[{part}]");
            let id = format!("{key}-{part}-");
            labelled(&name, legend);
            let (wrong, error) = field_error(&name);
            let error_id = format!("{id}-error");
            let own_id = format!("{key}-problem");
            let options = windows
                .iter()
                .map(|window| {
                    let selected = value.with_untracked(|value| value == window);
                    view! { <option value=window.clone() selected=selected>{when(window)}</option> }
                        .into_any()
                })
                .collect::<Vec<_>>();
            let none = value.with_untracked(String::is_empty);
            let control = view! {
                <select
                    class="select"
                    id=id
                    name=name
                    aria-label=format!("{verb}, {cause}")
                    aria-invalid=move || (wrong.get() || found.get().is_some()).then_some("true")
                    aria-describedby=move || {
                        if found.get().is_some() {
                            Some(own_id.clone())
                        } else {
                            wrong.get().then(|| error_id.clone())
                        }
                    }
                    on:change=move |event| { value.try_set(event_target_value(&event)); }
                >
                    <option value="" selected=none>{never}</option>
                    {options}
                </select>
            };
            (control.into_any(), error)
        };
    let (suspend_control, suspend_error) = select("suspend", "never", "Suspend", suspend);
    let (delete_control, delete_error) = select("delete", "never", "Delete", delete);
    labelled(key, legend);
    let (_, both_error) = field_error(key);
    let order: Vec<String> = windows.to_vec();
    let line = move || ruler(&order, &suspend.get(), &delete.get());
    view! {
        <fieldset class="policy" id=key>
            <legend>{legend}</legend>
            <p class="hint">{hint}</p>
            <p class="sentence">"Suspend the account " {suspend_control} " and delete it " {delete_control} "."</p>
            {own}
            <div hidden=move || found.get().is_some()>{both_error}{suspend_error}{delete_error}</div>
            {line}
        </fieldset>
    }
    .into_any()
}

/// The same as a line in time: works, suspended, gone.
fn ruler(windows: &[String], suspend: &str, delete: &str) -> AnyView {
    let mut state = "live";
    let marks = windows
        .iter()
        .map(|window| {
            let (tone, shape, spoken) = if window == delete {
                state = "gone";
                ("tone-deleted is-step", Some("op-delete"), "deleted: ")
            } else if window == suspend && state == "live" {
                state = "susp";
                ("tone-suspended is-step", Some("op-suspend"), "suspended: ")
            } else {
                ("", None, "")
            };
            let mark = match shape {
                Some(shape) => icon(shape),
                None => view! { <span class="mk"></span> }.into_any(),
            };
            view! {
                <li class=format!("{state} {tone}")>
                    {mark}
                    <span class="visually-hidden">{spoken}</span>
                    {label(window)}
                </li>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    view! { <ol class="ruler" aria-label="Timeline"><li class="live"><span class="mk mk--start"></span>"Cause"</li>{marks}</ol> }.into_any()
}
