//! Connecting Google: the key, the administrator, a test of each scope, and reading.

use crate::{
    api::{
        demo::DemoCredentials,
        directory::{
            Connection, ConnectionPage as Page, DirectoryQuestion, ImportFacts, ImportProgress,
            LoadConnection, Push, SavedConnection, ScopeCheck, ScopeResult,
        },
        terms::Outcome,
    },
    browser,
    components::{
        Field, PostForm, button_link, deed, deed_or_why, fact, facts, head, hidden, icon,
        keep_fresh, load, loaded, may_change, moment, note, plain_button, query, read_only, sheet,
        strip, strip_item, waiting, words,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn ConnectionPage() -> impl IntoView {
    let asked = query("demo");
    let data = load(move || asked().is_some(), |fill| LoadConnection { fill });
    keep_fresh(data, |page| page.connection.running.is_some());
    loaded(data, page)
}

fn page(page: Page) -> AnyView {
    let Page {
        connection,
        demo,
        no_app,
        credentials,
    } = page;
    let saved = connection.saved.clone();
    let granted = connection
        .scopes
        .iter()
        .all(|scope| scope.result == ScopeResult::Granted);
    let tested = connection
        .scopes
        .iter()
        .any(|scope| scope.result != ScopeResult::Untested);
    let lede = if saved.is_some() {
        "Rollcall only reads. It cannot change anything in Google."
    } else {
        "Rollcall reads people, groups and org units through Google’s Admin SDK with a service account. It only reads; it cannot change anything in Google."
    };
    let ready = saved.is_some() && granted && tested;
    let question = connection.question.clone().map(question);
    let running = connection.running.as_ref().map(progress);
    let begins = no_app && connection.last_complete.is_some() && running.is_none();
    let next = (may_change() && begins).then(|| {
        note(
            "accent",
            "st-waiting",
            "Next: an app",
            view! {
                <p>"The directory was read. Choose the app in which people get accounts."</p>
                <div class="actions">{button_link("/apps/add", "button--primary", "Add an app")}</div>
            },
        )
    });
    let last = connection
        .last_import
        .clone()
        .map(|import| import_facts(&import, connection.last_complete.as_ref()));
    let reading = saved.is_some().then(|| {
        let pushed = push_line(&connection.push);
        let never = connection.last_complete.is_none();
        let text = if never { "Read the directory now" } else { "Read again now" };
        let class = if ready && never { "button--primary" } else { "" };
        let button = (may_change() && connection.running.is_none() && ready)
            .then(|| view! { <div class="actions">{plain_button("/api/read_directory", "", class, None, text)}</div> });
        let blocked = (!ready).then(|| view! { <p class="hint">"Every scope must be granted before the directory can be read."</p> });
        sheet(
            "reading",
            "Reading",
            "An import is complete or it is nothing: when Google does not answer in full, the last complete one stays.",
            None,
            view! { {running}{last}{pushed}{button}{blocked} },
        )
    });
    let scopes = saved.as_ref().map(|saved| scopes_sheet(&connection, saved));
    let open = saved.is_none() || credentials.is_some();
    let primary = !ready || credentials.is_some();
    let form = connection_form(&connection, saved.clone(), demo, credentials, open, primary);
    view! {
        {head("Directory connection", lede, None)}
        {question}
        {next}
        {reading}
        {scopes}
        {form}
    }
    .into_any()
}

/// What waits for the administrator; the form confirms exactly what is on the page.
fn question(question: DirectoryQuestion) -> AnyView {
    let (heading, text, fields, action) = match question {
        DirectoryQuestion::OtherDirectory(change) => (
            "Another directory answered",
            format!(
                "Recorded: {} ({}). Now: {} ({}). Every app is stopped until you say that this is right. When the key or the administrator is wrong, enter the right one below and read again.",
                change.recorded_domain,
                change.recorded_customer,
                change.seen_domain,
                change.seen_customer,
            ),
            view! {
                {hidden("customer", change.seen_customer)}
                {hidden("domain", change.seen_domain.clone())}
            }
            .into_any(),
            format!("Use {} from now on", change.seen_domain),
        ),
        DirectoryQuestion::FarFewerPeople { before, now } => (
            "Most people vanished at once",
            format!(
                "Google listed {} people; {} were there at the last complete read. Nothing is planned until you say that this is right. Removals that follow are still held for review.",
                format::number(now),
                format::number(before),
            ),
            hidden("people", now.to_string()),
            format!("{} people are right", format::number(now)),
        ),
    };
    let confirm = view! {
        <PostForm action="/api/confirm_directory" class="inline" confirmed=true>
            {fields}
            <button class="button button--danger" type="submit">{action}</button>
        </PostForm>
    };
    note(
        "failed",
        "st-stopped",
        heading,
        view! { <p>{text}</p><div class="actions">{deed_or_why(confirm.into_any())}</div> },
    )
}

/// How changes get here between two scheduled readings.
fn push_line(push: &Push) -> AnyView {
    let line = match push.clone() {
        Push::Unreachable => "The directory is read by schedule. With ROLLCALL_PUBLIC_URL set to an https address, Google tells of changes at once.".into_any(),
        Push::Starting => "Google is being asked to tell of changes at once; until then the directory is read by schedule.".into_any(),
        Push::On { until, last } => view! {
            "Google tells of changes at once, until " {moment(until)} ", and is asked anew before. "
            {last.map(|at| view! { "The last change came at " {moment(at)} ". " })}
            "The directory is read by schedule besides."
        }
        .into_any(),
        Push::Refused { problem, next_try } => view! {
            "Google does not tell of changes at once; the directory is read by schedule. " {problem}
            {next_try.map(|at| view! { " Next try at " {moment(at)} "." })}
        }
        .into_any(),
    };
    view! { <p class="hint">{line}</p> }.into_any()
}

fn progress(progress: &ImportProgress) -> AnyView {
    view! {
        {waiting(format!("Reading the directory: {}", progress.stage.to_lowercase()))}
        {strip(vec![
            strip_item("People", format::number(progress.people), "so far"),
            strip_item("Groups", format::number(progress.groups), "so far"),
            strip_item("Pages", format::number(progress.pages), "answered by Google"),
            strip_item("Started", moment(progress.started_at), ()),
        ])}
    }
    .into_any()
}

fn import_facts(import: &ImportFacts, complete: Option<&ImportFacts>) -> AnyView {
    let failed = (import.outcome == Outcome::Failed).then(|| {
        let problem = import.problem.clone().unwrap_or_else(|| "Google did not answer in full.".to_owned());
        note(
            "failed",
            "op-failed",
            "The last read failed",
            view! { <p>{problem}</p><p>"At " {moment(import.started_at)} ". Nothing is planned from it."</p> },
        )
    });
    let facts = complete.map(|import| {
        let at = import.finished_at.unwrap_or(import.started_at);
        let took = import
            .finished_at
            .map(|end| format::duration((end - import.started_at).num_seconds()));
        strip(vec![
            strip_item(
                "Last complete read",
                moment(at),
                took.map(|took| format!("took {took}")),
            ),
            strip_item(
                "People",
                view! { <a href="/directory/people">{format::number(import.people)}</a> },
                format!("{} deleted ones known", format::number(import.deleted)),
            ),
            strip_item(
                "Groups",
                view! { <a href="/directory/groups">{format::number(import.groups)}</a> },
                (),
            ),
            strip_item(
                "Org units",
                view! { <a href="/directory/org-units">{format::number(import.org_units)}</a> },
                (),
            ),
        ])
    });
    view! { {failed}{facts} }.into_any()
}

fn scope_line(check: &ScopeCheck, all_granted: bool) -> AnyView {
    let (tone, shape, word) = match check.result {
        ScopeResult::Untested => ("neutral", "st-none", "Not tested"),
        ScopeResult::Granted => ("created", "st-on", "Granted"),
        ScopeResult::Missing => ("failed", "op-failed", "Missing"),
        ScopeResult::Failed => ("failed", "st-stopped", "Failed"),
    };
    let helps = (check.result != ScopeResult::Granted).then(|| check.sentence.clone());
    view! {
        <tr role="row">
            <th role="rowheader" scope="row"><b>{check.purpose.clone()}</b><br/><code class="muted">{check.scope.clone()}</code></th>
            <td role="cell" data-label="Result">{words(tone, shape, word)}</td>
            {(!all_granted).then(|| view! { <td role="cell" class="why" data-label="What helps">{helps}</td> })}
        </tr>
    }
    .into_any()
}

fn scopes_sheet(connection: &Connection, saved: &SavedConnection) -> AnyView {
    let all_granted = (connection.scopes.iter()).all(|one| one.result == ScopeResult::Granted);
    let rows = (connection.scopes.iter())
        .map(|one| scope_line(one, all_granted))
        .collect::<Vec<_>>();
    let at = connection
        .checked_at
        .map(|at| view! { <p class="hint">"Tested at " {moment(at)} "."</p> });
    let delegation = saved.client_id.clone().filter(|_| !all_granted).map(|id| {
        view! {
            <p class="soft measure">
                "Grant them in Google’s Admin console under Security, Access and data control, API controls, Domain-wide delegation, for the client id "
                <code>{id}</code>
                "."
            </p>
        }
    });
    sheet(
        "scopes",
        "Scopes",
        "Each one is tested by itself, reading one entry.",
        deed(plain_button(
            "/api/test_connection",
            "",
            "button--s",
            None,
            "Test again",
        )),
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row">
                        <th role="columnheader" scope="col">"Scope"</th>
                        <th role="columnheader" scope="col">"Result"</th>
                        {(!all_granted).then(|| view! { <th role="columnheader" scope="col">"What helps"</th> })}
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {delegation}
            {at}
        },
    )
}

/// A text area with a file chooser that fills it.
pub fn pasted(
    field: Field,
    id: &'static str,
    accept: &'static str,
    label: &'static str,
) -> AnyView {
    let chooser = format!("{id}-file");
    view! {
        {field.area()}
        <div class="field only-alive">
            <label for=chooser.clone()>{label}</label>
            <input
                class="input"
                id=chooser
                type="file"
                accept=accept
                on:change=move |event| browser::read_file(&event, id)
            />
        </div>
    }
    .into_any()
}

fn connection_form(
    connection: &Connection,
    saved: Option<SavedConnection>,
    demo: bool,
    credentials: Option<DemoCredentials>,
    open: bool,
    primary: bool,
) -> AnyView {
    let hint = (demo && credentials.is_none()).then(|| {
        note(
            "accent",
            "flask",
            "This is a demo",
            view! {
                <p>"An emulated Google directory with 250 invented people is running beside Rollcall."</p>
                <div class="actions"><a class="button button--s" href="/directory/connection?demo=1">"Fill in its key and addresses"</a></div>
            },
        )
    });
    let (key, email, endpoint) = match (&credentials, &saved) {
        (Some(demo), _) => (
            demo.key.clone(),
            demo.admin_email.clone(),
            demo.directory_endpoint.clone(),
        ),
        (None, Some(saved)) => (
            String::new(),
            saved.admin_email.clone(),
            saved.endpoint.clone(),
        ),
        (None, None) => (
            String::new(),
            String::new(),
            connection.default_endpoint.clone(),
        ),
    };
    let advanced = endpoint != connection.default_endpoint;
    let key_hint = if saved.is_some() {
        "Leave empty to keep the stored key. A new one replaces it and is stored encrypted."
    } else {
        "The JSON file that Google Cloud gives you for the service account. Stored encrypted, never shown again."
    };
    let key_field = Field::new("key", "Service-account key")
        .hint(key_hint)
        .value(key);
    let key_field = if saved.is_none() {
        key_field.required()
    } else {
        key_field
    };
    let now = saved.as_ref().map(|saved| {
        let by = saved.saved_by.clone().map(|by| format!(" by {by}"));
        facts(vec![
            fact("Service account", saved.client_email.clone()),
            fact("Acts as", saved.admin_email.clone()),
            fact("Customer", view! { <code>{saved.customer.clone()}</code>{saved.primary_domain.clone().map(|domain| format!(", {domain}"))} }),
            fact("Address", view! { <code>{saved.endpoint.clone()}</code> }),
            fact("Token from", view! { <code>{saved.token_uri.clone()}</code> }),
            fact("Entered", view! { {moment(saved.saved_at)}{by} }),
        ])
    });
    let button = if primary {
        "button button--primary"
    } else {
        "button"
    };
    let form = view! {
        <PostForm action="/api/save_connection" class="stack measure" confirmed=true>
            {pasted(key_field, "key", ".json,application/json", "Or choose the file")}
            {Field::new("admin_email", "Administrator’s e-mail")
                .kind("email")
                .hint("Google answers in this person’s name. A role that may read people, groups and org units is enough.")
                .value(email)
                .required()
                .input()}
            <details class="fold" open=advanced>
                <summary>"Advanced"</summary>
                {Field::new("endpoint", "Address of the Admin SDK")
                    .kind("url")
                    .hint("Another address stands in for Google: a proxy or an emulator. Changing it asks for the key again.")
                    .value(endpoint)
                    .input()}
            </details>
            <div class="actions"><button class=button type="submit">"Save and test"</button></div>
        </PostForm>
    };
    let body = if !may_change() {
        view! { {now}{read_only()} }.into_any()
    } else if saved.is_some() {
        view! {
            {now}
            <details class="fold" open=open><summary>"Change the connection"</summary><div class="stack">{hint}{form}</div></details>
        }
        .into_any()
    } else {
        view! { {hint}{form} }.into_any()
    };
    let steps = (may_change() && saved.is_none()).then(|| {
        view! {
            <ol class="bullets numbered">
                <li>"In Google Cloud, create a project, switch on the Admin SDK API and create a service account with a JSON key."</li>
                <li>"In Google’s Admin console, allow its client id domain-wide delegation for the read-only scopes."</li>
                <li>"Paste the key here and name an administrator. Each scope is tested at once."</li>
            </ol>
        }
    });
    sheet(
        "connection",
        "Connection",
        "A service account with domain-wide delegation, and the administrator in whose name it reads.",
        steps.map(IntoAny::into_any),
        body,
    )
}

/// How old what is on the page is.
pub fn read_at(at: Option<crate::api::terms::Time>) -> AnyView {
    match at {
        Some(at) => view! { <p class="hint with-icon">{icon("clock")}<span>"As read at " {moment(at)} "."</span></p> }.into_any(),
        None => view! { <p class="hint">"The directory was not read yet. "<a href="/directory/connection">"Open the connection"</a></p> }.into_any(),
    }
}
