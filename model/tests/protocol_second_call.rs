//! The second call is the first one again: same address, same steps, same successors. No step of the
//! module knows that it is a retry.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, reachable};
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::module::LeafId;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{Agent, Reductions, State, System};

/// Systems of single steps, so that a step inside a call is not joined to KVM's after it.
fn systems() -> Vec<System> {
    let claim = || Ask::claim().unwrap();
    let asks = [
        claim(),
        claim().memory(Memory::Tso),
        Ask::on("2.0.12").unwrap(),
        claim().kernel("patch-v1"),
        // Where the second call fails, it fails as the first does.
        claim().with("vcpu_flag_test", "absent"),
    ];
    let single = |ask: Ask| ask.reduced_by(Reductions::NONE).system().unwrap();
    asks.into_iter().map(single).collect()
}

/// Leaves that the zapper calls at such a site, with the line.
fn calls(system: &System, site: CallSite) -> Vec<(LeafId, u8)> {
    let lines = (0..).zip(&system.zap);
    let calls = lines.filter_map(|(line, text)| match text.instr {
        Instr::Call { leaf, site: this } if this == site => Some((leaf, line)),
        _ => None,
    });
    calls.collect()
}

/// The lines of each leaf: first attempt, and the call that must not be BUSY.
fn lines(system: &System) -> Vec<(u8, u8)> {
    let first = calls(system, CallSite::Attempt);
    let second = calls(system, CallSite::NoFail);
    let leaves = |calls: &[(LeafId, u8)]| calls.iter().map(|(leaf, _)| *leaf).collect::<Vec<_>>();
    assert_eq!(leaves(&first), leaves(&second));
    let pairs = first.iter().zip(&second);
    pairs
        .map(|((_, first), (_, second))| (*first, *second))
        .collect()
}

/// Every reachable state in which the zapper stands at one of `lines` (inside the call or before it),
/// with the line it stands at and the line that it might stand at instead.
fn moved(system: &System, inside: bool) -> Vec<(State, u8, u8)> {
    let pairs = lines(system);
    let ways = pairs
        .iter()
        .flat_map(|(first, second)| [(*first, *second), (*second, *first)]);
    let ways: Vec<(u8, u8)> = ways.collect();
    let mut found = Vec::new();
    for state in reachable(system) {
        let zapper = state.shared.zapper;
        let way = ways.iter().find(|(from, _)| *from == zapper.line);
        if let Some((from, to)) = way.filter(|_| inside == (zapper.op != 0)) {
            found.push((state, *from, *to));
        }
    }
    found
}

#[test]
fn block_track_and_remove_are_each_called_twice() {
    for system in systems() {
        let called = calls(&system, CallSite::Attempt);
        let keys = called
            .iter()
            .map(|(leaf, _)| system.code.leaves[usize::from(leaf.0)].key.as_str());
        let keys: Vec<&str> = keys.collect();
        assert_eq!(
            keys,
            [
                "TDH.MEM.RANGE.BLOCK",
                "TDH.MEM.TRACK",
                "TDH.MEM.PAGE.REMOVE"
            ]
        );
        assert_eq!(lines(&system).len(), 3);
    }
}

#[test]
fn the_second_call_begins_where_the_first_begins() {
    for system in systems() {
        let begins = |state: &State, line: u8| {
            let mut at = *state;
            at.shared.zapper.line = line;
            let mut address = None;
            system.successors(&at, |event, next| {
                // A store that reaches memory is the zapper's too, and leaves it where it is.
                if event.agent == Agent::Zapper && next.shared.zapper.op != 0 {
                    address = Some((next.shared.zapper.op, next.shared.zapper.status));
                }
            });
            address
        };
        let mut begun = 0;
        for (state, here, there) in moved(&system, false) {
            assert_eq!(begins(&state, here), begins(&state, there), "{state:?}");
            begun += usize::from(begins(&state, here).is_some());
        }
        assert!(begun > 100, "{begun}");
    }
}

/// A successor: who moved, the module's part of the steps, and the state with the zapper's line
/// counted from that of its call.
type Seen = (Agent, Vec<String>, State);

fn seen_from(system: &System, state: &State, line: u8) -> Vec<Seen> {
    let mut all = Vec::new();
    system.successors(state, |event, mut next| {
        let zapper = &mut next.shared.zapper;
        zapper.line = zapper.line.wrapping_sub(line);
        let module = event
            .trail
            .iter()
            .filter(|step| system.labels.parts(**step).0 == Part::Module);
        all.push((
            event.agent,
            module.map(|step| system.describe(*step)).collect(),
            next,
        ));
    });
    all
}

#[test]
fn inside_a_call_nothing_depends_on_whether_it_is_the_second() {
    for system in systems() {
        let (mut of_first, mut of_second) = (0, 0);
        let seconds: Vec<u8> = lines(&system).iter().map(|(_, second)| *second).collect();
        for (state, here, there) in moved(&system, true) {
            let mut elsewhere = state;
            elsewhere.shared.zapper.line = there;
            let mine = seen_from(&system, &state, here);
            assert_eq!(mine, seen_from(&system, &elsewhere, there), "{state:?}");
            *(if seconds.contains(&here) {
                &mut of_second
            } else {
                &mut of_first
            }) += 1;
        }
        assert!(
            of_first > 1000 && of_second > 1000,
            "{of_first} {of_second}"
        );
    }
}
