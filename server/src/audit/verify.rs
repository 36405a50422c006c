//! Walks the whole log beside its seals and names the first place where they part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::chain::Chain;
use super::{BATCH, SealError, Seals, checkpoints};
use crate::store::StoreError;
use crate::store::events::EventRow;
use crate::store::seals::{self, Cut, Head};

/// What was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Events whose seals hold.
    pub events: u64,
    /// Earlier events that were pruned.
    pub pruned: u64,
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
    /// The record of where the log was pruned was not made under its key.
    CutForged,
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
                "event {event} was changed or moved after it was sealed (if it is the first one in the log, what came before it was cut off, or the secret key is not the one that it was sealed with)"
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
            Self::CutForged => {
                f.write_str("the record of where the log was pruned is not genuine")
            }
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
        let noted = match &self.checkpoints {
            Some(file) => checkpoints::read(file).await?,
            None => Vec::new(),
        };
        let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
        seals::look_at_one_moment(&mut transaction).await?;
        let head = seals::head(&mut transaction).await?;
        let last = seals::last_seal(&mut transaction).await?;
        let chain = self.chain(&mut transaction, head.as_ref()).await?;
        let cut = seals::cut(&mut transaction).await?;
        let broken = SealError::Broken;
        if cut.as_ref().is_some_and(|cut| !chain.is_authentic_cut(cut)) {
            return Err(broken(Break::CutForged));
        }
        let noted = comparable(noted, &chain, cut.as_ref()).map_err(broken)?;
        let end = chain.end(head, last);
        let mut walk = Walk::after(&chain, cut.as_ref(), &noted);
        loop {
            let seals = seals::seals_after(&mut transaction, walk.last, BATCH).await?;
            let Some(until) = seals.last().map(|(event, _)| *event) else {
                break;
            };
            let page = seals::between(&mut transaction, walk.last, until).await?;
            walk.page(&page, &seals).map_err(broken)?;
        }
        let Walk {
            last,
            proven,
            passed,
            ..
        } = walk;
        let head = end.map_err(broken)?;
        if let Some((event, _)) = noted.range(last + 1..).next() {
            return Err(broken(Break::TailMissing {
                expected: *event,
                found: (last > 0).then_some(last),
            }));
        }
        let before = cut.map_or(0, |cut| cut.events.unsigned_abs());
        if head.is_some_and(|head| head.events.unsigned_abs() != before + proven + passed) {
            return Err(broken(Break::HeadForged));
        }
        drop(transaction);
        Ok(Proof {
            events: proven + self.seal().await?,
            pruned: before + passed,
            checkpoints: noted.len(),
        })
    }
}

impl Seals {
    /// Whether the log begins and ends as it was sealed, under keys that are there. Reads no event.
    pub async fn check_ends(&self) -> Result<(), SealError> {
        let mut transaction = self.pool.begin().await.map_err(StoreError::from)?;
        seals::look_at_one_moment(&mut transaction).await?;
        let head = seals::head(&mut transaction).await?;
        let last = seals::last_seal(&mut transaction).await?;
        let chain = self.chain(&mut transaction, head.as_ref()).await?;
        let cut = seals::cut(&mut transaction).await?;
        if cut.is_some_and(|cut| !chain.is_authentic_cut(&cut)) {
            return Err(SealError::Broken(Break::CutForged));
        }
        chain.end(head, last).map_err(SealError::Broken)?;
        Ok(())
    }
}

/// What was noted outside the database of events that are still there, by event.
fn comparable(
    noted: Vec<Head>,
    chain: &Chain,
    cut: Option<&Cut>,
) -> Result<BTreeMap<i64, Vec<u8>>, Break> {
    let mut comparable = BTreeMap::new();
    for (at, head) in noted.into_iter().enumerate() {
        if !chain.was_authentic(&head) {
            return Err(Break::CheckpointForged { line: at + 1 });
        }
        match cut {
            Some(cut) if head.event_id < cut.event_id => {}
            Some(cut) if head.event_id == cut.event_id => {
                if head.hash != cut.hash {
                    return Err(Break::CheckpointDiffers {
                        event: head.event_id,
                    });
                }
            }
            _ => {
                comparable.insert(head.event_id, head.hash);
            }
        }
    }
    Ok(comparable)
}

struct Walk<'a> {
    chain: &'a Chain,
    previous: Vec<u8>,
    last: i64,
    proven: u64,
    /// Seals of events that were pruned.
    passed: u64,
    gone: BTreeSet<i64>,
    noted: &'a BTreeMap<i64, Vec<u8>>,
}

impl<'a> Walk<'a> {
    fn after(chain: &'a Chain, cut: Option<&Cut>, noted: &'a BTreeMap<i64, Vec<u8>>) -> Self {
        Self {
            chain,
            previous: cut.map(|cut| cut.hash.clone()).unwrap_or_default(),
            last: cut.map_or(0, |cut| cut.event_id),
            proven: 0,
            passed: 0,
            gone: cut
                .map(|cut| cut.gone.iter().copied().collect())
                .unwrap_or_default(),
            noted,
        }
    }

    /// `seals` are a page of the chain, `events` all that lie in it.
    fn page(&mut self, events: &[EventRow], seals: &[(i64, Vec<u8>)]) -> Result<(), Break> {
        let mut events = events.iter().peekable();
        for (id, seal) in seals {
            match events.peek() {
                Some(event) if event.id < *id => return Err(Break::Added { event: event.id }),
                Some(event) if event.id == *id => {
                    let hash = self.chain.seal(&self.previous, event);
                    if hash != *seal {
                        return Err(Break::Changed { event: *id });
                    }
                    events.next();
                    self.proven += 1;
                }
                // The seal after it, or the head, proves its seal.
                _ if self.gone.contains(id) => self.passed += 1,
                _ => return Err(Break::Deleted { event: *id }),
            }
            if self.noted.get(id).is_some_and(|noted| noted != seal) {
                return Err(Break::CheckpointDiffers { event: *id });
            }
            self.previous.clone_from(seal);
            self.last = *id;
        }
        Ok(())
    }
}
