//! stateright's searches within limits: it can not be told to stop, but a model without successors ends
//! its search.

use super::{Clock, Cut, Limits, Watch};
use stateright::{Checker, Model};
use std::time::Duration;

/// Waits for a search to end, and has it ended by `stop` when a limit is hit; says which.
pub(crate) fn supervise<M: Model>(
    checker: &impl Checker<M>,
    limits: Limits,
    watch: &Watch,
    bytes_per_state: u64,
    stop: impl Fn(&M),
) -> Option<Cut> {
    let (clock, mut pause) = (Clock::start(), Duration::from_micros(200));
    let mut cut = None;
    while !checker.is_done() {
        let states = checker.unique_state_count() as u64;
        let hit = if watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if states >= limits.states {
            Some(Cut::States)
        } else if states * bytes_per_state >= limits.memory {
            Some(Cut::Memory)
        } else {
            (clock.elapsed() >= limits.time).then_some(Cut::Time)
        };
        if hit.is_some() && cut.is_none() {
            cut = hit;
            stop(checker.model());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(4));
    }
    cut
}
