//! Whether an account still is as Rollcall left it (S8.4).

use serde_json::Value;

use crate::identity::Account;
use crate::mapping::{FieldChange, ScimPath, same_value};
use crate::plan::LinkState;

/// What Rollcall knows of a linked account.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub state: LinkState,
    /// The mapped body that the app acknowledged last.
    pub body: Option<&'a Value>,
    /// The account as the app returned it after that write.
    pub returned: Option<&'a Value>,
}

/// How an account differs from what is known of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    /// Active though Rollcall suspended it, or inactive though nobody here suspended it.
    pub active: Option<bool>,
    /// `old` is what the app had returned, `new` what it holds now.
    pub values: Vec<FieldChange>,
}

impl Drift {
    pub fn is_none(&self) -> bool {
        self.active.is_none() && self.values.is_empty()
    }

    /// The acknowledged body with what the app holds instead, so that the next plan sends the
    /// drifted attributes again and nothing else.
    pub fn acknowledged(&self, body: &Value) -> Value {
        let mut body = body.clone();
        for change in &self.values {
            if let Ok(path) = ScimPath::parse(&change.attribute) {
                match &change.new {
                    Some(value) => path.write(&mut body, value.clone()),
                    None => path.remove(&mut body),
                }
            }
        }
        body
    }
}

/// Compares an account as just read. Only mapped attributes that the app returned after our write
/// count: what it never kept can't have changed.
pub fn find<'a>(
    known: Known<'_>,
    paths: impl IntoIterator<Item = &'a ScimPath>,
    account: &Account,
) -> Drift {
    let should_be_active = known.state == LinkState::Active;
    let active = account.active.filter(|is| *is != should_be_active);
    let (Some(body), Some(returned)) = (known.body, known.returned) else {
        return Drift {
            active,
            values: Vec::new(),
        };
    };
    let values = paths
        .into_iter()
        .filter_map(|path| {
            let before = path.read(returned)?;
            let wanted = path.read(body)?;
            let now = path.read(&account.resource);
            let is = |value: &Value| now.is_some_and(|now| same_value(now, value));
            (!is(before) && !is(wanted)).then(|| FieldChange {
                attribute: path.to_string(),
                old: Some(before.clone()),
                new: now.cloned(),
            })
        })
        .collect();
    Drift { active, values }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn look(state: LinkState, body: Value, returned: Value, now: Value) -> Drift {
        let mut now = now;
        now["id"] = json!("1");
        now["userName"] = json!("a@b.c");
        let account = Account::from_resource(now).unwrap();
        let paths = ["title", "emails[type eq \"work\"].value"].map(|path| path.parse().unwrap());
        let known = Known {
            state,
            body: Some(&body),
            returned: Some(&returned),
        };
        find(known, &paths, &account)
    }

    #[test]
    fn only_what_the_app_returned_after_our_write_can_drift() {
        let body = json!({"title": "T", "emails": [{"type": "work", "value": "w"}]});
        let kept = json!({"title": "T"});
        let drift = look(
            LinkState::Active,
            body.clone(),
            kept,
            json!({"title": "X", "active": true}),
        );
        assert_eq!(drift.active, None);
        assert_eq!(
            drift.values,
            [FieldChange {
                attribute: "title".into(),
                old: Some("T".into()),
                new: Some("X".into())
            }]
        );
        assert_eq!(drift.acknowledged(&body)["title"], "X");
        assert_eq!(drift.acknowledged(&body)["emails"], body["emails"]);
    }

    #[test]
    fn what_became_as_it_should_be_did_not_drift() {
        let body = json!({"title": "T"});
        let drift = look(
            LinkState::Active,
            body,
            json!({"title": "t"}),
            json!({"title": "T"}),
        );
        assert!(drift.is_none());
    }

    #[test]
    fn a_value_that_was_taken_away_is_sent_again() {
        let body = json!({"title": "T"});
        let drift = look(LinkState::Active, body.clone(), body.clone(), json!({}));
        assert_eq!(drift.acknowledged(&body), json!({}));
    }

    #[test]
    fn active_is_compared_with_what_rollcall_did() {
        let of = |state, active: Value| {
            look(state, json!({}), json!({}), json!({"active": active})).active
        };
        assert_eq!(of(LinkState::SuspendedByUs, json!(true)), Some(true));
        assert_eq!(of(LinkState::SuspendedByUs, json!(false)), None);
        assert_eq!(of(LinkState::Active, json!(false)), Some(false));
        assert_eq!(of(LinkState::Active, json!(null)), None);
    }
}
