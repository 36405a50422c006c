//! What the console needs from the server. The server implements these traits and provides
//! [`Services`], [`RequestContext`] and `Option<Actor>` through Leptos's context.

use crate::api::{
    ApiError, accounts::*, administrators::*, apps::*, audit::*, autoprovisioning::*, concerned::*,
    demo::*, directory::*, edits::*, failures::*, home::*, on_demand::*, queue::*, runs::*,
    setup::*, shell::*, terms::Role, usage::*, wizard::*,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use uuid::Uuid;

mod access;
mod assured;
mod settings;

pub use access::{Account, Enroller, SignIn, SignInStep};
pub use assured::{Assured, FRESH_FOR, Proof};
pub use settings::{ConfigurationHistory, ConsoleSettings, Notifications, SafetySettings};

pub type Answer<T> = Result<T, ApiError>;

/// Who is signed in. Every method that changes something takes one, for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub id: Uuid,
    pub email: String,
    pub role: Role,
}

/// Something typed that must not be seen again.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// How far somebody has come through the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The password was right; the second factor is still to come.
    SecondFactor,
    /// Has to set up a second factor before anything else.
    Enrolment,
    Inside,
}

/// Whom the request's session belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub administrator: Uuid,
    pub stage: Stage,
}

/// The request's session, behind whatever the server keeps sessions in. Each step on has a fresh
/// session id, so that one known before is worthless.
#[async_trait]
pub trait SessionAccess: Send + Sync {
    async fn start(&self, actor: &Actor, stage: Stage) -> Answer<()>;
    /// Whoever the session belongs to has just proved who they are, and is inside.
    async fn confirm(&self) -> Answer<()>;
    async fn end(&self) -> Answer<()>;
    /// What names this session in a list; `None` before there is one.
    fn handle(&self) -> Option<String>;
}

#[derive(Clone)]
pub struct RequestContext {
    pub session: Arc<dyn SessionAccess>,
    pub visitor: Option<Visitor>,
    /// Where the request comes from, for the delay on failed sign-ins and the audit log.
    pub address: Option<IpAddr>,
}

#[derive(Clone)]
pub struct Services {
    pub setup: Arc<dyn Setup>,
    pub sign_in: Arc<dyn SignIn>,
    pub account: Arc<dyn Account>,
    pub shell: Arc<dyn Shell>,
    pub home: Arc<dyn HomePage>,
    pub directory: Arc<dyn Directory>,
    pub apps: Arc<dyn Apps>,
    pub wizard: Arc<dyn Wizard>,
    pub autoprovisioning: Arc<dyn Autoprovisioning>,
    pub runs: Arc<dyn Runs>,
    pub failures: Arc<dyn Failures>,
    pub accounts: Arc<dyn Accounts>,
    pub removals: Arc<dyn Removals>,
    pub audit: Arc<dyn Audit>,
    pub administrators: Arc<dyn Administrators>,
    pub settings: Arc<dyn ConsoleSettings>,
    pub safety: Arc<dyn SafetySettings>,
    pub history: Arc<dyn ConfigurationHistory>,
    pub notifications: Arc<dyn Notifications>,
    /// Only in demo mode.
    pub demo: Option<Arc<dyn Demo>>,
}

#[async_trait]
pub trait Setup: Send + Sync {
    /// Looks at a one-time link without using it up.
    async fn link(&self, token: &Secret) -> Answer<OneTimeLink>;
    /// Uses up the link: creates the first administrator, sets a first or new password, or (demo)
    /// signs in. Starts the session.
    async fn redeem(
        &self,
        request: &RequestContext,
        token: Secret,
        form: RedeemForm,
    ) -> Answer<SignInStep>;
}

#[async_trait]
pub trait Shell: Send + Sync {
    async fn frame(&self, actor: &Actor) -> Answer<Frame>;
    /// Names of the time zones that a reader can choose.
    fn zones(&self) -> Vec<String>;
}

#[async_trait]
pub trait HomePage: Send + Sync {
    async fn home(&self, actor: &Actor) -> Answer<Home>;
}

#[async_trait]
pub trait Directory: Send + Sync {
    async fn connection(&self) -> Answer<Connection>;
    /// Saves, then tests every scope. A refused scope is a fact on the page, not an error; what
    /// can't be saved (not a key, no administrator) is an error with fields `key`, `admin_email`,
    /// `endpoint`. `key: None` keeps the stored one unless the origin changed.
    async fn save_connection(&self, actor: &Assured, form: ConnectionForm) -> Answer<()>;
    async fn test_connection(&self, actor: &Actor) -> Answer<()>;
    /// Another customer or far fewer people were seen: the administrator confirms exactly that.
    /// `Conflict` when something else waits by now.
    async fn confirm_directory(&self, actor: &Assured, confirmed: Confirmed) -> Answer<()>;
    /// Starts an import; `ImportRunning` when one is under way.
    async fn read_now(&self, actor: &Actor) -> Answer<()>;
    async fn people(&self, query: PeopleQuery) -> Answer<People>;
    async fn person(&self, actor: &Actor, id: &str) -> Answer<Person>;
    async fn groups(&self, query: GroupsQuery) -> Answer<Groups>;
    async fn group(&self, id: &str, page: u32) -> Answer<GroupPage>;
    async fn org_units(&self) -> Answer<OrgUnits>;
    /// For comboboxes: at most 20, best matches first. `app` tells which are already chosen and
    /// which would provision nobody.
    async fn find_groups(&self, letters: &str) -> Answer<Vec<GroupOption>>;
    async fn find_people(&self, letters: &str) -> Answer<Vec<crate::api::terms::PersonRef>>;
}

#[async_trait]
pub trait Apps: Send + Sync {
    async fn catalog(&self) -> Answer<Vec<CatalogItem>>;
    /// Returns the new app's slug.
    async fn add(&self, actor: &Actor, form: AddAppForm) -> Answer<String>;
    async fn head(&self, slug: &str) -> Answer<crate::api::terms::AppHead>;
    async fn overview(&self, slug: &str) -> Answer<AppOverview>;
    async fn sign_in(&self, slug: &str) -> Answer<AppSignIn>;
    /// Field `metadata`.
    async fn save_sign_in(&self, actor: &Actor, slug: &str, form: SignInForm) -> Answer<()>;
    /// The tree as saved, or as in the draft when there is one.
    async fn access(&self, slug: &str) -> Answer<Access>;
    /// Keeps the change as a draft, so that it can be reviewed before it is saved.
    async fn draft_access(&self, actor: &Actor, slug: &str, form: AccessForm) -> Answer<()>;
    async fn access_effect(&self, slug: &str) -> Answer<AccessEffect>;
    async fn save_access(&self, actor: &Actor, slug: &str) -> Answer<()>;
    async fn discard_access(&self, actor: &Actor, slug: &str) -> Answer<()>;
    /// People by where they stand, with the rule that decided.
    async fn concerned(&self, slug: &str, query: ConcernedQuery) -> Answer<Concerned>;
    /// People in scope without a value; `NotFound` when no row maps the attribute.
    async fn lacking(&self, slug: &str, query: LackingQuery) -> Answer<Lacking>;
}

/// Each section is kept in a draft while the wizard is walked. The same sections are edited on
/// their own later: then `Mode::Edit` checks and keeps them until they were reviewed.
#[async_trait]
pub trait Wizard: Send + Sync {
    async fn progress(&self, slug: &str) -> Answer<Progress>;
    async fn authorize(&self, slug: &str) -> Answer<AuthorizeStep>;
    /// Checks the token against the app at once (fields `endpoint`, `token`) and keeps it
    /// encrypted. `token: None` keeps the stored one unless the origin changed. `Mode::Live`
    /// is "Reauthorize": a stopped app resumes.
    async fn save_authorize(
        &self,
        actor: &Assured,
        slug: &str,
        form: AuthorizeForm,
        mode: Mode,
    ) -> Answer<()>;
    async fn attributes(&self, slug: &str, preview: Option<String>) -> Answer<AttributesStep>;
    /// Fields `rows[N][source]`, `rows[N][constant]`, `rows[N][expression]`, `rows[N][default]`.
    /// A draft is kept even when it can't be finished yet.
    async fn save_attributes(
        &self,
        actor: &Actor,
        slug: &str,
        rows: Vec<MappingInput>,
        mode: Mode,
    ) -> Answer<()>;
    async fn scope(&self, slug: &str) -> Answer<ScopeStep>;
    async fn scope_effect(&self, slug: &str) -> Answer<ScopeEffect>;
    /// Fields `find`, `everyone`, `groups[N]`. `Mode::Keep` keeps an edit without finishing it.
    async fn save_scope(
        &self,
        actor: &Actor,
        slug: &str,
        form: ScopeForm,
        mode: Mode,
    ) -> Answer<()>;
    async fn deprovisioning(&self, slug: &str) -> Answer<DeprovisioningStep>;
    /// Fields `app_turned_off`, `suspended`, `deleted`. In the wizard this also starts planning
    /// the first run.
    async fn save_deprovisioning(
        &self,
        actor: &Assured,
        slug: &str,
        form: DeprovisioningForm,
        mode: Mode,
    ) -> Answer<()>;
    async fn review(&self, slug: &str) -> Answer<ReviewStep>;
    async fn plan_again(&self, actor: &Actor, slug: &str) -> Answer<()>;
    /// Runs exactly the reviewed plan; returns the run's number.
    async fn turn_on(&self, actor: &Assured, slug: &str, plan: i64) -> Answer<i64>;
    async fn discard(&self, actor: &Actor, slug: &str) -> Answer<()>;
    /// What saving the edit of a section would do; `NotConfigured` before there is anything to edit.
    async fn edit_review(&self, slug: &str, step: Step) -> Answer<EditReview>;
    /// Saves exactly the edit that was reviewed; `Conflict` when it is another one by now.
    async fn save_edit(&self, actor: &Assured, slug: &str, step: Step, version: &str)
    -> Answer<()>;
    async fn discard_edit(&self, actor: &Actor, slug: &str, step: Step) -> Answer<()>;
    /// The form's rows for one person; what is wrong with them is part of the answer.
    async fn look_at_mapping(
        &self,
        slug: &str,
        rows: Vec<MappingInput>,
        person: Option<String>,
    ) -> Answer<MappingLook>;
}

#[async_trait]
pub trait Autoprovisioning: Send + Sync {
    async fn overview(&self, slug: &str) -> Answer<AutoprovisioningPage>;
    /// On again after it was off; the first turning on goes through the wizard's plan.
    async fn turn_on(&self, actor: &Assured, slug: &str) -> Answer<()>;
    async fn turn_off(&self, actor: &Actor, slug: &str) -> Answer<()>;
    async fn delete_configuration(&self, actor: &Assured, slug: &str) -> Answer<()>;
    /// `zone` is the reader's: the days are theirs.
    async fn usage(&self, slug: &str, zone: &str) -> Answer<Usage>;
}

#[async_trait]
pub trait Runs: Send + Sync {
    async fn list(&self, slug: &str, page: u32) -> Answer<RunList>;
    async fn run(&self, slug: &str, number: i64) -> Answer<Run>;
    async fn operations(
        &self,
        slug: &str,
        number: i64,
        query: OperationsQuery,
    ) -> Answer<Operations>;
    async fn skipped(&self, slug: &str, number: i64, query: SkippedQuery) -> Answer<SkippedList>;
    /// Returns the run's number; `RunActive` when one is under way.
    async fn start(&self, actor: &Actor, slug: &str) -> Answer<i64>;
    /// The same, and the app's accounts are read back first.
    async fn read_back(&self, actor: &Actor, slug: &str) -> Answer<i64>;
    async fn preview(&self, actor: &Actor, slug: &str) -> Answer<i64>;
    /// Runs exactly the previewed plan.
    async fn approve(&self, actor: &Actor, slug: &str, number: i64) -> Answer<i64>;
    async fn stop(&self, actor: &Actor, slug: &str, number: i64) -> Answer<()>;
    async fn retry(&self, actor: &Actor, slug: &str, operation: &str) -> Answer<()>;
    /// Runs the app for one person, read afresh, and waits some seconds for the end. Returns the
    /// run's number; `RunActive` when another run is under way.
    async fn provision(&self, actor: &Actor, slug: &str, person: &str) -> Answer<i64>;
    /// The newest run for this person alone.
    async fn person_run(&self, slug: &str, person: &str) -> Answer<Option<PersonRun>>;
}

#[async_trait]
pub trait Failures: Send + Sync {
    async fn list(&self, actor: &Actor, slug: &str, query: FailuresQuery) -> Answer<FailureList>;
    /// One person's, or all that are not ignored; `Conflict` when there is nothing to try again.
    async fn retry(&self, actor: &Actor, slug: &str, person: Option<&str>) -> Answer<()>;
    /// `Conflict` when nothing of the person failed (any more).
    async fn ignore(&self, actor: &Actor, slug: &str, person: &str) -> Answer<()>;
}

#[async_trait]
pub trait Accounts: Send + Sync {
    async fn accounts(
        &self,
        actor: &Actor,
        slug: &str,
        query: AccountsQuery,
    ) -> Answer<AccountList>;
    async fn differences(&self, actor: &Actor, slug: &str, page: u32) -> Answer<Differences>;
    async fn unlinking(&self, actor: &Actor, slug: &str, person: &str) -> Answer<UnlinkQuestion>;
    /// Decides about a match that waits or an account that is gone; `Conflict` when there is
    /// nothing (any more) that it could be, `RunActive` when a run is about to write to the account.
    async fn decide(
        &self,
        actor: &Actor,
        slug: &str,
        person: &str,
        choice: AccountChoice,
        account: Option<String>,
    ) -> Answer<()>;
}

#[async_trait]
pub trait Removals: Send + Sync {
    /// `zone` is the reader's: the day of the filter and those of the forecast are theirs.
    async fn queue(
        &self,
        actor: &Actor,
        slug: &str,
        query: QueueQuery,
        zone: &str,
    ) -> Answer<Queue>;
    /// Steps that do not wait (any more) are not among those it is about.
    async fn question(
        &self,
        actor: &Actor,
        slug: &str,
        choice: StepChoice,
        chosen: Chosen,
        zone: &str,
    ) -> Answer<Question>;
    /// Field `steps`. `Conflict` when all of a filter are meant and others wait than in this
    /// version, or when nobody waits of those who were ticked.
    async fn decide_steps(
        &self,
        actor: &Actor,
        slug: &str,
        decision: StepDecision,
        chosen: Chosen,
        version: &str,
        zone: &str,
    ) -> Answer<DecidedSteps>;
    async fn review(&self, actor: &Actor, slug: &str, page: u32) -> Answer<Review>;
    /// Field `chosen`. `Conflict` when all are meant and others wait than in this version, or when
    /// nobody waits of those who were chosen.
    async fn decide_held(
        &self,
        actor: &Actor,
        slug: &str,
        decision: HeldDecision,
        chosen: &[HeldKey],
        version: &str,
    ) -> Answer<()>;
}

#[async_trait]
pub trait Audit: Send + Sync {
    /// `zone` is the reader's: a day of the filters is theirs.
    async fn events(&self, actor: &Actor, query: AuditQuery, zone: &str) -> Answer<AuditPage>;
    async fn event(&self, id: &str) -> Answer<EventDetail>;
    /// Keeps filters for the actor alone. Fields `name`, `query`.
    async fn save_filter(&self, actor: &Actor, name: &str, query: &str) -> Answer<()>;
    async fn forget_filter(&self, actor: &Actor, id: i64) -> Answer<()>;
}

/// Nobody changes themselves here, and one super administrator who can sign in always stays.
#[async_trait]
pub trait Administrators: Send + Sync {
    async fn list(&self, actor: &Actor) -> Answer<Vec<Administrator>>;
    async fn one(&self, actor: &Actor, id: Uuid) -> Answer<AdministratorPage>;
    /// Field `email`. Returns who it is; the link is shown to the actor afterwards.
    async fn invite(&self, actor: &Assured, email: String, role: Role) -> Answer<Uuid>;
    async fn change(&self, actor: &Assured, id: Uuid, change: AdministratorChange) -> Answer<()>;
    /// A link for a new password; it is shown to the actor afterwards.
    async fn renew_link(&self, actor: &Assured, id: Uuid) -> Answer<()>;
    async fn remove(&self, actor: &Assured, id: Uuid) -> Answer<()>;
    /// One session by its handle, or all.
    async fn revoke(&self, actor: &Assured, id: Uuid, session: Option<String>) -> Answer<()>;
    async fn settings(&self) -> Answer<Settings>;
    async fn about(&self) -> Answer<About>;
}

#[async_trait]
pub trait Demo: Send + Sync {
    /// Key, token and addresses of the emulators, to fill in forms with.
    async fn credentials(&self) -> Answer<DemoCredentials>;
    async fn directory(&self, query: DemoQuery) -> Answer<DemoPage>;
    async fn change(&self, actor: &Actor, change: DemoChange) -> Answer<()>;
}
