//! The directory: its connection, and what it holds.

mod connection;
mod groups;
mod on_demand;
mod people;
mod person;
mod units;

pub use connection::{ConnectionPage, pasted};
pub use groups::{GroupDetailPage, GroupsPage};
pub use people::{PeoplePage, state_words};
pub use person::PersonPage;
pub use units::OrgUnitsPage;
