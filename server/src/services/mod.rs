//! What the console asks of the server.

mod access;
pub mod account;
pub mod accounts;
mod administration;
pub mod administrators;
pub mod answers;
pub mod app_status;
pub mod apps;
pub mod audit;
mod autoprovisioning;
pub mod breached;
mod census;
pub mod compose;
mod concerned;
pub mod console_settings;
pub mod demo;
pub mod directory;
pub mod door;
pub mod email;
pub mod excuses;
pub mod export_route;
pub mod failures;
mod failures_file;
pub mod frame;
mod group_reading;
mod history;
pub mod home;
mod new_password;
pub mod notifications;
mod on_demand;
pub mod one_time_links;
pub mod passkeys;
pub mod passwords;
mod plan_file;
mod queue;
pub mod refusals;
pub mod removals;
mod run_lists;
pub mod runs;
mod safety;
pub mod saml;
pub mod second_factor;
pub mod session_views;
pub mod setup;
mod setup_draft;
pub mod shown_once;
pub mod sign_in;
pub mod standing;
mod tries;
mod usage;
mod wizard;
pub mod zones;

use app::api::terms::Role;
use app::services::Actor;

use crate::store::administrators as store;

/// An administrator as the one who does something.
pub fn actor(administrator: &store::Administrator) -> Actor {
    Actor {
        id: administrator.id,
        email: administrator.email.clone(),
        role: match administrator.role {
            store::Role::SuperAdministrator => Role::SuperAdministrator,
            store::Role::Auditor => Role::Auditor,
        },
    }
}
