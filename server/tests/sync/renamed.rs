//! User names that pass from one person to another.

use server::sandbox::{Call, Failure, Fault, PersonId};
use sqlx::PgPool;

use crate::house::House;
use crate::isolation::{NORA, OTTO, failures, superseded};
use crate::once::newcomer;

pub fn id(house: &House, email: &str) -> PersonId {
    house
        .sandbox
        .directory(|directory| directory.person(email).unwrap().id.clone())
}

/// Gives people each other's addresses, as if their aliases had been removed first.
pub fn readdress(house: &House, changes: &[(&PersonId, &str)]) {
    house
        .sandbox
        .change_directory(|directory, _| {
            for (id, to) in changes {
                directory.people.get_mut(id).unwrap().primary_email = (*to).to_owned();
            }
            Ok::<_, server::sandbox::DirectoryError>(())
        })
        .unwrap();
}

#[sqlx::test(migrations = "./migrations")]
async fn a_chain_of_renames_goes_in_the_order_in_which_names_become_free(pool: PgPool) {
    let house = House::build(pool).await;
    newcomer(&house, NORA);
    newcomer(&house, OTTO);
    house.run().await;
    let (nora, otto) = (id(&house, NORA), id(&house, OTTO));
    let account = |email: &str| house.sandbox.account(email).unwrap().id;
    let (of_nora, of_otto) = (account(NORA), account(OTTO));
    let third = "third.name@northmoor.example";
    // There and back, so that in one of them the order of the people is the wrong one.
    for (for_nora, for_otto) in [(OTTO, third), (NORA, OTTO)] {
        house.sandbox.forget_requests();
        readdress(&house, &[(&nora, for_nora), (&otto, for_otto)]);
        let run = house.run().await;
        assert_eq!((run.applied.update, run.failed, run.scim_writes), (2, 0, 2));
        assert_eq!(account(for_nora), of_nora);
        assert_eq!(account(for_otto), of_otto);
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn people_who_exchange_their_names_are_a_conflict_and_nothing_is_sent(pool: PgPool) {
    let house = House::build(pool).await;
    newcomer(&house, NORA);
    newcomer(&house, OTTO);
    house.run().await;
    house.sandbox.forget_requests();
    let (nora, otto) = (id(&house, NORA), id(&house, OTTO));
    readdress(&house, &[(&nora, OTTO), (&otto, NORA)]);
    let run = house.run().await;
    assert_eq!((run.failed, run.scim_writes), (2, 0));
    let codes: Vec<String> = failures(&house)
        .await
        .into_iter()
        .map(|one| one.code)
        .collect();
    assert_eq!(codes, ["names-in-a-ring", "names-in-a-ring"]);
    assert_eq!(house.run().await.failed, 0, "told once");
}

#[sqlx::test(migrations = "./migrations")]
async fn whoever_takes_a_name_waits_when_its_holder_was_not_renamed(pool: PgPool) {
    let house = House::build(pool).await;
    newcomer(&house, NORA);
    house.run().await;
    let nora = id(&house, NORA);
    readdress(&house, &[(&nora, "nora.married@northmoor.example")]);
    newcomer_at_taken_address(&house);
    let sandbox = &house.sandbox;
    sandbox.inject(Fault::always(
        Call::AccountPatch,
        Failure::Status { status: 400 },
    ));
    sandbox.inject(Fault::always(
        Call::AccountReplace,
        Failure::Status { status: 400 },
    ));
    sandbox.forget_requests();
    let run = house.run().await;
    assert_eq!(
        (run.failed, run.applied.create),
        (1, 0),
        "only the rename failed"
    );
    assert_eq!(sandbox.count(Call::AccountCreate), 0);
    let left = superseded(&house, run.id).await;
    assert_eq!(left, [(NORA.to_owned(), "name-not-free".to_owned())]);
}

/// Somebody new with the address that was Nora's.
fn newcomer_at_taken_address(house: &House) {
    newcomer(house, OTTO);
    readdress(house, &[(&id(house, OTTO), NORA)]);
}
