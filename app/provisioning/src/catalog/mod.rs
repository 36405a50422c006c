//! The app catalogue: what is known of each app, as data (S2.1). A new app is a new file.
//!
//! Code for the browser takes entries from the server instead of calling [`catalog`], so that the
//! files and their parser stay out of the WASM.

mod discovery;
mod read_only;

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::config::{MappingRow, Window};
use crate::mapping::ScimPath;

pub use discovery::attributes_from_schemas;
pub use read_only::ReadOnly;

/// One kind of app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogEntry {
    /// `asana`, `scim`; what `catalog = ` in the configuration file names.
    pub key: String,
    pub name: String,
    /// SCIM base address; `None`: the administrator enters it.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// In the order in which they are shown.
    pub attributes: Vec<CatalogAttribute>,
    /// Whether attributes that are not listed may be mapped too.
    #[serde(default)]
    pub open_attributes: bool,
    pub default_mapping: Vec<MappingRow>,
    /// Offered time frames, shortest first.
    pub windows: Vec<Window>,
    pub limits: Limits,
    pub quirks: Quirks,
    /// How to get the access token, one step per line.
    pub token_help: Vec<String>,
    /// What suspending really does there.
    pub suspend_does: String,
    /// What deleting really does there.
    pub delete_does: String,
    #[serde(default)]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogAttribute {
    /// SCIM path, the key of the mapping.
    pub path: String,
    pub label: String,
    #[serde(default)]
    pub mandatory: bool,
    #[serde(default)]
    pub kind: AttributeKind,
    /// In characters.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// One line below the field.
    #[serde(default)]
    pub hint: Option<String>,
}

/// The JSON type of an attribute (RFC 7643, 2.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    #[default]
    String,
    /// A string that must be an e-mail address.
    Email,
    Boolean,
    Integer,
    Decimal,
    /// The id of another account of the same app (the manager).
    Reference,
}

/// What the app allows; settings may only go below, unless the entry says how far above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub requests_per_minute: u32,
    pub read_concurrency: u32,
    pub write_concurrency: u32,
    /// Where the app is not known, its administrator may know that it bears more.
    #[serde(default)]
    pub most: Option<Most>,
}

/// How far settings may go where the limits are only a careful start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Most {
    pub requests_per_minute: u32,
    pub write_concurrency: u32,
}

impl Limits {
    pub fn most_requests_per_minute(&self) -> u32 {
        self.most
            .map_or(self.requests_per_minute, |most| most.requests_per_minute)
    }

    pub fn most_writes_at_once(&self) -> u32 {
        self.most
            .map_or(self.write_concurrency, |most| most.write_concurrency)
    }

    /// Requests a minute with what was chosen, if anything was.
    pub fn rate(&self, chosen: Option<u32>) -> u32 {
        chosen.map_or(self.requests_per_minute, |chosen| {
            chosen.min(self.most_requests_per_minute())
        })
    }

    /// Writes in flight with what was chosen, if anything was.
    pub fn writes_at_once(&self, chosen: Option<u32>) -> u32 {
        chosen.map_or(self.write_concurrency, |chosen| {
            chosen.min(self.most_writes_at_once())
        })
    }
}

/// How the app differs from RFC 7644. The client reads every one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quirks {
    /// How an account is changed.
    #[serde(default)]
    pub update: UpdateStyle,
    /// Whether a value can only be cleared by PUT, because PATCH adds and replaces only.
    #[serde(default)]
    pub clear_needs_put: bool,
    /// Largest `count` worth asking for.
    #[serde(default = "Quirks::default_page_size")]
    pub page_size: u32,
    /// Whether DELETE leaves an inactive account behind that still holds its userName. Where this
    /// is not said, the first deletion shows it.
    #[serde(default)]
    pub delete_deactivates: bool,
    /// A refusal with one of these words says that no seat or licence is left, whatever its status.
    #[serde(default = "Quirks::default_seat_words")]
    pub seat_words: Vec<String>,
}

impl Quirks {
    fn default_page_size() -> u32 {
        1000
    }

    /// Seen in refusals of apps that sell by the seat.
    pub fn default_seat_words() -> Vec<String> {
        [
            "seat",
            "license",
            "licence",
            "user limit",
            "limit of users",
            "maximum number of users",
            "quota",
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateStyle {
    /// PATCH with one operation and path per attribute (RFC 7644, 3.5.2).
    Patch,
    /// PATCH with one `replace` without a path and an object as value.
    PatchValue,
    /// PUT of the account as read, with the mapped values replaced (RFC 7644, 3.5.1).
    Put,
    /// PATCH first; what the app shows is remembered per app.
    #[default]
    Learn,
}

impl CatalogEntry {
    /// Reads one catalogue file.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The attribute with this path, compared without case.
    pub fn attribute(&self, path: &ScimPath) -> Option<&CatalogAttribute> {
        let wanted = path.key();
        let without_value = wanted.strip_suffix(".value").filter(|_| path.is_manager());
        self.attributes
            .iter()
            .find(|attribute| match ScimPath::parse(&attribute.path) {
                Ok(known) => {
                    let known = known.key();
                    known == wanted || Some(known.as_str()) == without_value
                }
                Err(_) => false,
            })
    }

    /// Those without which no account can be made; marked with an asterisk.
    pub fn mandatory(&self) -> impl Iterator<Item = &CatalogAttribute> {
        self.attributes
            .iter()
            .filter(|attribute| attribute.mandatory)
    }

    /// This entry with attributes that the app told itself (`/Schemas`) added to those it has.
    pub fn with_discovered(mut self, discovered: Vec<CatalogAttribute>) -> Self {
        for attribute in discovered {
            let known =
                ScimPath::parse(&attribute.path).is_ok_and(|path| self.attribute(&path).is_some());
            if !known {
                self.attributes.push(attribute);
            }
        }
        self
    }
}

static ENTRIES: LazyLock<Vec<CatalogEntry>> = LazyLock::new(|| {
    // A test holds that every file parses, so nothing is left out here.
    let mut entries: Vec<CatalogEntry> = FILES
        .iter()
        .filter_map(|(_, text)| CatalogEntry::parse(text).ok())
        .collect();
    // What fits any app comes last.
    entries.sort_by_key(|entry| (entry.endpoint.is_none(), entry.name.clone()));
    entries
});

// The files of this folder: the stem of each, and its text.
include!(concat!(env!("OUT_DIR"), "/catalog.rs"));

/// All entries, in the order in which they are offered.
pub fn catalog() -> &'static [CatalogEntry] {
    &ENTRIES
}

/// The entry with this key.
pub fn entry(key: &str) -> Option<&'static CatalogEntry> {
    catalog().iter().find(|entry| entry.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::validate_mapping;

    #[test]
    fn every_catalogue_file_parses_and_its_default_mapping_is_valid() {
        for (stem, text) in FILES {
            let entry = CatalogEntry::parse(text).unwrap();
            assert_eq!(&entry.key, stem, "the key is the name of the file");
            assert_eq!(
                validate_mapping(&entry.default_mapping, &entry),
                vec![],
                "{}",
                entry.key
            );
            assert!(entry.windows.is_sorted());
            assert!(entry.mandatory().count() > 0);
            for attribute in &entry.attributes {
                let path = ScimPath::parse(&attribute.path).unwrap();
                assert_eq!(path.to_string(), attribute.path);
                assert_eq!(entry.attribute(&path), Some(attribute));
            }
        }
        assert_eq!(catalog().len(), FILES.len());
        let keys: Vec<&str> = catalog().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["asana", "slack", "scim"]);
        assert_eq!(
            entry("asana").map(|e| e.limits.requests_per_minute),
            Some(1500)
        );
    }
}
