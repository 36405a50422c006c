//! Writes to an app that wants to hear which version of an account they change (RFC 7644, 3.14).

use http::Method;
use http::header::{ETAG, HeaderValue};
use serde_json::Value;

use super::ScimApp;
use super::error::ScimError;
use super::learned::IfMatch;
use super::request::Call;
use crate::connectors::http::Answer;

/// The version changed between reading and writing: so often it is read again.
const READS: usize = 2;

impl ScimApp {
    /// Sends a write, with the version where the app insists on one.
    pub(super) async fn send_versioned(&self, call: &Call) -> Result<Answer, ScimError> {
        if call.method == Method::POST {
            return self.send(call).await;
        }
        let refused = match self.learned().if_match {
            Some(IfMatch::Version) => return self.send_with_version(call).await,
            Some(IfMatch::Any) => {
                self.send(&call.if_match(HeaderValue::from_static("*")))
                    .await
            }
            None => self.send(call).await,
        };
        match refused {
            Err(error) if is_about_versions(&error) => {}
            answered => return answered,
        }
        if self.learned().if_match.is_none() {
            match self
                .send(&call.if_match(HeaderValue::from_static("*")))
                .await
            {
                Err(error) if is_about_versions(&error) => {}
                Err(error) => return Err(error),
                Ok(answer) => {
                    self.learn(|learned| learned.if_match = Some(IfMatch::Any));
                    return Ok(answer);
                }
            }
        }
        let answer = self.send_with_version(call).await?;
        self.learn(|learned| learned.if_match = Some(IfMatch::Version));
        Ok(answer)
    }

    async fn send_with_version(&self, call: &Call) -> Result<Answer, ScimError> {
        let mut reads = 0;
        loop {
            reads += 1;
            let read = self.send(&call.reading()).await?;
            let outcome = match version_of(&read) {
                Some(version) => self.send(&call.if_match(version)).await,
                None => self.send(call).await,
            };
            match outcome {
                Err(error) if is_about_versions(&error) && reads < READS => {}
                answered => return answered,
            }
        }
    }
}

fn is_about_versions(error: &ScimError) -> bool {
    matches!(error.status, Some(412 | 428))
}

/// The header counts; `meta.version` is the same where an app sends no header.
fn version_of(read: &Answer) -> Option<HeaderValue> {
    read.headers.get(ETAG).cloned().or_else(|| {
        let json = read.json()?;
        let version = json.pointer("/meta/version").and_then(Value::as_str)?;
        HeaderValue::from_str(version).ok()
    })
}
