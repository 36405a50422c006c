//! Editing one section of an app that is configured: kept as a draft, looked at, then saved.

use super::{
    ApiError, FieldError,
    terms::{AppHead, Change, OperationKind, PersonRef, Time},
    wizard::{MappingInput, MappingPreview, ScopeEffect, Step},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// An edit that is not saved yet, and what follows from saving it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditReview {
    pub head: AppHead,
    pub step: Step,
    /// Each setting before and after, in words. Empty: nothing to save.
    pub changes: Vec<Change>,
    /// What is looked at; saving anything else is refused.
    pub version: String,
    pub effect: EditEffect,
    /// Autoprovisioning is on: the next run acts on it.
    pub live: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "of", content = "effect")]
pub enum EditEffect {
    Attributes(MappingEffect),
    Scope(ScopeEffect),
    Deprovisioning(PolicyEffect),
}

/// What another mapping does to the accounts that are linked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingEffect {
    /// Accounts that are in use.
    pub accounts: u32,
    /// Of these, how many are sent something because of the edit.
    pub updated: u32,
    /// Attribute's name and number of accounts, most first.
    pub by_attribute: Vec<(String, u32)>,
    /// The first of them.
    pub examples: Vec<UpdateExample>,
    /// People whom the new mapping leaves without a mandatory value.
    pub lacking: u32,
    pub lacking_first: Vec<(PersonRef, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateExample {
    pub person: PersonRef,
    pub changes: Vec<Change>,
}

/// What other windows do to the steps that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEffect {
    pub waiting: u32,
    pub suspensions_at_once: u32,
    pub deletions_at_once: u32,
    pub earlier: u32,
    pub later: u32,
    pub ended: u32,
    /// The first whose step is due at once or gets another date.
    pub moved: Vec<MovedStep>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedStep {
    pub person: PersonRef,
    pub before: Option<(OperationKind, Time)>,
    /// `None`: nothing waits for them any more.
    pub after: Option<(OperationKind, Time)>,
    pub at_once: bool,
}

/// The mapping as it stands in the form, for one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingLook {
    pub preview: Option<MappingPreview>,
    /// What is wrong with the rows, by the form's controls.
    pub wrong: Vec<FieldError>,
}

#[server(endpoint = "edit_review")]
pub async fn load_edit_review(slug: String, step: Step) -> Result<EditReview, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(services.wizard.edit_review(&slug, step).await)
}

#[server(endpoint = "save_edit")]
pub async fn save_edit(slug: String, step: Step, version: String) -> Result<(), ApiError> {
    let (actor, services) = super::assured()?;
    super::answer(
        services
            .wizard
            .save_edit(&actor, &slug, step, &version)
            .await,
    )?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}

#[server(endpoint = "discard_edit")]
pub async fn discard_edit(slug: String, step: Step) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    super::answer(services.wizard.discard_edit(&actor, &slug, step).await)?;
    super::redirect_to(&format!("/apps/{slug}/autoprovisioning"));
    Ok(())
}

/// Nothing is kept: the form's rows are only looked at.
#[server(endpoint = "look_at_mapping")]
pub async fn look_at_mapping(
    slug: String,
    #[server(default)] rows: Vec<MappingInput>,
    #[server(default)] preview: Option<String>,
) -> Result<MappingLook, ApiError> {
    let (_, services) = super::signed_in()?;
    super::answer(
        services
            .wizard
            .look_at_mapping(&slug, rows, super::filled(preview))
            .await,
    )
}
