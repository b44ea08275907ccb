//! KVM's side: three programs, each a list of lines that reads like the kernel function it stands for.
//!
//! [`zap`] is the thread that removes a page, [`vcpu`] a vCPU thread, [`ioctl`] any other thread.
//! Which lines a program has, and in which order, follows from the kernel profile's decisions;
//! what a line does is in `system/`.

pub mod assembler;
pub mod instr;
pub mod ioctl;
pub mod vcpu;
pub mod zap;

pub use assembler::{Anchor, Line, Program};
pub use instr::{CallSite, Instr, KickStep};

/// Every function that a line of the zapper's or of a vCPU's program stands for, by its name in 6.16.
pub const FUNCTIONS: &[&str] = &[
    "kvm_tdp_mmu_unmap_gfn_range",
    "tdx_sept_zap_private_spte",
    "tdx_track",
    "tdx_sept_drop_private_spte",
    "tdx_no_vcpus_enter_start",
    "tdx_no_vcpus_enter_stop",
    "kvm_make_all_cpus_request",
    "kvm_vcpu_kick",
    "vcpu_run",
    "vcpu_enter_guest",
    "tdx_vcpu_run",
    "kvm_tdp_mmu_map",
    "tdx_mem_page_aug",
];
