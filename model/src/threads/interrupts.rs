//! A CPU's interrupt flag and the one interrupt the protocol sends, with its call-function data.
//!
//! One word, because the hardware decides "pend or deliver" in one instant. It is not memory: its
//! read-modify-writes order nothing unless an interrupt passes from one CPU to the other.

use super::runtime::{Bits, Order, Runtime};

const IRQS_OFF: u16 = 1;
const PENDING: u16 = 2;

/// Whether a CPU takes interrupts, and whether one waits for it.
pub(super) struct Interrupts<R: Runtime>(R::Bits);

impl<R: Runtime> Interrupts<R> {
    pub(super) fn new() -> Self {
        Self(R::Bits::new())
    }

    /// `local_irq_disable()`: CLI orders nothing.
    pub(super) fn local_irq_disable(&self) {
        self.0.fetch_or(IRQS_OFF, Order::Relaxed);
    }

    /// `local_irq_enable()`: a pending IPI is taken here, `ack_kick()` runs, and `csd_unlock()`
    /// releases all that came before to the sender.
    pub(super) fn local_irq_enable(&self) {
        self.0.fetch_and(!(IRQS_OFF | PENDING), Order::AcqRel);
    }

    /// Sends the IPI. With interrupts on it is taken at once; with one pending it coalesces.
    pub(super) fn send(&self) {
        self.0.cmpxchg(IRQS_OFF, IRQS_OFF | PENDING, Order::AcqRel);
    }

    /// `csd_lock_wait()`: until the handler has run.
    pub(super) fn wait_until_taken(&self) {
        while self.0.fetch_or(0, Order::AcqRel) & PENDING != 0 {
            R::cpu_relax();
        }
    }
}
