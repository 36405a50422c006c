//! Pages and their addresses.

mod door;

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
                    <Route path=path!("") view=|| view! { <h1>"Home"</h1> }/>
                </ParentRoute>
            </Routes>
        </Router>
    }
}

fn not_found() -> AnyView {
    crate::components::error_state(&crate::api::ApiError::not_found())
}
