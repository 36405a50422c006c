//! Reading a listing page by page to its proven end.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::error::{DirectoryError, Incompleteness};
use super::request::Call;
use super::scope::Scope;
use super::{GoogleDirectory, Patience, protocol};
use crate::connectors::http::Answer;

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

/// One object of a listing, as it came. To be compared it need not be understood.
#[derive(Debug)]
pub struct Listed {
    text: Box<RawValue>,
    digest: Uuid,
}

impl Listed {
    fn new(text: &RawValue) -> Self {
        let digest = Sha256::digest(text.get().as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self {
            text: text.to_owned(),
            digest: Uuid::from_bytes(half),
        }
    }

    /// Half a SHA-256 of its text: equal for equal objects only.
    pub fn digest(&self) -> Uuid {
        self.digest
    }

    /// `Null` for what is nested deeper than anything that Google writes.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.text.get()).unwrap_or_default()
    }
}

/// A page before its objects are looked into.
struct Page {
    items: Items,
    next: Option<Value>,
}

enum Items {
    Missing,
    NotAList,
    List(Vec<Listed>),
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(rename = "nextPageToken")]
    next: Option<Value>,
    #[serde(borrow)]
    users: Option<&'a RawValue>,
    #[serde(borrow)]
    groups: Option<&'a RawValue>,
    #[serde(borrow)]
    members: Option<&'a RawValue>,
}

impl Page {
    fn read(answer: &Answer, kind: ListingKind) -> Option<Self> {
        // A list would be taken for the fields in their order.
        if answer.body.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let page: RawPage<'_> = serde_json::from_slice(&answer.body).ok()?;
        let list = match kind {
            ListingKind::Users | ListingKind::DeletedUsers => page.users,
            ListingKind::Groups => page.groups,
            ListingKind::Members => page.members,
        };
        let items = match list.map(|list| serde_json::from_str::<Vec<&RawValue>>(list.get())) {
            None => Items::Missing,
            Some(Err(_)) => Items::NotAList,
            Some(Ok(items)) => Items::List(items.into_iter().map(Listed::new).collect()),
        };
        Some(Self {
            items,
            next: page.next,
        })
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
    /// Hashes of the tokens and objects seen so far: eight bytes each.
    tokens: HashSet<u64>,
    seen: HashSet<u64>,
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
            seen: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Pages read so far.
    pub fn pages(&self) -> u32 {
        self.page
    }

    pub async fn next_page(&mut self) -> Result<Option<Vec<Value>>, DirectoryError> {
        let page = self.next_page_unread().await?;
        Ok(page.map(|page| page.iter().map(Listed::json).collect()))
    }

    /// The next page, its objects as they came.
    pub async fn next_page_unread(&mut self) -> Result<Option<Vec<Listed>>, DirectoryError> {
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

    async fn read_page(&mut self, token: Option<String>) -> Result<Vec<Listed>, DirectoryError> {
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
        let kind = self.kind;
        let read = self
            .directory
            .read_as(&call, Patience::Run, |answer| Page::read(answer, kind))
            .await;
        let page = match read {
            Ok(page) => page,
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
        let next = match page.next {
            None | Some(Value::Null) => None,
            Some(Value::String(next)) if next.is_empty() => None,
            Some(Value::String(next)) => Some(next),
            Some(_) => return Err(protocol(&call.what, "its page token is not text")),
        };
        let items = match page.items {
            Items::List(items) => items,
            // Read as "nobody" this would remove everybody.
            Items::Missing if self.kind == ListingKind::Users => {
                let listing = self.kind.name();
                return Err(self.incomplete(Incompleteness::MissingList { listing }));
            }
            Items::Missing => Vec::new(),
            Items::NotAList => {
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
            fresh |= self.seen.insert(self.hasher.hash_one(item.digest));
        }
        if !fresh {
            return Err(self.incomplete(Incompleteness::RepeatedPage { page: self.page }));
        }
        self.next = match next {
            // The administrator at least is somebody.
            None if self.kind == ListingKind::Users && self.seen.is_empty() => {
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
