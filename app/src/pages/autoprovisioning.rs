//! Autoprovisioning of one app: how it is and what it does, and taking it away.

use super::{
    apps::{list_of, list_of_lacking},
    home::outcome,
    runs::{run_buttons, run_link, stages_and_progress},
    wizard::when,
};
use crate::{
    api::{
        autoprovisioning::{
            AutoprovisioningPage, AutoprovisioningStatus, Configured, LoadAutoprovisioning,
            LoadAutoprovisioningStatus,
        },
        concerned::{Compared, Place},
        terms::{AppStatus, OperationKind, StopReason, Trigger},
        usage::Usage,
        wizard::{MappingView, Members, Missing, PolicyView, Step},
    },
    components::{
        PostForm, app_page, button_link, confirmation, deed, deed_or_why, fact, facts, hidden,
        icon, keep_fresh, load, loaded, may_change, moment, must, note, op, param, plain_button,
        sheet, strip, strip_item, time_day, words,
    },
    format, words as say,
};
use leptos::prelude::*;

#[component]
pub fn AutoprovisioningStatusPage() -> impl IntoView {
    let data = load(param("slug"), |slug| LoadAutoprovisioningStatus { slug });
    keep_fresh(data, |status| {
        let configured = status.page.configured.as_ref();
        configured.is_some_and(|configured| configured.running.is_some())
    });
    loaded(data, page)
}

fn page(status: AutoprovisioningStatus) -> AnyView {
    let AutoprovisioningStatus { page, usage } = status;
    match page.configured {
        None => unconfigured(&page.head, &page.draft_done, page.directory_read),
        Some(ref configured) => configured_page(&page.head, configured, usage.as_ref()),
    }
}

fn unconfigured(head: &crate::api::terms::AppHead, done: &[Step], directory_read: bool) -> AnyView {
    let slug = &head.slug;
    let body = if !head.sign_in_ready {
        note(
            "suspended",
            "key",
            "Sign-in comes first",
            view! {
                <p>"Autoprovisioning can be configured once it is recorded how people sign in to the app."</p>
                <div class="actions">{deed(button_link(format!("/apps/{slug}/sign-in"), "button--primary", "Set up sign-in"))}</div>
            },
        )
    } else if !directory_read {
        note(
            "suspended",
            "plug",
            "The directory was not read yet",
            view! { <p>"There is nobody to plan for."</p><div class="actions">{button_link("/directory/connection", "button--primary", "Open the connection")}</div> },
        )
    } else {
        let next = Step::ALL
            .into_iter()
            .find(|step| !done.contains(step))
            .unwrap_or(Step::Review);
        let begun = !done.is_empty() || head.draft;
        let text = if begun {
            "Go on with the set-up"
        } else {
            "Configure autoprovisioning"
        };
        let discard = begun.then(|| {
            plain_button(
                "/api/discard_draft",
                slug,
                "button--quiet",
                None,
                "Discard the draft",
            )
        });
        view! {
            <div class="state">
                {icon("st-none")}
                <p>
                    "Not configured. Five questions: the access token, what the app gets to know, who gets an account, what ends it, and a look at the plan with every person by name. Nothing is sent before you say so."
                </p>
                <div class="actions">
                    {deed_or_why(view! {
                        {button_link(format!("/apps/{slug}/setup/{}", next.path()), "button--primary", text)}
                        {discard}
                    }.into_any())}
                </div>
            </div>
        }
        .into_any()
    };
    view! { {app_page(head, "autoprovisioning", None, None)}{body} }.into_any()
}

fn configured_page(
    head: &crate::api::terms::AppHead,
    c: &Configured,
    usage: Option<&Usage>,
) -> AnyView {
    let slug = head.slug.as_str();
    let app = head.name.clone();
    let at = |path: &str| format!("/apps/{slug}/autoprovisioning/{path}");
    let off = head.status == AppStatus::Off;
    let reauthorize = head.status
        == (AppStatus::Stopped {
            reason: StopReason::NeedsReauthorization,
        });
    let stopped = matches!(head.status, AppStatus::Stopped { .. });
    let running = c.running.as_ref();
    let actions = match () {
        () if off => deed(button_link(at("turn-on"), "button--primary", "Turn on…")),
        () if stopped || running.is_some() => None,
        () => deed(run_buttons(slug, true)),
    };
    let last = match &c.last_run {
        Some(run) => strip_item(
            "Last run",
            view! { <a href=format!("/apps/{slug}/runs/{}", run.number)>{moment(run.at)}</a> },
            outcome(run),
        ),
        None => strip_item("Last run", "Never", ()),
    };
    let every = match c.interval_minutes {
        60 => "every hour".to_owned(),
        n if n % 60 == 0 => format!("every {} hours", n / 60),
        n => format!("every {n} minutes"),
    };
    let next = match c.next_run {
        Some(time) => strip_item("Next run", moment(time), every),
        None if running.is_some() => {
            strip_item("Next run", "Later", format!("after this run, {every}"))
        }
        None => strip_item(
            "Next run",
            "None",
            if off {
                "while it is off"
            } else {
                "until it is resumed"
            },
        ),
    };
    let facts_strip = strip(vec![
        last,
        next,
        strip_item(
            "Accounts",
            view! { <a href=format!("/apps/{slug}/accounts")>{format::number(c.accounts)}</a> },
            format!(
                "{} active, {} suspended",
                format::number(c.active),
                format::number(c.suspended)
            ),
        ),
        strip_item(
            "In the queue",
            view! { <a href=format!("/apps/{slug}/queue")>{format::people(c.queue)}</a> },
            format!(
                "{} within 24 hours",
                format::counted(c.due_in_24_hours, "step", "steps")
            ),
        ),
    ]);
    let progress = running.map(|run| {
        view! {
            <section class="stack section-s" aria-label="Run under way">
                <div class="page-head__row"><h2>"A run is under way"</h2><div class="actions">{run_link(slug, run.row.number)}</div></div>
                {stages_and_progress(run)}
            </section>
        }
    });
    let warning = match &head.status {
        AppStatus::Stopped {
            reason: StopReason::NeedsReauthorization,
        } => Some(note(
            "failed",
            "st-stopped",
            "Stopped: needs reauthorization",
            view! {
                <p>{format!("{app} refused the access token. Nothing is lost; a new token lets it go on where it stood.")}</p>
                <div class="actions">{deed_or_why(button_link(at("authorize"), "button--primary", "Reauthorize"))}</div>
            },
        )),
        AppStatus::Stopped { reason } => {
            // Turning on does not help: the app goes on by itself once the cause is resolved.
            let helps = (*reason == StopReason::DirectoryChanged).then(|| {
                view! { <div class="actions">{button_link("/directory/connection", "button--primary", "Open the connection")}</div> }
            });
            Some(note(
                "failed",
                "st-stopped",
                format!("Stopped: {}", say::stop_reason(*reason)),
                view! {
                    <p>"Nothing is sent until it is resolved."{c.stopped_since.map(|at| view! { " Since " {moment(at)} "." })}</p>
                    {helps}
                },
            ))
        }
        _ if c.held > 0 => Some(note(
            "held",
            "op-held",
            say::held(c.held, 0).unwrap_or_default(),
            view! { <p>"They are more than you allow at once. Other changes went through."</p><div class="actions">{button_link(format!("/apps/{slug}/review"), "button--s", "Look at the removals")}</div> },
        )),
        _ if c.failures > 0 => Some(note(
            "failed",
            "op-failed",
            format!("{} failed", format::people(c.failures)),
            view! {
                <p>"They do not keep anybody else waiting."</p>
                <div class="actions">{button_link(format!("/apps/{slug}/failures"), "button--s", "See the cause and what helps")}</div>
            },
        )),
        _ => None,
    };
    let edit = |path: &str, shape: &'static str, text: &'static str| {
        deed(view! { <a class="button button--s" href=at(path)>{icon(shape)}{text}</a> }.into_any())
    };
    let token = if reauthorize {
        words("failed", "st-stopped", "Refused")
    } else {
        view! {
            {words("created", "st-on", "Accepted")}
            {c.token_accepted_at.map(|at| view! { " " <span class="soft">"at " {moment(at)} ". Stored encrypted, never shown again."</span> })}
        }
        .into_any()
    };
    let entered = c.token_entered_by.clone().map(|by| {
        fact(
            "Entered by",
            view! { {by} {c.token_entered_at.map(|at| view! { " on " {time_day(at)} })} },
        )
    });
    let authorization = facts(
        [
            Some(fact("Access token", token)),
            Some(fact(
                "Endpoint",
                view! { <code>{c.endpoint.clone()}</code> },
            )),
            entered,
            Some(fact(
                "Pace",
                format!(
                    "Up to {} requests a minute, {} at a time",
                    format::number(c.requests_per_minute),
                    c.concurrency
                ),
            )),
        ]
        .into_iter()
        .flatten()
        .collect(),
    );
    let mapped = c
        .mapping
        .iter()
        .filter(|row| !row.source.is_empty())
        .count();
    let groups = c
        .groups
        .iter()
        .map(|group| {
            let members = match group.members {
                Members::Direct => "Direct members",
                Members::Nested => "Direct and nested members",
            };
            let people = match group.members {
                Members::Direct => group.direct,
                Members::Nested => group.nested,
            };
            let people = people.map(|n| format!(", {}", format::people(n))).unwrap_or_default();
            fact(group.name.clone(), view! { {format!("{members}{people} ")}<span class="muted">{group.email.clone()}</span> })
        })
        .collect::<Vec<_>>();
    let everyone = groups
        .is_empty()
        .then(|| fact("Groups", "None: everybody for whom the app is on"));
    let in_scope = fact(
        "In scope",
        view! { <a href=list_of(slug, Place::InScope, Compared::Saved, None)><b>{format::people(c.in_scope)}</b></a> {format!(" of {}. ", format::number(c.everybody))} <a href=list_of(slug, Place::LeftOut, Compared::Saved, None)>"Who is left out, and why"</a> },
    );
    let policies = c.policies.iter().map(policy_fact).collect::<Vec<_>>();
    let waiting = (c.queue > 0).then(|| {
        fact(
            "Waiting now",
            view! {
                <a href=format!("/apps/{slug}/queue")>{format!("{} in the queue", format::people(c.queue))}</a>
                {c.next_due.map(|at| view! { ", next at " {moment(at)} })}
            },
        )
    });
    let unsaved = c
        .edited
        .iter()
        .map(|step| {
            let step = *step;
            note(
                "accent",
                "edit",
                format!("{} has an edit that is not saved", super::wizard::name(step)),
                view! {
                    <div class="actions">
                        <a class="button button--s" href=format!("{}/review", at(step.path()))>{if may_change() { "Review it" } else { "Look at it" }}</a>
                        {super::wizard::DiscardEdit { slug: slug.to_owned(), step }.button("Discard it")}
                    </div>
                },
            )
        })
        .collect::<Vec<_>>();
    let unsaved =
        (!unsaved.is_empty()).then(|| view! { <div class="stack section-s">{unsaved}</div> });
    let usage = usage.map(|usage| {
        sheet(
            "usage",
            "Usage",
            "The last 30 days. Each figure leads to its events.",
            Some(button_link(
                format!("/apps/{slug}/usage"),
                "button--s",
                "Day by day",
            )),
            super::usage::totals(usage),
        )
    });
    let turn_off = (may_change() && !off).then(|| {
        view! {
            <section class="sheet sheet--last" aria-labelledby="off">
                <div class="sheet__margin"><h2 id="off">"Turn off"</h2></div>
                <div class="sheet__body">
                    <p class="soft measure">
                        {format!("Stops between two requests and keeps the whole configuration. Accounts in {app} stay as they are. Waiting steps keep their dates.")}
                    </p>
                    <div class="actions">{button_link(at("turn-off"), "", "Turn off autoprovisioning")}</div>
                </div>
            </section>
        }
    });
    let delete = may_change().then(|| {
        let kept = format!(
            "Removes the token, mapping, scope, deprovisioning, links and timers. All {} stay in {app} and people can still use them. The audit log is kept.",
            format::counted(c.accounts, "account", "accounts"),
        );
        view! {
            <section class="sheet" aria-labelledby="delete">
                <div class="sheet__margin"><h2 id="delete">"Delete configuration"</h2></div>
                <div class="sheet__body">
                    <p class="soft measure">{kept}</p>
                    <div class="actions">{button_link(at("delete"), "button--danger", "Delete configuration")}</div>
                </div>
            </section>
        }
    });
    view! {
        {app_page(head, "autoprovisioning", actions, Some(facts_strip))}
        {warning}
        {unsaved}
        {progress}
        {sheet("auth", "App authorization", format!("{app} accepts a token of an account that may manage people."), edit("authorize", "key", "Reauthorize"), authorization)}
        {sheet(
            "attributes",
            "Attribute mapping",
            format!("{} of {} attributes are mapped, all mandatory ones among them.", mapped, c.mapping.len()),
            edit("attributes", "edit", "Edit"),
            mapping_table(slug, &app, &c.mapping),
        )}
        {sheet(
            "scope",
            "Provisioning scope",
            "A person needs both: the app turned on for them, and one of these groups.",
            edit("scope", "edit", "Edit"),
            view! { <dl class="facts">{groups}{everyone}{in_scope}</dl> },
        )}
        {sheet(
            "deprovisioning",
            "Deprovisioning",
            "What happens to an account when its reason ends.",
            edit("deprovisioning", "edit", "Edit"),
            view! { <dl class="facts">{policies}{waiting}</dl> },
        )}
        {safety(slug)}
        {usage}
        {turn_off}
        {delete}
    }
    .into_any()
}

/// What guards this app, and how it came to be as it is.
fn safety(slug: &str) -> AnyView {
    let links = view! {
        <ul class="bullets">
            <li><a href=format!("/settings/thresholds/{slug}")>"Thresholds"</a>": from how many removals on they wait for your word"</li>
            <li><a href=format!("/settings/protected/{slug}")>"Protected people"</a>": whose account is never suspended or deleted"</li>
            <li><a href=format!("/apps/{slug}/history")>"History"</a>": every change of this configuration, to compare and to restore"</li>
        </ul>
    };
    sheet("safety", "Safety and history", "", None, links)
}

fn policy_fact(policy: &PolicyView) -> AnyView {
    let label = match policy.trigger {
        Trigger::AppTurnedOff => "App turned off for the person",
        Trigger::Suspended => "Suspended in Google",
        Trigger::Deleted => "Deleted from Google",
    };
    let suspend = (!policy.suspend.is_empty())
        .then(|| view! { {op(OperationKind::Suspend)} " " {when(&policy.suspend)} });
    let delete = (!policy.delete.is_empty())
        .then(|| view! { {op(OperationKind::Delete)} " " {when(&policy.delete)} });
    let value = match (suspend, delete) {
        (Some(suspend), Some(delete)) => view! { {suspend} ", then " {delete} }.into_any(),
        (Some(suspend), None) => view! { {suspend} ", never delete" }.into_any(),
        (None, Some(delete)) => view! { {delete} ", without suspending before" }.into_any(),
        (None, None) => "Nothing".into_any(),
    };
    fact(label, value)
}

fn mapping_table(slug: &str, app: &str, mapping: &[MappingView]) -> AnyView {
    let rows = mapping
        .iter()
        .filter(|row| !row.source.is_empty())
        .map(|row| {
            let missing = match (row.source.as_str(), row.missing, &row.default) {
                ("constant", ..) => "–".to_owned(),
                (_, Missing::Keep | Missing::Clear, _) if row.mandatory => "Left out".to_owned(),
                (_, Missing::Keep, _) => "Keep".to_owned(),
                (_, Missing::Clear, _) => "Clear".to_owned(),
                (_, Missing::Default, default) => {
                    format!("“{}”", default.clone().unwrap_or_default())
                }
            };
            let covered = row.covered.map(|(have, all)| {
                let lack = (have < all).then(|| {
                    let href = list_of_lacking(slug, &row.attribute, false);
                    let spoken = format!(" have no {}", row.label.to_lowercase());
                    view! { ", " <a href=href>{format!("{} without", format::number(all - have))}<span class="visually-hidden">{spoken}</span></a> }
                });
                view! { {format!("{} of {}", format::number(have), format::number(all))} {lack} }
            });
            let star = row.mandatory.then(must);
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row">{row.label.clone()}{star}</th>
                    <td role="cell" data-label="Comes from">{row.source_words.clone()}</td>
                    <td role="cell" data-label="If missing">{missing}</td>
                    <td role="cell" data-label="Covered">{covered}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks dense">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">{format!("{app} attribute")}</th>
                    <th role="columnheader" scope="col">"Comes from"</th>
                    <th role="columnheader" scope="col">"If missing"</th>
                    <th role="columnheader" scope="col">"Covered in scope"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

#[component]
pub fn TurnOffPage() -> impl IntoView {
    loaded(
        load(param("slug"), |slug| LoadAutoprovisioning { slug }),
        turn_off,
    )
}

fn trail(page: &AutoprovisioningPage) -> (Vec<(String, String)>, String) {
    let back = format!("/apps/{}/autoprovisioning", page.head.slug);
    (
        vec![
            (format!("/apps/{}", page.head.slug), page.head.name.clone()),
            (back.clone(), "Autoprovisioning".to_owned()),
        ],
        back,
    )
}

fn turn_off(page: AutoprovisioningPage) -> AnyView {
    let (trail, back) = trail(&page);
    let app = page.head.name.clone();
    let queue = page.configured.as_ref().map_or(0, |c| c.queue);
    let accounts = page.configured.as_ref().map_or(0, |c| c.accounts);
    confirmation(
        trail,
        format!("Turn off autoprovisioning of {app}?"),
        vec![
            "A run that is under way stops between two requests.".to_owned(),
            format!(
                "All {} stay as they are, and people can still use them.",
                format::counted(accounts, "account", "accounts")
            ),
            "Token, mapping, scope and deprovisioning are kept.".to_owned(),
            format!(
                "{} in the queue keep their dates. What is overdue when you turn it on again waits for your word.",
                format::people(queue)
            ),
        ],
        deed_or_why(plain_button(
            "/api/turn_off",
            &page.head.slug,
            "button--primary",
            None,
            "Turn off",
        )),
        back,
    )
}

#[component]
pub fn DeletePage() -> impl IntoView {
    loaded(
        load(param("slug"), |slug| LoadAutoprovisioning { slug }),
        delete,
    )
}

fn delete(page: AutoprovisioningPage) -> AnyView {
    let (trail, back) = trail(&page);
    let app = page.head.name.clone();
    let accounts = page.configured.as_ref().map_or(0, |c| c.accounts);
    let slug = page.head.slug.clone();
    let deed = view! {
        <PostForm action="/api/delete_configuration" class="inline" confirmed=true>
            {hidden("slug", slug)}
            <button class="button button--danger" type="submit">"Delete configuration"</button>
        </PostForm>
    };
    confirmation(
        trail,
        format!("Delete the configuration of {app}?"),
        vec![
            "Autoprovisioning is turned off first.".to_owned(),
            "The access token, mapping, scope, deprovisioning, links and timers are removed. This can’t be undone.".to_owned(),
            format!("All {} stay in {app}, and people can still use them.", format::counted(accounts, "account", "accounts")),
            "Sign-in and user access are kept, and so is the audit log.".to_owned(),
        ],
        deed_or_why(deed.into_any()),
        back,
    )
}
