//! Locks that are none: the check has to say so.

use super::history::WatchedWord;
use super::*;
use crate::threads::runtime::Bits;

const ALL: Bounds = Bounds {
    executions: 100_000,
    preemptions: None,
};

const SHARED: Contender = Contender::once(Side::Host, Mode::Shared);
const EXCLUSIVE: Contender = Contender::once(Side::Host, Mode::Exclusive);

/// A sharex lock with a mistake.
struct Broken {
    word: WatchedWord,
    mistake: Mistake,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    /// The exclusive release leaves what refused readers have left.
    KeepsCounts,
    /// An exclusive attempt looks first and stores later.
    LooksFirst,
    /// A reader refuses another.
    RefusesReaders,
}

impl TryLock for Broken {
    fn acquire(&self, contender: Contender) -> Attempt {
        let order = Order::AcqRel;
        let taken = match (contender.mode, self.mistake) {
            (Mode::Shared, Mistake::RefusesReaders) => self.word.fetch_add(2, order) == 0,
            (Mode::Shared, _) => self.word.fetch_add(2, order) & 1 == 0,
            (_, Mistake::LooksFirst) => {
                let free = self.word.read(order) == 0;
                free && self.word.fetch_or(1, order) != u64::MAX
            }
            _ => self.word.cmpxchg(0, 1, order) == 0,
        };
        if taken { Attempt::Taken } else { Attempt::Busy }
    }

    fn release(&self, contender: Contender) {
        let order = Order::AcqRel;
        match (contender.mode, self.mistake) {
            (Mode::Shared, _) => self.word.fetch_add(2_u64.wrapping_neg(), order),
            (_, Mistake::KeepsCounts) => self.word.fetch_and(!1, order),
            _ => self.word.swap(0, order),
        };
    }

    fn word(&self) -> u64 {
        self.word.read(Order::AcqRel)
    }
}

fn explored(mistake: Mistake, contenders: &[Contender]) -> LockReport {
    let new = move || Broken {
        word: WatchedWord::new(0),
        mistake,
    };
    let report = explore_lock(LockKind::Sharex, new, contenders, ALL, |_| ());
    assert!(!report.capped);
    report
}

#[test]
fn without_its_mistakes_the_lock_of_these_tests_is_one() {
    let report = explored(Mistake::None, &[EXCLUSIVE, SHARED, EXCLUSIVE]);
    assert_eq!((report.broken, report.without_order), (None, None));
}

/// Each refusal overlaps a time at which somebody has the lock, if an attempt is taken to begin where the one
/// before has ended: a check of each refusal apart lets this lock pass.
#[test]
fn a_lock_that_refuses_for_no_reason_has_no_order() {
    let report = explored(Mistake::KeepsCounts, &[EXCLUSIVE, SHARED, EXCLUSIVE]);
    assert_eq!(report.broken, None);
    let moments = report.without_order.expect("an execution without an order");
    let free = moments
        .iter()
        .position(|(_, moment)| *moment == Moment::Free);
    let refused = moments
        .iter()
        .rposition(|(_, moment)| *moment == Moment::Refused);
    assert!(free < refused, "{moments:?}");
}

#[test]
fn a_reader_that_another_refuses_has_no_order() {
    let report = explored(Mistake::RefusesReaders, &[SHARED, SHARED]);
    assert!(report.without_order.is_some());
}

#[test]
fn a_lock_that_lets_two_in_has_no_order_and_is_broken() {
    let report = explored(Mistake::LooksFirst, &[EXCLUSIVE, EXCLUSIVE]);
    assert!(report.broken.is_some());
    assert!(report.without_order.is_some());
}

/// A check of each refusal apart, and of who holds it at once, lets the three pass together.
#[test]
fn what_only_different_orders_excuse_has_none_together() {
    use Moment::{Acts, Free, Has, Refused, Releases, Tries};
    let (a, b, c) = (0, 1, 2);
    let begins = [(b, Tries), (b, Acts(0))];
    // C is refused by nobody but B, who has it by then.
    let refused = [(c, Tries), (c, Acts(0)), (c, Refused)];
    // A has it, and B not yet.
    let held = [(a, Tries), (a, Acts(0)), (a, Has)];
    let free = [(a, Releases), (a, Acts(0)), (a, Free)];
    let ends = [(b, Acts(0)), (b, Has)];
    assert!(has_order(&[&begins, &refused, &ends]));
    assert!(has_order(&[&begins, &held, &free, &ends]));
    assert!(has_order(&[&begins, &held, &refused, &free, &ends]));
    assert!(!has_order(&[&begins, &refused, &held, &free, &ends]));
}

fn has_order(parts: &[&[(u8, Moment)]]) -> bool {
    order::exists(LockKind::Sharex, &[EXCLUSIVE; 3], &parts.concat())
}
