//! Step 2: where each attribute of the app comes from.

use std::collections::BTreeMap;

use app::api::wizard::{
    AttributesStep, MappingInput, MappingView, Missing as WireMissing, Mode, SourceGroup,
};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use provisioning::Problem;
use provisioning::catalog::CatalogEntry;
use provisioning::config::{MappingRow, Missing, Source, validate_mapping};
use provisioning::mapping::{SOURCE_CHOICES, ScimPath, SourcePath};
use serde_json::Value;

use super::super::apps::{AppServices, commit};
use super::super::census::Census;
use super::super::setup_draft::Setting;
use super::{Section, opening, require_sign_in};
use crate::connectors::Learned;
use crate::store::apps::App;
use crate::store::people;

const CONSTANT: &str = "constant";
const EXPRESSION: &str = "expression";
const MOST_ROWS: usize = 500;
const LONGEST_TEXT: usize = 4000;

impl AppServices {
    pub(super) async fn attributes_step(
        &self,
        slug: &str,
        preview: Option<&str>,
    ) -> Answer<AttributesStep> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let (head, progress) = opening(&mut db, &setting).await?;
        let custom = people::custom_attributes(&mut db).await?;
        drop(db);
        let rows = setting.mapping();
        let census = self.census(&setting.app, &setting.effective()).await?;
        Ok(AttributesStep {
            head,
            progress,
            rows: mapping_views(&rows, &setting.entry, &setting.app, census.as_deref()),
            sources: sources(&rows, custom),
            expressions: true,
            preview: self.mapping_preview(&setting, &rows, preview).await?,
            notes: setting.entry.notes.clone(),
        })
    }

    pub(super) async fn keep_attributes(
        &self,
        actor: &Actor,
        slug: &str,
        inputs: Vec<MappingInput>,
        mode: Mode,
    ) -> Answer<()> {
        let too_much =
            |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT);
        let bounded = inputs.len() <= MOST_ROWS
            && inputs.iter().all(|input| {
                input.attribute.len() <= LONGEST_TEXT
                    && input.source.len() <= LONGEST_TEXT
                    && !too_much(&input.value)
                    && !too_much(&input.default)
            });
        if !bounded {
            return Err(ApiError::new(ErrorCode::BadRequest));
        }
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        require_sign_in(&setting)?;
        let rows: Vec<MappingRow> = inputs.iter().filter_map(row).collect();
        if mode != Mode::Keep {
            refuse(&validate_mapping(&rows, &setting.entry), &inputs)?;
        }
        self.keep_section(db, &setting, mode, Section::Attributes(rows), by)
            .await?;
        commit(transaction).await
    }
}

/// A row of the form as it is kept; `None`: the attribute is not sent.
fn row(input: &MappingInput) -> Option<MappingRow> {
    let value = || input.value.clone().unwrap_or_default().trim().to_owned();
    let source = match input.source.trim() {
        "" => return None,
        CONSTANT => Source::Constant(Value::String(value())),
        EXPRESSION => Source::Expression(value()),
        path => Source::Attribute(path.to_owned()),
    };
    Some(MappingRow {
        attribute: input.attribute.trim().to_owned(),
        source,
        missing: match input.missing {
            WireMissing::Keep => Missing::Keep,
            WireMissing::Clear => Missing::Clear,
            WireMissing::Default => Missing::Default(Value::String(
                input.default.clone().unwrap_or_default().trim().to_owned(),
            )),
        },
    })
}

/// Problems of the rules on the form's controls.
fn refuse(problems: &[Problem], inputs: &[MappingInput]) -> Answer<()> {
    let key = |attribute: &str| {
        ScimPath::parse(attribute).map_or_else(|_| attribute.to_owned(), |path| path.key())
    };
    let mut error = ApiError::new(ErrorCode::Invalid);
    for problem in problems {
        let attribute = inputs
            .iter()
            .rposition(|input| problem.field == format!("mapping.{:?}", input.attribute.trim()))
            .or_else(|| {
                let named = problem.field.strip_prefix("mapping.")?;
                let named: String = serde_json::from_str(named).ok()?;
                inputs
                    .iter()
                    .position(|input| key(input.attribute.trim()) == key(&named))
            });
        let (control, code) = match problem.code() {
            "mandatory-unmapped" => ("source", FieldCode::MandatoryUnmapped),
            "mapped-twice" => ("source", FieldCode::MappedTwice),
            "bad-source" => ("source", FieldCode::SourceUnknown),
            "constant-empty" => ("value", FieldCode::ConstantMissing),
            "constant-unusable" => ("value", FieldCode::Invalid),
            "default-empty" => ("default", FieldCode::DefaultMissing),
            "default-unusable" => ("default", FieldCode::Invalid),
            code if code.starts_with("expression") => ("value", FieldCode::ExpressionInvalid),
            _ => ("source", FieldCode::Invalid),
        };
        // An attribute that the form does not even have can't be mapped in it.
        let index = attribute.map_or_else(|| inputs.len().to_string(), |index| index.to_string());
        error = error.and_field(format!("rows[{index}][{control}]"), code);
    }
    error.into_result()
}

/// The app's attributes in the order of the catalogue, then what is mapped besides.
pub(in super::super) fn mapping_views(
    rows: &[MappingRow],
    entry: &CatalogEntry,
    app: &App,
    census: Option<&Census>,
) -> Vec<MappingView> {
    let key = |attribute: &str| {
        ScimPath::parse(attribute).map_or_else(|_| attribute.to_owned(), |path| path.key())
    };
    let mut mapped: BTreeMap<String, &MappingRow> =
        rows.iter().map(|row| (key(&row.attribute), row)).collect();
    let mut views: Vec<MappingView> = entry
        .attributes
        .iter()
        .map(|attribute| {
            let mut view = view(
                &attribute.path,
                mapped.remove(&key(&attribute.path)),
                census,
            );
            view.label = attribute.label.clone();
            view.mandatory = attribute.mandatory;
            view.hint = attribute.hint.clone();
            view
        })
        .collect();
    views.extend(
        mapped
            .into_values()
            .map(|row| view(&row.attribute, Some(row), census)),
    );
    name_what_is_not_kept(&mut views, app);
    views
}

/// Says beside a row that the app took its value and did not keep it.
fn name_what_is_not_kept(views: &mut [MappingView], app: &App) {
    let learned = serde_json::from_value::<Learned>(app.learned.clone()).unwrap_or_default();
    for view in views {
        let said = if learned.refuses(&view.attribute) {
            format!(
                "{} refuses accounts with this attribute, so it is not sent.",
                app.name
            )
        } else if (learned.not_kept.iter()).any(|path| same_attribute(&view.attribute, path)) {
            format!("{} does not keep this value as it is sent.", app.name)
        } else {
            continue;
        };
        view.hint = Some(match view.hint.take() {
            Some(hint) => format!("{hint} {said}"),
            None => said,
        });
    }
}

fn same_attribute(a: &str, b: &str) -> bool {
    let path = |text: &str| ScimPath::parse(text).ok();
    match (path(a), path(b)) {
        (Some(a), Some(b)) => a.same_as(&b),
        _ => a == b,
    }
}

fn view(attribute: &str, row: Option<&MappingRow>, census: Option<&Census>) -> MappingView {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let (source, value) = match row.map(|row| &row.source) {
        None => (String::new(), None),
        Some(Source::Attribute(path)) => (path.clone(), None),
        Some(Source::Constant(constant)) => (CONSTANT.to_owned(), Some(text(constant))),
        Some(Source::Expression(expression)) => (EXPRESSION.to_owned(), Some(expression.clone())),
    };
    let (missing, default) = match row.map(|row| &row.missing) {
        Some(Missing::Keep) => (WireMissing::Keep, None),
        Some(Missing::Clear) | None => (WireMissing::Clear, None),
        Some(Missing::Default(value)) => (WireMissing::Default, Some(text(value))),
    };
    let covered = row.zip(census).map(|(row, census)| {
        let path = ScimPath::parse(&row.attribute)
            .map_or_else(|_| row.attribute.clone(), |path| path.to_string());
        (
            census.with_value.get(&path).copied().unwrap_or_default(),
            census.in_scope,
        )
    });
    MappingView {
        attribute: row
            .map_or(attribute, |row| row.attribute.as_str())
            .to_owned(),
        label: attribute.to_owned(),
        mandatory: false,
        source,
        value,
        missing,
        default,
        hint: None,
        covered,
    }
}

/// Directory attributes by kind; those that only this directory has come last.
fn sources(rows: &[MappingRow], custom: Vec<(String, String)>) -> Vec<SourceGroup> {
    let group_of = |path: &str| match path.split(['.', '[']).next().unwrap_or_default() {
        "organizations" | "relations" | "externalIds" => "Work",
        "phones" | "emails" | "addresses" | "languages" => "Contact",
        "customSchemas" => "Custom attributes",
        _ => "Person",
    };
    let mut options: Vec<(String, String)> = SOURCE_CHOICES
        .iter()
        .map(|choice| (choice.path.to_owned(), choice.label.to_owned()))
        .collect();
    options.extend(custom.into_iter().filter_map(|(schema, field)| {
        let path = format!("customSchemas.{schema}.{field}");
        SourcePath::parse(&path).ok()?;
        Some((path, format!("{schema}, {field}")))
    }));
    for row in rows {
        if let Source::Attribute(path) = &row.source
            && !options.iter().any(|(known, _)| known == path)
        {
            options.push((path.clone(), path.clone()));
        }
    }
    ["Person", "Work", "Contact", "Custom attributes"]
        .into_iter()
        .map(|label| SourceGroup {
            label: label.to_owned(),
            options: options
                .iter()
                .filter(|(path, _)| group_of(path) == label)
                .cloned()
                .collect(),
        })
        .filter(|group| !group.options.is_empty())
        .collect()
}
