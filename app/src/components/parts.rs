//! Small parts: icons, operations, chips, notes, facts.

use crate::{
    api::terms::{AppStatus, Change, OperationKind, PersonRef},
    format, words as say,
};
use leptos::prelude::*;

#[must_use]
pub fn icon(name: &str) -> AnyView {
    let href = format!("/icons.svg#{name}");
    view! { <svg class="icon" aria-hidden="true"><use href=href></use></svg> }.into_any()
}

fn marked(class: String, icon_name: &str, text: String) -> AnyView {
    view! { <span class=class>{icon(icon_name)}{text}</span> }.into_any()
}

/// An operation to come: icon, word and colour say the same.
#[must_use]
pub fn op(kind: OperationKind) -> AnyView {
    let (word, _, shape, tone) = say::operation(kind);
    words(tone, shape, word)
}

/// An operation that is done.
#[must_use]
pub fn op_done(kind: OperationKind) -> AnyView {
    let (_, word, shape, tone) = say::operation(kind);
    words(tone, shape, word)
}

/// A meaning in a line of text or a cell.
#[must_use]
pub fn words(tone: &str, shape: &str, text: impl Into<String>) -> AnyView {
    marked(format!("op tone-{tone}"), shape, text.into())
}

#[must_use]
pub fn state_chip(tone: &str, shape: &str, text: impl Into<String>) -> AnyView {
    marked(format!("chip tone-{tone}"), shape, text.into())
}

#[must_use]
pub fn chip(status: &AppStatus) -> AnyView {
    let (word, shape, tone) = say::status(status);
    state_chip(tone, shape, word)
}

/// Name, linked, with the address below.
#[must_use]
pub fn person_ref(person: &PersonRef) -> AnyView {
    let href = format!("/directory/people/{}", format::query_value(&person.id));
    let name = if person.name.is_empty() {
        person.email.clone()
    } else {
        person.name.clone()
    };
    view! {
        <span class="who">
            <a href=href><bdi>{name}</bdi></a>
            <small>{address(&person.email)}</small>
        </span>
    }
    .into_any()
}

/// An address that breaks before its domain where the line is too short for it.
fn address(email: &str) -> AnyView {
    match email.split_once('@') {
        Some((name, domain)) => view! { {name.to_owned()}<wbr/>{format!("@{domain}")} }.into_any(),
        None => email.to_owned().into_any(),
    }
}

/// The same with a reason below.
#[must_use]
pub fn person_why(person: &PersonRef, why: &str) -> AnyView {
    view! { <span class="stack-0">{person_ref(person)}<small class="soft">{why.to_owned()}</small></span> }
        .into_any()
}

#[must_use]
pub fn button_link(
    href: impl Into<String>,
    class: &'static str,
    text: impl Into<String>,
) -> AnyView {
    view! { <a class=format!("button {class}") href=href.into()>{text.into()}</a> }.into_any()
}

fn note_of(class: String, shape: &str, title: String, body: AnyView) -> AnyView {
    let title = (!title.is_empty()).then(|| view! { <h2>{title}</h2> });
    view! { <div class=class>{icon(shape)}<div>{title}{body}</div></div> }.into_any()
}

/// Something that waits for an answer, or has just happened.
#[must_use]
pub fn note(tone: &str, shape: &str, title: impl Into<String>, body: impl IntoAny) -> AnyView {
    note_of(
        format!("note tone-{tone}"),
        shape,
        title.into(),
        body.into_any(),
    )
}

/// Good to know.
#[must_use]
pub fn note_plain(
    tone: &str,
    shape: &str,
    title: impl Into<String>,
    body: impl IntoAny,
) -> AnyView {
    note_of(
        format!("note note--plain tone-{tone}"),
        shape,
        title.into(),
        body.into_any(),
    )
}

#[must_use]
pub fn fact(label: impl Into<String>, value: impl IntoAny) -> AnyView {
    view! { <div><dt>{label.into()}</dt><dd>{value.into_any()}</dd></div> }.into_any()
}

#[must_use]
pub fn facts(rows: Vec<AnyView>) -> AnyView {
    view! { <dl class="facts">{rows}</dl> }.into_any()
}

#[must_use]
pub fn strip_item(label: impl Into<String>, value: impl IntoAny, below: impl IntoAny) -> AnyView {
    view! { <div><dt>{label.into()}</dt><dd>{value.into_any()}</dd><dd>{below.into_any()}</dd></div> }.into_any()
}

/// A few facts under a title.
#[must_use]
pub fn strip(items: Vec<AnyView>) -> AnyView {
    view! { <dl class="strip">{items}</dl> }.into_any()
}

#[must_use]
pub fn figure(n: u32, tone: &str, shape: &str, text: impl Into<String>) -> AnyView {
    view! { <li><b>{format::number(n)}</b>{words(tone, shape, text)}</li> }.into_any()
}

#[must_use]
pub fn figures(items: Vec<AnyView>) -> AnyView {
    view! { <ul class="figures">{items}</ul> }.into_any()
}

/// Old value struck, new value after the arrow.
#[must_use]
pub fn change_list(changes: &[Change]) -> AnyView {
    let rows = changes
        .iter()
        .map(|change| {
            let old = change.old.clone();
            let new = change.new.clone().unwrap_or_else(|| "empty".to_owned());
            let before = old.map(|old| {
                let old = if old.is_empty() { "empty".to_owned() } else { old };
                view! { <del dir="auto">{old}</del>{icon("arrow")}<span class="visually-hidden">"becomes"</span> }
            });
            view! { <div><dt>{change.attribute.clone()}</dt><dd>{before}<ins dir="auto">{new}</ins></dd></div> }.into_any()
        })
        .collect::<Vec<_>>();
    view! { <dl class="diff">{rows}</dl> }.into_any()
}

/// A section: title and a sentence in the margin, content on the ruled side.
#[must_use]
pub fn sheet(
    id: &'static str,
    title: impl Into<String>,
    sentence: impl Into<String>,
    action: Option<AnyView>,
    body: impl IntoAny,
) -> AnyView {
    let sentence: String = sentence.into();
    let sentence = (!sentence.is_empty()).then(|| view! { <p>{sentence}</p> });
    view! {
        <section class="sheet" aria-labelledby=id>
            <div class="sheet__margin"><h2 id=id>{title.into()}</h2>{sentence}{action}</div>
            <div class="sheet__body">{body.into_any()}</div>
        </section>
    }
    .into_any()
}

/// Nothing there: says so, and what comes next.
#[must_use]
pub fn empty(shape: &str, text: impl Into<String>, action: Option<AnyView>) -> AnyView {
    view! { <div class="state">{icon(shape)}<p>{text.into()}</p>{action}</div> }.into_any()
}

/// The star of a mandatory field, spoken as a word.
#[must_use]
pub fn must() -> AnyView {
    view! { <span class="must" aria-hidden="true">"*"</span><span class="visually-hidden">" (mandatory)"</span> }.into_any()
}
