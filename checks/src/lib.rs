//! How it is verified: engines, the suite, reports, and the programs `check` and `trace`.
//!
//! Rooms:
//!
//! - [`question`], [`scenario_text`]: lock table, kernel profile, decisions, scenario, as users name them.
//! - [`engine`]: the exact search and stateright beside it; [`forms`]: the claim's other forms.
//! - [`verdict`]: what a search says about a property; [`suite`]: what is expected; [`runner`]: both together.
//! - [`trace`]: from a violation to a trace and back; [`report`]: outcomes as text and JSON.
//! - [`prove`]: the claim for every number of vCPUs; [`liveness`]: what must happen in the end.
//! - [`cli`], [`command`], [`exit`]: the program `check`; [`viewer`]: the program `trace`.

/// Name and version of this program, as files that it writes carry it.
pub const TOOL: &str = concat!("seamcheck ", env!("CARGO_PKG_VERSION"));

pub mod cli;
pub mod command;
pub mod engine;
pub mod exit;
pub mod forms;
pub mod liveness;
pub mod packed;
pub mod prove;
pub mod question;
pub mod report;
pub mod runner;
pub mod scenario_text;
pub mod suite;
pub mod trace;
pub mod verdict;
pub mod viewer;
