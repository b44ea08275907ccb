//! The module's locks alone, under loom: every interleaving of two contenders that try twice and of
//! three that try once, each held against the abstract lock.

use seamcheck_model::resource::{LockKind, Mode};
use seamcheck_model::threads::Bounds;
use seamcheck_model::threads::lock_check::{
    Contender, LockReport, Moment, Moments, check_each, check_lock, is_still_locked,
};
use seamcheck_model::threads::locks::Side;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

const ALL: Bounds = Bounds {
    executions: 100_000,
    preemptions: None,
};

const HOST_SHARED: Contender = Contender::once(Side::Host, Mode::Shared);
const HOST_EXCLUSIVE: Contender = Contender::once(Side::Host, Mode::Exclusive);
const GUEST_SHARED: Contender = Contender::once(Side::Guest, Mode::Shared);
const GUEST_EXCLUSIVE: Contender = Contender::once(Side::Guest, Mode::Exclusive);

/// The host-priority bit of an otherwise free sharex host-priority word.
const STALE_MARK: u64 = 1 << 1;
/// Every reader there can be, and the host-priority bit.
const PHANTOM_READERS: u64 = 0xFFFE;
/// The same bit of an S-EPT entry.
const TDHP: u64 = 1 << 52;

fn contenders(kind: LockKind) -> &'static [Contender] {
    match kind {
        LockKind::Sharex => &[HOST_SHARED, HOST_EXCLUSIVE],
        LockKind::SharexHostPriority => {
            &[HOST_SHARED, HOST_EXCLUSIVE, GUEST_SHARED, GUEST_EXCLUSIVE]
        }
        LockKind::SeptEntry => &[HOST_EXCLUSIVE, GUEST_EXCLUSIVE],
    }
}

/// Every multiset of `size` contenders.
fn groups(of: &[Contender], size: usize) -> Vec<Vec<Contender>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    let starting_at = |first: usize| {
        let rest = groups(&of[first..], size - 1);
        rest.into_iter()
            .map(move |rest| [vec![of[first]], rest].concat())
    };
    (0..of.len()).flat_map(starting_at).collect()
}

fn explore(kind: LockKind, group: &[Contender]) -> LockReport {
    let report = check_lock(kind, group, ALL);
    assert!(!report.capped, "{kind:?} {group:?}");
    assert_eq!(report.broken, None, "{kind:?} {group:?}");
    report
}

fn words(report: &LockReport) -> Vec<u64> {
    report.left_behind.iter().map(|(word, _)| *word).collect()
}

/// What a kind's groups come to: the words that can be left behind, and the groups of which an
/// execution has no order.
fn sweep(kind: LockKind, size: usize, attempts: u8) -> (Vec<u64>, Vec<Vec<Contender>>) {
    let (mut left, mut without_order) = (Vec::new(), Vec::new());
    for group in groups(contenders(kind), size) {
        let group: Vec<Contender> = group.iter().map(|one| one.times(attempts)).collect();
        let report = explore(kind, &group);
        left.extend(words(&report));
        if report.without_order.is_some() {
            without_order.push(group);
        }
    }
    left.sort_unstable();
    left.dedup();
    (left, without_order)
}

#[test]
fn a_sharex_lock_is_refined_by_the_abstract_try_lock_and_leaves_nothing_behind() {
    for (size, attempts) in [(2, 2), (3, 1)] {
        assert_eq!(sweep(LockKind::Sharex, size, attempts), (vec![], vec![]));
    }
}

#[test]
fn an_s_ept_entry_excludes_and_can_be_left_marked_though_nobody_wants_it() {
    for (size, attempts) in [(2, 2), (3, 1)] {
        let (left, without_order) = sweep(LockKind::SeptEntry, size, attempts);
        assert_eq!((&left[..], &without_order[..]), (&[TDHP][..], &[][..]));
        assert!(!left.into_iter().any(is_still_locked));
    }
}

/// Two hosts have an order whatever they do; a host and a guest of which each tries twice need not.
#[test]
fn a_host_priority_lock_excludes_and_two_contenders_leave_at_most_a_stale_mark() {
    let (left, without_order) = sweep(LockKind::SharexHostPriority, 2, 2);
    assert_eq!(left, [STALE_MARK]);
    let refused_guest = [HOST_EXCLUSIVE.times(2), GUEST_SHARED.times(2)];
    assert_eq!(without_order, [refused_guest]);
}

#[test]
fn three_contenders_on_a_host_priority_lock_can_leave_phantom_readers_behind() {
    let (left, without_order) = sweep(LockKind::SharexHostPriority, 3, 1);
    assert_eq!(left, [STALE_MARK, PHANTOM_READERS]);
    assert_eq!(without_order, [[]; 0]);
}

/// Finding: a guest that takes its count back after the writer's release has wiped it underflows the
/// counter. A writer, a host that marks the word, and a guest's shared attempt are enough.
#[test]
fn a_guest_that_gives_way_can_take_back_a_count_that_is_gone_already() {
    let report = explore(
        LockKind::SharexHostPriority,
        &[HOST_EXCLUSIVE, HOST_EXCLUSIVE, GUEST_SHARED],
    );
    assert_eq!(words(&report), [STALE_MARK, PHANTOM_READERS]);
    let (_, moments) = &report.left_behind[1];
    let at = |who: u8, moment| {
        let found = moments.iter().position(|known| *known == (who, moment));
        found.unwrap_or_else(|| panic!("{who} {moment:?}: {moments:?}"))
    };
    let holder = if moments.contains(&(0, Moment::Has)) {
        0
    } else {
        1
    };
    assert!(at(2, Moment::Tries) < at(holder, Moment::Free));
    assert!(at(holder, Moment::Free) < at(2, Moment::GivesWay));
}

/// The count is not taken back where nobody has marked the word: two contenders can not do it.
#[test]
fn without_a_mark_no_phantom_reader_is_left() {
    for group in [
        [HOST_EXCLUSIVE, GUEST_SHARED, GUEST_SHARED],
        [HOST_SHARED, GUEST_SHARED, GUEST_SHARED],
    ] {
        let report = explore(LockKind::SharexHostPriority, &group);
        assert!(!words(&report).contains(&PHANTOM_READERS), "{group:?}");
    }
}

/// Finding: the transient count of a guest that is refused makes a host BUSY though nobody holds the lock,
/// whatever the order. No leaf of the lock tables takes such a lock as a guest.
#[test]
fn a_refused_guest_can_make_a_host_busy_that_nobody_holds_up() {
    let report = explore(
        LockKind::SharexHostPriority,
        &[HOST_EXCLUSIVE.times(2), GUEST_SHARED.times(2)],
    );
    let moments = report.without_order.expect("an execution without an order");
    // The host is refused a second time between the guest's count and its taking it back.
    let counted = position(&moments, |one| one == (1, Moment::Acts(6)));
    let refused = last(&moments, (0, Moment::Refused));
    assert!(last(&moments, (1, Moment::Free)) < counted, "{moments:?}");
    assert!(counted < refused && refused < last(&moments, (1, Moment::GivesWay)));
}

fn position(moments: &Moments, is: impl Fn((u8, Moment)) -> bool) -> usize {
    let found = moments.iter().rposition(|one| is(*one));
    found.unwrap_or_else(|| panic!("not in {moments:?}"))
}

fn last(moments: &Moments, one: (u8, Moment)) -> usize {
    position(moments, |other| other == one)
}

/// What host priority does not promise: a host that was refused can be refused again, by a guest that
/// is about to give way to it.
#[test]
fn a_marked_entry_can_be_busy_for_the_host_that_marked_it() {
    let group = [HOST_EXCLUSIVE.times(2), GUEST_EXCLUSIVE, GUEST_EXCLUSIVE];
    let report = explore(LockKind::SeptEntry, &group);
    let twice = report.outcomes.iter().find(|outcome| {
        outcome
            .iter()
            .filter(|one| **one == (0, Moment::Refused))
            .count()
            == 2
            && outcome
                .iter()
                .any(|(_, moment)| *moment == Moment::GivesWay)
    });
    assert!(twice.is_some(), "{:?}", report.outcomes);
}

/// What it does promise: a guest that finds the mark does not get the lock.
#[test]
fn a_guest_that_comes_behind_a_refused_host_does_not_get_the_lock() {
    for (kind, guest) in [
        (LockKind::SeptEntry, GUEST_EXCLUSIVE),
        (LockKind::SharexHostPriority, GUEST_SHARED),
        (LockKind::SharexHostPriority, GUEST_EXCLUSIVE),
    ] {
        let met: Arc<Mutex<BTreeSet<Moment>>> = Arc::default();
        let noted = Arc::clone(&met);
        let group = [HOST_EXCLUSIVE.times(2), guest.times(2)];
        let report = check_each(kind, &group, ALL, move |moments| {
            let mut met = noted.lock().expect("not poisoned");
            met.extend(behind_a_refused_host(moments));
        });
        assert!(!report.capped);
        let met = met.lock().expect("not poisoned");
        assert!(
            met.contains(&Moment::GivesWay),
            "{kind:?} {guest:?}: {met:?}"
        );
        assert!(!met.contains(&Moment::Has), "{kind:?} {guest:?}: {met:?}");
    }
}

/// What the guest's attempts come to, contender 1's, that begin when the host, contender 0, was refused
/// and has not tried again.
fn behind_a_refused_host(moments: &Moments) -> Vec<Moment> {
    let (mut refused, mut behind, mut begun) = (false, false, true);
    let mut came = Vec::new();
    for moment in moments {
        match moment {
            (0, Moment::Refused) => refused = true,
            (0, Moment::Acts(_)) => refused = false,
            (1, Moment::Tries) => begun = false,
            (1, Moment::Acts(_)) if !begun => (begun, behind) = (true, refused),
            (1, Moment::Has | Moment::Refused | Moment::GivesWay) if behind => came.push(moment.1),
            _ => {}
        }
    }
    came
}

/// A host needs a second cmpxchg, from the mark, and has it.
#[test]
fn an_exclusive_host_gets_a_word_that_only_a_mark_is_left_in() {
    let found: Arc<Mutex<bool>> = Arc::default();
    let noted = Arc::clone(&found);
    let group = [HOST_EXCLUSIVE.times(2), HOST_EXCLUSIVE];
    let report = check_each(LockKind::SharexHostPriority, &group, ALL, move |moments| {
        let own = moments.iter().filter(|(who, _)| *who == 0);
        let own: Vec<Moment> = own.map(|(_, moment)| *moment).collect();
        let from_the_mark = [
            Moment::Tries,
            Moment::Acts(STALE_MARK),
            Moment::Acts(1),
            Moment::Has,
        ];
        *noted.lock().expect("not poisoned") |= own.windows(4).any(|four| four == from_the_mark);
    });
    assert!(!report.capped);
    assert!(*found.lock().expect("not poisoned"));
}
