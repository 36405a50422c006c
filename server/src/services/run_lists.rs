//! The longer lists of a run.

use app::api::concerned::ConcernedRow;
use app::api::runs::{SkippedList, SkippedQuery};
use app::services::Answer;
use provisioning::scope::Rule;
use sqlx::PgConnection;

use super::standing::{self, number};
use crate::store::apps::App;
use crate::store::pages::runs as run_pages;
use crate::store::people::like_pattern;
use crate::store::runs::Run;

const PER_PAGE: u32 = 50;
/// Letters beyond this are no search.
const LONGEST_SEARCH: usize = 200;

/// Everybody for whom the run does nothing, by name.
pub async fn skipped_list(
    db: &mut PgConnection,
    app: &App,
    run: &Run,
    query: SkippedQuery,
) -> Answer<SkippedList> {
    let letters = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
    let letters = letters.map(|q| {
        let short: String = q.chars().take(LONGEST_SEARCH).collect();
        like_pattern(&short.to_lowercase())
    });
    let label =
        |key: &str| Rule::parse(key).map_or_else(|| key.to_owned(), |rule| rule.label().to_owned());
    let rules = run_pages::skipped_by_rule(&mut *db, run.id).await?;
    let rule = query.rule.map(standing::sought);
    let why = query.why.map(standing::sought);
    let mut page = query.page;
    let found = loop {
        let found = run_pages::skipped_people(
            &mut *db,
            run.id,
            rule.as_deref(),
            why.as_deref(),
            letters.as_deref(),
            standing::part(page, PER_PAGE),
        )
        .await?;
        // Only a page that is there says how long the list is.
        if page <= 1 || !found.is_empty() {
            break found;
        }
        page = 1;
    };
    let total = found.first().map_or(0, |first| first.total);
    Ok(SkippedList {
        head: standing::head(db, app).await?,
        number: run.number,
        counted: number(run.planned.skipped),
        rules: rules
            .into_iter()
            .map(|(key, people)| {
                let name = label(&key);
                (key, name, number(people))
            })
            .collect(),
        rows: found
            .into_iter()
            .map(|one| ConcernedRow {
                person: standing::person(one.person_id, one.person_name, one.person_email),
                rule: label(&one.rule),
                why: standing::in_words(&one.detail),
            })
            .collect(),
        paging: standing::paging(page, PER_PAGE, total),
    })
}
