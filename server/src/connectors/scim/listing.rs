//! Listing all accounts, with an honest word on whether it is all of them.

use std::collections::HashSet;

use chrono::TimeDelta;
use provisioning::identity::{Account, AccountId};
use serde_json::Value;

use super::ScimApp;
use super::error::{ScimError, ScimErrorClass};
use super::request::Call;

/// So long a smaller page is taken for the largest that works.
const LARGER_AGAIN_AFTER: TimeDelta = TimeDelta::days(7);
/// More pages than any app has.
const PAGE_CAP: u32 = 20_000;

/// Whether who is not in the listing has no account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    Trusted,
    /// Everybody has to be looked up individually.
    Untrusted {
        why: String,
    },
}

/// A listing under way. `None` ends it; only then `trust` has a final answer.
#[derive(Debug)]
pub struct AccountListing {
    app: ScimApp,
    seen: HashSet<AccountId>,
    /// 1-based, as SCIM counts.
    start: u64,
    page: u32,
    count: Option<u32>,
    total: Option<u64>,
    doubts: Option<String>,
    probing: bool,
    /// Whether it was tried if the app counts from zero, so that the first account is missing.
    from_zero: bool,
    ended: bool,
}

impl ScimApp {
    pub fn accounts(&self) -> AccountListing {
        AccountListing {
            app: self.clone(),
            seen: HashSet::new(),
            start: 1,
            page: 0,
            count: None,
            total: None,
            doubts: None,
            probing: false,
            from_zero: false,
            ended: false,
        }
    }

    /// Page sizes to try, the largest first; `None` leaves `count` away.
    fn page_sizes(&self) -> Vec<Option<u32>> {
        let largest = self.app.settings.page_size.max(1);
        let learned = self.learned();
        let now = self.app.clock.now();
        // Apps are mended, too.
        let is_old = (learned.page_size_at).is_none_or(|at| now - at >= LARGER_AGAIN_AFTER);
        let known = learned.page_size.filter(|_| !is_old);
        match known {
            Some(0) => vec![None],
            Some(size) if size < largest => vec![Some(size), None],
            Some(_) | None if largest > 100 => vec![Some(largest), Some(100), None],
            Some(_) | None => vec![Some(largest), None],
        }
    }
}

impl AccountListing {
    /// Final once `next_page` answered `None`.
    pub fn trust(&self) -> Trust {
        match (&self.doubts, self.ended) {
            (Some(why), _) => Trust::Untrusted { why: why.clone() },
            (None, true) => Trust::Trusted,
            (None, false) => Trust::Untrusted {
                why: "the listing was not read to its end".to_owned(),
            },
        }
    }

    /// What the app says that there are.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    pub async fn next_page(&mut self) -> Result<Option<Vec<Account>>, ScimError> {
        if self.ended {
            return Ok(None);
        }
        if self.page >= PAGE_CAP {
            return Ok(self.end_in_doubt(format!("it does not end after {PAGE_CAP} pages")));
        }
        self.page += 1;
        let page = match self.read_page().await {
            Ok(page) => page,
            // Past the end of a listing that is complete by its own count.
            Err(error) if self.probing && matches!(error.status, Some(400 | 404 | 416)) => {
                self.ended = true;
                return Ok(None);
            }
            Err(error) if self.may_go_without(&error) => {
                let why = format!("page {} could not be read: {error}", self.page);
                return Ok(self.end_in_doubt(why));
            }
            Err(error) => return Err(error),
        };
        if let Some(first) = self.first_of_all(&page).await? {
            self.seen.insert(first.id.clone());
            self.ended = true;
            return Ok(Some(vec![first]));
        }
        Ok(self.take(page))
    }

    /// Some count from zero, against the standard: where the last page is empty and one account is
    /// missing, it is the one before the first.
    async fn first_of_all(&mut self, last: &Page) -> Result<Option<Account>, ScimError> {
        let one_is_missing = self.total == Some(self.seen.len() as u64 + 1);
        if self.from_zero || self.probing || !one_is_missing || !last.resources.is_empty() {
            return Ok(None);
        }
        self.from_zero = true;
        let page = match Page::read(&self.app, "startIndex=0&count=1", false).await {
            Ok(page) => page,
            Err(error) if error.is_authorization() => return Err(error),
            // What counts from one may refuse it.
            Err(_) => return Ok(None),
        };
        let first = page.resources.into_iter().next();
        Ok(first
            .and_then(|resource| Account::from_resource(resource).ok())
            .filter(|account| !self.seen.contains(&account.id)))
    }

    /// Errors that spoil the listing but not the app: whoever is needed is looked up instead.
    fn may_go_without(&self, error: &ScimError) -> bool {
        match error.class {
            ScimErrorClass::Rejected | ScimErrorClass::Unsupported => true,
            ScimErrorClass::Transient { .. }
            | ScimErrorClass::NotFound
            | ScimErrorClass::Endpoint => self.page > 1,
            _ => false,
        }
    }

    async fn read_page(&mut self) -> Result<Page, ScimError> {
        if self.page > 1 {
            let query = self.query(self.count);
            return Page::read(&self.app, &query, true).await;
        }
        let sizes = self.app.page_sizes();
        let last = sizes.len() - 1;
        // The size before the one that works, when it was refused by a server error.
        let mut failed: Option<Option<u32>> = None;
        for (at, size) in sizes.into_iter().enumerate() {
            match Page::read(&self.app, &self.query(size), at == last).await {
                // Some can't bear a large page, others no count at all.
                Err(error) if at < last && matches!(error.status, Some(500..=599)) => {
                    failed = Some(size);
                }
                Err(error) if at < last && matches!(error.status, Some(400 | 413 | 414 | 422)) => {
                    failed = None;
                }
                Err(error) => return Err(error),
                Ok(page) => {
                    self.count = size;
                    if at == 0 {
                        return Ok(page);
                    }
                    // A server error may have passed: only the same one again is the size's fault.
                    if let Some(larger) = failed {
                        match Page::read(&self.app, &self.query(larger), false).await {
                            Ok(larger_page) => {
                                self.count = larger;
                                return Ok(larger_page);
                            }
                            Err(error) if error.is_authorization() => return Err(error),
                            Err(_) => {}
                        }
                    }
                    self.app.learn(|learned| {
                        learned.page_size = Some(size.unwrap_or(0));
                        learned.page_size_at = Some(self.app.app.clock.now());
                    });
                    return Ok(page);
                }
            }
        }
        Err(ScimError::endpoint(
            "GET /Users",
            None,
            "no page size works",
        ))
    }

    fn query(&self, count: Option<u32>) -> String {
        match (count, self.start) {
            (Some(count), start) => format!("startIndex={start}&count={count}"),
            (None, 1) => String::new(),
            (None, start) => format!("startIndex={start}"),
        }
    }

    fn take(&mut self, page: Page) -> Option<Vec<Account>> {
        let returned = page.resources.len() as u64;
        if !self.probing {
            if let (Some(before), Some(now)) = (self.total, page.total)
                && before != now
            {
                self.doubt(format!(
                    "the number of accounts changed from {before} to {now} meanwhile"
                ));
            }
            self.total = page.total.or(self.total);
        }
        let mut fresh = Vec::new();
        for resource in page.resources {
            match Account::from_resource(resource) {
                Ok(account) => {
                    if self.seen.insert(account.id.clone()) {
                        fresh.push(account);
                    }
                }
                Err(problem) => self.doubt(problem.to_string()),
            }
        }
        let seen = self.seen.len() as u64;
        let enough = self.total.is_some_and(|total| seen >= total);
        if fresh.is_empty() {
            // An empty page, or one that was there before: no more is to be had.
            if !enough && !self.probing && (self.total.is_some() || returned > 0) {
                self.doubt(match self.total {
                    Some(total) => format!("it ended after {seen} of {total} accounts"),
                    None => "the app repeats the first page and does not say how many there are"
                        .to_owned(),
                });
            }
            self.ended = true;
            return None;
        }
        if (fresh.len() as u64) < returned {
            self.doubt("accounts were repeated on a later page".to_owned());
        }
        if self.probing {
            self.doubt("the app has more accounts than it says".to_owned());
        }
        self.start += returned;
        if enough && !self.probing {
            if self.page == 1 && looks_like_a_page_size(returned, self.count) {
                // Some give the size of the page as the total: one more request tells.
                self.probing = true;
            } else {
                self.ended = true;
            }
        }
        Some(fresh)
    }

    fn doubt(&mut self, why: String) {
        self.doubts.get_or_insert(why);
    }

    fn end_in_doubt(&mut self, why: String) -> Option<Vec<Account>> {
        self.doubt(why);
        self.ended = true;
        None
    }
}

fn looks_like_a_page_size(returned: u64, count: Option<u32>) -> bool {
    count.is_some_and(|count| u64::from(count) == returned)
        || [10, 20, 25, 50, 100, 200, 250, 500, 1000].contains(&returned)
}

/// A page as answered.
pub(super) struct Page {
    pub resources: Vec<Value>,
    pub total: Option<u64>,
}

impl Page {
    /// `patient` reads try again after server errors.
    pub async fn read(app: &ScimApp, query: &str, patient: bool) -> Result<Self, ScimError> {
        let mut call = Call::read(app, &["Users"])?.with_query(query);
        if !patient {
            call = call.impatient();
        }
        let json = match app.send_for_json(&call).await {
            Err(error) if error.is_not_found() && !query.contains("filter=") => {
                let detail = "there are no Users below this address";
                return Err(ScimError::endpoint(&call.shown, error.status, detail));
            }
            other => other?,
        };
        Self::parse(&call.shown, json)
    }

    fn parse(shown: &str, json: Value) -> Result<Self, ScimError> {
        let not_a_list =
            || ScimError::endpoint(shown, None, "the answer is not a list of accounts");
        let Value::Object(mut list) = json else {
            return Err(not_a_list());
        };
        let total = list.get("totalResults").and_then(|total| match total {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        });
        let resources = list
            .remove("Resources")
            .or_else(|| list.remove("resources"));
        match (resources, total) {
            (Some(Value::Array(resources)), total) => Ok(Self { resources, total }),
            (None | Some(Value::Null), Some(total)) => Ok(Self {
                resources: Vec::new(),
                total: Some(total),
            }),
            _ => Err(not_a_list()),
        }
    }
}
