//! Which account of the app belongs to a person who has no link yet (S4.4).

use serde::{Deserialize, Serialize};

use crate::config::Linking;
use crate::identity::{Account, AccountId, PersonId, same_address};

/// What is known of the app's accounts for one unlinked person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// Not looked up yet; nothing can be planned before that.
    Unknown,
    /// An administrator decided that the person gets no account; the app is not asked.
    Leave,
    /// Provably no account with this user name.
    Absent,
    /// One account, free, may be linked.
    Found(Account),
    /// One account, free, but an administrator decides about matches.
    Review(Account),
    /// One account, free, but inactive: never linked without a decision.
    Inactive(Account),
    /// Several accounts claim the user name.
    Ambiguous(Vec<Account>),
    /// The account belongs to a person who still exists. `renamed`: that person's address is
    /// another one by now, so their rename will free the user name.
    TakenBy {
        account: AccountId,
        person: PersonId,
        renamed: bool,
    },
    /// The account belonged to a person who is deleted: the link moves.
    Moves { account: Account, from: PersonId },
}

/// Who holds the link of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkOwner {
    pub person: PersonId,
    /// Deleted from Google, or in no listing any more.
    pub deleted: bool,
    /// The user name that this person shall have by now; `None` when it is not known.
    pub user_name: Option<String>,
}

/// Decides from the accounts that the app gave for `user_name` (by a complete listing or a
/// look-up). Hits with another user name are passed over: some apps ignore filters.
///
/// - `owner`: who holds the link of an account, if anybody
/// - `first_plan`: this is the first plan, which an administrator confirms as a whole
/// - `decided`: the account that an administrator chose for this person, if any
pub fn decide_match(
    person: &PersonId,
    user_name: &str,
    accounts: &[Account],
    owner: impl Fn(&AccountId) -> Option<LinkOwner>,
    linking: Linking,
    first_plan: bool,
    decided: Option<&AccountId>,
) -> Match {
    let mut hits: Vec<&Account> = Vec::new();
    for account in accounts {
        let named = same_address(&account.user_name, user_name);
        // The same account may be listed twice by an app whose pages overlap.
        if named && !hits.iter().any(|hit| hit.id == account.id) {
            hits.push(account);
        }
    }
    if let Some(chosen) = decided
        && let Some(account) = hits.iter().find(|hit| hit.id == *chosen)
        && owner(chosen).is_none_or(|owner| owner.person == *person)
    {
        return Match::Found((*account).clone());
    }
    let account = match hits.as_slice() {
        [] => return Match::Absent,
        [account] => *account,
        several => return Match::Ambiguous(several.iter().map(|hit| (*hit).clone()).collect()),
    };
    match owner(&account.id) {
        Some(owner) if owner.person == *person => Match::Found(account.clone()),
        Some(owner) if owner.deleted => Match::Moves {
            account: account.clone(),
            from: owner.person,
        },
        Some(owner) => Match::TakenBy {
            account: account.id.clone(),
            renamed: owner
                .user_name
                .is_some_and(|now| !same_address(&now, user_name)),
            person: owner.person,
        },
        None if account.active == Some(false) => Match::Inactive(account.clone()),
        None if linking == Linking::Review && !first_plan => Match::Review(account.clone()),
        None => Match::Found(account.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn account(id: &str, user_name: &str, active: bool) -> Account {
        Account::from_resource(json!({"id": id, "userName": user_name, "active": active})).unwrap()
    }

    fn decide(
        accounts: &[Account],
        owner: Option<LinkOwner>,
        linking: Linking,
        first: bool,
    ) -> Match {
        decide_match(
            &"p".into(),
            "a@b.c",
            accounts,
            |_| owner.clone(),
            linking,
            first,
            None,
        )
    }

    fn owner(deleted: bool, user_name: &str) -> Option<LinkOwner> {
        Some(LinkOwner {
            person: "q".into(),
            deleted,
            user_name: Some(user_name.into()),
        })
    }

    #[test]
    fn user_names_are_compared_without_case_and_other_hits_are_passed_over() {
        let hit = account("1", "A@B.c", true);
        let found = decide(
            &[hit.clone(), account("2", "x@b.c", true), hit.clone()],
            None,
            Linking::Automatic,
            false,
        );
        assert_eq!(found, Match::Found(hit));
        assert_eq!(
            decide(
                &[account("2", "x@b.c", true)],
                None,
                Linking::Automatic,
                false
            ),
            Match::Absent
        );
    }

    #[test]
    fn an_inactive_account_is_never_linked_without_a_decision() {
        let hit = account("1", "a@b.c", false);
        for first in [true, false] {
            assert_eq!(
                decide(std::slice::from_ref(&hit), None, Linking::Automatic, first),
                Match::Inactive(hit.clone())
            );
        }
        let decided = decide_match(
            &"p".into(),
            "a@b.c",
            std::slice::from_ref(&hit),
            |_| None,
            Linking::Review,
            false,
            Some(&hit.id),
        );
        assert_eq!(decided, Match::Found(hit));
    }

    #[test]
    fn review_applies_after_the_first_plan_only() {
        let hit = account("1", "a@b.c", true);
        assert_eq!(
            decide(std::slice::from_ref(&hit), None, Linking::Review, true),
            Match::Found(hit.clone())
        );
        assert_eq!(
            decide(std::slice::from_ref(&hit), None, Linking::Review, false),
            Match::Review(hit)
        );
    }

    #[test]
    fn an_account_has_one_link_that_moves_only_from_the_deleted() {
        let hit = account("1", "a@b.c", true);
        let one = std::slice::from_ref(&hit);
        assert_eq!(
            decide(one, owner(true, "a@b.c"), Linking::Review, false),
            Match::Moves {
                account: hit.clone(),
                from: "q".into()
            }
        );
        for (name, renamed) in [("A@b.c", false), ("new@b.c", true)] {
            assert_eq!(
                decide(one, owner(false, name), Linking::Automatic, false),
                Match::TakenBy {
                    account: "1".into(),
                    person: "q".into(),
                    renamed
                }
            );
        }
    }

    #[test]
    fn several_accounts_with_one_user_name_are_ambiguous() {
        let both = [account("1", "a@b.c", true), account("2", "A@b.c", true)];
        assert_eq!(
            decide(&both, None, Linking::Automatic, true),
            Match::Ambiguous(both.to_vec())
        );
    }
}
