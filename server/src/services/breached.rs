//! A list of passwords that are known to others, on this machine's disk (S13).

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

/// Empty when no list is set.
#[derive(Clone, Debug, Default)]
pub struct BreachedPasswords(Option<Arc<PathBuf>>);

#[derive(Debug, thiserror::Error)]
#[error("the list of breached passwords {path} can't be read: {source}")]
pub struct ListError {
    path: PathBuf,
    source: io::Error,
}

impl BreachedPasswords {
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(file.map(Arc::new))
    }

    /// Reads the list from end to end, off the async threads: a password is chosen once in a while.
    pub async fn contain(&self, password: &SecretString) -> Result<bool, ListError> {
        let Some(path) = self.0.clone() else {
            return Ok(false);
        };
        let password = password.clone();
        let shown = path.clone();
        let searched = tokio::task::spawn_blocking(move || search(&path, &password));
        let failed = |source| ListError {
            path: shown.to_path_buf(),
            source,
        };
        searched
            .await
            .map_err(|stopped| failed(io::Error::other(stopped)))?
            .map_err(failed)
    }
}

/// One password a line.
fn search(path: &PathBuf, password: &SecretString) -> io::Result<bool> {
    let wanted = password.expose_secret().as_bytes();
    let mut lines = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.strip_suffix(b"\r").unwrap_or(text) == wanted {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_on_the_list_is_found_whole_and_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.txt");
        std::fs::write(&path, "first one here\r\nkänguru-känguru\nlast one here").unwrap();
        let list = BreachedPasswords::new(Some(path));
        for known in ["first one here", "känguru-känguru", "last one here"] {
            assert!(list.contain(&known.into()).await.unwrap(), "{known}");
        }
        for other in ["first one her", "one here", "", "last one here "] {
            assert!(!list.contain(&other.into()).await.unwrap(), "{other}");
        }
        let none = BreachedPasswords::default();
        assert!(!none.contain(&"first one here".into()).await.unwrap());
        let gone = BreachedPasswords::new(Some("/nowhere/list.txt".into()));
        assert!(gone.contain(&"first one here".into()).await.is_err());
    }
}
