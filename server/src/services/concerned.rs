//! The whole lists behind the numbers: who stands where and why, and who lacks a value.

use std::collections::BTreeMap;

use app::api::ApiError;
use app::api::concerned::{
    Concerned, ConcernedQuery, ConcernedRow, Lacking, LackingQuery, LackingRow, Place,
};
use app::services::Answer;
use provisioning::config::Missing;
use provisioning::identity::Person;
use provisioning::mapping::{Outcome, PreparedMapping, ScimPath};
use provisioning::scope::{Movement, Rule, ScopeDecision, Verdict};

use super::apps::AppServices;
use super::census::{assumed_manager, named, place, reason};
use super::removals::{page_of, total};
use super::setup_draft::Setting;
use super::standing;
use super::wizard::{label_of, source_in_words};

const PER_PAGE: u32 = 50;
/// Letters beyond this are no search.
const LONGEST_SEARCH: usize = 200;

impl AppServices {
    pub(super) async fn concerned_page(
        &self,
        slug: &str,
        query: ConcernedQuery,
    ) -> Answer<Concerned> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        drop(db);
        let (before, after) = self.compared(&setting, query.compared).await?;
        let (before, after) = self.laid_out(before.as_ref(), &after).await?;
        let sought = Sought::new(query.q.as_deref());
        let mut page = Concerned {
            head,
            place: query.place,
            compared: query.compared,
            everybody: 0,
            stay: 0,
            enter: 0,
            leave: 0,
            rules: Vec::new(),
            rows: Vec::new(),
            paging: standing::paging(query.page, PER_PAGE, 0),
        };
        let mut rules: BTreeMap<Rule, u32> = BTreeMap::new();
        self.everybody(|someone, memberships| {
            let was = before
                .as_ref()
                .map(|before| before.decide(someone, memberships));
            let is = after.decide(someone, memberships);
            let movement = place(was.as_ref(), &is);
            page.everybody += 1;
            match movement {
                Movement::Stays => page.stay += 1,
                Movement::Enters => page.enter += 1,
                Movement::Leaves => page.leave += 1,
                Movement::LeftOut => {}
            }
            if !is_there(query.place, movement) {
                return;
            }
            let (rule, why) = decided(&is);
            *rules.entry(rule).or_default() += 1;
            let by_rule = query.rule.as_deref().is_none_or(|key| key == rule.key());
            let by_why = query.why.as_ref().is_none_or(|wanted| *wanted == why);
            if by_rule && by_why && sought.is_in(someone) {
                page.rows.push(ConcernedRow {
                    person: named(someone),
                    rule: rule.label().to_owned(),
                    why,
                });
            }
        })
        .await?;
        let mut rules: Vec<(Rule, u32)> = rules.into_iter().collect();
        rules.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        page.rules = rules
            .into_iter()
            .map(|(rule, people)| (rule.key().to_owned(), rule.label().to_owned(), people))
            .collect();
        page.paging = standing::paging(query.page, PER_PAGE, total(page.rows.len()));
        page.rows.sort_by_cached_key(|row| by_name(&row.person));
        page.rows = page_of(page.rows, query.page, PER_PAGE);
        Ok(page)
    }

    pub(super) async fn lacking_page(&self, slug: &str, query: LackingQuery) -> Answer<Lacking> {
        let mut db = self.engine.connection().await?;
        let setting = Setting::load(&mut db, slug).await?;
        let head = standing::head(&mut db, &setting.app).await?;
        drop(db);
        let config = if query.drafted {
            setting.effective()
        } else {
            setting.saved()
        };
        let wanted = ScimPath::parse(&query.attribute).map_err(|_| ApiError::not_found())?;
        let same = |attribute: &str| ScimPath::parse(attribute).is_ok_and(|at| at.same_as(&wanted));
        let row = config
            .mapping
            .iter()
            .find(|row| same(&row.attribute))
            .cloned()
            .ok_or_else(ApiError::not_found)?;
        let mandatory = setting
            .entry
            .attribute(&wanted)
            .is_some_and(|known| known.mandatory);
        let (_, resolved) = self.laid_out(None, &config).await?;
        // One row alone: the others are of no matter here.
        let mapping = PreparedMapping::new(std::slice::from_ref(&row), &setting.entry);
        let sought = Sought::new(query.q.as_deref());
        let (mut in_scope, mut lacking, mut rows) = (0, 0, Vec::new());
        self.everybody(|someone, memberships| {
            if !resolved.decide(someone, memberships).in_scope {
                return;
            }
            in_scope += 1;
            let built = mapping.build(someone, &assumed_manager(someone));
            let Some(outcome) = built.rows.into_iter().map(|row| row.outcome).next() else {
                return;
            };
            let why = match outcome {
                Outcome::Value(_) | Outcome::AwaitsManager(_) => return,
                Outcome::Problem(why) => Some(why),
                _ => None,
            };
            lacking += 1;
            if sought.is_in(someone) {
                rows.push(LackingRow {
                    person: named(someone),
                    org_unit: someone.org_unit_path.clone(),
                    why,
                });
            }
        })
        .await?;
        let paging = standing::paging(query.page, PER_PAGE, total(rows.len()));
        rows.sort_by_cached_key(|row| by_name(&row.person));
        Ok(Lacking {
            label: label_of(&setting.entry, &row.attribute),
            source: source_in_words(&row.source),
            consequence: consequence(mandatory, &row.missing, &setting.app.name),
            attribute: row.attribute,
            head,
            mandatory,
            drafted: query.drafted,
            in_scope,
            lacking,
            rows: page_of(rows, query.page, PER_PAGE),
            paging,
        })
    }
}

fn is_there(place: Place, movement: Movement) -> bool {
    match place {
        Place::LeftOut => movement == Movement::LeftOut,
        Place::InScope => matches!(movement, Movement::Stays | Movement::Enters),
        Place::Entering => movement == Movement::Enters,
        Place::Leaving => movement == Movement::Leaves,
    }
}

/// The rule that decided, and what it said: the one that excludes, or the one that includes.
fn decided(decision: &ScopeDecision) -> (Rule, String) {
    match decision.excluded_by {
        Some(rule) => (rule, reason(decision)),
        None => {
            let by_group = decision
                .rules
                .iter()
                .any(|line| line.rule == Rule::Group && line.result == Verdict::Pass);
            let rule = if by_group { Rule::Group } else { Rule::Access };
            (rule, decision.included_detail())
        }
    }
}

/// What becomes of somebody without a value.
fn consequence(mandatory: bool, missing: &Missing, app: &str) -> String {
    match missing {
        Missing::Default(value) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("“{text}” is sent for them instead.")
        }
        _ if mandatory => format!(
            "The attribute is mandatory in {app}: until it has a value, they get no account, and an account they have is not updated."
        ),
        Missing::Keep => format!("{app} keeps what it has for them."),
        Missing::Clear => format!("It is cleared in {app} for them."),
    }
}

/// Letters of a name or an address, without case; none match everybody.
struct Sought(Option<String>);

impl Sought {
    fn new(typed: Option<&str>) -> Self {
        let typed = typed.map(str::trim).filter(|typed| !typed.is_empty());
        Self(typed.map(|typed| {
            typed
                .chars()
                .take(LONGEST_SEARCH)
                .collect::<String>()
                .to_lowercase()
        }))
    }

    fn is_in(&self, someone: &Person) -> bool {
        self.0.as_ref().is_none_or(|letters| {
            someone.full_name().to_lowercase().contains(letters)
                || someone.primary_email.to_lowercase().contains(letters)
                || someone
                    .aliases
                    .iter()
                    .any(|alias| alias.to_lowercase().contains(letters))
        })
    }
}

fn by_name(person: &app::api::terms::PersonRef) -> (String, String) {
    (person.name.to_lowercase(), person.id.clone())
}
