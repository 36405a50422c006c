//! What a reader prefers, kept in cookies of their browser: where their days begin, and whether a
//! single key goes to the search.
//!
//! The browser tells its time zone by itself; without scripts the reader chooses it on a page.

use super::ApiError;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// Without a cookie days are those of UTC.
pub const UTC: &str = "UTC";
const ZONE: &str = "zone";
const SEARCH_KEY: &str = "search-key";
const OFF: &str = "off";
const LONGEST: usize = 48;

/// Whether this could be the name of a zone at all.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '/');
    !name.is_empty() && name.len() <= LONGEST && name.chars().all(plain)
}

fn cookie<'a>(cookies: &'a str, wanted: &str) -> Option<&'a str> {
    cookies
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// The zone among a request's cookies.
#[must_use]
pub fn zone_in(cookies: &str) -> Option<&str> {
    cookie(cookies, ZONE).filter(|zone| is_zone(zone))
}

/// Whether `/` goes to the search. Somebody who speaks to their computer turns it off.
#[must_use]
pub fn search_key_in(cookies: &str) -> bool {
    cookie(cookies, SEARCH_KEY) != Some(OFF)
}

/// What keeps a zone in a browser for a year.
#[must_use]
pub fn zone_cookie(zone: &str) -> String {
    kept(ZONE, zone)
}

fn kept(name: &str, value: &str) -> String {
    format!("{name}={value}; Path=/; Max-Age=31536000; SameSite=Lax")
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferences {
    pub zone: String,
    /// Names of the zones that can be chosen.
    pub zones: Vec<String>,
    pub search_key: bool,
}

#[cfg(feature = "ssr")]
fn of_request<T>(read: impl FnOnce(&str) -> T) -> T {
    let parts = use_context::<http::request::Parts>();
    let cookies = parts
        .as_ref()
        .and_then(|parts| parts.headers.get(http::header::COOKIE));
    read(
        cookies
            .and_then(|cookies| cookies.to_str().ok())
            .unwrap_or_default(),
    )
}

/// The zone of whoever asks.
#[cfg(feature = "ssr")]
#[must_use]
pub fn zone_of_reader() -> String {
    of_request(|cookies| zone_in(cookies).unwrap_or(UTC).to_owned())
}

/// How the server writes times for a reader whose zone it knows.
#[cfg(feature = "ssr")]
#[derive(Clone)]
pub struct ReaderClock(
    pub std::sync::Arc<dyn Fn(super::terms::Time) -> crate::format::Local + Send + Sync>,
);

#[server(endpoint = "preferences")]
pub async fn load_preferences() -> Result<Preferences, ApiError> {
    let (_, services) = super::signed_in()?;
    Ok(Preferences {
        zone: zone_of_reader(),
        zones: services.shell.zones(),
        search_key: of_request(search_key_in),
    })
}

/// Field `zone`. A box that is not ticked is not sent.
#[server(endpoint = "save_preferences")]
pub async fn save_preferences(
    zone: String,
    #[server(default)] search_key: Option<String>,
) -> Result<(), ApiError> {
    let (_, services) = super::signed_in()?;
    if !is_zone(&zone) || !services.shell.zones().contains(&zone) {
        let unknown = ApiError::field("zone", super::FieldCode::Unknown);
        return super::answer(Err(unknown));
    }
    let search_key = if search_key.is_some() { "on" } else { OFF };
    let cookies = [zone_cookie(&zone), kept(SEARCH_KEY, search_key)];
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        for cookie in cookies {
            if let Ok(cookie) = http::HeaderValue::from_str(&cookie) {
                response.append_header(http::header::SET_COOKIE, cookie);
            }
        }
    }
    super::redirect_to("/preferences?saved=1");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{is_zone, search_key_in, zone_in};

    #[test]
    fn preferences_are_found_among_other_cookies_and_nothing_else_passes_for_one() {
        let cookies = "id=abc; zone=Europe/Berlin; search-key=off";
        assert_eq!(zone_in(cookies), Some("Europe/Berlin"));
        assert!(!search_key_in(cookies));
        assert_eq!(zone_in("zone=Etc/GMT+5"), Some("Etc/GMT+5"));
        assert_eq!(zone_in("timezone=Europe/Berlin"), None);
        assert!(search_key_in("my-search-key=off"));
        for bad in ["", "Europe Berlin", "a\"b", "<b>", "x;y", &"a".repeat(49)] {
            assert!(!is_zone(bad), "{bad}");
        }
    }
}
