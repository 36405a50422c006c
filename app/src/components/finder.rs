//! Finding a group by letters of its name: a combobox, and without a script a list of buttons.

use super::{
    form::{field_error, labelled},
    kept::Kept,
    loading::{Answer, look_up},
    page::asked,
    parts::icon,
    time::Alive,
};
use crate::{
    api::directory::{FindGroups, GroupOption},
    browser, format,
};
use leptos::{ev::KeyboardEvent, html::Input, prelude::*};

/// The pressed button that stands for Enter in a control, before any other of the form.
#[must_use]
pub fn default_button(name: &'static str, value: &'static str) -> AnyView {
    view! {
        <button class="visually-hidden" type="submit" name=name value=value tabindex="-1" aria-hidden="true">"Go on"</button>
    }
    .into_any()
}

/// Each line is a button that sends `add` with the group's id. `chosen` holds ids.
#[must_use]
pub fn group_finder(label: &'static str, chosen: Vec<String>) -> AnyView {
    let letters = RwSignal::new(asked("find").unwrap_or_default());
    let active = RwSignal::new(None::<usize>);
    let options = look_up(
        move || letters.get().trim().to_owned(),
        |letters| match letters.as_str() {
            "" => Err(Answer::known("[]")),
            _ => Ok(FindGroups { letters }),
        },
    );
    let control = NodeRef::<Input>::new();
    // Letters that were typed before the page came alive.
    Effect::new(move || {
        if let Some(control) = control.get() {
            letters.try_set(control.value());
        }
    });
    let chosen = StoredValue::new(chosen);
    // A key may come while the page is loaded again: then there is nothing to choose from.
    let count = move || match options.now() {
        Some(Ok(found)) => found.len(),
        _ => 0,
    };
    let on_key = move |event: KeyboardEvent| {
        let n = count();
        match event.key().as_str() {
            "ArrowDown" if n > 0 => active.update(|at| *at = Some(at.map_or(0, |at| (at + 1) % n))),
            "ArrowUp" if n > 0 => {
                active.update(|at| *at = Some(at.map_or(n - 1, |at| (at + n - 1) % n)))
            }
            "Enter" => match active.try_get_untracked().flatten() {
                Some(at) => browser::press(&format!("group-option-{at}")),
                None => return,
            },
            "Escape" => {
                letters.try_set(String::new());
                active.try_set(None);
            }
            _ => return,
        }
        event.prevent_default();
    };
    labelled("find", label);
    let (wrong, error) = field_error("find");
    let open = move || count() > 0;
    view! {
        <div class="field measure">
            <label for="find">{label}</label>
            <p class="hint" id="find-hint">"Type one or more letters of the name or address."</p>
            <div class="find-row">
                <div class="find">
                    {icon("search")}
                    <input
                        class="input"
                        id="find"
                        name="find"
                        role="combobox"
                        autocomplete="off"
                        aria-autocomplete="list"
                        aria-controls="found-groups"
                        aria-describedby=move || if wrong.get() { "find-hint find-error" } else { "find-hint" }
                        aria-expanded=move || open().to_string()
                        aria-invalid=move || wrong.get().then_some("true")
                        aria-activedescendant=move || active.get().map(|at| format!("group-option-{at}"))
                        value=letters.get_untracked()
                        node_ref=control
                        prop:value=move || Kept(letters.get())
                        on:input=move |event| {
                            active.try_set(None);
                            letters.try_set(event_target_value(&event));
                        }
                        on:keydown=on_key
                    />
                </div>
                <button class="button only-plain" type="submit" name="go" value="find">"Find"</button>
            </div>
            {error}
            <Transition>
                {move || Suspend::new(async move {
                    let found = options.get().await.unwrap_or_default();
                    let letters = letters.get_untracked().trim().to_owned();
                    list(found, letters, chosen.get_value(), active)
                })}
            </Transition>
        </div>
    }
    .into_any()
}

fn list(
    found: Vec<GroupOption>,
    letters: String,
    chosen: Vec<String>,
    active: RwSignal<Option<usize>>,
) -> AnyView {
    // With a script the arrow keys go through the list; without one, Tab does.
    let alive = expect_context::<Alive>();
    let status = match (!letters.is_empty(), found.len()) {
        (false, _) => String::new(),
        (true, 0) => "No group matches.".to_owned(),
        (true, n) => format!(
            "{} found.",
            format::counted(u32::try_from(n).unwrap_or(20), "group", "groups")
        ),
    };
    let lines = found
        .into_iter()
        .enumerate()
        .map(|(at, group)| {
            let here = chosen.contains(&group.id);
            let refused = if here {
                Some("Chosen already".to_owned())
            } else {
                group.refused.clone()
            };
            let counts = match (group.direct, group.nested) {
                (Some(direct), Some(nested)) if nested != direct => {
                    format!("{direct} direct, {nested} nested")
                }
                (Some(direct), _) => format!("{direct} direct"),
                _ => String::new(),
            };
            let inside = match group.inside.as_slice() {
                [] => String::new(),
                [one] => format!(" · inside {one}"),
                [one, two] => format!(" · inside {one} and {two}"),
                [one, two, rest @ ..] => format!(" · inside {one}, {two} and {} more", rest.len()),
            };
            let refusal = refused
                .as_ref()
                .map(|why| format!(" · {why}"))
                .unwrap_or_default();
            let below = view! { {marked(&group.email, &letters)} {inside} {refusal} };
            let disabled = refused.is_some();
            view! {
                <li role="none">
                    <button
                        type="submit"
                        name="add"
                        value=group.id
                        role="option"
                        id=format!("group-option-{at}")
                        tabindex=move || alive.0.get().then_some("-1")
                        disabled=disabled
                        aria-selected=move || (active.get() == Some(at)).to_string()
                    >
                        {icon(if disabled { "lock" } else { "groups" })}
                        <bdi>{marked(&group.name, &letters)}</bdi>
                        <small>{below}</small>
                        <span class="found__count">{counts}</span>
                    </button>
                </li>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    let hidden = lines.is_empty();
    view! {
        <p class="hint" role="status">{status}</p>
        <ul class="found" id="found-groups" role="listbox" aria-label="Groups" hidden=hidden>{lines}</ul>
    }
    .into_any()
}

/// The text with the letters that were sought marked in it, where they stand first.
fn marked(text: &str, letters: &str) -> AnyView {
    let parts = split_at(text, letters).map(|(before, found, after)| {
        view! { {before.to_owned()}<mark>{found.to_owned()}</mark>{after.to_owned()} }.into_any()
    });
    parts.unwrap_or_else(|| text.to_owned().into_any())
}

/// Before the letters, the letters as they stand in the text, and after them; case is of no matter.
fn split_at<'a>(text: &'a str, letters: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let wanted: Vec<char> = letters.chars().flat_map(char::to_lowercase).collect();
    if wanted.is_empty() {
        return None;
    }
    text.char_indices().find_map(|(start, _)| {
        let mut left = wanted.as_slice();
        for (at, letter) in text[start..].char_indices() {
            for lower in letter.to_lowercase() {
                left = left.strip_prefix(&[lower])?;
                if left.is_empty() {
                    let end = start + at + letter.len_utf8();
                    return Some((&text[..start], &text[start..end], &text[end..]));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::split_at;

    #[test]
    fn the_letters_that_were_sought_are_marked_whatever_their_case() {
        assert_eq!(
            split_at("Product design", "DESI"),
            Some(("Product ", "desi", "gn"))
        );
        assert_eq!(split_at("Ärzte", "ärz"), Some(("", "Ärz", "te")));
        assert_eq!(split_at("İstanbul", "stan"), Some(("İ", "stan", "bul")));
        assert_eq!(split_at("Sales", "xyz"), None);
        assert_eq!(split_at("Sales", ""), None);
    }
}
