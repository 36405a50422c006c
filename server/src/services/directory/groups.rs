//! Groups: searched, opened with their members, and offered to be chosen.

use std::collections::HashMap;
use std::time::Duration;

use app::api::ApiError;
use app::api::directory::{
    GroupMember, GroupOption, GroupPage, GroupRow, Groups, GroupsQuery, MemberKind,
};
use app::services::Answer;
use chrono::TimeDelta;
use provisioning::config::GroupRef;
use provisioning::identity::{GroupId, same_address};
use sqlx::PgConnection;

use super::super::{excuses, standing};
use crate::connectors::GoogleDirectory;
use crate::store::imports;
use crate::store::pages::Part;
use crate::store::pages::groups::{self, GroupLine, Reach};
use crate::store::{StoreError, apps};
use crate::sync::import::member_row;
use crate::sync::{Engine, inputs};

const PER_PAGE: u32 = 50;
const OPTIONS: i64 = 20;
/// How long what somebody's look fetched is shown before it is fetched again.
const FRESH: TimeDelta = TimeDelta::minutes(10);
/// A page does not wait longer for Google, and does not follow more nested groups.
const FETCH_FOR: Duration = Duration::from_secs(10);
const MOST_FETCHED: usize = 50;

pub async fn list(engine: &Engine, query: GroupsQuery) -> Answer<Groups> {
    let mut db = engine.connection().await?;
    let text = query.q.unwrap_or_default();
    let mut page = groups::page(&mut db, &text, standing::part(query.page, PER_PAGE)).await?;
    if let Some(last) = standing::last_instead(query.page, PER_PAGE, page.total) {
        page = groups::page(&mut db, &text, last).await?;
    }
    let reached = reach(&mut db, &page.rows).await?;
    let used = used_groups(&mut db).await?;
    let read = imports::latest_complete(&mut db).await?;
    Ok(Groups {
        rows: page
            .rows
            .into_iter()
            .map(|line| row(line, &reached, &used))
            .collect(),
        paging: standing::paging(query.page, PER_PAGE, page.total),
        read_at: read.and_then(|import| import.finished_at),
    })
}

pub async fn show(engine: &Engine, id: &str, page: u32) -> Answer<GroupPage> {
    let mut db = engine.connection().await?;
    groups::get(&mut db, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    drop(db);
    // Members that can't be had are missing on the page; the rest of it is worth showing.
    match tokio::time::timeout(FETCH_FOR, fetch(engine, id)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(group = id, code = ?error.code, "the members of a group could not be listed")
        }
        Err(_) => tracing::warn!(group = id, "listing the members of a group took too long"),
    }
    let mut db = engine.connection().await?;
    let line = groups::get(&mut db, id)
        .await?
        .ok_or_else(ApiError::not_found)?;
    let mut members = groups::members(&mut db, id, standing::part(page, PER_PAGE)).await?;
    if let Some(last) = standing::last_instead(page, PER_PAGE, members.total) {
        members = groups::members(&mut db, id, last).await?;
    }
    let parents = groups::parents(&mut db, id).await?;
    let reached = reach(&mut db, std::slice::from_ref(&line)).await?;
    let used = used_groups(&mut db).await?;
    Ok(GroupPage {
        description: Some(line.description.clone()).filter(|text| !text.is_empty()),
        read_at: line.read_at,
        group: row(line, &reached, &used),
        members: members.rows.into_iter().map(member).collect(),
        paging: standing::paging(page, PER_PAGE, members.total),
        parents,
    })
}

fn member(line: groups::MemberLine) -> GroupMember {
    let (kind, name) = match line.kind.as_str() {
        "group" => (MemberKind::Group, line.name),
        "person" => (MemberKind::Person, line.name),
        "everybody" => (
            MemberKind::Group,
            "Everybody in the organization".to_owned(),
        ),
        _ => (MemberKind::Outside, line.name),
    };
    GroupMember {
        kind,
        name: if name.is_empty() {
            line.email.clone()
        } else {
            name
        },
        id: line.id,
        email: line.email,
    }
}

/// Lists the members of a group that nobody looked at lately, and of the groups nested in it.
pub async fn fetch(engine: &Engine, group: &str) -> Answer<()> {
    let now = engine.clock.now();
    let mut directory: Option<GoogleDirectory> = None;
    for _ in 0..MOST_FETCHED {
        let mut db = engine.connection().await?;
        let unread = groups::unread_below(&mut db, group, now - FRESH).await?;
        drop(db);
        let Some(next) = unread.into_iter().next() else {
            break;
        };
        let client = match &directory {
            Some(client) => client.clone(),
            None => engine.directory().await.map_err(excuses::import)?,
        };
        directory = Some(client.clone());
        let mut listing = client.members(&GroupId::from(next.clone()));
        let mut members = Vec::new();
        while let Some(page) = listing.next_page().await.map_err(excuses::directory)? {
            members.extend(page.iter().filter_map(|value| member_row(&next, value)));
        }
        let mut transaction = engine.pool.begin().await.map_err(StoreError::from)?;
        groups::keep_members(&mut transaction, &next, &members, now).await?;
        transaction.commit().await.map_err(StoreError::from)?;
    }
    Ok(())
}

async fn reach(db: &mut PgConnection, lines: &[GroupLine]) -> Answer<HashMap<String, Reach>> {
    let read: Vec<String> = lines
        .iter()
        .filter(|line| line.read_at.is_some())
        .map(|line| line.id.clone())
        .collect();
    let reached = groups::reach(db, &read).await?;
    Ok(reached
        .into_iter()
        .map(|reach| (reach.group_id.clone(), reach))
        .collect())
}

/// A group that access or scope of an app names, and the app's name.
struct Used {
    app: String,
    group: GroupRef,
}

async fn used_groups(db: &mut PgConnection) -> Answer<Vec<Used>> {
    let mut used = Vec::new();
    for app in apps::list(&mut *db).await? {
        let (access, scope) = match inputs::configuration(&mut *db, &app).await? {
            Some(config) => (Some(config.access), Some(config.scope)),
            None => {
                let draft = inputs::draft(&mut *db, &app).await?.unwrap_or_default();
                (draft.access, draft.scope)
            }
        };
        let on = access.into_iter().flat_map(|access| access.groups_on);
        let scoped = scope
            .into_iter()
            .flat_map(|scope| scope.groups)
            .map(|entry| entry.group);
        used.extend(on.chain(scoped).map(|group| Used {
            app: app.name.clone(),
            group,
        }));
    }
    Ok(used)
}

fn row(line: GroupLine, reached: &HashMap<String, Reach>, used: &[Used]) -> GroupRow {
    let names = |group: &GroupRef| match &group.id {
        Some(id) => id.as_str() == line.id,
        None => same_address(&group.email, &line.email),
    };
    let mut used_by: Vec<String> = used
        .iter()
        .filter(|used| names(&used.group))
        .map(|used| used.app.clone())
        .collect();
    used_by.dedup();
    GroupRow {
        direct: Some(standing::number(line.direct_members)),
        people: reached
            .get(&line.id)
            .filter(|reach| reach.whole)
            .map(|reach| standing::number(reach.people)),
        id: line.id,
        name: line.name,
        email: line.email,
        used_by,
    }
}

pub async fn find(engine: &Engine, letters: &str) -> Answer<Vec<GroupOption>> {
    let mut db = engine.connection().await?;
    let page = groups::page(
        &mut db,
        letters,
        Part {
            limit: OPTIONS,
            offset: 0,
        },
    )
    .await?;
    let reached = reach(&mut db, &page.rows).await?;
    let ids: Vec<String> = page.rows.iter().map(|line| line.id.clone()).collect();
    let holders = groups::parents_of(&mut db, &ids).await?;
    Ok(page
        .rows
        .into_iter()
        .map(|line| {
            let inside = holders.iter().filter(|(held, _)| *held == line.id);
            let nested = reached
                .get(&line.id)
                .filter(|reach| reach.whole)
                .map(|reach| standing::number(reach.people));
            GroupOption {
                direct: Some(standing::number(line.direct_members)),
                nested,
                inside: inside.map(|(_, name)| name.clone()).collect(),
                refused: refused(line.direct_members, nested),
                id: line.id,
                name: line.name,
                email: line.email,
            }
        })
        .collect())
}

/// Why choosing a group would provision nobody, as far as its members are known.
fn refused(direct: i64, people: Option<u32>) -> Option<String> {
    match (direct, people) {
        (0, _) => Some("Nobody is in it: nobody would be provisioned".to_owned()),
        (_, Some(0)) => Some("Only people from outside: nobody would be provisioned".to_owned()),
        _ => None,
    }
}
