//! From the catalogue to accounts in the app: each step is checked, kept, and turned on with
//! exactly the plan that was reviewed.

mod fixture;

use app::api::apps::{
    AccessForm, AccessInput, AccessSetting, AddAppForm, Effect, SignInForm, SignInMethod,
};
use app::api::autoprovisioning::UsageFigure;
use app::api::terms::{AppStatus, StopReason};
use app::api::wizard::{
    AuthorizeForm, DeprovisioningForm, MappingInput, MappingView, Members, Missing, Mode,
    PlanState, PolicyInput, ScopeForm, ScopeGroupInput, Step,
};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Apps, Autoprovisioning, Secret, Wizard};
use fixture::{Installation, installation, sandbox};
use secrecy::ExposeSecret as _;
use server::sandbox::Sandbox;
use server::services::apps::AppServices;
use server::store::apps::{self, App, AppState};
use server::store::{events, links, runs};
use server::sync::run;
use sqlx::PgPool;

struct Walk {
    here: Installation,
    sandbox: Sandbox,
    base: String,
    services: AppServices,
}

/// A directory that was read, and an Asana that was added.
async fn walk(pool: &PgPool) -> Walk {
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
    async fn app(&self) -> App {
        let mut db = self.here.engine.connection().await.unwrap();
        apps::by_slug(&mut db, "asana").await.unwrap().unwrap()
    }

    async fn sign_in(&self) {
        let form = SignInForm {
            method: SignInMethod::Google,
            metadata: None,
        };
        self.services
            .save_sign_in(&self.here.actor, "asana", form)
            .await
            .unwrap();
    }

    async fn authorize(&self, token: &str, mode: Mode) -> Result<(), ApiError> {
        let form = AuthorizeForm {
            endpoint: None,
            token: Some(Secret::new(token.to_owned())),
        };
        self.services
            .save_authorize(&self.here.actor, "asana", form, mode)
            .await
    }

    async fn turn_on_everywhere(&self) {
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

    async fn rows(&self) -> Vec<MappingInput> {
        let step = self.services.attributes("asana", None).await.unwrap();
        step.rows.into_iter().map(as_input).collect()
    }

    async fn save_attributes(&self, rows: Vec<MappingInput>, mode: Mode) -> Result<(), ApiError> {
        self.services
            .save_attributes(&self.here.actor, "asana", rows, mode)
            .await
    }

    async fn save_scope(&self, form: ScopeForm, mode: Mode) -> Result<(), ApiError> {
        self.services
            .save_scope(&self.here.actor, "asana", form, mode)
            .await
    }

    async fn save_deprovisioning(
        &self,
        form: DeprovisioningForm,
        mode: Mode,
    ) -> Result<(), ApiError> {
        self.services
            .save_deprovisioning(&self.here.actor, "asana", form, mode)
            .await
    }

    /// Every step up to the review.
    async fn to_review(&self) {
        self.sign_in().await;
        self.turn_on_everywhere().await;
        self.authorize(&self.sandbox.asana_token(), Mode::Draft)
            .await
            .unwrap();
        self.save_attributes(self.rows().await, Mode::Draft)
            .await
            .unwrap();
        let everyone = ScopeForm {
            everyone: true,
            ..ScopeForm::default()
        };
        self.save_scope(everyone, Mode::Draft).await.unwrap();
        self.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
            .await
            .unwrap();
    }

    /// Does what a worker would do.
    async fn work(&self) {
        let mut db = self.here.engine.connection().await.unwrap();
        let waiting = runs::orphans(&mut db).await.unwrap();
        drop(db);
        for id in waiting {
            run::carry_out(&self.here.engine.counting_anew(), id)
                .await
                .unwrap();
        }
    }

    async fn plan(&self) -> PlanState {
        self.services.review("asana").await.unwrap().plan
    }

    async fn turned_on(&self) -> i64 {
        self.to_review().await;
        self.work().await;
        let PlanState::Ready(plan) = self.plan().await else {
            panic!("{:?}", self.plan().await)
        };
        Wizard::turn_on(&self.services, &self.here.actor, "asana", plan.number)
            .await
            .unwrap()
    }

    async fn events(&self, name: &str) -> i64 {
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

fn as_input(view: MappingView) -> MappingInput {
    MappingInput {
        attribute: view.attribute,
        source: view.source,
        value: view.value,
        missing: view.missing,
        default: view.default,
    }
}

fn policies(suspend: &str, delete: &str) -> DeprovisioningForm {
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

fn fields(error: &ApiError) -> Vec<(&str, FieldCode)> {
    error
        .fields
        .iter()
        .map(|field| (field.field.as_str(), field.code))
        .collect()
}

fn adds_up(effect: &Effect) {
    let left_out: u32 = effect.left_out.iter().map(|(_, people)| people).sum();
    assert_eq!(
        effect.stay + effect.enter + effect.leave + left_out,
        effect.everybody,
        "{effect:?}"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn the_wizard_leads_from_the_catalogue_to_accounts_in_the_app(pool: PgPool) {
    let walk = walk(&pool).await;
    assert_eq!(
        Apps::overview(&walk.services, "asana")
            .await
            .unwrap()
            .head
            .status,
        AppStatus::NotConfigured
    );
    walk.to_review().await;
    let progress = walk.services.progress("asana").await.unwrap();
    assert_eq!(
        progress.done,
        [
            Step::Authorize,
            Step::Attributes,
            Step::Scope,
            Step::Deprovisioning
        ]
    );
    assert!(
        matches!(walk.plan().await, PlanState::Planning { .. }),
        "saving the last step starts planning"
    );
    let before = walk.sandbox.account_count();
    walk.work().await;
    let PlanState::Ready(plan) = walk.plan().await else {
        panic!("{:?}", walk.plan().await)
    };
    assert_eq!(
        walk.sandbox.account_count(),
        before,
        "a preview sends nothing"
    );
    assert!(
        plan.counts.create > 100 && plan.counts.link > 0,
        "{:?}",
        plan.counts
    );
    assert!(plan.only_in_app.is_some_and(|accounts| accounts > 0));
    let shown = &plan.groups[0];
    assert!(shown.count == plan.counts.create && shown.rows.len() == 5);
    let effect = walk.services.scope_effect("asana").await.unwrap();
    adds_up(&effect.effect);
    // Who is in scope gets an account, but for matches that an administrator has to decide on.
    let provisioned = plan.counts.create + plan.counts.link;
    assert!(
        effect.in_scope >= provisioned && effect.in_scope - provisioned < 5,
        "{:?}",
        plan.counts
    );

    let wrong = Wizard::turn_on(&walk.services, &walk.here.actor, "asana", plan.number + 1)
        .await
        .unwrap_err();
    assert_eq!(wrong.code, ErrorCode::PlanOutdated);
    let number = Wizard::turn_on(&walk.services, &walk.here.actor, "asana", plan.number)
        .await
        .unwrap();
    let app = walk.app().await;
    assert_eq!(
        (app.state, app.config_version, app.first_plan_confirmed),
        (AppState::On, 1, true)
    );
    let head = walk.services.head("asana").await.unwrap();
    assert_eq!(head.status, AppStatus::Running { run: number });
    assert!(!head.draft);
    walk.work().await;
    let mut db = walk.here.engine.connection().await.unwrap();
    let linked = links::count(&mut db, app.id).await.unwrap();
    drop(db);
    assert_eq!(linked, i64::from(provisioned));
    assert_eq!(
        walk.sandbox.account_count(),
        before + usize::try_from(plan.counts.create).unwrap()
    );
    assert_eq!(
        walk.events("Create User By Auto Provisioning").await,
        i64::from(plan.counts.create)
    );
    assert_eq!(walk.events("Autoprovisioning turned on").await, 1);

    let page = Autoprovisioning::overview(&walk.services, "asana")
        .await
        .unwrap()
        .configured
        .unwrap();
    assert_eq!(
        (page.accounts, page.in_scope),
        (provisioned, effect.in_scope)
    );
    assert!(page.running.is_none() && page.last_run.is_some());
    assert!(
        page.mapping
            .iter()
            .any(|row| row.mandatory && row.covered == Some((page.in_scope, page.in_scope)))
    );
    let usage = walk.services.usage("asana").await.unwrap();
    let created = usage
        .lanes
        .iter()
        .find(|lane| lane.figure == UsageFigure::Created)
        .unwrap();
    assert_eq!(
        (created.total, created.days.len()),
        (plan.counts.create, 30)
    );
    assert_eq!(created.days.last(), Some(&plan.counts.create));
    let overview = Apps::overview(&walk.services, "asana").await.unwrap();
    assert_eq!(
        (overview.in_scope, overview.accounts),
        (Some(effect.in_scope), provisioned)
    );

    // Turning on a second time is no way around the review.
    let again = Wizard::turn_on(&walk.services, &walk.here.actor, "asana", plan.number)
        .await
        .unwrap_err();
    assert_eq!(again.code, ErrorCode::AlreadyOn);
}

#[sqlx::test(migrations = "./migrations")]
async fn provisioning_cannot_be_configured_before_sign_in(pool: PgPool) {
    let walk = walk(&pool).await;
    let token = walk.sandbox.asana_token();
    for refused in [
        walk.authorize(&token, Mode::Draft).await,
        walk.save_attributes(walk.rows().await, Mode::Draft).await,
        walk.save_scope(ScopeForm::default(), Mode::Keep).await,
        walk.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
            .await,
        walk.services.plan_again(&walk.here.actor, "asana").await,
    ] {
        assert_eq!(refused.unwrap_err().code, ErrorCode::SignInMissing);
    }
    assert!(
        walk.services
            .progress("asana")
            .await
            .unwrap()
            .done
            .is_empty()
    );
    assert!(
        walk.here
            .engine
            .token(walk.app().await.id)
            .await
            .unwrap()
            .is_none()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn metadata_is_read_and_what_is_none_is_refused_with_its_reason(pool: PgPool) {
    let walk = walk(&pool).await;
    let save = async |metadata: Option<&str>| {
        let form = SignInForm {
            method: SignInMethod::Saml,
            metadata: metadata.map(str::to_owned),
        };
        walk.services
            .save_sign_in(&walk.here.actor, "asana", form)
            .await
    };
    let error = save(None).await.unwrap_err();
    assert_eq!(fields(&error), [("metadata", FieldCode::Required)]);
    let error = save(Some("<html/>")).await.unwrap_err();
    assert_eq!(fields(&error), [("metadata", FieldCode::NotMetadata)]);
    assert_eq!(error.fields[0].args, ["other-root"]);
    assert!(!walk.services.head("asana").await.unwrap().sign_in_ready);
    save(Some(
        "<EntityDescriptor xmlns='urn:oasis:names:tc:SAML:2.0:metadata' entityID='urn:idp'><IDPSSODescriptor>\
         <SingleSignOnService Binding='urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect' Location='https://idp.example.com/'/>\
         </IDPSSODescriptor></EntityDescriptor>",
    ))
    .await
    .unwrap();
    let page = walk.services.sign_in("asana").await.unwrap();
    assert_eq!(page.method, Some(SignInMethod::Saml));
    assert_eq!(page.entity_id.as_deref(), Some("urn:idp"));
    assert_eq!(page.recorded_by.as_deref(), Some("ines@northmoor.example"));
    assert!(page.head.sign_in_ready && !page.head.draft);
    assert_eq!(walk.events("SSO changed").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_token_is_kept_only_after_the_app_accepted_it(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    for (token, code) in [
        ("wrong", FieldCode::TokenRefused),
        ("two words", FieldCode::Invalid),
    ] {
        let error = walk.authorize(token, Mode::Draft).await.unwrap_err();
        assert_eq!(fields(&error), [("token", code)], "{token}");
    }
    let web_page = AuthorizeForm {
        endpoint: Some(format!("{}/sandbox", walk.base)),
        token: Some(Secret::new("1/token".to_owned())),
    };
    let error = walk
        .services
        .save_authorize(&walk.here.actor, "asana", web_page, Mode::Draft)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error.code,
            ErrorCode::AppAnsweredOddly | ErrorCode::TokenRefused
        ),
        "{error:?}"
    );
    for (endpoint, code) in [
        ("not an address", FieldCode::NotAUrl),
        ("http://app.asana.com/api", FieldCode::NotHttps),
        ("https://169.254.169.254/", FieldCode::TargetNotAllowed),
    ] {
        let form = AuthorizeForm {
            endpoint: Some(endpoint.to_owned()),
            token: Some(Secret::new("t".to_owned())),
        };
        let error = walk
            .services
            .save_authorize(&walk.here.actor, "asana", form, Mode::Draft)
            .await
            .unwrap_err();
        assert_eq!(fields(&error), [("endpoint", code)], "{endpoint}");
    }
    let app = walk.app().await;
    assert!(walk.here.engine.token(app.id).await.unwrap().is_none());
    assert_eq!(app.authorized_at, None);
    assert_eq!(app.endpoint, Sandbox::scim_endpoint(&walk.base));
    assert_eq!(walk.events("Access token changed").await, 0);

    walk.authorize(&format!("  {}\n", walk.sandbox.asana_token()), Mode::Draft)
        .await
        .unwrap();
    let stored = walk.here.engine.token(app.id).await.unwrap().unwrap();
    assert_eq!(stored.expose_secret(), walk.sandbox.asana_token());
    let step = walk.services.authorize("asana").await.unwrap();
    assert!(step.token_stored && step.checked_at.is_some());
    assert_eq!(step.entered_by.as_deref(), Some("ines@northmoor.example"));
    assert!(!format!("{step:?}").contains(&walk.sandbox.asana_token()));

    // The token is never sent to another origin than the one that it was entered for.
    let elsewhere = AuthorizeForm {
        endpoint: Some("https://scim.example.com/".to_owned()),
        token: None,
    };
    let error = walk
        .services
        .save_authorize(&walk.here.actor, "asana", elsewhere, Mode::Draft)
        .await
        .unwrap_err();
    assert_eq!(fields(&error), [("token", FieldCode::Required)]);
}

#[sqlx::test(migrations = "./migrations")]
async fn attributes_are_checked_row_by_row_and_previewed_for_a_person(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    walk.turn_on_everywhere().await;
    let rows = walk.rows().await;
    let at = |attribute: &str| {
        rows.iter()
            .position(|row| row.attribute == attribute)
            .unwrap()
    };
    let (name, title) = (at("userName"), at("title"));
    let mut wrong = rows.clone();
    wrong[name].source = String::new();
    wrong[title].source = "expression".to_owned();
    wrong[title].value = Some("person.".to_owned());
    let error = walk
        .save_attributes(wrong.clone(), Mode::Draft)
        .await
        .unwrap_err();
    let (source, expression) = (
        format!("rows[{name}][source]"),
        format!("rows[{title}][expression]"),
    );
    assert!(
        fields(&error).contains(&(&source, FieldCode::MandatoryUnmapped)),
        "{error:?}"
    );
    assert!(
        fields(&error).contains(&(&expression, FieldCode::ExpressionInvalid)),
        "{error:?}"
    );
    assert!(
        walk.services
            .progress("asana")
            .await
            .unwrap()
            .done
            .is_empty()
    );

    walk.save_attributes(wrong, Mode::Keep).await.unwrap();
    let kept = walk.services.attributes("asana", None).await.unwrap();
    assert_eq!(
        kept.rows[name].source, "",
        "a draft is kept even when it can't be finished yet"
    );
    assert!(kept.progress.done.is_empty());

    let mut constant = rows.clone();
    constant[title] = MappingInput {
        attribute: "title".to_owned(),
        source: "constant".to_owned(),
        value: Some("Colleague".to_owned()),
        missing: Missing::Clear,
        default: None,
    };
    walk.save_attributes(constant, Mode::Draft).await.unwrap();
    let step = walk.services.attributes("asana", None).await.unwrap();
    let shown = step.preview.unwrap();
    let body: serde_json::Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(body["title"], "Colleague");
    assert_eq!(body["active"], true);
    assert_eq!(body["userName"].as_str(), Some(shown.person.email.as_str()));
    let covered = step.rows[name].covered.unwrap();
    assert!(covered.0 == covered.1 && covered.1 > 100, "{covered:?}");
    let someone = walk
        .sandbox
        .directory(|directory| {
            directory
                .people
                .values()
                .next()
                .map(|one| one.primary_email.clone())
        })
        .unwrap();
    let step = walk
        .services
        .attributes("asana", Some(someone.clone()))
        .await
        .unwrap();
    assert_eq!(step.preview.unwrap().person.email, someone);
    assert!(
        walk.services
            .attributes("asana", Some("nobody at all".to_owned()))
            .await
            .unwrap()
            .preview
            .is_none()
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_scope_of_groups_shows_who_enters_before_any_import_listed_them(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    walk.turn_on_everywhere().await;
    let error = walk
        .save_scope(
            ScopeForm {
                add: Some("zzyx".to_owned()),
                ..ScopeForm::default()
            },
            Mode::Keep,
        )
        .await;
    assert_eq!(
        fields(&error.unwrap_err()),
        [("add", FieldCode::GroupUnknown)]
    );
    let add = ScopeForm {
        add: Some("eng@northmoor.example".to_owned()),
        ..ScopeForm::default()
    };
    walk.save_scope(add.clone(), Mode::Keep).await.unwrap();
    let step = walk.services.scope("asana").await.unwrap();
    let group = step.groups[0].clone();
    assert_eq!(
        (group.email.as_str(), group.members),
        ("eng@northmoor.example", Members::Direct)
    );
    let direct = walk.services.scope_effect("asana").await.unwrap();
    adds_up(&direct.effect);
    assert!(direct.in_scope > 0 && !direct.effect.live);

    let nested = |remove: Option<String>| ScopeForm {
        groups: vec![ScopeGroupInput {
            id: group.id.clone(),
            members: Members::Nested,
        }],
        remove,
        ..ScopeForm::default()
    };
    walk.save_scope(nested(None), Mode::Draft).await.unwrap();
    let wider = walk.services.scope_effect("asana").await.unwrap();
    adds_up(&wider.effect);
    assert!(wider.in_scope > direct.in_scope, "{wider:?}");
    assert_eq!(
        wider.effect.enter, wider.in_scope,
        "nobody is in scope before it is turned on"
    );
    let step = walk.services.scope("asana").await.unwrap();
    assert!(step.groups[0].nested.is_some());
    let twice = ScopeForm {
        add: add.add,
        ..nested(None)
    };
    let error = walk.save_scope(twice, Mode::Keep).await.unwrap_err();
    assert_eq!(fields(&error), [("add", FieldCode::GroupTwice)]);

    // What was shown is what an import and a plan find.
    walk.authorize(&walk.sandbox.asana_token(), Mode::Draft)
        .await
        .unwrap();
    walk.save_attributes(walk.rows().await, Mode::Draft)
        .await
        .unwrap();
    walk.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
        .await
        .unwrap();
    walk.work().await;
    let PlanState::Ready(plan) = walk.plan().await else {
        panic!("{:?}", walk.plan().await)
    };
    assert_eq!(plan.counts.create + plan.counts.link, wider.in_scope);
    walk.save_scope(nested(Some(group.id.clone())), Mode::Keep)
        .await
        .unwrap();
    assert!(
        walk.services
            .scope("asana")
            .await
            .unwrap()
            .groups
            .is_empty()
    );
    assert!(
        matches!(walk.plan().await, PlanState::None),
        "a changed draft ends its plan"
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn a_plan_of_an_older_draft_is_not_turned_on(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.to_review().await;
    walk.work().await;
    let PlanState::Ready(old) = walk.plan().await else {
        panic!("no plan")
    };
    walk.save_deprovisioning(policies("", "21d"), Mode::Keep)
        .await
        .unwrap();
    let refused = Wizard::turn_on(&walk.services, &walk.here.actor, "asana", old.number)
        .await
        .unwrap_err();
    assert_eq!(refused.code, ErrorCode::PlanOutdated);
    assert_eq!(walk.app().await.state, AppState::NotConfigured);
    walk.services
        .plan_again(&walk.here.actor, "asana")
        .await
        .unwrap();
    walk.work().await;
    let PlanState::Ready(new) = walk.plan().await else {
        panic!("no plan")
    };
    Wizard::turn_on(&walk.services, &walk.here.actor, "asana", new.number)
        .await
        .unwrap();
    assert_eq!(walk.app().await.state, AppState::On);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_policy_that_cannot_be_carried_out_is_not_kept(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    let error = walk
        .save_deprovisioning(policies("7d", "7d"), Mode::Draft)
        .await
        .unwrap_err();
    assert_eq!(
        fields(&error),
        [("deleted", FieldCode::DeleteNotAfterSuspend)]
    );
    let error = walk
        .save_deprovisioning(policies("", ""), Mode::Draft)
        .await
        .unwrap_err();
    assert_eq!(fields(&error), [("deleted", FieldCode::NothingChosen)]);
    assert!(
        walk.services
            .progress("asana")
            .await
            .unwrap()
            .done
            .is_empty()
    );
    walk.save_deprovisioning(policies("24h", "7d"), Mode::Draft)
        .await
        .unwrap();
    assert_eq!(
        walk.services.progress("asana").await.unwrap().done,
        [Step::Deprovisioning]
    );
    assert!(
        matches!(walk.plan().await, PlanState::None),
        "nothing is planned while steps are missing"
    );
    let missing = walk
        .services
        .plan_again(&walk.here.actor, "asana")
        .await
        .unwrap_err();
    assert_eq!(
        (missing.code, missing.args),
        (ErrorCode::StepMissing, vec!["Authorize".to_owned()])
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn access_shows_its_effect_before_it_is_saved(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    let page = walk.services.access("asana").await.unwrap();
    assert!(page.directory_read && page.covered == 0 && !page.draft);
    assert_eq!(page.units[0].id, "/");
    let top = page.units[0].people;
    let below: u32 = page
        .units
        .iter()
        .filter(|unit| unit.depth == 1)
        .map(|unit| unit.people)
        .sum();
    assert!(top > 200 && below <= top, "{top} {below}");
    let contractors = page
        .units
        .iter()
        .find(|unit| unit.path == "/Contractors")
        .unwrap()
        .clone();
    let form = AccessForm {
        units: vec![
            AccessInput {
                id: "/".to_owned(),
                setting: AccessSetting::On,
            },
            AccessInput {
                id: contractors.id.clone(),
                setting: AccessSetting::Off,
            },
        ],
        ..AccessForm::default()
    };
    walk.services
        .draft_access(&walk.here.actor, "asana", form.clone())
        .await
        .unwrap();
    let page = walk.services.access("asana").await.unwrap();
    assert!(page.draft);
    let unit = |path: &str| {
        page.units
            .iter()
            .find(|unit| unit.path == path)
            .unwrap()
            .clone()
    };
    assert!(!unit("/Contractors").on && unit("/Contractors").setting == AccessSetting::Off);
    assert_eq!(unit("/Contractors").saved, AccessSetting::Inherit);
    assert_eq!(unit("/Engineering").from.as_deref(), Some("/"));
    assert!(unit("/Engineering").on);
    let effect = walk.services.access_effect("asana").await.unwrap();
    adds_up(&effect.effect);
    assert_eq!(
        (effect.covered_before, effect.covered_after),
        (0, page.covered)
    );
    assert_eq!(effect.covered_after, top - contractors.people);
    assert_eq!(
        effect.changes,
        ["/ is turned on", "/Contractors is turned off"]
    );
    assert_eq!(effect.effect.enter, page.provisionable);
    assert!(
        effect
            .effect
            .left_out
            .iter()
            .any(|(reason, _)| reason.starts_with("App is off for /Contractors"))
    );
    walk.services
        .save_access(&walk.here.actor, "asana")
        .await
        .unwrap();
    let saved = walk.services.access("asana").await.unwrap();
    assert!(!saved.draft && saved.covered == effect.covered_after);

    let group = AccessForm {
        add: Some("guests-with-asana@northmoor.example".to_owned()),
        ..form
    };
    match walk
        .services
        .draft_access(&walk.here.actor, "asana", group)
        .await
    {
        Ok(()) => {
            let effect = walk.services.access_effect("asana").await.unwrap();
            adds_up(&effect.effect);
            walk.services
                .discard_access(&walk.here.actor, "asana")
                .await
                .unwrap();
        }
        Err(error) => assert_eq!(fields(&error), [("add", FieldCode::GroupUnknown)]),
    }
    assert!(!walk.services.access("asana").await.unwrap().draft);
    let refused = walk
        .services
        .save_access(&walk.here.actor, "asana")
        .await
        .unwrap_err();
    assert_eq!(
        refused.code,
        ErrorCode::Conflict,
        "there is nothing to save any more"
    );
    let unknown = AccessForm {
        units: vec![AccessInput {
            id: "nowhere".to_owned(),
            setting: AccessSetting::On,
        }],
        ..AccessForm::default()
    };
    let error = walk
        .services
        .draft_access(&walk.here.actor, "asana", unknown)
        .await
        .unwrap_err();
    assert_eq!(
        fields(&error),
        [("units[0][setting]", FieldCode::OrgUnitUnknown)]
    );
}

#[sqlx::test(migrations = "./migrations")]
async fn sections_of_an_app_that_is_on_are_saved_at_once_as_new_versions(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    walk.save_deprovisioning(policies("24h", "21d"), Mode::Live)
        .await
        .unwrap();
    assert_eq!(walk.app().await.config_version, 2);
    let mut db = walk.here.engine.connection().await.unwrap();
    let filter = events::EventFilter {
        event: Some("Configuration changed".to_owned()),
        ..events::EventFilter::default()
    };
    let newest = events::page(&mut db, &filter, events::Order::NewestFirst, None, 1)
        .await
        .unwrap();
    drop(db);
    assert_eq!(
        newest[0].changes,
        Some(
            serde_json::json!([{ "attribute": "deprovisioning.deleted.delete", "old": "7d", "new": "21d" }])
        )
    );
    walk.save_deprovisioning(policies("24h", "21d"), Mode::Live)
        .await
        .unwrap();
    assert_eq!(
        walk.app().await.config_version,
        2,
        "saving the same again is no new version"
    );

    let add = ScopeForm {
        add: Some("eng@northmoor.example".to_owned()),
        ..ScopeForm::default()
    };
    walk.save_scope(add, Mode::Keep).await.unwrap();
    assert_eq!(
        walk.app().await.config_version,
        2,
        "an edit that is only kept changes nothing"
    );
    let effect = walk.services.scope_effect("asana").await.unwrap();
    adds_up(&effect.effect);
    assert!(effect.effect.leave > 0 && effect.effect.live);
    let group = walk.services.scope("asana").await.unwrap().groups[0].clone();
    let only = ScopeForm {
        groups: vec![ScopeGroupInput {
            id: group.id.clone(),
            members: Members::Nested,
        }],
        ..ScopeForm::default()
    };
    walk.save_scope(only, Mode::Live).await.unwrap();
    assert_eq!(walk.app().await.config_version, 3);
    let none = walk
        .save_scope(ScopeForm::default(), Mode::Live)
        .await
        .unwrap_err();
    assert_eq!(
        fields(&none),
        [("everyone", FieldCode::EveryoneUnconfirmed)]
    );
    assert!(walk.services.scope("asana").await.unwrap().had_groups);
    let everyone = ScopeForm {
        everyone: true,
        ..ScopeForm::default()
    };
    walk.save_scope(everyone, Mode::Live).await.unwrap();
    assert_eq!(walk.app().await.config_version, 4);
}

#[sqlx::test(migrations = "./migrations")]
async fn reauthorizing_resumes_a_stopped_app_and_keeps_its_links(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let app = walk.app().await;
    let mut db = walk.here.engine.connection().await.unwrap();
    let linked = links::count(&mut db, app.id).await.unwrap();
    let state = AppState::Stopped {
        code: "reauthorize".to_owned(),
        message: "refused".to_owned(),
    };
    apps::set_state(&mut db, app.id, &state, walk.here.engine.clock.now())
        .await
        .unwrap();
    drop(db);
    let stopped = AppStatus::Stopped {
        reason: StopReason::NeedsReauthorization,
    };
    assert_eq!(walk.services.head("asana").await.unwrap().status, stopped);
    let error = walk.authorize("wrong", Mode::Live).await.unwrap_err();
    assert_eq!(fields(&error), [("token", FieldCode::TokenRefused)]);
    assert_eq!(walk.services.head("asana").await.unwrap().status, stopped);
    let fresh = walk.sandbox.revoke_asana_token(true);
    walk.authorize(&fresh, Mode::Live).await.unwrap();
    assert!(matches!(
        walk.services.head("asana").await.unwrap().status,
        AppStatus::Running { .. }
    ));
    walk.work().await;
    assert_eq!(
        walk.services.head("asana").await.unwrap().status,
        AppStatus::On
    );
    let mut db = walk.here.engine.connection().await.unwrap();
    assert_eq!(links::count(&mut db, app.id).await.unwrap(), linked);
    drop(db);
    assert_eq!(walk.events("App reauthorized").await, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn turning_off_keeps_everything_and_deleting_takes_it_away_but_the_accounts(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let (actor, services) = (&walk.here.actor, &walk.services);
    let accounts = walk.sandbox.account_count();
    let on_already = Autoprovisioning::turn_on(services, actor, "asana")
        .await
        .unwrap_err();
    assert_eq!(on_already.code, ErrorCode::AlreadyOn);
    services.turn_off(actor, "asana").await.unwrap();
    assert_eq!(
        services.turn_off(actor, "asana").await.unwrap_err().code,
        ErrorCode::AlreadyOff
    );
    assert_eq!(services.head("asana").await.unwrap().status, AppStatus::Off);
    Autoprovisioning::turn_on(services, actor, "asana")
        .await
        .unwrap();
    walk.work().await;
    assert_eq!(services.head("asana").await.unwrap().status, AppStatus::On);
    let version = walk.app().await.config_version;
    assert_eq!(version, 1);

    services.delete_configuration(actor, "asana").await.unwrap();
    let app = walk.app().await;
    assert_eq!(
        (app.state, app.config_version),
        (AppState::NotConfigured, 0)
    );
    assert!(walk.here.engine.token(app.id).await.unwrap().is_none());
    assert_eq!(walk.sandbox.account_count(), accounts);
    let head = services.head("asana").await.unwrap();
    assert!(head.sign_in_ready && !head.draft);
    assert!(
        services.access("asana").await.unwrap().covered > 0,
        "user access stays"
    );
    assert!(services.progress("asana").await.unwrap().done.is_empty());
    let gone = services
        .delete_configuration(actor, "asana")
        .await
        .unwrap_err();
    assert_eq!(gone.code, ErrorCode::NotConfigured);
    assert_eq!(walk.events("Configuration deleted").await, 1);
    assert!(
        walk.events("Create User By Auto Provisioning").await > 0,
        "the log stays"
    );

    // Set up anew, it finds the accounts that it once made.
    walk.turned_on().await;
    walk.work().await;
    assert_eq!(walk.sandbox.account_count(), accounts);
}

#[sqlx::test(migrations = "./migrations")]
async fn discarding_a_set_up_leaves_sign_in_and_access(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.to_review().await;
    walk.services
        .discard(&walk.here.actor, "asana")
        .await
        .unwrap();
    assert!(
        walk.services
            .progress("asana")
            .await
            .unwrap()
            .done
            .is_empty()
    );
    let head = walk.services.head("asana").await.unwrap();
    assert!(head.sign_in_ready && !head.draft);
    assert!(walk.services.access("asana").await.unwrap().covered > 0);
    assert!(
        walk.here
            .engine
            .token(walk.app().await.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(matches!(walk.plan().await, PlanState::None));
}

#[sqlx::test(migrations = "./migrations")]
async fn apps_are_added_from_the_catalogue_under_names_of_their_own(pool: PgPool) {
    let walk = walk(&pool).await;
    let add = async |catalog: &str, name: Option<&str>, endpoint: Option<&str>| {
        let form = AddAppForm {
            catalog: catalog.to_owned(),
            name: name.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
        };
        walk.services.add(&walk.here.actor, form).await
    };
    assert_eq!(add("asana", None, None).await.unwrap(), "asana-2");
    assert_eq!(
        add(
            "scim",
            Some("Fieldnote (EU)"),
            Some("https://fieldnote.example/scim/v2/")
        )
        .await
        .unwrap(),
        "fieldnote-eu"
    );
    for (refused, field, code) in [
        (add("jira", None, None).await, "catalog", FieldCode::Unknown),
        (
            add("scim", Some("Other"), None).await,
            "endpoint",
            FieldCode::Required,
        ),
        (
            add("scim", Some("Other"), Some("ftp://x.example")).await,
            "endpoint",
            FieldCode::NotHttps,
        ),
        (
            add("asana", Some(&"x".repeat(61)), None).await,
            "name",
            FieldCode::TooLong,
        ),
    ] {
        assert_eq!(fields(&refused.unwrap_err()), [(field, code)]);
    }
    let catalog = walk.services.catalog().await.unwrap();
    let asana = catalog.iter().find(|item| item.id == "asana").unwrap();
    assert_eq!(asana.added.len(), 2);
    assert_eq!(
        asana.endpoint.as_deref(),
        Some("https://app.asana.com/api/1.0/scim")
    );
    assert_eq!(
        walk.services.head("nothing").await.unwrap_err().code,
        ErrorCode::NotFound
    );
}
