//! The configuration file (S12.4): TOML, read strictly and written so that applying an export
//! changes nothing.
//!
//! Paths and the names of environment variables are handed on as they stand; this crate opens no
//! file and reads no environment.

mod app;
mod reader;
mod render;
mod sections;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AppConfig;
use crate::identity::AppSlug;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigFile {
    /// `[directory.google]`; absent: the stored connection stays.
    pub directory: Option<DirectoryFile>,
    /// `[[app]]`, in the order of the file.
    pub apps: Vec<AppFile>,
}

/// `[directory.google]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryFile {
    /// Path of the key, relative to the file; absent: the stored key stays.
    pub service_account_file: Option<String>,
    pub admin_email: String,
    pub customer: String,
    pub endpoint: String,
}

impl DirectoryFile {
    pub const DEFAULT_CUSTOMER: &'static str = "my_customer";
    pub const DEFAULT_ENDPOINT: &'static str = "https://admin.googleapis.com";
}

/// One `[[app]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppFile {
    pub slug: AppSlug,
    /// Key of the catalogue entry.
    pub catalog: String,
    pub name: String,
    /// SCIM base address, from the catalogue unless the file has one.
    pub endpoint: String,
    /// Absent: the stored token stays.
    pub token: Option<TokenSource>,
    /// `autoprovisioning = "on"`; off by default.
    pub autoprovisioning: bool,
    /// SAML metadata to read, relative to the file. `config.sso` is `None` then, until the caller
    /// has read it.
    pub sso_metadata_file: Option<String>,
    /// Ids are not known to the file: see [`AppConfig::keep_ids_of`].
    pub config: AppConfig,
}

/// Where the access token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// Path, relative to the file.
    File(String),
    /// Name of an environment variable.
    Env(String),
}

/// Something in the file that is wrong, with its key and line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProblem {
    /// `app[0].deprovisioning.deleted.delete`; empty when the file is not TOML.
    pub key: String,
    /// Counted from 1; `None` for what is missing.
    pub line: Option<usize>,
    pub code: std::borrow::Cow<'static, str>,
    pub message: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FileProblem {}

impl ConfigFile {
    /// Reads a file and names everything that is wrong with it. Nothing of a wrong file is used.
    pub fn parse(text: &str) -> Result<Self, Vec<FileProblem>> {
        app::parse(text)
    }

    /// Writes a file; without secrets, so without the token and the key.
    pub fn render(&self) -> String {
        render::render(self)
    }
}
