//! What is expected to happen to one person's account, as things stand (S6.7).

use chrono::{DateTime, Utc};

use super::{DueStep, Step};

/// When the account is suspended and when it is deleted, unless somebody decides or a cause ends:
/// at most one of each. What is overdue happens now; what is held, or stands still, has no day.
///
/// `steps` are those of [`due_steps`](super::due_steps), the earliest first.
pub fn expected(steps: &[DueStep], now: DateTime<Utc>) -> Vec<(Step, DateTime<Utc>)> {
    let goes_on = |step: &&DueStep| {
        let waits_for_somebody = step.held || (step.under_review && !step.allowed);
        step.is_live() && !step.frozen && !waits_for_somebody
    };
    let first = |wanted: Step| {
        steps
            .iter()
            .filter(goes_on)
            .find(|step| {
                step.step == wanted && (!step.waits_for_suspension || suspends(steps, step))
            })
            .map(|step| step.due_at.max(now))
    };
    let delete = first(Step::Delete);
    // Of a deleted account nothing is left to suspend.
    let suspend = first(Step::Suspend).filter(|at| delete.is_none_or(|delete| *at < delete));
    let found = [(Step::Suspend, suspend), (Step::Delete, delete)];
    found
        .into_iter()
        .filter_map(|(step, at)| Some((step, at?)))
        .collect()
}

/// Whether the suspension that a deletion waits for is expected itself.
fn suspends(steps: &[DueStep], deletion: &DueStep) -> bool {
    steps.iter().any(|step| {
        step.step == Step::Suspend
            && step.trigger == deletion.trigger
            && step.is_live()
            && !step.held
            && (!step.under_review || step.allowed)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Trigger;
    use super::*;
    use chrono::TimeDelta;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    fn step(trigger: Trigger, step: Step, days: i64) -> DueStep {
        DueStep {
            trigger,
            step,
            since: now(),
            due_at: now() + TimeDelta::days(days),
            held: false,
            waived: false,
            allowed: false,
            under_review: false,
            waits_for_suspension: false,
            frozen: false,
        }
    }

    fn days(steps: &[DueStep]) -> Vec<(Step, i64)> {
        expected(steps, now())
            .into_iter()
            .map(|(step, at)| (step, (at - now()).num_days()))
            .collect()
    }

    #[test]
    fn of_two_causes_each_step_is_expected_once_and_at_the_earlier_day() {
        let steps = [
            step(Trigger::AppTurnedOff, Step::Suspend, 1),
            step(Trigger::Suspended, Step::Suspend, 7),
            step(Trigger::Suspended, Step::Delete, 21),
        ];
        assert_eq!(days(&steps), [(Step::Suspend, 1), (Step::Delete, 21)]);
    }

    #[test]
    fn a_deletion_takes_the_place_of_a_later_suspension() {
        let steps = [
            step(Trigger::AppTurnedOff, Step::Delete, 1),
            step(Trigger::Suspended, Step::Suspend, 7),
        ];
        assert_eq!(days(&steps), [(Step::Delete, 1)]);
    }

    #[test]
    fn what_is_overdue_is_expected_now() {
        let steps = [step(Trigger::Suspended, Step::Suspend, -3)];
        assert_eq!(days(&steps), [(Step::Suspend, 0)]);
    }

    #[test]
    fn what_is_held_cancelled_or_stands_still_has_no_day() {
        let suspend = || step(Trigger::Suspended, Step::Suspend, 1);
        let mut deletion = step(Trigger::Suspended, Step::Delete, 21);
        deletion.waits_for_suspension = true;
        let stopped: [fn(&mut DueStep); 4] = [
            |step| step.held = true,
            |step| step.under_review = true,
            |step| step.frozen = true,
            |step| step.waived = true,
        ];
        for stop in stopped {
            let mut first = suspend();
            stop(&mut first);
            assert_eq!(days(std::slice::from_ref(&first)), [], "{first:?}");
        }
        // Nor has a deletion that waits for a suspension which somebody holds.
        let mut held = suspend();
        held.held = true;
        assert_eq!(days(&[held, deletion.clone()]), []);
        let mut allowed = suspend();
        (allowed.under_review, allowed.allowed) = (true, true);
        assert_eq!(
            days(&[allowed, deletion]),
            [(Step::Suspend, 1), (Step::Delete, 21)]
        );
    }
}
