//! Step 2: where each attribute of the app comes from.

use std::collections::BTreeMap;

use app::api::edits::MappingLook;
use app::api::wizard::{
    AttributesStep, MappingInput, MappingView, Missing as WireMissing, Mode, SourceGroup,
};
use app::api::{ApiError, ErrorCode, FieldCode};
use app::services::{Actor, Answer};
use provisioning::Problem;
use provisioning::catalog::CatalogEntry;
use provisioning::config::{MappingRow, Missing, Source, validate_mapping};
use provisioning::mapping::{
    ExpressionProblem, SOURCE_CHOICES, ScimPath, SourcePath, check_expression,
};
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
        bounded(&inputs)?;
        let by = self.by(actor);
        let mut transaction = self.begin().await?;
        let db = &mut *transaction;
        let setting = Setting::load(&mut *db, slug).await?;
        require_sign_in(&setting)?;
        let rows: Vec<MappingRow> = inputs.iter().filter_map(row).collect();
        if mode != Mode::Keep {
            refuse(&validate_mapping(&rows, &setting.entry), &inputs)?;
        }
        self.keep_section(db, &setting, Section::Attributes(rows), by)
            .await?;
        commit(transaction).await
    }
}

impl AppServices {
    /// The form's rows for one person, kept nowhere.
    pub(super) async fn mapping_look(
        &self,
        slug: &str,
        inputs: &[MappingInput],
        person: Option<&str>,
    ) -> Answer<MappingLook> {
        bounded(inputs)?;
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        drop(db);
        let rows: Vec<MappingRow> = inputs.iter().filter_map(row).collect();
        let wrong = refuse(&validate_mapping(&rows, &setting.entry), inputs)
            .err()
            .map(|error| error.fields)
            .unwrap_or_default();
        Ok(MappingLook {
            preview: self.mapping_preview(&setting, &rows, person).await?,
            wrong,
        })
    }
}

fn bounded(inputs: &[MappingInput]) -> Answer<()> {
    let too_much =
        |text: &Option<String>| text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT);
    let bounded = inputs.len() <= MOST_ROWS
        && inputs.iter().all(|input| {
            input.attribute.len() <= LONGEST_TEXT
                && input.source.len() <= LONGEST_TEXT
                && !too_much(&input.value)
                && !too_much(&input.default)
        });
    if bounded {
        Ok(())
    } else {
        Err(ApiError::new(ErrorCode::BadRequest))
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
        let place = attribute.and_then(|index| inputs[index].value.as_deref());
        if let (FieldCode::ExpressionInvalid, Some(field)) = (code, error.fields.last_mut()) {
            field.args = place.map(where_it_ends).unwrap_or_default();
        }
    }
    error.into_result()
}

/// Line and character where an expression can no longer be read, or what else is wrong with it.
/// Nothing of its text: this travels in the address.
fn where_it_ends(expression: &str) -> Vec<String> {
    match check_expression(expression.trim()) {
        Ok(()) => Vec::new(),
        Err(ExpressionProblem::Syntax { line, column, .. }) => {
            vec![line.to_string(), column.to_string()]
        }
        Err(ExpressionProblem::Empty) => vec!["empty".to_owned()],
        Err(ExpressionProblem::TooLong(_)) => vec!["too-long".to_owned()],
        Err(ExpressionProblem::TooManyLoops(_)) => vec!["too-many-loops".to_owned()],
    }
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

/// Where a row's value comes from, in the words of the list of sources.
pub(in super::super) fn source_in_words(source: &Source) -> String {
    match source {
        Source::Attribute(path) => SOURCE_CHOICES
            .iter()
            .find(|choice| choice.path == path)
            .map_or_else(|| path.clone(), |choice| choice.label.to_owned()),
        Source::Constant(Value::String(text)) => format!("Constant “{text}”"),
        Source::Constant(value) => format!("Constant “{value}”"),
        Source::Expression(text) => format!("Expression {text}"),
    }
}

/// The catalogue's name of an attribute of this app.
pub(in super::super) fn label_of(entry: &CatalogEntry, attribute: &str) -> String {
    let path = ScimPath::parse(attribute).ok();
    path.and_then(|path| entry.attribute(&path))
        .map_or_else(|| attribute.to_owned(), |known| known.label.clone())
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
        source_words: row
            .map(|row| source_in_words(&row.source))
            .unwrap_or_default(),
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
