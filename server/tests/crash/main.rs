//! Rollcall is killed with SIGKILL at any instant, again and again, while people come, change and
//! go and both sides fail; in the end each account is right, once, and so is the log.
//!
//! `make test` does a few kills, `make soak` hundreds. The seed is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can not go on stops"
)]

mod app;
mod ledger;
#[path = "../program/mod.rs"]
mod program;
mod proof;
#[allow(dead_code, reason = "the tests of interoperability use the rest")]
#[path = "../interoperability/python.rs"]
mod python;
#[allow(dead_code, reason = "the tests of interoperability use the rest")]
#[path = "../interoperability/recorder.rs"]
mod recorder;

use app::App;
use program::chance::in_full;
use proof::Proof;
use sqlx::PgPool;

/// Kills in each round, after which everything is compared.
const ROUND: u32 = 20;

/// Kills as often as asked, and compares after each round.
async fn prove(mut proof: Proof, kills: u32) {
    while proof.kills < kills {
        let round = (proof.kills + ROUND).min(kills);
        while proof.kills < round {
            proof.disturb();
            proof.run_and_kill().await;
        }
        proof.settle().await;
        proof.compare().await;
        println!("crash: {}", proof.so_far());
    }
}

#[sqlx::test(migrations = "./migrations")]
async fn whatever_is_killed_each_account_and_event_is_there_once_in_the_emulated_app(pool: PgPool) {
    let people = 300;
    let proof = Proof::begin(pool, people, App::emulated).await;
    prove(proof, if in_full() { 200 } else { 8 }).await;
}

#[sqlx::test(migrations = "./migrations")]
async fn whatever_is_killed_each_account_and_event_is_there_once_in_an_app_from_pypi(pool: PgPool) {
    let people = if in_full() { 200 } else { 80 };
    let proof = Proof::begin(pool, people, App::foreign).await;
    prove(proof, if in_full() { 40 } else { 4 }).await;
}
