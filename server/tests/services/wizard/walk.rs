//! Walks the wizard the way its pages do.

use crate::fixture::{Installation, installation, sandbox};
use app::api::apps::{
    AccessForm, AccessInput, AccessSetting, AddAppForm, Effect, SignInForm, SignInMethod,
};
use app::api::edits::EditReview;
use app::api::wizard::{
    AuthorizeForm, DeprovisioningForm, MappingInput, MappingView, Mode, PlanState, PolicyInput,
    ScopeForm, Step,
};
use app::api::{ApiError, FieldCode};
use app::services::{Apps as _, Secret, Wizard};
use server::sandbox::Sandbox;
use server::services::apps::AppServices;
use server::store::apps::{self, App};
use server::store::{events, runs};
use server::sync::run;
use sqlx::PgPool;

pub struct Walk {
    pub here: Installation,
    pub sandbox: Sandbox,
    pub base: String,
    pub services: AppServices,
}

/// A directory that was read, and an Asana that was added.
pub async fn walk(pool: &PgPool) -> Walk {
    let here = installation(pool);
    server::jobs::migrate(pool).await.unwrap();
    let (sandbox, base) = sandbox(&here.clock).await;
    here.connect(&sandbox, &base).await;
    here.read_directory().await;
    let services = AppServices::new(here.engine.clone(), here.queue.clone());
    let form = AddAppForm {
        catalog: "asana".to_owned(),
        name: None,
        endpoint: Some(Sandbox::scim_endpoint(&base)),
    };
    assert_eq!(services.add(&here.actor, form).await.unwrap(), "asana");
    Walk {
        here,
        sandbox,
        base,
        services,
    }
}

impl Walk {
    pub async fn app(&self) -> App {
        let mut db = self.here.engine.connection().await.unwrap();
        apps::by_slug(&mut db, "asana").await.unwrap().unwrap()
    }

    pub async fn sign_in(&self) {
        let form = SignInForm {
            method: SignInMethod::Google,
            metadata: None,
        };
        self.services
            .save_sign_in(&self.here.actor, "asana", form)
            .await
            .unwrap();
    }

    pub async fn authorize(&self, token: &str, mode: Mode) -> Result<(), ApiError> {
        let form = AuthorizeForm {
            endpoint: None,
            token: Some(Secret::new(token.to_owned())),
        };
        self.services
            .save_authorize(&self.here.actor, "asana", form, mode)
            .await
    }

    pub async fn turn_on_everywhere(&self) {
        if self.services.access("asana").await.unwrap().covered > 0 {
            return;
        }
        let form = AccessForm {
            units: vec![AccessInput {
                id: "/".to_owned(),
                setting: AccessSetting::On,
            }],
            ..AccessForm::default()
        };
        self.services
            .draft_access(&self.here.actor, "asana", form)
            .await
            .unwrap();
        self.services
            .save_access(&self.here.actor, "asana")
            .await
            .unwrap();
    }

    pub async fn rows(&self) -> Vec<MappingInput> {
        let step = self.services.attributes("asana", None).await.unwrap();
        step.rows.into_iter().map(as_input).collect()
    }

    pub async fn save_attributes(
        &self,
        rows: Vec<MappingInput>,
        mode: Mode,
    ) -> Result<(), ApiError> {
        self.services
            .save_attributes(&self.here.actor, "asana", rows, mode)
            .await
    }

    pub async fn save_scope(&self, form: ScopeForm, mode: Mode) -> Result<(), ApiError> {
        self.services
            .save_scope(&self.here.actor, "asana", form, mode)
            .await
    }

    pub async fn save_deprovisioning(
        &self,
        form: DeprovisioningForm,
        mode: Mode,
    ) -> Result<(), ApiError> {
        self.services
            .save_deprovisioning(&self.here.actor, "asana", form, mode)
            .await
    }

    /// Every step up to the review.
    pub async fn to_review(&self) {
        self.sign_in().await;
        self.turn_on_everywhere().await;
        self.authorize(&self.sandbox.asana_token(), Mode::Draft)
            .await
            .unwrap();
        self.save_attributes(self.rows().await, Mode::Draft)
            .await
            .unwrap();
        let everyone = ScopeForm {
            everyone: Some(self.here.actor.proof()),
            ..ScopeForm::default()
        };
        self.save_scope(everyone, Mode::Draft).await.unwrap();
        self.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
            .await
            .unwrap();
    }

    /// Does what a worker would do.
    pub async fn work(&self) {
        let mut db = self.here.engine.connection().await.unwrap();
        let waiting = runs::orphans(&mut db).await.unwrap();
        drop(db);
        for id in waiting {
            run::carry_out(&self.here.engine.counting_anew(), id)
                .await
                .unwrap();
        }
    }

    pub async fn plan(&self) -> PlanState {
        self.services.review("asana").await.unwrap().plan
    }

    pub async fn turned_on(&self) -> i64 {
        self.to_review().await;
        self.work().await;
        let PlanState::Ready(plan) = self.plan().await else {
            panic!("{:?}", self.plan().await)
        };
        Wizard::turn_on(&self.services, &self.here.actor, "asana", plan.number)
            .await
            .unwrap()
    }

    pub async fn review_of(&self, step: Step) -> EditReview {
        self.services.edit_review("asana", step).await.unwrap()
    }

    /// Saves what its review shows.
    pub async fn save_reviewed(&self, step: Step) -> Result<(), ApiError> {
        let seen = self.review_of(step).await.version;
        self.services
            .save_edit(&self.here.actor, "asana", step, &seen)
            .await
    }

    pub async fn events(&self, name: &str) -> i64 {
        let mut db = self.here.engine.connection().await.unwrap();
        let filter = events::EventFilter {
            event: Some(name.to_owned()),
            ..events::EventFilter::default()
        };
        let found = events::page(&mut db, &filter, events::Order::NewestFirst, None, 10_000)
            .await
            .unwrap();
        i64::try_from(found.len()).unwrap()
    }
}

pub fn as_input(view: MappingView) -> MappingInput {
    MappingInput {
        attribute: view.attribute,
        source: view.source,
        value: view.value,
        missing: view.missing,
        default: view.default,
    }
}

pub fn policies(suspend: &str, delete: &str) -> DeprovisioningForm {
    let policy = |suspend: &str, delete: &str| PolicyInput {
        suspend: Some(suspend.to_owned()).filter(|text| !text.is_empty()),
        delete: Some(delete.to_owned()).filter(|text| !text.is_empty()),
    };
    DeprovisioningForm {
        app_turned_off: policy("24h", "21d"),
        suspended: policy("24h", ""),
        deleted: policy(suspend, delete),
    }
}

pub fn fields(error: &ApiError) -> Vec<(&str, FieldCode)> {
    error
        .fields
        .iter()
        .map(|field| (field.field.as_str(), field.code))
        .collect()
}

pub fn adds_up(effect: &Effect) {
    let left_out: u32 = effect.left_out.iter().map(|(_, people)| people).sum();
    assert_eq!(
        effect.stay + effect.enter + effect.leave + left_out,
        effect.everybody,
        "{effect:?}"
    );
}
