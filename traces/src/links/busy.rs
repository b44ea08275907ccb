//! From the step that acquired a lock to the step that found it held.

use super::{Link, LinkKind, is_busy};
use crate::schema::{Held, Step, Trace};
use std::collections::BTreeSet;

pub(super) fn links(trace: &Trace) -> Vec<Link> {
    let steps = &trace.steps;
    let failed = (1..steps.len()).filter(|&index| is_busy(&steps[index]));
    let mut found = Vec::new();
    for index in failed {
        for held in holders(&steps[index], &steps[index - 1].locks) {
            found.extend(acquired(&steps[..index], held).map(|from| Link {
                to: index + 1,
                from: from + 1,
                kind: LinkKind::Busy,
                what: format!("{} {}", held.lock, held.mode),
            }));
        }
    }
    found
}

/// Who held the lock that a step names and could not have.
///
/// A step names `SEPT_ENTRY`, not whose page's. Somebody must hold the one it wants, so a single
/// candidate is it; of several nothing can be said.
fn holders<'a>(step: &Step, locks: &'a [Held]) -> Vec<&'a Held> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: BTreeSet<&str> = step.name.split(|c| !is_name(c)).collect();
    let named = |held: &&Held| words.contains(held.lock.split(' ').next().unwrap_or_default());
    let both_shared = |held: &&Held| held.mode == "shared" && words.contains("shared");
    let candidates: Vec<&Held> = locks
        .iter()
        .filter(|held| held.agent != step.agent && named(held) && !both_shared(held))
        .collect();
    let locks: BTreeSet<&str> = candidates.iter().map(|held| held.lock.as_str()).collect();
    if locks.len() == 1 {
        candidates
    } else {
        Vec::new()
    }
}

/// The step after which a lock was held, and has been ever since.
fn acquired(steps: &[Step], held: &Held) -> Option<usize> {
    let has = |step: &Step| step.locks.contains(held);
    let since = steps.iter().rposition(|step| !has(step));
    let first = since.map_or(0, |index| index + 1);
    (first < steps.len()).then_some(first)
}
