//! For whom the app is on, and who is in provisioning scope (S2.3, S5).

mod decision;
mod facts;
mod membership;

pub use decision::{
    Movement, Resolved, Rule, RuleResult, ScopeDecision, Verdict, decide_scope, unresolved,
};
pub use facts::{DirectoryFacts, GroupFact, OrgUnit};
pub use membership::{GroupMemberships, MemberKind, MemberRef, MembershipRow, expand_memberships};

use crate::config::AppConfig;

impl AppConfig {
    /// Writes ids of groups and org units, and their names as they are now, into the
    /// configuration. True when something changed. What is not found stays as it is.
    pub fn resolve_ids(&mut self, facts: &DirectoryFacts) -> bool {
        decision::resolve_ids(self, facts)
    }
}
