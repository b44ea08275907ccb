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
