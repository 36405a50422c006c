//! One way to tell somebody: its settings, a test, and what became of its messages.

use super::{
    lede,
    notifications::{kind, state},
    section,
};
use crate::{
    api::notifications::{
        ChannelForm, ChannelKind, ChannelPage as Page, ChannelRow, DeliveryState, EmailForm,
        LoadChannel, Security, WebhookForm,
    },
    components::{
        Field, PostForm, button_link, fact, facts, hidden, is_confirmed, load, loaded, moment,
        note, param, read_only, words,
    },
};
use leptos::prelude::*;

#[component]
pub fn ChannelPage() -> impl IntoView {
    loaded(load(param("id"), |id| LoadChannel { id }), page)
}

fn page(page: Page) -> AnyView {
    let Some(row) = &page.row else {
        return new(&page);
    };
    let secret = page.secret.as_ref().map(|secret| {
        note(
            "suspended",
            "key",
            "Keep this secret now, it is not shown again",
            view! {
                <p><code class="wraps">{secret.clone()}</code></p>
                <p>"Whoever receives the messages checks their signature with it. It goes away by itself within an hour."</p>
                <div class="actions">{deed(row, "secret-kept", "button--s", "I have kept it")}</div>
            },
        )
    });
    let again = if row.on {
        ". It is tried again, later and later, for two days."
    } else {
        ". Nothing is sent while the channel is off."
    };
    let failed = row.failed.as_ref().map(|failed| {
        note(
            "failed",
            "op-failed",
            "The last message did not arrive",
            view! { <p class="wraps">{failed.error.clone()}</p><p class="hint">"Tried at " {moment(failed.at)} {again}</p> },
        )
    });
    let last = match row.delivered_at {
        Some(at) => moment(at),
        None => "None yet".into_any(),
    };
    let about = facts(vec![fact("State", state(row)), fact("Last delivery", last)]);
    let deeds = page.may_change.then(|| {
        let turn_on = (!row.on).then(|| deed(row, "turn-on", "", "Turn on"));
        let turn_off = row.on.then(|| deed(row, "turn-off", "", "Turn off"));
        let new_secret = (row.kind == ChannelKind::Webhook)
            .then(|| {
                let id = hidden("id", row.id.to_string());
                view! {
                    <PostForm action="/api/renew_channel_secret" class="inline" confirmed=true>
                        {id}
                        <button class="button" type="submit">"New secret"</button>
                    </PostForm>
                }
            });
        // The form below asks for it, for these too.
        let confirmed = is_confirmed().then(|| view! { {turn_off} {new_secret} });
        view! {
            <div class="actions">
                {deed(row, "test", "button--primary", "Send a test")}
                {turn_on}
                {confirmed}
                {button_link(format!("/settings/notifications/{}/delete", row.id), "button--danger", "Delete")}
            </div>
        }
    });
    let form = if page.may_change {
        form(&page)
    } else {
        read_only()
    };
    section(
        "notifications",
        vec![(String::new(), row.name.clone())],
        row.name.clone(),
        lede(format!("{} to {}", kind(row.kind), row.target)),
        view! {
            {secret}
            {failed}
            {about}
            {deeds}
            <section class="stack" aria-labelledby="channel-settings"><h2 id="channel-settings">"Settings"</h2>{form}</section>
            {signature(row.kind)}
            {deliveries(&page)}
        },
    )
}

fn new(page: &Page) -> AnyView {
    let (title, says) = match page.form {
        ChannelForm::Email(_) => ("Add e-mail", "Through your own mail server."),
        ChannelForm::Webhook(_) => (
            "Add a webhook",
            "Each message is posted as JSON to an address of yours, signed with a secret that you see once.",
        ),
    };
    let form = if page.may_change {
        form(page)
    } else {
        read_only()
    };
    section(
        "notifications",
        vec![(String::new(), title.to_owned())],
        title,
        lede(says),
        form,
    )
}

fn form(page: &Page) -> AnyView {
    match &page.form {
        ChannelForm::Email(form) => email(page, form.clone()),
        ChannelForm::Webhook(form) => webhook(page, form.clone()),
    }
}

fn email(page: &Page, form: EmailForm) -> AnyView {
    let mut security = vec![
        (
            "starttls".to_owned(),
            "STARTTLS, usually port 587".to_owned(),
        ),
        (
            "tls".to_owned(),
            "TLS from the start, usually port 465".to_owned(),
        ),
    ];
    if page.plain_allowed || form.security == Security::None {
        security.push((
            "none".to_owned(),
            "None, only for a server on this machine".to_owned(),
        ));
    }
    let chosen = match form.security {
        Security::Tls => "tls",
        Security::Starttls => "starttls",
        Security::None => "none",
    };
    let password = if page.has_password {
        "One is stored. Leave it empty to keep it; another server needs it again."
    } else {
        "Stored encrypted, never shown again."
    };
    let (id, save) = (id(page), save(page));
    view! {
        <PostForm action="/api/save_email_channel" class="stack measure" locked=true>
            {id}
            {Field::new("name", "Name").hint("How the console calls it.").value(form.name).input()}
            {Field::new("recipients", "Recipients").hint("Addresses, separated by commas.").value(form.recipients).required().input()}
            {Field::new("sender", "Sender").hint("An address that your mail server may send from.").value(form.sender).required().input()}
            {Field::new("host", "Mail server").placeholder("smtp.example.com").value(form.host).required().input()}
            {Field::new("port", "Port").value(form.port).required().input()}
            {Field::new("security", "Security").value(chosen).select(security)}
            {Field::new("user_name", "User name").hint("Empty: the server asks for none.").value(form.user_name).input()}
            {Field::new("password", "Password").kind("password").autocomplete("new-password").hint(password).input()}
            {digest(form.digest)}
            {save}
        </PostForm>
    }
    .into_any()
}

fn webhook(page: &Page, form: WebhookForm) -> AnyView {
    let hint = if page.row.is_some() {
        "Another server gets another secret."
    } else {
        "Must start with https. What stands after ? is kept, and not shown in lists."
    };
    let (id, save) = (id(page), save(page));
    view! {
        <PostForm action="/api/save_webhook_channel" class="stack measure" locked=true>
            {id}
            {Field::new("name", "Name").hint("How the console calls it.").value(form.name).input()}
            {Field::new("url", "Address").hint(hint).value(form.url).required().input()}
            {digest(form.digest)}
            {save}
        </PostForm>
    }
    .into_any()
}

fn id(page: &Page) -> Option<AnyView> {
    (page.row.as_ref()).map(|row| hidden("id", row.id.to_string()))
}

fn digest(on: bool) -> AnyView {
    view! {
        <label class="check">
            <input type="checkbox" name="digest" value="true" checked=on/>
            <span>"Daily digest, too"</span>
        </label>
    }
    .into_any()
}

fn save(page: &Page) -> AnyView {
    let (class, text) = match page.row {
        Some(_) => ("button", "Save"),
        None => ("button button--primary", "Add"),
    };
    view! {
        <div class="actions">
            <button class=class type="submit">{text}</button>
            <a class="button" href="/settings/notifications">"Back"</a>
        </div>
    }
    .into_any()
}

fn deed(
    row: &ChannelRow,
    change: &'static str,
    class: &'static str,
    text: &'static str,
) -> AnyView {
    let id = hidden("id", row.id.to_string());
    let silences = matches!(change, "turn-off" | "delete");
    view! {
        <PostForm action="/api/change_channel" class="inline" confirmed=silences>
            {id}
            {hidden("change", change)}
            <button class=format!("button {class}") type="submit">{text}</button>
        </PostForm>
    }
    .into_any()
}

fn signature(kind: ChannelKind) -> Option<AnyView> {
    (kind == ChannelKind::Webhook).then(|| {
        view! {
            <details class="fold">
                <summary>"How a message is checked"</summary>
                <p class="measure">
                    "Join the headers " <code>"webhook-id"</code> " and " <code>"webhook-timestamp"</code>
                    " and the body as it arrived with dots. Make the HMAC-SHA-256 of that under the secret: the bytes behind "
                    <code>"whsec_"</code> " in base64. Its base64 behind " <code>"v1,"</code> " is what "
                    <code>"webhook-signature"</code>
                    " must hold. Refuse a timestamp that is more than five minutes old, and an id that you have seen. These are the rules of Standard Webhooks, for which most languages have a library."
                </p>
            </details>
        }
        .into_any()
    })
}

fn deliveries(page: &Page) -> Option<AnyView> {
    if page.deliveries.is_empty() {
        return None;
    }
    let rows = page
        .deliveries
        .iter()
        .map(|delivery| {
            let (tone, shape, text) = match delivery.state {
                DeliveryState::Delivered => ("created", "st-on", "Delivered"),
                DeliveryState::Waiting => ("suspended", "st-waiting", "To be delivered"),
                DeliveryState::GivenUp => ("failed", "op-failed", "Given up"),
            };
            let error = delivery.error.clone().map(|error| view! { <small class="wraps">{error}</small> });
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{delivery.title.clone()}</th>
                    <td role="cell" data-label="Written">{moment(delivery.at)}</td>
                    <td role="cell" data-label="State"><span class="stack-s">{words(tone, shape, text)}{error}</span></td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    Some(
        view! {
            <section class="stack" aria-labelledby="deliveries">
                <h2 id="deliveries">"Last messages"</h2>
                <table role="table" class="table stacks dense">
                    <thead role="rowgroup">
                        <tr role="row">
                            <th role="columnheader" scope="col">"Message"</th>
                            <th role="columnheader" scope="col">"Written"</th>
                            <th role="columnheader" scope="col">"State"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup">{rows}</tbody>
                </table>
            </section>
        }
        .into_any(),
    )
}

#[component]
pub fn DeleteChannelPage() -> impl IntoView {
    loaded(load(param("id"), |id| LoadChannel { id }), delete)
}

fn delete(page: Page) -> AnyView {
    let Some(row) = &page.row else {
        return new(&page);
    };
    let href = format!("/settings/notifications/{}", row.id);
    let deed = page
        .may_change
        .then(|| deed(row, "delete", "button--danger", "Delete channel"));
    section(
        "notifications",
        vec![
            (href.clone(), row.name.clone()),
            (String::new(), "Delete".to_owned()),
        ],
        format!("Delete the channel {}?", row.name),
        (),
        view! {
            <ul class="bullets measure">
                <li>{format!("{} is no longer told of anything.", row.target)}</li>
                <li>"Its password or secret is removed, and so are messages that are still to be delivered."</li>
            </ul>
            <div class="actions">{deed}<a class="button" href=href>"Back"</a></div>
        },
    )
}
