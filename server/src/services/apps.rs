//! Apps: the catalogue, adding one, its first page, and how people sign in to it.

use app::api::apps::{
    Access, AccessEffect, AccessForm, AddAppForm, AppOverview, AppSignIn, CatalogItem, SignInForm,
    SignInMethod,
};
use app::api::concerned::{Concerned, ConcernedQuery, Lacking, LackingQuery};
use app::api::terms::AppHead;
use app::api::{ApiError, FieldCode};
use app::services::{Actor, Answer, Apps};
use async_trait::async_trait;
use provisioning::catalog::{self, CatalogEntry};
use provisioning::config::Sso;
use provisioning::event::EventName;
use provisioning::identity::AppSlug;
use serde_json::json;
use sqlx::{Postgres, Transaction};
use url::Url;

use super::excuses::target;
use super::home::last_run;
use super::saml::{self, MetadataProblem};
use super::setup_draft::Setting;
use super::standing::{self, number};
use super::{access, census};
use crate::authorization::{endpoint_text, normal_endpoint};
use crate::configuration::{self, By};
use crate::jobs::Queue;
use crate::store::StoreError;
use crate::store::apps::{self, AppState};
use crate::store::{events, links, runs};
use crate::sync::Engine;

const LONGEST_NAME: usize = 60;
const LONGEST_ENDPOINT: usize = 500;

/// Everything about one app: its pages, the wizard, and autoprovisioning.
#[derive(Clone)]
pub struct AppServices {
    pub(super) engine: Engine,
    pub(super) queue: Queue,
    pub(super) censuses: census::Cache,
}

impl AppServices {
    pub fn new(engine: Engine, queue: Queue) -> Self {
        Self {
            engine,
            queue,
            censuses: census::Cache::default(),
        }
    }

    pub(super) fn by<'a>(&self, actor: &'a Actor) -> By<'a> {
        By {
            actor: &actor.email,
            now: self.engine.clock.now(),
        }
    }

    pub(super) async fn begin(&self) -> Answer<Transaction<'static, Postgres>> {
        self.engine
            .pool
            .begin()
            .await
            .map_err(|error| StoreError::from(error).into())
    }
}

pub(super) async fn commit(transaction: Transaction<'static, Postgres>) -> Answer<()> {
    transaction
        .commit()
        .await
        .map_err(|error| StoreError::from(error).into())
}

/// An address that was typed, if Rollcall may talk to it at all.
pub(super) fn endpoint(engine: &Engine, text: &str) -> Answer<Url> {
    if text.len() > LONGEST_ENDPOINT {
        return Err(too_long("endpoint", LONGEST_ENDPOINT));
    }
    let url = normal_endpoint(text).map_err(|_| ApiError::field("endpoint", FieldCode::NotAUrl))?;
    engine
        .outgoing()
        .check(&url)
        .map_err(|refusal| target("endpoint", &refusal))?;
    Ok(url)
}

pub(super) fn too_long(field: &str, longest: usize) -> ApiError {
    let mut error = ApiError::field(field, FieldCode::TooLong);
    error
        .fields
        .iter_mut()
        .for_each(|field| field.args.push(longest.to_string()));
    error
}

#[async_trait]
impl Apps for AppServices {
    async fn catalog(&self) -> Answer<Vec<CatalogItem>> {
        let mut db = self.engine.connection().await?;
        let added = apps::list(&mut db).await?;
        let of = |entry: &CatalogEntry| {
            added
                .iter()
                .filter(|app| app.catalog == entry.key)
                .map(|app| app.name.clone())
                .collect()
        };
        let items = catalog::catalog().iter().map(|entry| CatalogItem {
            id: entry.key.clone(),
            name: entry.name.clone(),
            description: description(entry),
            endpoint: entry.endpoint.clone(),
            added: of(entry),
        });
        Ok(items.collect())
    }

    async fn add(&self, actor: &Actor, form: AddAppForm) -> Answer<String> {
        let entry = catalog::entry(&form.catalog)
            .ok_or_else(|| ApiError::field("catalog", FieldCode::Unknown))?;
        let name = form.name.unwrap_or_else(|| entry.name.clone());
        if name.chars().count() > LONGEST_NAME {
            return Err(too_long("name", LONGEST_NAME));
        }
        if name.chars().any(char::is_control) {
            return Err(ApiError::field("name", FieldCode::Invalid));
        }
        let typed = form.endpoint.or_else(|| entry.endpoint.clone());
        let typed = typed.ok_or_else(|| ApiError::field("endpoint", FieldCode::Required))?;
        let endpoint = endpoint_text(&endpoint(&self.engine, &typed)?);
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        for slug in slugs(&name) {
            if apps::add(
                &mut transaction,
                &slug,
                &entry.key,
                &name,
                &endpoint,
                by.now,
            )
            .await?
            .is_none()
            {
                continue;
            }
            let app = standing::app(&mut transaction, slug.as_str()).await?;
            events::record(
                &mut transaction,
                &by.event(EventName::AppAdded, &app).reason(name),
            )
            .await?;
            commit(transaction).await?;
            return Ok(slug.to_string());
        }
        Err(ApiError::field("name", FieldCode::Taken))
    }

    async fn head(&self, slug: &str) -> Answer<AppHead> {
        let mut db = self.engine.connection().await?;
        let app = standing::app(&mut db, slug).await?;
        standing::head(&mut db, &app).await
    }

    async fn overview(&self, slug: &str) -> Answer<AppOverview> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let app = &setting.app;
        let head = standing::head(&mut db, app).await?;
        let last = runs::list(&mut db, app.id, false, 1)
            .await?
            .into_iter()
            .find(|run| run.state.is_over());
        let accounts = links::count(&mut db, app.id).await?;
        let units = crate::store::groups::org_units(&mut db).await?;
        drop(db);
        let config = setting.saved();
        let census = self.census(app, &config).await?;
        let units_on = census
            .as_ref()
            .map_or(0, |census| access::units_on(census, &units));
        Ok(AppOverview {
            sign_in: sign_in(head.clone(), &setting, self.engine.clock.now()),
            access_people: census.as_ref().map_or(0, |census| census.covered),
            access_units_on: units_on,
            access_units: number(
                units.len() + usize::from(!units.iter().any(|unit| unit.path == "/")),
            ),
            access_groups: number(config.access.groups_on.len()),
            in_scope: census
                .as_ref()
                .filter(|_| setting.config.is_some())
                .map(|census| census.in_scope),
            accounts: number(accounts),
            last_run: last.as_ref().map(last_run),
            next_run: app.next_run_at.filter(|_| app.state == AppState::On),
            head,
        })
    }

    async fn sign_in(&self, slug: &str) -> Answer<AppSignIn> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        let recorded = events::newest(&mut db, slug, EventName::SsoChanged).await?;
        let mut page = sign_in(head, &setting, self.engine.clock.now());
        if let (Some(event), Some(_)) = (recorded, page.method) {
            page.recorded_at = Some(event.time);
            page.recorded_by = Some(event.actor);
        }
        Ok(page)
    }

    async fn save_sign_in(&self, actor: &Actor, slug: &str, form: SignInForm) -> Answer<()> {
        let sso = match form.method {
            SignInMethod::Google => Sso::Google,
            SignInMethod::Saml => self.saml(form.metadata.as_deref())?,
        };
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(db, slug).await?;
        if setting.sso() == Some(&sso) {
            return Ok(());
        }
        let app = &setting.app;
        match &setting.config {
            Some(config) => {
                let new = provisioning::config::AppConfig {
                    sso: Some(sso),
                    ..config.clone()
                };
                configuration::save(db, app, Some(config), &new, by, "Sign-in").await?;
            }
            None => {
                let change = json!([{ "attribute": "sso", "old": setting.sso(), "new": &sso }]);
                let draft = provisioning::config::Draft {
                    sso: Some(sso),
                    ..setting.draft.clone()
                };
                setting.keep(db, &draft, by).await?;
                events::record(db, &by.event(EventName::SsoChanged, app).changes(change)).await?;
            }
        }
        commit(transaction).await
    }

    async fn access(&self, slug: &str) -> Answer<Access> {
        self.access_page(slug).await
    }

    async fn draft_access(&self, actor: &Actor, slug: &str, form: AccessForm) -> Answer<()> {
        self.edit_access(actor, slug, form).await
    }

    async fn access_effect(&self, slug: &str) -> Answer<AccessEffect> {
        self.effect_of_access(slug).await
    }

    async fn save_access(&self, actor: &Actor, slug: &str) -> Answer<()> {
        self.keep_access(actor, slug).await
    }

    async fn discard_access(&self, actor: &Actor, slug: &str) -> Answer<()> {
        self.drop_access(actor, slug).await
    }

    async fn concerned(&self, slug: &str, query: ConcernedQuery) -> Answer<Concerned> {
        self.concerned_page(slug, query).await
    }

    async fn lacking(&self, slug: &str, query: LackingQuery) -> Answer<Lacking> {
        self.lacking_page(slug, query).await
    }
}

impl AppServices {
    fn saml(&self, metadata: Option<&str>) -> Answer<Sso> {
        let xml = metadata.ok_or_else(|| ApiError::field("metadata", FieldCode::Required))?;
        let found = saml::parse(xml).map_err(metadata_refused)?;
        if found
            .certificate_expires
            .is_some_and(|ends| ends <= self.engine.clock.now())
        {
            return Err(ApiError::field("metadata", FieldCode::CertificateExpired));
        }
        Ok(Sso::Saml {
            entity_id: found.entity_id,
            sign_in_url: found.sign_in_url,
            certificate_expires: found.certificate_expires,
        })
    }
}

fn metadata_refused(problem: MetadataProblem) -> ApiError {
    let mut error = ApiError::field("metadata", FieldCode::NotMetadata);
    error
        .fields
        .iter_mut()
        .for_each(|field| field.args.push(problem.code().to_owned()));
    error
}

/// What the catalogue says of an app, in one line.
fn description(entry: &CatalogEntry) -> String {
    match &entry.endpoint {
        Some(_) => format!(
            "Accounts in {} are created, updated, suspended and deleted over SCIM.",
            entry.name
        ),
        None => "Any app that speaks SCIM 2.0; you enter its address.".to_owned(),
    }
}

fn sign_in(head: AppHead, setting: &Setting, now: chrono::DateTime<chrono::Utc>) -> AppSignIn {
    let mut page = AppSignIn {
        head,
        method: None,
        entity_id: None,
        sign_in_url: None,
        certificate_expires: None,
        days_left: None,
        recorded_at: None,
        recorded_by: None,
    };
    match setting.sso() {
        None => {}
        Some(Sso::Google) => page.method = Some(SignInMethod::Google),
        Some(Sso::Saml {
            entity_id,
            sign_in_url,
            certificate_expires,
        }) => {
            page.method = Some(SignInMethod::Saml);
            page.entity_id = Some(entity_id.clone());
            page.sign_in_url = Some(sign_in_url.clone());
            page.certificate_expires = *certificate_expires;
            page.days_left = certificate_expires.map(|ends| standing::days_until(ends, now));
        }
    }
    page
}

/// Lower-case letters, digits and hyphens of a name: "Asana (EU)" becomes `asana-eu`.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 32 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "app".to_owned()
    } else {
        slug.to_owned()
    }
}

/// `asana`, then `asana-2`, `asana-3` and so on.
fn slugs(name: &str) -> impl Iterator<Item = AppSlug> + use<> {
    let base = slug_of(name);
    (1..1000).filter_map(move |n| {
        AppSlug::parse(&if n == 1 {
            base.clone()
        } else {
            format!("{base}-{n}")
        })
        .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_holds_what_a_name_has_of_letters_and_digits() {
        for (name, slug) in [
            ("Asana", "asana"),
            ("Asana (EU)", "asana-eu"),
            ("  Fieldnote  2 ", "fieldnote-2"),
            ("研究", "app"),
            ("İstanbul", "i-stanbul"),
            ("../../etc", "etc"),
            (&"long ".repeat(20), "long-long-long-long-long-long-lo"),
        ] {
            assert_eq!(slug_of(name), slug, "{name}");
            assert!(AppSlug::parse(&slug_of(name)).is_ok());
        }
        let first: Vec<_> = slugs("Asana")
            .take(3)
            .map(|slug| slug.to_string())
            .collect();
        assert_eq!(first, ["asana", "asana-2", "asana-3"]);
    }
}
