//! What the environment says: read once at start, checked, and passed on as values.

use std::env::VarError;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::secrets::{Keyring, SecretKey};

pub const DATABASE_URL: &str = "DATABASE_URL";
pub const MIGRATE_URL: &str = "ROLLCALL_MIGRATE_URL";
pub const DATA_DIR: &str = "ROLLCALL_DATA_DIR";
pub const SECRET_KEY: &str = "ROLLCALL_SECRET_KEY";
pub const SECRET_KEY_FILE: &str = "ROLLCALL_SECRET_KEY_FILE";
pub const SECRET_KEY_OLD: &str = "ROLLCALL_SECRET_KEY_OLD";
pub const ALLOW_LOOPBACK_TARGETS: &str = "ROLLCALL_ALLOW_LOOPBACK_TARGETS";
pub const ALLOW_PRIVATE_TARGETS: &str = "ROLLCALL_ALLOW_PRIVATE_TARGETS";
pub const PUBLIC_URL: &str = "ROLLCALL_PUBLIC_URL";
pub const POSTGRES_BIN: &str = "ROLLCALL_POSTGRES_BIN";
pub const SITE_DIR: &str = "ROLLCALL_SITE_DIR";
pub const BREACHED_PASSWORDS_FILE: &str = "ROLLCALL_BREACHED_PASSWORDS_FILE";
pub const LOG: &str = "ROLLCALL_LOG";
pub const AUDIT_CHECKPOINT_FILE: &str = "ROLLCALL_AUDIT_CHECKPOINT_FILE";

/// A variable that can't be used as it stands.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{name} is not valid: {reason}")]
    Invalid { name: &'static str, reason: String },
    #[error("{SECRET_KEY} and {SECRET_KEY_FILE} are both set: keep one of them")]
    TwoKeys,
    #[error("{SECRET_KEY_FILE}: can't read {path}: {source}")]
    KeyFile {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Which outgoing addresses beyond public https ones are allowed (S3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowedTargets {
    /// Loopback addresses, http included.
    pub loopback: bool,
    /// Private addresses.
    pub private: bool,
}

/// The process's settings. Secrets inside are never shown by `Debug`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Unset: an embedded cluster in `data_dir`.
    pub database_url: Option<SecretString>,
    /// The role that owns the tables; `database_url` when unset.
    pub migrate_url: Option<SecretString>,
    pub data_dir: PathBuf,
    /// Unset: a key file in `data_dir`, created with the embedded cluster only.
    pub secret_keys: Option<Keyring>,
    /// Keys that only open what they sealed, beside those of the file.
    pub old_secret_keys: Vec<SecretKey>,
    pub allowed_targets: AllowedTargets,
    /// How browsers reach the console, when that is not the listen address.
    pub public_url: Option<Url>,
    /// Where `initdb` and `postgres` are, when they are not found by themselves.
    pub postgres_bin: Option<PathBuf>,
    /// The browser's files (`pkg/` and the rest of `public/`).
    pub site_dir: Option<PathBuf>,
    /// Where the head of the audit log is noted outside the database.
    pub audit_checkpoints: Option<PathBuf>,
    /// Passwords that nobody may choose, one a line.
    pub breached_passwords: Option<PathBuf>,
}

impl Settings {
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(invalid(name, "it is not UTF-8")),
        })
    }

    /// Reads the settings through `var`; an empty variable counts as unset.
    pub fn read(
        var: impl Fn(&'static str) -> Result<Option<String>, SettingsError>,
    ) -> Result<Self, SettingsError> {
        let var = |name| var(name).map(|value| value.filter(|text| !text.trim().is_empty()));
        Ok(Self {
            database_url: postgres_url(DATABASE_URL, var(DATABASE_URL)?)?,
            migrate_url: postgres_url(MIGRATE_URL, var(MIGRATE_URL)?)?,
            data_dir: var(DATA_DIR)?.unwrap_or_else(|| "data".to_owned()).into(),
            secret_keys: secret_keys(var(SECRET_KEY)?, var(SECRET_KEY_FILE)?)?,
            old_secret_keys: old_secret_keys(var(SECRET_KEY_OLD)?)?,
            allowed_targets: AllowedTargets {
                loopback: switch(ALLOW_LOOPBACK_TARGETS, var(ALLOW_LOOPBACK_TARGETS)?)?,
                private: switch(ALLOW_PRIVATE_TARGETS, var(ALLOW_PRIVATE_TARGETS)?)?,
            },
            public_url: var(PUBLIC_URL)?.map(public_url).transpose()?,
            postgres_bin: var(POSTGRES_BIN)?.map(PathBuf::from),
            site_dir: var(SITE_DIR)?.map(PathBuf::from),
            audit_checkpoints: var(AUDIT_CHECKPOINT_FILE)?.map(PathBuf::from),
            breached_passwords: var(BREACHED_PASSWORDS_FILE)?.map(PathBuf::from),
        })
    }
}

impl Settings {
    /// The origin at which browsers reach a console that listens at `address`.
    pub fn origin(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.origin().ascii_serialization(),
            None => origin_of(address),
        }
    }
}

/// Where the console listens unless told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// The origin that a browser on this machine uses.
pub fn origin_of(address: SocketAddr) -> String {
    let mut shown = address;
    if address.ip().is_unspecified() {
        shown.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{shown}")
}

fn invalid(name: &'static str, reason: impl Into<String>) -> SettingsError {
    SettingsError::Invalid {
        name,
        reason: reason.into(),
    }
}

fn postgres_url(
    name: &'static str,
    value: Option<String>,
) -> Result<Option<SecretString>, SettingsError> {
    let Some(value) = value else { return Ok(None) };
    // The value may hold a password, so the reason never repeats it.
    match Url::parse(&value) {
        Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => Ok(Some(value.into())),
        _ => Err(invalid(
            name,
            "it must look like postgres://user:password@host:5432/database",
        )),
    }
}

fn switch(name: &'static str, value: Option<String>) -> Result<bool, SettingsError> {
    match value.as_deref().map(str::trim) {
        None | Some("0" | "false") => Ok(false),
        Some("1" | "true") => Ok(true),
        Some(other) => Err(invalid(name, format!("\"{other}\" is neither 1 nor 0"))),
    }
}

fn public_url(value: String) -> Result<Url, SettingsError> {
    let url = Url::parse(value.trim()).map_err(|error| invalid(PUBLIC_URL, error.to_string()))?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !bare {
        return Err(invalid(
            PUBLIC_URL,
            "it must be an origin such as https://rollcall.example.com",
        ));
    }
    Ok(url)
}

fn secret_keys(
    value: Option<String>,
    file: Option<String>,
) -> Result<Option<Keyring>, SettingsError> {
    match (value, file) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(SettingsError::TwoKeys),
        (Some(text), None) => match SecretKey::from_base64(&text.into()) {
            Some(key) => Ok(Some(key.into())),
            None => Err(not_a_key(SECRET_KEY)),
        },
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path).map_err(|source| SettingsError::KeyFile {
                path: path.into(),
                source,
            })?;
            match Keyring::parse(&text.into()) {
                Some(keys) => Ok(Some(keys)),
                None => Err(invalid(
                    SECRET_KEY_FILE,
                    "each line must be the base64 of exactly 32 bytes, the current key first (openssl rand -base64 32)",
                )),
            }
        }
    }
}

/// One or more, with white space between them.
fn old_secret_keys(value: Option<String>) -> Result<Vec<SecretKey>, SettingsError> {
    let keys = value.as_deref().unwrap_or_default().split_whitespace();
    keys.map(|key| SecretKey::from_base64(&key.into()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| not_a_key(SECRET_KEY_OLD))
}

fn not_a_key(name: &'static str) -> SettingsError {
    invalid(
        name,
        "it must be the base64 of exactly 32 bytes (openssl rand -base64 32)",
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| {
            Ok(pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn an_empty_environment_means_an_embedded_cluster_and_public_targets_only() {
        let settings = read(&[(DATABASE_URL, " ")]).unwrap();
        assert!(settings.database_url.is_none());
        assert_eq!(settings.data_dir, PathBuf::from("data"));
        assert_eq!(settings.allowed_targets, AllowedTargets::default());
    }

    #[test]
    fn a_bad_database_url_is_refused_without_repeating_its_password() {
        let error = read(&[(DATABASE_URL, "mysql://root:hunter2@db/x")])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("DATABASE_URL is not valid"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let key = BASE64_STANDARD.encode([7u8; 32]);
        let settings = read(&[
            (DATABASE_URL, "postgres://r:hunter2@db/x"),
            (SECRET_KEY, &key),
            (SECRET_KEY_OLD, &key),
        ])
        .unwrap();
        let shown = format!("{settings:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(&key),
            "{shown}"
        );
    }

    #[test]
    fn a_key_of_the_wrong_length_and_two_keys_are_refused() {
        let short = BASE64_STANDARD.encode([7u8; 16]);
        assert!(matches!(
            read(&[(SECRET_KEY, &short)]),
            Err(SettingsError::Invalid { .. })
        ));
        assert!(read(&[(SECRET_KEY_OLD, &short)]).is_err());
        let both = read(&[(SECRET_KEY, "a"), (SECRET_KEY_FILE, "b")]);
        assert!(matches!(both, Err(SettingsError::TwoKeys)));
    }

    #[test]
    fn a_switch_takes_1_and_0_and_nothing_else() {
        assert!(
            read(&[(ALLOW_LOOPBACK_TARGETS, "1")])
                .unwrap()
                .allowed_targets
                .loopback
        );
        assert!(
            !read(&[(ALLOW_PRIVATE_TARGETS, "0")])
                .unwrap()
                .allowed_targets
                .private
        );
        assert!(read(&[(ALLOW_PRIVATE_TARGETS, "maybe")]).is_err());
    }

    #[test]
    fn a_public_url_is_an_origin() {
        assert!(read(&[(PUBLIC_URL, "https://rollcall.example.com")]).is_ok());
        assert!(read(&[(PUBLIC_URL, "https://rollcall.example.com/console")]).is_err());
        assert!(read(&[(PUBLIC_URL, "ftp://rollcall.example.com")]).is_err());
    }
}
