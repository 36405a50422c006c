//! The secret keys of a process: the current one, and older ones that still open what they sealed.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::{KeyId, SecretKey};

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("can't use the key file {path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "the key file {path} does not hold the base64 of 32 bytes on each line: restore it from a backup"
    )]
    Malformed { path: PathBuf },
}

impl SecretKey {
    /// Reads the base64 of exactly 32 bytes; surrounding white space is ignored.
    pub fn from_base64(text: &SecretString) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.expose_secret().trim()).ok()?);
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.as_slice().try_into().ok()?);
        Some(Self::from_bytes(bytes))
    }
}

/// The current key seals; all of them open.
#[derive(Clone, Debug)]
pub struct Keyring {
    current: SecretKey,
    older: Vec<SecretKey>,
}

impl From<SecretKey> for Keyring {
    fn from(key: SecretKey) -> Self {
        Self::new(key, Vec::new())
    }
}

impl From<&SecretKey> for Keyring {
    fn from(key: &SecretKey) -> Self {
        key.clone().into()
    }
}

impl From<&Keyring> for Keyring {
    fn from(keys: &Keyring) -> Self {
        keys.clone()
    }
}

impl Keyring {
    pub fn new(current: SecretKey, older: Vec<SecretKey>) -> Self {
        Self { current, older }
    }

    /// One key a line, the current one first. Empty lines and those that begin with `#` are passed
    /// over. `None` when any other line is not a key, or there is none.
    pub fn parse(text: &SecretString) -> Option<Self> {
        let lines = text.expose_secret().lines().map(str::trim);
        let mut keys = lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| SecretKey::from_base64(&line.into()));
        let current = keys.next()??;
        let older = keys.collect::<Option<Vec<_>>>()?;
        Some(Self { current, older })
    }

    /// Reads the key file, or creates it (mode 0600) when it is not there. Two processes that
    /// start together end up with the same key: the file is filled under its own lock.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyringError> {
        let fail = |source| KeyringError::File {
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(fail)?;
        file.lock().map_err(fail)?;
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(fail)?;
        if text.trim().is_empty() {
            let key = SecretKey::generate();
            let line = Zeroizing::new(format!("{}\n", BASE64_STANDARD.encode(key.0.as_slice())));
            file.write_all(line.as_bytes()).map_err(fail)?;
            file.sync_all().map_err(fail)?;
            return Ok(key.into());
        }
        Self::parse(&text.as_str().into()).ok_or_else(|| KeyringError::Malformed {
            path: path.to_owned(),
        })
    }

    /// The same keys, with more that only open.
    #[must_use]
    pub fn with_older(mut self, more: impl IntoIterator<Item = SecretKey>) -> Self {
        self.older.extend(more);
        self
    }

    pub fn current(&self) -> &SecretKey {
        &self.current
    }

    pub fn older(&self) -> &[SecretKey] {
        &self.older
    }

    pub fn all(&self) -> impl Iterator<Item = &SecretKey> {
        std::iter::once(&self.current).chain(&self.older)
    }

    pub fn by_id(&self, id: &KeyId) -> Option<&SecretKey> {
        self.all().find(|key| key.id() == *id)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; 32])
    }

    #[test]
    fn the_first_line_is_the_current_key_and_the_others_are_older() {
        let text = format!("# since 2027\n{}\n\n  {}  \n", line(2), line(1));
        let keys = Keyring::parse(&text.into()).unwrap();
        let id = |byte| SecretKey::from_bytes(Zeroizing::new([byte; 32])).id();
        assert_eq!(keys.current().id(), id(2));
        assert!(keys.by_id(&id(1)).is_some() && keys.by_id(&id(3)).is_none());
        assert!(Keyring::parse(&format!("{}\nnot a key", line(2)).into()).is_none());
        assert!(Keyring::parse(&"# none".into()).is_none());
    }

    #[test]
    fn a_key_file_is_created_once_with_mode_0600() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-key");
        let first = Keyring::load_or_create(&path).unwrap();
        let second = Keyring::load_or_create(&path).unwrap();
        assert_eq!(first.current().id(), second.current().id());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_file_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret-key");
        std::fs::write(&path, "not a key").unwrap();
        assert!(matches!(
            Keyring::load_or_create(&path),
            Err(KeyringError::Malformed { .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not a key");
    }
}
