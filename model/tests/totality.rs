//! The transition function is total: also where agents stand that can not be there together, it
//! gives states that are states. Exclusion is what a search finds, not what a step assumes.

#![allow(clippy::unwrap_used)]

mod common;

use common::random::{runner, shared, state};
use common::total::is_total;
use common::{Ask, Outcome};
use proptest::prelude::*;
use proptest::sample::select;
use seamcheck_model::kvm::Program;
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::resource::Resource;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::state::{Control, StoreBuffer};
use seamcheck_model::system::{Reductions, State, System};

/// Everywhere a thread with this program can stand: at a line or, where the line is a call, at a
/// step of the leaf called; in TDH.VP.ENTER also at a step of a TDCALL. With any status, on any page.
fn places(system: &System, program: &Program) -> BoxedStrategy<Control> {
    let mut stands: Vec<(u8, u8)> = Vec::new();
    for (line, text) in (0..).zip(program) {
        stands.push((line, 0));
        let Instr::Call { leaf, .. } = text.instr else {
            continue;
        };
        let in_call = system
            .code
            .ops
            .iter()
            .enumerate()
            .skip(1)
            .filter(|(_, op)| {
                let tdcall = system.code.leaves[usize::from(op.leaf.0)].is_tdcall;
                op.leaf == leaf || (tdcall && leaf == system.enter_leaf())
            });
        stands.extend(in_call.map(|(address, _)| (line, address as u8)));
    }
    let statuses = 0..system.code.statuses.len() as u8;
    let pages = 0..system.scenario.pages as u8;
    (select(stands), statuses, pages)
        .prop_map(|((line, op), status, page)| Control {
            line,
            op,
            status,
            page,
        })
        .boxed()
}

/// Any state of the system.
fn any_state(system: &System) -> impl Strategy<Value = State> {
    let thread = |index: usize| match system.threads.get(index) {
        Some(program) => places(system, program),
        None => Just(Control::default()).boxed(),
    };
    let singletons = shared(places(system, &system.zap), [thread(0), thread(1)]);
    // Where nobody stands, no store waits.
    let threads = system.threads.len();
    let singletons = singletons.prop_map(move |mut shared| {
        shared.thread_stores[threads..].fill(StoreBuffer::default());
        shared
    });
    let places = places(system, &system.vcpu);
    state(system.scenario.vcpus, singletons, places)
}

/// Two agents hold one lock in modes that exclude each other.
fn is_impossible(system: &System, state: &State) -> bool {
    let vcpus = &state.vcpus[..system.scenario.vcpus];
    let holds = vcpus.iter().map(|vcpu| system.held_by_vcpu(vcpu));
    let all: Vec<_> = [system.held_by(state.shared.zapper)]
        .into_iter()
        .chain(holds)
        .collect();
    let locks = [Resource::TdEpoch, Resource::SeptTree];
    locks.into_iter().any(|lock| {
        let held = all.iter().filter(|held| held.has(lock)).count();
        let exclusive = all
            .iter()
            .any(|held| held.has(lock) && !held.is_shared(lock));
        held > 1 && exclusive
    })
}

/// Random states of each; gives how many of them could not be reached for their locks.
fn random_states_are_total(asks: Vec<Ask>, cases: u32) -> Outcome<u32> {
    let mut impossible = 0;
    for ask in asks {
        for reductions in [Reductions::ALL, Reductions::NONE] {
            let system = ask.clone().reduced_by(reductions).system()?;
            let count = std::cell::Cell::new(0);
            runner(cases).run(&any_state(&system), |state| {
                count.set(count.get() + u32::from(is_impossible(&system, &state)));
                is_total(&system, &state)
            })?;
            impossible += count.get();
        }
    }
    Ok(impossible)
}

fn two(module: &str, memory: Memory) -> Ask {
    let mut ask = Ask::on(module).unwrap().vcpus(2).memory(memory);
    ask.scenario.pages = 2;
    ask.scenario.exit_reason = true;
    ask
}

#[test]
fn any_state_of_two_vcpus_and_two_pages_has_successors_that_are_states() {
    let asks = ["1.5.05", "2.0.12", "patch-table"]
        .into_iter()
        .flat_map(|module| [two(module, Memory::Sc), two(module, Memory::Tso)]);
    let impossible = random_states_are_total(asks.collect(), 20_000).unwrap();
    assert!(impossible > 1000, "only {impossible} states of two holders");
}

#[test]
fn any_state_of_a_mutant_has_successors_that_are_states() {
    let mutants = [
        ("kick", "vcpu-kick"),
        ("kick", "request-wait-in-guest-only"),
        ("kick", "request-no-wait"),
        ("kick", "none"),
        ("flag_raise", "around-all-three"),
        ("flag_clear", "only-on-success"),
        ("vcpu_barrier", "light-srcu"),
        ("mode_outside", "before-vp-enter"),
        ("irq_disable", "after-flag-test"),
        ("on_busy", "give-up"),
        ("vp_enter_busy", "reenter-guest"),
        ("exit_reason_on_flag", "undefined"),
    ];
    let asks = mutants
        .into_iter()
        .map(|(decision, value)| two("1.5.05", Memory::Tso).with(decision, value));
    let impossible = random_states_are_total(asks.collect(), 5000).unwrap();
    assert!(impossible > 1000, "only {impossible} states of two holders");
}

#[test]
fn any_state_of_two_zappers_has_successors_that_are_states() {
    let asks = [Memory::Sc, Memory::Tso].into_iter().flat_map(|memory| {
        let mut ask = two("1.5.05", memory);
        ask.scenario.zappers = 2;
        let kick_only = ask.clone().with("kick", "vcpu-kick");
        [ask, kick_only]
    });
    let impossible = random_states_are_total(asks.collect(), 5000).unwrap();
    assert!(impossible > 1000, "only {impossible} states of two holders");
}

#[test]
fn any_state_beside_two_ioctls_has_successors_that_are_states() {
    let threads = [
        ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"],
        ["host-debug-read", "any-tdr-exclusive"],
    ];
    let asks = threads
        .into_iter()
        .map(|names| two("1.5.05", Memory::Tso).before_finalize().threads(&names));
    random_states_are_total(asks.collect(), 10_000).unwrap();
}
