//! A proof for every number of vCPUs.
//!
//! A *view* is the singletons and one vCPU: what a state looks like to somebody who sees one vCPU
//! at a time. [`fixpoint`] collects every view that any number of vCPUs can bring about, with the
//! packed model's own moves; [`recheck`] checks, in another way, that such a set contains the
//! start, is closed and contains nothing bad. [`certificate`] is such a set as a file, [`answer`]
//! the verdict that a user gets. The argument is in docs/every-n.md.

pub mod answer;
pub mod certificate;
pub mod fixpoint;
pub mod guess;
pub mod recheck;
pub mod views;
