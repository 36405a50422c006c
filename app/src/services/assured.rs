//! What needs more than a session: the proof that it is really them (S13).

use super::Actor;
use chrono::{DateTime, TimeDelta, Utc};
use std::ops::Deref;

/// How long a confirmation of who somebody is holds, in the session in which it was given.
pub const FRESH_FOR: TimeDelta = TimeDelta::minutes(10);

/// Processes whose clocks differ by less believe each other.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(1);

/// Somebody who proved a short while ago who they are. What asks for one can't be done without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assured(Actor);

/// That an [`Assured`] was there, for a choice of which only one side needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof(());

impl Assured {
    /// `None` when the session's last confirmation is too old, or there was none.
    #[must_use]
    pub fn by_confirmation(
        actor: Actor,
        confirmed_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let age = now - confirmed_at?;
        (-CLOCKS_DIFFER..FRESH_FOR)
            .contains(&age)
            .then_some(Self(actor))
    }

    /// The demo asks nobody.
    #[must_use]
    pub fn in_demo(actor: Actor) -> Self {
        Self(actor)
    }

    #[must_use]
    pub fn proof(&self) -> Proof {
        Proof(())
    }
}

impl Deref for Assured {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::terms::Role;

    #[test]
    fn a_confirmation_holds_for_ten_minutes_and_not_before_it_was_given() {
        let actor = Actor {
            id: uuid::Uuid::from_u128(1),
            email: "ada@example.com".to_owned(),
            role: Role::SuperAdministrator,
        };
        let at = DateTime::from_timestamp(1_800_000_000, 0);
        let after = |seconds| {
            let now = at.unwrap_or_default() + TimeDelta::seconds(seconds);
            Assured::by_confirmation(actor.clone(), at, now).is_some()
        };
        assert!(after(0) && after(599) && after(-59));
        assert!(!after(600) && !after(-61));
        assert_eq!(
            Assured::by_confirmation(actor.clone(), None, at.unwrap_or_default()),
            None
        );
    }
}
