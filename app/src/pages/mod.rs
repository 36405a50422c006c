//! Pages and their addresses.

mod account;
mod accounts;
mod administrators;
mod apps;
mod audit;
mod autoprovisioning;
mod console;
mod demo;
mod directory;
mod door;
mod failures;
mod history;
mod home;
mod preferences;
mod queue;
mod review;
mod runs;
mod settings;
mod usage;
mod wizard;

use crate::components::{Arrivals, SignedIn};
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
            <Arrivals/>
            <Routes fallback=not_found>
                <Route path=path!("/sign-in") view=door::SignIn ssr=SsrMode::Async/>
                <Route path=path!("/sign-in/code") view=door::SignInCode ssr=SsrMode::Async/>
                <Route path=path!("/second-factor") view=door::SecondFactor ssr=SsrMode::Async/>
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
                    <Route path=path!("apps/:slug/setup/authorize") view=wizard::AuthorizePage/>
                    <Route path=path!("apps/:slug/setup/attributes") view=wizard::AttributesPage/>
                    <Route path=path!("apps/:slug/setup/scope") view=wizard::ScopePage/>
                    <Route path=path!("apps/:slug/setup/deprovisioning") view=wizard::DeprovisioningPage/>
                    <Route path=path!("apps/:slug/setup/review") view=wizard::ReviewPage/>
                    <Route path=path!("apps/:slug/autoprovisioning") view=autoprovisioning::AutoprovisioningStatusPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/authorize") view=wizard::AuthorizePage/>
                    <Route path=path!("apps/:slug/autoprovisioning/attributes") view=wizard::AttributesPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/scope") view=wizard::ScopePage/>
                    <Route path=path!("apps/:slug/autoprovisioning/deprovisioning") view=wizard::DeprovisioningPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/:step/review") view=wizard::EditReviewPage/>
                    <Route path=path!("apps/:slug/people") view=apps::ConcernedPage/>
                    <Route path=path!("apps/:slug/lacking") view=apps::LackingPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/turn-on") view=wizard::TurnOnPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/turn-off") view=autoprovisioning::TurnOffPage/>
                    <Route path=path!("apps/:slug/autoprovisioning/delete") view=autoprovisioning::DeletePage/>
                    <Route path=path!("apps/:slug/accounts") view=accounts::AccountsPage/>
                    <Route path=path!("apps/:slug/accounts/differences") view=accounts::DifferencesPage/>
                    <Route path=path!("apps/:slug/accounts/unlink") view=accounts::UnlinkPage/>
                    <Route path=path!("apps/:slug/queue") view=queue::QueuePage/>
                    <Route path=path!("apps/:slug/queue/decide") view=queue::DecidePage/>
                    <Route path=path!("apps/:slug/review") view=review::ReviewPage/>
                    <Route path=path!("apps/:slug/review/allow") view=review::AllowAllPage/>
                    <Route path=path!("apps/:slug/review/allow-selected") view=review::AllowSelectedPage/>
                    <Route path=path!("apps/:slug/history") view=history::HistoryPage/>
                    <Route path=path!("apps/:slug/history/compare") view=history::ComparePage/>
                    <Route path=path!("apps/:slug/history/:version/restore") view=history::RestorePage/>
                    <Route path=path!("apps/:slug/review/dismiss") view=review::DismissAllPage/>
                    <Route path=path!("apps/:slug/failures") view=failures::FailuresPage/>
                    <Route path=path!("apps/:slug/runs/:number/skipped") view=runs::SkippedPage/>
                    <Route path=path!("apps/:slug/runs") view=runs::RunsPage/>
                    <Route path=path!("apps/:slug/runs/:number") view=runs::RunPage/>
                    <Route path=path!("apps/:slug/usage") view=usage::UsagePage/>
                    <Route path=path!("audit") view=audit::AuditLogPage/>
                    <Route path=path!("audit/:id") view=audit::EventPage/>
                    <Route path=path!("administrators") view=administrators::AdministratorsPage/>
                    <Route path=path!("administrators/invite") view=administrators::InvitePage/>
                    <Route path=path!("administrators/:id") view=administrators::AdministratorPage/>
                    <Route path=path!("administrators/:id/remove") view=administrators::RemovePage/>
                    <Route path=path!("account") view=account::AccountPage/>
                    <Route path=path!("confirm-identity") view=account::ConfirmPage/>
                    <Route path=path!("shown-once") view=account::ShownOncePage/>
                    <Route path=path!("settings") view=settings::OverviewPage/>
                    <Route path=path!("settings/notifications") view=settings::NotificationsPage/>
                    <Route path=path!("settings/notifications/:id") view=settings::ChannelPage/>
                    <Route path=path!("settings/notifications/:id/delete") view=settings::DeleteChannelPage/>
                    <Route path=path!("settings/thresholds") view=settings::ThresholdsListPage/>
                    <Route path=path!("settings/thresholds/:slug") view=settings::ThresholdsPage/>
                    <Route path=path!("settings/protected") view=settings::ProtectedListPage/>
                    <Route path=path!("settings/protected/:slug") view=settings::ProtectedPage/>
                    <Route path=path!("settings/protected/:slug/remove") view=settings::UnprotectPage/>
                    <Route path=path!("settings/retention") view=settings::RetentionPage/>
                    <Route path=path!("settings/sessions") view=settings::SessionsPage/>
                    <Route path=path!("settings/installation") view=settings::InstallationPage/>
                    <Route path=path!("preferences") view=preferences::PreferencesPage/>
                    <Route path=path!("about") view=console::AboutPage/>
                    <Route path=path!("demo") view=demo::DemoDirectoryPage/>
                </ParentRoute>
            </Routes>
        </Router>
    }
}

fn not_found() -> AnyView {
    door::door(crate::components::error_state(
        &crate::api::ApiError::not_found(),
    ))
}
