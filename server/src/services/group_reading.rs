//! Reads the members of groups that were chosen a moment ago, so that what they mean can be shown
//! before the next import lists them.

use std::collections::{BTreeMap, BTreeSet};

use app::services::Answer;
use provisioning::config::GroupRef;

use super::apps::{AppServices, commit};
use super::directory::groups::fetch;
use crate::store::groups;
use crate::sync::import::reach;

impl AppServices {
    /// Groups without an id are found by the next import; those that imports list are as new as
    /// the directory.
    pub(super) async fn read_groups(
        &self,
        named: impl Iterator<Item = &GroupRef> + Send,
    ) -> Answer<()> {
        let ids: BTreeSet<String> = named
            .filter_map(|group| Some(group.id.as_ref()?.to_string()))
            .collect();
        let mut db = self.engine.connection().await?;
        let listed = groups::read_in_import(&mut db).await?;
        let wanted: Vec<String> = ids.iter().cloned().collect();
        let reaching = groups::reaching_among(&mut db, &wanted).await?;
        drop(db);
        for root in ids {
            match (listed.contains(&root), reaching.contains(&root)) {
                (true, true) => continue,
                // Listed only as a part of another group: its members are known, its reach is not.
                (true, false) => {}
                (false, _) => {
                    fetch(&self.engine, &root).await?;
                }
            }
            let mut transaction = self.begin().await?;
            let mut nesting: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (group, nested) in
                groups::nesting_below(&mut transaction, std::slice::from_ref(&root)).await?
            {
                nesting.entry(group).or_default().push(nested);
            }
            let known = nesting.values().flatten().cloned().collect();
            let reached = reach(&root, &nesting, &known);
            groups::save_reach(&mut transaction, &root, &reached).await?;
            commit(transaction).await?;
        }
        Ok(())
    }
}
