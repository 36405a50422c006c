//! One's own account: second factor, password, sessions; and what is shown or asked on the way.

use crate::{
    api::account::{LoadMyAccount, LoadShownOnce, MyAccount, PasskeyView, SessionView, ShownOnce},
    components::{
        Field, PostForm, asked, button_link, confirm_form, confirm_link, confirmed_button, fact,
        facts, head, hidden, icon, is_confirmed, load, loaded, moment, new_passkey_form, next_page,
        note, sheet, state_chip,
    },
    format, words,
};
use leptos::prelude::*;

#[component]
pub fn AccountPage() -> impl IntoView {
    view! {
        {head("Your account", "How you sign in to this console, and where you are signed in.", None)}
        {loaded(load(|| (), |()| LoadMyAccount {}), account)}
    }
}

fn account(account: MyAccount) -> AnyView {
    let you = facts(vec![
        fact("E-mail", account.email.clone()),
        fact("Role", words::role(account.role)),
    ]);
    let others = account.sessions.iter().any(|session| !session.this_one);
    let all = others.then(|| {
        view! {
            <PostForm action="/api/revoke_session" class="inline">
                <button class="button" type="submit">"Sign out everywhere else"</button>
            </PostForm>
        }
        .into_any()
    });
    view! {
        {sheet("you", "You", "", None, you)}
        {second_factor(&account)}
        {sheet(
            "password",
            "Password",
            "A new one signs you out everywhere else.",
            None,
            password_form(),
        )}
        {sheet(
            "sessions",
            "Sessions",
            "Each browser that you are signed in with. End those that you do not know.",
            all,
            sessions(&account.sessions, |handle| {
                view! {
                    <PostForm action="/api/revoke_session" class="inline">
                        {hidden("session", handle)}
                        <button class="button button--s" type="submit">"Sign out"</button>
                    </PostForm>
                }
                .into_any()
            }),
        )}
    }
    .into_any()
}

fn second_factor(account: &MyAccount) -> AnyView {
    let has_any = account.app_since.is_some() || !account.passkeys.is_empty();
    let is_last = account.app_since.is_some() && account.passkeys.is_empty();
    let app = match account.app_since {
        None => state_chip("neutral", "st-off", "Not set up"),
        Some(since) => {
            view! { {state_chip("created", "st-on", "Set up")} " since " {moment(since)} }
                .into_any()
        }
    };
    let set_up = view! {
        <PostForm action="/api/begin_enrolment" class="inline" confirmed=true>
            {hidden("next", "/account")}
            <button class="button" type="submit">"Set up an authenticator app"</button>
        </PostForm>
    };
    let may_take_off = !account.must_have_second_factor || !is_last;
    let off = (is_confirmed() && account.app_since.is_some() && may_take_off).then(|| {
        confirmed_button(
            "/api/remove_second_factor",
            "",
            "button--danger",
            "Take it off",
        )
    });
    let renew = (is_confirmed() && has_any).then(|| {
        confirmed_button(
            "/api/renew_recovery_codes",
            "",
            "",
            "Make new recovery codes",
        )
    });
    let left = account.recovery_codes_left;
    let few = (has_any && left < 4).then(|| {
        note(
            "suspended",
            "key",
            "Few recovery codes are left",
            view! { <p>"Make new ones before you need them."</p> },
        )
    });
    let mut lines = vec![fact("Authenticator app", app)];
    if has_any {
        lines.push(fact("Recovery codes left", format::number(left)));
    }
    let body = view! {
        {few}
        {facts(lines)}
        <div class="actions">{renew}{set_up}{off}</div>
    };
    let why = if account.must_have_second_factor {
        "Asked after your password, and again before what can do harm. Super administrators need one."
    } else {
        "Asked after your password, and again before what can do harm."
    };
    let removable = !account.must_have_second_factor
        || account.app_since.is_some()
        || account.passkeys.len() > 1;
    view! {
        {sheet("factor", "Second factor", why, None, body.into_any())}
        {passkeys(account, removable)}
    }
    .into_any()
}

fn passkeys(account: &MyAccount, removable: bool) -> AnyView {
    let rows = account
        .passkeys
        .iter()
        .map(|passkey| passkey_row(passkey, removable))
        .collect::<Vec<_>>();
    let table = (!rows.is_empty()).then(|| {
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Passkey"</th>
                        <th role="columnheader" scope="col">"Added"</th>
                        <th role="columnheader" scope="col">"Last used"</th>
                        <th role="columnheader" scope="col"><span class="visually-hidden">"Action"</span></th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        }
    });
    let add = match account.passkeys_at.clone() {
        None => view! {
            <p class="hint">"Passkeys need a console that is reached over https, at an address with a name."</p>
        }
        .into_any(),
        Some(_) if !is_confirmed() => view! { <div class="actions">{confirm_link()}</div> }.into_any(),
        Some(at) => view! {
            <p class="hint only-plain">"Adding a passkey needs a browser that runs scripts."</p>
            {new_passkey_form(at, Some("/account".to_owned()), "stack measure only-alive")}
        }
        .into_any(),
    };
    sheet(
        "passkeys",
        "Passkeys",
        "A second factor in your phone, your computer or a security key. It works for this address only, so no other site can ask for it.",
        None,
        view! { {table}{add} }.into_any(),
    )
}

fn passkey_row(passkey: &PasskeyView, removable: bool) -> AnyView {
    let id = passkey.id.to_string();
    let elsewhere = (!passkey.here).then(|| {
        view! { <span class="soft">{format!(" for {}", passkey.site)}</span> }
    });
    let remove = (is_confirmed() && removable).then(|| {
        let (id, label) = (id.clone(), format!("Remove {}", passkey.name));
        view! {
            <PostForm action="/api/remove_passkey" class="inline" confirmed=true>
                {hidden("id", id)}
                <button class="button button--s button--danger" type="submit" aria-label=label>
                    "Remove"
                </button>
            </PostForm>
        }
    });
    let control = format!("name-of-{id}");
    let (name, label) = (
        passkey.name.clone(),
        format!("A new name for {}", passkey.name),
    );
    let rename = view! {
        <details class="fold">
            <summary>"Rename"</summary>
            <PostForm action="/api/rename_passkey" class="inline">
                {hidden("id", id)}
                <label class="visually-hidden" for=control.clone()>{label}</label>
                <input class="input" id=control name="name" maxlength="60" required value=name/>
                <button class="button button--s" type="submit">"Save"</button>
            </PostForm>
        </details>
    };
    let used = match passkey.used_at {
        Some(at) => moment(at).into_any(),
        None => "Never".into_any(),
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">{passkey.name.clone()}{elsewhere}</th>
            <td role="cell" data-label="Added">{moment(passkey.added_at)}</td>
            <td role="cell" data-label="Last used">{used}</td>
            <td role="cell"><div class="actions">{rename}{remove}</div></td>
        </tr>
    }
    .into_any()
}

fn password_form() -> AnyView {
    let field = |name: &'static str, label: &'static str, autocomplete: &'static str| {
        Field::new(name, label)
            .kind("password")
            .autocomplete(autocomplete)
            .required()
    };
    view! {
        <PostForm action="/api/change_password" class="stack measure">
            {field("current", "Current password", "current-password").input()}
            {field("password", "New password", "new-password")
                .hint("At least 12 characters. A few words are good.")
                .input()}
            {field("repeated", "The same again", "new-password").input()}
            <div class="actions"><button class="button" type="submit">"Change password"</button></div>
        </PostForm>
    }
    .into_any()
}

/// A line for each, with what ends it.
pub fn sessions(sessions: &[SessionView], end: impl Fn(String) -> AnyView) -> AnyView {
    let rows = sessions
        .iter()
        .map(|session| {
            let deed = match session.this_one {
                true => state_chip("created", "st-on", "This one"),
                false => end(session.handle.clone()),
            };
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{session.browser.clone()}</th>
                    <td role="cell" data-label="Address">{session.address.clone().unwrap_or_else(|| "Unknown".to_owned())}</td>
                    <td role="cell" data-label="Since">{moment(session.began_at)}</td>
                    <td role="cell" data-label="Last used">{moment(session.used_at)}</td>
                    <td role="cell" data-label="Ends">{moment(session.ends_at)}</td>
                    <td role="cell">{deed}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Browser"</th>
                    <th role="columnheader" scope="col">"Address"</th>
                    <th role="columnheader" scope="col">"Since"</th>
                    <th role="columnheader" scope="col">"Last used"</th>
                    <th role="columnheader" scope="col">"Ends"</th>
                    <th role="columnheader" scope="col"><span class="visually-hidden">"Action"</span></th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

#[component]
pub fn ConfirmPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadMyAccount {}), |_| {
        let next = next_page();
        let body = if is_confirmed() {
            note(
                "created",
                "check",
                "You confirmed who you are",
                view! {
                    <p>"It holds for 10 minutes in this browser. If another tab waits for it, go back there."</p>
                    <div class="actions">{button_link(next, "button--primary", "Go on")}</div>
                },
            )
        } else {
            // Opened beside a form that waits, it stays here and says so.
            let next = asked("next").map_or_else(|| "/confirm-identity".to_owned(), |_| next);
            view! { <div class="measure">{confirm_form(next)}</div> }.into_any()
        };
        view! {
            {head(
                "Confirm that it is you",
                "What changes who has access, or removes accounts, asks for it. It holds for 10 minutes. What a form had not saved has to be entered again.",
                None,
            )}
            {body}
        }
        .into_any()
    })
}

#[component]
pub fn ShownOncePage() -> impl IntoView {
    loaded(load(|| (), |()| LoadShownOnce {}), shown_once)
}

fn shown_once(shown: ShownOnce) -> AnyView {
    let next = next_page();
    let here = next.clone();
    let away = |text: &'static str| {
        view! {
            <PostForm action="/api/put_away" class="inline">
                {hidden("next", here)}
                <button class="button button--primary" type="submit">{text}</button>
            </PostForm>
        }
    };
    match shown {
        ShownOnce::RecoveryCodes { codes } => {
            let lines = codes
                .into_iter()
                .map(|code| view! { <li><code class="secret">{code}</code></li> }.into_any())
                .collect::<Vec<_>>();
            view! {
                {head(
                    "Your recovery codes",
                    "Each signs you in once when your second factor is out of reach. Keep them in your password manager or on paper. They are shown only now.",
                    None,
                )}
                <ol class="codes">{lines}</ol>
                <div class="actions section">{away("I have saved them")}</div>
            }
            .into_any()
        }
        ShownOnce::Link { email, address, until } => view! {
            {head(
                format!("A link for {email}"),
                "Send it to them yourself, and to nobody else: whoever opens it chooses the password. It is shown only now.",
                None,
            )}
            <p><code class="secret">{address}</code></p>
            <p class="hint with-icon">{icon("clock")}<span>"It works once, until " {moment(until)} "."</span></p>
            <div class="actions section">{away("I have copied it")}</div>
        }
        .into_any(),
        ShownOnce::Nothing => view! {
            {head(
                "Nothing to show",
                "Recovery codes and links are shown once, for 10 minutes. New ones can be made at any time.",
                None,
            )}
            <div class="actions">{button_link(next, "button--primary", "Go on")}</div>
        }
        .into_any(),
    }
}
