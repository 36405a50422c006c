//! When removals of an app wait for review, and who is never removed (S9.1, S9.3, S9.6).

use app::api::settings::{
    AppSafety, ProtectedPage, ProtectedPerson, Thresholds, ThresholdsForm, ThresholdsPage,
    UnprotectPage, WaitingStep,
};
use app::api::terms::Role;
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer, Assured, SafetySettings};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use provisioning::config::{AppConfig, PersonRef, Safety, Step, validate_safety};
use provisioning::identity::PersonId;
use provisioning::lifecycle::due_steps;
use sqlx::PgConnection;

use super::apps::{AppServices, commit};
use super::standing::{self, number, person};
use crate::configuration;
use crate::store::apps::{self, App};
use crate::store::pages::people as named_people;
use crate::store::{lifecycles, links, operations, people};
use crate::sync::{inputs, pending};

/// More would be no list that somebody looks after.
const MOST_PROTECTED: usize = 1000;
const FOUND: i64 = 20;
const DAY: TimeDelta = TimeDelta::hours(24);

#[async_trait]
impl SafetySettings for AppServices {
    async fn apps(&self) -> Answer<Vec<AppSafety>> {
        let mut db = self.engine.connection().await?;
        safety_of_apps(&mut db).await
    }

    async fn thresholds(&self, actor: &Actor, slug: &str) -> Answer<ThresholdsPage> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let (app, config) = configured(&mut db, slug).await?;
        let steps = pending::steps(&mut db, &app, now).await?;
        let due = (steps.iter())
            .filter(|one| !one.is_held() && !one.step.allowed && !one.step.frozen)
            .filter(|one| one.step.due_at < now + DAY && !one.step.waits_for_suspension);
        let waiting = (steps.iter()).filter(|one| pending::is_under_review(&one.step));
        let removed = operations::removals_since(&mut db, app.id, now - DAY).await?;
        Ok(ThresholdsPage {
            head: standing::head(&mut db, &app).await?,
            saved: thresholds(&config.safety),
            usual: thresholds(&Safety::default()),
            accounts: number(links::count(&mut db, app.id).await?),
            removed: number(removed.len()),
            due: number(due.count()),
            waiting: number(waiting.count()),
            may_change: may_change(actor),
        })
    }

    async fn save_thresholds(
        &self,
        actor: &Assured,
        slug: &str,
        form: ThresholdsForm,
    ) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let (app, config) = configured(&mut transaction, slug).await?;
        let mut new = config.clone();
        new.safety = typed(&form, config.safety.clone())?;
        configuration::save(
            &mut transaction,
            &app,
            Some(&config),
            &new,
            by,
            "Thresholds",
        )
        .await?;
        commit(transaction).await
    }

    async fn protected(
        &self,
        actor: &Actor,
        slug: &str,
        q: Option<String>,
    ) -> Answer<ProtectedPage> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let (app, config) = configured(&mut db, slug).await?;
        let mut listed = Vec::new();
        for one in &config.safety.protected {
            listed.push(protected_person(&mut db, &app, &config, one, now).await?);
        }
        listed.sort_by_cached_key(|one| one.person.name.to_lowercase());
        let found = match q.as_deref() {
            Some(letters) => named_people::find(&mut db, letters, FOUND).await?,
            None => Vec::new(),
        };
        Ok(ProtectedPage {
            head: standing::head(&mut db, &app).await?,
            people: listed,
            q,
            found: found
                .into_iter()
                .map(|one| person(one.id, one.name, one.email))
                .collect(),
            may_change: may_change(actor),
        })
    }

    async fn protect(&self, actor: &Assured, slug: &str, key: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let (app, config) = configured(&mut transaction, slug).await?;
        let id = PersonId::from(key);
        let known = people::get(&mut transaction, &id).await?;
        let Some(known) = known.filter(|known| !known.purged) else {
            return Err(ApiError::field("person", FieldCode::Unknown));
        };
        let mut new = config.clone();
        // Who is on the list by address only, from a file, gets an id.
        let email = known.person.primary_email.clone();
        let there = (new.safety.protected.iter_mut()).find(|one| match &one.id {
            Some(there) => *there == id,
            None => known.person.has_address(&one.email),
        });
        match there {
            Some(there) => there.id = Some(id),
            None => new.safety.protected.push(PersonRef {
                id: Some(id),
                email,
            }),
        }
        if new.safety.protected.len() > MOST_PROTECTED {
            return Err(ApiError::field("person", FieldCode::OutOfRange));
        }
        save_protected(&mut transaction, &app, &config, &new, by).await?;
        commit(transaction).await
    }

    async fn unprotecting(&self, actor: &Actor, slug: &str, key: &str) -> Answer<UnprotectPage> {
        let now = self.engine.clock.now();
        let mut db = self.engine.connection().await?;
        let (app, config) = configured(&mut db, slug).await?;
        let one = (config.safety.protected.iter())
            .find(|one| key_of(one) == key)
            .ok_or_else(ApiError::not_found)?;
        Ok(UnprotectPage {
            person: protected_person(&mut db, &app, &config, one, now).await?,
            head: standing::head(&mut db, &app).await?,
            now,
            may_change: may_change(actor),
        })
    }

    async fn unprotect(&self, actor: &Assured, slug: &str, key: &str) -> Answer<()> {
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let (app, config) = configured(&mut transaction, slug).await?;
        let mut new = config.clone();
        new.safety.protected.retain(|one| key_of(one) != key);
        if new.safety.protected.len() == config.safety.protected.len() {
            return Err(ApiError::new(ErrorCode::Conflict));
        }
        save_protected(&mut transaction, &app, &config, &new, by).await?;
        commit(transaction).await
    }
}

async fn save_protected(
    db: &mut PgConnection,
    app: &App,
    config: &AppConfig,
    new: &AppConfig,
    by: configuration::By<'_>,
) -> Answer<()> {
    configuration::save(db, app, Some(config), new, by, "Protected people").await?;
    Ok(())
}

/// Every app with its thresholds, in the order of their names.
pub(super) async fn safety_of_apps(db: &mut PgConnection) -> Answer<Vec<AppSafety>> {
    let mut listed = Vec::new();
    for app in apps::list(&mut *db).await? {
        let config = inputs::configuration(&mut *db, &app).await?;
        listed.push(AppSafety {
            slug: app.slug.to_string(),
            name: app.name.clone(),
            protected: number(config.as_ref().map_or(0, |c| c.safety.protected.len())),
            thresholds: config.as_ref().map(|config| thresholds(&config.safety)),
            accounts: number(links::count(&mut *db, app.id).await?),
        });
    }
    Ok(listed)
}

fn may_change(actor: &Actor) -> bool {
    actor.role == Role::SuperAdministrator
}

async fn configured(db: &mut PgConnection, slug: &str) -> Answer<(App, AppConfig)> {
    let app = standing::app(&mut *db, slug).await?;
    let config = inputs::configuration(db, &app)
        .await?
        .ok_or_else(|| ApiError::new(ErrorCode::NotConfigured))?;
    Ok((app, config))
}

fn thresholds(safety: &Safety) -> Thresholds {
    Thresholds {
        count: safety.hold_count,
        percent: safety.hold_percent,
        maximum: safety.hold_max,
        creates: safety.hold_creates,
    }
}

/// The numbers of the form, or every one that is none.
fn typed(form: &ThresholdsForm, saved: Safety) -> Answer<Safety> {
    let mut error = ApiError::new(ErrorCode::Invalid);
    let mut number = |field: &'static str, text: &str| {
        let text = text.trim();
        let code = match text.parse::<u32>() {
            Ok(number) => return number,
            Err(_) if text.is_empty() => FieldCode::Required,
            Err(_) => FieldCode::OutOfRange,
        };
        error = std::mem::replace(&mut error, ApiError::internal()).and_field(field, code);
        0
    };
    let safety = Safety {
        hold_count: number("count", &form.count),
        hold_percent: number("percent", &form.percent),
        hold_max: number("maximum", &form.maximum),
        hold_creates: (form.creates.as_deref()).map(|creates| number("creates", creates)),
        ..saved
    };
    if validate_safety(&safety)
        .iter()
        .any(|problem| problem.field == "safety.hold_percent")
    {
        error = error.and_field("percent", FieldCode::OutOfRange);
    }
    error.into_result().map(|()| safety)
}

/// How forms and addresses call somebody on the list.
fn key_of(one: &PersonRef) -> String {
    one.id
        .as_ref()
        .map_or_else(|| one.email.clone(), ToString::to_string)
}

async fn protected_person(
    db: &mut PgConnection,
    app: &App,
    config: &AppConfig,
    one: &PersonRef,
    now: DateTime<Utc>,
) -> Answer<ProtectedPerson> {
    let id = match &one.id {
        Some(id) => Some(id.clone()),
        None => people::find(&mut *db, &one.email).await?.into_iter().next(),
    };
    let stored = match &id {
        Some(id) => people::get(&mut *db, id).await?,
        None => None,
    };
    let known = stored.filter(|stored| !stored.purged);
    let waiting = match &id {
        Some(id) => waiting(db, app, config, id, now).await?,
        None => Vec::new(),
    };
    let shown = match &known {
        Some(known) => person(
            known.person.id.to_string(),
            known.person.full_name(),
            known.person.primary_email.clone(),
        ),
        None => person(key_of(one), "", one.email.clone()),
    };
    Ok(ProtectedPerson {
        key: key_of(one),
        person: shown,
        known: known.is_some(),
        waiting,
    })
}

/// What would happen to somebody with an account, were they not protected.
async fn waiting(
    db: &mut PgConnection,
    app: &App,
    config: &AppConfig,
    id: &PersonId,
    now: DateTime<Utc>,
) -> Answer<Vec<WaitingStep>> {
    let has_account = links::get(&mut *db, app.id, id)
        .await?
        .is_some_and(|link| link.state.is_live());
    if !has_account {
        return Ok(Vec::new());
    }
    let clocks = lifecycles::get(db, app.id, id).await?;
    let steps = due_steps(&clocks, &config.deprovisioning, now);
    Ok((steps.into_iter())
        .filter(|step| step.is_live())
        .map(|step| WaitingStep {
            operation: standing::step(match step.step {
                Step::Suspend => "suspend",
                Step::Delete => "delete",
            }),
            trigger: standing::trigger(step.trigger.key()),
            due: step.due_at,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_that_is_none_is_named() {
        let form = ThresholdsForm {
            count: String::new(),
            percent: "101".to_owned(),
            maximum: "-1".to_owned(),
            creates: Some("many".to_owned()),
        };
        let error = typed(&form, Safety::default()).unwrap_err();
        let found: Vec<_> = (error.fields.iter())
            .map(|field| (field.field.as_str(), field.code))
            .collect();
        assert_eq!(
            found,
            [
                ("count", FieldCode::Required),
                ("maximum", FieldCode::OutOfRange),
                ("creates", FieldCode::OutOfRange),
                ("percent", FieldCode::OutOfRange),
            ]
        );
    }
}
