//! The write as it left, for the log: what was planned is sent in the way that the app understands.

use std::cell::RefCell;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::error::ScimError;
use super::request::Call;

/// One write, without its headers and so without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Method and path below the endpoint, such as `PATCH /Users/1`.
    call: String,
    body: Option<Bytes>,
    /// `None` where no answer came.
    pub status: Option<u16>,
}

tokio::task_local! {
    static NOTED: RefCell<Vec<Sent>>;
}

impl Sent {
    fn was_taken(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    pub fn to_json(&self) -> Value {
        let (method, path) = self.call.split_once(' ').unwrap_or((&self.call, ""));
        let body: Option<Value> =
            (self.body.as_deref()).and_then(|body| serde_json::from_slice(body).ok());
        json!({ "method": method, "path": path, "body": body })
    }
}

/// Does the work, and tells the write that counted: the last one that was taken, or the one that an
/// error is about.
pub async fn noting<T>(
    work: impl Future<Output = Result<T, ScimError>>,
) -> (Result<T, ScimError>, Option<Sent>) {
    NOTED
        .scope(RefCell::default(), async {
            let done = work.await;
            let mut sent = NOTED.with(RefCell::take);
            let about = match &done {
                // A try in another style may have been refused after it.
                Ok(_) => sent.iter().rposition(Sent::was_taken),
                Err(error) => sent.iter().rposition(|one| *one.call == *error.request),
            };
            let counted = match about {
                Some(at) => Some(sent.swap_remove(at)),
                None => sent.pop(),
            };
            (done, counted)
        })
        .await
}

/// Of work that nobody asks about, nothing is kept.
pub(super) fn note(call: &Call, status: Option<StatusCode>) {
    let sent = || Sent {
        call: call.shown.clone(),
        body: call.body().cloned(),
        status: status.map(|status| status.as_u16()),
    };
    let _ = NOTED.try_with(|noted| noted.borrow_mut().push(sent()));
}
