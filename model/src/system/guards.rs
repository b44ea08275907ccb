//! What each step may ask about other vCPUs, as data.
//!
//! A step that asked more would tie its meaning to a number of vCPUs. The test below walks whole
//! scenarios and compares what was asked with what is declared here, both ways.

use super::others::PredicateKind::{
    self, Conflicts, Excludes, InPreviousEpoch, Queued, Unacknowledged, Unvisited,
};
use crate::kvm::instr::{Instr, KickStep};
use crate::module::OpKind;
use crate::table::Effect;

/// What a line of a KVM program may ask.
#[must_use]
pub const fn asked_by_line(instr: Instr) -> &'static [PredicateKind] {
    match instr {
        Instr::BeginZap { .. } | Instr::FaultLock { .. } | Instr::Lock { .. } | Instr::Premap => {
            &[Excludes]
        }
        Instr::Kick { step } => match step {
            KickStep::Visit => &[Unvisited],
            KickStep::Send => &[Queued],
            KickStep::Wait => &[Unacknowledged],
            KickStep::End => &[],
        },
        Instr::Nop
        | Instr::Jump { .. }
        | Instr::Call { .. }
        | Instr::RemoveMirrorSpte { .. }
        | Instr::ThawMirrorSpte
        | Instr::UnlessBusy { .. }
        | Instr::GiveUp { .. }
        | Instr::StoreFlag { .. }
        | Instr::IfError { .. }
        | Instr::UnlessPremapError { .. }
        | Instr::BugOn
        | Instr::UnlessRunnable { .. }
        | Instr::Unlock { .. }
        | Instr::RunLoop { .. }
        | Instr::IrqDisable
        | Instr::IrqEnable
        | Instr::StoreMode { .. }
        | Instr::FullBarrier
        | Instr::ExitRequest { .. }
        | Instr::SleepOnFlag { .. }
        | Instr::TestFlag { .. }
        | Instr::VpEnterStatus { .. }
        | Instr::HandleExitIrqoff
        | Instr::HandleExit { .. }
        | Instr::AugStatus
        | Instr::BeginIoctl
        | Instr::Release
        | Instr::ClearRequests
        | Instr::TestState { .. }
        | Instr::UnlessNonePremapped { .. }
        | Instr::UnlessMapped { .. }
        | Instr::SetPresent
        | Instr::SetRunnable
        | Instr::IoctlStatus { .. } => &[],
    }
}

/// What a step of the module may ask.
#[must_use]
pub const fn asked_by_op(kind: OpKind) -> &'static [PredicateKind] {
    match kind {
        OpKind::Acquire { .. } | OpKind::SetTdel { .. } => &[Conflicts],
        OpKind::Effect {
            effect: Effect::AdvanceEpoch | Effect::CheckTracked,
            ..
        } => &[InPreviousEpoch],
        OpKind::Effect { .. }
        | OpKind::MarkHostPriority
        | OpKind::ClearHostPriority
        | OpKind::LookHostPriority
        | OpKind::YieldTdel
        | OpKind::Release { .. }
        | OpKind::UndoEpoch
        | OpKind::BranchZeroStep
        | OpKind::Return => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;
    use crate::kernel::KernelProfile;
    use crate::scenario::{Memory, Scenario};
    use crate::system::others::Asked;
    use crate::system::state::State;
    use crate::system::{Agent, Reductions, System};
    use crate::table::LockTable;
    use rustc_hash::FxHashSet;
    use std::cell::RefCell;

    fn system(scenario: Scenario) -> System {
        let text = |known: &[(&str, &'static str)], name: &str| {
            let found = known.iter().find(|(version, _)| *version == name);
            found.map(|(_, text)| *text).unwrap()
        };
        let module = text(builtin::MODULES, "1.5.05");
        let kernel = text(builtin::KERNELS, "6.16");
        let table = LockTable::parse("1.5.05", module).unwrap();
        let profile = KernelProfile::parse("6.16", kernel).unwrap();
        let decisions = profile.decisions;
        // One step per transition, so that a question belongs to the point its agent stands at.
        let reductions = Reductions {
            merge_uncontended: false,
            fuse_local: false,
            ..Reductions::ALL
        };
        System::new(&table, &profile, decisions, scenario, reductions).unwrap()
    }

    /// What the point an agent stands at may ask.
    fn declared(system: &System, state: &State, agent: Agent) -> &'static [PredicateKind] {
        let (control, program) = match agent {
            Agent::Zapper => (state.shared.zapper, &system.zap),
            Agent::Vcpu(index) => (state.vcpus[usize::from(index)].control, &system.vcpu),
            Agent::Thread(index) => {
                let index = usize::from(index);
                (state.shared.threads[index], &system.threads[index])
            }
        };
        match control.op {
            0 => asked_by_line(program[usize::from(control.line)].instr),
            op => asked_by_op(system.code.ops[usize::from(op)].kind),
        }
    }

    /// Every (agent's point, question) of a walk over all states, and the questions asked in all.
    fn undeclared_and_asked(system: &System) -> (Vec<String>, Vec<PredicateKind>) {
        let vcpus = system.scenario.vcpus;
        let agents: Vec<Agent> = (0..vcpus as u8)
            .map(Agent::Vcpu)
            .chain([Agent::Zapper])
            .chain((0..system.threads.len() as u8).map(Agent::Thread))
            // The kick's steps about one vCPU each.
            .chain(std::iter::repeat_n(Agent::Zapper, vcpus))
            .collect();
        let (mut undeclared, mut asked) = (Vec::new(), Vec::new());
        let (mut seen, mut queue) = (FxHashSet::default(), vec![system.initial()]);
        seen.insert(system.initial());
        let log = RefCell::new(Vec::new());
        while let Some(state) = queue.pop() {
            log.borrow_mut().clear();
            let _ = system.successors_asking(&state, &log, |_, next| {
                if seen.insert(next) {
                    queue.push(next);
                }
            });
            let mut agent = agents.iter();
            let mut current = Agent::Zapper;
            for entry in log.borrow().iter() {
                match entry {
                    Asked::Agent => current = *agent.next().expect("one agent per block"),
                    Asked::Question(predicate, _) => {
                        let kind = predicate.kind();
                        if !declared(system, &state, current).contains(&kind) {
                            undeclared.push(format!("{current:?} asked {kind:?} in {state:?}"));
                        }
                        if !asked.contains(&kind) {
                            asked.push(kind);
                        }
                    }
                }
            }
        }
        (undeclared, asked)
    }

    #[test]
    fn a_step_asks_about_other_vcpus_only_what_it_declares() {
        let base = Scenario {
            memory: Memory::Tso,
            ..Scenario::default()
        };
        let beside_ioctls = Scenario {
            finalized: false,
            threads: vec![
                "KVM_TDX_INIT_VCPU".to_owned(),
                "KVM_TDX_INIT_MEM_REGION".to_owned(),
            ],
            ..base.clone()
        };
        let beside_debug = Scenario {
            threads: vec!["host-debug-read".to_owned()],
            attr: false,
            ..base.clone()
        };
        for scenario in [base, beside_ioctls, beside_debug] {
            let (undeclared, _) = undeclared_and_asked(&system(scenario));
            assert_eq!(undeclared.first(), None);
        }
    }

    #[test]
    fn every_declared_question_is_asked_by_some_step() {
        let (_, asked) = undeclared_and_asked(&system(Scenario::default()));
        let kinds = [
            Conflicts,
            Excludes,
            InPreviousEpoch,
            Queued,
            Unacknowledged,
            Unvisited,
        ];
        for kind in kinds {
            assert!(asked.contains(&kind), "{kind:?} is never asked");
        }
    }
}
