//! Sections of an app that is on: edited, looked at with what follows, and only then saved.

use app::api::edits::{EditEffect, MappingEffect, PolicyEffect};
use app::api::wizard::{MappingInput, Members, Missing, Mode, ScopeForm, ScopeGroupInput, Step};
use app::api::{ErrorCode, FieldCode};
use app::services::{Runs as _, Wizard as _};
use provisioning::lifecycle::{Causes, Lifecycle, observe};
use server::services::runs::RunsService;
use server::store::{events, lifecycles};
use sqlx::PgPool;

use super::walk::*;

fn of_mapping(effect: EditEffect) -> MappingEffect {
    match effect {
        EditEffect::Attributes(effect) => effect,
        other => panic!("{other:?}"),
    }
}

fn of_policies(effect: EditEffect) -> PolicyEffect {
    match effect {
        EditEffect::Deprovisioning(effect) => effect,
        other => panic!("{other:?}"),
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn an_edit_counts_once_exactly_what_was_reviewed_is_saved(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let version = async || walk.app().await.config_version;
    walk.save_deprovisioning(policies("24h", "21d"), Mode::Edit)
        .await
        .unwrap();
    assert_eq!(version().await, 1, "an edit changes nothing yet");
    let page = walk.services.overview_of_on().await;
    assert_eq!(page.edited, [Step::Deprovisioning]);
    let old = walk.review_of(Step::Deprovisioning).await;
    assert_eq!(old.changes.len(), 1, "{:?}", old.changes);
    assert_eq!(
        old.changes[0].new.as_deref(),
        Some("suspended within 24 hours, deleted after 21 days")
    );

    // Somebody else edits on: what was looked at is not what would be saved.
    walk.save_deprovisioning(policies("1d", "21d"), Mode::Edit)
        .await
        .unwrap();
    let refused = walk
        .services
        .save_edit(
            &walk.here.actor,
            "asana",
            Step::Deprovisioning,
            &old.version,
        )
        .await
        .unwrap_err();
    assert_eq!((refused.code, version().await), (ErrorCode::Conflict, 1));
    walk.save_reviewed(Step::Deprovisioning).await.unwrap();
    assert_eq!(version().await, 2);
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
        Some(serde_json::json!([
            { "attribute": "deprovisioning.deleted.delete", "old": "7d", "new": "21d" },
            { "attribute": "deprovisioning.deleted.suspend", "old": "24h", "new": "1d" },
        ]))
    );

    // The same again is no edit, and an edit can be taken back.
    walk.save_deprovisioning(policies("1d", "21d"), Mode::Edit)
        .await
        .unwrap();
    assert!(
        walk.review_of(Step::Deprovisioning)
            .await
            .changes
            .is_empty()
    );
    assert!(walk.services.overview_of_on().await.edited.is_empty());
    walk.save_deprovisioning(policies("7d", "21d"), Mode::Edit)
        .await
        .unwrap();
    walk.services
        .discard_edit(&walk.here.actor, "asana", Step::Deprovisioning)
        .await
        .unwrap();
    let step = walk.services.deprovisioning("asana").await.unwrap();
    assert_eq!(
        (step.policies[2].suspend.as_str(), version().await),
        ("1d", 2)
    );
    let gone = walk.save_reviewed(Step::Deprovisioning).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::Conflict, "there is nothing to save");
}

#[sqlx::test(migrations = "./migrations")]
async fn who_leaves_by_another_scope_is_told_with_what_becomes_of_the_accounts(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let add = ScopeForm {
        add: Some("eng@northmoor.example".to_owned()),
        ..ScopeForm::default()
    };
    walk.save_scope(add, Mode::Keep).await.unwrap();
    let effect = walk.services.scope_effect("asana").await.unwrap().effect;
    adds_up(&effect);
    assert!(effect.leave > 50 && effect.live);
    let said = effect.consequences.join(" ");
    let told = "of them have an account: suspended within 24 hours, deleted after 21 days.";
    assert!(said.contains(told), "{said}");
    assert!(
        said.contains("waits for your word"),
        "the hold is foretold: {said}"
    );

    let group = walk.services.scope("asana").await.unwrap().groups[0].clone();
    let only = ScopeForm {
        groups: vec![ScopeGroupInput {
            id: group.id.clone(),
            members: Members::Nested,
        }],
        ..ScopeForm::default()
    };
    walk.save_scope(only, Mode::Edit).await.unwrap();
    assert_eq!(walk.app().await.config_version, 1);
    let changes = walk.review_of(Step::Scope).await.changes;
    assert!(
        changes.iter().any(|change| change.attribute == group.name
            && change.new.as_deref() == Some("direct and nested members")),
        "{changes:?}"
    );
    walk.save_reviewed(Step::Scope).await.unwrap();
    assert_eq!(walk.app().await.config_version, 2);

    // A group that imports list only because it is inside a named one.
    walk.here.read_directory().await;
    let inner = sqlx::query_scalar::<_, String>(
        "SELECT m.member_id FROM memberships m JOIN memberships below ON below.group_id = m.member_id
         WHERE m.group_id = $1 AND m.member_type = 'GROUP' AND below.member_type = 'USER' LIMIT 1",
    )
    .bind(&group.id)
    .fetch_one(&pool)
    .await
    .unwrap();
    let only_inner = ScopeForm {
        groups: vec![ScopeGroupInput {
            id: inner,
            members: Members::Direct,
        }],
        ..ScopeForm::default()
    };
    walk.save_scope(only_inner, Mode::Keep).await.unwrap();
    let effect = walk.services.scope_effect("asana").await.unwrap();
    assert!(effect.in_scope > 0, "{:?}", effect.effect.consequences);

    let none = walk
        .save_scope(ScopeForm::default(), Mode::Edit)
        .await
        .unwrap_err();
    assert_eq!(
        fields(&none),
        [("everyone", FieldCode::EveryoneUnconfirmed)]
    );
    let everyone = ScopeForm {
        everyone: Some(walk.here.actor.proof()),
        ..ScopeForm::default()
    };
    walk.save_scope(everyone, Mode::Edit).await.unwrap();
    walk.save_reviewed(Step::Scope).await.unwrap();
    assert_eq!(walk.app().await.config_version, 3);
}

#[sqlx::test(migrations = "./migrations")]
async fn a_scope_of_everybody_that_is_sent_unchanged_is_no_edit(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let everyone = async || walk.services.scope("asana").await.unwrap().everyone;
    assert!(everyone().await);
    walk.save_scope(ScopeForm::default(), Mode::Edit)
        .await
        .unwrap();
    assert!(everyone().await);
    assert!(walk.services.overview_of_on().await.edited.is_empty());
}

#[sqlx::test(migrations = "./migrations")]
async fn the_accounts_that_another_mapping_changes_are_those_that_the_next_run_updates(
    pool: PgPool,
) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let rows = walk.rows().await;
    let at = |attribute: &str| {
        rows.iter()
            .position(|row| row.attribute == attribute)
            .unwrap()
    };
    let mut edited = rows.clone();
    edited[at("title")] = MappingInput {
        attribute: "title".to_owned(),
        source: "organizations[primary].title".to_owned(),
        value: None,
        missing: Missing::Default,
        default: Some("Colleague".to_owned()),
    };
    let look = walk
        .services
        .look_at_mapping("asana", edited.clone(), None)
        .await
        .unwrap();
    assert!(look.wrong.is_empty() && look.preview.is_some());
    walk.save_attributes(edited, Mode::Edit).await.unwrap();
    let review = walk.review_of(Step::Attributes).await;
    assert_eq!(review.changes.len(), 1);
    let effect = of_mapping(review.effect);
    assert!(
        effect.updated > 5 && effect.updated < effect.accounts,
        "{effect:?}"
    );
    assert_eq!(
        effect.by_attribute,
        [("Job title".to_owned(), effect.updated)]
    );
    for example in &effect.examples {
        let [change] = example.changes.as_slice() else {
            panic!("{example:?}")
        };
        assert_eq!(change.new.as_deref(), Some("Colleague"));
    }
    walk.save_reviewed(Step::Attributes).await.unwrap();
    let runs = RunsService {
        engine: walk.here.engine.clone(),
        queue: walk.here.queue.clone(),
    };
    let number = runs.start(&walk.here.actor, "asana").await.unwrap();
    walk.work().await;
    let run = runs.run("asana", number).await.unwrap();
    assert_eq!(run.row.done.update, effect.updated);
    assert_eq!(run.row.done.operations(), effect.updated);

    // A source that most people lack, for something mandatory.
    let mut worse = walk.rows().await;
    worse[at("name.formatted")].source = "phones[type=mobile].value".to_owned();
    walk.save_attributes(worse, Mode::Edit).await.unwrap();
    let effect = of_mapping(walk.review_of(Step::Attributes).await.effect);
    assert!(effect.lacking > 0 && !effect.lacking_first.is_empty());

    let mut broken = walk.rows().await;
    broken[at("title")].source = "expression".to_owned();
    broken[at("title")].value = Some("person.name +".to_owned());
    let look = walk
        .services
        .look_at_mapping("asana", broken, None)
        .await
        .unwrap();
    let [wrong] = look.wrong.as_slice() else {
        panic!("{:?}", look.wrong)
    };
    assert_eq!(wrong.code, FieldCode::ExpressionInvalid);
    assert_eq!(wrong.args[0], "1", "it says where: {:?}", wrong.args);
}

#[sqlx::test(migrations = "./migrations")]
async fn times_that_make_steps_due_at_once_are_shown_by_name_before_they_are_saved(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.turned_on().await;
    walk.work().await;
    let mut db = pool.acquire().await.unwrap();
    let app = walk.app().await.id;
    let person = sqlx::query_scalar::<_, String>(
        "SELECT person_id FROM links WHERE state = 'active' ORDER BY 1 LIMIT 1",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    let seen = walk.here.engine.clock.now() - chrono::TimeDelta::days(2);
    let causes = Causes {
        deleted: true,
        ..Causes::default()
    };
    let clocks = observe(&Lifecycle::default(), causes, seen);
    lifecycles::save(&mut db, app, &person.as_str().into(), &clocks, None)
        .await
        .unwrap();
    drop(db);
    walk.save_deprovisioning(policies("7d", "21d"), Mode::Edit)
        .await
        .unwrap();
    let later = of_policies(walk.review_of(Step::Deprovisioning).await.effect);
    assert_eq!((later.later, later.suspensions_at_once), (1, 0));
    walk.save_reviewed(Step::Deprovisioning).await.unwrap();

    walk.save_deprovisioning(policies("1d", "21d"), Mode::Edit)
        .await
        .unwrap();
    let due = of_policies(walk.review_of(Step::Deprovisioning).await.effect);
    assert_eq!((due.suspensions_at_once, due.deletions_at_once), (1, 0));
    assert!(due.moved[0].at_once && due.moved[0].person.id == person);
}

impl OnPage for server::services::apps::AppServices {}

trait OnPage: app::services::Autoprovisioning {
    async fn overview_of_on(&self) -> app::api::autoprovisioning::Configured {
        *self.overview("asana").await.unwrap().configured.unwrap()
    }
}
