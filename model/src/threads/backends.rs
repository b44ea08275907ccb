//! The code's cells and threads on each engine.
//!
//! | | memory | schedules |
//! | --- | --- | --- |
//! | [`Loom`] | C11's, weaker than x86's | all, or up to a number of preemptions |
//! | [`LoomRmw`] | sequentially consistent: every access a read-modify-write | the same, and loom's search is known to be complete |
//! | [`Shuttle`] | sequentially consistent | random, PCT, or one that is given |
//! | [`Std`] | the machine's | the machine's |

use super::event;
use super::kvm::OUTSIDE_GUEST_MODE;
use super::runtime::{Bits, Flag, Mode, Order, Runtime};
use crate::resource::Resource;
use std::panic::resume_unwind;
use std::sync::atomic::Ordering;

/// loom, weak memory.
#[derive(Clone, Copy, Debug)]
pub struct Loom;

/// loom, sequentially consistent memory.
#[derive(Clone, Copy, Debug)]
pub struct LoomRmw;

/// shuttle.
#[derive(Clone, Copy, Debug)]
pub struct Shuttle;

/// Real threads. Nothing is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Std;

/// The words of an engine; loom, shuttle and std give their atomics the same paths and names.
macro_rules! words {
    ($engine:ident) => {
        use $engine::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, fence};

        pub(super) fn full_barrier() {
            fence(Ordering::SeqCst);
        }

        /// A read-modify-write with the orderings for success and failure, and the barriers around
        /// it. Barriers are fences: loom's own SeqCst accesses are only AcqRel, and an exchange that
        /// fails would order nothing at all.
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

        /// See [`Bits`].
        #[derive(Debug)]
        pub struct Word(AtomicU64);

        impl Bits for Word {
            fn new(value: u64) -> Self {
                Self(AtomicU64::new(value))
            }

            fn fetch_add(&self, value: u64, order: Order) -> u64 {
                ordered(order, |order, _| self.0.fetch_add(value, order))
            }

            fn fetch_or(&self, value: u64, order: Order) -> u64 {
                ordered(order, |order, _| self.0.fetch_or(value, order))
            }

            fn fetch_and(&self, value: u64, order: Order) -> u64 {
                ordered(order, |order, _| self.0.fetch_and(value, order))
            }

            fn swap(&self, value: u64, order: Order) -> u64 {
                ordered(order, |order, _| self.0.swap(value, order))
            }

            fn cmpxchg(&self, from: u64, to: u64, order: Order) -> u64 {
                ordered(order, |success, failure| {
                    self.0.compare_exchange(from, to, success, failure)
                })
                .unwrap_or_else(|old| old)
            }
        }

        /// See [`Flag`].
        #[derive(Debug)]
        pub struct PlainFlag(AtomicBool);

        impl Flag for PlainFlag {
            fn new() -> Self {
                Self(AtomicBool::new(false))
            }

            fn write_once(&self, value: bool) {
                self.0.store(value, Ordering::Relaxed);
            }

            fn read_once(&self) -> bool {
                self.0.load(Ordering::Relaxed)
            }
        }

        /// See [`Mode`].
        #[derive(Debug)]
        pub struct PlainMode(AtomicU8);

        impl Mode for PlainMode {
            fn new() -> Self {
                Self(AtomicU8::new(OUTSIDE_GUEST_MODE))
            }

            fn store_release(&self, mode: u8) {
                self.0.store(mode, Ordering::Release);
            }

            fn cmpxchg(&self, from: u8, to: u8) -> u8 {
                ordered(Order::FullBarrier, |success, failure| {
                    self.0.compare_exchange(from, to, success, failure)
                })
                .unwrap_or_else(|old| old)
            }

            fn read_once(&self) -> u8 {
                self.0.load(Ordering::Relaxed)
            }

            fn read_own(&self) -> u8 {
                self.0.fetch_or(0, Ordering::Relaxed)
            }
        }

        /// See [`Mode`]; stores are exchanges, of no other ordering. loom lets a store slip between the two
        /// halves of an exchange by another thread (loom issue 254): a vCPU's OUTSIDE_GUEST_MODE between
        /// the kick's look at IN_GUEST_MODE and its EXITING_GUEST_MODE, which would then be the newest.
        /// C11 has no such execution, nor has any CPU.
        #[derive(Debug)]
        pub struct ExchangedMode(PlainMode);

        impl Mode for ExchangedMode {
            fn new() -> Self {
                Self(PlainMode::new())
            }

            fn store_release(&self, mode: u8) {
                self.0.0.swap(mode, Ordering::Release);
            }

            fn cmpxchg(&self, from: u8, to: u8) -> u8 {
                self.0.cmpxchg(from, to)
            }

            fn read_once(&self) -> u8 {
                self.0.read_once()
            }

            fn read_own(&self) -> u8 {
                self.0.read_own()
            }
        }

        /// See [`Flag`]; every access finds the latest value.
        #[derive(Debug)]
        pub struct RmwFlag(AtomicBool);

        impl Flag for RmwFlag {
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
        pub struct RmwMode(AtomicU8);

        impl Mode for RmwMode {
            fn new() -> Self {
                Self(AtomicU8::new(OUTSIDE_GUEST_MODE))
            }

            fn store_release(&self, mode: u8) {
                self.0.swap(mode, Ordering::AcqRel);
            }

            fn cmpxchg(&self, from: u8, to: u8) -> u8 {
                self.0
                    .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
                    .unwrap_or_else(|old| old)
            }

            fn read_once(&self) -> u8 {
                self.0.fetch_or(0, Ordering::AcqRel)
            }

            fn read_own(&self) -> u8 {
                self.0.fetch_or(0, Ordering::AcqRel)
            }
        }
    };
}

macro_rules! engine {
    ($module:ident, $engine:ident) => {
        #[allow(dead_code, unreachable_pub)]
        mod $module {
            use super::*;
            words!($engine);
        }
    };
}

engine!(on_loom, loom);
engine!(on_shuttle, shuttle);
engine!(on_std, std);

macro_rules! runtime {
    ($Runtime:ty, $module:ident, $engine:ident, $Flag:ident, $Mode:ident, $step:expr, $choose:expr, $journal:ident) => {
        impl Runtime for $Runtime {
            type Flag = $module::$Flag;
            type Mode = $module::$Mode;
            type Word = $module::Word;

            fn smp_mb() {
                $module::full_barrier();
            }

            fn spawn<T: Send + 'static>(
                thread: impl FnOnce() -> T + Send + 'static,
            ) -> impl FnOnce() -> T {
                let thread = $engine::thread::spawn(thread);
                move || thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            }

            fn cpu_relax() {
                $engine::thread::yield_now();
            }

            fn local_step() {
                $step();
            }

            fn choose(among: u8) -> u8 {
                $choose(among)
            }

            fn record(entry: event::Entry) {
                $journal::record(entry);
            }

            fn recorded() -> usize {
                $journal::recorded()
            }

            fn record_while_held(refused: event::Entry, resource: Resource, since: usize) {
                $journal::record_while_held(refused, resource, since);
            }
        }
    };
}

runtime!(
    Loom,
    on_loom,
    loom,
    PlainFlag,
    ExchangedMode,
    at_once,
    |_| 0,
    event
);
runtime!(
    LoomRmw,
    on_loom,
    loom,
    RmwFlag,
    RmwMode,
    at_once,
    |_| 0,
    event
);
runtime!(
    Shuttle,
    on_shuttle,
    shuttle,
    PlainFlag,
    PlainMode,
    step_by_shuttle,
    by_shuttle,
    event
);
runtime!(
    Std, on_std, std, PlainFlag, PlainMode, at_once, by_hash, nowhere
);

/// Real threads have no journal.
mod nowhere {
    use super::event::Entry;
    use crate::resource::Resource;

    pub(super) const fn record(_: Entry) {}

    pub(super) const fn recorded() -> usize {
        0
    }

    pub(super) const fn record_while_held(_: Entry, _: Resource, _: usize) {}
}

/// Nothing.
const fn at_once() {}

/// shuttle switches before each operation: one on a word that nobody else has.
fn step_by_shuttle() {
    let _ = shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::Relaxed);
}

/// Part of the schedule: replayed with it.
fn by_shuttle(among: u8) -> u8 {
    use shuttle::rand::RngCore;
    (shuttle::rand::thread_rng().next_u64() % u64::from(among.max(1))) as u8
}

/// Nothing here has to be reproduced: each hasher of the standard library has keys of its own.
fn by_hash(among: u8) -> u8 {
    use std::hash::{BuildHasher, RandomState};
    (RandomState::new().hash_one(among) % u64::from(among.max(1))) as u8
}
