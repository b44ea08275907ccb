//! What the instrumented code needs from an engine, and no more.
//!
//! The cells are small and semantic, so that code written against them keeps the rules under which
//! loom can be trusted: no thread loads and later stores the same atomic; words that several
//! threads write are touched by read-modify-writes only; a full barrier stands between a store and
//! a load, never on its own.

/// A `bool` with one writer, which never reads it.
pub trait Flag: Send + Sync + 'static {
    /// A flag that is down.
    fn new() -> Self;
    /// `WRITE_ONCE`.
    fn write_once(&self, value: bool);
    /// `READ_ONCE`.
    fn read_once(&self) -> bool;
}

/// `vcpu->mode`: stored by its vCPU, which never reads it; read or exchanged by kicks.
pub trait Mode: Send + Sync + 'static {
    /// OUTSIDE_GUEST_MODE.
    fn new() -> Self;
    /// `smp_store_release`; so is every plain store on x86.
    fn store_release(&self, mode: u8);
    /// `LOCK CMPXCHG`, a full barrier on x86 whether it stores or not. Returns the old value.
    fn cmpxchg(&self, from: u8, to: u8) -> u8;
    /// `READ_ONCE`.
    fn read_once(&self) -> u8;
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
pub trait Bits: Send + Sync + 'static {
    /// All bits clear.
    fn new() -> Self;
    /// `XADD`; wraps, so that a subtraction is the addition of its complement.
    fn fetch_add(&self, value: u16, order: Order) -> u16;
    /// `LOCK OR`.
    fn fetch_or(&self, value: u16, order: Order) -> u16;
    /// `LOCK AND`.
    fn fetch_and(&self, value: u16, order: Order) -> u16;
    /// `XCHG`.
    fn swap(&self, value: u16, order: Order) -> u16;
    /// `LOCK CMPXCHG`.
    fn cmpxchg(&self, from: u16, to: u16, order: Order) -> u16;
}

/// An engine.
pub trait Runtime: 'static {
    /// See [`Flag`].
    type Flag: Flag;
    /// See [`Mode`].
    type Mode: Mode;
    /// See [`Bits`].
    type Bits: Bits;

    /// A full memory barrier. Not a scheduling point: it belongs to the store before it.
    fn smp_mb();
    /// Starts a thread; the value returned joins it.
    fn spawn<T: 'static>(thread: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T;
    /// Lets others run; every wait calls it on every lap.
    fn cpu_relax();
}
