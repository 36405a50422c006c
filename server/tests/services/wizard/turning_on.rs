//! The reviewed plan, turning on and off, editing later, and taking the configuration away.

use app::api::ErrorCode;
use app::api::terms::AppStatus;
use app::api::usage::UsageFigure;
use app::api::wizard::{Mode, PlanState, Step};
use app::services::{Apps, Autoprovisioning, Wizard};
use server::store::apps::AppState;
use server::store::links;
use sqlx::PgPool;

use super::walk::*;

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
    let usage = walk.services.usage("asana", "UTC").await.unwrap();
    let created = usage
        .lanes
        .iter()
        .find(|lane| lane.figure == UsageFigure::Created)
        .unwrap();
    assert_eq!(
        (created.total, created.by_day.len()),
        (plan.counts.create, 30)
    );
    assert_eq!(created.by_day.last(), Some(&plan.counts.create));
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
    assert!(
        matches!(walk.plan().await, PlanState::None),
        "the plan of the first run is carried out"
    );
    services.plan_again(actor, "asana").await.unwrap();
    assert!(matches!(walk.plan().await, PlanState::Planning { .. }));
    walk.work().await;
    let PlanState::Ready(plan) = walk.plan().await else {
        panic!("{:?}", walk.plan().await)
    };
    assert!(plan.counts.unchanged > 100, "{:?}", plan.counts);
    assert_eq!(walk.sandbox.account_count(), accounts);
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
