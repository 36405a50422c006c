//! A run goes past people of whom nothing can come, and comes to the same as one that plans
//! everybody (S14.2). A preview does plan everybody, so each step here holds the two together.

use chrono::TimeDelta;
use provisioning::config::{GroupRef, Members, OrgUnitAccess, ScopeGroup};
use serde_json::json;
use server::clock::Clock as _;
use server::sandbox::{Directory, NewPerson, PRIMARY_DOMAIN, Rename};
use server::store::runs::Run;
use sqlx::PgPool;

use crate::house::House;
use crate::preview::plan;

const TEAM: &str = "team@northmoor.example";
const INNER: &str = "inner@northmoor.example";

/// A change, with its name.
type Step<'a> = (&'a str, &'a dyn Fn(&mut Directory));

/// What a plan of everybody comes to now, and then the run.
async fn agree(house: &House, after: &str) -> Run {
    let preview = house.preview().await;
    let run = house.run().await;
    assert_eq!(preview.planned, run.planned, "after {after}");
    assert_eq!(preview.people, run.people, "after {after}");
    let (whole, part) = (plan(house, &preview).await, plan(house, &run).await);
    assert_eq!(whole, part, "after {after}");
    run
}

/// Everybody of whom something can come has been planned once since it did.
async fn settle(house: &House) {
    house.run().await;
    house.run().await;
    assert!(settled(house).await > 50);
}

async fn settled(house: &House) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM settled")
        .fetch_one(&house.engine.pool)
        .await
        .unwrap()
}

fn change(house: &House, how: impl FnOnce(&mut Directory)) {
    house
        .sandbox
        .change_directory(|directory, _| how(directory));
}

fn group(email: &str, members: Members) -> ScopeGroup {
    ScopeGroup {
        group: GroupRef {
            id: None,
            email: email.to_owned(),
            name: None,
        },
        members,
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn after_whatever_change_a_run_plans_what_a_plan_of_everybody_does(pool: PgPool) {
    let house = House::build(pool).await;
    settle(&house).await;
    agree(&house, "nothing").await;
    let people: Vec<String> = {
        let mut some = Vec::new();
        change(&house, |directory| {
            some = (directory.living())
                .filter(|person| person.suspended_at.is_none())
                .map(|person| person.primary_email.clone())
                .filter(|email| {
                    email.ends_with(PRIMARY_DOMAIN) && email != server::sandbox::ADMINISTRATOR
                })
                .take(12)
                .collect();
        });
        some
    };
    let steps: [Step<'_>; 12] = [
        ("a title", &|d| {
            d.set_title(&people[0], Some("Captain")).unwrap();
        }),
        ("a rename", &|d| {
            let rename = Rename {
                primary_email: Some("renamed@northmoor.example".to_owned()),
                ..Rename::default()
            };
            d.rename(&people[1], rename).unwrap();
        }),
        ("an alias that names the manager", &|d| {
            let relations = json!([{ "type": "manager", "value": people[1] }]);
            d.set_free(&people[2], "relations", Some(&relations))
                .unwrap();
        }),
        ("another manager", &|d| {
            let relations = json!([{ "type": "manager", "value": people[3] }]);
            d.set_free(&people[2], "relations", Some(&relations))
                .unwrap();
        }),
        ("a manager who is not there yet", &|d| {
            let relations =
                json!([{ "type": "manager", "value": "nadia.novak@northmoor.example" }]);
            d.set_free(&people[4], "relations", Some(&relations))
                .unwrap();
        }),
        ("a suspension", &|d| {
            d.suspend(&people[5], crate::house::noon()).unwrap();
        }),
        ("an archived person", &|d| {
            d.archive(&people[6], crate::house::noon()).unwrap();
        }),
        ("the end of a suspension", &|d| {
            d.restore(&people[5]).unwrap();
        }),
        ("the end of the archive", &|d| {
            d.unarchive(&people[6]).unwrap();
        }),
        ("a deletion", &|d| {
            d.delete(&people[7], crate::house::noon()).unwrap();
        }),
        ("a move to another org unit", &|d| {
            let path = d.org_units.keys().map(|unit| d.path_of(unit)).max();
            d.move_to(&people[8], &path.unwrap()).unwrap();
        }),
        ("an org unit's new name", &|d| {
            let path = d.org_units.keys().map(|unit| d.path_of(unit)).max();
            d.rename_org_unit(&path.unwrap(), "Another name").unwrap();
        }),
    ];
    for (what, how) in steps {
        change(&house, how);
        agree(&house, what).await;
        agree(&house, &format!("{what}, once more")).await;
        house.pass(TimeDelta::hours(3));
    }
    // Somebody's manager gets an account: the report follows in the same run.
    change(&house, |directory| {
        let new = NewPerson {
            given_name: "Nadia".to_owned(),
            family_name: "Novak".to_owned(),
            ..NewPerson::default()
        };
        directory.add_person(new, crate::house::noon()).unwrap();
    });
    let run = house.run().await;
    assert_eq!((run.applied.create, run.applied.update), (1, 1));
    house
        .change_config(|config| {
            config.access.org_units.push(OrgUnitAccess {
                path: "/Contractors".to_owned(),
                id: None,
                on: false,
            });
        })
        .await;
    agree(&house, "another configuration").await;
    house.pass(TimeDelta::days(30));
    agree(&house, "a month").await;
}

#[sqlx::test(migrations = "./migrations")]
async fn after_whatever_change_of_groups_a_run_plans_what_a_plan_of_everybody_does(pool: PgPool) {
    let house = House::build_with(
        pool,
        |_| {},
        |config| {
            config.scope.everyone = false;
            config.scope.groups.push(group(TEAM, Members::Nested));
        },
    )
    .await;
    let mut people = Vec::new();
    change(&house, |directory| {
        people = (directory.living())
            .filter(|person| person.suspended_at.is_none())
            .map(|person| person.primary_email.clone())
            .filter(|email| email.ends_with(PRIMARY_DOMAIN))
            .take(6)
            .collect();
        directory.add_group(TEAM, "Team").unwrap();
        directory.add_group(INNER, "Inner").unwrap();
        directory.add_member(TEAM, &people[0]).unwrap();
        directory.add_member(INNER, &people[1]).unwrap();
    });
    settle(&house).await;
    let steps: [Step<'_>; 6] = [
        ("a new member", &|d| d.add_member(TEAM, &people[2]).unwrap()),
        ("a nested group", &|d| d.add_member(TEAM, INNER).unwrap()),
        ("a new member of it", &|d| {
            d.add_member(INNER, &people[3]).unwrap();
        }),
        ("a member who left", &|d| {
            d.remove_member(TEAM, &people[0]).unwrap();
        }),
        ("a member who came back", &|d| {
            d.add_member(TEAM, &people[0]).unwrap();
        }),
        ("a nested group that left", &|d| {
            d.remove_member(TEAM, INNER).unwrap();
        }),
    ];
    for (what, how) in steps {
        change(&house, how);
        agree(&house, what).await;
        agree(&house, &format!("{what}, once more")).await;
        house.pass(TimeDelta::hours(3));
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn who_is_settled_is_not_planned_again_before_the_app_is_read_back(pool: PgPool) {
    let house = House::build(pool).await;
    settle(&house).await;
    // Nobody may change a person like this: it leaves no mark.
    let changed = sqlx::query(
        "UPDATE people SET person = jsonb_set(person, '{name,full}', '\"Somebody Else\"')
         WHERE id = (SELECT person_id FROM settled WHERE rule IS NULL LIMIT 1)",
    )
    .execute(&house.engine.pool)
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    assert_eq!(house.run().await.applied.update, 0);
    sqlx::query("UPDATE apps SET last_drift_at = NULL, turned_on_at = NULL, created_at = $1")
        .bind(house.clock.now() - TimeDelta::days(2))
        .execute(&house.engine.pool)
        .await
        .unwrap();
    assert_eq!(house.run_scheduled().await.applied.update, 1);
}

#[sqlx::test(migrations = "./migrations")]
async fn people_who_come_as_they_came_last_time_are_not_read_into(pool: PgPool) {
    let house = House::build(pool).await;
    house.run().await;
    // What only the database says of somebody stays until Google writes something else of them.
    let forged = "UPDATE people SET full_name = 'Forged' WHERE standing = 'active'";
    let people = sqlx::query(forged)
        .execute(&house.engine.pool)
        .await
        .unwrap();
    let mut email = String::new();
    change(&house, |directory| {
        let person = directory.living().next().unwrap();
        email = person.primary_email.clone();
        directory.set_title(&email, Some("Another title")).unwrap();
    });
    house.run().await;
    let left = "SELECT count(*) FROM people WHERE full_name = 'Forged'";
    let left: i64 = sqlx::query_scalar(left)
        .fetch_one(&house.engine.pool)
        .await
        .unwrap();
    assert_eq!(left, i64::try_from(people.rows_affected()).unwrap() - 1);
}
