//! How people sign in to the app; the precondition of everything else.

use crate::{
    api::apps::{AppSignIn, LoadAppSignIn, SignInMethod},
    components::{
        Field, PostForm, app_page, button_link, deed_or_why, fact, facts, hidden, load, loaded,
        may_change, moment, note, param, sheet, time_day, words,
    },
    pages::directory::pasted,
    words::certificate,
};
use leptos::prelude::*;

#[component]
pub fn AppSignInPage() -> impl IntoView {
    loaded(load(param("slug"), |slug| LoadAppSignIn { slug }), page)
}

fn page(app: AppSignIn) -> AnyView {
    let warning = app.days_left.filter(|days| *days <= 30).map(|days| {
        note(
            "suspended",
            "key",
            format!("The certificate {}", certificate(days)),
            view! { <p>"Record the new metadata before people are locked out."</p> },
        )
    });
    let now = app.method.map(|method| {
        let by = app.recorded_by.clone().map(|by| format!(" by {by}"));
        let rows = [
            Some(fact(
                "Method",
                words(
                    "created",
                    "st-on",
                    match method {
                        SignInMethod::Google => "The app signs in with Google",
                        SignInMethod::Saml => "SAML, through the identity provider below",
                    },
                ),
            )),
            app.entity_id
                .clone()
                .map(|id| fact("Entity ID", view! { <code>{id}</code> })),
            app.sign_in_url
                .clone()
                .map(|url| fact("Sign-in URL", view! { <code>{url}</code> })),
            app.certificate_expires
                .map(|on| fact("Certificate", view! { "Valid until " {time_day(on)} })),
            app.recorded_at
                .map(|at| fact("Recorded", view! { {moment(at)} {by} })),
        ];
        sheet(
            "recorded",
            "Recorded",
            "",
            None,
            facts(rows.into_iter().flatten().collect()),
        )
    });
    let saml = app.method == Some(SignInMethod::Saml);
    let slug = app.head.slug.clone();
    let button = if app.method.is_none() {
        "button button--primary"
    } else {
        "button"
    };
    let form = view! {
        <PostForm action="/api/save_app_sign_in" class="stack measure">
            {hidden("slug", slug)}
            <fieldset class="stack-s">
                <legend class="visually-hidden">"How people sign in"</legend>
                <label class="check">
                    <input type="radio" name="method" value="google" checked=!saml/>
                    <span>"The app signs in with Google"<small class="hint">"People use “Sign in with Google”. Nothing else to record."</small></span>
                </label>
                <label class="check">
                    <input type="radio" name="method" value="saml" checked=saml/>
                    <span>
                        "Through SAML"
                        <small class="hint">"Record the identity provider’s metadata; entity ID, sign-in URL and certificate are read from it."</small>
                    </span>
                </label>
            </fieldset>
            <div class="stack saml-only">
                {pasted(
                    Field::new("metadata", "Identity provider’s metadata").hint("The XML file, from <EntityDescriptor> to its end."),
                    "metadata",
                    ".xml,text/xml,application/xml",
                    "Or choose the file",
                )}
            </div>
            <div class="actions"><button class=button type="submit">"Save"</button></div>
        </PostForm>
    };
    // Somebody who sets the app up for the first time goes on from here.
    let next = (may_change() && app.method.is_some() && !app.head.configured()).then(|| {
        let access = format!("/apps/{}/access", app.head.slug);
        note(
            "accent",
            "st-waiting",
            "Next: user access",
            view! {
                <p>"Autoprovisioning only looks at people for whom the app is on."</p>
                <div class="actions">{button_link(access, "button--primary", "Choose for whom it is on")}</div>
            },
        )
    });
    view! {
        {app_page(&app.head, "sign-in", None, None)}
        {warning}
        {next}
        {now}
        {sheet(
            "change",
            if app.method.is_some() { "Change" } else { "How do people sign in?" },
            "Accounts are of use only when people can get in. That is why this comes before autoprovisioning.",
            None,
            deed_or_why(form.into_any()),
        )}
    }
    .into_any()
}
