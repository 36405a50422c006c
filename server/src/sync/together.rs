//! What several people's operations ask of the database at the same moment goes there in one trip.
//!
//! Nobody waits for others to come: whoever finds the way free goes at once, and whoever comes
//! meanwhile goes together next. So one operation alone costs what it did, and many cost little
//! more than one.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::store::StoreError;

#[derive(Debug)]
pub struct Together<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    turn: tokio::sync::Mutex<()>,
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl<Q, A> Together<Q, A> {
    /// The answer to one question. `all` answers many, in their order. `None` when the trip failed
    /// as a whole: then each asks alone, so that one question that can't be answered spoils no other.
    pub async fn ask<F>(&self, question: Q, all: impl FnOnce(Vec<Q>) -> F) -> Option<A>
    where
        F: Future<Output = Result<Vec<A>, StoreError>>,
    {
        let (told, mut answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((question, told));
        let turn = self.turn.lock().await;
        match answer.try_recv() {
            Ok(answer) => return Some(answer),
            Err(TryRecvError::Closed) => return None,
            // Nobody took this question along yet, so this one goes.
            Err(TryRecvError::Empty) => {}
        }
        let waiting =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let (questions, told): (Vec<Q>, Vec<_>) = waiting.into_iter().unzip();
        match all(questions).await {
            Ok(answers) => {
                for (told, answer) in told.into_iter().zip(answers) {
                    // Whoever does not listen any more needs no answer.
                    drop(told.send(answer));
                }
            }
            Err(error) => {
                tracing::debug!(%error, questions = told.len(), "asked together in vain; each asks alone");
                drop(told);
            }
        }
        drop(turn);
        answer.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn whoever_comes_during_a_trip_goes_together_next_and_gets_their_own_answer() {
        let together = Together::<u32, u32>::default();
        let trips = AtomicUsize::new(0);
        let answers = join_all((0..50).map(|number| {
            together.ask(number, |all| async {
                trips.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Ok(all.into_iter().map(|number| number * 2).collect())
            })
        }))
        .await;
        let expected: Vec<_> = (0..50).map(|number| Some(number * 2)).collect();
        assert_eq!(answers, expected);
        assert_eq!(
            trips.into_inner(),
            2,
            "the first alone, all others together"
        );
        assert_eq!(together.ask(7, |all| async { Ok(all) }).await, Some(7));
    }

    #[tokio::test]
    async fn a_trip_that_fails_is_told_to_everybody_on_it_and_to_nobody_else() {
        let together = Together::<u32, u32>::default();
        let spoilt = || async { Err(StoreError::from(sqlx::Error::PoolTimedOut)) };
        let answers = join_all((0..3).map(|number| together.ask(number, |_| spoilt()))).await;
        assert_eq!(answers, [None, None, None]);
        assert_eq!(together.ask(7, |all| async { Ok(all) }).await, Some(7));
    }
}
