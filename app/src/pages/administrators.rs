//! Who may sign in to this console, and what they may do.

use super::account::sessions;
use crate::{
    api::{
        administrators::{
            Administrator, AdministratorChange, AdministratorPage as One, LoadAdministrator,
            LoadAdministrators, Standing,
        },
        terms::Role,
    },
    components::{
        Field, Loading, PostForm, button_link, confirmation, crumbs, empty, error_state, fact,
        facts, head, hidden, load, load_unless, loaded, moment, note_plain, param, sheet,
        state_chip, time_day, title,
    },
    words,
};
use leptos::prelude::*;
use uuid::Uuid;

#[component]
pub fn AdministratorsPage() -> impl IntoView {
    loaded(load(|| (), |()| LoadAdministrators {}), administrators)
}

fn standing(one: &Administrator) -> AnyView {
    match one.standing {
        Standing::Active => state_chip("created", "st-on", "Active"),
        Standing::Invited => state_chip("suspended", "st-waiting", "Invited"),
        Standing::Disabled => state_chip("neutral", "st-off", "Disabled"),
    }
}

fn second_factor(one: &Administrator) -> &'static str {
    match (one.second_factor, one.role) {
        (true, _) => "Set up",
        (false, Role::SuperAdministrator) => "Asked for at the next sign-in",
        (false, Role::Auditor) => "None",
    }
}

fn last_sign_in(one: &Administrator) -> AnyView {
    match one.signed_in_at {
        Some(at) => moment(at),
        None => view! { <span class="muted">"Never"</span> }.into_any(),
    }
}

fn administrators(list: Vec<Administrator>) -> AnyView {
    let may_invite = list
        .iter()
        .any(|one| one.you && one.role == Role::SuperAdministrator);
    let invite = may_invite.then(|| {
        button_link(
            "/administrators/invite",
            "button--primary",
            "Invite an administrator",
        )
    });
    let rows = list
        .into_iter()
        .map(|one| {
            let you = one
                .you
                .then(|| view! { " " <span class="muted">"(you)"</span> });
            let href = match one.you {
                true => "/account".to_owned(),
                false => format!("/administrators/{}", one.id),
            };
            view! {
                <tr role="row">
                    <th role="rowheader" scope="row"><a href=href><bdi>{one.email.clone()}</bdi></a>{you}</th>
                    <td role="cell" data-label="Role">{words::role(one.role)}</td>
                    <td role="cell" data-label="Status">{standing(&one)}</td>
                    <td role="cell" data-label="Second factor">{second_factor(&one)}</td>
                    <td role="cell" data-label="Since">{time_day(one.created_at)}</td>
                    <td role="cell" data-label="Last sign-in">{last_sign_in(&one)}</td>
                </tr>
            }
            .into_any()
        })
        .collect::<Vec<_>>();
    view! {
        {head(
            "Administrators",
            "Who may sign in to this console. Super administrators change things; auditors only read.",
            invite,
        )}
        <table role="table" class="table stacks">
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"E-mail"</th>
                    <th role="columnheader" scope="col">"Role"</th>
                    <th role="columnheader" scope="col">"Status"</th>
                    <th role="columnheader" scope="col">"Second factor"</th>
                    <th role="columnheader" scope="col">"Since"</th>
                    <th role="columnheader" scope="col">"Last sign-in"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
    }
    .into_any()
}

fn trail() -> Vec<(String, String)> {
    vec![("/administrators".to_owned(), "Administrators".to_owned())]
}

#[component]
pub fn InvitePage() -> impl IntoView {
    loaded(load(|| (), |()| LoadAdministrators {}), |list| {
        let may = |one: &Administrator| one.you && one.role == Role::SuperAdministrator;
        if !list.iter().any(may) {
            let error = crate::api::ApiError::new(crate::api::ErrorCode::Forbidden);
            return error_state(&error);
        }
        let roles = vec![
            ("auditor".to_owned(), "Auditor: reads everything".to_owned()),
            (
                "super-administrator".to_owned(),
                "Super administrator: changes everything".to_owned(),
            ),
        ];
        view! {
            {title("Invite an administrator")}
            <div class="page-head">
                {crumbs(trail(), "Invite")}
                <h1>"Invite an administrator"</h1>
                <p class="lede">"You get a link, good once and for 24 hours, and send it to them. They choose their password, and a super administrator a second factor."</p>
            </div>
            <PostForm action="/api/invite_administrator" class="stack measure" confirmed=true>
                {Field::new("email", "Their e-mail").kind("email").required().input()}
                {Field::new("role", "Role").value("auditor").select(roles)}
                <div class="actions">
                    <a class="button" href="/administrators">"Back"</a>
                    <button class="button button--primary" type="submit">"Make the link"</button>
                </div>
            </PostForm>
        }
        .into_any()
    })
}

fn one() -> Loading<One> {
    load_unless(param("id"), |id| match id.parse::<Uuid>() {
        Ok(id) => Ok(LoadAdministrator { id }),
        Err(_) => Err(crate::api::ApiError::not_found().into()),
    })
}

#[component]
pub fn AdministratorPage() -> impl IntoView {
    loaded(one(), administrator)
}

fn change(
    id: Uuid,
    change: AdministratorChange,
    class: &'static str,
    text: &'static str,
) -> AnyView {
    let word = match change {
        AdministratorChange::MakeSuperAdministrator => "make-super-administrator",
        AdministratorChange::MakeAuditor => "make-auditor",
        AdministratorChange::Disable => "disable",
        AdministratorChange::Enable => "enable",
        AdministratorChange::ResetSecondFactor => "reset-second-factor",
    };
    view! {
        <PostForm action="/api/change_administrator" class="inline" confirmed=true>
            {hidden("id", id.to_string())}
            {hidden("change", word)}
            <button class=format!("button {class}") type="submit">{text}</button>
        </PostForm>
    }
    .into_any()
}

fn administrator(page: One) -> AnyView {
    let one = page.administrator;
    let facts = facts(vec![
        fact("Role", words::role(one.role)),
        fact("Status", standing(&one)),
        fact("Second factor", second_factor(&one)),
        fact("Since", time_day(one.created_at)),
        fact("Last sign-in", last_sign_in(&one)),
    ]);
    let may_change = page.may_change && !one.you;
    let deeds = may_change.then(|| deeds(&one, page.last));
    let sessions = (page.may_change && !page.sessions.is_empty() && !one.you)
        .then(|| session_list(one.id, &page.sessions));
    let own = one.you.then(|| {
        note_plain(
            "neutral",
            "person",
            "This is you",
            view! { <p>"Password, second factor and sessions are on " <a href="/account">"your account"</a> "; your role is for another super administrator to change."</p> },
        )
    });
    view! {
        {title(one.email.clone())}
        <div class="page-head">
            {crumbs(trail(), one.email.clone())}
            <h1><bdi>{one.email.clone()}</bdi></h1>
        </div>
        {own}
        {sheet("facts", "Administrator", "", None, facts)}
        {deeds}
        {sessions}
    }
    .into_any()
}

fn deeds(one: &Administrator, last: bool) -> AnyView {
    if last {
        return note_plain(
            "held",
            "lock",
            "The last super administrator who can sign in",
            view! { <p>"Role and access stay as they are until there is another one."</p> },
        );
    }
    if !crate::components::is_confirmed() {
        return sheet(
            "deeds",
            "Change",
            "Role, second factor and access.",
            None,
            crate::components::confirm_link(),
        );
    }
    let id = one.id;
    let role = match one.role {
        Role::SuperAdministrator => {
            change(id, AdministratorChange::MakeAuditor, "", "Make auditor")
        }
        Role::Auditor => change(
            id,
            AdministratorChange::MakeSuperAdministrator,
            "",
            "Make super administrator",
        ),
    };
    let link = (one.standing != Standing::Disabled).then(|| {
        let text = match one.standing {
            Standing::Invited => "Make a new invitation",
            _ => "Make a link for a new password",
        };
        view! {
            <PostForm action="/api/renew_administrator_link" class="inline" confirmed=true>
                {hidden("id", id.to_string())}
                <button class="button" type="submit">{text}</button>
            </PostForm>
        }
    });
    let reset = one.second_factor.then(|| {
        change(
            id,
            AdministratorChange::ResetSecondFactor,
            "",
            "Reset second factor",
        )
    });
    let door = match one.standing {
        Standing::Disabled => change(id, AdministratorChange::Enable, "", "Enable"),
        _ => change(
            id,
            AdministratorChange::Disable,
            "button--danger",
            "Disable",
        ),
    };
    let remove = button_link(
        format!("/administrators/{id}/remove"),
        "button--danger",
        "Remove…",
    );
    view! {
        {sheet(
            "deeds",
            "Change",
            "A new role, a reset second factor and disabling sign them out at once.",
            None,
            view! { <div class="actions">{role}{link}{reset}</div> },
        )}
        {sheet(
            "end",
            "End access",
            "Disabled, they can’t sign in until somebody enables them. Removed, they have to be invited again. The audit log keeps what they did.",
            None,
            view! { <div class="actions">{door}{remove}</div> },
        )}
    }
    .into_any()
}

fn session_list(id: Uuid, list: &[crate::api::account::SessionView]) -> AnyView {
    let all = view! {
        <PostForm action="/api/revoke_administrator_session" class="inline" confirmed=true>
            {hidden("id", id.to_string())}
            <button class="button" type="submit">"Sign out everywhere"</button>
        </PostForm>
    };
    sheet(
        "sessions",
        "Sessions",
        "Each browser that they are signed in with.",
        Some(all.into_any()),
        sessions(list, move |handle| {
            view! {
                <PostForm action="/api/revoke_administrator_session" class="inline" confirmed=true>
                    {hidden("id", id.to_string())}
                    {hidden("session", handle)}
                    <button class="button button--s" type="submit">"Sign out"</button>
                </PostForm>
            }
            .into_any()
        }),
    )
}

#[component]
pub fn RemovePage() -> impl IntoView {
    loaded(one(), |page| {
        let one = page.administrator;
        if page.last || one.you || !page.may_change {
            return empty(
                "lock",
                "This administrator can’t be removed: it is you, or the last super administrator who can sign in.",
                Some(button_link("/administrators", "button--primary", "Back")),
            );
        }
        let back = format!("/administrators/{}", one.id);
        let mut trail = trail();
        trail.push((back.clone(), one.email.clone()));
        let deed = view! {
            <PostForm action="/api/remove_administrator" class="inline" confirmed=true>
                {hidden("id", one.id.to_string())}
                <button class="button button--danger" type="submit">"Remove administrator"</button>
            </PostForm>
        };
        confirmation(
            trail,
            format!("Remove {}?", one.email),
            vec![
                "They are signed out at once and can’t sign in any more.".to_owned(),
                "Password, second factor and open links are deleted.".to_owned(),
                "What they did stays in the audit log, and apps stay as they configured them."
                    .to_owned(),
            ],
            deed.into_any(),
            back,
        )
    })
}
