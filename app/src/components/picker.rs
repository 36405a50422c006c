//! A list to choose from that can be searched by letters. Without a script it is a plain select;
//! with one, the select stays underneath and carries the value.

use super::time::Alive;
use crate::browser;
use leptos::{
    ev::KeyboardEvent,
    html::{Input, Select},
    prelude::*,
};

/// One choice: the value that is sent, its words, and something smaller below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub text: String,
    pub below: String,
}

/// Choices under a heading; an empty heading is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    pub heading: String,
    pub choices: Vec<Choice>,
}

pub struct Picker {
    pub name: String,
    /// Unique on the page.
    pub id: String,
    pub label: String,
    pub value: String,
    pub choices: Vec<Choices>,
    pub wrong: Signal<bool>,
}

/// The choices that hold all letters, in order, each with its place among them.
fn matching(all: &[Choices], letters: &str) -> Vec<(String, Vec<(usize, Choice)>)> {
    let words: Vec<String> = letters
        .to_lowercase()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let mut at = 0;
    let mut found = Vec::new();
    for group in all {
        let mut here = Vec::new();
        for choice in &group.choices {
            let text = format!("{} {} {}", group.heading, choice.text, choice.below).to_lowercase();
            if words.iter().all(|word| text.contains(word)) {
                here.push((at, choice.clone()));
                at += 1;
            }
        }
        if !here.is_empty() {
            found.push((group.heading.clone(), here));
        }
    }
    found
}

impl Picker {
    /// `changed` is called after another choice was made.
    #[must_use]
    pub fn view(self, changed: impl Fn() + Copy + Send + Sync + 'static) -> AnyView {
        let Self {
            name,
            id,
            label,
            value,
            choices,
            wrong,
        } = self;
        let alive = expect_context::<Alive>();
        let all = StoredValue::new(choices);
        let chosen = RwSignal::new(value.clone());
        // `None`: closed, and the words of the choice are shown.
        let typed = RwSignal::new(None::<String>);
        let active = RwSignal::new(0_usize);
        let select = NodeRef::<Select>::new();
        let control = NodeRef::<Input>::new();
        // What was chosen before the page came alive.
        Effect::new(move || {
            if let Some(select) = select.get() {
                chosen.try_set(select.value());
            }
        });
        let words_of = move |value: &str| {
            all.with_value(|all| {
                all.iter()
                    .flat_map(|group| &group.choices)
                    .find(|choice| choice.value == value)
                    .map(|choice| choice.text.clone())
                    .unwrap_or_default()
            })
        };
        let found = Memo::new(move |_| {
            typed.with(|typed| {
                typed
                    .as_ref()
                    .map(|letters| all.with_value(|all| matching(all, letters)))
            })
        });
        let count = move || {
            found.with(|found| {
                found
                    .iter()
                    .flatten()
                    .map(|(_, choices)| choices.len())
                    .sum::<usize>()
            })
        };
        let choose = move |value: String| {
            if let Some(select) = select.get_untracked() {
                select.set_value(&value);
            }
            chosen.try_set(value);
            typed.try_set(None);
            changed();
        };
        let open = move || {
            if typed.get_untracked().is_none() {
                let at = all.with_value(|all| {
                    let value = chosen.get_untracked();
                    all.iter()
                        .flat_map(|group| &group.choices)
                        .position(|choice| choice.value == value)
                });
                active.try_set(at.unwrap_or(0));
                typed.try_set(Some(String::new()));
            }
        };
        let list_id = format!("{id}-list");
        let option_id = {
            let id = id.clone();
            move |at: usize| format!("{id}-{at}")
        };
        let scroll_to = {
            let option_id = option_id.clone();
            move |at: usize| browser::show_option(&option_id(at))
        };
        let on_key = {
            let scroll_to = scroll_to.clone();
            move |event: KeyboardEvent| {
                let n = count();
                let is_open = typed.get_untracked().is_some();
                match event.key().as_str() {
                    "ArrowDown" | "ArrowUp" if !is_open => open(),
                    "ArrowDown" if n > 0 => active.update(|at| *at = (*at + 1) % n),
                    "ArrowUp" if n > 0 => active.update(|at| *at = (*at + n - 1) % n),
                    "Enter" if is_open => {
                        let at = active.get_untracked();
                        let value = found.with_untracked(|found| {
                            found
                                .iter()
                                .flatten()
                                .flat_map(|(_, choices)| choices)
                                .find(|(place, _)| *place == at)
                                .map(|(_, choice)| choice.value.clone())
                        });
                        if let Some(value) = value {
                            choose(value);
                        }
                    }
                    "Escape" if is_open => {
                        typed.try_set(None);
                    }
                    _ => return,
                }
                event.prevent_default();
                scroll_to(active.get_untracked());
            }
        };
        let options = all.with_value(|all| {
            all.iter()
                .map(|group| {
                    let lines = group
                        .choices
                        .iter()
                        .map(|choice| {
                            let selected = choice.value == value;
                            view! { <option value=choice.value.clone() selected=selected>{choice.text.clone()}</option> }
                                .into_any()
                        })
                        .collect::<Vec<_>>();
                    if group.heading.is_empty() {
                        lines.into_any()
                    } else {
                        view! { <optgroup label=group.heading.clone()>{lines}</optgroup> }.into_any()
                    }
                })
                .collect::<Vec<_>>()
        });
        let error_id = format!("{id}-error");
        let described = {
            let error_id = error_id.clone();
            move || wrong.get().then(|| error_id.clone())
        };
        let described_too = described.clone();
        let active_id = option_id.clone();
        let listed = move || {
            let found = found.get()?;
            if found.is_empty() {
                return Some(
                    view! { <li role="presentation" class="picker__none">"Nothing matches."</li> }
                        .into_any(),
                );
            }
            let lines = found
                .into_iter()
                .map(|(heading, choices)| {
                    let heading = (!heading.is_empty()).then(
                        || view! { <li role="presentation" class="picker__head">{heading}</li> },
                    );
                    let lines = choices
                        .into_iter()
                        .map(|(at, choice)| {
                            let value = choice.value.clone();
                            view! {
                                <li
                                    role="option"
                                    id=option_id(at)
                                    class="picker__option"
                                    aria-selected=move || (active.get() == at).to_string()
                                    on:pointerdown=move |event| event.prevent_default()
                                    on:click=move |_| choose(value.clone())
                                >
                                    <span>{choice.text}</span>
                                    <small>{choice.below}</small>
                                </li>
                            }
                            .into_any()
                        })
                        .collect::<Vec<_>>();
                    view! { {heading}{lines} }.into_any()
                })
                .collect::<Vec<_>>();
            Some(lines.into_any())
        };
        view! {
            <div class="picker" id=id tabindex="-1">
                <select
                    class="select only-plain"
                    name=name
                    node_ref=select
                    aria-label=label.clone()
                    aria-invalid=move || wrong.get().then_some("true")
                    aria-describedby=described
                >
                    {options}
                </select>
                <div class="only-alive picker__box">
                    <input
                        class="select"
                        role="combobox"
                        autocomplete="off"
                        spellcheck="false"
                        aria-label=label.clone()
                        aria-autocomplete="list"
                        aria-controls=list_id.clone()
                        aria-expanded=move || typed.with(Option::is_some).to_string()
                        aria-activedescendant=move || (typed.with(Option::is_some) && count() > 0).then(|| active_id(active.get()))
                        aria-invalid=move || wrong.get().then_some("true")
                        aria-describedby=described_too
                        node_ref=control
                        disabled=move || !alive.0.get()
                        placeholder=move || typed.with(Option::is_some).then(|| words_of(&chosen.get()))
                        prop:value=move || typed.get().unwrap_or_else(|| words_of(&chosen.get()))
                        on:click=move |_| open()
                        on:input=move |event| {
                            active.try_set(0);
                            typed.try_set(Some(event_target_value(&event)));
                        }
                        on:keydown=on_key
                        on:blur=move |_| {
                            typed.try_set(None);
                        }
                    />
                    <ul
                        class="found picker__list"
                        id=list_id
                        role="listbox"
                        aria-label=label
                        hidden=move || typed.with(Option::is_none)
                    >
                        {listed}
                    </ul>
                    <span class="visually-hidden" role="status">
                        {move || {
                            typed.with(|typed| typed.as_ref().is_some_and(|letters| !letters.is_empty()))
                                .then(|| crate::format::counted(u32::try_from(count()).unwrap_or(0), "match", "matches"))
                        }}
                    </span>
                </div>
            </div>
        }
        .into_any()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_sought_in_words_path_and_heading_alike() {
        let choice = |value: &str, text: &str| Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            below: value.to_owned(),
        };
        let all = [
            Choices {
                heading: "Work".to_owned(),
                choices: vec![
                    choice("organizations[primary].title", "Organization, title"),
                    choice("relations[type=manager].value", "Relation, manager"),
                ],
            },
            Choices {
                heading: "Custom attributes".to_owned(),
                choices: vec![choice("customSchemas.HR.level", "HR, level")],
            },
        ];
        let values = |letters: &str| -> Vec<(usize, String)> {
            matching(&all, letters)
                .into_iter()
                .flat_map(|(_, choices)| choices)
                .map(|(at, choice)| (at, choice.value))
                .collect()
        };
        assert_eq!(values("").len(), 3);
        assert_eq!(
            values("TITLE org"),
            [(0, "organizations[primary].title".to_owned())]
        );
        assert_eq!(
            values("custom hr"),
            [(0, "customSchemas.HR.level".to_owned())]
        );
        assert_eq!(values("type=manager")[0].1, "relations[type=manager].value");
        assert!(values("zzyx").is_empty());
    }
}
