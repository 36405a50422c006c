//! The tree of org units with how many people are where.

use std::collections::HashMap;

use app::api::directory::{OrgUnitRow, OrgUnits};
use app::services::Answer;

use super::super::standing::number;
use crate::store::{connection, groups, imports};
use crate::sync::Engine;

pub async fn list(engine: &Engine) -> Answer<OrgUnits> {
    let mut db = engine.connection().await?;
    let read = imports::latest_complete(&mut db).await?;
    if read.is_none() {
        return Ok(OrgUnits {
            rows: Vec::new(),
            read_at: None,
        });
    }
    let units = groups::org_units(&mut db).await?;
    let people = groups::people_by_org_unit(&mut db).await?;
    let top_name = connection::read(&mut db)
        .await?
        .and_then(|saved| saved.primary_domain);
    drop(db);

    // Google does not list the top, but every unit right below it names it.
    let top = top_of(&units);
    let mut rows: Vec<OrgUnitRow> = units
        .into_iter()
        .map(|unit| OrgUnitRow {
            id: unit.id,
            name: unit.name,
            ..row(unit.path)
        })
        .collect();
    rows.push(OrgUnitRow {
        id: top,
        name: top_name.unwrap_or_else(|| "/".to_owned()),
        ..row("/".to_owned())
    });
    rows.sort_by_cached_key(|row| segments(&row.path));

    // Directly in a unit, and there or below it.
    let mut counts: HashMap<Vec<String>, (i64, i64)> = HashMap::new();
    for (path, count) in people {
        let at = segments(&path);
        counts.entry(at.clone()).or_default().0 += count;
        for length in 0..=at.len() {
            counts.entry(at[..length].to_vec()).or_default().1 += count;
        }
    }
    for row in &mut rows {
        let (here, below) = counts
            .get(&segments(&row.path))
            .copied()
            .unwrap_or_default();
        row.people = number(here);
        row.people_below = number(below);
    }
    Ok(OrgUnits {
        rows,
        read_at: read.and_then(|import| import.finished_at),
    })
}

fn row(path: String) -> OrgUnitRow {
    let depth = number(segments(&path).len());
    OrgUnitRow {
        id: String::new(),
        path,
        name: String::new(),
        depth,
        people: 0,
        people_below: 0,
    }
}

fn top_of(units: &[imports::OrgUnitRow]) -> String {
    units
        .iter()
        .find(|unit| segments(&unit.path).len() == 1)
        .and_then(|unit| unit.parent_id.clone())
        .unwrap_or_default()
}

/// A path in its parts, so that a unit comes right before those below it; case does not matter.
fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn a_unit_comes_right_before_those_below_it() {
        let mut paths = ["/Sales East", "/Sales/West", "/", "/Sales", "/sales/East"];
        paths.sort_by_cached_key(|path| segments(path));
        assert_eq!(
            paths,
            ["/", "/Sales", "/sales/East", "/Sales/West", "/Sales East"]
        );
    }
}
