//! Triggers, their clocks, and the steps that fall due (S6).
//!
//! Only clocks are stored; when a step is due always follows from the clocks and the policies as
//! they are now, so a changed policy re-dates everything that is pending.

mod decisions;
mod forecast;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::{DeprovisioningPolicies, Policy};
pub use crate::config::{Step, Trigger};
use crate::identity::{Person, Standing};
use crate::plan::LinkState;
use crate::scope::ScopeDecision;
pub use forecast::expected;

/// What is remembered of one person in one app. Default: nothing holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lifecycle {
    /// One clock per trigger that holds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub clocks: BTreeMap<Trigger, Clock>,
    /// Our own suspension, once the app confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Moment>,
    /// Since when the person is archived: all clocks stand still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen_since: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// When an import first saw the cause.
    pub since: DateTime<Utc>,
    /// For how long the clock stood still while the person was archived.
    #[serde(default)]
    pub paused_milliseconds: i64,
    /// Cancelled steps, with when: they do not happen until the cause has ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waived: BTreeMap<Step, Moment>,
    /// Steps that wait until they are released.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<Step>,
    /// Steps to do at once, whatever their time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub now: BTreeMap<Step, Permission>,
    /// Steps that an administrator allowed after they were held by the guard.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub allowed: BTreeMap<Step, Permission>,
    /// Steps that the guard held, until somebody decides or the cause ends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub review: BTreeMap<Step, Review>,
}

/// A decision for one step. It lapses when the policy is no longer the one it was given under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Permission {
    pub at: DateTime<Utc>,
    pub policy: Policy,
}

/// Since when the guard holds a step for review, and why (S9.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    pub since: DateTime<Utc>,
    /// One reason each.
    #[serde(deserialize_with = "one_or_many")]
    pub why: Vec<String>,
}

/// What was held before reasons were kept apart has one text.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Why {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Why::deserialize(deserializer)? {
        Why::One(text) => vec![text],
        Why::Many(reasons) => reasons,
    })
}

/// A moment from which a window counts, and for how long time stood still since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    pub at: DateTime<Utc>,
    #[serde(default)]
    pub paused_milliseconds: i64,
}

impl Moment {
    fn new(at: DateTime<Utc>) -> Self {
        Self {
            at,
            paused_milliseconds: 0,
        }
    }

    fn counted(&self) -> DateTime<Utc> {
        self.at + TimeDelta::milliseconds(self.paused_milliseconds)
    }
}

/// Which causes hold according to one complete import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Causes {
    pub app_turned_off: bool,
    pub suspended: bool,
    pub deleted: bool,
    /// Clocks stand still.
    pub archived: bool,
    /// Nothing can be said: everything stays as it was.
    pub unknown: bool,
}

impl Causes {
    pub fn of(person: &Person, decision: &ScopeDecision) -> Self {
        Self::with_app(!decision.app_on, person)
    }

    /// While nobody can say for whom the app is on, that stays as it was; the other causes don't
    /// depend on it.
    pub fn without_scope(person: &Person, before: &Lifecycle) -> Self {
        Self::with_app(before.clocks.contains_key(&Trigger::AppTurnedOff), person)
    }

    fn with_app(app_turned_off: bool, person: &Person) -> Self {
        Self {
            app_turned_off,
            suspended: person.standing == Standing::Suspended,
            deleted: person.standing == Standing::Deleted,
            archived: person.standing == Standing::Archived,
            unknown: person.standing == Standing::Unknown,
        }
    }

    pub fn holds(&self, trigger: Trigger) -> bool {
        match trigger {
            Trigger::AppTurnedOff => self.app_turned_off,
            Trigger::Suspended => self.suspended,
            Trigger::Deleted => self.deleted,
        }
    }

    pub fn none_holds(&self) -> bool {
        !(self.app_turned_off || self.suspended || self.deleted || self.archived || self.unknown)
    }
}

/// A pending step, with when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DueStep {
    pub trigger: Trigger,
    pub step: Step,
    /// When the trigger was first seen.
    pub since: DateTime<Utc>,
    pub due_at: DateTime<Utc>,
    /// By an administrator, until released.
    pub held: bool,
    /// Cancelled until the cause ends.
    pub waived: bool,
    /// An administrator allowed it, or asked for it now: it is not counted by the guard.
    pub allowed: bool,
    /// Held by the guard; nobody decided yet.
    pub under_review: bool,
    /// A deletion whose suspension has not been confirmed yet; `due_at` is an estimate then.
    pub waits_for_suspension: bool,
    /// The person is archived; `due_at` moves on as long as they are.
    pub frozen: bool,
}

impl DueStep {
    /// Whether it may be carried out at `now`.
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        self.is_live()
            && !self.held
            && !self.waits_for_suspension
            && !self.frozen
            && self.due_at <= now
    }

    /// Whether it fell due before the app was on again and nobody has said yes or no since.
    pub fn is_overdue_since(&self, resumed_at: DateTime<Utc>) -> bool {
        self.is_live()
            && !(self.held || self.allowed || self.under_review || self.frozen)
            && self.due_at < resumed_at
    }

    /// Whether it will happen at all.
    pub fn is_live(&self) -> bool {
        !self.waived
    }
}

/// Takes an import's view of the causes: clocks start, stand still, go on, and end.
pub fn observe(lifecycle: &Lifecycle, causes: Causes, now: DateTime<Utc>) -> Lifecycle {
    let mut next = lifecycle.clone();
    if causes.unknown {
        return next;
    }
    if causes.archived {
        next.frozen_since = next.frozen_since.or(Some(now));
        return next;
    }
    if let Some(since) = next.frozen_since.take() {
        next.stood_still((now - since).num_milliseconds().max(0));
    }
    for trigger in Trigger::ALL {
        // Of a deleted person nothing else can be seen: groups and org unit are gone with them. What
        // was decided about another cause stays, in case they come back with it.
        if causes.deleted && trigger != Trigger::Deleted {
            continue;
        }
        if causes.holds(trigger) {
            next.clocks
                .entry(trigger)
                .or_insert_with(|| Clock::started(now));
        } else {
            next.clocks.remove(&trigger);
        }
    }
    next
}

/// The clocks of somebody with this link, as an import leaves them. Applied again to what is stored
/// by then, it keeps what was decided meanwhile.
pub fn follow(
    lifecycle: &Lifecycle,
    link: Option<LinkState>,
    causes: Causes,
    now: DateTime<Utc>,
) -> Lifecycle {
    let Some(link) = link else {
        return Lifecycle::default();
    };
    let mut next = observe(lifecycle, causes, now);
    // The link is what the app confirmed; the clocks follow it.
    match link {
        LinkState::SuspendedByUs if next.suspension.is_none() => next.suspended(now),
        LinkState::Active => next.suspension_ended(),
        _ => {}
    }
    next
}

/// Every pending step, earliest first; held, waived and waiting ones are among them, marked.
///
/// For a deleted person only the trigger *deleted* counts. A step that was carried out (we hold a
/// confirmed suspension) is not pending.
pub fn due_steps(
    lifecycle: &Lifecycle,
    policies: &DeprovisioningPolicies,
    now: DateTime<Utc>,
) -> Vec<DueStep> {
    let deleted = lifecycle.clocks.contains_key(&Trigger::Deleted);
    let mut steps = Vec::new();
    for (trigger, clock) in &lifecycle.clocks {
        if !deleted || *trigger == Trigger::Deleted {
            lifecycle.steps_of(*trigger, clock, policies.of(*trigger), now, &mut steps);
        }
    }
    steps.sort_by_key(|step| (step.due_at, step.step, step.trigger));
    steps
}

/// The step that is carried out in a run at `now`: the earliest one that is due.
pub fn step_due_now(
    lifecycle: &Lifecycle,
    policies: &DeprovisioningPolicies,
    now: DateTime<Utc>,
) -> Option<DueStep> {
    due_steps(lifecycle, policies, now)
        .into_iter()
        .find(|step| step.is_due(now))
}

/// What becomes of the earliest pending step when the policies change (S6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Redated {
    /// Due now, and was not before.
    AtOnce,
    Earlier,
    Later,
    /// There is no step any more.
    Ended,
    Unchanged,
}

/// Compares the earliest pending step under two sets of policies.
pub fn redate(
    lifecycle: &Lifecycle,
    before: &DeprovisioningPolicies,
    after: &DeprovisioningPolicies,
    now: DateTime<Utc>,
) -> Redated {
    let next = |policies| {
        due_steps(lifecycle, policies, now)
            .into_iter()
            .find(DueStep::is_live)
    };
    match (next(before), next(after)) {
        (None, None) => Redated::Unchanged,
        (Some(_), None) => Redated::Ended,
        (before, Some(after)) => {
            let was_due = before.as_ref().is_some_and(|step| step.is_due(now));
            match before {
                _ if after.is_due(now) && !was_due => Redated::AtOnce,
                None => Redated::Earlier,
                Some(before) => match after.due_at.cmp(&before.due_at) {
                    Ordering::Less => Redated::Earlier,
                    Ordering::Greater => Redated::Later,
                    Ordering::Equal => Redated::Unchanged,
                },
            }
        }
    }
}

impl Clock {
    pub fn started(since: DateTime<Utc>) -> Self {
        Self {
            since,
            paused_milliseconds: 0,
            waived: BTreeMap::new(),
            held: BTreeSet::new(),
            now: BTreeMap::new(),
            allowed: BTreeMap::new(),
            review: BTreeMap::new(),
        }
    }

    fn permitted(
        given: &BTreeMap<Step, Permission>,
        step: Step,
        policy: Policy,
    ) -> Option<DateTime<Utc>> {
        given
            .get(&step)
            .filter(|permission| permission.policy == policy)
            .map(|given| given.at)
    }
}

impl Lifecycle {
    /// Whether any trigger holds.
    pub fn has_trigger(&self) -> bool {
        !self.clocks.is_empty()
    }

    /// The triggers that count: for a deleted person that one alone.
    pub fn triggers(&self) -> Vec<Trigger> {
        if self.clocks.contains_key(&Trigger::Deleted) {
            vec![Trigger::Deleted]
        } else {
            self.clocks.keys().copied().collect()
        }
    }

    /// Whether the guard holds this step and nobody decided yet.
    pub fn is_under_review(&self, trigger: Trigger, step: Step) -> bool {
        self.clocks
            .get(&trigger)
            .is_some_and(|clock| clock.review.contains_key(&step))
    }

    fn stood_still(&mut self, milliseconds: i64) {
        for clock in self.clocks.values_mut() {
            clock.paused_milliseconds += milliseconds;
            for waiver in clock.waived.values_mut() {
                waiver.paused_milliseconds += milliseconds;
            }
        }
        if let Some(suspension) = &mut self.suspension {
            suspension.paused_milliseconds += milliseconds;
        }
    }

    fn steps_of(
        &self,
        trigger: Trigger,
        clock: &Clock,
        policy: Policy,
        now: DateTime<Utc>,
        steps: &mut Vec<DueStep>,
    ) {
        // While archived, the time that is left stays the same.
        let frozen = self.frozen_since.map_or(TimeDelta::zero(), |since| {
            (now - since).max(TimeDelta::zero())
        });
        let start = clock.since + TimeDelta::milliseconds(clock.paused_milliseconds) + frozen;
        let make = |step: Step, due_at: DateTime<Utc>, waits: bool| {
            let asked = Clock::permitted(&clock.now, step, policy);
            DueStep {
                trigger,
                step,
                since: clock.since,
                due_at: asked.map_or(due_at, |asked| asked.min(due_at)),
                held: clock.held.contains(&step),
                waived: clock.waived.contains_key(&step),
                allowed: asked.is_some()
                    || Clock::permitted(&clock.allowed, step, policy).is_some(),
                under_review: clock.review.contains_key(&step),
                waits_for_suspension: waits && asked.is_none(),
                frozen: self.frozen_since.is_some(),
            }
        };
        let suspend_at = policy.suspend().map(|window| start + window.delay());
        if let (Some(suspend_at), None) = (suspend_at, &self.suspension) {
            steps.push(make(Step::Suspend, suspend_at, false));
        }
        let Some(delete) = policy.delete() else {
            return;
        };
        let from_trigger = start + delete.delay();
        let (due_at, waits) = match (policy.suspend(), &self.suspension) {
            (None, _) => (from_trigger, false),
            (Some(suspend), done) => {
                let between = delete.delay() - suspend.delay();
                // A cancelled suspension is not waited for; the time between the two is, so that
                // nobody is deleted by cancelling late.
                let before = done.as_ref().or_else(|| clock.waived.get(&Step::Suspend));
                match before {
                    Some(before) => (from_trigger.max(before.counted() + frozen + between), false),
                    None => {
                        let earliest = suspend_at.unwrap_or(start).max(now) + between;
                        (from_trigger.max(earliest), true)
                    }
                }
            }
        };
        steps.push(make(Step::Delete, due_at, waits));
    }

    /// The app confirmed our suspension.
    pub fn suspended(&mut self, at: DateTime<Utc>) {
        self.suspension = Some(Moment::new(at));
    }

    /// The app confirmed that the account is active again, or the account is gone.
    pub fn suspension_ended(&mut self) {
        self.suspension = None;
    }
}

/// Whether what was read afresh still gives the cause for a removal (S9.2). The decision is made
/// from the freshly read person and the freshly listed groups. `Err` says what is different.
pub fn confirm_cause(
    trigger: Trigger,
    fresh: &Person,
    decision: &ScopeDecision,
) -> Result<(), String> {
    match (fresh.standing, trigger) {
        (Standing::Unknown, _) => {
            Err("Google did not say whether this person is suspended or archived".into())
        }
        (Standing::Archived, _) => Err("the person is archived in Google and not managed".into()),
        (Standing::Deleted, Trigger::Deleted) => Ok(()),
        (Standing::Deleted, _) => {
            Err("the person was deleted from Google, which has its own time frame".into())
        }
        (_, Trigger::Deleted) => Err("the person is not deleted from Google any more".into()),
        (Standing::Suspended, Trigger::Suspended) => Ok(()),
        (_, Trigger::Suspended) => Err("the person is not suspended in Google any more".into()),
        (_, Trigger::AppTurnedOff) if !decision.app_on => Ok(()),
        (_, Trigger::AppTurnedOff) => Err("the app is on for the person again".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Window;

    fn policies(suspend: Option<Window>, delete: Option<Window>) -> DeprovisioningPolicies {
        let mut policies = DeprovisioningPolicies::default();
        policies.set(Trigger::Suspended, Policy::new(suspend, delete).unwrap());
        policies
    }

    #[test]
    fn a_changed_policy_says_what_becomes_due_at_once_earlier_or_later() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let causes = Causes {
            suspended: true,
            ..Causes::default()
        };
        let lifecycle = observe(&Lifecycle::default(), causes, start);
        let now = start + TimeDelta::days(2);
        let seven = policies(Some(Window::SEVEN_DAYS), None);
        let redated = |after: &DeprovisioningPolicies| redate(&lifecycle, &seven, after, now);
        assert_eq!(redated(&seven), Redated::Unchanged);
        assert_eq!(
            redated(&policies(Some(Window::ONE_DAY), None)),
            Redated::AtOnce
        );
        assert_eq!(
            redated(&policies(Some("3d".parse().unwrap()), None)),
            Redated::Earlier
        );
        assert_eq!(
            redated(&policies(Some(Window::TWENTY_ONE_DAYS), None)),
            Redated::Later
        );
        let mut suspended = lifecycle.clone();
        suspended.suspended(now);
        let both = policies(Some(Window::ONE_DAY), Some(Window::SEVEN_DAYS));
        assert_eq!(redate(&suspended, &both, &seven, now), Redated::Ended);
    }

    #[test]
    fn a_lifecycle_that_holds_nothing_is_an_empty_object() {
        assert_eq!(
            serde_json::to_value(Lifecycle::default()).unwrap(),
            serde_json::json!({})
        );
        assert_eq!(
            serde_json::from_str::<Lifecycle>("{}").unwrap(),
            Lifecycle::default()
        );
    }
}
