//! From a violation to a trace, and back: every trace is executed again before anyone sees it.
//!
//! [`replay`] finds the way again with vCPUs under stable names and takes each transition apart
//! into single steps of the unreduced system; [`endless`] does so for an execution that goes round;
//! [`render`] and [`fields`] put steps and states into words; `around` and `guards` say why a step
//! could run and what else could; [`print`](mod@print) is what a terminal gets.

mod around;
pub mod endless;
pub mod fields;
pub mod file;
mod guards;
pub mod print;
pub mod render;
pub mod replay;
pub mod verify;

pub use render::build;
pub use verify::{VerifyError, verify};
