//! Pages and their addresses.

mod apps;
mod directory;
mod door;
mod home;

use crate::components::SignedIn;
use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{ParentRoute, Route, Router, Routes},
    path,
};

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    crate::components::provide();
    view! {
        <Title formatter=|text: String| if text.is_empty() { "Rollcall".to_owned() } else { format!("{text} · Rollcall") }/>
        <Router>
            <Routes fallback=not_found>
                <Route path=path!("/sign-in") view=door::SignIn ssr=SsrMode::Async/>
                <Route path=path!("/setup") view=door::Setup ssr=SsrMode::Async/>
                <ParentRoute path=path!("") view=SignedIn ssr=SsrMode::Async>
                    <Route path=path!("") view=home::HomePage/>
                    <Route path=path!("directory/connection") view=directory::ConnectionPage/>
                    <Route path=path!("directory/people") view=directory::PeoplePage/>
                    <Route path=path!("directory/people/:id") view=directory::PersonPage/>
                    <Route path=path!("directory/groups") view=directory::GroupsPage/>
                    <Route path=path!("directory/groups/:id") view=directory::GroupDetailPage/>
                    <Route path=path!("directory/org-units") view=directory::OrgUnitsPage/>
                    <Route path=path!("apps/add") view=apps::AddAppPage/>
                    <Route path=path!("apps/:slug") view=apps::OverviewPage/>
                    <Route path=path!("apps/:slug/sign-in") view=apps::AppSignInPage/>
                    <Route path=path!("apps/:slug/access") view=apps::AccessPage/>
                    <Route path=path!("apps/:slug/access/review") view=apps::AccessReviewPage/>
                </ParentRoute>
            </Routes>
        </Router>
    }
}

fn not_found() -> AnyView {
    crate::components::error_state(&crate::api::ApiError::not_found())
}
