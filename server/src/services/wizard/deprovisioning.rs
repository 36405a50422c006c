//! Step 4: what becomes of an account when its reason ends (S6.1).

use app::api::terms::Trigger as WireTrigger;
use app::api::wizard::{DeprovisioningForm, DeprovisioningStep, Mode, PolicyInput, PolicyView};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use chrono::TimeDelta;
use provisioning::config::{DeprovisioningPolicies, Policy, PolicyProblem, Trigger, Window};

use super::super::apps::{AppServices, commit};
use super::super::setup_draft::Setting;
use super::super::standing::number;
use super::{Section, missing_step, opening, require_sign_in};
use crate::store::lifecycles;
use crate::sync::pending;

impl AppServices {
    pub(super) async fn deprovisioning_step(&self, slug: &str) -> Answer<DeprovisioningStep> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let (head, progress) = opening(&mut db, &setting).await?;
        let ever = self.engine.clock.now() + TimeDelta::days(36_500);
        let spared = pending::protected(&mut db, &setting.app).await?;
        Ok(DeprovisioningStep {
            head,
            progress,
            windows: setting
                .entry
                .windows
                .iter()
                .map(ToString::to_string)
                .collect(),
            policies: policy_views(&setting.deprovisioning()),
            suspending: sentences(&setting.entry.suspend_does),
            deleting: sentences(&setting.entry.delete_does),
            waiting: number(lifecycles::due_before(&mut db, setting.app.id, ever, &spared).await?),
        })
    }

    pub(super) async fn keep_deprovisioning(
        &self,
        actor: &Actor,
        slug: &str,
        form: DeprovisioningForm,
        mode: Mode,
    ) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        require_sign_in(&setting)?;
        let policies = policies(&form, &setting.entry.windows)?;
        self.keep_section(&mut *db, &setting, Section::Deprovisioning(policies), by)
            .await?;
        let ready = match (mode, &setting.config) {
            (Mode::Draft, None) => {
                let setting = Setting::load(&mut *db, slug).await?;
                missing_step(db, &setting).await?.is_none()
            }
            _ => false,
        };
        commit(transaction).await?;
        if ready {
            self.start_planning(by.actor, &setting.app).await?;
        }
        Ok(())
    }
}

/// The three policies of the form, or every sentence of it that can't be carried out.
fn policies(form: &DeprovisioningForm, offered: &[Window]) -> Answer<DeprovisioningPolicies> {
    let mut error = ApiError::new(ErrorCode::Invalid);
    let mut chosen = DeprovisioningPolicies::default();
    for (trigger, input) in [
        (Trigger::AppTurnedOff, &form.app_turned_off),
        (Trigger::Suspended, &form.suspended),
        (Trigger::Deleted, &form.deleted),
    ] {
        match policy(input, offered) {
            Ok(policy) => chosen.set(trigger, policy),
            Err(code) => error = error.and_field(trigger.key(), code),
        }
    }
    error.into_result().map(|()| chosen)
}

fn policy(input: &PolicyInput, offered: &[Window]) -> Result<Policy, FieldCode> {
    let window = |text: &Option<String>| match text.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => {
            let window: Window = text.parse().map_err(|_| FieldCode::WindowUnknown)?;
            if offered.contains(&window) {
                Ok(Some(window))
            } else {
                Err(FieldCode::WindowUnknown)
            }
        }
    };
    Policy::new(window(&input.suspend)?, window(&input.delete)?).map_err(|problem| match problem {
        PolicyProblem::NoStep => FieldCode::NothingChosen,
        PolicyProblem::DeleteNotLater { .. } => FieldCode::DeleteNotAfterSuspend,
        PolicyProblem::UnknownWindow(_) => FieldCode::WindowUnknown,
    })
}

pub(in super::super) fn policy_views(policies: &DeprovisioningPolicies) -> Vec<PolicyView> {
    let text = |window: Option<Window>| window.map(|window| window.to_string()).unwrap_or_default();
    Trigger::ALL
        .into_iter()
        .map(|trigger| {
            let policy = policies.of(trigger);
            PolicyView {
                trigger: match trigger {
                    Trigger::AppTurnedOff => WireTrigger::AppTurnedOff,
                    Trigger::Suspended => WireTrigger::Suspended,
                    Trigger::Deleted => WireTrigger::Deleted,
                },
                suspend: text(policy.suspend()),
                delete: text(policy.delete()),
            }
        })
        .collect()
}

/// One line for each sentence of the catalogue's text.
pub(in crate::services) fn sentences(text: &str) -> Vec<String> {
    text.split_inclusive(". ")
        .map(|sentence| sentence.trim().to_owned())
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(suspend: &str, delete: &str) -> PolicyInput {
        PolicyInput {
            suspend: Some(suspend.to_owned()),
            delete: Some(delete.to_owned()),
        }
    }

    #[test]
    fn each_sentence_that_cannot_be_carried_out_is_named() {
        let form = DeprovisioningForm {
            app_turned_off: input("24h", "21d"),
            suspended: input("", ""),
            deleted: input("7d", "7d"),
        };
        let error = policies(&form, &Window::USUAL).unwrap_err();
        let found: Vec<_> = error
            .fields
            .iter()
            .map(|field| (field.field.as_str(), field.code))
            .collect();
        assert_eq!(
            found,
            [
                ("suspended", FieldCode::NothingChosen),
                ("deleted", FieldCode::DeleteNotAfterSuspend)
            ]
        );
        for unknown in ["3d", "soon", "-1d"] {
            assert_eq!(
                policy(&input(unknown, ""), &Window::USUAL),
                Err(FieldCode::WindowUnknown),
                "{unknown}"
            );
        }
        let good = policy(&input("24h", "1d"), &Window::USUAL).unwrap();
        assert_eq!(good.suspend(), Some(Window::WITHIN_24_HOURS));
    }
}
