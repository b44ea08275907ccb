//! A CPU's interrupt flag and the one interrupt the protocol sends, with the call-function data of each
//! sender.
//!
//! One word, because the hardware decides "pend or deliver" in one instant. It is not memory: its
//! read-modify-writes order nothing unless an interrupt passes from one CPU to the other.

use crate::threads::runtime::{Bits, Order, Runtime};

/// Interrupts are off, or the CPU is in the TDX module, where none is taken.
const BLOCKED: u64 = 1;
/// An IPI of the first sender's waits; the next bits are the others'.
const PENDING: u64 = 2;
const ANY_PENDING: u64 = !BLOCKED;

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
        self.0.fetch_and(!(BLOCKED | ANY_PENDING), Order::AcqRel);
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
    pub(super) fn send(&self, sender: u32) {
        self.try_send(sender);
    }

    /// Sends the IPI of a function call, once the call data is free: `csd_lock()` waits for the handler
    /// of the call before (kernel/smp.c). Each CPU that sends has call data of its own (`cfd_data`).
    pub(super) fn call_function(&self, sender: u32) {
        while !self.try_send(sender) {
            R::cpu_relax();
        }
    }

    /// False when the sender's last IPI still waits.
    fn try_send(&self, sender: u32) -> bool {
        let own = PENDING << sender;
        let mut expected = BLOCKED;
        loop {
            let found = self.0.cmpxchg(expected, expected | own, Order::AcqRel);
            if found & own != 0 {
                return false;
            }
            if found == expected || found & BLOCKED == 0 {
                return true;
            }
            // What waits is another sender's.
            expected = found;
        }
    }

    /// Whether an interrupt waits: what ends a guest.
    pub(super) fn is_pending(&self) -> bool {
        self.0.read(Order::Relaxed) & ANY_PENDING != 0
    }

    /// `csd_lock_wait()`: until the handler has run.
    pub(super) fn wait_until_taken(&self, sender: u32) {
        while self.0.read(Order::AcqRel) & (PENDING << sender) != 0 {
            R::cpu_relax();
        }
    }
}
