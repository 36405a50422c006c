//! Step 5: the first plan, and turning on with exactly it.

use app::api::runs::OperationsQuery;
use app::api::terms::OperationKind;
use app::api::wizard::{OperationGroup, Plan, PlanState, ReviewStep};
use app::api::{ApiError, ErrorCode};
use app::services::{Actor, Answer, Runs as _};
use provisioning::event::EventName;

use super::super::apps::{AppServices, commit};
use super::super::runs::RunsService;
use super::super::setup_draft::Setting;
use super::super::standing::{counts, number};
use super::{missing_step, opening, require_sign_in, step_missing};
use crate::configuration;
use crate::store::apps::{self, App};
use crate::store::runs::{self, NewRun, Run, RunKind, RunState, Stage};
use crate::store::{events, imports, links};
use crate::sync::pending;

/// How many operations of each kind are shown before the whole list.
const SHOWN: usize = 5;

impl AppServices {
    pub(super) async fn review_step(&self, slug: &str) -> Answer<ReviewStep> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let (head, progress) = opening(&mut db, &setting).await?;
        let mut preview = runs::latest_preview(&mut db, setting.app.id).await?;
        let mut overdue = 0;
        if setting.config.is_some() {
            // Before it is turned on again, only a plan that nothing has overtaken.
            let last = runs::list(&mut db, setting.app.id, false, 1).await?.pop();
            preview = preview.filter(|plan| {
                plan.config_version == setting.app.config_version
                    && last.is_none_or(|run| run.number < plan.number)
            });
            let now = self.engine.clock.now();
            let waiting = pending::steps(&mut db, &setting.app, now).await?;
            let due = (waiting.iter()).filter(|one| one.step.is_due(now) && !one.is_held());
            overdue = number(due.count());
        }
        drop(db);
        let plan = match preview {
            None => PlanState::None,
            Some(run) => match run.state {
                RunState::Queued => PlanState::Planning {
                    stage: "Waiting for a worker".to_owned(),
                },
                RunState::Running => PlanState::Planning {
                    stage: match run.stage {
                        Stage::Import => "Reading the directory",
                        Stage::Plan => "Planning",
                        Stage::Check | Stage::Apply | Stage::Record => "Checking the plan",
                    }
                    .to_owned(),
                },
                RunState::Completed | RunState::Held => {
                    PlanState::Ready(Box::new(self.plan(slug, &setting.app, &run).await?))
                }
                RunState::Stopped if run.error_code.as_deref() == Some(runs::OUTDATED) => {
                    PlanState::None
                }
                RunState::Stopped | RunState::Failed => PlanState::Failed {
                    problem: run
                        .error_message
                        .unwrap_or_else(|| "Planning ended early.".to_owned()),
                },
            },
        };
        Ok(ReviewStep {
            head,
            progress,
            plan,
            overdue,
        })
    }

    async fn plan(&self, slug: &str, app: &App, run: &Run) -> Answer<Plan> {
        let mut db = self.engine.connection().await?;
        let import = match run.import_id {
            Some(id) => imports::get(&mut db, imports::ImportId(id)).await?,
            None => None,
        };
        let only_in_app = links::only_in_app(&mut db, app.id, run.id).await?;
        drop(db);
        let service = RunsService {
            engine: self.engine.clone(),
            queue: self.queue.clone(),
        };
        let planned = counts(&run.planned);
        let mut groups = Vec::new();
        for (kind, count) in [
            (OperationKind::Create, planned.create),
            (OperationKind::Link, planned.link),
            (OperationKind::Update, planned.update),
            (OperationKind::Unsuspend, planned.unsuspend),
            (OperationKind::Suspend, planned.suspend),
            (OperationKind::Delete, planned.delete),
        ] {
            if count > 0 {
                let query = OperationsQuery {
                    kind: Some(kind),
                    state: None,
                    page: 1,
                };
                let mut rows = service.operations(slug, run.number, query).await?.rows;
                rows.truncate(SHOWN);
                groups.push(OperationGroup { kind, count, rows });
            }
        }
        let planned_at = run.finished_at.unwrap_or(run.queued_at);
        Ok(Plan {
            number: run.number,
            planned_at,
            directory_read_at: import
                .and_then(|import| import.finished_at)
                .unwrap_or(planned_at),
            everybody: number(run.people),
            // One write each; a link alone sends nothing.
            requests: planned.operations() - planned.link,
            counts: planned,
            groups,
            skipped: service.run(slug, run.number).await?.skipped,
            only_in_app: only_in_app.map(number),
        })
    }

    /// Queues a preview of what is drafted. One that is under way is given up for it.
    pub(super) async fn start_planning(&self, actor: &str, app: &App) -> Answer<()> {
        let mut db = self.engine.connection().await?;
        runs::outdate_previews(&mut db, app.id, self.engine.clock.now()).await?;
        drop(db);
        let new = NewRun {
            app: app.id,
            kind: RunKind::Preview,
            actor,
            config_version: app.config_version,
            // Groups may have been chosen since the directory was read.
            fresh_import: true,
            plan_of: None,
        };
        self.queue.start(&new).await?;
        Ok(())
    }

    pub(super) async fn turn_on_first(&self, actor: &Actor, slug: &str, plan: i64) -> Answer<i64> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        let app = &setting.app;
        if setting.config.is_some() {
            return Err(ApiError::new(ErrorCode::AlreadyOn));
        }
        require_sign_in(&setting)?;
        if let Some(step) = missing_step(&mut *db, &setting).await? {
            return Err(step_missing(step));
        }
        // A changed draft ends its previews, so the newest one, if completed, is of this draft.
        let newest = runs::latest_preview(&mut *db, app.id).await?;
        let Some(preview) =
            newest.filter(|run| run.number == plan && run.state == RunState::Completed)
        else {
            return Err(ApiError::new(ErrorCode::PlanOutdated));
        };
        let config = setting.draft.complete(&setting.entry).map_err(|problems| {
            tracing::warn!(
                problems = problems.len(),
                "a finished set-up is not valid as a whole"
            );
            ApiError::new(ErrorCode::PlanOutdated)
        })?;
        configuration::save(&mut *db, app, None, &config, by, "Set up in the wizard").await?;
        apps::discard_draft(&mut *db, app.id).await?;
        apps::confirm_first_plan(&mut *db, app.id).await?;
        configuration::turn_on(&mut *db, app, by).await?;
        let new = NewRun {
            app: app.id,
            kind: RunKind::Manual,
            actor: by.actor,
            config_version: app.config_version + 1,
            fresh_import: false,
            plan_of: Some(preview.id),
        };
        // Queued with the change, so that no scheduled run comes first; handed out after it.
        let (run, _) = runs::queue(&mut *db, &new, by.now).await?;
        let event = by
            .event(EventName::RunStarted, app)
            .run(run.0)
            .reason("The first run, with the reviewed plan");
        events::record(&mut *db, &event).await?;
        let number = runs::get(db, run).await?.map_or(plan, |run| run.number);
        commit(transaction).await?;
        self.queue.hand_out(run).await?;
        Ok(number)
    }
}
