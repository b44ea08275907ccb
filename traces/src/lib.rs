//! Counterexamples of seamcheck: the format they are kept in, and how they are drawn.
//!
//! A trace is one execution: what was asked, who took which step, what the steps show. It is
//! self-describing, so this crate knows nothing of the model that produced it; every renderer is
//! a pure function of the trace.
//!
//! ```text
//!      JSON ── read ──► schema              the format, and what is wrong with a file
//!                         │
//!      links   moment   outline   brief     what follows from what; what holds; what to look at;
//!                         │                 what it all comes to
//!      page  terminal  race  text  markdown  mermaid  itf
//!                         │                 one module for each way to show it
//!                   format, clean           their names; controls in strings spelt out
//! ```
//!
//! * [`schema`] is the format, version 1: plain data, one type per JSON object.
//! * [`read`] goes from JSON to a [`Trace`] and back, and says what is wrong with a bad file.
//! * [`links`](mod@links) says which step follows from which.
//! * [`moment`] says what holds after a step, [`outline`](mod@outline) which steps a reader looks
//!   at first, [`brief`](mod@brief) what it all comes to.
//! * [`page`](mod@page) is the trace as one HTML file, and the list of many.
//! * [`terminal`] is the viewer for terminals, but for the terminal itself.
//! * [`race`](mod@race) draws the columns, one CPU each, that kernel commit messages use;
//!   [`text`], [`markdown`], [`mermaid`] and [`itf`] write traces in other forms,
//!   [`format`](mod@format) names them all. [`clean`] spells out what a string from a file must not do
//!   to a terminal or a page.
//!
//! ```
//! use seamcheck_traces::{Trace, TraceError};
//!
//! let error = Trace::from_json(r#"{ "format": "seamcheck.trace.v9" }"#).unwrap_err();
//! assert!(matches!(error, TraceError::OtherFormat { .. }));
//! ```

pub mod brief;
pub mod clean;
pub mod format;
pub mod itf;
pub mod links;
pub mod markdown;
pub mod mermaid;
pub mod moment;
pub mod outline;
pub mod page;
pub mod race;
pub mod read;
pub mod schema;
pub mod terminal;
pub mod text;

#[cfg(test)]
mod fixtures;

pub use brief::{Sentence, brief};
pub use format::{Evidence, Format};
pub use links::{Link, LinkKind, links};
pub use outline::{Row, every_step, outline};
pub use page::{index, page};
pub use race::race;
pub use read::{MAX_BYTES, TraceError};
pub use schema::*;
