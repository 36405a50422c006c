//! Keeps the sandbox in one file, so that a demo that is started again still
//! knows the accounts that were made in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use super::{Inner, SandboxError};

/// Writes a whole file or nothing, readable by its owner alone.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let written = options
        .open(&draft)
        .and_then(|mut file| file.write_all(bytes));
    written
        .and_then(|()| std::fs::rename(&draft, path))
        .inspect_err(|_| drop(std::fs::remove_file(&draft)))
}

#[derive(Debug, Default)]
struct Wanted {
    generation: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Signal {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

/// A file that follows the sandbox. Changes that come together are written
/// together; an answer waits until its change is in the file.
#[derive(Debug)]
pub struct Storage {
    signal: Arc<Signal>,
    written: watch::Receiver<u64>,
}

impl Storage {
    /// Starts the thread that writes.
    pub fn start(path: PathBuf, sandbox: Weak<Inner>) -> Result<Self, SandboxError> {
        let signal = Arc::new(Signal::default());
        let (report, written) = watch::channel(0);
        let seen = Arc::clone(&signal);
        std::thread::Builder::new()
            .name("sandbox storage".to_owned())
            .spawn(move || follow(&path, &sandbox, &seen, &report))
            .map_err(SandboxError::Thread)?;
        Ok(Self { signal, written })
    }

    /// Asks for what has changed to be written; the number to wait for.
    pub fn note(&self) -> u64 {
        let mut wanted = self
            .signal
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        wanted.generation += 1;
        self.signal.changed.notify_one();
        wanted.generation
    }

    /// Waits until everything up to `generation` is in the file.
    pub async fn wait(&self, generation: u64) {
        let mut written = self.written.clone();
        // An error means that the thread is gone: nothing left to wait for.
        drop(written.wait_for(|done| *done >= generation).await);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let mut wanted = self
            .signal
            .wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        wanted.closed = true;
        self.signal.changed.notify_one();
    }
}

fn follow(path: &Path, sandbox: &Weak<Inner>, signal: &Signal, report: &watch::Sender<u64>) {
    let mut done = 0;
    loop {
        let mut wanted = signal.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        while wanted.generation == done && !wanted.closed {
            wanted = signal
                .changed
                .wait(wanted)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if wanted.closed {
            return;
        }
        let generation = wanted.generation;
        drop(wanted);
        let Some(sandbox) = sandbox.upgrade() else {
            return;
        };
        let written = sandbox
            .snapshot()
            .map_err(|error| error.to_string())
            .and_then(|bytes| write_whole(path, &bytes).map_err(|error| error.to_string()));
        drop(sandbox);
        if let Err(error) = written {
            tracing::warn!(file = %path.display(), %error, "the sandbox's file could not be written");
        }
        done = generation;
        report.send_replace(done);
    }
}
