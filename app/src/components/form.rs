//! Forms that work before, with and without WebAssembly.
//!
//! A form is a plain `<form method="post">` to a server function's address. When the page is
//! alive the same bytes are sent in the background, so that an error keeps what was typed.

use super::{
    confirm,
    frame::{LOOKS, come_back_soon},
    kept::Kept,
    page::Refresh,
    parts,
};
use crate::{
    api::{ApiError, ErrorCode, FieldError},
    browser,
    words::{self, Sentence},
};
use leptos::{ev::SubmitEvent, prelude::*, server_fn::error::ServerFnUrlError};
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate, use_query_map},
};

/// What a form's parts share: the last error, and the labels of its controls.
#[derive(Clone, Copy)]
pub struct Form {
    pub error: RwSignal<Option<ApiError>>,
    busy: RwSignal<bool>,
    labels: StoredValue<Vec<(String, String)>>,
}

impl Form {
    /// The error of a form that was posted without WebAssembly stands in the address.
    fn new(action: &str) -> Self {
        let error = use_query_map().with_untracked(|query| {
            let posted = query.get_str("__path")?;
            (posted == action)
                .then(|| query.get_str("__err"))?
                .map(ServerFnUrlError::<ApiError>::decode_err)
        });
        Self {
            error: RwSignal::new(error),
            busy: RwSignal::new(false),
            labels: StoredValue::new(Vec::new()),
        }
    }
}

/// The id of the control with this name.
fn id_of(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

/// No control may be called like a method of an element (`remove`, say): a form's controls hide
/// its own members of the same name.
#[component]
pub fn PostForm(
    /// The server function's address.
    action: &'static str,
    #[prop(optional)] class: &'static str,
    #[prop(optional)] id: &'static str,
    /// What it does needs a fresh confirmation of who does it (S13): without one, it asks for that
    /// in place of the form.
    #[prop(optional)]
    confirmed: bool,
    /// The same for a form whose values are worth seeing: it is shown, and can't be filled in.
    #[prop(optional)]
    locked: bool,
    children: Children,
) -> impl IntoView {
    if confirmed && !confirm::is_confirmed() {
        return match class {
            "inline" => confirm::confirm_link(),
            _ => confirm::confirm_first(),
        };
    }
    let form = Form::new(action);
    provide_context(form);
    if locked && !confirm::is_confirmed() {
        let children = children();
        return view! {
            {confirm::confirm_note()}
            <div class=class><fieldset class="locked" disabled>{children}</fieldset></div>
        }
        .into_any();
    }
    let refresh = use_context::<Refresh>();
    let navigate = use_navigate();
    let here = use_location().pathname;
    let on_submit = move |event: SubmitEvent| {
        if event.default_prevented() {
            return;
        }
        event.prevent_default();
        let Some(posted) = browser::posted(&event) else {
            return;
        };
        // While the page is loaded again its old form is still there, but what it held is gone.
        if form.busy.try_get_untracked().unwrap_or(false) {
            return;
        }
        form.busy.try_set(true);
        let navigate = navigate.clone();
        leptos::task::spawn_local(async move {
            let answer = browser::post(&posted).await;
            // Leaving the page takes the form with it: what follows may find it gone.
            form.busy.try_set(false);
            match answer {
                Ok(location) => {
                    form.error.try_set(None);
                    // Another page loads what it shows; the one that is left may no longer be
                    // allowed to.
                    let stays = location.as_deref().is_none_or(|location| {
                        location.split(['?', '#']).next() == here.try_get_untracked().as_deref()
                    });
                    if let Some(refresh) = refresh.filter(|_| stays) {
                        refresh.0.try_update(|n| *n += 1);
                        come_back_soon(posted, LOOKS);
                    }
                    // After signing out nothing of the console stays in the browser.
                    if location.as_deref() == Some("/sign-in") {
                        browser::leave_for("/sign-in");
                    } else if let Some(location) = location {
                        navigate(&location, NavigateOptions::default());
                    }
                }
                Err(error) => {
                    form.error.try_set(Some(error));
                    request_animation_frame(|| browser::focus("form-error"));
                }
            }
        });
    };
    let children = children();
    let note = form_error(form);
    let id = (!id.is_empty()).then_some(id);
    view! {
        <form
            action=action
            method="post"
            class=class
            id=id
            aria-busy=move || form.busy.try_get().unwrap_or(false).then_some("true")
            on:submit=on_submit
        >
            {note}
            {children}
        </form>
    }
    .into_any()
}

/// The note on top of a form: what is wrong, with a link to each field.
fn form_error(form: Form) -> AnyView {
    let live = use_context::<LiveErrors>();
    // What was put right since is no longer named.
    let error = move || {
        // A form that was sent may be gone before what watches its error is.
        let mut error = form.error.try_get().flatten()?;
        let looked = live.and_then(|live| live.0.try_get().flatten());
        if let Some(wrong) = looked.filter(|_| !error.fields.is_empty()) {
            error.fields.retain(|field| wrong.contains(field));
            if error.fields.is_empty() {
                return None;
            }
        }
        Some(error)
    };
    (move || {
        error().map(|error| {
            let Sentence { title, text } = words::error(&error);
            let links = error
                .fields
                .iter()
                .map(|wrong| {
                    let label = form.labels.with_value(|labels| {
                        labels
                            .iter()
                            .find(|(name, _)| *name == wrong.field)
                            .map(|(_, label)| label.clone())
                    });
                    let text = match label {
                        Some(label) => format!("{label}: {}", words::field(wrong)),
                        None => words::field(wrong),
                    };
                    let href = format!("#{}", id_of(&wrong.field));
                    view! { <li><a href=href rel="external">{text}</a></li> }.into_any()
                })
                .collect::<Vec<_>>();
            let elsewhere = (error.code == ErrorCode::ConfirmFirst).then(|| {
                view! {
                    <p>
                        <a href="/confirm-identity" target="_blank" rel="external noopener">"Confirm it in another tab"</a>
                        ", then send this form again. What you typed stays here."
                    </p>
                }
            });
            let text = (links.is_empty() && !text.is_empty()).then(|| view! { <p>{text}</p> });
            let list = (!links.is_empty()).then(|| view! { <ul>{links}</ul> });
            view! {
                <div class="note tone-failed" role="alert" tabindex="-1" id="form-error">
                    {parts::icon("op-failed")}
                    <div><h2>{title}</h2>{text}{elsewhere}{list}</div>
                </div>
            }
        })
    })
    .into_any()
}

/// Tells the form what people call a control, for the note on top.
pub fn labelled(name: &str, label: &str) {
    if let Some(form) = use_context::<Form>() {
        form.labels
            .update_value(|labels| labels.push((name.to_owned(), label.to_owned())));
    }
}

/// What is wrong with controls while somebody types, before anything is sent.
#[derive(Clone, Copy)]
pub struct LiveErrors(pub RwSignal<Option<Vec<FieldError>>>);

/// The error of one control, if it has one, and whether it has.
pub fn field_error(name: &str) -> (Signal<bool>, AnyView) {
    let Some(form) = use_context::<Form>() else {
        return (Signal::stored(false), ().into_any());
    };
    let name = name.to_owned();
    let live = use_context::<LiveErrors>();
    let sentence = Memo::new(move |_| {
        let of = |fields: &[FieldError]| {
            fields
                .iter()
                .find(|wrong| wrong.field == name)
                .map(words::field)
        };
        let looked = live.and_then(|live| {
            live.0
                .try_with(|fields| fields.as_deref().map(of))
                .flatten()
        });
        // Once somebody looked again, what was wrong when it was sent no longer counts.
        let text = match looked {
            Some(found) => found,
            None => form
                .error
                .try_with(|error| of(&error.as_ref()?.fields))
                .flatten(),
        };
        text.map(|text| (id_of(&name), text))
    });
    let view = move || {
        sentence.try_get().flatten().map(|(id, text)| {
            view! { <p class="error" id=format!("{id}-error")>{parts::icon("op-failed")}<span>{text}</span></p> }
        })
    };
    (
        Signal::derive(move || sentence.try_with(Option::is_some).unwrap_or(false)),
        view.into_any(),
    )
}

/// A label, a hint, a control and its error, in this order.
pub struct Field {
    name: String,
    label: String,
    hint: Option<String>,
    kind: &'static str,
    value: String,
    required: bool,
    autocomplete: &'static str,
    placeholder: String,
}

impl Field {
    #[must_use]
    pub fn new(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            label: label.into(),
            hint: None,
            kind: "text",
            value: String::new(),
            required: false,
            autocomplete: "off",
            placeholder: String::new(),
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    #[must_use]
    pub fn autocomplete(mut self, autocomplete: &'static str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    #[must_use]
    pub fn placeholder(mut self, placeholder: impl Into<String>) -> Self {
        self.placeholder = placeholder.into();
        self
    }

    fn frame(self, control: impl FnOnce(Described) -> AnyView) -> AnyView {
        let id = id_of(&self.name);
        labelled(&self.name, &self.label);
        let (wrong, error) = field_error(&self.name);
        let hint = self
            .hint
            .map(|hint| view! { <p class="hint" id=format!("{id}-hint")>{hint}</p> });
        let described = Described {
            id: id.clone(),
            hint: hint.is_some(),
            wrong,
        };
        view! {
            <div class="field">
                <label for=id>{self.label}{self.required.then(parts::must)}</label>
                {hint}
                {control(described)}
                {error}
            </div>
        }
        .into_any()
    }

    #[must_use]
    pub fn input(self) -> AnyView {
        let (name, kind, value, required) = (
            self.name.clone(),
            self.kind,
            self.value.clone(),
            self.required,
        );
        let (autocomplete, placeholder) = (self.autocomplete, self.placeholder.clone());
        self.frame(move |d| {
            let (id, by, wrong) = d.attributes();
            let value = (!value.is_empty()).then_some(value);
            let placeholder = (!placeholder.is_empty()).then_some(placeholder);
            view! {
                <input
                    class="input"
                    id=id
                    name=name
                    type=kind
                    dir="auto"
                    value=value.clone()
                    prop:value=Kept(value.unwrap_or_default())
                    placeholder=placeholder
                    required=required
                    autocomplete=autocomplete
                    aria-describedby=by
                    aria-invalid=wrong
                />
            }
            .into_any()
        })
    }

    #[must_use]
    pub fn area(self) -> AnyView {
        let (name, value, required) = (self.name.clone(), self.value.clone(), self.required);
        self.frame(move |d| {
            let (id, by, wrong) = d.attributes();
            view! {
                <textarea
                    class="input"
                    id=id
                    name=name
                    required=required
                    autocomplete="off"
                    spellcheck="false"
                    aria-describedby=by
                    aria-invalid=wrong
                >
                    {value}
                </textarea>
            }
            .into_any()
        })
    }

    /// `options`: value and text. The field's value is the chosen one.
    #[must_use]
    pub fn select(self, options: Vec<(String, String)>) -> AnyView {
        let (name, value, required) = (self.name.clone(), self.value.clone(), self.required);
        self.frame(move |d| {
            let (id, by, wrong) = d.attributes();
            let options = options
                .into_iter()
                .map(|(option, text)| {
                    let chosen = option == value;
                    view! { <option value=option selected=chosen prop:selected=Kept(chosen)>{text}</option> }.into_any()
                })
                .collect::<Vec<_>>();
            view! {
                <select class="select" id=id name=name required=required aria-describedby=by aria-invalid=wrong>
                    {options}
                </select>
            }
            .into_any()
        })
    }
}

/// Ids that tie a control to its hint and its error.
struct Described {
    id: String,
    hint: bool,
    wrong: Signal<bool>,
}

impl Described {
    #[allow(clippy::type_complexity, reason = "three attributes")]
    fn attributes(
        self,
    ) -> (
        String,
        impl Fn() -> Option<String> + Clone + Send + 'static,
        impl Fn() -> Option<&'static str> + Clone + Send + 'static,
    ) {
        let (id, hint, wrong) = (self.id.clone(), self.hint, self.wrong);
        let is_wrong = move || wrong.try_get().unwrap_or(false);
        let by = move || match (hint, is_wrong()) {
            (true, true) => Some(format!("{id}-hint {id}-error")),
            (true, false) => Some(format!("{id}-hint")),
            (false, true) => Some(format!("{id}-error")),
            (false, false) => None,
        };
        (self.id, by, move || is_wrong().then_some("true"))
    }
}

#[must_use]
pub fn hidden(name: &'static str, value: impl Into<String>) -> AnyView {
    view! { <input type="hidden" name=name value=value.into()/> }.into_any()
}

/// A form of one button.
#[must_use]
pub fn plain_button(
    action: &'static str,
    slug: &str,
    class: &'static str,
    shape: Option<&'static str>,
    text: impl Into<String>,
) -> AnyView {
    button(action, slug, class, shape, text.into(), false)
}

/// The same for what needs a fresh confirmation.
#[must_use]
pub fn confirmed_button(
    action: &'static str,
    slug: &str,
    class: &'static str,
    text: impl Into<String>,
) -> AnyView {
    button(action, slug, class, None, text.into(), true)
}

fn button(
    action: &'static str,
    slug: &str,
    class: &'static str,
    shape: Option<&'static str>,
    text: String,
    confirmed: bool,
) -> AnyView {
    let slug = (!slug.is_empty()).then(|| hidden("slug", slug));
    view! {
        <PostForm action=action class="inline" confirmed=confirmed>
            {slug}
            <button class=format!("button {class}") type="submit">{shape.map(parts::icon)}{text}</button>
        </PostForm>
    }
    .into_any()
}

/// A search: its state is the address.
#[component]
pub fn GetForm(
    #[prop(into)] action: String,
    #[prop(optional)] class: &'static str,
    #[prop(optional)] id: Option<&'static str>,
    #[prop(optional)] role: Option<&'static str>,
    #[prop(optional)] label: Option<&'static str>,
    children: Children,
) -> impl IntoView {
    let navigate = use_navigate();
    let on_submit = move |event: SubmitEvent| {
        if let Some(address) = browser::searched(&event) {
            event.prevent_default();
            navigate(
                &address,
                NavigateOptions {
                    scroll: false,
                    ..NavigateOptions::default()
                },
            );
        }
    };
    view! { <form action=action method="get" class=class id=id role=role aria-label=label on:submit=on_submit>{children()}</form> }
}
