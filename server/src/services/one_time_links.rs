//! One-time links: printed by the server, opened in a browser, used up by a form.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;

use crate::store::one_time_links::{self, Purpose};

/// How long a link is good that is printed where it is needed.
pub const LIFETIME: TimeDelta = TimeDelta::hours(1);

/// Makes a link and returns its address, which nobody can learn again.
pub async fn issue(
    db: &mut PgConnection,
    purpose: Purpose,
    now: DateTime<Utc>,
    origin: &str,
) -> Result<String, sqlx::Error> {
    issue_until(db, purpose, now, now + LIFETIME, origin).await
}

/// The same for a link that has to reach somebody else.
pub async fn issue_until(
    db: &mut PgConnection,
    purpose: Purpose,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    origin: &str,
) -> Result<String, sqlx::Error> {
    let bytes: [u8; 32] = rand::random();
    let token = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    one_time_links::add(db, &hash(&token), purpose, now, until).await?;
    Ok(format!("{origin}/setup?token={token}"))
}

/// What is stored of a token.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
