//! The TDX module: lock-table rows compiled to steps, and what the steps do.

pub mod compile;
pub mod op;

pub use compile::{Code, Compiler};
pub use op::{Held, LeafId, Op, OpKind};
