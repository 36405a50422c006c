//! What administrators and the guard decide about steps (S6.7, S9.1). Each decision is kept with the
//! clock of its trigger, so it ends with the cause.

use chrono::{DateTime, Utc};

use super::{Clock, Lifecycle, Moment, Permission, Review, Step, Trigger};
use crate::config::{DeprovisioningPolicies, Policy};

impl Lifecycle {
    /// Cancels a step until its cause ends. False when the trigger does not hold.
    pub fn waive(&mut self, trigger: Trigger, step: Step, now: DateTime<Utc>) -> bool {
        self.on_clock(trigger, |clock| {
            clock.waived.entry(step).or_insert(Moment::new(now));
            clock.held.remove(&step);
            clock.now.remove(&step);
            clock.allowed.remove(&step);
            clock.review.remove(&step);
        })
    }

    /// Holds a step until it is released.
    pub fn hold(&mut self, trigger: Trigger, step: Step) -> bool {
        self.on_clock(trigger, |clock| {
            clock.held.insert(step);
            clock.now.remove(&step);
        })
    }

    /// Takes a hold or a cancellation back.
    pub fn release(&mut self, trigger: Trigger, step: Step) -> bool {
        self.on_clock(trigger, |clock| {
            clock.held.remove(&step);
            clock.waived.remove(&step);
        })
    }

    /// Makes a step due at once, under the policy as it is now.
    pub fn do_now(
        &mut self,
        trigger: Trigger,
        step: Step,
        policy: Policy,
        now: DateTime<Utc>,
    ) -> bool {
        self.on_clock(trigger, |clock| {
            clock.held.remove(&step);
            clock.waived.remove(&step);
            clock.review.remove(&step);
            clock.now.insert(step, Permission { at: now, policy });
        })
    }

    /// Allows a removal that the guard held, under the policy as it is now.
    pub fn allow(
        &mut self,
        trigger: Trigger,
        step: Step,
        policy: Policy,
        now: DateTime<Utc>,
    ) -> bool {
        self.on_clock(trigger, |clock| {
            clock.review.remove(&step);
            clock.allowed.insert(step, Permission { at: now, policy });
        })
    }

    /// Forgets permissions that were given under another policy: they do not come back with it.
    pub fn drop_lapsed(&mut self, policies: &DeprovisioningPolicies) {
        for (trigger, clock) in &mut self.clocks {
            let policy = policies.of(*trigger);
            clock.now.retain(|_, given| given.policy == policy);
            clock.allowed.retain(|_, given| given.policy == policy);
        }
    }

    /// The guard holds a step until somebody decides. The first reason stays.
    pub fn hold_for_review(
        &mut self,
        trigger: Trigger,
        step: Step,
        now: DateTime<Utc>,
        why: &[String],
    ) -> bool {
        self.on_clock(trigger, |clock| {
            clock.review.entry(step).or_insert_with(|| Review {
                since: now,
                why: why.to_owned(),
            });
        })
    }

    fn on_clock(&mut self, trigger: Trigger, change: impl FnOnce(&mut Clock)) -> bool {
        self.clocks.get_mut(&trigger).map(change).is_some()
    }
}
