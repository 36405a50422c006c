//! For whom the app is on, and who is in provisioning scope (S2.3, S5).

mod decision;
mod facts;
mod membership;
mod resolve;
mod rule;

use crate::config::AppConfig;

pub use decision::{Movement, Resolved, ScopeDecision, decide_scope};
pub use facts::{DirectoryFacts, GroupFact, OrgUnit};
pub use membership::{GroupMemberships, MemberKind, MemberRef, MembershipRow, expand_memberships};
pub(crate) use resolve::path_key;
pub use resolve::unresolved;
pub use rule::{Rule, RuleResult, Verdict};

impl AppConfig {
    /// Writes ids of groups and org units, and their names as they are now, into the
    /// configuration. True when something changed. What is not found stays as it is.
    pub fn resolve_ids(&mut self, facts: &DirectoryFacts) -> bool {
        resolve::resolve_ids(self, facts)
    }
}
