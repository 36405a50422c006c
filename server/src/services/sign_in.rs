//! Signing in and out, with a delay that grows by failure, per account and per address.

use std::net::IpAddr;
use std::sync::Arc;

use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer, RequestContext, Secret, SignIn};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use provisioning::event::EventName;
use serde_json::json;
use sqlx::PgPool;

use super::answers::{database, hashing, store};
use super::{email, passwords};
use crate::clock::Clock;
use crate::store::administrators::{self, Administrator};
use crate::store::events::{self, NewEvent};
use crate::store::{StoreError, sign_in_failures};

/// Failures that cost nothing: everybody mistypes, and an office shares one address.
const FREE_FOR_ACCOUNT: i32 = 3;
const FREE_FOR_ADDRESS: i32 = 10;
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);
/// Failures this old are forgotten.
const MEMORY: TimeDelta = TimeDelta::hours(12);

#[derive(Clone, Debug)]
pub struct SignInService {
    pool: PgPool,
    clock: Arc<dyn Clock>,
}

impl SignInService {
    pub fn new(pool: PgPool, clock: Arc<dyn Clock>) -> Self {
        Self { pool, clock }
    }

    /// Counts the try as a failure before the password is looked at, so that parallel guesses
    /// gain nothing. A try that comes too early is not looked at and not counted.
    async fn count(&self, subjects: &[(String, i32)], now: DateTime<Utc>) -> Answer<()> {
        let mut transaction = self.pool.begin().await.map_err(database)?;
        for (subject, free) in subjects {
            let counted =
                sign_in_failures::count(&mut transaction, subject, now, now - MEMORY).await;
            match counted.map_err(database)? {
                Ok(failures) => {
                    let next = now + delay(failures, *free);
                    sign_in_failures::wait_until(&mut transaction, subject, next)
                        .await
                        .map_err(database)?;
                }
                Err(next) => return Err(too_early(next - now)),
            }
        }
        transaction.commit().await.map_err(database)
    }

    async fn succeed(
        &self,
        subjects: &[(String, i32)],
        actor: &Actor,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for (index, (subject, _)) in subjects.iter().enumerate() {
            if index == 0 {
                sign_in_failures::clear(&mut transaction, subject).await?;
            } else {
                sign_in_failures::take_back(&mut transaction, subject, now).await?;
            }
        }
        sign_in_failures::prune(&mut transaction, now - MEMORY).await?;
        administrators::signed_in(&mut transaction, actor.id, now).await?;
        events::record(
            &mut transaction,
            &NewEvent::new(now, EventName::SignIn, &actor.email),
        )
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// An e-mail that nobody has is not kept: it may be a password in the wrong field.
    async fn fail(
        &self,
        known: Option<&Administrator>,
        request: &RequestContext,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let mut db = self.pool.acquire().await?;
        let actor = known.map_or("unknown", |administrator| &administrator.email);
        let address = request.address.map(|address| address.to_string());
        let event = NewEvent::new(now, EventName::FailedSignIn, actor)
            .failed("wrong-credentials", "The e-mail or the password is wrong.")
            .detail(json!({ "address": address }));
        events::record(&mut db, &event).await?;
        Ok(())
    }
}

#[async_trait]
impl SignIn for SignInService {
    async fn sign_in(
        &self,
        request: &RequestContext,
        email: String,
        password: Secret,
    ) -> Answer<Actor> {
        let now = self.clock.now();
        let email = email::normalize(&email).ok_or_else(wrong)?;
        let mut subjects = vec![(format!("account {email}"), FREE_FOR_ACCOUNT)];
        if let Some(address) = request.address {
            subjects.push((format!("address {}", network(address)), FREE_FOR_ADDRESS));
        }
        self.count(&subjects, now).await?;
        let mut db = self.pool.acquire().await.map_err(database)?;
        let found = administrators::with_password(&mut db, &email)
            .await
            .map_err(database)?;
        drop(db);
        let (administrator, hash) = found.unzip();
        let right = passwords::verify(password.reveal().into(), hash)
            .await
            .map_err(hashing)?;
        match administrator {
            Some(administrator) if right => {
                let actor = super::actor(&administrator);
                self.succeed(&subjects, &actor, now).await.map_err(store)?;
                request.session.start(&actor).await?;
                Ok(actor)
            }
            known => {
                self.fail(known.as_ref(), request, now)
                    .await
                    .map_err(store)?;
                Err(wrong())
            }
        }
    }

    async fn sign_out(&self, request: &RequestContext, actor: &Actor) -> Answer<()> {
        request.session.end().await?;
        let mut db = self.pool.acquire().await.map_err(database)?;
        let event = NewEvent::new(self.clock.now(), EventName::SignOut, &actor.email);
        events::record(&mut db, &event).await.map_err(store)?;
        Ok(())
    }
}

fn wrong() -> ApiError {
    ApiError::new(ErrorCode::WrongCredentials)
}

fn too_early(wait: TimeDelta) -> ApiError {
    let seconds = (wait.num_milliseconds().max(1) + 999) / 1000;
    ApiError::new(ErrorCode::TooManyAttempts).with(seconds)
}

/// Nothing, then 1, 2, 4 ... seconds.
fn delay(failures: i32, free: i32) -> TimeDelta {
    let Some(doublings) = u32::try_from(failures - free - 1).ok() else {
        return TimeDelta::zero();
    };
    TimeDelta::seconds(1_i64.checked_shl(doublings.min(40)).unwrap_or(i64::MAX)).min(LONGEST_DELAY)
}

/// Whoever has one IPv6 address has the whole network of it.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_after_the_free_failures_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<_> = (1..=8).map(|count| delay(count, 3).num_seconds()).collect();
        assert_eq!(seconds, [0, 0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(delay(i32::MAX, 3), LONGEST_DELAY);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_together() {
        let one: IpAddr = "2001:db8:1:2::a".parse().unwrap();
        let other: IpAddr = "2001:db8:1:2:ffff::b".parse().unwrap();
        assert_eq!(network(one), network(other));
    }
}
