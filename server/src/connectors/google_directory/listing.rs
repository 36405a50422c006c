//! Reading a listing page by page to its proven end.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use super::error::{DirectoryError, Incompleteness};
use super::request::Call;
use super::scope::Scope;
use super::{GoogleDirectory, Patience, protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserListing {
    Current,
    /// People deleted within the last days.
    Deleted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListingKind {
    Users,
    DeletedUsers,
    Groups,
    Members,
}

impl ListingKind {
    fn scope(self) -> Scope {
        match self {
            Self::Users | Self::DeletedUsers => Scope::Users,
            Self::Groups => Scope::Groups,
            Self::Members => Scope::Members,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Users | Self::DeletedUsers => "users",
            Self::Groups => "groups",
            Self::Members => "members",
        }
    }

    /// For sentences like "the listing of people is not complete".
    fn name(self) -> &'static str {
        match self {
            Self::Users => "people",
            Self::DeletedUsers => "deleted people",
            Self::Groups => "groups",
            Self::Members => "members",
        }
    }
}

/// A page may be empty before the last; more of them in a row are no listing.
const MOST_EMPTY_PAGES: u32 = 20;

/// A listing under way. `next_page` answers `None` only when the listing ended as it should.
#[derive(Debug)]
pub struct Listing {
    directory: GoogleDirectory,
    kind: ListingKind,
    call: Call,
    what: String,
    page: u32,
    /// Empty pages since the last that was not.
    empty: u32,
    next: Next,
    /// Hashes of the tokens and ids seen so far: eight bytes each.
    tokens: HashSet<u64>,
    ids: HashSet<u64>,
    hasher: RandomState,
}

#[derive(Debug)]
enum Next {
    First,
    Page(String),
    Ended,
    /// An error was given out; going on would hide it.
    Broken(DirectoryError),
}

impl Listing {
    pub(super) fn new(
        directory: GoogleDirectory,
        kind: ListingKind,
        what: String,
        path: &[&str],
        query: Vec<(&'static str, String)>,
    ) -> Self {
        let mut call = Call::new(kind.scope(), &what, path);
        for (name, value) in query {
            call = call.with(name, &value);
        }
        Self {
            directory,
            kind,
            call,
            what,
            page: 0,
            empty: 0,
            next: Next::First,
            tokens: HashSet::new(),
            ids: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Pages read so far.
    pub fn pages(&self) -> u32 {
        self.page
    }

    pub async fn next_page(&mut self) -> Result<Option<Vec<Value>>, DirectoryError> {
        let token = match &self.next {
            Next::First => None,
            Next::Page(token) => Some(token.clone()),
            Next::Ended => return Ok(None),
            Next::Broken(error) => return Err(error.clone()),
        };
        match self.read_page(token).await {
            Ok(page) => Ok(Some(page)),
            Err(error) => {
                self.next = Next::Broken(error.clone());
                Err(error)
            }
        }
    }

    /// The whole listing, for those that are small.
    pub async fn all(mut self) -> Result<Vec<Value>, DirectoryError> {
        let mut all = Vec::new();
        while let Some(page) = self.next_page().await? {
            all.extend(page);
        }
        Ok(all)
    }

    async fn read_page(&mut self, token: Option<String>) -> Result<Vec<Value>, DirectoryError> {
        let cap = self.directory.0.page_cap;
        if self.page >= cap {
            return Err(self.incomplete(Incompleteness::Endless { pages: cap }));
        }
        self.page += 1;
        let mut call = self.call.clone();
        if let Some(token) = &token {
            call = call.with("pageToken", token);
            call.what = format!("{}, page {}", self.what, self.page);
        }
        let answer = match self.directory.read(&call, Patience::Run).await {
            Ok(answer) => answer,
            Err(DirectoryError::Rejected { status, .. })
                if token.is_some() && matches!(status, 400 | 410) =>
            {
                return Err(DirectoryError::ListingExpired {
                    listing: self.kind.name(),
                    page: self.page,
                    status,
                });
            }
            Err(error) => return Err(error),
        };
        let Value::Object(mut answer) = answer else {
            return Err(protocol(&call.what, "it is not an object"));
        };
        let next = match answer.remove("nextPageToken") {
            None | Some(Value::Null) => None,
            Some(Value::String(next)) if next.is_empty() => None,
            Some(Value::String(next)) => Some(next),
            Some(_) => return Err(protocol(&call.what, "its page token is not text")),
        };
        let items = match answer.remove(self.kind.key()) {
            Some(Value::Array(items)) => items,
            // Read as "nobody" this would remove everybody.
            None | Some(Value::Null) if self.kind == ListingKind::Users => {
                let listing = self.kind.name();
                return Err(self.incomplete(Incompleteness::MissingList { listing }));
            }
            None | Some(Value::Null) => Vec::new(),
            Some(_) => {
                let detail = format!("{:?} is not a list", self.kind.key());
                return Err(protocol(&call.what, &detail));
            }
        };
        self.empty = if items.is_empty() { self.empty + 1 } else { 0 };
        if self.empty >= MOST_EMPTY_PAGES && next.is_some() {
            return Err(self.incomplete(Incompleteness::EmptyPages { pages: self.empty }));
        }
        let mut fresh = items.is_empty();
        for item in &items {
            // Members from outside may have no id: nothing to compare then.
            let id = match item.get("id") {
                Some(Value::String(id)) => self.hasher.hash_one(id.as_str()),
                Some(Value::Number(id)) => self.hasher.hash_one(id.to_string()),
                _ => {
                    fresh = true;
                    continue;
                }
            };
            fresh |= self.ids.insert(id);
        }
        if !fresh {
            return Err(self.incomplete(Incompleteness::RepeatedPage { page: self.page }));
        }
        self.next = match next {
            // The administrator at least is somebody.
            None if self.kind == ListingKind::Users && self.ids.is_empty() => {
                let listing = self.kind.name();
                return Err(self.incomplete(Incompleteness::MissingList { listing }));
            }
            None => Next::Ended,
            Some(next) if !self.tokens.insert(self.hasher.hash_one(&next)) => {
                return Err(self.incomplete(Incompleteness::RepeatedToken { page: self.page }));
            }
            Some(next) => Next::Page(next),
        };
        Ok(items)
    }

    fn incomplete(&self, cause: Incompleteness) -> DirectoryError {
        DirectoryError::Incomplete {
            listing: self.kind.name(),
            cause,
        }
    }
}
