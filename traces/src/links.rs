//! What belongs together across steps: a store and its arrival in memory, an interrupt and its
//! acknowledgement, the holder of a lock and whoever was told BUSY.
//!
//! A trace does not say so outright; it follows from what the steps changed and which locks they
//! left held. Where that leaves a doubt, nothing is linked.

mod busy;
mod kicks;
mod stores;

use crate::schema::{CallEdge, Step, Trace};
use serde::Serialize;

/// Two steps of which the second is the first one's consequence. Steps are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Link {
    /// The later step.
    pub to: usize,
    /// The earlier step.
    pub from: usize,
    /// What kind of consequence.
    pub kind: LinkKind,
    /// What is stored, which lock is held how, whose interrupt it is.
    pub what: String,
}

/// How a step follows from an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// A store enters the store buffer, and reaches memory.
    Store,
    /// An interrupt is sent, and acknowledged.
    Kick,
    /// A lock is acquired, and another agent's try finds it held.
    Busy,
}

/// Every link of a trace, by its later step.
#[must_use]
pub fn links(trace: &Trace) -> Vec<Link> {
    let mut all = stores::links(&trace.steps);
    all.extend(kicks::links(&trace.steps));
    all.extend(busy::links(trace));
    all.sort();
    all.dedup();
    all
}

/// True for a step that finds a lock held: it fails with BUSY, other than by passing a status on.
#[must_use]
pub fn is_busy(step: &Step) -> bool {
    let failed = |name: &String| name.starts_with("TDX_OPERAND_BUSY");
    step.seamcall != Some(CallEdge::Returned) && step.status_name.as_ref().is_some_and(failed)
}

#[cfg(test)]
mod tests;
