//! How it is verified: engines, the suite, reports, and the programs `check` and `trace`.
//!
//! ```text
//!      cli ── command                               the program `check`
//!               │
//!      suite, profiles ── runner            question, scenario_text
//!               │           │  │                      │
//!               │           │  └── forms           packed
//!               │           │      actors, loom,      │
//!               │           │      shuttle            ├── engine: exact, stateright
//!               │           │        │                ├── liveness
//!               │           │        │                └── prove
//!               │           └────────┴──── verdict ───┘
//!             agree                           │
//!               │                           trace ── viewer    the program `trace`
//!            report, exit
//!
//!      the same data, other questions: sweep, fix, collisions, matrix, triage, import
//!      what verdicts rest on: assumptions; work shared out to threads: parallel
//! ```
//!
//! - [`question`], [`scenario_text`]: lock table, kernel profile, decisions, scenario, as users name them.
//! - [`engine`]: the exact search and stateright beside it; [`forms`]: the claim's other forms.
//!   [`packed`]: a question to the packed model with everything that was found out about it.
//! - [`assumptions`]: what verdicts rest on.
//! - [`verdict`]: what a search says about a property; [`suite`]: what is expected; [`profiles`]: which of
//!   it is run; [`runner`]: both together.
//! - [`trace`]: from a violation to a trace and back; [`report`]: outcomes as text, JSON, JUnit, and for GitHub.
//! - [`agree`]: whether independent models give the same verdicts.
//! - [`prove`]: the claim for every number of vCPUs; [`liveness`]: what must happen in the end.
//! - [`sweep`]: every pair of code paths; [`fix`]: which KVM lock would help.
//! - [`collisions`], [`matrix`]: leaf against leaf; [`triage`]: a kernel log; [`import`]: a patch mail.
//! - [`parallel`]: work shared out to threads.
//! - [`cli`], [`command`], [`exit`]: the program `check`; [`viewer`]: the program `trace`.

/// Name and version of this program, as files that it writes carry it.
pub const TOOL: &str = concat!("seamcheck ", env!("CARGO_PKG_VERSION"));

pub mod agree;
pub mod assumptions;
pub mod cli;
pub mod collisions;
pub mod command;
pub mod engine;
pub mod exit;
pub mod fix;
pub mod forms;
pub mod import;
pub mod liveness;
pub mod matrix;
pub mod packed;
pub mod parallel;
pub mod profiles;
pub mod prove;
pub mod question;
pub mod report;
pub mod runner;
pub mod scenario_text;
pub mod suite;
pub mod sweep;
pub mod trace;
pub mod triage;
pub mod verdict;
pub mod viewer;
