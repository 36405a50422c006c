//! Groups of the directory, and one with its members.

use super::connection::read_at;
use crate::{
    api::directory::{
        GroupMember, GroupPage, GroupRow, Groups, GroupsQuery, LoadGroup, LoadGroups, MemberKind,
    },
    components::{
        Field, GetForm, asked, button_link, crumbs, empty, head, icon, load, loaded, pager, param,
        query, strip, strip_item, title,
    },
    format,
};
use leptos::prelude::*;

#[component]
pub fn GroupsPage() -> impl IntoView {
    let (q, number) = (query("q"), query("page"));
    let data = load(
        move || GroupsQuery {
            q: q(),
            page: number().and_then(|page| page.parse().ok()).unwrap_or(1),
        },
        |query: GroupsQuery| LoadGroups { query },
    );
    view! {
        {head("Groups", "Members are read for the groups that an app’s scope or access names; for others when somebody looks at them.", None)}
        {filters}
        {loaded(data, list)}
    }
}

fn filters() -> AnyView {
    let q = query("q")();
    view! {
        <GetForm action="/directory/groups" class="filters">
            {Field::new("q", "Search").kind("search").placeholder("Name, e-mail").value(q.unwrap_or_default()).input()}
            <div class="actions">
                <button class="button button--s" type="submit">"Apply"</button>
                <a class="button button--s button--quiet" href="/directory/groups">"Clear"</a>
            </div>
        </GetForm>
    }
    .into_any()
}

fn list(groups: Groups) -> AnyView {
    let q = asked("q");
    if groups.rows.is_empty() {
        return match q {
            Some(q) => empty(
                "search",
                format!("No group matches “{q}”."),
                Some(button_link("/directory/groups", "", "Clear the search")),
            ),
            None => empty(
                "groups",
                "No groups yet. They show up here once the directory is read.",
                None,
            ),
        };
    }
    let address = q.map_or("/directory/groups".to_owned(), |q| {
        format!("/directory/groups?q={}", format::query_value(&q))
    });
    let rows = groups.rows.iter().map(row).collect::<Vec<_>>();
    view! {
        <table role="table" class="table stacks">
            <caption>{format!("{}.", format::counted(groups.paging.total, "group", "groups"))}</caption>
            <thead role="rowgroup">
                <tr role="row">
                    <th role="columnheader" scope="col">"Group"</th>
                    <th role="columnheader" scope="col" class="num">"Direct members"</th>
                    <th role="columnheader" scope="col" class="num">"People, nested too"</th>
                    <th role="columnheader" scope="col">"Used by"</th>
                </tr>
            </thead>
            <tbody role="rowgroup">{rows}</tbody>
        </table>
        {pager(groups.paging, &address)}
        {read_at(groups.read_at)}
    }
    .into_any()
}

fn count(n: Option<u32>) -> AnyView {
    match n {
        Some(n) => format::number(n).into_any(),
        None => view! { <span class="muted">"not read"</span> }.into_any(),
    }
}

fn row(group: &GroupRow) -> AnyView {
    let href = format!("/directory/groups/{}", format::query_value(&group.id));
    let used = if group.used_by.is_empty() {
        view! { <span class="muted">"No app"</span> }.into_any()
    } else {
        group.used_by.join(", ").into_any()
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row">
                <span class="who"><a href=href><bdi>{group.name.clone()}</bdi></a><small>{group.email.clone()}</small></span>
            </th>
            <td role="cell" class="num" data-label="Direct members">{count(group.direct)}</td>
            <td role="cell" class="num" data-label="People, nested too">{count(group.people)}</td>
            <td role="cell" data-label="Used by">{used}</td>
        </tr>
    }
    .into_any()
}

#[component]
pub fn GroupDetailPage() -> impl IntoView {
    let (id, number) = (param("id"), query("page"));
    let data = load(
        move || {
            (
                id(),
                number().and_then(|page| page.parse().ok()).unwrap_or(1),
            )
        },
        |(id, page)| LoadGroup { id, page },
    );
    loaded(data, detail)
}

fn detail(page: GroupPage) -> AnyView {
    let group = page.group;
    let rows = page.members.iter().map(member).collect::<Vec<_>>();
    let parents = page
        .parents
        .iter()
        .map(|(id, name)| {
            let href = format!("/directory/groups/{}", format::query_value(id));
            view! { <a href=href><bdi>{name.clone()}</bdi></a> " " }.into_any()
        })
        .collect::<Vec<_>>();
    let parents = (!parents.is_empty())
        .then(|| view! { <p class="soft">"Itself a member of " {parents}</p> });
    let address = format!("/directory/groups/{}", format::query_value(&group.id));
    let table = if rows.is_empty() {
        empty("groups", "No members, or they were not read yet.", None)
    } else {
        view! {
            <table role="table" class="table stacks">
                <thead role="rowgroup">
                    <tr role="row"><th role="columnheader" scope="col">"Direct member"</th><th role="columnheader" scope="col">"Kind"</th></tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
            {pager(page.paging, &address)}
        }
        .into_any()
    };
    let lede = page
        .description
        .map(|text| view! { <p class="lede">{text}</p> });
    view! {
        {title(group.name.clone())}
        <div class="page-head">
            {crumbs(vec![("/directory/groups".to_owned(), "Groups".to_owned())], group.name.clone())}
            <h1><bdi>{group.name.clone()}</bdi></h1>
            {lede}
            {strip(vec![
                strip_item("Address", group.email.clone(), ()),
                strip_item("Direct members", count(group.direct), "groups and outsiders counted"),
                strip_item("People", count(group.people), "nested ones too, each once"),
                strip_item("Used by", if group.used_by.is_empty() { "No app".to_owned() } else { group.used_by.join(", ") }, ()),
            ])}
            {parents}
        </div>
        {table}
        {read_at(page.read_at)}
    }
    .into_any()
}

fn member(member: &GroupMember) -> AnyView {
    let (kind, shape, href) = match member.kind {
        MemberKind::Person => (
            "Person",
            "person",
            Some(format!(
                "/directory/people/{}",
                format::query_value(&member.id)
            )),
        ),
        MemberKind::Group => (
            "Group",
            "groups",
            Some(format!(
                "/directory/groups/{}",
                format::query_value(&member.id)
            )),
        ),
        MemberKind::Outside => ("From outside, never provisioned", "out", None),
    };
    let name = if member.name.is_empty() {
        member.email.clone()
    } else {
        member.name.clone()
    };
    let name = match href {
        Some(href) => view! { <a href=href><bdi>{name}</bdi></a> }.into_any(),
        None => view! { <b><bdi>{name}</bdi></b> }.into_any(),
    };
    view! {
        <tr role="row">
            <th role="rowheader" scope="row"><span class="who">{name}<small>{member.email.clone()}</small></span></th>
            <td role="cell" data-label="Kind"><span class="op tone-neutral">{icon(shape)}{kind}</span></td>
        </tr>
    }
    .into_any()
}
