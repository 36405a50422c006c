//! Failed tries to prove who somebody is, counted per account and per address, and the delay that
//! grows with them. Passwords and codes count together.

use std::net::IpAddr;

use app::api::{ApiError, ErrorCode};
use app::services::Answer;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use super::answers::database;
use crate::store::sign_in_failures;

/// Failures that cost nothing: everybody mistypes, and an office shares one address.
const FREE_FOR_ACCOUNT: i32 = 3;
const FREE_FOR_ADDRESS: i32 = 10;
const LONGEST_DELAY: TimeDelta = TimeDelta::minutes(15);
/// Failures this old are forgotten.
const MEMORY: TimeDelta = TimeDelta::hours(12);

/// One try, counted as a failure until it turns out to be none.
#[derive(Debug)]
pub struct Try {
    account: String,
    address: Option<String>,
    now: DateTime<Utc>,
}

impl Try {
    /// Counts before anything is looked at, so that parallel guesses gain nothing. A try that comes
    /// too early is not looked at and not counted.
    pub async fn count(
        pool: &PgPool,
        email: &str,
        address: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Answer<Self> {
        let this = Self {
            account: format!("account {email}"),
            address: address.map(|address| format!("address {}", network(address))),
            now,
        };
        let mut transaction = pool.begin().await.map_err(database)?;
        let account = [(&this.account, FREE_FOR_ACCOUNT)];
        let address = this
            .address
            .iter()
            .map(|subject| (subject, FREE_FOR_ADDRESS));
        for (subject, free) in account.into_iter().chain(address) {
            let counted =
                sign_in_failures::count(&mut transaction, subject, now, now - MEMORY).await;
            match counted.map_err(database)? {
                Ok(failures) => {
                    let next = now + delay(failures, free);
                    sign_in_failures::wait_until(&mut transaction, subject, next)
                        .await
                        .map_err(database)?;
                }
                Err(next) => return Err(too_early(next - now)),
            }
        }
        transaction.commit().await.map_err(database)?;
        Ok(this)
    }

    /// All that was asked was right: the account starts anew.
    pub async fn succeeded(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sign_in_failures::clear(&mut *db, &self.account).await?;
        self.take_back_address(&mut *db).await?;
        sign_in_failures::prune(db, self.now - MEMORY).await
    }

    /// What was asked first was right, and more is asked: earlier failures still count.
    pub async fn half_succeeded(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        sign_in_failures::take_back(&mut *db, &self.account, self.now).await?;
        self.take_back_address(db).await
    }

    async fn take_back_address(&self, db: &mut PgConnection) -> Result<(), sqlx::Error> {
        match &self.address {
            Some(subject) => sign_in_failures::take_back(db, subject, self.now).await,
            None => Ok(()),
        }
    }
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
