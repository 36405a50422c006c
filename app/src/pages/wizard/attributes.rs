//! Step 2: where each attribute of the app comes from, beside a real person.

use super::{live, save_bar, step_head};
use crate::{
    api::wizard::{
        AttributesStep, MappingPreview, MappingView, Missing, SourceGroup, Step,
        load_attributes_step,
    },
    components::{
        PostForm, asked, default_button, field_error, hidden, icon, labelled, load, loaded, must,
        note_plain, param, person_ref, query, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn AttributesPage() -> impl IntoView {
    let (slug, preview) = (param("slug"), query("preview"));
    loaded(
        load(
            move || (slug(), preview()),
            |(slug, preview)| load_attributes_step(slug, preview),
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
    let preview = preview_panel(step.preview.clone());
    let app_name = app.clone();
    // The rows are made inside the form, so that each finds its error.
    let rows = move || {
        attributes
            .iter()
            .enumerate()
            .map(|(i, row)| mapping_row(i, row, &sources, expressions, &app_name))
            .collect::<Vec<_>>()
    };
    view! {
        {step_head(&step.head, &step.progress, Step::Attributes, live, format!("What does {app} get to know?"), lede.into_any())}
        <PostForm action="/api/save_attributes" class="beside">
            {default_button("go", if live { "save" } else { "continue" })}
            {hidden("slug", slug.clone())}
            {live.then(|| hidden("live", "true"))}
            <div class="map">
                <div class="map__row map__head" aria-hidden="true">
                    <span>{format!("{app} attribute")}</span>
                    <span>"Comes from"</span>
                    <span>"If it is missing"</span>
                </div>
                {rows()}
            </div>
            <aside class="aside stack" aria-labelledby="preview-title">{preview}{notes}</aside>
            {save_bar(&slug, Step::Attributes, live, if live { "Changes are sent with the next run.".into_any() } else { "Next: who gets an account.".into_any() })}
        </PostForm>
    }
    .into_any()
}

fn mapping_row(
    index: usize,
    row: &MappingView,
    sources: &[SourceGroup],
    expressions: bool,
    app: &str,
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

    let none = if row.mandatory {
        "Choose a source"
    } else {
        "Not sent"
    };
    let known = row.source.is_empty()
        || row.source == "constant"
        || row.source == "expression"
        || sources
            .iter()
            .any(|group| group.options.iter().any(|(path, _)| *path == row.source));
    let option = |value: &str, text: &str| {
        let selected = row.source == value;
        view! { <option value=value.to_owned() selected=selected>{text.to_owned()}</option> }
            .into_any()
    };
    let groups = sources
        .iter()
        .map(|group| {
            let options = group
                .options
                .iter()
                .map(|(path, text)| option(path, text))
                .collect::<Vec<_>>();
            view! { <optgroup label=group.label.clone()>{options}</optgroup> }.into_any()
        })
        .collect::<Vec<_>>();
    let unknown = (!known).then(|| option(&row.source, &row.source));
    let expression =
        (expressions || row.source == "expression").then(|| option("expression", "Expression"));
    let source_id = id("source");
    let value_id = id("value");
    let source = view! {
        <div class="pair source">
            <select
                class="select"
                name=at("source")
                id=source_id.clone()
                aria-label=format!("Source of {spoken}")
                aria-invalid=invalid(source_wrong)
                aria-describedby=described(source_wrong, source_id.clone())
            >
                {option("", none)}
                {unknown}
                {groups}
                <optgroup label="Other">{option("constant", "Constant")}{expression}</optgroup>
            </select>
            <input
                class="input extra"
                name=at("value")
                id=value_id.clone()
                aria-label=format!("Constant or expression for {spoken}")
                aria-invalid=invalid(value_wrong)
                aria-describedby=described(value_wrong, value_id.clone())
                autocomplete="off"
                value=row.value.clone().unwrap_or_default()
            />
        </div>
    };
    let choice = |value: &'static str, text: &'static str, missing: Missing| {
        let selected = row.missing == missing;
        view! { <option value=value selected=selected>{text}</option> }.into_any()
    };
    let default_id = id("default");
    let missing = view! {
        <div class="pair missing">
            <select class="select" name=at("missing") aria-label=format!("If {spoken} is missing")>
                {choice("clear", "Clear it", Missing::Clear)}
                {choice("keep", "Keep", Missing::Keep)}
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
    let lacking = row
        .covered
        .filter(|(have, all)| have < all && !row.source.is_empty())
        .map(|(have, all)| {
            format!(
                "{} of {} have none.",
                format::number(all - have),
                format::people(all)
            )
        });
    let hint = match (row.hint.clone(), lacking) {
        (Some(hint), Some(lacking)) => Some(format!("{hint} {lacking}")),
        (hint, lacking) => hint.or(lacking),
    };
    let hint = hint
        .or_else(|| {
            (row.source.is_empty() && !row.mandatory).then(|| format!("{app} keeps what it has."))
        })
        .map(|hint| view! { <p class="hint">{hint}</p> });
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
        </div>
    }
    .into_any()
}

/// The last part of a SCIM path with its schema's nickname.
fn short(attribute: &str) -> String {
    match attribute.strip_prefix("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:") {
        Some(rest) => format!("enterprise:{rest}"),
        None => attribute.to_owned(),
    }
}

fn preview_panel(preview: Option<MappingPreview>) -> AnyView {
    let sought = asked("preview").unwrap_or_default();
    let content = match preview {
        Some(preview) => {
            let values = preview
                .values
                .into_iter()
                .map(|(label, value, note)| {
                    let note = note
                        .map(|note| view! { " " <span class="muted">{format!("({note})")}</span> });
                    let value = match value {
                        Some(value) => view! { <bdi>{value}</bdi>{note} }.into_any(),
                        None => words("neutral", "st-none", "No value"),
                    };
                    crate::components::fact(label, value)
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
        None => {
            let text = if sought.is_empty() {
                "Nobody to show yet.".to_owned()
            } else {
                format!("Nobody matches “{sought}”.")
            };
            view! { <p class="soft">{text}</p> }.into_any()
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
                        <input class="input input--s" id="preview-person" name="preview" placeholder="Name or e-mail" autocomplete="off" value=sought/>
                    </div>
                    <button class="button button--s" type="submit" name="go" value="preview">"Show"</button>
                </div>
            </header>
            <div>{content}</div>
        </div>
    }
    .into_any()
}
