//! What a session holds, and how it is shown to people.

use std::net::IpAddr;

use app::api::account::SessionView;
use app::services::Stage;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;
use crate::store::sessions::{self, Listed};
use crate::store::settings::{self, SessionLimits};

/// Of what a browser calls itself.
const MOST_LETTERS: usize = 400;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    pub administrator: Uuid,
    pub stage: Stage,
    /// Stays, whatever new id the session gets.
    pub began_at: DateTime<Utc>,
    /// When they last proved who they are.
    pub confirmed_at: Option<DateTime<Utc>>,
    pub address: Option<IpAddr>,
    pub browser: Option<String>,
}

/// What of a browser's name for itself is kept.
pub fn kept_browser(text: &str) -> Option<String> {
    let text: String = (text.chars())
        .filter(|letter| !letter.is_control())
        .take(MOST_LETTERS)
        .collect();
    (!text.trim().is_empty()).then_some(text)
}

/// A session's name in lists: what is stored of its id, from which nobody learns the id.
pub fn handle(id_hash: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in id_hash {
        // Writing to a string never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// `None` when it is not one.
pub fn id_hash(handle: &str) -> Option<Vec<u8>> {
    let digits = handle.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

/// An administrator's sessions, the last used first.
pub async fn of(
    db: &mut PgConnection,
    administrator: Uuid,
    now: DateTime<Utc>,
    this: Option<&str>,
) -> Result<Vec<SessionView>, StoreError> {
    let limits = settings::get::<SessionLimits>(&mut *db).await?;
    let idle_since = now - limits.idle();
    let listed = sessions::of_administrator(db, administrator, now, idle_since).await?;
    Ok(listed
        .into_iter()
        .filter_map(|one| view(one, this))
        .collect())
}

fn view(listed: Listed, this: Option<&str>) -> Option<SessionView> {
    let data = listed.session.data.get("signed_in")?.clone();
    let held: SignedIn = serde_json::from_value(data).ok()?;
    let handle = handle(&listed.id_hash);
    Some(SessionView {
        this_one: this == Some(handle.as_str()),
        handle,
        began_at: listed.session.created_at,
        used_at: listed.session.last_seen_at,
        ends_at: listed.session.expires_at,
        address: held.address.map(|address| address.to_string()),
        browser: in_words(held.browser.as_deref().unwrap_or_default()),
    })
}

/// "Firefox on Linux": enough for people to know their own again. Order matters, because browsers
/// name each other.
fn in_words(browser: &str) -> String {
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |among: &[(&str, &'static str)]| {
        let found = among.iter().find(|(part, _)| browser.contains(part));
        found.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(system)) => format!("A program on {system}"),
        (None, None) => "An unknown program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_known_by_what_they_call_themselves() {
        for (text, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/138.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            ("curl/8.14.1", "An unknown program"),
            ("", "An unknown program"),
        ] {
            assert_eq!(in_words(text), words, "{text}");
        }
    }

    #[test]
    fn a_handle_names_what_is_stored_and_nothing_else_is_one() {
        let hash = [7_u8; 32];
        assert_eq!(id_hash(&handle(&hash)), Some(hash.to_vec()));
        for bad in [
            "",
            "07",
            &"0g".repeat(32),
            &"07".repeat(33),
            &"é".repeat(32),
        ] {
            assert_eq!(id_hash(bad), None, "{bad}");
        }
    }
}
