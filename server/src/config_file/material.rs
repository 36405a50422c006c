//! What the file points at: the key, tokens and metadata, read from where it says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use provisioning::catalog::{self, CatalogEntry};
use provisioning::config::Sso;
use provisioning::config::file::{AppFile, ConfigFile, DirectoryFile, FileProblem, TokenSource};
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

use crate::authorization::{Accepted, endpoint_text, normal_endpoint};
use crate::connectors::ServiceAccountKey;
use crate::services::saml;
use crate::sync::Engine;

const MOST_KEY_BYTES: u64 = 64 * 1024;
const MOST_TOKEN_BYTES: u64 = 8 * 1024;

/// The file with everything that it points at.
pub(super) struct Wanted {
    pub directory: Option<WantedDirectory>,
    pub apps: Vec<WantedApp>,
}

pub(super) struct WantedDirectory {
    pub file: DirectoryFile,
    pub endpoint: Url,
    /// The key's text and what was read of it; `None` keeps the stored one.
    pub key: Option<(SecretString, ServiceAccountKey)>,
}

pub(super) struct WantedApp {
    /// `app[0]`, before the dot of a problem's key.
    pub key: String,
    pub file: AppFile,
    pub entry: &'static CatalogEntry,
    pub endpoint: Url,
    pub token: Option<SecretString>,
    /// After the app was asked.
    pub accepted: Option<Accepted>,
}

impl WantedApp {
    pub fn endpoint_text(&self) -> String {
        endpoint_text(&self.endpoint)
    }
}

pub(super) fn problem(
    key: impl Into<String>,
    code: &'static str,
    message: impl Into<String>,
) -> FileProblem {
    FileProblem {
        key: key.into(),
        line: None,
        code: code.into(),
        message: message.into(),
    }
}

/// A text file of bounded size. The cause names no content.
pub(super) fn text(path: &Path, most: u64) -> Result<String, String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {} KiB", most / 1024));
    }
    String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
}

/// Reads everything that the file points at and names every problem.
pub(super) fn gather(
    engine: &Engine,
    path: &Path,
    file: ConfigFile,
    variable: fn(&str) -> Option<String>,
) -> Result<Wanted, Vec<FileProblem>> {
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut reading = Reading {
        engine,
        base,
        variable,
        problems: Vec::new(),
    };
    let directory = file
        .directory
        .and_then(|directory| reading.directory(directory));
    let mut slugs = BTreeSet::new();
    let mut apps = Vec::new();
    for (index, app) in file.apps.into_iter().enumerate() {
        let key = format!("app[{index}]");
        if !slugs.insert(app.slug.clone()) {
            let message = format!("{} is in the file twice; remove one", app.slug);
            reading
                .problems
                .push(problem(format!("{key}.slug"), "slug-twice", message));
        }
        apps.extend(reading.app(key, app));
    }
    if reading.problems.is_empty() {
        Ok(Wanted { directory, apps })
    } else {
        Err(reading.problems)
    }
}

/// Problems of what a file points at that is wrong itself, so that one look finds them all.
pub(super) fn pointed_at(
    engine: &Engine,
    path: &Path,
    text: &str,
    variable: fn(&str) -> Option<String>,
) -> Vec<FileProblem> {
    let Ok(file) = text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut reading = Reading {
        engine,
        base,
        variable,
        problems: Vec::new(),
    };
    let google = file
        .get("directory")
        .and_then(|directory| directory.get("google"));
    if let Some(name) = google.and_then(|google| text_at(google, "service_account_file")) {
        reading.key(name);
    }
    let apps = file.get("app").and_then(toml::Value::as_array);
    for (index, app) in apps.into_iter().flatten().enumerate() {
        let key = format!("app[{index}]");
        if let Some(name) = text_at(app, "token_file") {
            reading.token_file(&key, name);
        }
        if let Some(name) = text_at(app, "token_env") {
            reading.token_variable(&key, name);
        }
        if let Some(name) = app.get("sso").and_then(|sso| text_at(sso, "metadata_file")) {
            reading.metadata(&key, name);
        }
    }
    reading.problems
}

fn text_at<'a>(table: &'a toml::Value, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}

struct Reading<'a> {
    engine: &'a Engine,
    base: PathBuf,
    variable: fn(&str) -> Option<String>,
    problems: Vec<FileProblem>,
}

impl Reading<'_> {
    fn fail(&mut self, key: &str, code: &'static str, message: impl Into<String>) {
        self.problems.push(problem(key, code, message));
    }

    fn file(&mut self, key: &str, name: &str, most: u64) -> Option<String> {
        match text(&self.base.join(name), most) {
            Ok(text) => Some(text),
            Err(cause) => {
                self.fail(
                    key,
                    "file-unreadable",
                    format!("can't read {name}: {cause}; correct the path or the file's rights"),
                );
                None
            }
        }
    }

    /// An address that may be asked at all.
    fn address(&mut self, key: &str, text: &str) -> Option<Url> {
        let url = match normal_endpoint(text) {
            Ok(url) => url,
            Err(cause) => {
                self.fail(key, "bad-endpoint", format!("{text:?} is not an address ({cause}); write it like https://app.example.com/scim"));
                return None;
            }
        };
        match self.engine.outgoing().check(&url) {
            Ok(()) => Some(url),
            Err(refusal) => {
                self.fail(key, refusal.code(), refusal.to_string());
                None
            }
        }
    }

    fn directory(&mut self, file: DirectoryFile) -> Option<WantedDirectory> {
        let key = file
            .service_account_file
            .as_deref()
            .map(|name| self.key(name));
        let endpoint = self.address("directory.google.endpoint", &file.endpoint);
        Some(WantedDirectory {
            endpoint: endpoint?,
            key: match key {
                Some(key) => Some(key?),
                None => None,
            },
            file,
        })
    }

    fn key(&mut self, name: &str) -> Option<(SecretString, ServiceAccountKey)> {
        const KEY: &str = "directory.google.service_account_file";
        let text = self.file(KEY, name, MOST_KEY_BYTES)?;
        match ServiceAccountKey::parse(&text) {
            Ok(key) => {
                if let Err(refusal) = self.engine.outgoing().check(key.token_uri()) {
                    self.fail(
                        KEY,
                        refusal.code(),
                        format!("token_uri in {name}: {refusal}"),
                    );
                }
                Some((SecretString::from(text), key))
            }
            Err(cause) => {
                self.fail(KEY, cause.code(), format!("{name}: {cause}"));
                None
            }
        }
    }

    fn app(&mut self, key: String, mut file: AppFile) -> Option<WantedApp> {
        let entry = catalog::entry(&file.catalog);
        if entry.is_none() {
            let known: Vec<_> = catalog::catalog()
                .iter()
                .map(|entry| entry.key.as_str())
                .collect();
            let message = format!(
                "the catalogue has no {:?}; choose one of {}",
                file.catalog,
                known.join(", ")
            );
            self.fail(&format!("{key}.catalog"), "unknown-catalog", message);
        }
        let endpoint = self.address(&format!("{key}.endpoint"), &file.endpoint);
        let token = match file.token.clone() {
            None => None,
            Some(TokenSource::File(name)) => self.token_file(&key, &name),
            Some(TokenSource::Env(name)) => self.token_variable(&key, &name),
        };
        if let Some(name) = file.sso_metadata_file.clone() {
            file.config.sso = self.metadata(&key, &name);
        }
        Some(WantedApp {
            key,
            file,
            entry: entry?,
            endpoint: endpoint?,
            token,
            accepted: None,
        })
    }

    fn token_file(&mut self, app: &str, name: &str) -> Option<SecretString> {
        let key = format!("{app}.token_file");
        let text = self.file(&key, name, MOST_TOKEN_BYTES)?;
        self.token(&key, name, &text)
    }

    fn token_variable(&mut self, app: &str, name: &str) -> Option<SecretString> {
        let key = format!("{app}.token_env");
        match (self.variable)(name) {
            Some(text) => self.token(&key, name, &text),
            None => {
                self.fail(
                    &key,
                    "variable-unset",
                    format!(
                        "the environment has no variable {name}; set it, or remove the line to keep the stored token"
                    ),
                );
                None
            }
        }
    }

    fn metadata(&mut self, app: &str, name: &str) -> Option<Sso> {
        let key = format!("{app}.sso.metadata_file");
        let xml = self.file(&key, name, saml::MOST_BYTES as u64)?;
        match saml::parse(&xml) {
            Ok(found) => Some(Sso::Saml {
                entity_id: found.entity_id,
                sign_in_url: found.sign_in_url,
                certificate_expires: found.certificate_expires,
            }),
            Err(cause) => {
                self.fail(
                    &key,
                    "sso-metadata",
                    format!("{name} can't be used: {cause}"),
                );
                None
            }
        }
    }

    /// A token is one word; what an editor adds around it is not part of it.
    fn token(&mut self, key: &str, name: &str, text: &str) -> Option<SecretString> {
        let token = text.trim_start_matches('\u{feff}').trim();
        let why = if token.is_empty() {
            "is empty"
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            "holds more than a token (spaces, line breaks or letters that no token has)"
        } else if token.len() as u64 > MOST_TOKEN_BYTES {
            "is too long for a token"
        } else {
            return Some(SecretString::from(token));
        };
        self.fail(
            key,
            "bad-token",
            format!("{name} {why}; put the app's access token there and nothing else"),
        );
        None
    }
}

/// For the event: settings without secrets.
pub(super) fn change(attribute: &str, old: Option<&str>, new: Option<&str>) -> Value {
    serde_json::json!({ "attribute": attribute, "old": old, "new": new })
}
