use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AccountId;

/// An account as the app returned it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    pub user_name: String,
    /// `None` when the app does not tell.
    pub active: Option<bool>,
    /// The whole SCIM User resource as read.
    pub resource: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountProblem {
    #[error("the app returned an account that is not a JSON object")]
    NotAnObject,
    #[error("the app returned an account without an id")]
    NoId,
    #[error("the app returned the account {0} without a userName")]
    NoUserName(AccountId),
}

impl AccountProblem {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnObject => "account-not-an-object",
            Self::NoId => "account-without-id",
            Self::NoUserName(_) => "account-without-user-name",
        }
    }
}

/// No database holds this character, and no attribute means it.
fn remove_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => text.retain(|sign| sign != '\0'),
        Value::Array(values) => values.iter_mut().for_each(remove_nul),
        Value::Object(members) => {
            if members.keys().any(|name| name.contains('\0')) {
                members.retain(|name, _| !name.contains('\0'));
            }
            members.values_mut().for_each(remove_nul);
        }
        _ => {}
    }
}

impl Account {
    /// Reads a SCIM User resource (RFC 7643, 4.1) liberally: `id` may be a number, `active` may be
    /// text, names of attributes may differ in case.
    pub fn from_resource(mut resource: Value) -> Result<Self, AccountProblem> {
        remove_nul(&mut resource);
        let members = resource.as_object().ok_or(AccountProblem::NotAnObject)?;
        let find = |name: &str| {
            members.get(name).or_else(|| {
                members
                    .iter()
                    .find(|(n, _)| n.eq_ignore_ascii_case(name))
                    .map(|(_, v)| v)
            })
        };
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let id = AccountId::new(text(find("id")).ok_or(AccountProblem::NoId)?);
        let user_name =
            text(find("userName")).ok_or_else(|| AccountProblem::NoUserName(id.clone()))?;
        let active = match find("active") {
            Some(Value::Bool(active)) => Some(*active),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Some(true),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        Ok(Self {
            id,
            user_name,
            active,
            resource,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn accounts_are_read_liberally() {
        let account =
            Account::from_resource(json!({"id": 7, "UserName": "a@b.c", "active": "False"}))
                .unwrap();
        assert_eq!(account.id.as_str(), "7");
        assert_eq!(account.user_name, "a@b.c");
        assert_eq!(account.active, Some(false));
        assert_eq!(
            Account::from_resource(json!([])),
            Err(AccountProblem::NotAnObject)
        );
        assert_eq!(
            Account::from_resource(json!({"userName": "x"})),
            Err(AccountProblem::NoId)
        );
    }

    #[test]
    fn the_one_character_that_no_database_holds_is_left_out() {
        let odd =
            json!({"id": "1\0", "userName": "a@b.c", "emails": [{"value": "a\0@b.c", "x\0": 1}]});
        let account = Account::from_resource(odd).unwrap();
        assert_eq!(
            account.resource,
            json!({"id": "1", "userName": "a@b.c", "emails": [{"value": "a@b.c"}]})
        );
        assert_eq!(account.id.as_str(), "1");
    }
}
