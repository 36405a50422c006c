//! The door: signing in, and one-time links.

use crate::{
    api::{
        account::{Enrolment, LoadEnrolment, QrCode, Ways},
        session::LoadSignInWays,
        setup::{LinkPurpose, LoadOneTimeLink, OneTimeLink},
    },
    components::{
        Asker, Field, PostForm, asked, code_field, hidden, icon, load, loaded, moment,
        new_passkey_form, passkey_form, query, tally, title,
    },
};
use leptos::prelude::*;

/// The frame of pages for which nobody needs to be signed in.
pub fn door(body: AnyView) -> AnyView {
    view! {
        <main class="door" id="main" tabindex="-1">
            <div class="door__card">
                <p class="brand">{tally(None)}"Rollcall"</p>
                {body}
            </div>
        </main>
    }
    .into_any()
}

#[component]
pub fn SignIn() -> impl IntoView {
    let next = asked("next");
    door(
        view! {
            {title("Sign in")}
            <PostForm action="/api/sign_in" class="door__form">
                <h1>"Sign in"</h1>
                {next.map(|next| hidden("next", next))}
                {Field::new("email", "E-mail").kind("email").autocomplete("username").required().input()}
                {Field::new("password", "Password").kind("password").autocomplete("current-password").required().input()}
                <button class="button button--primary button--wide" type="submit">"Sign in"</button>
            </PostForm>
            <p class="hint">
                "No account, or locked out? A super administrator can make a one-time link, an operator with "
                <code>"rollcall admin reset"</code>
                "."
            </p>
        }
        .into_any(),
    )
}

/// After the password.
#[component]
pub fn SignInCode() -> impl IntoView {
    door(loaded(load(|| (), |()| LoadSignInWays {}), sign_in_code))
}

fn sign_in_code(ways: Ways) -> AnyView {
    let next = asked("next");
    let passkey = ways
        .passkeys_at
        .map(|at| passkey_form(Asker::Door, at, next.clone()));
    let button = match passkey {
        Some(_) => "button button--wide",
        None => "button button--primary button--wide",
    };
    let label = if ways.app {
        "Code from your authenticator app"
    } else {
        "Recovery code"
    };
    let code = if ways.app {
        code_field(label)
    } else {
        Field::new("code", label)
            .autocomplete("one-time-code")
            .input()
    };
    let scripts = (passkey.is_some() && !ways.app).then(|| {
        view! { <p class="hint only-plain">"A passkey needs a browser that runs scripts."</p> }
    });
    view! {
        {title("Second factor")}
        <h1>"Second factor"</h1>
        {passkey}
        <PostForm action="/api/sign_in_code" class="door__form">
            {next.map(|next| hidden("next", next))}
            {scripts}
            {code}
            <button class=button type="submit">"Sign in"</button>
        </PostForm>
        <p class="hint">
            "Lost it and the recovery codes? Another super administrator can reset your second factor, an operator with "
            <code>"rollcall admin reset"</code>
            "."
        </p>
        <p class="hint"><a href="/sign-in">"Sign in as somebody else"</a></p>
    }
    .into_any()
}

/// Setting up an authenticator app: at the door for who has to, from one's account for who wants.
#[component]
pub fn SecondFactor() -> impl IntoView {
    door(loaded(load(|| (), |()| LoadEnrolment {}), enrolment))
}

fn enrolment(enrolment: Enrolment) -> AnyView {
    let next = || asked("next").map(|next| hidden("next", next));
    let replaces = enrolment
        .replaces
        .then_some(" The one that is set up works until then.");
    let passkey = enrolment.passkeys_at.map(|at| {
        view! {
            <details class="fold only-alive">
                <summary>"Use a passkey instead"</summary>
                <p class="hint">"Your phone, your computer or a security key signs you in with a touch and your PIN, finger or face."</p>
                {new_passkey_form(at, asked("next"), "stack")}
            </details>
        }
        .into_any()
    });
    let Some(secret) = enrolment.secret else {
        return view! {
            {title("Set up a second factor")}
            <PostForm action="/api/begin_enrolment" class="door__form">
                <h1>"Set up a second factor"</h1>
                <p class="soft">"An app on your phone or computer shows a new code every 30 seconds." {replaces}</p>
                {next()}
                <button class="button button--primary button--wide" type="submit">"Start"</button>
            </PostForm>
            {passkey}
            <p class="hint"><a href="/account">"Back to your account"</a></p>
        }
        .into_any();
    };
    view! {
        {title("Set up a second factor")}
        <PostForm action="/api/finish_enrolment" class="door__form">
            <h1>"Set up a second factor"</h1>
            <p class="soft">
                {format!("For {}. ", enrolment.email)}
                "Scan this with an authenticator app, such as the one of your password manager."
                {replaces}
            </p>
            {qr_code(&secret.qr)}
            <details class="fold">
                <summary>"Type it instead"</summary>
                <p class="hint">"The key, for a code of 6 digits every 30 seconds:"</p>
                <p><code class="secret">{secret.text.clone()}</code></p>
            </details>
            {next()}
            {Field::new("code", "The code that the app shows now").autocomplete("one-time-code").required().input()}
            <button class="button button--primary button--wide" type="submit">"Confirm"</button>
        </PostForm>
        {passkey}
    }
    .into_any()
}

fn qr_code(code: &QrCode) -> AnyView {
    let view_box = format!("0 0 {0} {0}", code.size);
    view! {
        <svg class="qr" viewBox=view_box role="img" aria-label="QR code for the authenticator app" shape-rendering="crispEdges">
            <rect width="100%" height="100%" fill="#fff"></rect>
            <path d=code.path.clone() fill="#000"></path>
        </svg>
    }
    .into_any()
}

#[component]
pub fn Setup() -> impl IntoView {
    let token = query("token");
    let link = load(
        move || token().unwrap_or_default(),
        |token| LoadOneTimeLink { token },
    );
    door(loaded(link, redeem))
}

fn redeem(link: OneTimeLink) -> AnyView {
    let token = asked("token").unwrap_or_default();
    let (heading, lede, button) = match link.purpose {
        LinkPurpose::FirstAdministrator => (
            "Welcome to Rollcall",
            "This console has no administrator yet. You become the first one.".to_owned(),
            "Create administrator",
        ),
        LinkPurpose::Invitation => (
            "Welcome to Rollcall",
            format!("You were invited as {}. Choose a password.", link.email.unwrap_or_default()),
            "Save and sign in",
        ),
        LinkPurpose::ResetPassword => (
            "Choose a new password",
            format!("For {}.", link.email.unwrap_or_default()),
            "Save and sign in",
        ),
        LinkPurpose::DemoSignIn => (
            "The demo is ready",
            "250 invented people, an emulated Google directory and an emulated Asana. Nothing leaves this machine.".to_owned(),
            "Enter the demo",
        ),
    };
    view! {
        {title(heading)}
        <PostForm action="/api/redeem_link" class="door__form">
            <h1>{heading}</h1>
            <p class="soft">{lede}</p>
            {hidden("token", token)}
            {fields(link.purpose)}
            <button class="button button--primary button--wide" type="submit">{button}</button>
        </PostForm>
        <p class="hint with-icon">{icon("clock")}<span>"This link works once, until " {moment(link.expires_at)} "."</span></p>
    }
    .into_any()
}

/// Called inside the form, so that each field finds its error.
fn fields(purpose: LinkPurpose) -> AnyView {
    let email = (purpose == LinkPurpose::FirstAdministrator).then(|| {
        Field::new("email", "Your e-mail")
            .kind("email")
            .autocomplete("username")
            .required()
            .input()
    });
    let password = |name: &'static str, label: &'static str| {
        Field::new(name, label)
            .kind("password")
            .autocomplete("new-password")
            .required()
    };
    let passwords = (purpose != LinkPurpose::DemoSignIn).then(|| {
        view! {
            {password("password", "Password").hint("At least 12 characters. A few words are good.").input()}
            {password("repeated", "The same again").input()}
        }
    });
    view! { {email}{passwords} }.into_any()
}
