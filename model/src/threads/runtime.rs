//! What the instrumented code needs from an engine, and no more.
//!
//! The cells are small and semantic, so that code written against them keeps the rules under which
//! loom can be trusted: no thread loads and later stores the same atomic; words that several
//! threads write are touched by read-modify-writes only; a full barrier stands between a store and
//! a load, never on its own.

use super::event::Entry;
use crate::resource::Resource;

/// A `bool` whose writers never read it: one, or two zappers that mmu_lock keeps apart. Where it does not
/// (M13) loom has their stores in the order in which they are made.
pub trait Flag: Send + Sync + 'static {
    /// A flag that is down.
    fn new() -> Self;
    /// `WRITE_ONCE`.
    fn write_once(&self, value: bool);
    /// `READ_ONCE`.
    fn read_once(&self) -> bool;
}

/// `vcpu->mode`: stored by its vCPU; read or exchanged by kicks.
pub trait Mode: Send + Sync + 'static {
    /// OUTSIDE_GUEST_MODE.
    fn new() -> Self;
    /// `smp_store_release`; so is every plain store on x86.
    fn store_release(&self, mode: u8);
    /// `LOCK CMPXCHG`, a full barrier on x86 whether it stores or not. Returns the old value.
    fn cmpxchg(&self, from: u8, to: u8) -> u8;
    /// `READ_ONCE`, by a kick.
    fn read_once(&self) -> u8;
    /// `READ_ONCE`, by the vCPU itself, which stores it later: a read-modify-write that orders
    /// nothing, because loom loses executions of a thread that loads and then stores one atomic.
    fn read_own(&self) -> u8;
}

/// What a read-modify-write orders, beyond being atomic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Nothing.
    Relaxed,
    /// What stands before it and after it, against whoever pairs with it.
    AcqRel,
    /// Everything: a LOCKed instruction on x86.
    FullBarrier,
}

/// A word that several threads write: read-modify-writes only, each returning the old value.
///
/// All are 64 bits wide. A 16-bit lock word lives in the lower bits; its arithmetic is the same
/// there, because nothing ever counts up to bit 16.
pub trait Bits: Send + Sync + 'static {
    /// A word of this value.
    fn new(value: u64) -> Self;
    /// `XADD`; wraps, so that a subtraction is the addition of its complement.
    fn fetch_add(&self, value: u64, order: Order) -> u64;
    /// `LOCK OR`.
    fn fetch_or(&self, value: u64, order: Order) -> u64;
    /// `LOCK AND`.
    fn fetch_and(&self, value: u64, order: Order) -> u64;
    /// `XCHG`.
    fn swap(&self, value: u64, order: Order) -> u64;
    /// `LOCK CMPXCHG`.
    fn cmpxchg(&self, from: u64, to: u64, order: Order) -> u64;

    /// The value: an addition of nothing, which finds the latest one.
    fn read(&self, order: Order) -> u64 {
        self.fetch_add(0, order)
    }
}

/// An engine.
pub trait Runtime: 'static {
    /// See [`Flag`].
    type Flag: Flag;
    /// See [`Mode`].
    type Mode: Mode;
    /// See [`Bits`].
    type Word: Bits;

    /// A full memory barrier. Not a scheduling point: it belongs to the store before it.
    fn smp_mb();
    /// Starts a thread; the value returned joins it.
    fn spawn<T: Send + 'static>(thread: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T;
    /// Lets others run; every wait calls it on every lap.
    fn cpu_relax();
    /// Lets others run before a step that touches nothing they see. Only shuttle does: it is there to
    /// make every interleaving of the model's steps possible, and changes nothing that can be observed.
    fn local_step() {}
    /// One of `0..among`, chosen by the engine. loom has no choices: there it is always 0, and a
    /// scenario that asks for one is refused before it runs.
    fn choose(among: u8) -> u8;
    /// Notes what was just done. The engine switches threads before an operation and never after,
    /// so that an operation and its note are one step.
    fn record(entry: Entry);
    /// How many notes there are.
    fn recorded() -> usize;
    /// Notes a refusal that was decided while somebody held a lock, between the note number `since` and now:
    /// before that lock's last release, if it was released meanwhile.
    fn record_while_held(refused: Entry, resource: Resource, since: usize);
}
