//! Where a run of the code may end: where each of the model's threads is at rest, or comes to rest by steps
//! that no journal shows.

use super::divergence::name_of;
use super::{is_a_zapper, seen_event};
use crate::kvm::instr::Instr;
use crate::system::state::Control;
use crate::system::{Agent, State, System};
use rustc_hash::FxHashSet;

/// A thread of the code's has ended, and the model leaves it more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndsEarly {
    /// Whose.
    pub agent: Agent,
    /// It removes pages.
    pub by_a_zapper: bool,
}

impl std::error::Error for EndsEarly {}

impl std::fmt::Display for EndsEarly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = name_of(self.agent, self.by_a_zapper);
        write!(
            f,
            "in the code {who} has ended; in the model it has more to do"
        )
    }
}

/// The states that a whole journal has led to: in one of them all threads have to come to rest.
pub(super) fn check(system: &System, mut states: FxHashSet<State>) -> Result<(), EndsEarly> {
    let vcpus = (0..).take(system.scenario.vcpus).map(Agent::Vcpu);
    let threads = (0..).take(system.threads.len()).map(Agent::Thread);
    for agent in std::iter::once(Agent::Zapper).chain(vcpus).chain(threads) {
        states = at_rest(system, states, agent);
        if states.is_empty() {
            let by_a_zapper = is_a_zapper(system, agent);
            return Err(EndsEarly { agent, by_a_zapper });
        }
    }
    Ok(())
}

/// The states in which one thread has come to rest by hidden steps of its own, an IPI taken on its CPU being one.
fn at_rest(system: &System, states: FxHashSet<State>, agent: Agent) -> FxHashSet<State> {
    let mut open: Vec<State> = states.iter().copied().collect();
    let (mut seen, mut resting) = (states, FxHashSet::default());
    while let Some(state) = open.pop() {
        if rests(system, &state, agent) {
            resting.insert(state);
            continue;
        }
        system.successors(&state, |step, after| {
            let is_hidden = || seen_event(system, &state, &step, &after).is_none();
            if step.agent == agent && is_hidden() && seen.insert(after) {
                open.push(after);
            }
        });
    }
    resting
}

/// A zapper before a removal; a vCPU in `vcpu_run()`, or one that sleeps (M33); an ioctl before it begins.
fn rests(system: &System, state: &State, agent: Agent) -> bool {
    let (control, program): (Control, _) = match agent {
        Agent::Vcpu(index) => (state.vcpus[usize::from(index)].control, &system.vcpu),
        Agent::Thread(index) => {
            let index = usize::from(index);
            (state.shared.threads[index], &system.threads[index])
        }
        Agent::Zapper => (state.shared.zapper, &system.zap),
    };
    control.op == 0
        && matches!(
            program[usize::from(control.line)].instr,
            Instr::BeginZap { .. }
                | Instr::RunLoop { .. }
                | Instr::BeginIoctl
                | Instr::SleepOnFlag { .. }
        )
}
