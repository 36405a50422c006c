//! For whom the app is on: along the tree of org units, with groups on top.

use crate::{
    api::apps::{
        Access, AccessEffect, AccessGroup, AccessSetting, AccessUnit, LoadAccess, LoadAccessEffect,
    },
    components::{
        EditForm, app_page, button_link, deed, deed_or_why, default_button, group_finder, hidden,
        icon, load, loaded, may_change, note, param, plain_button, read_only, sheet, title, words,
    },
    format,
    pages::wizard::remove_button,
};
use leptos::prelude::*;

#[component]
pub fn AccessPage() -> impl IntoView {
    loaded(load(param("slug"), |slug| LoadAccess { slug }), page)
}

fn page(access: Access) -> AnyView {
    let slug = access.head.slug.clone();
    let lede = view! {
        <p class="lede">
            {format!("{} is on for ", access.head.name)}
            <b>{format::people(access.covered)}</b>
            {format!(
                " in {} of {}. {} of them can be provisioned; the others are suspended, guests or in a secondary domain.",
                access.units_on,
                format::counted(u32::try_from(access.units.len()).unwrap_or(0), "org unit", "org units"),
                format::number(access.provisionable),
            )}
        </p>
    };
    if !access.directory_read {
        return view! {
            {app_page(&access.head, "access", None, None)}
            {note(
                "suspended",
                "plug",
                "The directory was not read yet",
                view! { <p>"The org units come from it."</p><div class="actions">{button_link("/directory/connection", "button--primary", "Open the connection")}</div> },
            )}
        }
        .into_any();
    }
    let draft = access.draft.then(|| {
        note(
            "accent",
            "edit",
            "There are changes that are not saved",
            view! { <div class="actions">{deed(plain_button("/api/discard_access", &slug, "button--s", Some("undo"), "Undo them"))}</div> },
        )
    });
    // Somebody who sets the app up for the first time goes on from here.
    let beginning = access.head.sign_in_ready && !access.head.configured() && !access.draft;
    let next = (may_change() && beginning && access.covered > 0).then(|| {
        let (path, text) = if access.head.draft {
            ("autoprovisioning", "Go on with the set-up")
        } else {
            ("setup/authorize", "Configure autoprovisioning")
        };
        note(
            "accent",
            "st-waiting",
            "Next: autoprovisioning",
            view! {
                <p>"Five questions, then a plan with every person by name. Nothing is sent before you say so."</p>
                <div class="actions">{button_link(format!("/apps/{slug}/{path}"), "button--primary", text)}</div>
            },
        )
    });
    let tree = StoredValue::new(Tree::new(&access.units));
    let rows = access
        .units
        .iter()
        .enumerate()
        .map(|(i, unit)| unit_row(i, unit, tree))
        .collect::<Vec<_>>();
    let groups = access
        .groups
        .iter()
        .enumerate()
        .map(|(i, group)| group_line(i, group))
        .collect::<Vec<_>>();
    let chosen = access.groups.iter().map(|group| group.id.clone()).collect();
    let picked = (!groups.is_empty()).then(|| view! { <ul class="picked">{groups}</ul> });
    let last = if may_change() {
        view! {
            <p>
                {move || {
                    let n = tree.with_value(Tree::changed);
                    (n > 0).then(|| view! { <b>{format::counted(n, "org unit is set otherwise", "org units are set otherwise")}</b> ". " })
                }}
                "The next page says who is concerned, before anything is saved."
            </p>
            <div class="actions">
                <button class="button button--primary" type="submit" name="go" value="review">"Review and save"</button>
            </div>
        }
        .into_any()
    } else {
        read_only()
    };
    view! {
        {app_page(&access.head, "access", None, Some(lede.into_any()))}
        {draft}
        {next}
        <EditForm action="/api/draft_access">
            {default_button("go", "find")}
            {hidden("slug", slug)}
            <section aria-labelledby="units">
                <h2 id="units" class="visually-hidden">"Org units"</h2>
                <table role="table" class="table stacks middle">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader" scope="col">"Org unit"</th>
                            <th role="columnheader" scope="col">"Setting"</th>
                            <th role="columnheader" scope="col">"In effect"</th>
                            <th role="columnheader" scope="col" class="num">"People"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{rows}</tbody>
                </table>
            </section>
            <div class="section">
                {sheet(
                    "on-top",
                    "Groups on top",
                    "Turns the app on for members even where their org unit is off.",
                    None,
                    view! { {picked}{may_change().then(|| group_finder("Add a group", chosen))} },
                )}
            </div>
            <div class="save-bar">{last}</div>
        </EditForm>
    }
    .into_any()
}

/// The settings as they stand in the form, so that what is inherited follows while they change.
struct Tree {
    units: Vec<Node>,
}

struct Node {
    path: String,
    parent: Option<usize>,
    saved: AccessSetting,
    setting: RwSignal<AccessSetting>,
}

impl Tree {
    /// Units in the tree's order: the parent is the last one before that is less deep.
    fn new(units: &[AccessUnit]) -> Self {
        let nodes = units.iter().enumerate().map(|(i, unit)| Node {
            path: unit.path.clone(),
            parent: units[..i]
                .iter()
                .rposition(|other| other.depth < unit.depth),
            saved: unit.saved,
            setting: RwSignal::new(unit.setting),
        });
        Self {
            units: nodes.collect(),
        }
    }

    /// Whether the app is on there, and where that is set. Nothing set at the top is off.
    fn effect(&self, mut at: usize) -> (bool, usize) {
        loop {
            let node = &self.units[at];
            match (node.setting.get(), node.parent) {
                (AccessSetting::On, _) => return (true, at),
                (AccessSetting::Off, _) | (AccessSetting::Inherit, None) => return (false, at),
                (AccessSetting::Inherit, Some(parent)) => at = parent,
            }
        }
    }

    fn is_changed(&self, at: usize) -> bool {
        let node = &self.units[at];
        // At the top, nothing set and off are the same.
        let off =
            |setting: AccessSetting| node.parent.is_none() && setting == AccessSetting::Inherit;
        let plain = |setting| {
            if off(setting) {
                AccessSetting::Off
            } else {
                setting
            }
        };
        plain(node.setting.get()) != plain(node.saved)
    }

    fn changed(&self) -> u32 {
        let n = (0..self.units.len())
            .filter(|at| self.is_changed(*at))
            .count();
        u32::try_from(n).unwrap_or(u32::MAX)
    }

    /// What is in effect at a unit, and why.
    fn said(&self, at: usize) -> (bool, String) {
        let named = |path: &str| {
            if path == "/" {
                "the top".to_owned()
            } else {
                path.to_owned()
            }
        };
        let (on, from) = self.effect(at);
        let parent = self.units[at].parent;
        let why = if self.is_changed(at) {
            "changed, not saved yet".to_owned()
        } else if from != at {
            format!("inherited from {}", named(&self.units[from].path))
        } else {
            match parent.map(|parent| self.effect(parent)) {
                Some((above, place)) if above != on => format!(
                    "set here, overrides {} from {}",
                    if above { "On" } else { "Off" },
                    named(&self.units[place].path)
                ),
                _ => "set here".to_owned(),
            }
        };
        (on, why)
    }
}

fn unit_row(index: usize, unit: &AccessUnit, tree: StoredValue<Tree>) -> AnyView {
    let name = format!("units[{index}][setting]");
    let root = unit.depth == 0;
    let choices = [
        (AccessSetting::Inherit, "inherit", "Inherit"),
        (AccessSetting::On, "on", "On"),
        (AccessSetting::Off, "off", "Off"),
    ];
    let own = tree.with_value(|tree| tree.units[index].setting);
    let radios = choices
        .into_iter()
        .filter(|(setting, ..)| !(root && *setting == AccessSetting::Inherit))
        .map(|(setting, value, word)| {
            let checked = unit.setting == setting
                || (root
                    && setting == AccessSetting::Off
                    && unit.setting == AccessSetting::Inherit);
            view! {
                <label>
                    <input
                        type="radio"
                        name=name.clone()
                        value=value
                        checked=checked
                        on:change=move |_| {
                            own.try_set(setting);
                        }
                    />
                    {word}
                </label>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let said = Memo::new(move |_| tree.with_value(|tree| tree.said(index)));
    let on = move || {
        if said.with(|(on, _)| *on) {
            words("created", "st-on", "On")
        } else {
            words("neutral", "st-off", "Off")
        }
    };
    view! {
        <tr role="row" class=move || tree.with_value(|tree| tree.is_changed(index)).then_some("is-changed")>
            <th role="rowheader" scope="row">
                <input type="hidden" name=format!("units[{index}][id]") value=unit.id.clone()/>
                <span class=format!("tree d{}", unit.depth.min(5))>
                    {icon(if root { "units" } else { "turn" })}
                    <bdi>{unit.name.clone()}</bdi>
                </span>
            </th>
            <td role="cell" data-label="Setting">
                <span class="segmented" role="radiogroup" aria-label=unit.name.clone()>{radios}</span>
            </td>
            <td role="cell" data-label="In effect">{on} " " <span class="muted">{move || said.get().1}</span></td>
            <td role="cell" class="num" data-label="People">{format::number(unit.people)}</td>
        </tr>
    }
    .into_any()
}

fn group_line(index: usize, group: &AccessGroup) -> AnyView {
    let people = group
        .people
        .map_or("not read yet".to_owned(), format::people);
    let gained = group
        .gained
        .filter(|n| *n > 0)
        .map(|n| format!(", {} of them off otherwise", format::number(n)))
        .unwrap_or_default();
    let new = if group.new { " · not saved yet" } else { "" };
    view! {
        <li>
            <span class="who">
                <b><bdi>{group.name.clone()}</bdi></b>
                <small>{format!("{} · {people}{gained}{new}", group.email)}</small>
            </span>
            <input type="hidden" name=format!("groups[{index}]") value=group.id.clone()/>
            {remove_button(&group.id, &group.name)}
        </li>
    }
    .into_any()
}

#[component]
pub fn AccessReviewPage() -> impl IntoView {
    loaded(
        load(param("slug"), |slug| LoadAccessEffect { slug }),
        review,
    )
}

fn review(access: AccessEffect) -> AnyView {
    let slug = access.head.slug.clone();
    let changes = access
        .changes
        .iter()
        .map(|line| view! { <li>{line.clone()}</li> }.into_any())
        .collect::<Vec<_>>();
    let nothing = changes.is_empty();
    let back = format!("/apps/{slug}/access");
    let list = if nothing {
        view! { <p class="soft">"Nothing is changed."</p> }.into_any()
    } else {
        view! { <ul class="bullets">{changes}</ul> }.into_any()
    };
    view! {
        {title(format!("Review access, {}", access.head.name))}
        <div class="page-head">
            {crate::components::crumbs(
                vec![(format!("/apps/{slug}"), access.head.name.clone()), (back.clone(), "User access".to_owned())],
                "Review",
            )}
            <h1>"Who is concerned by this change?"</h1>
            <p class="lede">
                {format!("{} is on for ", access.head.name)}
                <b>{format::people(access.covered_before)}</b>
                " now, and for "
                <b>{format::people(access.covered_after)}</b>
                " when you save."
            </p>
        </div>
        <div class="beside">
            <section class="stack effect" aria-labelledby="effect-title">
                <h2 id="effect-title">"What this changes"</h2>
                <p class="hint">"Everybody of the directory, each counted once."</p>
                {super::effect(Some(&slug), &access.effect, 20)}
            </section>
            <aside class="aside panel" aria-labelledby="changes">
                <header><h2 id="changes">"Changes"</h2></header>
                <div>{list}</div>
            </aside>
            <div class="save-bar">
                <p>{format!("{} enter, {} leave.", format::people(access.effect.enter), format::people(access.effect.leave))}</p>
                <div class="actions">
                    <a class="button" href=back>"Back"</a>
                    {(!nothing).then(|| deed_or_why(plain_button("/api/save_access", &slug, "button--primary", None, "Save")))}
                </div>
            </div>
        </div>
    }
    .into_any()
}
