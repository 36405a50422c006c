//! Reads TOML tables strictly: wrong types and unknown keys become problems with key and line.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FileProblem;

type Node<'t> = &'t Spanned<DeValue<'t>>;

/// Collects problems while tables are read.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) problems: Vec<FileProblem>,
    lines: BTreeMap<String, usize>,
}

/// A table whose keys are taken one by one; what is left over is unknown.
pub(super) struct Table<'t> {
    pub(super) key: String,
    /// In the order of the file.
    entries: Vec<(&'t str, Node<'t>)>,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    pub(super) fn problem(&mut self, code: &'static str, key: &str, message: impl Into<String>) {
        self.problems.push(FileProblem {
            key: key.to_owned(),
            line: self.line_of(key),
            code: code.into(),
            message: message.into(),
        });
    }

    /// The line of a key, or of what it stands in.
    pub(super) fn line_of(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.lines.get(key) {
                return Some(*line);
            }
            let quoted_end = key
                .ends_with('"')
                .then(|| key[..key.len() - 1].rfind(".\""))
                .flatten();
            key = &key[..quoted_end.or_else(|| key.rfind(['.', '[']))?];
        }
    }

    pub(super) fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    /// Opens a table. The keys in it are noted with their lines.
    pub(super) fn open(&mut self, key: String, table: &'t DeTable<'t>) -> Table<'t> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        let entries = entries
            .into_iter()
            .map(|(name, node)| {
                let line = self.line_at(name.span().start);
                let name: &str = name.get_ref();
                self.lines.insert(join(&key, name), line);
                (name, node)
            })
            .collect();
        Table {
            key,
            entries,
            known: Vec::new(),
        }
    }

    /// Says which keys nobody asked for.
    pub(super) fn close(&mut self, table: Table<'t>) {
        for (name, _) in &table.entries {
            if !table.known.contains(name) {
                let key = join(&table.key, name);
                let known = table.known.join(", ");
                self.problem(
                    "unknown-key",
                    &key,
                    format!("there is no such key; known here: {known}"),
                );
            }
        }
    }

    pub(super) fn wrong_type(&mut self, key: &str, wanted: &str, node: Node<'_>) {
        let found = match node.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(
            "wrong-type",
            key,
            format!("{wanted} is wanted here, not {found}"),
        );
    }

    pub(super) fn table(&mut self, table: &mut Table<'t>, name: &'static str) -> Option<Table<'t>> {
        let (key, node) = table.take(name)?;
        self.as_table(key, node)
    }

    pub(super) fn as_table(&mut self, key: String, node: Node<'t>) -> Option<Table<'t>> {
        match node.get_ref() {
            DeValue::Table(inner) => Some(self.open(key, inner)),
            _ => {
                self.wrong_type(&key, "a table", node);
                None
            }
        }
    }

    pub(super) fn text(&mut self, table: &mut Table<'t>, name: &'static str) -> Option<String> {
        let (key, node) = table.take(name)?;
        self.as_text(&key, node)
    }

    pub(super) fn as_text(&mut self, key: &str, node: Node<'t>) -> Option<String> {
        match node.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            DeValue::String(_) => {
                self.problem(
                    "empty",
                    key,
                    "the value is empty; fill it in or remove the key",
                );
                None
            }
            _ => {
                self.wrong_type(key, "text", node);
                None
            }
        }
    }

    pub(super) fn required(&mut self, table: &mut Table<'t>, name: &'static str) -> Option<String> {
        if !table.has(name) {
            let key = join(&table.key, name);
            self.problem("missing-key", &key, "this key is missing; add it");
        }
        self.text(table, name)
    }

    pub(super) fn number(&mut self, table: &mut Table<'t>, name: &'static str) -> Option<u32> {
        let (key, node) = table.take(name)?;
        let DeValue::Integer(number) = node.get_ref() else {
            self.wrong_type(&key, "a whole number", node);
            return None;
        };
        let parsed = u32::from_str_radix(number.as_str(), number.radix()).ok();
        if parsed.is_none() {
            self.problem(
                "out-of-range",
                &key,
                "this is not a whole number from 0 upwards",
            );
        }
        parsed
    }

    pub(super) fn flag(&mut self, table: &mut Table<'t>, name: &'static str) -> Option<bool> {
        let (key, node) = table.take(name)?;
        match node.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type(&key, "true or false", node);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word<T>(
        &mut self,
        table: &mut Table<'t>,
        name: &'static str,
        words: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let (key, node) = table.take(name)?;
        self.as_word(&key, node, words, parse)
    }

    pub(super) fn as_word<T>(
        &mut self,
        key: &str,
        node: Node<'t>,
        words: &[&str],
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let choices = words
            .iter()
            .map(|word| format!("{word:?}"))
            .collect::<Vec<_>>()
            .join(" or ");
        let DeValue::String(text) = node.get_ref() else {
            self.wrong_type(key, &choices, node);
            return None;
        };
        let parsed = parse(text);
        if parsed.is_none() {
            self.problem(
                "unknown-value",
                key,
                format!("{text:?} is not possible; write {choices}"),
            );
        }
        parsed
    }

    /// The items of a list with their keys.
    pub(super) fn list(
        &mut self,
        table: &mut Table<'t>,
        name: &'static str,
    ) -> Vec<(String, Node<'t>)> {
        let Some((key, node)) = table.take(name) else {
            return Vec::new();
        };
        let DeValue::Array(items) = node.get_ref() else {
            self.wrong_type(&key, "a list", node);
            return Vec::new();
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let key = format!("{key}[{index}]");
                self.lines
                    .insert(key.clone(), self.line_at(item.span().start));
                (key, item)
            })
            .collect()
    }

    pub(super) fn texts(&mut self, table: &mut Table<'t>, name: &'static str) -> Vec<String> {
        let items = self.list(table, name);
        items
            .into_iter()
            .filter_map(|(key, node)| self.as_text(&key, node))
            .collect()
    }
}

impl<'t> Table<'t> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(known, _)| *known == name)
    }

    pub(super) fn take(&mut self, name: &'static str) -> Option<(String, Node<'t>)> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(known, _)| *known == name)?;
        Some((join(&self.key, name), node))
    }

    /// All entries of a table whose keys are free, in the order of the file.
    pub(super) fn free(self) -> impl Iterator<Item = (&'t str, String, Node<'t>)> {
        let key = self.key;
        self.entries
            .into_iter()
            .map(move |(name, node)| (name, join(&key, name), node))
    }
}

/// `parent.name`, the name in quotes where TOML wants them.
pub(super) fn join(parent: &str, name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    match (parent.is_empty(), bare) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{name:?}"),
        (false, true) if !parent.ends_with("mapping") && !parent.ends_with("org_units") => {
            format!("{parent}.{name}")
        }
        // Free keys are always shown in quotes.
        (false, _) => format!("{parent}.{name:?}"),
    }
}

/// A TOML value as JSON; dates become text.
pub(super) fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            Value::from(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => {
            Value::Number(serde_json::Number::from_f64(number.as_str().parse().ok()?)?)
        }
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(
            items
                .iter()
                .map(|item| json(item.get_ref()))
                .collect::<Option<_>>()?,
        ),
        DeValue::Table(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}
