//! User access, attributes, scope and deprovisioning, each checked and shown with its effect.

use app::api::apps::{AccessForm, AccessInput, AccessSetting};
use app::api::wizard::{
    MappingInput, Members, Missing, Mode, PlanState, ScopeForm, ScopeGroupInput, Step,
};
use app::api::{ErrorCode, FieldCode};
use app::services::{Apps as _, Wizard as _};
use provisioning::config::{Access, GroupRef};
use server::store::access_edits;
use sqlx::PgPool;

use super::walk::*;

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
        format!("rows[{title}][value]"),
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
async fn a_row_says_that_the_app_did_not_keep_its_value(pool: PgPool) {
    let walk = walk(&pool).await;
    sqlx::query("UPDATE apps SET learned = '{\"not_kept\": [\"title\"]}'")
        .execute(&pool)
        .await
        .unwrap();
    let rows = walk.services.attributes("asana", None).await.unwrap().rows;
    let said = |attribute: &str| {
        let row = rows.iter().find(|row| row.attribute == attribute).unwrap();
        let hint = row.hint.clone().unwrap_or_default();
        hint.contains("does not keep this value")
    };
    assert!(said("title") && !said("userName"));
}

#[sqlx::test(migrations = "./migrations")]
async fn an_edit_of_user_access_drops_no_group_that_is_stored(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    let group = |n: usize| GroupRef {
        id: None,
        email: format!("team-{n}@northmoor.example"),
        name: None,
    };
    let from_a_file = Access {
        org_units: Vec::new(),
        groups_on: (0..230).map(group).collect(),
    };
    let (app, now) = (walk.app().await.id, walk.here.engine.clock.now());
    let mut db = walk.here.engine.connection().await.unwrap();
    access_edits::save(&mut db, app, &from_a_file, now, "file")
        .await
        .unwrap();
    drop(db);
    let (services, actor) = (&walk.services, &walk.here.actor);
    services.save_access(actor, "asana").await.unwrap();
    let shown = async || {
        let groups = services.access("asana").await.unwrap().groups;
        groups.into_iter().map(|group| group.id).collect::<Vec<_>>()
    };
    let ids = shown().await;
    assert_eq!(ids.len(), 230);

    let form = || AccessForm {
        units: vec![AccessInput {
            id: "/".to_owned(),
            setting: AccessSetting::On,
        }],
        groups: ids.clone(),
        ..AccessForm::default()
    };
    services.draft_access(actor, "asana", form()).await.unwrap();
    assert_eq!(shown().await, ids);
    let one_more = AccessForm {
        add: Some("eng@northmoor.example".to_owned()),
        ..form()
    };
    let refused = services.draft_access(actor, "asana", one_more).await;
    assert_eq!(fields(&refused.unwrap_err()), [("add", FieldCode::TooMany)]);
    let one_less = AccessForm {
        remove: Some(ids[7].clone()),
        ..form()
    };
    services
        .draft_access(actor, "asana", one_less)
        .await
        .unwrap();
    assert_eq!(shown().await.len(), 229);
}
