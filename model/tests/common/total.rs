//! What is asked of the successors of any state, possible or not.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use seamcheck_model::kvm::Program;
use seamcheck_model::property::{Property, properties};
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{State, System, pack};

/// Everything that is asked of a transition, asked of all transitions of a state.
pub(crate) fn is_total(system: &System, state: &State) -> Result<(), TestCaseError> {
    let (vcpus, threads) = (system.scenario.vcpus, system.threads.len());
    let mut wrong = None;
    system.successors(state, |event, next| {
        let mut key = vec![0; pack::words(vcpus, threads)];
        pack::pack(&next, vcpus, threads, false, &mut key);
        let lines = |control: Control, program: &Program| {
            usize::from(control.line) < program.len()
                && usize::from(control.op) < system.code.ops.len()
                && usize::from(control.status) < system.code.statuses.len()
                && usize::from(control.page) < system.scenario.pages
        };
        let present = next.vcpus[..vcpus].iter();
        let fits = lines(next.shared.zapper, &system.zap)
            && present
                .clone()
                .all(|vcpu| lines(vcpu.control, &system.vcpu))
            && pack::unpack(&key, vcpus, threads) == next
            && !event.trail.is_empty();
        let broken = system.broken(state, &event, &next);
        let mut busy = Vec::new();
        system.witnesses(state, &event, |witness| busy.push(witness));
        let held = system.holders(state, event.agent, Resource::SeptTree, Mode::Exclusive);
        if !fits
            || properties(broken).any(Property::is_liveness)
            || held.count() > 1 + vcpus + threads
        {
            wrong = Some((event, next, busy));
        }
    });
    prop_assert!(wrong.is_none(), "{wrong:?}");
    Ok(())
}
