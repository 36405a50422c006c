//! The source as the console shows it: connection, people, groups, org units.

mod connection;
pub(in crate::services) mod groups;
mod org_units;
mod people;

use app::api::directory::{
    Confirmed, Connection, ConnectionForm, GroupOption, GroupPage, Groups, GroupsQuery, OrgUnits,
    People, PeopleQuery, Person,
};
use app::api::terms::PersonRef;
use app::services::{Actor, Answer, Assured, Directory};
use async_trait::async_trait;

use crate::sync::Engine;

#[derive(Debug, Clone)]
pub struct DirectoryService {
    pub engine: Engine,
}

#[async_trait]
impl Directory for DirectoryService {
    async fn connection(&self) -> Answer<Connection> {
        connection::show(&self.engine).await
    }

    async fn save_connection(&self, actor: &Assured, form: ConnectionForm) -> Answer<()> {
        connection::save(&self.engine, actor, form).await
    }

    async fn test_connection(&self, _: &Actor) -> Answer<()> {
        connection::test(&self.engine).await
    }

    async fn confirm_directory(&self, actor: &Assured, confirmed: Confirmed) -> Answer<()> {
        connection::confirm(&self.engine, actor, confirmed).await
    }

    async fn read_now(&self, actor: &Actor) -> Answer<()> {
        connection::read_now(&self.engine, actor).await
    }

    async fn people(&self, query: PeopleQuery) -> Answer<People> {
        people::list(&self.engine, query).await
    }

    async fn person(&self, actor: &Actor, id: &str) -> Answer<Person> {
        people::show(&self.engine, actor, id).await
    }

    async fn groups(&self, query: GroupsQuery) -> Answer<Groups> {
        groups::list(&self.engine, query).await
    }

    async fn group(&self, id: &str, page: u32) -> Answer<GroupPage> {
        groups::show(&self.engine, id, page).await
    }

    async fn org_units(&self) -> Answer<OrgUnits> {
        org_units::list(&self.engine).await
    }

    async fn find_groups(&self, letters: &str) -> Answer<Vec<GroupOption>> {
        groups::find(&self.engine, letters).await
    }

    async fn find_people(&self, letters: &str) -> Answer<Vec<PersonRef>> {
        people::find(&self.engine, letters).await
    }
}
