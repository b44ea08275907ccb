//! KVM versions: the protocol's decisions, and which locks each code path holds around which SEAMCALLs.

pub mod decisions;
pub mod profile;
pub mod unsupported;

pub use decisions::{DecisionError, Decisions};
pub use profile::{CodePath, Deed, KernelProfile, KvmHeld, OnFailure};
pub use unsupported::Unsupported;
