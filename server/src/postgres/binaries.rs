//! Finds the PostgreSQL programs of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ClusterError, at};

const OLDEST: u32 = 15;

/// A folder with `initdb`, `postgres` and `pg_ctl` of one version.
#[derive(Clone, Debug)]
pub(super) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// The named folder, or the newest; a cluster that exists decides the version.
    pub(super) fn find(named: Option<&Path>, needed: Option<u32>) -> Result<Self, ClusterError> {
        let folders = match named {
            Some(folder) => vec![folder.to_owned()],
            None => installed(),
        };
        let mut found = Vec::new();
        for folder in folders {
            let postgres = folder.join("postgres");
            if named.is_none() && !(postgres.is_file() && folder.join("initdb").is_file()) {
                continue;
            }
            found.push((version(&postgres)?, folder));
        }
        found.sort();
        let Some((newest, folder)) = found.last().cloned() else {
            return Err(ClusterError::NotInstalled);
        };
        if newest < OLDEST {
            return Err(ClusterError::TooOld {
                path: folder,
                found: newest,
            });
        }
        let Some(needed) = needed else {
            return Ok(Self { folder });
        };
        match found.into_iter().find(|(version, _)| *version == needed) {
            Some((_, folder)) => Ok(Self { folder }),
            None => Err(ClusterError::OtherVersion {
                directory: folder,
                needed,
            }),
        }
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn installed() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let packages = ["/usr/lib/postgresql", "/usr/local/lib/postgresql"];
    for entry in packages
        .iter()
        .filter_map(|root| std::fs::read_dir(root).ok())
        .flatten()
    {
        folders.extend(entry.ok().map(|entry| entry.path().join("bin")));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    folders
}

/// `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)` is 15.
fn version(postgres: &Path) -> Result<u32, ClusterError> {
    let output = Command::new(postgres)
        .arg("--version")
        .output()
        .map_err(at(postgres))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_version(&text).ok_or_else(|| ClusterError::Binary {
        path: postgres.to_owned(),
        cause: format!("--version says \"{}\"", text.trim()),
    })
}

fn parse_version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_packaged_and_beta_builds() {
        let packaged = "postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n";
        assert_eq!(parse_version(packaged), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 19beta1\n"), Some(19));
        assert_eq!(parse_version("something else"), None);
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_installed_is_named() {
        let error = Binaries::find(None, Some(9)).unwrap_err();
        assert!(
            matches!(error, ClusterError::OtherVersion { needed: 9, .. }),
            "{error}"
        );
    }
}
