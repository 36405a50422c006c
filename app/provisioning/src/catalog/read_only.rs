//! Attributes that an app says clients can't write (RFC 7643, 7). A PUT leaves them away.

use serde_json::Value;

use super::discovery::{list, schemas};
use crate::mapping::USER_SCHEMA;

/// Never taken for read-only, whatever an app says: without them a PUT means something else.
const WRITABLE: [&str; 3] = ["userName", "active", "schemas"];

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ReadOnly(Vec<Attribute>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attribute {
    /// The schema under whose name the attribute stands; `None` for those of a user.
    extension: Option<String>,
    name: String,
    sub: Option<String>,
}

impl ReadOnly {
    /// Reads a `/Schemas` answer; what is odd is passed over.
    pub fn from_schemas(answer: &Value) -> Self {
        let mut found = Vec::new();
        for schema in schemas(answer) {
            let Some(id) = schema.get("id").and_then(Value::as_str) else {
                continue;
            };
            let extension = (id != USER_SCHEMA).then(|| id.to_owned());
            for attribute in list(schema, "attributes") {
                let Some(name) = name(attribute) else {
                    continue;
                };
                if extension.is_none() && WRITABLE.iter().any(|one| one.eq_ignore_ascii_case(name))
                {
                    continue;
                }
                let of = |sub: Option<&str>| Attribute {
                    extension: extension.clone(),
                    name: name.to_owned(),
                    sub: sub.map(str::to_owned),
                };
                if is_read_only(attribute) {
                    found.push(of(None));
                    continue;
                }
                let subs = list(attribute, "subAttributes").iter();
                found.extend((subs.filter(|sub| is_read_only(sub))).map(|sub| of(self::name(sub))));
            }
        }
        Self(found)
    }

    /// The account as it was read, without what can't be written.
    #[must_use]
    pub fn strip(&self, account: &Value) -> Value {
        let mut account = account.clone();
        for attribute in &self.0 {
            attribute.take_from(&mut account);
        }
        account
    }
}

impl Attribute {
    fn take_from(&self, account: &mut Value) {
        let holder = match &self.extension {
            None => Some(&mut *account),
            Some(id) => account.get_mut(id),
        };
        let Some(members) = holder.and_then(Value::as_object_mut) else {
            return;
        };
        let same = |name: &str| name.eq_ignore_ascii_case(&self.name);
        match &self.sub {
            None => members.retain(|name, _| !same(name)),
            Some(sub) => {
                let of_attribute = members.iter_mut().filter(|(name, _)| same(name));
                of_attribute.for_each(|(_, value)| take_sub(value, sub));
            }
        }
    }
}

fn take_sub(value: &mut Value, sub: &str) {
    match value {
        Value::Object(members) => members.retain(|name, _| !name.eq_ignore_ascii_case(sub)),
        Value::Array(entries) => entries.iter_mut().for_each(|entry| take_sub(entry, sub)),
        _ => {}
    }
}

fn name(attribute: &Value) -> Option<&str> {
    attribute.get("name").and_then(Value::as_str)
}

fn is_read_only(attribute: &Value) -> bool {
    attribute.get("mutability").and_then(Value::as_str) == Some("readOnly")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::ENTERPRISE_SCHEMA;
    use serde_json::json;

    #[test]
    fn what_an_app_calls_read_only_is_taken_away_and_nothing_else() {
        let told = json!({"Resources": [
            {"id": USER_SCHEMA, "attributes": [
                {"name": "userName", "mutability": "readOnly"},
                {"name": "lastLogin", "mutability": "readOnly"},
                {"name": "title"},
                {"name": "emails", "multiValued": true, "subAttributes": [
                    {"name": "value"}, {"name": "verified", "mutability": "readOnly"}]}]},
            {"id": ENTERPRISE_SCHEMA, "attributes": [
                {"name": "department"}, {"name": "seat", "mutability": "readOnly"}]}]});
        let account = json!({"userName": "ann", "lastlogin": "today", "title": "T",
            "emails": [{"value": "a@b.example", "Verified": true}],
            ENTERPRISE_SCHEMA: {"department": "D", "seat": 7}});
        assert_eq!(
            ReadOnly::from_schemas(&told).strip(&account),
            json!({"userName": "ann", "title": "T", "emails": [{"value": "a@b.example"}],
                ENTERPRISE_SCHEMA: {"department": "D"}})
        );
        assert_eq!(
            ReadOnly::from_schemas(&json!("<html>")).strip(&account),
            account
        );
    }
}
