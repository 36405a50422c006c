//! The lists behind the numbers agree with the numbers.

use app::api::concerned::{Compared, ConcernedQuery, LackingQuery, Place};
use app::api::runs::SkippedQuery;
use app::api::wizard::{Mode, PlanState, ScopeForm};
use app::services::{Apps as _, Runs as _, Wizard as _};
use server::services::runs::RunsService;
use sqlx::PgPool;

use super::walk::*;

#[sqlx::test(migrations = "./migrations")]
async fn whoever_is_left_out_is_found_with_the_rule_that_decided(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.sign_in().await;
    walk.turn_on_everywhere().await;
    let add = ScopeForm {
        add: Some("eng@northmoor.example".to_owned()),
        ..ScopeForm::default()
    };
    walk.save_scope(add, Mode::Draft).await.unwrap();
    let effect = walk.services.scope_effect("asana").await.unwrap().effect;
    let list = async |query: ConcernedQuery| walk.services.concerned("asana", query).await.unwrap();
    let all = |place| ConcernedQuery {
        place,
        compared: Compared::Scope,
        ..ConcernedQuery::default()
    };
    let entering = list(all(Place::Entering)).await;
    assert_eq!(
        (entering.paging.total, entering.enter),
        (effect.enter, effect.enter)
    );
    let out = list(all(Place::LeftOut)).await;
    assert_eq!(out.paging.total, effect.everybody - effect.enter);
    let by_rule: u32 = out.rules.iter().map(|(_, _, people)| people).sum();
    assert_eq!(by_rule, out.paging.total, "each person is counted once");
    for (why, people) in &effect.left_out {
        let found = list(ConcernedQuery {
            why: Some(why.clone()),
            ..all(Place::LeftOut)
        })
        .await;
        assert_eq!(found.paging.total, *people, "{why}");
        assert!(found.rows.iter().all(|row| row.why == *why));
    }
    let second = list(ConcernedQuery {
        page: 2,
        ..all(Place::LeftOut)
    })
    .await;
    assert!(second.rows[0].person.name.to_lowercase() >= out.rows[49].person.name.to_lowercase());
    let someone = out.rows[3].clone();
    let sought = list(ConcernedQuery {
        q: Some(someone.person.email.to_uppercase()),
        rule: out
            .rules
            .iter()
            .find(|(_, name, _)| *name == someone.rule)
            .map(|(key, ..)| key.clone()),
        ..all(Place::LeftOut)
    })
    .await;
    assert_eq!(sought.rows, [someone]);

    // Who lacks a value is as many as the coverage says.
    let rows = walk.services.attributes("asana", None).await.unwrap().rows;
    let title = rows.iter().find(|row| row.attribute == "title").unwrap();
    let (have, of) = title.covered.unwrap();
    let lacking = walk
        .services
        .lacking(
            "asana",
            LackingQuery {
                attribute: "title".to_owned(),
                drafted: true,
                ..LackingQuery::default()
            },
        )
        .await
        .unwrap();
    assert_eq!((lacking.lacking, lacking.in_scope), (of - have, of));
    assert!(lacking.lacking > 0 && lacking.paging.total == lacking.lacking);
    let unmapped = LackingQuery {
        attribute: "nickName".to_owned(),
        ..LackingQuery::default()
    };
    assert!(walk.services.lacking("asana", unmapped).await.is_err());
}

#[sqlx::test(migrations = "./migrations")]
async fn a_plan_lists_everybody_whom_it_skips_by_rule_and_by_name(pool: PgPool) {
    let walk = walk(&pool).await;
    walk.to_review().await;
    walk.work().await;
    let PlanState::Ready(plan) = walk.plan().await else {
        panic!("no plan")
    };
    let runs = RunsService {
        engine: walk.here.engine.clone(),
        queue: walk.here.queue.clone(),
    };
    let list = async |query: SkippedQuery| runs.skipped("asana", plan.number, query).await.unwrap();
    let all = list(SkippedQuery::default()).await;
    let counted: u32 = plan.skipped.iter().map(|group| group.count).sum();
    assert_eq!(all.paging.total, counted);
    let by_rule: u32 = all.rules.iter().map(|(_, _, people)| people).sum();
    assert_eq!(by_rule, counted);
    let first = &plan.skipped[0];
    let group = list(SkippedQuery {
        why: Some(first.reason.clone()),
        ..SkippedQuery::default()
    })
    .await;
    assert_eq!(group.paging.total, first.count);
    let someone = all.rows[0].clone();
    let sought = list(SkippedQuery {
        q: Some(someone.person.email.clone()),
        ..SkippedQuery::default()
    })
    .await;
    assert_eq!(sought.rows, [someone]);
    let wild = list(SkippedQuery {
        q: Some("%".to_owned()),
        ..SkippedQuery::default()
    })
    .await;
    assert!(
        wild.rows.is_empty(),
        "a percent sign is a letter like others"
    );
}
