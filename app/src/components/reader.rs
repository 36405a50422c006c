//! What somebody who may only read sees where others change something.

use super::{confirm::may_change, form::PostForm};
use leptos::prelude::*;

#[must_use]
pub fn read_only() -> AnyView {
    view! { <p class="hint">"You may read this. A super administrator can change it."</p> }
        .into_any()
}

/// A deed among others.
#[must_use]
pub fn deed(deed: AnyView) -> Option<AnyView> {
    may_change().then_some(deed)
}

/// What a page is for: who may not do it is told so.
#[must_use]
pub fn deed_or_why(deed: AnyView) -> AnyView {
    if may_change() { deed } else { read_only() }
}

/// A form whose values everybody may see, and not everybody fills in.
#[component]
pub fn EditForm(
    action: &'static str,
    #[prop(optional)] class: &'static str,
    #[prop(optional)] id: &'static str,
    #[prop(optional)] confirmed: bool,
    #[prop(optional)] locked: bool,
    children: Children,
) -> impl IntoView {
    if may_change() {
        view! { <PostForm action=action class=class id=id confirmed=confirmed locked=locked>{children()}</PostForm> }
            .into_any()
    } else {
        view! { <fieldset class=class disabled>{children()}</fieldset> }.into_any()
    }
}
