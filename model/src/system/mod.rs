//! The transition system: every interleaving of zapper, vCPUs, guests, ioctl threads, interrupts
//! and store buffers.
//!
//! [`System::successors`] is the one transition function; it is made of [`System::moves`], which know
//! of no number of vCPUs. Rooms: [`state`] what is remembered,
//! [`pack`] states as keys, `kvm_step`, `zapper_step`, `vcpu_step`, `ioctl_step` and
//! `module_step` what a line or a module step does, `guest_step` what the guest does, `held` who
//! holds what, [`zappers`] who removes pages,
//! `environment` what the hardware does by itself, `locality` which steps are taken together (R1, R2),
//! `forget` which fields are dead (R3), [`others`] what a step may ask about other vCPUs and
//! [`guards`] which step may ask what.

mod build;
mod config;
mod contention;
mod environment;
mod explain;
mod forget;
pub mod guards;
mod guest_step;
mod held;
mod ioctl_step;
mod kvm_step;
pub mod labels;
mod locality;
mod module_step;
pub mod moves;
pub mod others;
pub mod pack;
mod reductions;
mod run;
pub mod state;
mod vcpu_step;
mod zapper_step;
pub mod zappers;

pub use build::{EPT_VIOLATION_EXIT, System, User};
pub use config::ConfigError;
pub use explain::StepText;
pub use reductions::Reductions;
pub use run::{Agent, Event, Overflow, Trail};
pub use state::State;
