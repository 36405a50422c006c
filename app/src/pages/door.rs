//! The door: signing in, and one-time links.

use crate::{
    api::setup::{LinkPurpose, OneTimeLink, load_one_time_link},
    components::{Field, PostForm, asked, hidden, icon, load, loaded, moment, query, tally, title},
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
                "No account, or locked out? An operator can make a one-time link with "
                <code>"rollcall admin reset"</code>
                "."
            </p>
        }
        .into_any(),
    )
}

#[component]
pub fn Setup() -> impl IntoView {
    let token = query("token");
    let link = load(move || token().unwrap_or_default(), load_one_time_link);
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
