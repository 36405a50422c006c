//! An emulated Google directory and an emulated Asana for the demo, for tests
//! and for benchmarks. Rollcall reaches them over HTTP only, as it reaches the
//! real ones.
//!
//! One router serves both: Google at its true paths (`/token`,
//! `/admin/directory/v1/...`), Asana below `/api/1.0/scim`, and what only a
//! sandbox has below `/sandbox`.

mod asana;
mod control;
mod directory;
mod faults;
mod google;
mod key;
mod organization;
mod seed;
mod storage;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use axum::Router;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, SystemClock};

pub use asana::{Account, Limits, Quirks, SCIM_BASE};
pub use directory::{
    Directory, DirectoryError, Group, Member, NewPerson, OrgUnit, Person, PersonId, Rename,
};
pub use faults::{Call, Failure, Fault, Flag};
pub use google::Scope;
pub use google::push::Channel;
pub use key::{CLIENT_EMAIL, ServiceAccountKey};
pub use organization::{ADMINISTRATOR, NAME, PRIMARY_DOMAIN, SECONDARY_DOMAIN};

use asana::Accounts;
use faults::{Faults, Suffered};
use google::Grants;
use seed::Seeded;
use storage::Storage;

/// Why a sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox's key is unusable: {0}")]
    Key(String),
    #[error("{path}: {cause}; move the file away to start afresh", path = .path.display())]
    File { path: PathBuf, cause: String },
    #[error("the sandbox's storage thread could not start: {0}")]
    Thread(std::io::Error),
    #[error("the sandbox stopped serving: {0}")]
    Serve(std::io::Error),
}

/// How a sandbox starts.
#[derive(Clone)]
pub struct SandboxOptions {
    /// The same seed gives the same organization, ids and token.
    pub seed: u64,
    /// People that are not deleted.
    pub people: usize,
    /// Groups; at least the forty-one with a name.
    pub groups: usize,
    /// How many of the people have an account in the app already.
    pub accounts: usize,
    /// How many accounts nobody in the directory belongs to.
    pub strangers: usize,
    /// Where everything is kept; nothing is kept without it.
    pub data_file: Option<PathBuf>,
    /// A key that is ready; otherwise one is made (slow) or read from the file.
    pub key: Option<ServiceAccountKey>,
    /// How the app deviates from the default.
    pub quirks: Quirks,
    /// The app's limits on rate and concurrency.
    pub limits: Limits,
    /// Whether bodies sent to the app are kept for [`Sandbox::recorded`].
    pub record: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            people: 250,
            groups: 41,
            accounts: 41,
            strangers: 6,
            data_file: None,
            key: None,
            quirks: Quirks::default(),
            limits: Limits::default(),
            record: true,
            clock: Arc::new(SystemClock),
        }
    }
}

impl std::fmt::Debug for SandboxOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SandboxOptions")
            .field("seed", &self.seed)
            .field("people", &self.people)
            .field("data_file", &self.data_file)
            .finish_non_exhaustive()
    }
}

impl SandboxOptions {
    /// For tests: the shared key, no limits, the given clock.
    pub fn for_tests(clock: Arc<dyn Clock>) -> Result<Self, SandboxError> {
        Ok(Self {
            key: Some(ServiceAccountKey::shared()?),
            limits: Limits::none(),
            clock,
            ..Self::default()
        })
    }
}

/// A request that reached the app.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    pub call: Call,
    pub method: String,
    /// Path and query below the host.
    pub path: String,
    /// The body as JSON; null when there was none or it was none.
    pub body: serde_json::Value,
    /// What the app answered, also when the answer was lost on the way.
    pub status: u16,
}

/// What opens the emulated APIs.
#[derive(Clone, Serialize, Deserialize)]
struct Access {
    asana_token: String,
    asana_token_valid: bool,
    rotations: u64,
    /// Scopes that the domain has delegated to the service account.
    delegated: Vec<Scope>,
}

/// Everything behind the handle.
pub(crate) struct Inner {
    directory: RwLock<Directory>,
    accounts: RwLock<Accounts>,
    access: RwLock<Access>,
    quirks: RwLock<Quirks>,
    limiter: asana::Limiter,
    grants: Grants,
    faults: Mutex<Faults>,
    calls: Mutex<BTreeMap<Call, u64>>,
    recorded: Mutex<Vec<Recorded>>,
    record: bool,
    /// Open channels of `users.watch`.
    channels: Mutex<Vec<Channel>>,
    /// Nested memberships that were walked since the last change.
    walked: Mutex<HashMap<String, Arc<Vec<directory::Membership>>>>,
    key: ServiceAccountKey,
    clock: Arc<dyn Clock>,
    storage: OnceLock<Storage>,
}

#[derive(Serialize)]
struct Snapshot<'a> {
    version: u32,
    private_key: &'a str,
    access: &'a Access,
    directory: &'a Directory,
    accounts: &'a Accounts,
}

#[derive(Deserialize)]
struct Saved {
    version: u32,
    private_key: String,
    access: Access,
    directory: Directory,
    accounts: Accounts,
}

const SAVED_VERSION: u32 = 1;

impl Inner {
    fn snapshot(&self) -> serde_json::Result<Vec<u8>> {
        let access = read(&self.access).clone();
        // Accounts before directory, as everywhere: writers may wait in between.
        let accounts = read(&self.accounts);
        let directory = read(&self.directory);
        serde_json::to_vec(&Snapshot {
            version: SAVED_VERSION,
            private_key: self.key.private_pem(),
            access: &access,
            directory: &directory,
            accounts: &accounts,
        })
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle on a sandbox; clones share it.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

impl Sandbox {
    /// Makes up an organization, or takes the one in the data file.
    pub fn new(options: SandboxOptions) -> Result<Self, SandboxError> {
        let saved = match &options.data_file {
            Some(path) => load(path)?,
            None => None,
        };
        let now = options.clock.now();
        let is_new = saved.is_none();
        let (key, access, directory, accounts) = match saved {
            Some(mut saved) => {
                saved.directory.index();
                saved.accounts.index();
                let key = match options.key {
                    Some(key) => key,
                    None => ServiceAccountKey::from_pem(&saved.private_key)?,
                };
                (key, saved.access, saved.directory, saved.accounts)
            }
            None => {
                let key = match options.key {
                    Some(key) => key,
                    None => ServiceAccountKey::generate()?,
                };
                let size = organization::Size {
                    people: options.people,
                    groups: options.groups,
                };
                let directory = organization::generate(options.seed, size, now);
                let accounts =
                    asana::populate(&directory, options.accounts, options.strangers, now);
                let access = Access {
                    asana_token: asana_token(options.seed, 0),
                    asana_token_valid: true,
                    rotations: 0,
                    delegated: Scope::ALL.to_vec(),
                };
                (key, access, directory, accounts)
            }
        };
        let sandbox = Self(Arc::new(Inner {
            grants: Grants::new(key.public_pem())?,
            directory: RwLock::new(directory),
            accounts: RwLock::new(accounts),
            access: RwLock::new(access),
            quirks: RwLock::new(options.quirks),
            limiter: asana::Limiter::new(options.limits),
            faults: Mutex::default(),
            calls: Mutex::default(),
            recorded: Mutex::default(),
            record: options.record,
            channels: Mutex::default(),
            walked: Mutex::default(),
            key,
            clock: options.clock,
            storage: OnceLock::new(),
        }));
        if let Some(path) = options.data_file {
            if is_new {
                let bytes = sandbox.0.snapshot().map_err(|error| SandboxError::File {
                    path: path.clone(),
                    cause: error.to_string(),
                })?;
                storage::write_whole(&path, &bytes).map_err(|error| SandboxError::File {
                    path: path.clone(),
                    cause: error.to_string(),
                })?;
            }
            let storage = Storage::start(path, Arc::downgrade(&sandbox.0))?;
            drop(sandbox.0.storage.set(storage));
        }
        Ok(sandbox)
    }

    /// Google, Asana and the controls.
    pub fn router(&self) -> Router {
        Router::new()
            .merge(google::router())
            .merge(asana::router())
            .merge(control::router())
            .fallback(google::no_such_page)
            .with_state(self.clone())
    }

    /// Serves on a listener until the task is dropped.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> Result<(), SandboxError> {
        axum::serve(listener, self.router())
            .await
            .map_err(SandboxError::Serve)
    }

    /// The service account's key file for a sandbox at `base_url`.
    pub fn service_account_key_json(&self, base_url: &str) -> String {
        self.0.key.file(base_url).to_string()
    }

    /// The key itself, for tests that sign for themselves.
    pub fn key(&self) -> &ServiceAccountKey {
        &self.0.key
    }

    /// The access token of the app.
    pub fn asana_token(&self) -> String {
        read(&self.0.access).asana_token.clone()
    }

    /// The address of the app's SCIM service for a sandbox at `base_url`.
    pub fn scim_endpoint(base_url: &str) -> String {
        format!("{}{SCIM_BASE}", base_url.trim_end_matches('/'))
    }

    /// Makes the app refuse its token; with `rotate` a new one holds, which is returned.
    pub fn revoke_asana_token(&self, rotate: bool) -> String {
        let mut access = write(&self.0.access);
        access.asana_token_valid = rotate;
        if rotate {
            access.rotations += 1;
            let seed = read(&self.0.directory).seed;
            access.asana_token = asana_token(seed, access.rotations);
        }
        let token = access.asana_token.clone();
        drop(access);
        self.note();
        token
    }

    /// Makes every access token of the directory API invalid; new ones can be had.
    pub fn revoke_google_tokens(&self) {
        self.0.grants.clear();
    }

    /// Takes a scope away from the service account, or gives it back.
    pub fn delegate(&self, scope: Scope, allowed: bool) {
        let mut access = write(&self.0.access);
        access.delegated.retain(|held| *held != scope);
        if allowed {
            access.delegated.push(scope);
        }
        drop(access);
        self.note();
    }

    /// Looks at the directory.
    pub fn directory<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        look(&read(&self.0.directory))
    }

    /// Changes the directory.
    pub fn change_directory<T>(
        &self,
        change: impl FnOnce(&mut Directory, DateTime<Utc>) -> T,
    ) -> T {
        let now = self.0.clock.now();
        let before = self.watched();
        let answer = change(&mut write(&self.0.directory), now);
        lock(&self.0.walked).clear();
        self.note();
        if let Some(before) = before {
            self.notify(&before);
        }
        answer
    }

    /// The app's accounts, in the order of their ids.
    pub fn accounts(&self) -> Vec<Account> {
        read(&self.0.accounts).all().cloned().collect()
    }

    /// The app's account with this `userName`, compared without case.
    pub fn account(&self, user_name: &str) -> Option<Account> {
        read(&self.0.accounts).by_name(user_name).cloned()
    }

    /// How many accounts the app has.
    pub fn account_count(&self) -> usize {
        read(&self.0.accounts).len()
    }

    /// Removes an account behind everybody's back, as an administrator of the
    /// app could.
    pub fn remove_account(&self, user_name: &str) -> bool {
        let removed = write(&self.0.accounts).remove_by_name(user_name);
        self.note();
        removed
    }

    /// Makes an account behind everybody's back; false when the app refuses it.
    pub fn add_account(&self, document: serde_json::Map<String, serde_json::Value>) -> bool {
        let now = self.0.clock.now();
        let quirks = Quirks {
            any_domain: true,
            ..read(&self.0.quirks).clone()
        };
        let made = write(&self.0.accounts)
            .create(document, &quirks, |_| true, now)
            .is_ok();
        self.note();
        made
    }

    /// Changes an account behind everybody's back, all but its id and user name; false when there
    /// is none.
    pub fn change_account(&self, user_name: &str, change: impl FnOnce(&mut Account)) -> bool {
        let changed = write(&self.0.accounts).change_by_name(user_name, change);
        self.note();
        changed
    }

    /// Makes the app behave differently from now on.
    pub fn set_quirks(&self, quirks: Quirks) {
        *write(&self.0.quirks) = quirks;
    }

    /// Changes the app's limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.0.limiter.set(limits);
    }

    /// Switches a fault on.
    pub fn inject(&self, fault: Fault) {
        lock(&self.0.faults).add(fault);
    }

    /// Makes the directory forget a flag of one person (id or address), or of all.
    pub fn hide_flag(&self, flag: Flag, person: Option<&str>) {
        lock(&self.0.faults).hide(flag, person);
    }

    /// Leaves a person or group (by id) out of listings, as if Google had forgotten it for a while.
    pub fn leave_out(&self, id: &str) {
        lock(&self.0.faults).leave_out(id);
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        lock(&self.0.faults).clear();
    }

    /// How many requests of a kind arrived, refused ones included.
    pub fn count(&self, call: Call) -> u64 {
        lock(&self.0.calls).get(&call).copied().unwrap_or(0)
    }

    /// All counts.
    pub fn counts(&self) -> BTreeMap<Call, u64> {
        lock(&self.0.calls).clone()
    }

    /// How many writes reached the app.
    pub fn scim_writes(&self) -> u64 {
        self.total(Call::is_scim_write)
    }

    /// How many requests reached the app.
    pub fn scim_requests(&self) -> u64 {
        self.total(Call::is_scim)
    }

    fn total(&self, which: impl Fn(Call) -> bool) -> u64 {
        lock(&self.0.calls)
            .iter()
            .filter(|(call, _)| which(**call))
            .map(|(_, count)| count)
            .sum()
    }

    /// Every request that reached the app, in the order of the answers.
    pub fn recorded(&self) -> Vec<Recorded> {
        lock(&self.0.recorded).clone()
    }

    /// Forgets counts and recorded requests.
    pub fn forget_requests(&self) {
        lock(&self.0.calls).clear();
        lock(&self.0.recorded).clear();
    }

    /// The largest numbers of reads and of writes that the app saw at once.
    pub fn peak_concurrency(&self) -> (usize, usize) {
        self.0.limiter.peaks()
    }

    /// Asks for the data file to be written, if there is one.
    fn note(&self) -> Option<u64> {
        self.0.storage.get().map(Storage::note)
    }

    /// Waits until every change so far is in the data file.
    pub async fn saved(&self) {
        if let Some(storage) = self.0.storage.get() {
            storage.wait(storage.note()).await;
        }
    }

    /// Counts a request in and lets it suffer what is switched on.
    async fn enter(&self, call: Call, subject: Option<&str>) -> Suffered {
        *lock(&self.0.calls).entry(call).or_insert(0) += 1;
        let suffered = lock(&self.0.faults).suffer(call, subject);
        if !suffered.latency.is_zero() {
            tokio::time::sleep(suffered.latency).await;
        }
        if suffered.failure == Some(Failure::DroppedBefore) {
            drop_connection();
        }
        suffered
    }
}

/// Ends the connection without an answer: the task that serves it unwinds,
/// which closes the socket. No message is printed.
fn drop_connection() -> ! {
    std::panic::resume_unwind(Box::new("a fault dropped the connection"))
}

fn asana_token(seed: u64, rotation: u64) -> String {
    let mut chance = Seeded::new(seed, &format!("asana token {rotation}"));
    format!("2/{}/sandbox{}", chance.digits(16), chance.letters(24))
}

fn load(path: &std::path::Path) -> Result<Option<Saved>, SandboxError> {
    let wrong = |cause: String| SandboxError::File {
        path: path.to_owned(),
        cause,
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let saved: Saved = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    if saved.version != SAVED_VERSION {
        return Err(wrong(format!(
            "written by another version ({}, this one writes {SAVED_VERSION})",
            saved.version
        )));
    }
    Ok(Some(saved))
}
