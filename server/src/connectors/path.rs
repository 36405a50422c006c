//! Building addresses: every part of a path is one segment, whatever it holds.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Everything but RFC 3986's unreserved characters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Servers and libraries read these as "here" and "one up".
    #[error("an id is empty or made of dots only, which can't be part of an address")]
    Unusable,
}

/// `base` with `parts` added to its path; query and fragment of `base` are dropped.
pub fn join<'a>(base: &Url, parts: impl IntoIterator<Item = &'a str>) -> Result<Url, PathError> {
    let mut path = base.path().trim_end_matches('/').to_owned();
    for part in parts {
        if part.is_empty() || part == "." || part == ".." {
            return Err(PathError::Unusable);
        }
        path.push('/');
        path.extend(utf8_percent_encode(part, SEGMENT));
    }
    let mut url = base.clone();
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(base: &str, parts: &[&str]) -> Result<String, PathError> {
        let base = Url::parse(base).unwrap();
        join(&base, parts.iter().copied()).map(String::from)
    }

    #[test]
    fn each_part_stays_one_segment() {
        let base = "https://app.example/api/scim/v2/";
        for (id, encoded) in [
            ("2819c223", "2819c223"),
            ("a+b@example.com", "a%2Bb%40example.com"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("50%", "50%25"),
            ("%2e%2e", "%252e%252e"),
            ("ü", "%C3%BC"),
            ("...", "..."),
        ] {
            let url = joined(base, &["Users", id]).unwrap();
            assert_eq!(
                url,
                format!("https://app.example/api/scim/v2/Users/{encoded}")
            );
        }
    }

    #[test]
    fn an_id_that_would_climb_or_vanish_is_refused() {
        for id in ["", ".", ".."] {
            assert_eq!(
                joined("https://app.example/scim", &["Users", id]),
                Err(PathError::Unusable)
            );
        }
    }

    #[test]
    fn a_base_without_path_works_and_its_query_is_dropped() {
        assert_eq!(
            joined("https://app.example?x=1", &["Users"]).unwrap(),
            "https://app.example/Users"
        );
    }
}
