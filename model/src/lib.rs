//! What is verified: the TDX module's try-locks, KVM's page-removal protocol, and their interleavings.
//!
//! Rooms, from data to behaviour:
//!
//! - [`status`], [`leaf_number`], [`resource`]: status words; leaves by number; locks and modes.
//! - [`table`]: lock tables (`data/modules/`); [`kernel`]: KVM profiles (`data/kernels/`); [`scenario`]:
//!   who takes part. [`data`] reads files, [`builtin`] holds those that come with the crate.
//! - [`module`]: lock-table rows compiled to steps; [`kvm`]: KVM's functions as programs, line by line.
//! - [`system`]: the packed state and the one transition function; [`property`]: what must never
//!   happen, and what must be seen to happen; [`observe`]: which steps that is.
//! - [`actors`], [`threads`]: the same claim in two other forms, written independently.
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
