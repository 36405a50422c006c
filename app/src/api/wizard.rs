//! Setting up autoprovisioning: five steps, each kept in a draft; later, each on its own.
#![allow(clippy::too_many_arguments, reason = "one for each control of a form")]

use super::{
    ApiError,
    apps::Effect,
    demo::DemoCredentials,
    runs::{OperationRow, SkipGroup},
    terms::{AppHead, Counts, OperationKind, PersonRef, Time, Trigger},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// What saving a step means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Keep what is there, finished or not: a group was added, or somebody leaves.
    Keep,
    /// The step is finished: everything about it is checked.
    Draft,
    /// Not the wizard: everything is checked, and kept until it was reviewed.
    Edit,
    /// Not the wizard: check and save at once.
    Live,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Authorize,
    Attributes,
    Scope,
    Deprovisioning,
    Review,
}

impl Step {
    pub const ALL: [Self; 5] = [
        Self::Authorize,
        Self::Attributes,
        Self::Scope,
        Self::Deprovisioning,
        Self::Review,
    ];

    /// The last part of its path.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Attributes => "attributes",
            Self::Scope => "scope",
            Self::Deprovisioning => "deprovisioning",
            Self::Review => "review",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub head: AppHead,
    /// Steps that are finished.
    pub done: Vec<Step>,
    /// `None`: nothing was drafted yet.
    pub saved_at: Option<Time>,
    /// Sections of a configured app whose edit is not saved.
    pub edited: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizeStep {
    pub head: AppHead,
    pub progress: Progress,
    pub endpoint: String,
    /// The catalogue knows it; entering another is "advanced".
    pub endpoint_known: bool,
    /// A token is stored. It is never shown again.
    pub token_stored: bool,
    pub checked_at: Option<Time>,
    /// The app is stopped because it refuses the stored one.
    pub refused_since: Option<Time>,
    pub entered_by: Option<String>,
    /// How to get the token, one step a line.
    pub instructions: Vec<String>,
    pub help_url: Option<String>,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug)]
pub struct AuthorizeForm {
    pub endpoint: Option<String>,
    pub token: Option<crate::services::Secret>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributesStep {
    pub head: AppHead,
    pub progress: Progress,
    pub rows: Vec<MappingView>,
    pub sources: Vec<SourceGroup>,
    /// Expressions can be used.
    pub expressions: bool,
    pub preview: Option<MappingPreview>,
    /// What to know about the app: "Asana does not keep phone numbers".
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingView {
    /// SCIM path.
    pub attribute: String,
    pub label: String,
    pub mandatory: bool,
    /// A directory path, `constant`, `expression`, or empty for "not sent".
    pub source: String,
    /// The same for people: "Organization (primary), title".
    pub source_words: String,
    /// Of a constant or an expression.
    pub value: Option<String>,
    pub missing: Missing,
    pub default: Option<String>,
    pub hint: Option<String>,
    /// People in scope who have a value, of all in scope.
    pub covered: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    Keep,
    #[default]
    Clear,
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceGroup {
    pub label: String,
    /// Directory path and label.
    pub options: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingInput {
    pub attribute: String,
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub value: Option<String>,
    #[serde(default)]
    pub missing: Missing,
    #[serde(default)]
    pub default: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingPreview {
    pub person: PersonRef,
    pub values: Vec<PreviewValue>,
    /// The SCIM body as it will be sent, indented.
    pub body: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewValue {
    pub label: String,
    pub value: Option<String>,
    /// Such as "default".
    pub note: Option<String>,
    /// This keeps the account from being written.
    pub wrong: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Members {
    Direct,
    Nested,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeStep {
    pub head: AppHead,
    pub progress: Progress,
    pub groups: Vec<ScopeGroup>,
    /// No groups, on purpose: everybody for whom the app is on.
    pub everyone: bool,
    /// Groups are saved, so taking all away needs `everyone`.
    pub had_groups: bool,
    pub access_people: u32,
    pub access_units: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeGroup {
    pub id: String,
    pub name: String,
    pub email: String,
    pub members: Members,
    pub direct: Option<u32>,
    pub nested: Option<u32>,
    /// Can't be found or read: planning stops for this app.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeEffect {
    pub in_scope: u32,
    pub effect: Effect,
}

#[cfg(feature = "ssr")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeForm {
    pub groups: Vec<ScopeGroupInput>,
    /// Meaning everybody needs a proof of who says so.
    pub everyone: Option<crate::services::Proof>,
    /// Id of a group.
    pub add: Option<String>,
    pub remove: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeGroupInput {
    pub id: String,
    pub members: Members,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeprovisioningStep {
    pub head: AppHead,
    pub progress: Progress,
    /// In order: `24h`, `1d`, `7d`, `21d`.
    pub windows: Vec<String>,
    /// One for each trigger, in the order of the page.
    pub policies: Vec<PolicyView>,
    /// What the app really does, a line each.
    pub suspending: Vec<String>,
    pub deleting: Vec<String>,
    /// When steps wait in the queue.
    pub waiting: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    pub trigger: Trigger,
    /// A window, or empty for never.
    pub suspend: String,
    pub delete: String,
}

/// A window's name, or `None` for never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyInput {
    pub suspend: Option<String>,
    pub delete: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeprovisioningForm {
    pub app_turned_off: PolicyInput,
    pub suspended: PolicyInput,
    pub deleted: PolicyInput,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewStep {
    pub head: AppHead,
    pub progress: Progress,
    pub plan: PlanState,
    /// Steps of the queue whose time has come.
    pub overdue: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum PlanState {
    /// A step before this one is missing, or nobody asked for a plan.
    None,
    Planning {
        stage: String,
    },
    Failed {
        problem: String,
    },
    Ready(Box<Plan>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The number of the previewed run.
    pub number: i64,
    pub planned_at: Time,
    pub directory_read_at: Time,
    pub everybody: u32,
    pub counts: Counts,
    /// Requests that carrying it out takes.
    pub requests: u32,
    pub groups: Vec<OperationGroup>,
    pub skipped: Vec<SkipGroup>,
    /// Accounts that exist only in the app, when it was listed.
    pub only_in_app: Option<u32>,
}

/// Operations of one kind, the first of them shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationGroup {
    pub kind: OperationKind,
    pub count: u32,
    pub rows: Vec<OperationRow>,
}

/// Where a step's buttons lead.
#[cfg(feature = "ssr")]
fn after(slug: &str, live: bool, step: Step, go: Option<&str>) -> String {
    let next = Step::ALL
        .into_iter()
        .find(|other| *other > step)
        .unwrap_or(Step::Review);
    match (live, go) {
        (_, Some("leave" | "cancel")) | (true, Some("save")) => {
            format!("/apps/{slug}/autoprovisioning")
        }
        (true, None | Some("review")) => {
            format!("/apps/{slug}/autoprovisioning/{}/review", step.path())
        }
        (false, None | Some("continue")) => format!("/apps/{slug}/setup/{}", next.path()),
        (false, _) => format!("/apps/{slug}/setup/{}", step.path()),
        (true, _) => format!("/apps/{slug}/autoprovisioning/{}", step.path()),
    }
}

#[cfg(feature = "ssr")]
fn mode(live: bool, go: Option<&str>) -> Mode {
    match (go, live) {
        (None | Some("continue" | "save" | "review"), false) => Mode::Draft,
        (None | Some("continue" | "review"), true) => Mode::Edit,
        (Some("save"), true) => Mode::Live,
        (Some(_), _) => Mode::Keep,
    }
}

#[server(endpoint = "wizard_progress")]
pub async fn load_wizard_progress(slug: String) -> Result<Progress, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.wizard.progress(&slug).await)
}

/// The first step, and what a demo fills in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizePage {
    pub step: AuthorizeStep,
    pub demo: bool,
    pub credentials: Option<DemoCredentials>,
}

#[server(endpoint = "authorize_step")]
pub async fn load_authorize_step(
    slug: String,
    #[server(default)] fill: bool,
) -> Result<AuthorizePage, ApiError> {
    let (_, services) = super::signed_in()?;
    let step = super::answer(services.wizard.authorize(&slug).await)?;
    let frame = super::shell::load_frame().await?;
    let credentials = super::demo::credentials_to_fill_in(&frame, fill).await?;
    Ok(AuthorizePage {
        step,
        demo: frame.demo,
        credentials,
    })
}

#[server(endpoint = "save_authorize")]
pub async fn save_authorize(
    slug: String,
    #[server(default)] endpoint: Option<String>,
    #[server(default)] token: Option<String>,
    #[server(default)] live: bool,
    #[server(default)] go: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    // A new token is tried and kept at once, whichever way the form was sent.
    let go = go.or_else(|| live.then(|| "save".to_owned()));
    let form = AuthorizeForm {
        endpoint: super::filled(endpoint),
        token: super::filled(token).map(crate::services::Secret::new),
    };
    let mode = mode(live, go.as_deref());
    super::answer(
        services
            .wizard
            .save_authorize(&actor, &slug, form, mode)
            .await,
    )?;
    super::redirect_to(&after(&slug, live, Step::Authorize, go.as_deref()));
    Ok(())
}

/// `preview` is a person's id, address or name.
#[server(endpoint = "attributes_step")]
pub async fn load_attributes_step(
    slug: String,
    preview: Option<String>,
) -> Result<AttributesStep, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(
        services
            .wizard
            .attributes(&slug, super::filled(preview))
            .await,
    )
}

/// `go` is the button: `continue`, `save`, `leave` or `preview`.
#[server(endpoint = "save_attributes")]
pub async fn save_attributes(
    slug: String,
    #[server(default)] rows: Vec<MappingInput>,
    #[server(default)] preview: Option<String>,
    #[server(default)] live: bool,
    #[server(default)] go: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    if live && go.as_deref() == Some("cancel") {
        super::answer(
            services
                .wizard
                .discard_edit(&actor, &slug, Step::Attributes)
                .await,
        )?;
        super::redirect_to(&after(&slug, live, Step::Attributes, Some("cancel")));
        return Ok(());
    }
    let mode = mode(live, go.as_deref());
    super::answer(
        services
            .wizard
            .save_attributes(&actor, &slug, rows, mode)
            .await,
    )?;
    let mut path = after(&slug, live, Step::Attributes, go.as_deref());
    if let (Some("preview"), Some(person)) = (go.as_deref(), super::filled(preview)) {
        path.push_str("?preview=");
        path.push_str(&crate::format::query_value(&person));
    }
    super::redirect_to(&path);
    Ok(())
}

/// The third step, and who enters and leaves by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopePage {
    pub step: ScopeStep,
    pub effect: Option<ScopeEffect>,
}

#[server(endpoint = "scope_step")]
pub async fn load_scope_step(slug: String) -> Result<ScopePage, ApiError> {
    let (_, services) = super::signed_in()?;
    let step = super::answer(services.wizard.scope(&slug).await)?;
    // A group that can't be read leaves the picture out; the form still works.
    let effect = services.wizard.scope_effect(&slug).await.ok();
    Ok(ScopePage { step, effect })
}

/// `go` is the button: `continue`, `save`, `leave`, `find` or `show`; `add` and `removed` name a
/// group by its id, `find` holds letters of its name.
#[server(endpoint = "save_scope")]
pub async fn save_scope(
    slug: String,
    #[server(default)] groups: Vec<ScopeGroupInput>,
    #[server(default)] everyone: bool,
    #[server(default)] add: Option<String>,
    #[server(default)] removed: Option<String>,
    #[server(default)] find: Option<String>,
    #[server(default)] live: bool,
    #[server(default)] go: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    if live && go.as_deref() == Some("cancel") {
        super::answer(
            services
                .wizard
                .discard_edit(&actor, &slug, Step::Scope)
                .await,
        )?;
        super::redirect_to(&after(&slug, live, Step::Scope, Some("cancel")));
        return Ok(());
    }
    let everyone = match everyone {
        true => Some(super::assured()?.0.proof()),
        false => None,
    };
    let form = ScopeForm {
        groups,
        everyone,
        add: super::filled(add),
        remove: super::filled(removed),
    };
    let go = if form.add.is_some() || form.remove.is_some() {
        Some("stay".to_owned())
    } else {
        go
    };
    let mode = mode(live, go.as_deref());
    super::answer(services.wizard.save_scope(&actor, &slug, form, mode).await)?;
    let mut path = after(&slug, live, Step::Scope, go.as_deref());
    if let (Some("find"), Some(letters)) = (go.as_deref(), super::filled(find)) {
        path.push_str("?find=");
        path.push_str(&crate::format::query_value(&letters));
    }
    super::redirect_to(&path);
    Ok(())
}

#[server(endpoint = "deprovisioning_step")]
pub async fn load_deprovisioning_step(slug: String) -> Result<DeprovisioningStep, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.wizard.deprovisioning(&slug).await)
}

#[server(endpoint = "save_deprovisioning")]
#[allow(
    clippy::too_many_arguments,
    reason = "one for each control of the form"
)]
pub async fn save_deprovisioning(
    slug: String,
    #[server(default)] app_turned_off: PolicyInput,
    #[server(default)] suspended: PolicyInput,
    #[server(default)] deleted: PolicyInput,
    #[server(default)] live: bool,
    #[server(default)] go: Option<String>,
) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    if live && go.as_deref() == Some("cancel") {
        super::answer(
            services
                .wizard
                .discard_edit(&actor, &slug, Step::Deprovisioning)
                .await,
        )?;
        super::redirect_to(&after(&slug, live, Step::Deprovisioning, Some("cancel")));
        return Ok(());
    }
    let tidy = |policy: PolicyInput| PolicyInput {
        suspend: super::filled(policy.suspend),
        delete: super::filled(policy.delete),
    };
    let form = DeprovisioningForm {
        app_turned_off: tidy(app_turned_off),
        suspended: tidy(suspended),
        deleted: tidy(deleted),
    };
    let mode = mode(live, go.as_deref());
    super::answer(
        services
            .wizard
            .save_deprovisioning(&actor, &slug, form, mode)
            .await,
    )?;
    super::redirect_to(&after(&slug, live, Step::Deprovisioning, go.as_deref()));
    Ok(())
}

#[server(endpoint = "review_step")]
pub async fn load_review_step(slug: String) -> Result<ReviewStep, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.wizard.review(&slug).await)
}

#[server(endpoint = "plan_again")]
pub async fn plan_again(slug: String, #[server(default)] live: bool) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.wizard.plan_again(&actor, &slug).await)?;
    super::redirect_to(&if live {
        format!("/apps/{slug}/autoprovisioning/turn-on")
    } else {
        format!("/apps/{slug}/setup/review")
    });
    Ok(())
}

#[server(endpoint = "turn_on_first")]
pub async fn turn_on_first(slug: String, plan: i64) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(services.wizard.turn_on(&actor, &slug, plan).await)?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}

#[server(endpoint = "discard_draft")]
pub async fn discard_draft(slug: String) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.wizard.discard(&actor, &slug).await)?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}
