//! Who is told when something needs somebody.

use super::{lede, section};
use crate::{
    api::notifications::{
        ChannelKind, ChannelRow, LoadNotifications, NotificationsPage as Page, OpenCause,
    },
    components::{
        Field, PostForm, button_link, empty, load, loaded, moment, note_plain, read_only,
        state_chip, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn NotificationsPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadNotifications {}), page)
}

fn page(page: Page) -> AnyView {
    let add = page.may_change.then(|| {
        view! {
            <div class="actions">
                {button_link("/settings/notifications/email", "button--primary", "Add e-mail")}
                {button_link("/settings/notifications/webhook", "", "Add a webhook")}
            </div>
        }
    });
    let rows = page.channels.iter().map(row).collect::<Vec<_>>();
    let channels = if rows.is_empty() {
        empty(
            "out",
            "Nobody is told yet. What needs somebody is only seen by whoever looks at the console.",
            None,
        )
    } else {
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Channel"</th>
                        <th role="columnheader" scope="col">"Last delivery"</th>
                        <th role="columnheader" scope="col">"State"</th>
                        <th role="columnheader" scope="col">"Digest"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        }
        .into_any()
    };
    let links = (!page.links).then(|| {
        note_plain(
            "suspended",
            "info",
            "Messages hold no links",
            view! { <p>"The operator can set "<code>"ROLLCALL_PUBLIC_URL"</code>"; then each message leads to the page that it is about."</p> },
        )
    });
    let digest = page.may_change.then(|| {
        let hours = (0..24)
            .map(|hour: u8| (hour.to_string(), format!("{hour:02}:00 UTC")))
            .collect();
        view! {
            <section class="stack" aria-labelledby="digest">
                <h2 id="digest">"Daily digest"</h2>
                <p class="soft measure">"The figures of the last day and what is still open, for the channels that ask for it."</p>
                <PostForm action="/api/save_digest_hour" class="find-row measure">
                    {Field::new("hour", "Sent at").value(page.digest_hour.to_string()).select(hours)}
                    <button class="button" type="submit">"Save"</button>
                </PostForm>
            </section>
        }
    });
    section(
        "notifications",
        Vec::new(),
        "Notifications",
        lede(
            "One message when something needs somebody: an app is stopped or paused, removals or creates are held, the directory can't be read, a certificate expires, the log is broken. A second one when it is over. They name no person.",
        ),
        view! {
            {channels}
            {if page.may_change { ().into_any() } else { read_only() }}
            {add}
            {links}
            {open(&page.open)}
            {digest}
        },
    )
}

/// The channel, with what became of its last message.
fn row(channel: &ChannelRow) -> AnyView {
    let href = format!("/settings/notifications/{}", channel.id);
    let last = match channel.delivered_at {
        Some(at) => moment(at),
        None => view! { <span class="muted">"None yet"</span> }.into_any(),
    };
    let error = channel
        .failed
        .as_ref()
        .filter(|_| channel.on)
        .map(|failed| view! { <small class="wraps">{failed.error.clone()}</small> });
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <span class="who"><a href=href><bdi>{channel.name.clone()}</bdi></a><small>{kind(channel.kind)} ", " {channel.target.clone()}</small></span>
            </th>
            <td role="cell" data-label="Last delivery">{last}</td>
            <td role="cell" data-label="State"><span class="stack-s">{state(channel)}{error}</span></td>
            <td role="cell" data-label="Digest">{if channel.digest { "Daily" } else { "No" }}</td>
        </tr>
    }
    .into_any()
}

pub(super) fn kind(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Email => "E-mail",
        ChannelKind::Webhook => "Webhook",
    }
}

pub(super) fn state(channel: &ChannelRow) -> AnyView {
    match (&channel.failed, channel.on) {
        (_, false) => words("neutral", "st-off", "Off"),
        (Some(_), true) => {
            let waiting = match channel.waiting {
                0 => "Failing".to_owned(),
                n => format!(
                    "Failing, {} to deliver",
                    format::counted(n, "message", "messages")
                ),
            };
            state_chip("failed", "op-failed", waiting)
        }
        (None, true) => words("created", "st-on", "On"),
    }
}

fn open(causes: &[OpenCause]) -> AnyView {
    let body = if causes.is_empty() {
        view! { <p class="soft">"No cause that is told is open. Home shows everything that needs somebody."</p> }.into_any()
    } else {
        let lines = causes
            .iter()
            .map(|cause| {
                view! { <li><a href=cause.path.clone()>{cause.title.clone()}</a> <span class="muted">" since " {moment(cause.since)}</span></li> }.into_any()
            })
            .collect::<Vec<_>>();
        view! { <ul class="bullets">{lines}</ul> }.into_any()
    };
    view! { <section class="stack" aria-labelledby="open"><h2 id="open">"Open now"</h2>{body}</section> }
        .into_any()
}
