//! `rollcall database`: the embedded cluster for other programs, such as `psql` and `pg_dump`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secrecy::ExposeSecret as _;
use tokio::process::Command;

use super::{Failure, Outcome};
use crate::postgres::{Cluster, Durability};
use crate::settings::{DATABASE_URL, Settings};
use crate::shutdown;

/// Start or join the embedded Postgres and run COMMAND with DATABASE_URL set to it. Without
/// COMMAND, print the address and keep the database running until Ctrl-C
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Use a new, empty database that is deleted at the end (for tests)
    #[arg(long)]
    throw_away: bool,
    /// What to run, such as `psql` or `pg_dump`
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(settings: Settings, arguments: Arguments) -> Outcome {
    let (place, durability) = if arguments.throw_away {
        (Place::throw_away()?, Durability::ThrowAway)
    } else {
        (Place::Kept(settings.data_dir), Durability::Durable)
    };
    let cluster = Cluster::join(place.path(), settings.postgres_bin.as_deref(), durability).await;
    let cluster = cluster.map_err(Failure::failed)?;
    let outcome = match arguments.command.split_first() {
        Some((program, rest)) => with_database(&cluster, program, rest).await,
        None => {
            println!("{DATABASE_URL}={}", cluster.url().expose_secret());
            shutdown::requested().await;
            Ok(ExitCode::SUCCESS)
        }
    };
    let outside = cluster.directory().parent().map(Path::to_owned);
    cluster.leave().await;
    place.clear(outside.as_deref());
    outcome
}

async fn with_database(cluster: &Cluster, program: &OsString, rest: &[OsString]) -> Outcome {
    let mut command = Command::new(program);
    command
        .args(rest)
        .env(DATABASE_URL, cluster.url().expose_secret())
        .kill_on_drop(true);
    let fail = |error| Failure::usage(format!("can't run {}: {error}", program.display()));
    let mut child = command.spawn().map_err(fail)?;
    // Ctrl-C reaches the command too; when only we are asked to stop, it ends with us.
    let status = tokio::select! {
        status = child.wait() => status.map_err(fail)?,
        () = shutdown::requested() => match child.try_wait().map_err(fail)? {
            Some(status) => status,
            None => {
                child.kill().await.map_err(fail)?;
                child.wait().await.map_err(fail)?
            }
        },
    };
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

enum Place {
    Kept(PathBuf),
    ThrowAway(PathBuf),
}

impl Place {
    fn throw_away() -> Result<Self, Failure> {
        let folder =
            std::env::temp_dir().join(format!("rollcall-{}", uuid::Uuid::new_v4().simple()));
        let made = fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)));
        made.map_err(|error| Failure::failed(format!("{}: {error}", folder.display())))?;
        Ok(Self::ThrowAway(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::ThrowAway(path) => path,
        }
    }

    /// Deletes what was made to be thrown away, also where Postgres's user could not reach it.
    fn clear(&self, cluster: Option<&Path>) {
        let Self::ThrowAway(path) = self else { return };
        for folder in [Some(path.as_path()), cluster].into_iter().flatten() {
            if let Err(error) = fs::remove_dir_all(folder)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %folder.display(), %error, "could not be deleted");
            }
        }
    }
}
