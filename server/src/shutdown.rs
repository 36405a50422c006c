//! When the process is asked to stop.

use std::future::{Future, pending};

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT, and listens from the call on: until somebody does, either ends the
/// process at once, whatever it has in hand. Where signals can't be listened to, it waits for ever
/// and that stays the way to end it.
pub fn requested() -> impl Future<Output = ()> {
    let terminate = signal(SignalKind::terminate());
    let interrupt = signal(SignalKind::interrupt());
    async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (terminate, interrupt) else {
            return pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
