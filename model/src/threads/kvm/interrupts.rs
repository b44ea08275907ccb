//! A CPU's interrupt flag and the one interrupt the protocol sends, with its call-function data.
//!
//! One word, because the hardware decides "pend or deliver" in one instant. It is not memory: its
//! read-modify-writes order nothing unless an interrupt passes from one CPU to the other.

use crate::threads::runtime::{Bits, Order, Runtime};

/// Interrupts are off, or the CPU is in the TDX module, where none is taken.
const BLOCKED: u64 = 1;
const PENDING: u64 = 2;

/// Whether a CPU takes interrupts, and whether one waits for it.
pub(super) struct Interrupts<R: Runtime>(R::Word);

impl<R: Runtime> Interrupts<R> {
    pub(super) fn new() -> Self {
        Self(R::Word::new(0))
    }

    /// `local_irq_disable()`: CLI orders nothing.
    pub(super) fn local_irq_disable(&self) {
        self.0.fetch_or(BLOCKED, Order::Relaxed);
    }

    /// `local_irq_enable()`: a pending IPI is taken here, `ack_kick()` runs, and `csd_unlock()`
    /// releases all that came before to the sender.
    pub(super) fn local_irq_enable(&self) {
        self.0.fetch_and(!(BLOCKED | PENDING), Order::AcqRel);
    }

    /// A SEAMCALL from where interrupts are on: none is taken until it returns.
    pub(super) fn enter_seam(&self) {
        self.local_irq_disable();
    }

    /// Back from it.
    pub(super) fn leave_seam(&self) {
        self.local_irq_enable();
    }

    /// Sends a reschedule IPI. With interrupts on it is taken at once; with one pending it coalesces.
    pub(super) fn send(&self) {
        self.0.cmpxchg(BLOCKED, BLOCKED | PENDING, Order::AcqRel);
    }

    /// Sends the IPI of a function call, once the call data is free: `csd_lock()` waits for the handler
    /// of the call before (kernel/smp.c).
    pub(super) fn call_function(&self) {
        while self.0.cmpxchg(BLOCKED, BLOCKED | PENDING, Order::AcqRel) & PENDING != 0 {
            R::cpu_relax();
        }
    }

    /// Whether an interrupt waits: what ends a guest.
    pub(super) fn is_pending(&self) -> bool {
        self.0.read(Order::Relaxed) & PENDING != 0
    }

    /// `csd_lock_wait()`: until the handler has run.
    pub(super) fn wait_until_taken(&self) {
        while self.0.read(Order::AcqRel) & PENDING != 0 {
            R::cpu_relax();
        }
    }
}
