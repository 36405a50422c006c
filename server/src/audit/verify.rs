//! Walks the whole log beside its seals and names the first place where they part.

use std::collections::BTreeMap;
use std::fmt;

use super::{BATCH, SealError, Seals, checkpoints};
use crate::store::StoreError;
use crate::store::events::{self, EventRow};

/// What was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Events whose seals hold.
    pub events: u64,
    /// Checkpoints outside the database that the log agrees with.
    pub checkpoints: usize,
}

/// The first place where the log is not what was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Break {
    /// The event's content, or its place in the chain, is another one.
    Changed {
        event: i64,
    },
    /// Its seal is there, the event is not.
    Deleted {
        event: i64,
    },
    /// It stands among sealed events and has no seal.
    Added {
        event: i64,
    },
    /// A seal that is not at its place.
    SealForged {
        event: i64,
    },
    /// The log ends before its head says.
    TailMissing {
        expected: i64,
        found: Option<i64>,
    },
    HeadMissing,
    HeadForged,
    /// A checkpoint outside the database names another seal for this event.
    CheckpointDiffers {
        event: i64,
    },
    /// A line of the file of checkpoints was not made under this key.
    CheckpointForged {
        line: usize,
    },
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { event } => write!(
                f,
                "event {event} was changed or moved after it was sealed (if it is the first event, check that the secret key is the right one)"
            ),
            Self::Deleted { event } => write!(f, "event {event} was deleted"),
            Self::Added { event } => write!(f, "event {event} was added among sealed events"),
            Self::SealForged { event } => write!(f, "the seal of event {event} is not genuine"),
            Self::TailMissing {
                expected,
                found: Some(found),
            } => write!(
                f,
                "the log was cut off after event {found}: it was sealed up to event {expected}"
            ),
            Self::TailMissing {
                expected,
                found: None,
            } => write!(
                f,
                "the log is empty, but it was sealed up to event {expected}"
            ),
            Self::HeadMissing => f.write_str("the head of the log was deleted"),
            Self::HeadForged => f.write_str(
                "the head of the log is not genuine (or the secret key is not the one that it was sealed with)",
            ),
            Self::CheckpointDiffers { event } => write!(
                f,
                "event {event} has another seal than the checkpoint outside the database says"
            ),
            Self::CheckpointForged { line } => {
                write!(f, "line {line} of the file of checkpoints is not genuine")
            }
        }
    }
}

impl Seals {
    /// Proves every sealed event, then seals the rest. `Err(Broken)` names the first break.
    pub async fn verify(&self) -> Result<Proof, SealError> {
        let noted = self.noted().await?;
        let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
        events::look_at_one_moment(&mut transaction).await?;
        let head = events::head(&mut transaction).await?;
        let last = events::last_seal(&mut transaction).await?;
        let end = self.end_of_chain(head, last);
        let mut walk = Walk {
            seals: self,
            previous: Vec::new(),
            last: 0,
            proven: 0,
            noted: &noted,
        };
        loop {
            let seals = events::seals_after(&mut transaction, walk.last, BATCH).await?;
            let Some(until) = seals.last().map(|(event, _)| *event) else {
                break;
            };
            let page = events::between(&mut transaction, walk.last, until).await?;
            walk.page(&page, &seals).map_err(SealError::Broken)?;
        }
        let Walk { last, proven, .. } = walk;
        let head = end.map_err(SealError::Broken)?;
        if let Some((event, _)) = noted.range(last + 1..).next() {
            return Err(SealError::Broken(Break::TailMissing {
                expected: *event,
                found: (last > 0).then_some(last),
            }));
        }
        if head.is_some_and(|head| head.events.unsigned_abs() != proven) {
            return Err(SealError::Broken(Break::HeadForged));
        }
        drop(transaction);
        Ok(Proof {
            events: proven + self.seal().await?,
            checkpoints: noted.len(),
        })
    }

    /// What was noted outside the database, by event.
    async fn noted(&self) -> Result<BTreeMap<i64, Vec<u8>>, SealError> {
        let Some(file) = &self.checkpoints else {
            return Ok(BTreeMap::new());
        };
        let mut noted = BTreeMap::new();
        for (at, head) in checkpoints::read(file).await?.into_iter().enumerate() {
            if !self.is_authentic(&head) {
                return Err(SealError::Broken(Break::CheckpointForged { line: at + 1 }));
            }
            noted.insert(head.event_id, head.hash);
        }
        Ok(noted)
    }
}

struct Walk<'a> {
    seals: &'a Seals,
    previous: Vec<u8>,
    last: i64,
    proven: u64,
    noted: &'a BTreeMap<i64, Vec<u8>>,
}

impl Walk<'_> {
    /// `seals` are a page of the chain, `events` all that lie in it.
    fn page(&mut self, events: &[EventRow], seals: &[(i64, Vec<u8>)]) -> Result<(), Break> {
        let mut events = events.iter().peekable();
        for (id, seal) in seals {
            match events.peek() {
                Some(event) if event.id < *id => return Err(Break::Added { event: event.id }),
                Some(event) if event.id == *id => {
                    let hash = self.seals.hash(&self.previous, event);
                    if hash != *seal {
                        return Err(Break::Changed { event: *id });
                    }
                    events.next();
                }
                _ => return Err(Break::Deleted { event: *id }),
            }
            if self.noted.get(id).is_some_and(|noted| noted != seal) {
                return Err(Break::CheckpointDiffers { event: *id });
            }
            self.previous.clone_from(seal);
            self.last = *id;
            self.proven += 1;
        }
        Ok(())
    }
}
