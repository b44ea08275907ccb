//! The actor model by itself: what delivering at once leaves out, what messages do, and that it wants
//! to see what the packed model wants to see.

mod common;

use common::{Ask, Outcome, profile, table};
use rustc_hash::FxHashSet;
use seamcheck_model::actors::observe::Witness;
use seamcheck_model::actors::{Delivery, Protocol, Setup, Snapshot, Step};
use seamcheck_model::property::PropertySet;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::Reductions;
use stateright::Model;
use std::collections::{BTreeSet, VecDeque};

fn scenario(vcpus: usize, memory: Memory) -> Scenario {
    Scenario {
        vcpus,
        memory,
        ..Scenario::default()
    }
}

fn protocol(scenario: &Scenario, set: &[(&str, &str)], delivery: Delivery) -> Outcome<Protocol> {
    let (table, kernel) = (table("1.5.05")?, profile("6.16")?);
    let mut decisions = kernel.decisions;
    for (name, value) in set {
        decisions.set(name, value)?;
    }
    let setup = Setup::new(&table, &kernel, decisions, scenario)?;
    Ok(Protocol::new(setup, delivery))
}

/// What there is to see, whichever way messages are delivered.
#[derive(PartialEq, Eq)]
struct Seen {
    settled: FxHashSet<Snapshot>,
    broken: PropertySet,
    witnesses: BTreeSet<Witness>,
}

/// Every state; `look` is called with each transition. Returns how many states there are.
fn explore(
    protocol: &Protocol,
    mut look: impl FnMut(&Snapshot, &Step, &Snapshot),
) -> (usize, Seen) {
    let required = protocol.required();
    let mut seen = Seen {
        settled: FxHashSet::default(),
        broken: 0,
        witnesses: BTreeSet::new(),
    };
    let mut known: FxHashSet<Snapshot> = protocol.init_states().into_iter().collect();
    let mut queue: VecDeque<Snapshot> = known.iter().cloned().collect();
    while let Some(state) = queue.pop_front() {
        if state.is_settled() {
            seen.broken |= protocol.broken(&state);
            let shown = required
                .iter()
                .filter(|shown| protocol.shows(&state, **shown));
            seen.witnesses.extend(shown.copied());
            seen.settled.insert(state.clone());
        }
        for (step, next) in protocol.next_steps(&state) {
            look(&state, &step, &next);
            if known.insert(next.clone()) {
                queue.push_back(next);
            }
        }
    }
    (known.len(), seen)
}

/// Unaltered, without its flag test, without waiting, without a barrier, and where the interrupts are
/// on between flag test and entry: whatever could depend on when a message is delivered.
const ALTERED: [&[(&str, &str)]; 5] = [
    &[],
    &[("vcpu_flag_test", "absent")],
    &[("kick", "request-no-wait")],
    &[("vcpu_barrier", "absent")],
    &[("irq_disable", "after-flag-test")],
];

#[test]
fn delivering_a_step_at_once_loses_no_settled_state() -> Outcome<()> {
    let mut sizes = Vec::new();
    for set in ALTERED {
        for memory in [Memory::Sc, Memory::Tso] {
            let scenario = scenario(1, memory);
            let found = |delivery| -> Outcome<(usize, Seen)> {
                Ok(explore(&protocol(&scenario, set, delivery)?, |_, _, _| {}))
            };
            let (any, in_any_order) = found(Delivery::AnyOrder)?;
            let (first, steps_first) = found(Delivery::StepsFirst)?;
            let (once, at_once) = found(Delivery::AtOnce)?;
            same(
                &in_any_order,
                &at_once,
                &format!("{set:?} {memory:?}, any order"),
            );
            same(
                &steps_first,
                &at_once,
                &format!("{set:?} {memory:?}, steps first"),
            );
            assert_eq!(once, at_once.settled.len());
            if set.is_empty() {
                sizes.push([any, first, once]);
            }
        }
    }
    assert_eq!(sizes, SIZES);
    Ok(())
}

fn same(one: &Seen, other: &Seen, what: &str) {
    assert_eq!(one.witnesses, other.witnesses, "{what}");
    assert_eq!(one.broken, other.broken, "{what}");
    let apart = one.settled.symmetric_difference(&other.settled);
    assert_eq!(
        apart.count(),
        0,
        "{what}: {} and {}",
        one.settled.len(),
        other.settled.len()
    );
}

/// One vCPU, unaltered, under SC and TSO: states in any order, steps first, at once.
const SIZES: [[usize; 3]; 2] = [[31_724, 12_591, 2_117], [37_951, 13_407, 2_274]];

#[test]
fn beside_kicks_by_others_delivering_a_step_at_once_loses_no_settled_state() -> Outcome<()> {
    for set in [ALTERED[0], &[("kick", "request-wait-in-guest-only")]] {
        for memory in [Memory::Sc, Memory::Tso] {
            let kicked = Scenario {
                foreign_kick: true,
                ..scenario(1, memory)
            };
            let found = |delivery| -> Outcome<Seen> {
                Ok(explore(&protocol(&kicked, set, delivery)?, |_, _, _| {}).1)
            };
            let (any, once) = (found(Delivery::AnyOrder)?, found(Delivery::AtOnce)?);
            same(&any, &once, &format!("{set:?} {memory:?}"));
            assert!(once.witnesses.contains(&Witness::FoundExiting));
        }
    }
    Ok(())
}

#[test]
fn no_message_is_consumed_without_effect() -> Outcome<()> {
    let mut deliveries = 0;
    // The second kick is the one that leaves IPIs behind.
    for set in [ALTERED[0], ALTERED[2]] {
        let protocol = protocol(&scenario(1, Memory::Tso), set, Delivery::AnyOrder)?;
        explore(&protocol, |before, step, after| {
            let Step::Deliver { dst, .. } = step else {
                return;
            };
            deliveries += 1;
            let at = usize::from(*dst);
            let changed = before.0.actor_states[at] != after.0.actor_states[at];
            let sent = after.0.network.len() >= before.0.network.len();
            assert!(changed || sent, "{}", protocol.format_action(step));
        });
    }
    assert!(deliveries > 10_000);
    Ok(())
}

#[test]
fn the_witnesses_wanted_are_those_of_the_packed_model() -> Outcome<()> {
    for module in ["1.5.05", "2.0.12", "patch-table"] {
        for (vcpus, foreign_kick) in [(1, false), (2, false), (1, true)] {
            let scenario = Scenario {
                foreign_kick,
                ..scenario(vcpus, Memory::Tso)
            };
            let (table, kernel) = (table(module)?, profile("6.16")?);
            let setup = Setup::new(&table, &kernel, kernel.decisions, &scenario)?;
            let protocol = Protocol::new(setup, Delivery::AtOnce);
            let mut ask = Ask::on(module)?;
            ask.scenario = scenario;
            ask.reductions = Reductions::NONE;
            let system = ask.system()?;
            let packed = system.observations.required.iter();
            let packed: BTreeSet<String> = packed.map(|witness| witness.text(&system)).collect();
            let actors = protocol.required();
            let actors: BTreeSet<String> = actors.into_iter().map(Witness::text).collect();
            assert_eq!(actors, packed, "{module}, {vcpus} vCPUs");
        }
    }
    Ok(())
}

#[test]
fn what_the_actors_have_not_is_refused_with_a_way_out() -> Outcome<()> {
    let refused = |scenario: Scenario| -> Outcome<String> {
        let refused = protocol(&scenario, &[], Delivery::AtOnce).err();
        Ok(refused.ok_or("it was taken")?.to_string())
    };
    let base = || scenario(1, Memory::Sc);
    assert_eq!(
        refused(scenario(5, Memory::Sc))?,
        "the actor model has no room for that many vCPUs; ask for 1 to 4"
    );
    let pages = Scenario { pages: 2, ..base() };
    assert_eq!(
        refused(pages)?,
        "the actor model has no second page; ask for one page, or the packed model"
    );
    let early = Scenario {
        finalized: false,
        ..base()
    };
    assert!(refused(early)?.starts_with("the actor model has no TD that is not finalized"));
    Ok(())
}
