//! What is verified: the TDX module's try-locks, KVM's page-removal protocol, and their interleavings.
//!
//! ```text
//!    data/modules/*.toml    data/kernels/*.toml
//!             │                      │               builtin: those that come with the crate
//!           table                  kernel            data: reads both, and says what is wrong
//!             │                      │
//!          module                   kvm           scenario
//!             │   rows as steps      │   functions as lines, by the kernel's decisions
//!             └──────────┬───────────┴───────────────┘
//!                     system          the packed state, the one transition function
//!                        │
//!                property, observe    what must never happen; which steps that is
//!
//!      actors         threads         the same claim twice more, written independently:
//!                                     a stateright model, and code for loom, shuttle and std
//!
//!      words for all: status, leaf_number, resource, closed_enum
//! ```
//!
//! - [`status`], [`leaf_number`], [`resource`]: status words; leaves by number; locks and modes.
//!   [`closed_enum`]: enums that data files spell.
//! - [`table`]: lock tables; [`kernel`]: KVM profiles; [`scenario`]: who takes part. [`data`],
//!   [`builtin`].
//! - [`module`]: lock-table rows compiled to steps; [`kvm`]: KVM's functions as programs, line by line.
//! - [`system`]; [`property`]: what must never happen, and what must be seen to happen; [`observe`].
//! - [`actors`] (docs/actors.md), [`threads`] (docs/code.md).
//!
//! The crate does no I/O, has no clock, no randomness and, outside [`threads`], no threads.

pub mod actors;
pub mod builtin;
pub mod closed_enum;
pub mod data;
pub mod kernel;
pub mod kvm;
pub mod leaf_number;
pub mod module;
pub mod observe;
pub mod property;
pub mod resource;
pub mod scenario;
pub mod status;
pub mod system;
pub mod table;
pub mod threads;
