//! What asks again who somebody is before it is done (S13).

use super::{
    form::{Field, PostForm, hidden},
    loading::Loading,
    page::asked,
    parts::{icon, note_plain},
    passkey::{Asker, passkey_form},
};
use crate::api::{local_path, shell::Frame, terms::Role, with_next};
use leptos::prelude::*;
use leptos_router::hooks::use_location;

/// What the session's owner may do: their role, and whether they confirmed a short while ago who they
/// are. Pages are built after it is known.
#[derive(Clone, Copy)]
pub struct Confirmation {
    frame: Loading<Frame>,
    now: RwSignal<Known>,
}

#[derive(Clone, Default)]
struct Known {
    may_change: bool,
    confirmed: bool,
    has_app: bool,
    passkeys_at: Option<String>,
}

impl Confirmation {
    pub fn provide(frame: Loading<Frame>) {
        provide_context(Self {
            frame,
            now: RwSignal::new(Known::default()),
        });
    }

    pub async fn known(self) {
        if let Ok(frame) = self.frame.get().await {
            self.now.set(Known {
                may_change: frame.role == Role::SuperAdministrator,
                confirmed: frame.confirmed,
                has_app: frame.has_app,
                passkeys_at: frame.passkeys_at,
            });
        }
    }
}

/// At the door there is nothing to confirm.
#[must_use]
pub fn is_confirmed() -> bool {
    use_context::<Confirmation>().is_none_or(|known| known.now.with_untracked(|now| now.confirmed))
}

/// Whether the reader changes things. An auditor sees the same without deeds (S11.3).
#[must_use]
pub fn may_change() -> bool {
    use_context::<Confirmation>()
        .is_some_and(|known| known.now.with_untracked(|now| now.may_change))
}

/// The page that the browser is on, without what an earlier form left in its address.
fn here() -> String {
    let location = use_location();
    let path = location.pathname.get_untracked();
    let query = location.search.with_untracked(|search| {
        let kept = search.split('&').filter(|pair| {
            !pair.is_empty() && !pair.starts_with("__err=") && !pair.starts_with("__path=")
        });
        kept.collect::<Vec<_>>().join("&")
    });
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

/// In place of a button that needs a confirmation first.
#[must_use]
pub fn confirm_link() -> AnyView {
    let href = with_next("/confirm-identity", Some(&here()));
    view! { <a class="button" href=href>{icon("shield")}"Confirm that it is you"</a> }.into_any()
}

/// In place of a form that needs a confirmation first: nothing typed can be lost.
#[must_use]
pub fn confirm_first() -> AnyView {
    view! {
        <section class="panel measure confirm" aria-labelledby="confirm-title">
            <header>
                <h2 id="confirm-title">"First confirm that it is you"</h2>
                <p class="hint">"What comes next changes who has access or what is removed. A confirmation holds for 10 minutes."</p>
            </header>
            <div>{confirm_form(here())}</div>
        </section>
    }
    .into_any()
}

/// Above a form that can't be filled in before a confirmation: nothing typed can be lost.
#[must_use]
pub fn confirm_note() -> AnyView {
    note_plain(
        "neutral",
        "shield",
        "To change anything here, first confirm that it is you",
        view! { <p>"A confirmation holds for 10 minutes."</p><div class="actions">{confirm_link()}</div> },
    )
}

/// By a passkey or a code, when there is a second factor, or by the password.
#[must_use]
pub fn confirm_form(next: String) -> AnyView {
    let known = use_context::<Confirmation>();
    let known = known
        .map(|known| known.now.get_untracked())
        .unwrap_or_default();
    let by_code = known.has_app;
    let passkey = known
        .passkeys_at
        .map(|at| passkey_form(Asker::Confirmation, at, Some(next.clone())));
    let fields = move || {
        let password = Field::new("password", "Your password")
            .kind("password")
            .autocomplete("current-password");
        if by_code {
            view! {
                {code_field("Code from your authenticator app")}
                <details class="fold"><summary>"Use your password instead"</summary>{password.input()}</details>
            }
            .into_any()
        } else {
            password.required().input()
        }
    };
    view! {
        <div class="stack">
        {passkey}
        <PostForm action="/api/confirm_identity" class="stack">
            {hidden("next", next)}
            {fields()}
            <div class="actions"><button class="button button--primary" type="submit">"Confirm"</button></div>
        </PostForm>
        </div>
    }
    .into_any()
}

/// Six digits, or one of the recovery codes.
#[must_use]
pub fn code_field(label: &'static str) -> AnyView {
    Field::new("code", label)
        .autocomplete("one-time-code")
        .hint("6 digits. A recovery code does, too.")
        .input()
}

/// Where to go on after something was confirmed or set up.
#[must_use]
pub fn next_page() -> String {
    local_path(asked("next").as_deref()).to_owned()
}
