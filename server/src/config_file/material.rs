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
        const KEY: &str = "directory.google.service_account_file";
        let key = match &file.service_account_file {
            None => None,
            Some(name) => {
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
        };
        let endpoint = self.address("directory.google.endpoint", &file.endpoint)?;
        Some(WantedDirectory {
            file,
            endpoint,
            key,
        })
    }

    fn app(&mut self, key: String, mut file: AppFile) -> Option<WantedApp> {
        let Some(entry) = catalog::entry(&file.catalog) else {
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
            return None;
        };
        let endpoint = self.address(&format!("{key}.endpoint"), &file.endpoint);
        let token = match file.token.clone() {
            None => None,
            Some(TokenSource::File(name)) => {
                let key = format!("{key}.token_file");
                self.file(&key, &name, MOST_TOKEN_BYTES)
                    .and_then(|text| self.token(&key, &name, &text))
            }
            Some(TokenSource::Env(name)) => {
                let key = format!("{key}.token_env");
                match (self.variable)(&name) {
                    Some(text) => self.token(&key, &name, &text),
                    None => {
                        self.fail(&key, "variable-unset", format!("the environment has no variable {name}; set it, or remove the line to keep the stored token"));
                        None
                    }
                }
            }
        };
        if let Some(name) = file.sso_metadata_file.clone() {
            let key = format!("{key}.sso.metadata_file");
            let most = saml::MOST_BYTES as u64;
            match self.file(&key, &name, most).map(|xml| saml::parse(&xml)) {
                Some(Ok(found)) => {
                    file.config.sso = Some(Sso::Saml {
                        entity_id: found.entity_id,
                        sign_in_url: found.sign_in_url,
                        certificate_expires: found.certificate_expires,
                    });
                }
                Some(Err(cause)) => self.fail(
                    &key,
                    "sso-metadata",
                    format!("{name} can't be used: {cause}"),
                ),
                None => {}
            }
        }
        Some(WantedApp {
            key,
            file,
            entry,
            endpoint: endpoint?,
            token,
            accepted: None,
        })
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
