//! Settings: a menu of sections beside the one that is open.

mod channel;
mod installation;
mod notifications;
mod overview;
mod protected;
mod retention;
mod sessions;
mod thresholds;

pub use channel::{ChannelPage, DeleteChannelPage};
pub use installation::InstallationPage;
pub use notifications::NotificationsPage;
pub use overview::OverviewPage;
pub use protected::{ProtectedListPage, ProtectedPage, UnprotectPage};
pub use retention::RetentionPage;
pub use sessions::SessionsPage;
pub use thresholds::{ThresholdsListPage, ThresholdsPage};

use crate::{
    api::settings::Thresholds,
    components::{crumbs, icon},
    format,
};
use leptos::prelude::*;
use leptos_meta::Title;
use provisioning::{config::Safety, guard};

/// Address below `/settings`, icon and name.
const SECTIONS: [(&str, &str, &str); 7] = [
    ("", "gear", "Overview"),
    ("notifications", "out", "Notifications"),
    ("thresholds", "op-held", "Thresholds"),
    ("protected", "shield", "Protected people"),
    ("retention", "log", "Retention"),
    ("sessions", "key", "Sessions"),
    ("installation", "info", "Installation"),
];

fn address(section: &str) -> String {
    if section.is_empty() {
        "/settings".to_owned()
    } else {
        format!("/settings/{section}")
    }
}

/// A page of one section. `below` leads from the section to a page below it.
fn section(
    here: &'static str,
    below: Vec<(String, String)>,
    title: impl Into<String>,
    lede: impl IntoAny,
    body: impl IntoAny,
) -> AnyView {
    let title: String = title.into();
    let is_below = !below.is_empty();
    let name = (SECTIONS.iter()).find(|(path, ..)| *path == here);
    let name = name.map_or("Settings", |(.., name)| name);
    let links = SECTIONS
        .iter()
        .map(|(path, shape, name)| {
            let current = (*path == here).then_some(if is_below { "true" } else { "page" });
            view! { <li><a href=address(path) aria-current=current>{icon(shape)}{*name}</a></li> }
                .into_any()
        })
        .collect::<Vec<_>>();
    let trail = (!here.is_empty()).then(|| {
        let mut trail = vec![("/settings".to_owned(), "Settings".to_owned())];
        if is_below {
            trail.push((address(here), name.to_owned()));
        }
        let last = below.len().saturating_sub(1);
        trail.extend(below.iter().take(last).cloned());
        crumbs(trail, title.clone())
    });
    view! {
        <Title text=format!("{title}, settings")/>
        <div class="page-head">
            {trail}
            <h1>{title.clone()}</h1>
            {lede.into_any()}
        </div>
        <div class="settings">
            <nav class="settings__menu" aria-label="Settings"><ul>{links}</ul></nav>
            <div class="settings__body stack">{body.into_any()}</div>
        </div>
    }
    .into_any()
}

fn lede(text: impl Into<String>) -> AnyView {
    view! { <p class="lede">{text.into()}</p> }.into_any()
}

/// What somebody who may only read is told in place of the buttons.
/// "Held from the 11th removal within 24 hours on", for so many accounts.
fn held_from(thresholds: &Thresholds, accounts: u32) -> String {
    let safety = Safety {
        hold_count: thresholds.count,
        hold_percent: thresholds.percent,
        hold_max: thresholds.maximum,
        ..Safety::default()
    };
    match guard::first_held(&safety, u64::from(accounts)) {
        _ if accounts == 0 => "There is no account yet".to_owned(),
        None => "Never held with so few accounts".to_owned(),
        Some(1) => "Every removal is held".to_owned(),
        Some(first) => format!("Held from the {} removal within 24 hours on", nth(first)),
    }
}

fn nth(n: u64) -> String {
    let ending = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    let number = format::number(i64::try_from(n).unwrap_or(i64::MAX));
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_said_as_the_removal_from_which_they_hold() {
        let usual = Thresholds {
            count: 10,
            percent: 5,
            maximum: 50,
            creates: None,
        };
        let from = |accounts| held_from(&usual, accounts);
        assert_eq!(from(212), "Held from the 11th removal within 24 hours on");
        assert_eq!(from(2000), "Held from the 51st removal within 24 hours on");
        assert_eq!(from(1), "Never held with so few accounts");
        let strict = Thresholds {
            maximum: 0,
            ..usual
        };
        assert_eq!(held_from(&strict, 212), "Every removal is held");
        assert_eq!(
            (nth(22), nth(113), nth(1003)),
            ("22nd".into(), "113th".into(), "1,003rd".into())
        );
    }
}
