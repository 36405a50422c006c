//! Finds out whether somebody has an account already, with as few requests as the app allows:
//! one listing on the first run, a look-up each for newcomers (S4.4).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta};
use provisioning::identity::{Account, AccountId, PersonId, Standing};
use provisioning::matching::{LinkOwner, Match, decide_match};
use provisioning::plan::{OperationKind, PlannedOperation};
use sqlx::PgConnection;

use super::engine::Engine;
use super::inputs::{Candidate, World};
use super::journal::retry_pause;
use super::lease::Watch;
use super::run::RunError;
use super::send::pause_of_the_app;
use crate::connectors::scim::Trust;
use crate::connectors::{ScimApp, ScimError};
use crate::store::apps::App;
use crate::store::failures::{self, NewFailure};
use crate::store::runs::{Run, RunKind};
use crate::store::{StoreError, links, people};

/// From here on one listing is cheaper than looking everybody up.
const LOOK_UPS_BEFORE_LISTING: usize = 100;
/// When so many look-ups, and two of five, were not answered, the app is out of order.
const UNANSWERED_BEFORE_GIVING_UP: usize = 20;

pub struct Finder<'a> {
    engine: &'a Engine,
    run: &'a Run,
    app: &'a App,
    world: &'a World,
    client: &'a ScimApp,
    /// Asked between the pages of a listing.
    watch: &'a Watch,
    listing: Listing,
    look_ups: usize,
    unanswered: usize,
    /// Asked again within a run: what was remembered is out of date.
    second_look: bool,
    /// Who holds the links of the accounts that are looked at.
    owners: BTreeMap<AccountId, LinkOwner>,
}

/// What is known of the app's accounts as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// Nothing was asked yet.
    NotRead,
    /// Read in this run, complete: who is not in it is absent.
    Trusted,
    /// Everybody is looked up.
    LookUp,
}

impl<'a> Finder<'a> {
    pub fn new(
        engine: &'a Engine,
        run: &'a Run,
        app: &'a App,
        world: &'a World,
        client: &'a ScimApp,
        watch: &'a Watch,
    ) -> Self {
        Self {
            engine,
            run,
            app,
            world,
            client,
            watch,
            listing: Listing::NotRead,
            look_ups: 0,
            unanswered: 0,
            second_look: false,
            owners: BTreeMap::new(),
        }
    }

    /// For second looks within a run, when listings are out of date.
    pub fn looking_up(
        engine: &'a Engine,
        run: &'a Run,
        app: &'a App,
        world: &'a World,
        client: &'a ScimApp,
        watch: &'a Watch,
    ) -> Self {
        Self {
            listing: Listing::LookUp,
            second_look: true,
            ..Self::new(engine, run, app, world, client, watch)
        }
    }

    /// What the app has for a user name, as far as linking is concerned. `decided`: the account that
    /// an administrator chose.
    pub async fn find(
        &mut self,
        person: &PersonId,
        user_name: &str,
        decided: Option<&AccountId>,
    ) -> Result<Match, RunError> {
        if self.listing == Listing::NotRead
            && (self.world.first_plan || self.look_ups >= LOOK_UPS_BEFORE_LISTING)
        {
            self.read_listing().await?;
        }
        let remembered = match decided {
            Some(_) => None,
            None => self.remembered(person, user_name).await?,
        };
        let asked = remembered.is_none();
        let accounts = match remembered {
            Some(accounts) => accounts,
            None => self.ask(user_name).await?,
        };
        self.load_owners(&accounts).await?;
        let matching = decide_match(
            person,
            user_name,
            &accounts,
            |account| self.owners.get(account).cloned(),
            self.world.config.linking,
            self.world.first_plan,
            decided,
        );
        if asked && waits_for_decision(&matching) {
            let mut db = self.engine.connection().await?;
            let now = self.engine.clock.now();
            links::remember_found(&mut db, self.app.id, person, user_name, &accounts, now).await?;
        }
        Ok(matching)
    }

    /// What an earlier run found, until the next reading of the app is due anyway.
    async fn remembered(
        &self,
        person: &PersonId,
        user_name: &str,
    ) -> Result<Option<Vec<Account>>, StoreError> {
        if self.world.first_plan || self.second_look {
            return Ok(None);
        }
        let hours = i64::from(self.world.config.drift_interval_hours);
        let since = self.engine.clock.now() - TimeDelta::hours(hours);
        let mut db = self.engine.connection().await?;
        links::found(&mut db, self.app.id, person, user_name, since).await
    }

    async fn ask(&mut self, user_name: &str) -> Result<Vec<Account>, RunError> {
        if self.listing == Listing::Trusted {
            let mut db = self.engine.connection().await?;
            return Ok(links::listed(
                &mut db,
                self.app.id,
                self.run.id,
                &[user_name.to_lowercase()],
            )
            .await?);
        }
        self.look_ups += 1;
        Ok(self.client.find_by_user_name(user_name).await?)
    }

    /// The app did not answer for one person: that is remembered as their failure, with the next
    /// try, and told in the answer's sentence. An app that is out of order ends the run instead.
    pub async fn not_asked(
        &mut self,
        candidate: &Candidate,
        wanted: Option<&PlannedOperation>,
        error: ScimError,
    ) -> Result<String, RunError> {
        self.unanswered += 1;
        let out_of_order = self.unanswered >= UNANSWERED_BEFORE_GIVING_UP
            && self.unanswered * 5 >= self.look_ups * 2;
        if out_of_order || pause_of_the_app(&error).is_some() {
            return Err(error.into());
        }
        let detail = format!("The app could not be asked for an account. {error}");
        if self.run.kind != RunKind::Preview {
            let now = self.engine.clock.now();
            let attempts = candidate.failure.as_ref().map_or(0, |one| one.attempts);
            let hash = wanted.and_then(PlannedOperation::body_hash);
            let failure = NewFailure {
                kind: OperationKind::Create.as_str(),
                code: error.code(),
                message: &detail,
                permanent: false,
                next_try_at: Some(now + retry_pause(attempts)),
                body_hash: hash.as_ref().map(provisioning::Digest::as_slice),
                cause: None,
                run: self.run.id.0,
            };
            let mut db = self.engine.connection().await?;
            failures::record(&mut db, self.app.id, &candidate.person.id, &failure, now).await?;
        }
        Ok(detail)
    }

    async fn load_owners(&mut self, accounts: &[Account]) -> Result<(), StoreError> {
        let mut db = self.engine.connection().await?;
        self.owners = owners(&mut db, self.app, self.world, accounts).await?;
        Ok(())
    }

    /// Lists the app's accounts once. A listing that can't be trusted leaves looking up.
    async fn read_listing(&mut self) -> Result<(), RunError> {
        let mut db = self.engine.connection().await?;
        links::clear_accounts(&mut db, self.app.id, self.run.id).await?;
        drop(db);
        let mut listing = self.client.accounts();
        while let Some(page) = listing.next_page().await? {
            self.watch.check()?;
            let mut db = self.engine.connection().await?;
            links::add_accounts(&mut db, self.app.id, self.run.id, &page).await?;
        }
        let why_not = match listing.trust() {
            Trust::Trusted => None,
            Trust::Untrusted { why } => Some(why),
        };
        let mut db = self.engine.connection().await?;
        let now = self.engine.clock.now();
        links::finish_listing(&mut db, self.app.id, why_not.as_deref(), now, self.run.id).await?;
        if let Some(why) = &why_not {
            tracing::warn!(app = %self.app.slug, why, "the app's listing can't be trusted; everybody is looked up");
        }
        self.listing = if why_not.is_none() {
            Listing::Trusted
        } else {
            Listing::LookUp
        };
        Ok(())
    }
}

/// Who holds the links of these accounts.
async fn owners(
    db: &mut PgConnection,
    app: &App,
    world: &World,
    accounts: &[Account],
) -> Result<BTreeMap<AccountId, LinkOwner>, StoreError> {
    let mut owners = BTreeMap::new();
    if accounts.is_empty() {
        return Ok(owners);
    }
    let ids: Vec<String> = accounts
        .iter()
        .map(|account| account.id.to_string())
        .collect();
    for (account, person) in links::owners(db, app.id, &ids).await? {
        let stored = people::get(db, &person).await?;
        let deleted = stored
            .as_ref()
            .is_none_or(|stored| stored.purged || stored.person.standing == Standing::Deleted);
        let user_name = stored.and_then(|stored| world.user_name(&stored.person));
        let owner = LinkOwner {
            person,
            deleted,
            user_name,
        };
        owners.insert(account, owner);
    }
    Ok(owners)
}

/// What an earlier run found for somebody, however long ago; `None` when nothing waits for a
/// decision. Asks nobody.
pub async fn known(
    db: &mut PgConnection,
    app: &App,
    world: &World,
    person: &PersonId,
    user_name: &str,
    decided: Option<&AccountId>,
) -> Result<Option<Match>, StoreError> {
    let ever = DateTime::UNIX_EPOCH;
    let Some(accounts) = links::found(db, app.id, person, user_name, ever).await? else {
        return Ok(None);
    };
    let owners = owners(db, app, world, &accounts).await?;
    Ok(Some(decide_match(
        person,
        user_name,
        &accounts,
        |account| owners.get(account).cloned(),
        world.config.linking,
        world.first_plan,
        decided,
    )))
}

/// Whether nothing is done about the person until somebody decides.
fn waits_for_decision(matching: &Match) -> bool {
    match matching {
        Match::Review(_) | Match::Inactive(_) | Match::Ambiguous(_) => true,
        Match::TakenBy { renamed, .. } => !renamed,
        Match::Unknown | Match::Leave | Match::Absent | Match::Found(_) | Match::Moves { .. } => {
            false
        }
    }
}
