//! Counterexamples of seamcheck: the format they are kept in, and how they are drawn.
//!
//! A trace is one execution: what was asked, who took which step, what the steps show. It is
//! self-describing, so this crate knows nothing of the model that produced it; every renderer is
//! a pure function of the trace.
//!
//! The rooms:
//!
//! * [`schema`] is the format, version 1: plain data, one type per JSON object.
//! * [`read`] goes from JSON to a [`Trace`] and back, and says what is wrong with a bad file.
//! * [`links`](mod@links) says which step follows from which.
//! * [`race`](mod@race) draws the columns, one CPU each, that kernel commit messages use.
//!
//! ```
//! use seamcheck_traces::{Trace, TraceError};
//!
//! let error = Trace::from_json(r#"{ "format": "seamcheck.trace.v9" }"#).unwrap_err();
//! assert!(matches!(error, TraceError::OtherFormat { .. }));
//! ```

pub mod links;
pub mod race;
pub mod read;
pub mod schema;

#[cfg(test)]
mod fixtures;

pub use links::{Link, LinkKind, links};
pub use race::race;
pub use read::{MAX_BYTES, TraceError};
pub use schema::*;
