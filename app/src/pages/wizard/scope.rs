//! Step 3: groups that narrow down who gets an account, beside who enters and leaves.

use super::{live, save_bar, step_head};
use crate::{
    api::wizard::{LoadScopeStep, Members, ScopeGroup, ScopePage as Page, Step},
    components::{
        EditForm, confirm_link, deed, default_button, field_error, group_finder, hidden, icon,
        is_confirmed, load, loaded, may_change, param, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn ScopePage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadScopeStep { slug });
    loaded(data, page)
}

fn page(page: Page) -> AnyView {
    let Page { step, effect } = page;
    let live = live();
    let slug = step.head.slug.clone();
    let app = step.head.name.clone();
    let lede = view! {
        "Everyone for whom the app is on, which is "
        <a href=format!("/apps/{slug}/access")>
            {format!("{} in {}", format::people(step.access_people), format::counted(step.access_units, "org unit", "org units"))}
        </a>
        ". Add groups to narrow it down: then a person needs both."
    };
    let groups = step.groups.clone();
    // Other members were chosen than those that were counted.
    let old = RwSignal::new(false);
    let none = groups.is_empty();
    // Made inside the form, so that each line finds its error.
    let picked = move || {
        if groups.is_empty() {
            return view! { <p class="soft">"No groups: everybody for whom the app is on."</p> }
                .into_any();
        }
        let lines = groups
            .iter()
            .enumerate()
            .map(|(i, group)| group_line(i, group, old))
            .collect::<Vec<_>>();
        view! { <ul class="picked">{lines}</ul> }.into_any()
    };
    let chosen = step
        .groups
        .iter()
        .map(|group| group.id.clone())
        .collect::<Vec<_>>();
    let everyone = step.everyone;
    let confirm = may_change() && none && step.had_groups;
    let in_scope = effect.as_ref().map(|effect| effect.in_scope);
    let panel = effect.map(|effect| {
        view! {
            <aside class="aside panel" aria-labelledby="effect-title">
                <header>
                    <h2 id="effect-title">"What this changes"</h2>
                    <p class="hint">"Compared with what is saved. Everybody of the directory, each counted once."</p>
                    {move || {
                        old.get().then(|| view! { <p role="status">{words("suspended", "info", "Counted before your last change. Count again.")}</p> })
                    }}
                </header>
                {crate::pages::apps::effect(Some(&slug), &effect.effect, 6)}
            </aside>
        }
    });
    let next = match in_scope {
        Some(n) => view! { <b>{format::people(n)}</b> " will be in scope." }.into_any(),
        None => "Changes are counted when they are shown.".into_any(),
    };
    view! {
        {step_head(&step.head, &step.progress, Step::Scope, live, format!("Who gets an account in {app}?"), lede.into_any())}
        <EditForm action="/api/save_scope" class="beside">
            {default_button("go", "find")}
            {hidden("slug", slug.clone())}
            {live.then(|| hidden("live", "true"))}
            <section class="stack" aria-labelledby="groups">
                <h2 id="groups">"Groups " <span class="muted">"(optional)"</span></h2>
                {picked()}
                {may_change().then(|| group_finder("Add a group", chosen))}
                {confirm.then(|| if is_confirmed() { everyone_box(everyone) } else { everyone_later() })}
                <p class="hint">
                    "Members from a secondary domain or from outside your organization are not provisioned, whatever group they are in."
                </p>
                {deed(view! { <div class="actions"><button class="button button--s" type="submit" name="go" value="show">"Count again"</button></div> }.into_any())}
            </section>
            {panel}
            {save_bar(&slug, Step::Scope, live, next)}
        </EditForm>
    }
    .into_any()
}

/// Leaving the page keeps the draft.
fn everyone_later() -> AnyView {
    view! {
        <div class="field">
            <p class="hint">"There were groups before. Without them, everybody for whom the app is on gets an account: to choose that, confirm that it is you."</p>
            {confirm_link()}
        </div>
    }
    .into_any()
}

fn everyone_box(everyone: bool) -> AnyView {
    let (wrong, error) = field_error("everyone");
    view! {
        <div class="field">
            <label class="check">
                <input
                    type="checkbox"
                    id="everyone"
                    name="everyone"
                    value="true"
                    checked=everyone
                    aria-invalid=move || wrong.get().then_some("true")
                    aria-describedby=move || wrong.get().then_some("everyone-error")
                />
                <span>
                    "Everybody for whom the app is on"
                    <small class="hint">"There were groups before. Without them, everybody gets an account."</small>
                </span>
            </label>
            {error}
        </div>
    }
    .into_any()
}

fn group_line(index: usize, group: &ScopeGroup, old: RwSignal<bool>) -> AnyView {
    let members = format!("groups[{index}][members]");
    let (_, error) = field_error(&format!("groups[{index}]"));
    let counts = match (group.members, group.direct, group.nested) {
        (_, None, _) => "members not read yet".to_owned(),
        (Members::Nested, Some(direct), Some(nested)) if nested > direct => {
            format!(
                "{}, {} of them nested",
                format::people(nested),
                format::number(nested - direct)
            )
        }
        (Members::Nested, _, Some(nested)) => format::people(nested),
        (_, Some(direct), _) => format!("{} direct", format::people(direct)),
    };
    let problem = group
        .problem
        .clone()
        .map(|problem| words("failed", "op-failed", problem));
    let nested = group.members == Members::Nested;
    view! {
        <li id=format!("groups-{index}-")>
            <span class="who">
                <b><bdi>{group.name.clone()}</bdi></b>
                <small>{format!("{} · {counts}", group.email)}</small>
                {problem}
                {error}
            </span>
            <input type="hidden" name=format!("groups[{index}][id]") value=group.id.clone()/>
            <span class="segmented" role="radiogroup" aria-label=format!("Members of {}", group.name) on:change=move |_| { old.try_set(true); }>
                <label><input type="radio" name=members.clone() value="direct" checked=!nested/>"Direct"</label>
                <label><input type="radio" name=members value="nested" checked=nested/>"Direct and nested"</label>
            </span>
            {remove_button(&group.id, &group.name)}
        </li>
    }
    .into_any()
}

/// Takes a group out of a list.
pub fn remove_button(id: &str, name: &str) -> Option<AnyView> {
    let (id, spoken) = (id.to_owned(), format!(" {name}"));
    let button = view! {
        <button class="button button--s button--quiet" type="submit" name="removed" value=id>
            {icon("close")}
            "Remove"
            <span class="visually-hidden">{spoken}</span>
        </button>
    };
    deed(button.into_any())
}
