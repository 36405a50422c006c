//! How an app stands, as every page that names it says, and the terms of the store in those of
//! the wire.

use app::api::ApiError;
use app::api::terms::{AppHead, Counts, OperationKind, Outcome, Paging, PersonRef, Time, Trigger};
use app::services::Answer;
use provisioning::catalog::{self, CatalogAttribute};
use provisioning::config::{Policy, Sso, Window};
use provisioning::lifecycle::Step;
use sqlx::PgConnection;

use super::app_status::app_status;
use crate::store::apps::{self, App};
use crate::store::pages::Part;
use crate::store::runs;
use crate::sync::inputs;

/// The app with this short name, or `NotFound`.
pub async fn app(db: &mut PgConnection, slug: &str) -> Answer<App> {
    apps::by_slug(db, slug)
        .await?
        .ok_or_else(ApiError::not_found)
}

pub async fn head(db: &mut PgConnection, app: &App) -> Answer<AppHead> {
    let status = app_status(&mut *db, app).await?;
    let draft = begun(&mut *db, app).await?;
    let sign_in_ready = sign_in(db, app).await?.is_some();
    Ok(AppHead {
        slug: app.slug.to_string(),
        name: app.name.clone(),
        catalog: catalog_name(&app.catalog),
        status,
        sign_in_ready,
        draft,
    })
}

/// Whether a set-up was begun and not finished. Sign-in and user access come before it.
async fn begun(db: &mut PgConnection, app: &App) -> Answer<bool> {
    if app.config_version > 0 {
        return Ok(false);
    }
    let draft = inputs::draft(db, app).await?.unwrap_or_default();
    let steps = draft.mapping.is_some() || draft.scope.is_some() || draft.deprovisioning.is_some();
    Ok(steps || app.authorized_at.is_some())
}

/// How people sign in to the app, from the configuration or, before there is one, the draft.
pub async fn sign_in(db: &mut PgConnection, app: &App) -> Answer<Option<Sso>> {
    if let Some(config) = inputs::configuration(&mut *db, app).await? {
        return Ok(config.sso);
    }
    Ok(inputs::draft(db, app).await?.and_then(|draft| draft.sso))
}

/// The catalogue's name of an app's kind.
pub fn catalog_name(key: &str) -> String {
    catalog::entry(key).map_or_else(|| key.to_owned(), |entry| entry.name.clone())
}

/// A count as the wire has it.
pub fn number(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

/// Whole days until then, below zero as soon as it is over.
pub fn days_until(end: Time, now: Time) -> i64 {
    (end - now).num_seconds().div_euclid(86_400)
}

/// The part of a list that is page `page`, counted from 1; nothing typed is the first.
pub fn part(page: u32, per_page: u32) -> Part {
    Part {
        limit: i64::from(per_page),
        offset: i64::from(page.max(1) - 1) * i64::from(per_page),
    }
}

/// A page behind the end is the last one: lists become shorter while somebody looks.
pub fn paging(page: u32, per_page: u32, total: i64) -> Paging {
    let total = number(total);
    let last = total.div_ceil(per_page.max(1)).max(1);
    Paging {
        page: page.clamp(1, last),
        per_page,
        total,
    }
}

/// The last part of a list that ends before the page that was asked for, to be read instead.
pub fn last_instead(page: u32, per_page: u32, total: i64) -> Option<Part> {
    let last = paging(page, per_page, total).page;
    (page > last).then(|| part(last, per_page))
}

/// Letters that are sought. The database takes no NUL; what stands for one is found nowhere.
pub fn sought(typed: String) -> String {
    typed.replace('\0', "\u{fffd}")
}

pub fn counts(counts: &runs::Counts) -> Counts {
    Counts {
        create: number(counts.create),
        link: number(counts.link),
        update: number(counts.update),
        suspend: number(counts.suspend),
        unsuspend: number(counts.unsuspend),
        delete: number(counts.delete),
        unchanged: number(counts.unchanged),
        skipped: number(counts.skipped),
    }
}

pub fn kind(kind: provisioning::plan::OperationKind) -> OperationKind {
    use provisioning::plan::OperationKind as K;
    match kind {
        K::Create => OperationKind::Create,
        K::Link => OperationKind::Link,
        K::Update => OperationKind::Update,
        K::Suspend => OperationKind::Suspend,
        K::Unsuspend => OperationKind::Unsuspend,
        K::Delete => OperationKind::Delete,
    }
}

/// A step of a policy, as stored with the clocks.
pub fn step(word: &str) -> OperationKind {
    match Step::parse(word) {
        Some(Step::Delete) => OperationKind::Delete,
        Some(Step::Suspend) | None => OperationKind::Suspend,
    }
}

pub fn trigger(word: &str) -> Trigger {
    use provisioning::lifecycle::Trigger as T;
    match T::parse(word) {
        Some(T::Suspended) => Trigger::Suspended,
        Some(T::Deleted) => Trigger::Deleted,
        Some(T::AppTurnedOff) | None => Trigger::AppTurnedOff,
    }
}

/// "suspended within 24 hours, deleted after 7 days".
pub fn policy_in_words(policy: Policy) -> String {
    let step = |window: Option<Window>, done: &str| {
        window.map(|window| format!("{done} {}", window.sentence()))
    };
    let steps: Vec<String> = [
        step(policy.suspend(), "suspended"),
        step(policy.delete(), "deleted"),
    ]
    .into_iter()
    .flatten()
    .collect();
    steps.join(", ")
}

pub fn outcome(word: &str) -> Outcome {
    if word == "failed" {
        Outcome::Failed
    } else {
        Outcome::Ok
    }
}

pub fn person(
    id: impl Into<String>,
    name: impl Into<String>,
    email: impl Into<String>,
) -> PersonRef {
    let (name, email) = (name.into(), email.into());
    PersonRef {
        id: id.into(),
        name: if name.is_empty() { email.clone() } else { name },
        email,
    }
}

/// What the catalogue calls an app's attribute; one that no entry lists keeps its path.
pub fn attribute(path: &str) -> String {
    known_attributes()
        .find(|known| known.path == path)
        .map_or_else(|| path.to_owned(), |known| known.label.clone())
}

/// A stored sentence with the catalogue's words in place of paths: of any path that it begins with,
/// and of the long ones of extensions.
pub fn in_words(sentence: &str) -> String {
    const ABOUT_ONE: [&str; 3] = [
        " differs from the directory",
        " is mandatory and has no value",
        " is left as it is",
    ];
    let about = (ABOUT_ONE.iter()).find_map(|said| sentence.split_at_checked(sentence.find(said)?));
    if let Some((path, rest)) = about {
        return format!("{}{rest}", attribute(path));
    }
    if !sentence.contains("urn:") {
        return sentence.to_owned();
    }
    known_attributes()
        .filter(|known| known.path.starts_with("urn:"))
        .fold(sentence.to_owned(), |text, known| {
            text.replace(&known.path, &known.label)
        })
}

fn known_attributes() -> impl Iterator<Item = &'static CatalogAttribute> {
    catalog::catalog()
        .iter()
        .flat_map(|entry| &entry.attributes)
}

#[cfg(test)]
mod tests {
    use super::{attribute, days_until, in_words, last_instead, paging, part};
    use app::words::certificate;
    use chrono::{DateTime, TimeDelta};

    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";

    #[test]
    fn a_page_behind_the_end_is_the_last_one() {
        let asked = [(0, 0), (9, 0), (2, 50), (2, 51), (u32::MAX, 101)];
        let pages = asked.map(|(page, total)| paging(page, 50, total).page);
        assert_eq!(pages, [1, 1, 1, 2, 3]);
        assert_eq!(last_instead(2, 50, 51), None);
        assert_eq!(last_instead(2, 50, 50), Some(part(1, 50)));
    }

    #[test]
    fn a_certificate_has_expired_as_soon_as_its_time_is_over() {
        let now = DateTime::UNIX_EPOCH;
        let said = |hours| certificate(days_until(now + TimeDelta::hours(hours), now));
        assert_eq!(said(-5), "has expired");
        assert_eq!(said(5), "expires within a day");
        assert_eq!(said(30), "expires in 1 day");
        assert_eq!(said(72), "expires in 3 days");
    }

    #[test]
    fn attributes_are_named_as_in_the_catalogue() {
        assert!(!attribute(MANAGER).contains("urn:"));
        assert_eq!(attribute("x.unheardOf"), "x.unheardOf");
        let sentence = in_words(&format!("{MANAGER} differs from the directory"));
        assert_eq!(
            sentence,
            format!("{} differs from the directory", attribute(MANAGER))
        );
        assert_eq!(
            in_words("preferredLanguage differs from the directory"),
            "Language differs from the directory"
        );
        assert_eq!(
            in_words("x.unheardOf differs from the directory"),
            "x.unheardOf differs from the directory"
        );
        assert_eq!(in_words("Suspended in Google"), "Suspended in Google");
    }
}
