//! The search language of users and groups: clauses that must all hold.

use super::error::Refusal;
use crate::sandbox::directory::{Directory, Group, Member, Person};

/// How a clause compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `:`, contains, or starts with when the value ends in `*`.
    Matches,
    /// `=`, the same without case.
    Equals,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    /// `None`: a bare word.
    field: Option<String>,
    operator: Operator,
    value: String,
}

/// A query that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<Clause>);

impl Query {
    pub(super) fn read(text: Option<&str>) -> Result<Self, Refusal> {
        let mut clauses = Vec::new();
        let mut rest = text.unwrap_or_default().trim();
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| c == ':' || c == '=' || c.is_whitespace())
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            let (field, operator, after) = match after.chars().next() {
                Some(':') => (Some(word), Operator::Matches, &after[1..]),
                Some('=') => (Some(word), Operator::Equals, &after[1..]),
                _ => (None, Operator::Matches, rest),
            };
            let (value, left) = read_value(after)?;
            if value.is_empty() || field == Some("") {
                return Err(Refusal::invalid("Invalid Input: query"));
            }
            clauses.push(Clause {
                field: field.map(str::to_owned),
                operator,
                value,
            });
            rest = left.trim_start();
        }
        Ok(Self(clauses))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn check_person_fields(&self) -> Result<(), Refusal> {
        const FIELDS: &[&str] = &[
            "email",
            "name",
            "givenName",
            "familyName",
            "isSuspended",
            "isArchived",
            "isAdmin",
            "orgUnitPath",
        ];
        self.check_fields(FIELDS)
    }

    pub(super) fn check_group_fields(&self) -> Result<(), Refusal> {
        self.check_fields(&["email", "name", "memberKey"])
    }

    fn check_fields(&self, known: &[&str]) -> Result<(), Refusal> {
        let unknown = self
            .0
            .iter()
            .filter_map(|clause| clause.field.as_deref())
            .any(|field| !known.contains(&field));
        if unknown {
            Err(Refusal::invalid("Invalid Input: query"))
        } else {
            Ok(())
        }
    }

    pub(super) fn finds_person(&self, person: &Person, path: &str) -> bool {
        self.0.iter().all(|clause| {
            let text = |value: &str| clause.holds(value);
            let flag = |value: bool| clause.value.eq_ignore_ascii_case(&value.to_string());
            let any_email =
                || text(&person.primary_email) || person.aliases.iter().any(|alias| text(alias));
            let any_name = || {
                text(&person.given_name) || text(&person.family_name) || text(&person.full_name())
            };
            match clause.field.as_deref() {
                None => {
                    clause.starts(&person.given_name)
                        || clause.starts(&person.family_name)
                        || clause.starts(&person.primary_email)
                }
                Some("email") => any_email(),
                Some("name") => any_name(),
                Some("givenName") => text(&person.given_name),
                Some("familyName") => text(&person.family_name),
                Some("isSuspended") => flag(person.suspended_at.is_some()),
                Some("isArchived") => flag(person.archived_at.is_some()),
                Some("isAdmin") => flag(person.is_admin),
                Some("orgUnitPath") => {
                    let wanted = clause.value.trim_end_matches('/').to_lowercase();
                    let path = path.to_lowercase();
                    path == wanted || path.starts_with(&format!("{wanted}/"))
                }
                Some(_) => false,
            }
        })
    }

    pub(super) fn finds_group(&self, directory: &Directory, group: &Group) -> bool {
        self.0.iter().all(|clause| match clause.field.as_deref() {
            None => clause.starts(&group.name) || clause.starts(&group.email),
            Some("email") => clause.holds_for_group(&group.email),
            Some("name") => clause.holds_for_group(&group.name),
            Some("memberKey") => {
                let wanted = directory.member_for(&clause.value);
                group
                    .members
                    .iter()
                    .any(|membership| same(&membership.member, &wanted))
            }
            Some(_) => false,
        })
    }
}

fn same(one: &Member, other: &Member) -> bool {
    match (one, other) {
        (Member::Outsider { email: a, .. }, Member::Outsider { email: b, .. }) => {
            a.eq_ignore_ascii_case(b)
        }
        _ => one == other,
    }
}

impl Clause {
    fn holds(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        let value = self.value.to_lowercase();
        match (self.operator, value.strip_suffix('*')) {
            (_, Some(prefix)) => {
                text.starts_with(prefix)
                    || text.split_whitespace().any(|word| word.starts_with(prefix))
            }
            (Operator::Equals, None) => text == value,
            (Operator::Matches, None) => {
                text == value || text.split_whitespace().any(|word| word == value)
            }
        }
    }

    /// Groups know prefixes of the whole name only, not of its words.
    fn holds_for_group(&self, text: &str) -> bool {
        if self.value.ends_with('*') {
            self.starts(text)
        } else {
            self.holds(text)
        }
    }

    fn starts(&self, text: &str) -> bool {
        let value = self.value.to_lowercase();
        text.to_lowercase().starts_with(value.trim_end_matches('*'))
    }
}

/// A value, in single or double quotes or up to the next space.
fn read_value(text: &str) -> Result<(String, &str), Refusal> {
    let mut chars = text.char_indices();
    let Some((_, quote @ ('\'' | '"'))) = chars.next() else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in chars {
        if escaped {
            value.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Ok((value, &text[at + 1..]));
        } else {
            value.push(c);
        }
    }
    Err(Refusal::invalid("Invalid Input: query"))
}
