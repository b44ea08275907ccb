//! How long the code may be run, and whether the user still wants it to.

use crate::engine::{Clock, Cut, Limits, Watch};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often somebody looks.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// When to give up a run of the code.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    time: Duration,
    watch: &'a Watch,
    clock: Clock,
}

/// Why a run has to end; empty as long as it need not.
pub(super) type Stop = Arc<OnceLock<Cut>>;

impl<'a> Patience<'a> {
    /// From now on, at most as long as the limits say.
    #[must_use]
    pub fn new(limits: Limits, watch: &'a Watch) -> Self {
        Self {
            time: limits.time,
            watch,
            clock: Clock::start(),
        }
    }

    /// Why to give up now.
    pub(super) fn is_over(self) -> Option<Cut> {
        if self.watch.is_stopped() {
            Some(Cut::Interrupted)
        } else {
            (self.clock.elapsed() >= self.time).then_some(Cut::Time)
        }
    }

    /// Does work that can be told to stop while a thread looks at clock and user.
    pub(super) fn during<T>(self, work: impl FnOnce(&Stop) -> T) -> T {
        let stop = Stop::default();
        // Nothing is ever sent: the end of the work closes the channel.
        let (done, open) = channel::<()>();
        std::thread::scope(|scope| {
            let told = Arc::clone(&stop);
            scope.spawn(move || {
                while open.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                    if let Some(cut) = self.is_over() {
                        let _ = told.set(cut);
                    }
                }
            });
            let result = work(&stop);
            drop(done);
            result
        })
    }
}
