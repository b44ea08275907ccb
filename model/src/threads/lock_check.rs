//! The locks alone, under loom: every interleaving of a few attempts.
//!
//! Every operation on a lock word is a read-modify-write, so loom's search of them is complete.

use super::backends::LoomRmw;
use super::locks::{Attempt, SeptEntry, Sharex, SharexHostPriority, Side, TDEL};
use super::loom_run::{Bounds, explore};
use super::runtime::{Order, Runtime};
use crate::resource::{LockKind, Mode};
use std::cell::RefCell;
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

/// A moment of a contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// An attempt begins.
    Tries,
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

/// What was found about a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockReport {
    /// Executions made: all there are.
    pub executions: usize,
    /// Two held the lock that may not: an execution.
    pub broken: Option<Moments>,
    /// A refusal during which nobody held the lock, or was about to get it, in a conflicting mode.
    pub refused_by_nobody: Option<Moments>,
    /// Words that remain when everybody has released, and an execution for each.
    pub left_behind: Vec<(u64, Moments)>,
    /// Each contender's outcomes, of all executions.
    pub outcomes: BTreeSet<Vec<(u8, Moment)>>,
    /// Not all executions were made.
    pub capped: bool,
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

std::thread_local! {
    static MOMENTS: RefCell<Moments> = const { RefCell::new(Vec::new()) };
}

fn note(who: u8, what: Moment) {
    MOMENTS.with_borrow_mut(|moments| moments.push((who, what)));
}

/// Explores every interleaving of the contenders' attempts on one lock.
#[must_use]
pub fn check_lock(kind: LockKind, contenders: &[Contender], bounds: Bounds) -> LockReport {
    let report = Arc::new(Mutex::new(LockReport::default()));
    let shared = Arc::clone(&report);
    let contenders: Vec<Contender> = contenders.to_vec();
    let threads = contenders.len() + 1;
    let run = explore(bounds, threads, move |_| {
        let (moments, word) = execute(kind, &contenders);
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
fn execute(kind: LockKind, contenders: &[Contender]) -> (Moments, u64) {
    MOMENTS.take();
    let subject = Arc::new(Subject::<LoomRmw>::new(kind));
    let threads: Vec<_> = (0..).zip(contenders.iter().copied()).collect();
    let joins: Vec<_> = threads
        .into_iter()
        .map(|(who, contender)| {
            let subject = Arc::clone(&subject);
            LoomRmw::spawn(move || contend(&subject, who, contender))
        })
        .collect();
    for join in joins {
        join();
    }
    let word = subject.word();
    (MOMENTS.take(), word)
}

fn contend<R: Runtime>(subject: &Subject<R>, who: u8, contender: Contender) {
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

/// An attempt: when it began, when it was decided, when its lock was given back.
#[derive(Clone, Copy)]
struct Hold {
    who: u8,
    tried: usize,
    decided: usize,
    taken: bool,
    gives_way: bool,
    releases: usize,
    free: usize,
}

fn holds(moments: &Moments) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for (at, (who, moment)) in moments.iter().enumerate() {
        let mine = || holds.iter().rposition(|hold| hold.who == *who);
        match (moment, mine()) {
            (Moment::Tries, _) => holds.push(Hold {
                who: *who,
                tried: at,
                decided: at,
                taken: false,
                gives_way: false,
                releases: at,
                free: at,
            }),
            (Moment::Has, Some(mine)) => (holds[mine].decided, holds[mine].taken) = (at, true),
            (Moment::Refused, Some(mine)) => holds[mine].decided = at,
            (Moment::GivesWay, Some(mine)) => {
                (holds[mine].decided, holds[mine].gives_way) = (at, true);
            }
            (Moment::Releases, Some(mine)) => holds[mine].releases = at,
            (Moment::Free, Some(mine)) => holds[mine].free = at,
            (_, None) => {}
        }
    }
    holds
}

/// Holds an execution against the abstract try-lock: exclusion, and a holder for every refusal.
fn judge(
    report: &mut LockReport,
    kind: LockKind,
    contenders: &[Contender],
    moments: Moments,
    word: u64,
) {
    let conflict = |a: u8, b: u8| {
        let mode = |who: u8| match kind {
            LockKind::SeptEntry => Mode::Exclusive,
            _ => contenders[usize::from(who)].mode,
        };
        a != b && mode(a).conflicts(mode(b))
    };
    let all = holds(&moments);
    let at_once = |a: &Hold, b: &Hold| a.decided < b.releases && b.decided < a.releases;
    let broken = all.iter().filter(|hold| hold.taken).any(|a| {
        let others = all.iter().filter(|hold| hold.taken);
        others
            .into_iter()
            .any(|b| conflict(a.who, b.who) && at_once(a, b))
    });
    if broken {
        report.broken.get_or_insert_with(|| moments.clone());
    }
    // Who gets the lock has it from some moment of its attempt on, to some moment of its release.
    let justified = |refused: &Hold| {
        all.iter().filter(|hold| hold.taken).any(|holder| {
            conflict(refused.who, holder.who)
                && holder.tried < refused.decided
                && refused.tried < holder.free
        })
    };
    // An entry's TDEL is set for a moment by a guest that gives way: it holds the entry, in the model too.
    let by_a_yielding_guest = |refused: &Hold| {
        kind == LockKind::SeptEntry
            && all.iter().any(|guest| {
                guest.gives_way
                    && guest.who != refused.who
                    && guest.tried < refused.decided
                    && refused.tried < guest.decided
            })
    };
    let refused_by_nobody = all.iter().any(|hold| {
        !hold.taken && !hold.gives_way && !justified(hold) && !by_a_yielding_guest(hold)
    });
    if refused_by_nobody {
        report
            .refused_by_nobody
            .get_or_insert_with(|| moments.clone());
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

/// The entry is locked though nobody holds it.
#[must_use]
pub const fn is_still_locked(word: u64) -> bool {
    word & TDEL != 0
}
