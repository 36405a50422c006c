//! The embedded Postgres cluster: used when no `DATABASE_URL` is given.
//!
//! `initdb` and `postgres` are run directly, from the packages of the machine. The crates made
//! for this were tried and left: they can't hand over from root to an unprivileged user
//! (Postgres refuses to run as root), and they download binaries where they find none.
//!
//! Several processes share one cluster. Whoever comes first starts it, everyone holds a shared
//! lock while using it, and whoever leaves last stops it. A process that is killed leaves the
//! cluster running and its lock free, so the next one joins. Whether a cluster runs is judged
//! by signing in to it, never by its pid file alone.

mod account;
mod binaries;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::store;
use account::Account;
use binaries::Binaries;

const ROLE: &str = "rollcall";
const DATABASE: &str = "rollcall";
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(15);

#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "PostgreSQL is not installed: install it (apt-get install postgresql), name its folder in ROLLCALL_POSTGRES_BIN, or set DATABASE_URL"
    )]
    NotInstalled,
    #[error("{path} does not work: {cause}")]
    Binary { path: PathBuf, cause: String },
    #[error("{path} is PostgreSQL {found}, Rollcall needs 15 or newer")]
    TooOld { path: PathBuf, found: u32 },
    #[error(
        "the cluster in {directory} was made by PostgreSQL {needed}, which is not installed: install it, or upgrade the cluster with pg_upgrade"
    )]
    OtherVersion { directory: PathBuf, needed: u32 },
    #[error(
        "Postgres does not run as root and there is neither a user \"postgres\" nor \"nobody\" to run it as: create one, or set DATABASE_URL"
    )]
    NoAccount,
    #[error(
        "no place for the cluster: the user \"{user}\" can reach neither {data_dir} nor /var/lib/rollcall; set ROLLCALL_DATA_DIR to a folder that it can reach"
    )]
    NoPlace { user: String, data_dir: PathBuf },
    #[error("{path}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{program} failed: {cause}")]
    Program {
        program: &'static str,
        cause: String,
    },
    #[error("the embedded cluster did not start: {cause} (see {log})")]
    Start { cause: String, log: PathBuf },
    #[error("the embedded cluster refused a connection: {0}")]
    Connect(#[source] sqlx::Error),
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> ClusterError {
    let path = path.to_owned();
    move |source| ClusterError::File { path, source }
}

/// How the cluster is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    #[default]
    Durable,
    /// For tests: fast, and lost when the machine stops.
    ThrowAway,
}

/// A running cluster that this process uses. Leave it with [`Cluster::leave`] or by dropping it.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    account: Account,
    directory: PathBuf,
    options: PgConnectOptions,
    url: SecretString,
    locks: Locks,
}

impl Cluster {
    /// Joins the cluster in `data_dir`; creates and starts it when needed.
    pub async fn join(
        data_dir: &Path,
        postgres_bin: Option<&Path>,
        durability: Durability,
    ) -> Result<Self, ClusterError> {
        make_passable(data_dir)?;
        let data_dir = fs::canonicalize(data_dir).map_err(at(data_dir))?;
        let account = Account::for_postgres()?;
        let (locks, starting) = Locks::acquire(&data_dir).await?;
        let directory = account.place(&data_dir)?;
        let binaries = Binaries::find(postgres_bin, version_of(&directory)?)?;
        let log = data_dir.join("postgres.log");
        let server = Server {
            binaries: &binaries,
            account: &account,
            directory: &directory,
        };
        if version_of(&directory)?.is_none() {
            server.initialise(durability)?;
        }
        let password = read_password(&directory)?;
        let options = match server.running(&password).await {
            Some(options) => options,
            None => server.start(&password, &log, durability).await?,
        };
        create_database(&options).await?;
        drop(starting);
        let (port, secret) = (options.get_port(), password.expose_secret());
        let url = format!("postgres://{ROLE}:{secret}@127.0.0.1:{port}/{DATABASE}").into();
        Ok(Self {
            options: options.database(DATABASE),
            url,
            binaries,
            account,
            directory,
            locks,
        })
    }

    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// The address with its password, for programs that want a `DATABASE_URL`.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// Where the cluster's files are; not in the data directory when Postgres's user can't reach it.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Leaves the cluster, and stops it when nobody else uses it.
    pub async fn leave(self) {
        let stopped = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(error) = stopped {
            tracing::warn!(%error, "the embedded cluster was not left cleanly");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.locks.leave() {
            Ok(Some(alone)) => {
                let server = Server {
                    binaries: &self.binaries,
                    account: &self.account,
                    directory: &self.directory,
                };
                if let Err(error) = server.stop() {
                    tracing::warn!(%error, "the embedded cluster was left running");
                }
                drop(alone);
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the embedded cluster was left running"),
        }
    }
}

/// Who uses the cluster (`use`, shared) and who is just starting or stopping it (`turn`).
#[derive(Debug)]
struct Locks {
    turn: PathBuf,
    using: File,
    using_path: PathBuf,
}

/// The right to start or stop the cluster, until it is dropped.
#[derive(Debug)]
struct Turn(#[allow(dead_code, reason = "held for its lock")] File);

impl Locks {
    async fn acquire(data_dir: &Path) -> Result<(Self, Turn), ClusterError> {
        let turn = data_dir.join("postgres.turn");
        let using_path = data_dir.join("postgres.use");
        let waiting = turn.clone();
        let taken = tokio::task::spawn_blocking(move || take_turn(&waiting)).await;
        let taken = taken.unwrap_or_else(|error| {
            Err(ClusterError::File {
                path: turn.clone(),
                source: std::io::Error::other(error),
            })
        })?;
        let using = open_lock(&using_path)?;
        // Nobody holds it alone without the turn, so this does not wait.
        using.lock_shared().map_err(at(&using_path))?;
        Ok((
            Self {
                turn,
                using,
                using_path,
            },
            taken,
        ))
    }

    /// `Some` when nobody is left: then the cluster may be stopped until the turn is dropped.
    fn leave(&self) -> Result<Option<Turn>, ClusterError> {
        let turn = take_turn(&self.turn)?;
        self.using.unlock().map_err(at(&self.using_path))?;
        match self.using.try_lock() {
            Ok(()) => {
                self.using.unlock().map_err(at(&self.using_path))?;
                Ok(Some(turn))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(at(&self.using_path)(error)),
        }
    }
}

fn open_lock(path: &Path) -> Result<File, ClusterError> {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(at(path))
}

fn take_turn(path: &Path) -> Result<Turn, ClusterError> {
    let file = open_lock(path)?;
    file.lock().map_err(at(path))?;
    Ok(Turn(file))
}

/// The programs of one cluster.
#[derive(Clone, Copy)]
struct Server<'a> {
    binaries: &'a Binaries,
    account: &'a Account,
    directory: &'a Path,
}

impl Server<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        // Neither our secrets nor our working directory are any of its business.
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC");
        command.current_dir("/").stdin(Stdio::null());
        if let Some((uid, gid)) = self.account.switch_to() {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes the cluster beside its place and moves it there when it is whole.
    fn initialise(&self, durability: Durability) -> Result<(), ClusterError> {
        let fresh = self.directory.with_extension("new");
        match fs::remove_dir_all(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(at(&fresh)(error));
            }
            _ => {}
        }
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&fresh)
            .map_err(at(&fresh))?;
        self.account.own(&fresh)?;
        let password_file = self.directory.with_extension("password");
        let password = new_password();
        write_private(&password_file, &password)?;
        self.account.own(&password_file)?;
        let mut initdb = self.command("initdb");
        initdb
            .arg("--pgdata")
            .arg(&fresh)
            .arg("--pwfile")
            .arg(&password_file);
        initdb.args([
            "--username",
            ROLE,
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
        ]);
        initdb.args(["--auth", "scram-sha-256", "--data-checksums"]);
        if durability == Durability::ThrowAway {
            initdb.arg("--no-sync");
        }
        let done = run("initdb", &mut initdb);
        fs::remove_file(&password_file).map_err(at(&password_file))?;
        done?;
        write_private(&fresh.join(PASSWORD_FILE), &password)?;
        self.account.own(&fresh.join(PASSWORD_FILE))?;
        fs::rename(&fresh, self.directory).map_err(at(self.directory))
    }

    /// Signs in to the cluster that the pid file speaks of, if there is one.
    async fn running(&self, password: &SecretString) -> Option<PgConnectOptions> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let notice = PidFile::read(self.directory)?;
            if let Some(port) = notice.port {
                let options = connect_options(port, password);
                if answers(&options).await {
                    return Some(options);
                }
            }
            // It may be recovering from a crash; anything else under that number is a stranger.
            if !notice.is_postgres() || Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn start(
        &self,
        password: &SecretString,
        log: &Path,
        durability: Durability,
    ) -> Result<PgConnectOptions, ClusterError> {
        if let Some(stale) = PidFile::read(self.directory)
            && !stale.is_postgres()
        {
            let path = PidFile::path(self.directory);
            fs::remove_file(&path).map_err(at(&path))?;
        }
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let port = free_port()?;
            let mut child = self.spawn(port, log, durability)?;
            let options = connect_options(port, password);
            loop {
                if answers(&options).await {
                    // Reaps it, should it end before this process does.
                    std::thread::spawn(move || child.wait());
                    return Ok(options);
                }
                let over = Instant::now() > deadline;
                if over || child.try_wait().map_err(at(log))?.is_some() {
                    if over || !worth_another_try(log) {
                        return Err(ClusterError::Start {
                            cause: last_line(log),
                            log: log.to_owned(),
                        });
                    }
                    break;
                }
                tokio::time::sleep(POLL).await;
            }
            tokio::time::sleep(POLL * 10).await;
        }
    }

    fn spawn(&self, port: u16, log: &Path, durability: Durability) -> Result<Child, ClusterError> {
        let output = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(log)
            .map_err(at(log))?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.directory);
        let mut set = |name: &str, value: &str| {
            postgres.arg("-c").arg(format!("{name}={value}"));
        };
        set("listen_addresses", "127.0.0.1");
        set("port", &port.to_string());
        set("unix_socket_directories", "");
        set("timezone", "UTC");
        set("log_timezone", "UTC");
        set("max_connections", "200");
        if durability == Durability::ThrowAway {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                set(name, "off");
            }
        }
        postgres
            .stdout(output.try_clone().map_err(at(log))?)
            .stderr(output);
        // Its own group: Ctrl-C at the terminal is for us, we stop it when we are done.
        postgres.process_group(0);
        postgres
            .spawn()
            .map_err(at(&self.binaries.program("postgres")))
    }

    fn stop(&self) -> Result<(), ClusterError> {
        let mut stop = self.command("pg_ctl");
        stop.arg("stop").arg("-D").arg(self.directory);
        stop.args(["--mode", "fast", "--wait", "--timeout", "8", "--silent"]);
        run("pg_ctl stop", &mut stop)
    }
}

/// What Postgres says of itself in its data directory. Only a hint: it outlives a crash.
struct PidFile {
    pid: Option<u32>,
    port: Option<u16>,
}

impl PidFile {
    fn path(directory: &Path) -> PathBuf {
        directory.join("postmaster.pid")
    }

    fn read(directory: &Path) -> Option<Self> {
        let text = fs::read_to_string(Self::path(directory)).ok()?;
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok());
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        Some(Self { pid, port })
    }

    fn is_postgres(&self) -> bool {
        let Some(pid) = self.pid else { return false };
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| matches!(name.trim(), "postgres" | "postmaster"))
    }
}

const PASSWORD_FILE: &str = "rollcall.password";

fn read_password(directory: &Path) -> Result<SecretString, ClusterError> {
    let path = directory.join(PASSWORD_FILE);
    fs::read_to_string(&path)
        .map(|text| SecretString::from(text.trim()))
        .map_err(at(&path))
}

fn new_password() -> SecretString {
    let bytes: [u8; 24] = rand::random();
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

fn write_private(path: &Path, secret: &SecretString) -> Result<(), ClusterError> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(at(path))?;
    file.write_all(secret.expose_secret().as_bytes())
        .map_err(at(path))
}

/// Makes a folder that Postgres's user can pass through, whatever the umask. What is secret in
/// it is readable for its owner alone.
fn make_passable(folder: &Path) -> Result<(), ClusterError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(at(folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).map_err(at(folder))
}

/// The major version of the cluster in `directory`; `None` when there is no cluster yet.
fn version_of(directory: &Path) -> Result<Option<u32>, ClusterError> {
    let path = directory.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let version = text.trim().parse().map_err(std::io::Error::other);
            version.map(Some).map_err(at(&path))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(&path)(error)),
    }
}

fn free_port() -> Result<u16, ClusterError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(at(Path::new("127.0.0.1")))
}

fn connect_options(port: u16, password: &SecretString) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(ROLE)
        .password(password.expose_secret())
        .database("postgres")
        .disable_statement_logging()
}

async fn answers(options: &PgConnectOptions) -> bool {
    let connect = PgConnection::connect_with(options);
    match tokio::time::timeout(Duration::from_secs(5), connect).await {
        Ok(Ok(connection)) => connection.close().await.is_ok(),
        _ => false,
    }
}

async fn create_database(options: &PgConnectOptions) -> Result<(), ClusterError> {
    let mut db = PgConnection::connect_with(options)
        .await
        .map_err(ClusterError::Connect)?;
    store::cluster::create_database(&mut db)
        .await
        .map_err(ClusterError::Connect)?;
    db.close().await.map_err(ClusterError::Connect)
}

fn run(program: &'static str, command: &mut Command) -> Result<(), ClusterError> {
    let fail = |cause: String| ClusterError::Program { program, cause };
    let output = command.output().map_err(|error| fail(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let cause = text.lines().rev().find(|line| !line.trim().is_empty());
    Err(fail(
        cause.map_or_else(|| output.status.to_string(), str::to_owned),
    ))
}

/// Another process took the port, or the children of a killed cluster are still leaving.
fn worth_another_try(log: &Path) -> bool {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.contains("could not create any TCP/IP sockets") || text.contains("is still in use")
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let fatal = text.lines().rev().find(|line| line.contains("FATAL"));
    let line = fatal.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()));
    line.map_or_else(
        || "it gave no reason".to_owned(),
        |line| line.trim().to_owned(),
    )
}
