//! The locks alone, under loom: every interleaving of a few attempts.
//!
//! Every operation on a lock word is a read-modify-write, so loom's search of them is complete. What an
//! execution came to is held against the abstract lock (`order`): all its attempts, with what each
//! came to, and all its releases have to fit into one order.

mod history;
mod order;
#[cfg(test)]
mod tests;

pub use history::{Moment, Moments};

use super::locks::{Attempt, SeptEntry, Sharex, SharexHostPriority, Side, TDEL};
use super::loom_run::{Bounds, explore};
use super::runtime::{Order, Runtime};
use crate::resource::{LockKind, Mode};
use history::{Watched, note};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A thread that tries a lock a number of times and, when it gets it, releases it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contender {
    /// From which side.
    pub side: Side,
    /// Shared or exclusive; of no meaning for an S-EPT entry.
    pub mode: Mode,
    /// How often.
    pub attempts: u8,
}

impl Contender {
    /// One attempt.
    #[must_use]
    pub const fn once(side: Side, mode: Mode) -> Self {
        Self {
            side,
            mode,
            attempts: 1,
        }
    }

    /// Several attempts.
    #[must_use]
    pub const fn times(self, attempts: u8) -> Self {
        Self { attempts, ..self }
    }
}

/// What was found about a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockReport {
    /// Executions made: all there are.
    pub executions: usize,
    /// Two held the lock that may not: the shortest such execution.
    pub broken: Option<Moments>,
    /// No order of all attempts and releases is one of the abstract lock's: the shortest such execution.
    pub without_order: Option<Moments>,
    /// Words that remain when everybody has released, and an execution for each.
    pub left_behind: Vec<(u64, Moments)>,
    /// Each contender's outcomes, of all executions.
    pub outcomes: BTreeSet<Vec<(u8, Moment)>>,
    /// Not all executions were made.
    pub capped: bool,
}

/// A lock whose attempts are explored.
trait TryLock: Send + Sync + 'static {
    fn acquire(&self, contender: Contender) -> Attempt;
    fn release(&self, contender: Contender);
    fn word(&self) -> u64;
}

enum Subject<R: Runtime> {
    Sharex(Sharex<R>),
    HostPriority(SharexHostPriority<R>),
    SeptEntry(SeptEntry<R>),
}

impl<R: Runtime> Subject<R> {
    fn new(kind: LockKind) -> Self {
        match kind {
            LockKind::Sharex => Self::Sharex(Sharex::new(Order::AcqRel)),
            LockKind::SharexHostPriority => {
                Self::HostPriority(SharexHostPriority::new(Order::AcqRel))
            }
            LockKind::SeptEntry => Self::SeptEntry(SeptEntry::new(0, Order::AcqRel)),
        }
    }
}

impl<R: Runtime> TryLock for Subject<R> {
    fn acquire(&self, contender: Contender) -> Attempt {
        match (self, contender.mode, contender.side) {
            (Self::Sharex(lock), Mode::Shared, _) => lock.acquire_shared(),
            (Self::Sharex(lock), ..) => lock.acquire_exclusive(),
            (Self::HostPriority(lock), Mode::Shared, side) => lock.acquire_shared(side, |_| ()),
            (Self::HostPriority(lock), _, side) => lock.acquire_exclusive(side, |_| ()),
            (Self::SeptEntry(entry), _, Side::Host) => entry.acquire_host(|_| ()),
            (Self::SeptEntry(entry), _, Side::Guest) => entry.acquire_guest(|_| ()),
        }
    }

    fn release(&self, contender: Contender) {
        match (self, contender.mode) {
            (Self::Sharex(lock), Mode::Shared) => lock.release_shared(),
            (Self::Sharex(lock), _) => lock.release_exclusive(),
            (Self::HostPriority(lock), Mode::Shared) => lock.release_shared(),
            (Self::HostPriority(lock), _) => lock.release_exclusive(),
            (Self::SeptEntry(entry), _) => entry.release(),
        }
    }

    fn word(&self) -> u64 {
        match self {
            Self::Sharex(lock) => lock.word().into(),
            Self::HostPriority(lock) => lock.word().into(),
            Self::SeptEntry(entry) => entry.read(),
        }
    }
}

/// Explores every interleaving of the contenders' attempts on one lock.
#[must_use]
pub fn check_lock(kind: LockKind, contenders: &[Contender], bounds: Bounds) -> LockReport {
    check_each(kind, contenders, bounds, |_| ())
}

/// The same, and shows each execution to `each`.
#[must_use]
pub fn check_each(
    kind: LockKind,
    contenders: &[Contender],
    bounds: Bounds,
    each: impl Fn(&Moments) + Send + Sync + 'static,
) -> LockReport {
    let new = move || Subject::<Watched>::new(kind);
    explore_lock(kind, new, contenders, bounds, each)
}

/// Explores a lock that is to do as the abstract one of this kind.
fn explore_lock<L: TryLock>(
    kind: LockKind,
    new: impl Fn() -> L + Send + Sync + 'static,
    contenders: &[Contender],
    bounds: Bounds,
    each: impl Fn(&Moments) + Send + Sync + 'static,
) -> LockReport {
    let report = Arc::new(Mutex::new(LockReport::default()));
    let shared = Arc::clone(&report);
    let contenders: Vec<Contender> = contenders.to_vec();
    let threads = contenders.len() + 1;
    let run = explore(bounds, threads, move |_| {
        let (moments, word) = execute(new(), &contenders);
        each(&moments);
        let mut report = shared.lock().unwrap_or_else(PoisonError::into_inner);
        judge(&mut report, kind, &contenders, moments, word);
        false
    });
    let mut report = std::mem::take(&mut *report.lock().unwrap_or_else(PoisonError::into_inner));
    report.executions = run.executions;
    report.capped = run.capped || run.gave_up.is_some();
    report
}

/// One execution.
fn execute<L: TryLock>(subject: L, contenders: &[Contender]) -> (Moments, u64) {
    history::begin();
    let subject = Arc::new(subject);
    let threads: Vec<_> = (0..).zip(contenders.iter().copied()).collect();
    let joins: Vec<_> = threads
        .into_iter()
        .map(|(who, contender)| {
            let subject = Arc::clone(&subject);
            Watched::spawn(move || contend(&*subject, who, contender))
        })
        .collect();
    for join in joins {
        join();
    }
    let word = subject.word();
    (history::take(), word)
}

fn contend<L: TryLock>(subject: &L, who: u8, contender: Contender) {
    history::watch(who);
    for _ in 0..contender.attempts {
        note(who, Moment::Tries);
        match subject.acquire(contender) {
            Attempt::Taken => {
                note(who, Moment::Has);
                note(who, Moment::Releases);
                subject.release(contender);
                note(who, Moment::Free);
            }
            Attempt::Busy => note(who, Moment::Refused),
            Attempt::BusyHostPriority => note(who, Moment::GivesWay),
        }
    }
}

/// Holds an execution against the abstract lock.
fn judge(
    report: &mut LockReport,
    kind: LockKind,
    contenders: &[Contender],
    moments: Moments,
    word: u64,
) {
    if two_hold(kind, contenders, &moments) {
        keep_shortest(&mut report.broken, &moments);
    }
    if !order::exists(kind, contenders, &moments) {
        keep_shortest(&mut report.without_order, &moments);
    }
    if word != 0 && !report.left_behind.iter().any(|(known, _)| *known == word) {
        report.left_behind.push((word, moments.clone()));
    }
    let mut outcomes: Vec<(u8, Moment)> = moments
        .into_iter()
        .filter(|(_, moment)| matches!(moment, Moment::Has | Moment::Refused | Moment::GivesWay))
        .collect();
    outcomes.sort_by_key(|(who, _)| *who);
    report.outcomes.insert(outcomes);
}

fn keep_shortest(kept: &mut Option<Moments>, moments: &Moments) {
    if kept.as_ref().is_none_or(|kept| moments.len() < kept.len()) {
        *kept = Some(moments.clone());
    }
}

/// Two have the lock at once whose modes conflict. Nothing is done under the lock, so that only the
/// release's own operation can stand between what one and the other do: it is held up to there.
fn two_hold(kind: LockKind, contenders: &[Contender], moments: &Moments) -> bool {
    let (mut holders, mut releasing): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());
    for (who, moment) in moments {
        match moment {
            Moment::Has => {
                let conflicts = |other: &u8| order::conflict(kind, contenders, *who, *other);
                if holders.iter().any(conflicts) {
                    return true;
                }
                holders.push(*who);
            }
            Moment::Releases => releasing.push(*who),
            Moment::Acts(_) if releasing.contains(who) => {
                holders.retain(|holder| holder != who);
                releasing.retain(|holder| holder != who);
            }
            _ => {}
        }
    }
    false
}

/// The entry is locked though nobody holds it.
#[must_use]
pub const fn is_still_locked(word: u64) -> bool {
    word & TDEL != 0
}
