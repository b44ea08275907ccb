//! KVM versions: the protocol's decisions, and which locks each code path holds around which SEAMCALLs.

pub mod change;
pub mod decisions;
pub mod held;
pub mod path;
pub mod profile;
pub mod renamed;
pub mod unsupported;

pub use change::{ChangeError, Place};
pub use decisions::{DecisionError, Decisions};
pub use held::KvmHeld;
pub use path::{CodePath, Deed, Group, OnFailure};
pub use profile::{KernelProfile, Trigger};
pub use renamed::Renamed;
pub use unsupported::Unsupported;
