//! What one person's account would hold, as it will be sent.

use app::api::wizard::{MappingPreview, PreviewValue};
use app::services::Answer;
use provisioning::config::MappingRow;
use provisioning::identity::{AccountId, Person, PersonId};
use provisioning::mapping::{ManagerAccount, Outcome, PreparedMapping};
use provisioning::plan::LinkState;
use serde_json::Value;
use sqlx::PgConnection;

use super::super::apps::AppServices;
use super::super::excuses::internal;
use super::super::setup_draft::Setting;
use super::super::standing::person;
use super::attributes::label_of;
use crate::store::people;

impl AppServices {
    /// `wanted` is an id, an address or a name; without it the first active person serves.
    pub(super) async fn mapping_preview(
        &self,
        setting: &Setting,
        rows: &[MappingRow],
        wanted: Option<&str>,
    ) -> Answer<Option<MappingPreview>> {
        let mut db = self.engine.connection().await?;
        let Some(id) = whom(&mut db, wanted).await? else {
            return Ok(None);
        };
        let Some(stored) = people::get(&mut db, &id).await? else {
            return Ok(None);
        };
        let someone = &stored.person;
        let manager = manager(&mut db, setting, someone).await?;
        drop(db);
        let mapping = PreparedMapping::new(rows, &setting.entry);
        let mapped = mapping.build(someone, &manager);
        let mut body = mapped.body.clone();
        if let Some(members) = body.as_object_mut() {
            members.insert("active".to_owned(), Value::Bool(true));
        }
        Ok(Some(MappingPreview {
            person: person(
                someone.id.as_str(),
                someone.full_name(),
                someone.primary_email.as_str(),
            ),
            values: (mapped.rows.iter())
                .map(|row| {
                    let (value, note) = shown(&row.outcome);
                    PreviewValue {
                        label: label_of(&setting.entry, &row.attribute),
                        wrong: matches!(row.outcome, Outcome::Problem(_))
                            || (row.mandatory && row.outcome.value().is_none()),
                        value,
                        note,
                    }
                })
                .collect(),
            body: serde_json::to_string_pretty(&body).map_err(internal)?,
        }))
    }
}

async fn whom(db: &mut PgConnection, wanted: Option<&str>) -> Answer<Option<PersonId>> {
    let Some(wanted) = wanted else {
        let first = people::search(db, "", Some("active"), None, 1).await?;
        return Ok(first.into_iter().next().map(|line| PersonId::from(line.id)));
    };
    if let Some(id) = people::find(&mut *db, wanted).await?.into_iter().next() {
        return Ok(Some(id));
    }
    let first = people::search(db, wanted, None, None, 1).await?;
    Ok(first.into_iter().next().map(|line| PersonId::from(line.id)))
}

async fn manager(
    db: &mut PgConnection,
    setting: &Setting,
    someone: &Person,
) -> Answer<ManagerAccount> {
    let Some(reference) = someone.manager_reference() else {
        return Ok(ManagerAccount::None);
    };
    let email = reference.to_owned();
    let found = people::addressed(db, setting.app.id.0, &[email.to_lowercase()])
        .await?
        .pop();
    let live = |state: Option<&str>| {
        state
            .and_then(LinkState::parse)
            .is_some_and(LinkState::is_live)
    };
    Ok(match found {
        None => ManagerAccount::Unresolved {
            email,
            expected: false,
        },
        Some(found) => match found
            .account_id
            .filter(|_| live(found.link_state.as_deref()))
        {
            Some(account) => ManagerAccount::Account(AccountId::from(account)),
            None => ManagerAccount::Unresolved {
                email,
                expected: true,
            },
        },
    })
}

/// A row's value, and what else there is to say about it.
fn shown(outcome: &Outcome) -> (Option<String>, Option<String>) {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match outcome {
        Outcome::Value(value) => (Some(text(value)), None),
        Outcome::Default(value) => (Some(text(value)), Some("default".to_owned())),
        Outcome::Cleared => (None, Some("cleared in the app".to_owned())),
        Outcome::Kept => (None, Some("the app keeps what it has".to_owned())),
        Outcome::AwaitsManager(email) => (
            Some(email.clone()),
            Some("sent once this manager has an account".to_owned()),
        ),
        Outcome::OnServer => (None, None),
        Outcome::Problem(why) => (None, Some(why.clone())),
    }
}
