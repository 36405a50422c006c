//! Which user Postgres runs as, and where that user can keep a cluster.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{ClusterError, at, make_passable};

/// The user whose processes and files the cluster's are.
#[derive(Clone, Debug)]
pub(super) enum Account {
    /// We are not root: Postgres runs as we do.
    Ours,
    /// We are root: Postgres runs as somebody with fewer rights.
    Unprivileged {
        name: &'static str,
        uid: u32,
        gid: u32,
    },
}

impl Account {
    pub(super) fn for_postgres() -> Result<Self, ClusterError> {
        if !running_as_root() {
            return Ok(Self::Ours);
        }
        let path = Path::new("/etc/passwd");
        let passwd = fs::read_to_string(path).map_err(at(path))?;
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let (uid, gid) = ids_of(name, &passwd)?;
                Some(Self::Unprivileged { name, uid, gid })
            })
            .ok_or(ClusterError::NoAccount)
    }

    /// The user and group to switch to, when there is a switch.
    pub(super) fn switch_to(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Ours => None,
            Self::Unprivileged { uid, gid, .. } => Some((uid, gid)),
        }
    }

    /// Hands a file or folder to the user.
    pub(super) fn own(&self, path: &Path) -> Result<(), ClusterError> {
        match *self {
            Self::Ours => Ok(()),
            Self::Unprivileged { uid, gid, .. } => {
                chown(path, Some(uid), Some(gid)).map_err(at(path))
            }
        }
    }

    /// Where the cluster of `data_dir` is or will be: in it, or, when the user can't reach it
    /// (a clone in root's home, say), in a folder named after it.
    pub(super) fn place(&self, data_dir: &Path) -> Result<PathBuf, ClusterError> {
        let inside = data_dir.join("postgres");
        let Self::Unprivileged { name, uid, gid } = *self else {
            return Ok(inside);
        };
        if inside.join("PG_VERSION").exists() || reachable(data_dir, uid, gid) {
            return Ok(inside);
        }
        for root in ["/var/lib/rollcall", "/var/tmp/rollcall"].map(Path::new) {
            let outside = root.join(name_after(data_dir));
            let made = make_passable(root).and_then(|()| make_passable(&outside));
            if made.is_ok() && reachable(&outside, uid, gid) {
                return Ok(outside.join("postgres"));
            }
        }
        Err(ClusterError::NoPlace {
            user: name.to_owned(),
            data_dir: data_dir.to_owned(),
        })
    }
}

fn running_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn ids_of(name: &str, passwd: &str) -> Option<(u32, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let ids = (fields.next()? == name).then_some(fields)?;
        let mut ids = ids.skip(1);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    })
}

/// Whether the user may pass through every folder down to `path`.
fn reachable(path: &Path, uid: u32, gid: u32) -> bool {
    path.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|folder| {
            let pass = match folder.mode() {
                mode if folder.uid() == uid => mode & 0o100,
                mode if folder.gid() == gid => mode & 0o010,
                mode => mode & 0o001,
            };
            pass != 0
        })
    })
}

fn name_after(data_dir: &Path) -> String {
    let digest = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn ids_are_read_from_the_line_of_exactly_that_user() {
        let passwd = "postgresql:x:5:5::/:/bin/sh\npostgres:x:103:110::/:/bin/sh\n";
        assert_eq!(ids_of("postgres", passwd), Some((103, 110)));
        assert_eq!(ids_of("nobody", passwd), None);
    }

    #[test]
    fn a_folder_behind_a_closed_one_is_not_reachable() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let mode =
            |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        mode(0o711);
        assert!(reachable(&inner, 65_534, 65_534));
        mode(0o700);
        assert!(!reachable(&inner, 65_534, 65_534));
    }

    #[test]
    fn two_data_directories_have_two_outside_places() {
        assert_ne!(
            name_after(Path::new("/root/a/data")),
            name_after(Path::new("/root/b/data"))
        );
    }
}
