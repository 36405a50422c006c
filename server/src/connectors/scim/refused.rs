//! Attributes that an app refuses as such: some answer 400 to an extension, or to a name that they
//! don't know, where the standard has them pass over it. What is left is sent without it.

use std::collections::BTreeSet;

use provisioning::mapping::ScimPath;
use serde_json::{Map, Value};

use super::error::{ScimError, ScimErrorClass};
use super::learned::Learned;

/// Words in a refusal that are about an attribute's being there, and not about its value.
const ABOUT_THE_NAME: [&str; 22] = [
    "unknown",
    "unrecogni",
    "unsupported",
    "unexpected",
    "undefined",
    "not support",
    "not permit",
    "not allow",
    "not defined",
    "not recogni",
    "not a valid attribute",
    "not exist",
    "no such",
    "no attribute",
    "invalid attribute",
    "invalid schema",
    "invalid path",
    "extra",
    "additional propert",
    "read-only",
    "readonly",
    "read only",
];
/// Never left out: without them there is no account, or no suspension.
const ALWAYS_SENT: [&str; 4] = ["schemas", "userName", "active", "id"];
/// So common as words that they count only in quotes or as part of a path.
const COMMON_WORDS: [&str; 8] = [
    "name", "value", "type", "primary", "title", "locale", "manager", "active",
];

/// The names that a body holds: `title`, `name.formatted`, `emails.type`, an extension's URN and
/// `URN:department`.
pub(super) fn names(body: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, value) in body.as_object().into_iter().flatten() {
        if ALWAYS_SENT.contains(&name.as_str()) {
            continue;
        }
        names.insert(name.clone());
        let joint = joint(name);
        for sub in parts(value) {
            // An entry is nothing without its value.
            if sub != "value" || joint == ':' {
                names.insert(format!("{name}{joint}{sub}"));
            }
        }
    }
    names
}

fn joint(name: &str) -> char {
    if name.starts_with("urn:") { ':' } else { '.' }
}

fn parts(value: &Value) -> BTreeSet<&str> {
    let entries = match value {
        Value::Array(entries) => entries.as_slice(),
        single => std::slice::from_ref(single),
    };
    let members = entries.iter().filter_map(Value::as_object);
    members.flat_map(Map::keys).map(String::as_str).collect()
}

/// What of a refused body may be what the app refuses: only names that it never took, and only
/// where the answer is about a name, or says nothing at all and there is an extension.
pub(super) fn suspects(error: &ScimError, body: &Value, taken: &BTreeSet<String>) -> Vec<String> {
    let about_the_body = error.class == ScimErrorClass::Rejected
        && matches!(error.status, Some(400 | 422))
        && !error.scim_type.as_deref().is_some_and(|kind| {
            kind.eq_ignore_ascii_case("tooMany") || kind.eq_ignore_ascii_case("uniqueness")
        });
    if !about_the_body {
        return Vec::new();
    }
    let said = match &error.excerpt {
        Some(excerpt) => format!("{} {excerpt}", error.detail),
        None => error.detail.clone(),
    };
    let sent = names(body);
    let named = named_in(&said, &sent);
    let fresh = |names: Vec<String>| -> Vec<String> {
        names
            .into_iter()
            .filter(|name| !taken.contains(name))
            .collect()
    };
    let lower = said.to_lowercase();
    let by_kind = error.scim_type.as_deref().is_some_and(|kind| {
        kind.eq_ignore_ascii_case("invalidPath") || kind.eq_ignore_ascii_case("mutability")
    });
    let about_a_name = by_kind || ABOUT_THE_NAME.iter().any(|word| lower.contains(word));
    match (named.is_empty(), about_a_name) {
        (false, true) => fresh(named),
        // It names a value that is wrong: that is this person's trouble.
        (false, false) => Vec::new(),
        (true, _) => fresh(
            sent.into_iter()
                .filter(|name| name.starts_with("urn:") && body.get(name).is_some())
                .collect(),
        ),
    }
}

/// The names that a text speaks of, the most exact ones.
fn named_in(said: &str, names: &BTreeSet<String>) -> Vec<String> {
    let lower = said.to_lowercase();
    let words = words(&lower);
    let quoted = |word: &str| {
        ['"', '\'', '`']
            .iter()
            .any(|quote| lower.contains(&format!("{quote}{word}{quote}")))
    };
    let mut exact: Vec<String> = Vec::new();
    let mut whole: Vec<String> = Vec::new();
    for name in names {
        let known = name.to_lowercase();
        let split = match joint(&known) {
            ':' => None,
            _ => known.split_once('.'),
        };
        if let Some((list, sub)) = split {
            let follows = words.windows(2).any(|two| two[0] == list && two[1] == sub);
            if follows || (words.contains(&sub) && (!COMMON_WORDS.contains(&sub) || quoted(sub))) {
                exact.push(name.clone());
            }
            continue;
        }
        let last = known.rsplit(':').next().unwrap_or_default();
        if !known.starts_with("urn:") {
            if words.contains(&known.as_str())
                && (!COMMON_WORDS.contains(&known.as_str()) || quoted(&known))
            {
                whole.push(name.clone());
            }
        } else if names
            .iter()
            .any(|one| known.starts_with(&format!("{}:", one.to_lowercase())))
        {
            // A part of an extension.
            let follows = words
                .windows(2)
                .any(|two| two[0] == "user" && two[1] == last);
            if follows || (words.contains(&last) && (!COMMON_WORDS.contains(&last) || quoted(last)))
            {
                exact.push(name.clone());
            }
        } else if lower.contains(&known) {
            whole.push(name.clone());
        }
    }
    if exact.is_empty() { whole } else { exact }
}

/// Words of a text; places in lists, such as in `emails[0].type`, are passed over.
fn words(text: &str) -> Vec<&str> {
    text.split(|sign: char| !(sign.is_alphanumeric() || sign == '_' || sign == '-' || sign == '$'))
        .filter(|word| !word.is_empty() && !word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

/// The body without these names, and without what is empty then.
pub(super) fn without(body: &Value, refused: &BTreeSet<String>) -> Value {
    let mut body = body.clone();
    let Some(members) = body.as_object_mut() else {
        return body;
    };
    members.retain(|name, value| {
        if holds(refused, name) {
            return false;
        }
        let joint = joint(name);
        let lean = |part: &mut Value| {
            let Some(parts) = part.as_object_mut() else {
                return true;
            };
            let before = parts.len();
            parts.retain(|sub, _| !holds(refused, &format!("{name}{joint}{sub}")));
            before == 0 || !parts.is_empty()
        };
        match value {
            Value::Array(entries) => {
                let before = entries.len();
                entries.retain_mut(lean);
                before == 0 || !entries.is_empty()
            }
            single => lean(single),
        }
    });
    let kept: BTreeSet<String> = members.keys().cloned().collect();
    if let Some(Value::Array(schemas)) = members.get_mut("schemas") {
        schemas.retain(|schema| {
            schema
                .as_str()
                .is_none_or(|schema| !schema.contains(":extension:") || kept.contains(schema))
        });
    }
    body
}

fn holds(refused: &BTreeSet<String>, name: &str) -> bool {
    refused.iter().any(|one| one.eq_ignore_ascii_case(name))
}

impl Learned {
    /// Whether the app refuses the attribute of a mapping row.
    pub fn refuses(&self, attribute: &str) -> bool {
        if self.refused.is_empty() {
            return false;
        }
        let Ok(path) = ScimPath::parse(attribute) else {
            return false;
        };
        let name = match &path.schema {
            Some(schema) if holds(&self.refused, schema) => return true,
            Some(schema) => format!("{schema}:{}", path.attribute),
            None => path.attribute.clone(),
        };
        let part = path.sub.map(|sub| format!("{name}.{sub}"));
        holds(&self.refused, &name) || part.is_some_and(|part| holds(&self.refused, &part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

    fn body() -> Value {
        json!({"schemas": [CORE, ENTERPRISE], "userName": "a@b.c", "active": true, "title": "T",
            "nickName": "N", "name": {"formatted": "A", "givenName": "A"},
            "emails": [{"type": "work", "value": "a@b.c"}],
            ENTERPRISE: {"department": "D", "manager": {"value": "7"}}})
    }

    fn refusal(status: u16, scim_type: Option<&str>, detail: &str) -> ScimError {
        let mut error = ScimError::rejected("POST /Users", detail);
        error.status = Some(status);
        error.scim_type = scim_type.map(Into::into);
        error
    }

    #[test]
    fn what_is_refused_is_told_from_how_servers_word_it() {
        let department = format!("{ENTERPRISE}:department");
        for (scim_type, said, expected) in [
            // As servers in the wild say it.
            (
                None,
                "1 validation error for User `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User` Extra inputs are not permitted",
                vec![ENTERPRISE],
            ),
            (
                Some("invalidSyntax"),
                "Extra inputs are not permitted: emails[0].type",
                vec!["emails.type"],
            ),
            (None, "Unknown attribute 'title'", vec!["title"]),
            (
                None,
                "Attribute nickName is not supported",
                vec!["nickName"],
            ),
            (Some("invalidPath"), "department", vec![department.as_str()]),
            (
                Some("mutability"),
                "name.formatted is readOnly",
                vec!["name.formatted"],
            ),
            // Nothing is named: an extension is the first guess.
            (
                Some("invalidSyntax"),
                "Request is unparsable, syntactically incorrect, or violates schema",
                vec![ENTERPRISE],
            ),
            (None, "bad request", vec![ENTERPRISE]),
            // A value, not a name.
            (
                Some("invalidValue"),
                "department must have at most 20 characters",
                vec![],
            ),
            (None, "'title' is too long", vec![]),
            (Some("uniqueness"), "bad request", vec![]),
        ] {
            let error = refusal(400, scim_type, said);
            assert_eq!(
                suspects(&error, &body(), &BTreeSet::new()),
                expected,
                "{said}"
            );
        }
        let error = refusal(409, None, "Unknown attribute 'title'");
        assert!(suspects(&error, &body(), &BTreeSet::new()).is_empty());
    }

    #[test]
    fn what_the_app_took_before_is_not_suspected() {
        let error = refusal(400, None, "bad request");
        assert!(suspects(&error, &body(), &names(&body())).is_empty());
    }

    #[test]
    fn a_body_without_what_is_refused_names_no_extension_that_it_does_not_hold() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let lean = without(
            &body(),
            &set(&[ENTERPRISE, "emails.type", "name.givenname"]),
        );
        assert_eq!(
            lean,
            json!({"schemas": [CORE], "userName": "a@b.c", "active": true, "title": "T",
                "nickName": "N", "name": {"formatted": "A"}, "emails": [{"value": "a@b.c"}]})
        );
        let department = format!("{ENTERPRISE}:department");
        let lean = without(&body(), &set(&[&department]));
        assert_eq!(lean[ENTERPRISE], json!({"manager": {"value": "7"}}));
        let learned = Learned {
            refused: set(&[ENTERPRISE, "name.givenName"]),
            ..Learned::default()
        };
        assert!(learned.refuses(&department) && learned.refuses("name.givenName"));
        assert!(
            !learned.refuses("name.formatted")
                && !learned.refuses("emails[type eq \"work\"].value")
        );
    }
}
