//! The wizard (S3 to S7): each step is kept in a draft, and edited on its own later.

mod attributes;
mod authorize;
mod deprovisioning;
mod edit;
mod edit_effects;
mod preview;
mod review;
mod scope;

use app::api::edits::{EditReview, MappingLook};
use app::api::terms::AppHead;
use app::api::wizard::{
    AttributesStep, AuthorizeForm, AuthorizeStep, DeprovisioningForm, DeprovisioningStep,
    MappingInput, Mode, Progress, ReviewStep, ScopeEffect, ScopeForm, ScopeStep, Step,
};
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer, Assured, Wizard};
use async_trait::async_trait;
use provisioning::config::{AppConfig, Draft, validate_mapping, validate_policies, validate_scope};
use provisioning::event::EventName;
use sqlx::PgConnection;

use super::apps::{AppServices, commit};
use super::setup_draft::Setting;
use super::standing;
use crate::configuration::By;
use crate::store::credentials::{self, Credential};
use crate::store::{apps, events};

pub(super) use attributes::{label_of, mapping_views, source_in_words};
pub(super) use deprovisioning::{policy_views, sentences};

#[async_trait]
impl Wizard for AppServices {
    async fn progress(&self, slug: &str) -> Answer<Progress> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        Ok(opening(&mut db, &setting).await?.1)
    }

    async fn authorize(&self, slug: &str) -> Answer<AuthorizeStep> {
        self.authorize_step(slug).await
    }

    async fn save_authorize(
        &self,
        actor: &Assured,
        slug: &str,
        form: AuthorizeForm,
        mode: Mode,
    ) -> Answer<()> {
        self.keep_authorization(actor, slug, form, mode).await
    }

    async fn attributes(&self, slug: &str, preview: Option<String>) -> Answer<AttributesStep> {
        self.attributes_step(slug, preview.as_deref()).await
    }

    async fn save_attributes(
        &self,
        actor: &Actor,
        slug: &str,
        rows: Vec<MappingInput>,
        mode: Mode,
    ) -> Answer<()> {
        self.keep_attributes(actor, slug, rows, mode).await
    }

    async fn scope(&self, slug: &str) -> Answer<ScopeStep> {
        self.scope_step(slug).await
    }

    async fn scope_effect(&self, slug: &str) -> Answer<ScopeEffect> {
        self.effect_of_scope(slug).await
    }

    async fn save_scope(
        &self,
        actor: &Actor,
        slug: &str,
        form: ScopeForm,
        mode: Mode,
    ) -> Answer<()> {
        self.keep_scope(actor, slug, form, mode).await
    }

    async fn deprovisioning(&self, slug: &str) -> Answer<DeprovisioningStep> {
        self.deprovisioning_step(slug).await
    }

    async fn save_deprovisioning(
        &self,
        actor: &Assured,
        slug: &str,
        form: DeprovisioningForm,
        mode: Mode,
    ) -> Answer<()> {
        self.keep_deprovisioning(actor, slug, form, mode).await
    }

    async fn review(&self, slug: &str) -> Answer<ReviewStep> {
        self.review_step(slug).await
    }

    async fn plan_again(&self, actor: &Actor, slug: &str) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        require_sign_in(&setting)?;
        let missing = missing_step(&mut db, &setting).await?;
        drop(db);
        match missing {
            Some(step) => Err(step_missing(step)),
            None => self.start_planning(&actor.email, &setting.app).await,
        }
    }

    async fn turn_on(&self, actor: &Assured, slug: &str, plan: i64) -> Answer<i64> {
        self.turn_on_first(actor, slug, plan).await
    }

    async fn edit_review(&self, slug: &str, step: Step) -> Answer<EditReview> {
        self.review_of_edit(slug, step).await
    }

    async fn save_edit(
        &self,
        actor: &Assured,
        slug: &str,
        step: Step,
        version: &str,
    ) -> Answer<()> {
        self.save_reviewed(actor, slug, step, version).await
    }

    async fn discard_edit(&self, actor: &Actor, slug: &str, step: Step) -> Answer<()> {
        self.drop_edit(actor, slug, step).await
    }

    async fn look_at_mapping(
        &self,
        slug: &str,
        rows: Vec<MappingInput>,
        person: Option<String>,
    ) -> Answer<MappingLook> {
        self.mapping_look(slug, &rows, person.as_deref()).await
    }

    /// Before the app was configured, takes the set-up back to sign-in and user access.
    async fn discard(&self, actor: &Actor, slug: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        if setting.config.is_some() {
            apps::discard_draft(&mut *db, setting.app.id).await?;
            return commit(transaction).await;
        }
        let draft = Draft {
            sso: setting.draft.sso.clone(),
            access: setting.draft.access.clone(),
            ..Draft::default()
        };
        setting.keep(&mut *db, &draft, by).await?;
        let had_token = credentials::delete(&mut *db, Credential::AppToken(setting.app.id.0)).await;
        apps::forget_authorization(&mut *db, setting.app.id).await?;
        if had_token.map_err(credentials::CredentialError::from)? {
            let event = by
                .event(EventName::TokenChanged, &setting.app)
                .reason("Set-up discarded, token removed");
            events::record(db, &event).await?;
        }
        commit(transaction).await
    }
}

impl AppServices {
    /// Keeps one section in the draft. What equals the configuration is no edit of it.
    async fn keep_section(
        &self,
        db: &mut PgConnection,
        setting: &Setting,
        section: Section,
        by: By<'_>,
    ) -> Answer<()> {
        let mut draft = setting.draft.clone();
        match &setting.config {
            Some(config) if section.is_in(config) => section.take(&mut draft),
            _ => section.draft(&mut draft),
        }
        setting.keep(db, &draft, by).await
    }
}

/// A part of the configuration that is edited by itself.
#[derive(Debug, Clone)]
enum Section {
    Attributes(Vec<provisioning::config::MappingRow>),
    Scope(provisioning::config::Scope),
    Deprovisioning(provisioning::config::DeprovisioningPolicies),
}

impl Section {
    /// The section of this step as it is drafted.
    fn drafted(draft: &Draft, step: Step) -> Option<Self> {
        match step {
            Step::Attributes => draft.mapping.clone().map(Self::Attributes),
            Step::Scope => draft.scope.clone().map(Self::Scope),
            Step::Deprovisioning => draft.deprovisioning.map(Self::Deprovisioning),
            Step::Authorize | Step::Review => None,
        }
    }

    /// The section of this step as it counts.
    fn of(config: &AppConfig, step: Step) -> Option<Self> {
        match step {
            Step::Attributes => Some(Self::Attributes(config.mapping.clone())),
            Step::Scope => Some(Self::Scope(config.scope.clone())),
            Step::Deprovisioning => Some(Self::Deprovisioning(config.deprovisioning)),
            Step::Authorize | Step::Review => None,
        }
    }

    fn is_in(&self, config: &AppConfig) -> bool {
        let mut with = config.clone();
        self.put(&mut with);
        provisioning::config::diff(config, &with).is_empty()
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Attributes(_) => "Attributes",
            Self::Scope(_) => "Scope",
            Self::Deprovisioning(_) => "Deprovisioning",
        }
    }

    fn put(&self, config: &mut AppConfig) {
        match self.clone() {
            Self::Attributes(rows) => config.mapping = rows,
            Self::Scope(scope) => config.scope = scope,
            Self::Deprovisioning(policies) => config.deprovisioning = policies,
        }
    }

    fn draft(&self, draft: &mut Draft) {
        match self.clone() {
            Self::Attributes(rows) => draft.mapping = Some(rows),
            Self::Scope(scope) => draft.scope = Some(scope),
            Self::Deprovisioning(policies) => draft.deprovisioning = Some(policies),
        }
    }

    fn take(&self, draft: &mut Draft) {
        match self {
            Self::Attributes(_) => draft.mapping = None,
            Self::Scope(_) => draft.scope = None,
            Self::Deprovisioning(_) => draft.deprovisioning = None,
        }
    }
}

/// What every step's page begins with.
async fn opening(db: &mut PgConnection, setting: &Setting) -> Answer<(AppHead, Progress)> {
    let head = standing::head(&mut *db, &setting.app).await?;
    let progress = Progress {
        head: head.clone(),
        done: done(db, setting).await?,
        saved_at: setting.drafted_at.max(setting.app.authorized_at),
        edited: edited(setting),
    };
    Ok((head, progress))
}

/// Sections of a configured app whose edit is not saved.
pub(super) fn edited(setting: &Setting) -> Vec<Step> {
    let is_edit =
        |step: &Step| setting.config.is_some() && Section::drafted(&setting.draft, *step).is_some();
    Step::ALL.into_iter().filter(is_edit).collect()
}

/// The steps that are finished, in their order.
pub(super) async fn done(db: &mut PgConnection, setting: &Setting) -> Answer<Vec<Step>> {
    let (draft, configured) = (&setting.draft, setting.config.is_some());
    let stored = credentials::stored_at(db, Credential::AppToken(setting.app.id.0)).await;
    let authorized = stored
        .map_err(credentials::CredentialError::from)?
        .is_some()
        && (configured || setting.app.authorized_at.is_some());
    let valid = |step: Step| match step {
        Step::Authorize => authorized,
        Step::Attributes => {
            configured
                || draft
                    .mapping
                    .as_ref()
                    .is_some_and(|rows| validate_mapping(rows, &setting.entry).is_empty())
        }
        Step::Scope => {
            configured
                || draft
                    .scope
                    .as_ref()
                    .is_some_and(|scope| validate_scope(scope, None).is_empty())
        }
        Step::Deprovisioning => {
            configured
                || draft
                    .deprovisioning
                    .as_ref()
                    .is_some_and(|policies| validate_policies(policies, &setting.entry).is_empty())
        }
        Step::Review => configured,
    };
    Ok(Step::ALL.into_iter().filter(|step| valid(*step)).collect())
}

/// The first step that a plan still waits for.
async fn missing_step(db: &mut PgConnection, setting: &Setting) -> Answer<Option<Step>> {
    let done = done(db, setting).await?;
    Ok(Step::ALL
        .into_iter()
        .find(|step| *step != Step::Review && !done.contains(step)))
}

fn step_missing(step: Step) -> ApiError {
    ApiError::new(ErrorCode::StepMissing).with(match step {
        Step::Authorize => "Authorize",
        Step::Attributes => "Attributes",
        Step::Scope => "Scope",
        Step::Deprovisioning => "Deprovisioning",
        Step::Review => "Review and turn on",
    })
}

/// Sign-in comes before provisioning (S2.2).
fn require_sign_in(setting: &Setting) -> Answer<()> {
    match setting.sso() {
        Some(_) => Ok(()),
        None => Err(ApiError::new(ErrorCode::SignInMissing)),
    }
}
