//! Passkeys: only a browser that runs scripts can make one or sign with one.

use super::{
    form::{Field, Form, PostForm, hidden},
    loading::ask_once,
    parts::icon,
};
use crate::{
    api::{
        account::{AskPasskey, BeginPasskey},
        session::AskPasskeyAtTheDoor,
    },
    browser::{self, Passkey},
};
use leptos::prelude::*;

/// Where somebody stands who is asked for a passkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// After the password.
    Door,
    /// Inside, to confirm who they are.
    Confirmation,
}

/// Signs with a passkey, and sends the answer. `at` is the address that passkeys belong to.
#[must_use]
pub fn passkey_form(asker: Asker, at: String, next: Option<String>) -> AnyView {
    let (action, button) = match asker {
        Asker::Door => ("/api/sign_in_code", "Use a passkey"),
        Asker::Confirmation => ("/api/confirm_identity", "Confirm with a passkey"),
    };
    let class = match asker {
        Asker::Door => "door__form only-alive",
        Asker::Confirmation => "stack only-alive",
    };
    view! {
        <PostForm action=action class=class>
            {next.map(|next| hidden("next", next))}
            {passkey_button(Deed::Sign(asker), at, button)}
        </PostForm>
    }
    .into_any()
}

/// Makes a passkey and keeps it under a name. It needs a confirmation, save at the door.
#[must_use]
pub fn new_passkey_form(at: String, next: Option<String>, class: &'static str) -> AnyView {
    view! {
        <PostForm action="/api/add_passkey" class=class>
            {next.map(|next| hidden("next", next))}
            {Field::new("name", "A name for the passkey").hint("So that you know it again: work laptop, blue security key.").input()}
            {passkey_button(Deed::Make, at, "Add a passkey")}
        </PostForm>
    }
    .into_any()
}

#[derive(Clone, Copy)]
enum Deed {
    Make,
    Sign(Asker),
}

/// Called inside the form that it sends.
fn passkey_button(deed: Deed, at: String, text: &'static str) -> AnyView {
    let form = use_context::<Form>();
    let id = match deed {
        Deed::Make => "passkey-made",
        Deed::Sign(_) => "passkey-signed",
    };
    let class = match deed {
        Deed::Sign(Asker::Door) => "button button--primary button--wide",
        Deed::Make | Deed::Sign(Asker::Confirmation) => "button",
    };
    let wait = RwSignal::new(false);
    let on_click = move |event: leptos::ev::MouseEvent| {
        // The form is sent once there is something to send.
        event.prevent_default();
        if wait.get_untracked() {
            return;
        }
        wait.set(true);
        let at = at.clone();
        leptos::task::spawn_local(async move {
            let asks = match deed {
                Deed::Make => ask_once::<BeginPasskey>().await,
                Deed::Sign(Asker::Door) => ask_once::<AskPasskeyAtTheDoor>().await,
                Deed::Sign(Asker::Confirmation) => ask_once::<AskPasskey>().await,
            };
            let what = match deed {
                Deed::Make => Passkey::Make,
                Deed::Sign(_) => Passkey::Sign,
            };
            let answer = match asks {
                Ok(asks) => browser::use_passkey(what, &asks, &at).await,
                Err(error) => Err(error),
            };
            wait.try_set(false);
            match answer {
                Ok(answer) => browser::send_with(id, &answer),
                Err(error) => {
                    if let Some(form) = form {
                        form.error.try_set(Some(error));
                        request_animation_frame(|| browser::focus("form-error"));
                    }
                }
            }
        });
    };
    view! {
        <input type="hidden" name="passkey" id=id value=""/>
        <div class="actions">
            <button class=class type="submit" on:click=on_click aria-busy=move || wait.get().then_some("true")>
                {icon("key")}{text}
            </button>
        </div>
    }
    .into_any()
}
