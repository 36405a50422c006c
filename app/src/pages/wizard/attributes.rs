//! Step 2: where each attribute of the app comes from, beside a real person.

use super::{live, save_bar, step_head};
use crate::{
    api::{
        edits::MappingLook,
        wizard::{
            AttributesStep, LoadAttributesStep, MappingPreview, MappingView, Missing, SourceGroup,
            Step,
        },
    },
    browser,
    components::{
        Choice, Choices, EditForm, LiveErrors, Picker, asked, default_button, field_error, hidden,
        icon, labelled, load, loaded, must, note_plain, param, person_ref, query, words,
    },
    format,
    pages::apps::list_of_lacking,
    reading,
};
use leptos::prelude::*;

#[component]
pub fn AttributesPage() -> impl IntoView {
    let (slug, preview) = (param("slug"), query("preview"));
    loaded(
        load(
            move || (slug(), preview()),
            |(slug, preview)| LoadAttributesStep { slug, preview },
        ),
        page,
    )
}

fn page(step: AttributesStep) -> AnyView {
    let live = live();
    let slug = step.head.slug.clone();
    let app = step.head.name.clone();
    let lede = view! {
        "Choose where each attribute comes from. Attributes marked with "
        <span class="must">"*"</span>
        {format!(" are mandatory in {app}.")}
    };
    let sources = step.sources.clone();
    let expressions = step.expressions;
    let attributes = step.rows.clone();
    let notes = step
        .notes
        .iter()
        .map(|text| note_plain("suspended", "info", "", view! { <p>{text.clone()}</p> }))
        .collect::<Vec<_>>();
    let look = LiveLook::new(step.preview.clone());
    let preview = preview_panel(look);
    let app_name = app.clone();
    let slug_of_rows = slug.clone();
    let choices = StoredValue::new(Sources {
        groups: choices(&sources, expressions),
        slug: slug_of_rows,
    });
    // The rows are made inside the form, so that each finds its error.
    let rows = move || {
        attributes
            .iter()
            .enumerate()
            .map(|(i, row)| mapping_row(i, row, choices, &app_name, look))
            .collect::<Vec<_>>()
    };
    view! {
        {step_head(&step.head, &step.progress, Step::Attributes, live, format!("What does {app} get to know?"), lede.into_any())}
        <EditForm action="/api/save_attributes" class="beside" id=FORM>
            {default_button("go", "preview")}
            {hidden("slug", slug.clone())}
            {live.then(|| hidden("live", "true"))}
            <div class="map" on:change=move |_| look.ask() on:input=move |_| look.ask()>
                <div class="map__row map__head" aria-hidden="true">
                    <span>{format!("{app} attribute")}</span>
                    <span>"Comes from"</span>
                    <span>"If it is missing"</span>
                </div>
                {rows()}
            </div>
            <aside class="aside stack" aria-labelledby="preview-title">{preview}{notes}</aside>
            {save_bar(&slug, Step::Attributes, live, if live { "The next page says which accounts change, before anything is saved.".into_any() } else { "Next: who gets an account.".into_any() })}
        </EditForm>
    }
    .into_any()
}

/// What every row's source is chosen from.
struct Sources {
    groups: Vec<Choices>,
    slug: String,
}

fn choices(sources: &[SourceGroup], expressions: bool) -> Vec<Choices> {
    let choice = |value: &str, text: &str, below: &str| Choice {
        value: value.to_owned(),
        text: text.to_owned(),
        below: below.to_owned(),
    };
    let mut groups: Vec<Choices> = sources
        .iter()
        .map(|group| Choices {
            heading: group.label.clone(),
            choices: group
                .options
                .iter()
                .map(|(path, text)| choice(path, text, path))
                .collect(),
        })
        .collect();
    let mut other = vec![choice("constant", "Constant", "the same for everybody")];
    if expressions {
        other.push(choice(
            "expression",
            "Expression",
            "computed from several attributes",
        ));
    }
    groups.push(Choices {
        heading: "Other".to_owned(),
        choices: other,
    });
    groups
}

fn mapping_row(
    index: usize,
    row: &MappingView,
    sources: StoredValue<Sources>,
    app: &str,
    look: LiveLook,
) -> AnyView {
    let at = |name: &str| format!("rows[{index}][{name}]");
    let id = |name: &str| format!("rows-{index}--{name}-");
    let label = row.label.clone();
    let spoken = label.to_lowercase();
    for name in ["source", "value", "default"] {
        labelled(&at(name), &label);
    }
    let (source_wrong, source_error) = field_error(&at("source"));
    let (value_wrong, value_error) = field_error(&at("value"));
    let (default_wrong, default_error) = field_error(&at("default"));
    let invalid = |wrong: Signal<bool>| move || wrong.get().then_some("true");
    let described =
        |wrong: Signal<bool>, id: String| move || wrong.get().then(|| format!("{id}-error"));

    let (mut groups, slug) = sources.with_value(|all| (all.groups.clone(), all.slug.clone()));
    let none = if row.mandatory {
        "Choose a source"
    } else {
        "Not sent"
    };
    let first = |value: &str, text: &str| Choices {
        heading: String::new(),
        choices: vec![Choice {
            value: value.to_owned(),
            text: text.to_owned(),
            below: String::new(),
        }],
    };
    let known = groups.iter().any(|group| {
        group
            .choices
            .iter()
            .any(|choice| choice.value == row.source)
    });
    // A source that the list lacks, from a file say, is kept as it is.
    if !known && !row.source.is_empty() {
        groups.insert(0, first(&row.source, &row.source));
    }
    groups.insert(0, first("", none));
    let picker = Picker {
        name: at("source"),
        id: id("source"),
        label: format!("Source of {spoken}"),
        value: row.source.clone(),
        choices: groups,
        wrong: source_wrong,
    };
    let value_id = id("value");
    let source = view! {
        <div class="pair source">
            {picker.view(move || look.ask())}
            <input
                class="input extra"
                name=at("value")
                id=value_id.clone()
                aria-label=format!("Constant or expression for {spoken}")
                aria-invalid=invalid(value_wrong)
                aria-describedby=described(value_wrong, value_id.clone())
                autocomplete="off"
                spellcheck="false"
                value=row.value.clone().unwrap_or_default()
            />
        </div>
    };
    let choice = |value: &'static str, text: &'static str, missing: Missing| {
        let selected = row.missing == missing;
        view! { <option value=value selected=selected>{text}</option> }.into_any()
    };
    // What is mandatory can neither be cleared nor kept: whoever lacks it is left out.
    let keep = (!row.mandatory || row.missing == Missing::Keep)
        .then(|| choice("keep", "Keep", Missing::Keep));
    let clear = if row.mandatory {
        "Leave them out"
    } else {
        "Clear it"
    };
    let default_id = id("default");
    let missing = view! {
        <div class="pair missing">
            <select class="select" name=at("missing") aria-label=format!("If {spoken} is missing")>
                {choice("clear", clear, Missing::Clear)}
                {keep}
                {choice("default", "Default", Missing::Default)}
            </select>
            <input
                class="input extra"
                name=at("default")
                id=default_id.clone()
                aria-label=format!("Default for {spoken}")
                aria-invalid=invalid(default_wrong)
                aria-describedby=described(default_wrong, default_id.clone())
                autocomplete="off"
                value=row.default.clone().unwrap_or_default()
            />
        </div>
    };
    let hint = row.hint.clone().or_else(|| {
        (row.source.is_empty() && !row.mandatory).then(|| format!("{app} keeps what it has."))
    });
    let hint = hint.map(|hint| view! { <p class="hint">{hint}</p> });
    let group_id = format!("row-{index}");
    let labelled = group_id.clone();
    let star = row.mandatory.then(must);
    view! {
        <div class="map__row" role="group" aria-labelledby=labelled>
            <input type="hidden" name=at("attribute") value=row.attribute.clone()/>
            <div class="attr"><span id=group_id>{label}{star}</span><code>{short(&row.attribute)}</code></div>
            {source}
            {missing}
            {source_error}
            {value_error}
            {default_error}
            {hint}
            {coverage(&slug, row)}
        </div>
    }
    .into_any()
}

/// How many people in scope lack a value, with the way to them.
fn coverage(slug: &str, row: &MappingView) -> Option<AnyView> {
    let (have, all) = row
        .covered
        .filter(|(have, all)| have < all && !row.source.is_empty())?;
    let href = list_of_lacking(slug, &row.attribute, true);
    let count = format!("{} of {}", format::number(all - have), format::people(all));
    let spoken = format!(", {}", row.label);
    let who = view! { <a href=href>"See who"<span class="visually-hidden">{spoken}</span></a> };
    Some(if row.mandatory && row.missing != Missing::Default {
        view! { <p class="hint">{words("failed", "op-failed", format!("{count} have none and are left out."))} " " {who}</p> }.into_any()
    } else {
        view! { <p class="hint">{format!("{count} have none. ")}{who}</p> }.into_any()
    })
}

/// The last part of a SCIM path with its schema's nickname.
fn short(attribute: &str) -> String {
    match attribute.strip_prefix("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:") {
        Some(rest) => format!("enterprise:{rest}"),
        None => attribute.to_owned(),
    }
}

/// The id of the form, whose controls are looked at while they change.
const FORM: &str = "mapping";

/// The mapping as it stands in the form, for one person; asked for again as the form changes.
#[derive(Clone, Copy)]
struct LiveLook {
    preview: RwSignal<Option<MappingPreview>>,
    /// Grows with each change: only the answer to the last one counts.
    asked: RwSignal<u32>,
    wrong: LiveErrors,
}

impl LiveLook {
    fn new(preview: Option<MappingPreview>) -> Self {
        let wrong = LiveErrors(RwSignal::new(None));
        provide_context(wrong);
        Self {
            preview: RwSignal::new(preview),
            asked: RwSignal::new(0),
            wrong,
        }
    }

    /// Asks once nothing has changed for a moment.
    fn ask(self) {
        self.asked.try_update(|n| *n += 1);
        let mine = self.asked.try_get_untracked();
        let again = move || {
            if mine.is_none() || self.asked.try_get_untracked() != mine {
                return;
            }
            leptos::task::spawn_local(async move {
                let Some(body) = browser::held_by(FORM) else {
                    return;
                };
                let answer = browser::ask("/api/look_at_mapping", &body).await;
                let look = answer
                    .ok()
                    .and_then(|text| reading::read::<MappingLook>(&text).ok());
                if let Some(look) = look
                    && self.asked.try_get_untracked() == mine
                {
                    self.wrong.0.try_set(Some(look.wrong));
                    self.preview.try_set(look.preview);
                }
            });
        };
        set_timeout(again, std::time::Duration::from_millis(300));
    }
}

fn preview_panel(look: LiveLook) -> AnyView {
    let typed = asked("preview").unwrap_or_default();
    let sought = RwSignal::new(typed.clone());
    let on_key = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Enter" {
            event.prevent_default();
            look.ask();
        }
    };
    view! {
        <div class="panel">
            <header>
                <h2 id="preview-title">"Preview one person"</h2>
                <div class="find-row">
                    <div class="find">
                        {icon("search")}
                        <label class="visually-hidden" for="preview-person">"Person to preview"</label>
                        <input
                            class="input input--s"
                            id="preview-person"
                            name="preview"
                            placeholder="Name or e-mail"
                            autocomplete="off"
                            value=typed
                            on:keydown=on_key
                            on:input=move |event| {
                                sought.try_set(event_target_value(&event));
                                look.ask();
                            }
                        />
                    </div>
                    <button class="button button--s only-plain" type="submit" name="go" value="preview">"Show"</button>
                </div>
            </header>
            <div>
                {move || match look.preview.get() {
                    Some(preview) => shown(preview),
                    None => {
                        let sought = sought.get();
                        let text = if sought.is_empty() {
                            "Nobody to show yet.".to_owned()
                        } else {
                            format!("Nobody matches “{sought}”.")
                        };
                        view! { <p class="soft">{text}</p> }.into_any()
                    }
                }}
            </div>
        </div>
    }
    .into_any()
}

fn shown(preview: MappingPreview) -> AnyView {
    let values = preview
        .values
        .into_iter()
        .map(|row| {
            let wrong = row.wrong;
            let value = match (row.value, row.note) {
                (None, Some(note)) if wrong => words("failed", "op-failed", note),
                (None, None) if wrong => words("failed", "op-failed", "No value"),
                (None, None) => words("neutral", "st-none", "No value"),
                (None, Some(note)) => words("neutral", "st-none", format!("No value, {note}")),
                (Some(value), note) => {
                    let note = note
                        .map(|note| view! { " " <span class="muted">{format!("({note})")}</span> });
                    view! { <bdi>{value}</bdi>{note} }.into_any()
                }
            };
            crate::components::fact(row.label, value)
        })
        .collect::<Vec<_>>();
    view! {
        {person_ref(&preview.person)}
        <dl class="facts facts--tight">{values}</dl>
        <details class="fold">
            <summary>"SCIM body, as it will be sent"</summary>
            <pre class="code" tabindex="0" aria-label="SCIM body">{preview.body}</pre>
        </details>
    }
    .into_any()
}
