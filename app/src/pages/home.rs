//! Home: what needs somebody, and how the apps are.

use crate::{
    api::{
        home::{Attention, AttentionKind, Home, HomeApp, LastRun, LoadHome},
        terms::{AppStatus, Counts, StopReason},
    },
    components::{
        Tick, button_link, chip, deed, head, icon, load, loaded, may_change, moment, roll, sheet,
        tally, time_day, title, until, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn HomePage() -> impl IntoView {
    loaded(load(|| (), |()| LoadHome {}), page)
}

fn page(home: Home) -> AnyView {
    let begun = |app: &HomeApp| app.status != AppStatus::NotConfigured;
    if !home.directory_read || !home.apps.iter().any(begun) {
        return beginning(&home);
    }
    let heading = match home.attention.len() {
        0 => "Nothing needs you".to_owned(),
        1 => "One thing needs you".to_owned(),
        n => format!("{} things need you", spelled(n)),
    };
    let lede = match home.next_run {
        Some(at) => view! { <p class="lede">"Everything else is running by itself. The next run starts at " {moment(at)} "."</p> }.into_any(),
        None if home.apps.iter().any(|app| matches!(app.status, AppStatus::Stopped { .. })) => {
            view! { <p class="lede">"No run is planned until the app that is stopped goes on."</p> }.into_any()
        }
        None => view! { <p class="lede">"No run is planned. Runs start once autoprovisioning of an app is on."</p> }.into_any(),
    };
    let todo = todo_list(&home.attention);
    let now = home.now;
    let rows = home
        .apps
        .iter()
        .map(|app| app_row(app, now))
        .collect::<Vec<_>>();
    let rolls = home
        .roll
        .into_iter()
        .take(1)
        .map(|one| {
            let at = |path: &str| Some(format!("/apps/{}/{path}", one.slug));
            let ticks = vec![
                Tick {
                    look: "in",
                    count: one.accounts,
                    label: "have an account".to_owned(),
                    href: at("accounts"),
                },
                Tick {
                    look: "new",
                    count: one.created_next,
                    label: "created next run".to_owned(),
                    href: at("runs"),
                },
                Tick {
                    look: "fail",
                    count: one.failing,
                    label: "failing".to_owned(),
                    href: at("failures"),
                },
                Tick {
                    look: "leave",
                    count: one.leaving,
                    label: "leaving".to_owned(),
                    href: at("queue"),
                },
                Tick {
                    look: "out",
                    count: one.left_out,
                    label: "left out, with reasons".to_owned(),
                    href: at("autoprovisioning/scope"),
                },
            ];
            sheet(
                "the-roll",
                format!("The roll for {}", one.app),
                "Everybody of the directory, one tick each. The parts add up to all.",
                None,
                roll("home", ticks),
            )
        })
        .collect::<Vec<_>>();
    view! {
        {title("Home")}
        <div class="page-head"><h1>{heading}</h1>{lede}</div>
        {todo}
        <section class="stack section" aria-labelledby="apps">
            <div class="page-head__row">
                <h2 id="apps">"Apps"</h2>
                {deed(view! { <div class="actions"><a class="button button--s" href="/apps/add">{icon("plus")}"Add an app"</a></div> }.into_any())}
            </div>
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"App"</th>
                        <th role="columnheader" scope="col">"Status"</th>
                        <th role="columnheader" scope="col">"Last run"</th>
                        <th role="columnheader" scope="col">"Next run"</th>
                        <th role="columnheader" scope="col" class="num">"Accounts"</th>
                        <th role="columnheader" scope="col" class="num">"Due in 24 h"</th>
                        <th role="columnheader" scope="col">"Failures"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </section>
        <div class="section">{rolls}</div>
    }
    .into_any()
}

fn spelled(n: usize) -> String {
    match n {
        2 => "Two".to_owned(),
        3 => "Three".to_owned(),
        4 => "Four".to_owned(),
        5 => "Five".to_owned(),
        _ => n.to_string(),
    }
}

fn app_row(app: &HomeApp, now: crate::api::terms::Time) -> AnyView {
    let href = format!("/apps/{}", app.slug);
    let last = match &app.last_run {
        Some(run) => {
            let link = format!("/apps/{}/runs/{}", app.slug, run.number);
            let took = run
                .seconds
                .map(|s| format!(", {}", format::duration(s.into())));
            view! { <a href=link>{moment(run.at)}</a>{took}<br/><span class="muted">{outcome(run)}</span> }.into_any()
        }
        None => view! { <span class="muted">"Never"</span> }.into_any(),
    };
    let next = match (&app.status, app.next_run) {
        (AppStatus::NotConfigured, _) if !may_change() => view! { <span class="muted">"Not set up"</span> }.into_any(),
        (AppStatus::NotConfigured, _) if !app.sign_in_ready => {
            view! { <a href=format!("/apps/{}/sign-in", app.slug)>"Set up sign-in first"</a> }.into_any()
        }
        (AppStatus::NotConfigured, _) => {
            view! { <a href=format!("/apps/{}/autoprovisioning", app.slug)>"Set up autoprovisioning"</a> }.into_any()
        }
        (AppStatus::Off, _) => view! { <span class="muted">"None while off"</span> }.into_any(),
        (AppStatus::Stopped { reason: StopReason::NeedsReauthorization }, _) => {
            view! { <span class="muted">"After reauthorizing"</span> }.into_any()
        }
        (AppStatus::Running { .. }, _) => view! { <span class="muted">"Running now"</span> }.into_any(),
        (_, Some(_)) if app.paused_until.is_some() => app
            .paused_until
            .map(|until| view! { {moment(until)}<br/><span class="muted">"paused until then"</span> })
            .into_any(),
        (_, Some(at)) => view! { {moment(at)}<br/><span class="muted">{until(now, at)}</span> }.into_any(),
        (_, None) => view! { <span class="muted">"Not planned"</span> }.into_any(),
    };
    let failures = if app.failures == 0 {
        view! { <span class="muted">"None"</span> }.into_any()
    } else {
        let href = format!("/apps/{}/failures", app.slug);
        view! { <a href=href>{words("failed", "op-failed", format::people(app.failures))}</a> }
            .into_any()
    };
    let accounts = match app.suspended {
        0 => format::number(app.accounts).into_any(),
        suspended => view! {
            {format!("{} in use", format::number(app.accounts.saturating_sub(suspended)))}
            <br/>
            <span class="muted">{format!("{} suspended", format::number(suspended))}</span>
        }
        .into_any(),
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <span class="who"><a href=href><bdi>{app.name.clone()}</bdi></a><small>{app.catalog.clone()}</small></span>
            </th>
            <td role="cell" data-label="Status">{chip(&app.status)}</td>
            <td role="cell" data-label="Last run">{last}</td>
            <td role="cell" data-label="Next run">{next}</td>
            <td role="cell" class="num" data-label="Accounts">{accounts}</td>
            <td role="cell" class="num" data-label="Due in 24 h">{format::number(app.due_in_24_hours)}</td>
            <td role="cell" data-label="Failures">{failures}</td>
        </tr>
    }
    .into_any()
}

/// "2 created, 7 updated".
pub fn outcome(run: &LastRun) -> String {
    done(&run.done, run.held, run.failed)
}

/// What a run did, in words; only what is not zero.
pub fn done(counts: &Counts, held: u32, failed: u32) -> String {
    let parts: Vec<String> = [
        (counts.create, "created"),
        (counts.link, "linked"),
        (counts.update, "updated"),
        (counts.unsuspend, "unsuspended"),
        (counts.suspend, "suspended"),
        (counts.delete, "deleted"),
        (held, "held"),
        (failed, "failed"),
    ]
    .into_iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{} {word}", format::number(n)))
    .collect();
    if parts.is_empty() {
        "nothing to do".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Worst first, the first one with the filled button.
fn todo_list(attention: &[Attention]) -> Option<AnyView> {
    let items = attention
        .iter()
        .enumerate()
        .map(|(i, attention)| todo(attention, i == 0))
        .collect::<Vec<_>>();
    let list = (!items.is_empty()).then(|| {
        view! {
            <section aria-labelledby="attention">
                <h2 id="attention" class="visually-hidden">"Needs attention"</h2>
                <ul class="todo">{items}</ul>
            </section>
        }
    });
    list.map(IntoAny::into_any)
}

fn todo(attention: &Attention, primary: bool) -> AnyView {
    let (slug, app) = attention.app.clone().unwrap_or_default();
    let at = |path: &str| format!("/apps/{slug}/{path}");
    let (tone, shape, heading, text, href, action): (_, _, _, AnyView, _, _) = match &attention.kind {
        AttentionKind::Stopped { reason: StopReason::NeedsReauthorization, since, waiting } => {
            let waiting = (*waiting > 0).then(|| format!(" {} wait; nothing is lost.", format::counted(*waiting, "change", "changes")));
            (
                "failed",
                "st-stopped",
                format!("{app} refused its access token"),
                view! { "Stopped since " {moment(*since)} "." {waiting} " A new token lets it go on where it stood." }.into_any(),
                at("autoprovisioning/authorize"),
                format!("Reauthorize {app}"),
            )
        }
        AttentionKind::Stopped { reason, since, .. } => (
            "failed",
            "st-stopped",
            format!("{app} is stopped: {}", crate::words::stop_reason(*reason)),
            view! { "Since " {moment(*since)} ". Nothing is sent until it is resolved; nothing is lost." }.into_any(),
            at("autoprovisioning"),
            "See why".to_owned(),
        ),
        AttentionKind::Held { removals, creates, of } => (
            "held",
            "op-held",
            format!("{app}: {}", crate::words::held(*removals, *creates).unwrap_or_default()),
            match (*removals, *creates) {
                (0, _) => "One run would have created more accounts than the ceiling allows. They are held until somebody looks; other changes went through.".to_owned(),
                _ => format!("Of {}. They are held until somebody looks; other changes went through.", format::counted(*of, "account", "accounts")),
            }
            .into_any(),
            at("review"),
            if *removals > 0 { "Look at the removals" } else { "Look at the creates" }.to_owned(),
        ),
        AttentionKind::Paused { until } => (
            "failed",
            "st-waiting",
            format!("{app} is paused"),
            view! { "Too much of what was sent failed. It is tried again at " {moment(*until)} "; nothing is lost." }.into_any(),
            at("runs"),
            "See the runs".to_owned(),
        ),
        AttentionKind::Undecided { people } => (
            "held",
            "person",
            format!("{} in {app} {} for a decision", format::people(*people), if *people == 1 { "waits" } else { "wait" }),
            "Their account is gone from the app, or an account there may be theirs. Nothing happens about them by itself.".into_any(),
            at("accounts"),
            "Decide".to_owned(),
        ),
        AttentionKind::Failing { people, next_try } => (
            "failed",
            "op-failed",
            format!("{} failed in {app}", format::people(*people)),
            view! { "They do not block anybody else." {next_try.map(|at| view! { " Next try at " {moment(at)} "." })} }.into_any(),
            at("failures"),
            "See failures".to_owned(),
        ),
        AttentionKind::DueSoon { suspensions, deletions, first } => {
            let parts: Vec<String> = [
                (*suspensions > 0).then(|| format::counted(*suspensions, "suspension", "suspensions")),
                (*deletions > 0).then(|| format::counted(*deletions, "deletion", "deletions")),
            ]
            .into_iter()
            .flatten()
            .collect();
            (
                "suspended",
                "st-waiting",
                format!("{} within 24 hours in {app}", parts.join(" and ")),
                view! { "The first is due at " {moment(*first)} "." }.into_any(),
                at("queue"),
                "Open the queue".to_owned(),
            )
        }
        AttentionKind::CertificateExpires { on, days } => (
            "suspended",
            "key",
            format!("The sign-in certificate of {app} {}", crate::words::certificate(*days)),
            view! { "On " {time_day(*on)} ". Record the new metadata before people are locked out." }.into_any(),
            at("sign-in"),
            "Update metadata".to_owned(),
        ),
        AttentionKind::ImportFailed { at: time, reason, next_try } => (
            "failed",
            "op-failed",
            "The directory could not be read".to_owned(),
            view! {
                {reason.clone()}
                " At "
                {moment(*time)}
                ". Nothing is planned from it; the last complete read stays."
                {next_try.map(|at| view! { " Next try at " {moment(at)} "." })}
            }
            .into_any(),
            "/directory/connection".to_owned(),
            "Open the connection".to_owned(),
        ),
        AttentionKind::DirectoryChanged => (
            "failed",
            "st-stopped",
            "Another directory answered".to_owned(),
            "Its customer id or primary domain differs from before. Every app is stopped until you confirm it.".into_any(),
            "/directory/connection".to_owned(),
            "Look and confirm".to_owned(),
        ),
        AttentionKind::NotTold { id, channel, since, error } => (
            "failed",
            "op-failed",
            format!("Notifications do not reach {channel}"),
            view! { {error.clone()} " Last tried at " {moment(*since)} "." }.into_any(),
            format!("/settings/notifications/{id}"),
            "Open the channel".to_owned(),
        ),
        AttentionKind::NobodyTold => (
            "suspended",
            "st-off",
            "Nobody is told when something needs them".to_owned(),
            "It is only seen by whoever looks here.".into_any(),
            "/settings/notifications".to_owned(),
            "Add a channel".to_owned(),
        ),
    };
    // The others name what is to be done there.
    let action = if may_change() {
        action
    } else {
        "Look at it".to_owned()
    };
    view! {
        <li class=format!("tone-{tone}")>
            {icon(shape)}
            <div><h3>{heading}</h3><p>{text}</p></div>
            <div class="actions">{button_link(href, if primary { "button--primary" } else { "" }, action)}</div>
        </li>
    }
    .into_any()
}

/// Three steps for somebody who begins; those that are done say so.
fn beginning(home: &Home) -> AnyView {
    let step = |n: usize,
                done: bool,
                now: bool,
                heading: &'static str,
                text: &'static str,
                action: AnyView| {
        let mark = if done { icon("st-on") } else { tally(Some(n)) };
        let action = now.then(|| deed(action)).flatten();
        view! {
            <li class=if now || done { "" } else { "later" }>
                {mark}
                <div><h2>{heading}{done.then(|| view! { <span class="muted">" · done"</span> })}</h2><p>{text}</p>{action}</div>
            </li>
        }
        .into_any()
    };
    let connected = home.directory_read;
    let chosen = home.apps.first();
    let go_on = match chosen {
        Some(app) if app.sign_in_ready => button_link(
            format!("/apps/{}/autoprovisioning", app.slug),
            "button--primary",
            format!("Set up {}", app.name),
        ),
        Some(app) => button_link(
            format!("/apps/{}/sign-in", app.slug),
            "button--primary",
            format!("Say how people sign in to {}", app.name),
        ),
        None => ().into_any(),
    };
    let others = (home.apps.len() > 1).then(|| {
        let links = home.apps.iter().skip(1).map(|app| {
            view! { <li><a href=format!("/apps/{}", app.slug)><bdi>{app.name.clone()}</bdi></a></li> }.into_any()
        });
        view! { <p class="soft">"Apps that wait as well:"</p><ul class="bullets">{links.collect::<Vec<_>>()}</ul> }
    });
    let connect = button_link(
        "/directory/connection",
        "button--primary",
        if home.directory_connected {
            "Read the directory"
        } else {
            "Connect the directory"
        },
    );
    view! {
        {head(
            "Call the roll in three steps",
            "Rollcall reads your Google directory and keeps people’s accounts in other apps in step with it. You see every change before it happens.",
            None,
        )}
        {todo_list(&home.attention)}
        <ol class="way">
            {step(
                0,
                connected,
                !connected,
                "Connect your Google directory",
                "You need a service-account key and the address of one administrator. Reading only: Rollcall cannot change anything in Google. It takes about ten minutes.",
                connect,
            )}
            {step(
                1,
                chosen.is_some(),
                connected && chosen.is_none(),
                "Choose an app",
                "Asana from the catalogue, or any app that speaks SCIM 2.0. Say how people sign in to it and for whom it is on.",
                button_link("/apps/add", "button--primary", "Add an app"),
            )}
            {step(
                2,
                false,
                connected && chosen.is_some(),
                "Look at the plan and turn it on",
                "Five questions, then a plan with every person by name. Nothing is sent before you say so.",
                go_on,
            )}
        </ol>
        {others}
    }
    .into_any()
}
