//! What may be shown of an answer: short, one line, without secrets.

const LONGEST: usize = 300;

/// Members of JSON or forms whose values are never shown.
const SECRET_NAMES: [&str; 9] = [
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "assertion",
    "authorization",
    "password",
    "private_key",
    "client_secret",
];

/// A short, printable, single-line piece of `text` with secrets taken out.
pub fn excerpt(text: &str, secrets: &[&str]) -> String {
    let mut safe = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        safe = safe.replace(secret, "[removed]");
    }
    for name in SECRET_NAMES {
        safe = hide_value_of(&safe, name);
    }
    safe = hide_bearer(&safe);
    let line = safe
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    shorten(&line, LONGEST)
}

pub fn shorten(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
    }
}

/// Hides the string after `"name":` and after `name=`.
fn hide_value_of(text: &str, name: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_ignoring_case(rest, name) {
        let after = at + name.len();
        out.push_str(&rest[..after]);
        rest = &rest[after..];
        let value = rest.trim_start_matches(['"', '\\', ' ']);
        let Some(value) = value.strip_prefix([':', '=']) else {
            continue;
        };
        let value = value.trim_start_matches([' ', '"', '\\']);
        let end = value
            .find(['"', '\\', '&', ',', ' ', '}', '\n'])
            .unwrap_or(value.len());
        let start = rest.len() - value.len();
        out.push_str(&rest[..start]);
        out.push_str("[removed]");
        rest = &value[end..];
    }
    out.push_str(rest);
    out
}

fn hide_bearer(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = find_ignoring_case(rest, "bearer ") {
        let after = at + "bearer ".len();
        out.push_str(&rest[..after]);
        rest = &rest[after..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c)))
            .unwrap_or(rest.len());
        // "Bearer token" in a sentence is a word, not a secret.
        if end >= 12 {
            out.push_str("[removed]");
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

fn find_ignoring_case(text: &str, name: &str) -> Option<usize> {
    text.as_bytes()
        .windows(name.len())
        .position(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_removed_wherever_they_stand() {
        for text in [
            r#"{"access_token":"s3cr3t-value","x":1}"#,
            r#"{"detail":"{\"token\": \"s3cr3t-value\"}"}"#,
            "token=s3cr3t-value&x=1",
            "sent Authorization: Bearer s3cr3t-value-long",
            "we do not know s3cr3t-value here",
        ] {
            let shown = excerpt(text, &["s3cr3t-value"]);
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        for text in [
            r#"{"Password" : "hunter2hunter2"}"#,
            "assertion=hunter2hunter2",
            "bearer hunter2hunter2",
        ] {
            let shown = excerpt(text, &[]);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_printable_line() {
        let shown = excerpt(&format!("a\r\n\tb\u{1b}[31m{}", "ü".repeat(1000)), &[]);
        assert!(shown.starts_with("a b [31m"));
        assert!(shown.chars().count() <= LONGEST + 1);
        assert!(shown.ends_with('…'));
    }

    #[test]
    fn ordinary_words_stay() {
        let text = "Bearer token expired; the token is old";
        assert_eq!(excerpt(text, &[]), text);
    }
}
