//! The claim as code: KVM's and the module's functions, written once against a small [`Runtime`]
//! and run by loom, shuttle and std in one binary.
//!
//! What the packed model asserts of locks and barriers is here left to real atomics and to the memory
//! model of another engine. docs/code.md says what each engine can and cannot say.

mod backends;
mod beside;
pub mod conformance;
mod event;
mod guest;
pub mod guided;
mod happened;
mod kvm;
pub mod lock_check;
pub mod locks;
mod loom_run;
mod module;
mod run;
mod runtime;
mod scenario;
mod shuttle_run;
mod std_run;
mod watch;
mod zappers;

pub use backends::{Loom, LoomRmw, Shuttle, Std};
pub use beside::{Around, Beside, Ioctl, IoctlThread, NotAsCode};
pub use event::{Entry, Event, Leaf};
pub use guest::{Deed, Guest, Scripted};
pub use kvm::Met;
pub use loom_run::{
    Bounds, LoomError, LoomReport, MAX_VCPUS as MAX_LOOM_VCPUS, Memory, check as check_for_loom,
    run_under_loom, run_under_loom_held, run_until as run_under_loom_until,
};
pub use module::{Version, lock_kinds};
pub use run::execute;
pub use runtime::{Bits, Flag, Mode, Order, Runtime};
pub use scenario::{FirstCall, Grain, Scenario, Window, implements};
pub use shuttle_run::{Budget, ShuttleReport, Steps, Strategy, run_under_shuttle};
pub use std_run::run_on_threads;
pub use zappers::{Zappers, ZappersError};
