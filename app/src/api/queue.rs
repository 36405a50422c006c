//! What waits to happen to accounts, and decisions about it.

use super::{
    ApiError,
    terms::{AppHead, OperationKind, Paging, PersonRef, Time, Trigger},
};
use chrono::NaiveDate;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    pub head: AppHead,
    pub now: Time,
    pub rows: Vec<QueueRow>,
    pub paging: Paging,
    /// Steps that will happen, whatever the filters.
    pub all: u32,
    /// Removals that are to be reviewed.
    pub under_review: u32,
    /// Creates that are to be reviewed.
    pub held_creates: u32,
    pub forecast: Forecast,
    /// Whoever reads this may decide.
    pub may_decide: bool,
}

/// How many suspensions and deletions are expected on each of the next days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// The zone whose days these are.
    pub zone: String,
    /// From today on.
    pub days: Vec<ForecastDay>,
    /// Steps that have no day: somebody holds them, or they stand still.
    pub undated: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForecastDay {
    pub day: NaiveDate,
    pub suspensions: u32,
    pub deletions: u32,
}

/// The filters of the queue, as in its address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueQuery {
    /// In a name or an address.
    pub q: Option<String>,
    pub step: Option<StepKind>,
    pub cause: Option<Trigger>,
    pub waits: Option<WaitsFor>,
    /// Due on this day of the reader.
    pub day: Option<NaiveDate>,
    pub page: u32,
}

/// What the queue can be narrowed to. Cancelled steps are shown only when they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitsFor {
    /// Within 24 hours, overdue ones included.
    Soon,
    Held,
    Review,
    Archived,
    Cancelled,
}

pub const WAITS_FOR: [(&str, WaitsFor); 5] = [
    ("soon", WaitsFor::Soon),
    ("held", WaitsFor::Held),
    ("review", WaitsFor::Review),
    ("archived", WaitsFor::Archived),
    ("cancelled", WaitsFor::Cancelled),
];

pub const STEPS: [(&str, StepKind); 2] =
    [("suspend", StepKind::Suspend), ("delete", StepKind::Delete)];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    pub key: StepKey,
    pub person: PersonRef,
    /// When the trigger's clock started.
    pub since: Time,
    pub due: Time,
    pub waits: Waits,
    /// It is the person's earliest step, the only one that can be done now.
    pub earliest: bool,
}

impl QueueRow {
    /// Suspend or delete.
    #[must_use]
    pub fn operation(&self) -> OperationKind {
        match self.key.step {
            StepKind::Suspend => OperationKind::Suspend,
            StepKind::Delete => OperationKind::Delete,
        }
    }
}

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// Its time.
    Time,
    /// The suspension before it; when it is due is an estimate.
    Suspension,
    /// The person is archived, and the clock stands still.
    Archived,
    /// It is due.
    NextRun,
    /// An administrator holds it.
    Held,
    /// The guard holds it, and somebody has to decide.
    Review,
    /// It was cancelled, and does not happen unless somebody takes that back.
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    Suspend,
    Delete,
}

/// One pending step of one person: in forms and addresses one word, `suspended.delete.1234`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepKey {
    pub trigger: Trigger,
    pub step: StepKind,
    /// The directory's id.
    pub person: String,
}

/// One line of the review; that of a create is `create.1234`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HeldKey {
    Removal(StepKey),
    Create(String),
}

/// The word in a form or an address names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownKey;

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this names no step: copy it from the queue or the review")
    }
}

pub const TRIGGERS: [(&str, Trigger); 3] = [
    ("app-turned-off", Trigger::AppTurnedOff),
    ("suspended", Trigger::Suspended),
    ("deleted", Trigger::Deleted),
];

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trigger = TRIGGERS
            .iter()
            .find(|(_, trigger)| *trigger == self.trigger)
            .map_or("", |(word, _)| word);
        let step = match self.step {
            StepKind::Suspend => "suspend",
            StepKind::Delete => "delete",
        };
        write!(f, "{trigger}.{step}.{}", self.person)
    }
}

impl FromStr for StepKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(trigger), Some(step), Some(person)) = (part(), part(), part()) else {
            return Err(UnknownKey);
        };
        Ok(Self {
            trigger: TRIGGERS
                .iter()
                .find(|(word, _)| *word == trigger)
                .map(|(_, trigger)| *trigger)
                .ok_or(UnknownKey)?,
            step: match step {
                "suspend" => StepKind::Suspend,
                "delete" => StepKind::Delete,
                _ => return Err(UnknownKey),
            },
            person: person.to_owned(),
        })
    }
}

impl fmt::Display for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removal(step) => step.fmt(f),
            Self::Create(person) => write!(f, "create.{person}"),
        }
    }
}

impl FromStr for HeldKey {
    type Err = UnknownKey;

    fn from_str(text: &str) -> Result<Self, UnknownKey> {
        match text.strip_prefix("create.") {
            Some("") => Err(UnknownKey),
            Some(person) => Ok(Self::Create(person.to_owned())),
            None => text.parse().map(Self::Removal),
        }
    }
}

impl TryFrom<String> for StepKey {
    type Error = UnknownKey;

    fn try_from(text: String) -> Result<Self, UnknownKey> {
        text.parse()
    }
}

impl TryFrom<String> for HeldKey {
    type Error = UnknownKey;

    fn try_from(text: String) -> Result<Self, UnknownKey> {
        text.parse()
    }
}

impl From<StepKey> for String {
    fn from(key: StepKey) -> Self {
        key.to_string()
    }
}

impl From<HeldKey> for String {
    fn from(key: HeldKey) -> Self {
        key.to_string()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepChoice {
    /// Until its cause ends.
    Cancel,
    /// Until it is released.
    Hold,
    Release,
    /// With a run that starts at once.
    Now,
}

pub const CHOICES: [(&str, StepChoice); 4] = [
    ("cancel", StepChoice::Cancel),
    ("hold", StepChoice::Hold),
    ("release", StepChoice::Release),
    ("now", StepChoice::Now),
];

/// Which steps a decision is about: those that were ticked, or all that the filters leave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    pub steps: Vec<StepKey>,
    /// Not the ticked ones but all of these.
    #[serde(default)]
    pub all: Option<QueueQuery>,
}

/// The same with the proof that doing it now needs.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDecision {
    Cancel,
    Hold,
    Release,
    Now(crate::services::Proof),
}

#[cfg(feature = "ssr")]
impl StepDecision {
    #[must_use]
    pub fn choice(self) -> StepChoice {
        match self {
            Self::Cancel => StepChoice::Cancel,
            Self::Hold => StepChoice::Hold,
            Self::Release => StepChoice::Release,
            Self::Now(_) => StepChoice::Now,
        }
    }
}

/// The question before a decision: whom it concerns, and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub head: AppHead,
    pub now: Time,
    /// Those it is about; of many only the first.
    pub rows: Vec<QueueRow>,
    pub suspensions: u32,
    pub deletions: u32,
    /// Who is left out, and why; of many only the first.
    pub left_out: Vec<(QueueRow, String)>,
    pub left_out_count: u32,
    /// What suspending and deleting really do in the app, a line each.
    pub does: Vec<String>,
    /// Changes with whom it is about: who decides about all decides about what they saw.
    pub version: String,
    pub may_decide: bool,
}

/// For how many steps something was decided, and how many were not as they had been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedSteps {
    pub done: u32,
    pub missed: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub head: AppHead,
    pub now: Time,
    pub rows: Vec<HeldRow>,
    pub paging: Paging,
    pub removals: u32,
    pub creates: u32,
    /// Why any of them is held, each reason once.
    pub why: Vec<String>,
    /// Changes with what is held: who decides about all decides about what they saw.
    pub version: String,
    pub may_decide: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    pub key: HeldKey,
    pub person: PersonRef,
    /// Of a create there is none.
    pub due: Option<Time>,
    pub held_since: Option<Time>,
    /// Why it is held, one reason each.
    pub why: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldChoice {
    AllowSelected,
    AllowAll,
    /// All removals; creates wait on.
    DismissAll,
}

/// The same with the proof that allowing needs.
#[cfg(feature = "ssr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldDecision {
    AllowSelected(crate::services::Proof),
    AllowAll(crate::services::Proof),
    DismissAll,
}

#[server(endpoint = "queue")]
pub async fn load_queue(
    slug: String,
    #[server(default)] query: QueueQuery,
) -> Result<Queue, ApiError> {
    let (actor, services) = super::signed_in()?;
    let zone = super::preferences::zone_of_reader();
    super::answer(services.removals.queue(&actor, &slug, query, &zone).await)
}

#[server(endpoint = "question")]
pub async fn load_question(
    slug: String,
    choice: StepChoice,
    #[server(default)] chosen: Chosen,
) -> Result<Question, ApiError> {
    let (actor, services) = super::signed_in()?;
    let zone = super::preferences::zone_of_reader();
    let question = (services.removals)
        .question(&actor, &slug, choice, chosen, &zone)
        .await;
    super::answer(question)
}

/// `version` is what was asked about; `back` are the filters of the queue to go back to.
#[server(endpoint = "decide_steps")]
pub async fn decide_steps(
    slug: String,
    choice: StepChoice,
    #[server(default)] chosen: Chosen,
    #[server(default)] version: String,
    #[server(default)] back: String,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let decision = match choice {
        StepChoice::Cancel => StepDecision::Cancel,
        StepChoice::Hold => StepDecision::Hold,
        StepChoice::Release => StepDecision::Release,
        StepChoice::Now => StepDecision::Now(super::assured()?.0.proof()),
    };
    let zone = super::preferences::zone_of_reader();
    let decided = (services.removals)
        .decide_steps(&actor, &slug, decision, chosen, &version, &zone)
        .await;
    let decided = super::answer(decided)?;
    let word = CHOICES
        .iter()
        .find(|(_, one)| *one == choice)
        .map_or("", |(word, _)| word);
    let (done, missed) = (decided.done, decided.missed);
    let joint = if back.is_empty() { "" } else { "&" };
    super::redirect_to(&format!(
        "/apps/{slug}/queue?{back}{joint}decided={word}&done={done}&missed={missed}"
    ));
    Ok(())
}

#[server(endpoint = "review")]
pub async fn load_review(slug: String, page: u32) -> Result<Review, ApiError> {
    let (actor, services) = super::signed_in()?;
    super::answer(services.removals.review(&actor, &slug, page).await)
}

/// `chosen` are the lines that were ticked, `version` what the whole review was.
#[server(endpoint = "decide_held")]
pub async fn decide_held(
    slug: String,
    choice: HeldChoice,
    #[server(default)] chosen: Vec<HeldKey>,
    #[server(default)] version: String,
) -> Result<(), ApiError> {
    let (actor, services) = super::super_administrator()?;
    let decision = match choice {
        HeldChoice::AllowSelected => HeldDecision::AllowSelected(super::assured()?.0.proof()),
        HeldChoice::AllowAll => HeldDecision::AllowAll(super::assured()?.0.proof()),
        HeldChoice::DismissAll => HeldDecision::DismissAll,
    };
    let decided = (services.removals)
        .decide_held(&actor, &slug, decision, &chosen, &version)
        .await;
    super::answer(decided)?;
    super::redirect_to(&format!("/apps/{slug}/review"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HeldKey, StepKey};

    #[test]
    fn the_word_of_a_line_names_it_and_nothing_else_does() {
        for word in [
            "app-turned-off.suspend.1",
            "suspended.delete.a.b",
            "deleted.delete.117",
            "create.117",
        ] {
            let key: HeldKey = word.parse().unwrap();
            assert_eq!(key.to_string(), word);
        }
        for word in [
            "",
            "create.",
            "create",
            "suspended.delete.",
            "suspended.create.1",
            "archived.suspend.1",
            "suspend.suspended.1",
        ] {
            assert!(word.parse::<HeldKey>().is_err(), "{word}");
        }
        assert!("create.117".parse::<StepKey>().is_err());
    }
}
