//! The browser's files: the WebAssembly package, styles, icons.

use std::path::{Path, PathBuf};

use axum::Router;
use tower_http::services::{ServeDir, ServeFile};

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(
        "the browser's files are not in {}: build them (make build), or name their folder in ROLLCALL_SITE_DIR",
        list(.looked)
    )]
    Missing { looked: Vec<PathBuf> },
    #[error("{path}: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
}

fn list(folders: &[PathBuf]) -> String {
    let folders: Vec<_> = folders
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    folders.join(" or ")
}

/// A folder whose entries are known by name, so that everything else is a page of the console.
#[derive(Clone, Debug)]
pub struct Site {
    folder: PathBuf,
    entries: Vec<PathBuf>,
}

impl Site {
    /// The named folder, or the first of the usual ones that holds a package.
    pub fn find(named: Option<PathBuf>) -> Result<Self, SiteError> {
        let looked = candidates(named);
        match looked.iter().find(|folder| folder.join("pkg").is_dir()) {
            Some(folder) => Self::open(folder),
            None => Err(SiteError::Missing { looked }),
        }
    }

    pub fn open(folder: &Path) -> Result<Self, SiteError> {
        let unreadable = |source| SiteError::Unreadable {
            path: folder.to_owned(),
            source,
        };
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            entries.push(entry.map_err(unreadable)?.path());
        }
        entries.sort();
        Ok(Self {
            folder: folder.to_owned(),
            entries,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn routes(&self) -> Router {
        let mut router = Router::new();
        for entry in &self.entries {
            let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            // Braces would be read as parameters of a route, dots hide what is not for browsers.
            if name.starts_with('.') || name.contains(['{', '}']) {
                continue;
            }
            let path = format!("/{name}");
            router = if entry.is_dir() {
                let files = ServeDir::new(entry).append_index_html_on_directories(false);
                router.nest_service(&path, files.precompressed_br().precompressed_gzip())
            } else {
                router.route_service(
                    &path,
                    ServeFile::new(entry)
                        .precompressed_br()
                        .precompressed_gzip(),
                )
            };
        }
        router
    }
}

/// Where the files are looked for: beside the program, as built and as installed.
fn candidates(named: Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(folder) = named.or_else(|| std::env::var_os("LEPTOS_SITE_ROOT").map(PathBuf::from))
    {
        return vec![folder];
    }
    let program = std::env::current_exe().unwrap_or_default();
    let beside = program.parent().unwrap_or(Path::new("."));
    vec![
        beside.join("site"),
        beside.parent().unwrap_or(beside).join("site"),
    ]
}
