//! What happens to a lock in an execution, in order: attempts, releases, and each operation on the word.

use crate::resource::Resource;
use crate::threads::backends::LoomRmw;
use crate::threads::event::Entry;
use crate::threads::runtime::{Bits, Order, Runtime};
use std::cell::RefCell;

/// A moment of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// An attempt begins.
    Tries,
    /// An operation on the lock word was made; what the word is now.
    Acts(u64),
    /// It got the lock.
    Has,
    /// It was refused.
    Refused,
    /// It was refused for a host's sake.
    GivesWay,
    /// It is about to release.
    Releases,
    /// It has released.
    Free,
}

/// An execution: who, what, in order.
pub type Moments = Vec<(u8, Moment)>;

std::thread_local! {
    static MOMENTS: RefCell<Moments> = const { RefCell::new(Vec::new()) };
    /// The contender that each thread of loom's is.
    static THREADS: RefCell<Vec<(loom::thread::ThreadId, u8)>> = const { RefCell::new(Vec::new()) };
}

/// Empties the history.
pub(super) fn begin() {
    drop(take());
    THREADS.with_borrow_mut(Vec::clear);
}

/// Reads the history and empties it.
pub(super) fn take() -> Moments {
    MOMENTS.take()
}

pub(super) fn note(who: u8, what: Moment) {
    MOMENTS.with_borrow_mut(|moments| moments.push((who, what)));
}

/// The thread that runs is this contender: its operations are noted from now on.
pub(super) fn watch(who: u8) {
    let thread = loom::thread::current().id();
    THREADS.with_borrow_mut(|threads| threads.push((thread, who)));
}

/// Notes an operation of a contender's. loom switches threads before an operation and never after, so
/// that the two are one step.
fn acts(word: u64) {
    let thread = loom::thread::current().id();
    let known = |threads: &Vec<(loom::thread::ThreadId, u8)>| {
        let mut found = threads.iter().filter(|(known, _)| *known == thread);
        found.next().map(|(_, who)| *who)
    };
    if let Some(who) = THREADS.with_borrow(known) {
        note(who, Moment::Acts(word));
    }
}

/// loom, sequentially consistent, with each operation on a word noted.
pub(super) struct Watched;

impl Runtime for Watched {
    type Flag = <LoomRmw as Runtime>::Flag;
    type Mode = <LoomRmw as Runtime>::Mode;
    type Word = WatchedWord;

    fn smp_mb() {
        LoomRmw::smp_mb();
    }

    fn spawn<T: Send + 'static>(thread: impl FnOnce() -> T + Send + 'static) -> impl FnOnce() -> T {
        LoomRmw::spawn(thread)
    }

    fn cpu_relax() {
        LoomRmw::cpu_relax();
    }

    fn choose(among: u8) -> u8 {
        LoomRmw::choose(among)
    }

    fn record(entry: Entry) {
        LoomRmw::record(entry);
    }

    fn recorded() -> usize {
        LoomRmw::recorded()
    }

    fn record_while_held(refused: Entry, resource: Resource, since: usize) {
        LoomRmw::record_while_held(refused, resource, since);
    }
}

/// A word whose operations are noted.
pub(super) struct WatchedWord(<LoomRmw as Runtime>::Word);

impl Bits for WatchedWord {
    fn new(value: u64) -> Self {
        Self(Bits::new(value))
    }

    fn fetch_add(&self, value: u64, order: Order) -> u64 {
        let old = self.0.fetch_add(value, order);
        acts(old.wrapping_add(value));
        old
    }

    fn fetch_or(&self, value: u64, order: Order) -> u64 {
        let old = self.0.fetch_or(value, order);
        acts(old | value);
        old
    }

    fn fetch_and(&self, value: u64, order: Order) -> u64 {
        let old = self.0.fetch_and(value, order);
        acts(old & value);
        old
    }

    fn swap(&self, value: u64, order: Order) -> u64 {
        let old = self.0.swap(value, order);
        acts(value);
        old
    }

    fn cmpxchg(&self, from: u64, to: u64, order: Order) -> u64 {
        let old = self.0.cmpxchg(from, to, order);
        acts(if old == from { to } else { old });
        old
    }
}
