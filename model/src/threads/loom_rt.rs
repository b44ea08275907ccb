//! The code's cells and threads under loom, on two memories.
//!
//! [`Loom`] is the weak memory: a load may return any value its thread is not yet bound to miss.
//! [`LoomSc`] makes every load and store a read-modify-write, which finds the latest value: the
//! memory is sequentially consistent, and loom's search is then known to be complete.

use super::kvm::OUTSIDE_GUEST_MODE;
use super::runtime::{Bits, Flag, Mode, Order, Runtime};
use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, Ordering, fence};
use std::panic::resume_unwind;

/// loom, weak memory.
#[derive(Clone, Copy, Debug)]
pub struct Loom;

/// loom, sequentially consistent memory.
#[derive(Clone, Copy, Debug)]
pub struct LoomSc;

fn full_barrier() {
    fence(Ordering::SeqCst);
}

impl Flag for AtomicBool {
    fn new() -> Self {
        Self::new(false)
    }

    fn write_once(&self, value: bool) {
        self.store(value, Ordering::Relaxed);
    }

    fn read_once(&self) -> bool {
        self.load(Ordering::Relaxed)
    }
}

impl Mode for AtomicU8 {
    fn new() -> Self {
        Self::new(OUTSIDE_GUEST_MODE)
    }

    fn store_release(&self, mode: u8) {
        self.store(mode, Ordering::Release);
    }

    /// The barriers are fences because loom's own SeqCst is only AcqRel, and a failing exchange
    /// would order nothing at all.
    fn cmpxchg(&self, from: u8, to: u8) -> u8 {
        ordered(Order::FullBarrier, |success, failure| {
            self.compare_exchange(from, to, success, failure)
        })
        .unwrap_or_else(|old| old)
    }

    fn read_once(&self) -> u8 {
        self.load(Ordering::Relaxed)
    }
}

/// See [`Flag`]; every access finds the latest value.
#[derive(Debug)]
pub struct ScFlag(AtomicBool);

impl Flag for ScFlag {
    fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    fn write_once(&self, value: bool) {
        self.0.swap(value, Ordering::AcqRel);
    }

    fn read_once(&self) -> bool {
        self.0.fetch_or(false, Ordering::AcqRel)
    }
}

/// See [`Mode`]; every access finds the latest value.
#[derive(Debug)]
pub struct ScMode(AtomicU8);

impl Mode for ScMode {
    fn new() -> Self {
        Self(AtomicU8::new(OUTSIDE_GUEST_MODE))
    }

    fn store_release(&self, mode: u8) {
        self.0.swap(mode, Ordering::AcqRel);
    }

    fn cmpxchg(&self, from: u8, to: u8) -> u8 {
        self.0.cmpxchg(from, to)
    }

    fn read_once(&self) -> u8 {
        self.0.fetch_or(0, Ordering::AcqRel)
    }
}

/// Makes a read-modify-write with the orderings for success and failure, and the barriers around it.
fn ordered<T>(order: Order, rmw: impl FnOnce(Ordering, Ordering) -> T) -> T {
    match order {
        Order::Relaxed => rmw(Ordering::Relaxed, Ordering::Relaxed),
        Order::AcqRel => rmw(Ordering::AcqRel, Ordering::Acquire),
        Order::FullBarrier => {
            full_barrier();
            let value = rmw(Ordering::AcqRel, Ordering::Acquire);
            full_barrier();
            value
        }
    }
}

impl Bits for AtomicU16 {
    fn new() -> Self {
        Self::new(0)
    }

    fn fetch_add(&self, value: u16, order: Order) -> u16 {
        ordered(order, |order, _| Self::fetch_add(self, value, order))
    }

    fn fetch_or(&self, value: u16, order: Order) -> u16 {
        ordered(order, |order, _| Self::fetch_or(self, value, order))
    }

    fn fetch_and(&self, value: u16, order: Order) -> u16 {
        ordered(order, |order, _| Self::fetch_and(self, value, order))
    }

    fn swap(&self, value: u16, order: Order) -> u16 {
        ordered(order, |order, _| Self::swap(self, value, order))
    }

    fn cmpxchg(&self, from: u16, to: u16, order: Order) -> u16 {
        ordered(order, |success, failure| {
            self.compare_exchange(from, to, success, failure)
        })
        .unwrap_or_else(|old| old)
    }
}

/// One engine on two memories.
macro_rules! runtime {
    ($Runtime:ty, $Flag:ty, $Mode:ty) => {
        impl Runtime for $Runtime {
            type Flag = $Flag;
            type Mode = $Mode;
            type Bits = AtomicU16;

            fn smp_mb() {
                full_barrier();
            }

            fn spawn<T: 'static>(
                thread: impl FnOnce() -> T + Send + 'static,
            ) -> impl FnOnce() -> T {
                let thread = loom::thread::spawn(thread);
                move || thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }

            fn cpu_relax() {
                loom::thread::yield_now();
            }
        }
    };
}

runtime!(Loom, AtomicBool, AtomicU8);
runtime!(LoomSc, ScFlag, ScMode);
