//! Steps in words, for traces and reports.

use super::System;
use super::labels::{Environment, Part, StepId, op_outcomes, op_text, outcomes};
use super::run::Agent;
use super::state::State;
use crate::kvm::Anchor;
use crate::kvm::instr::{Instr, KickStep};
use crate::module::OpKind;
use crate::table::Effect;

/// A step in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepText {
    /// What happens: `acquire SEPT_TREE exclusive`.
    pub name: String,
    /// How it came out, when that is not obvious: `BUSY`; else empty.
    pub outcome: String,
    /// The function or leaf, and its file.
    pub anchor: Anchor,
}

impl System {
    /// A step in words.
    #[must_use]
    pub fn text(&self, id: StepId) -> StepText {
        let (part, line, outcome) = self.labels.parts(id);
        match part {
            Part::Module => {
                let op = self.op(line);
                let leaf = &self.code.leaves[usize::from(op.leaf.0)];
                let anchor = Anchor {
                    function: leaf.key.clone(),
                    file: leaf.source.clone(),
                };
                StepText {
                    name: op_text(op),
                    outcome: pick(op_outcomes(op), outcome),
                    anchor,
                }
            }
            Part::Environment => {
                let name = Environment::NAMES
                    .get(usize::from(line))
                    .copied()
                    .unwrap_or_default();
                let anchor = if line == Environment::ForeignKick as u8 {
                    Anchor {
                        function: "kvm_vcpu_exiting_guest_mode".into(),
                        file: "include/linux/kvm_host.h".into(),
                    }
                } else {
                    Anchor {
                        function: String::new(),
                        file: "x86 store buffer and local APIC".into(),
                    }
                };
                let outcome = if outcome == 1 { "from zapper 2" } else { "" };
                StepText {
                    name: name.into(),
                    outcome: outcome.into(),
                    anchor,
                }
            }
            _ => {
                let text = &self.program(part)[usize::from(line)];
                let name = match text.instr {
                    Instr::Call { leaf, .. } => self.code.leaves[usize::from(leaf.0)].key.clone(),
                    _ => text.text.to_owned(),
                };
                StepText {
                    name,
                    outcome: pick(outcomes(text.instr), outcome),
                    anchor: text.anchor.clone(),
                }
            }
        }
    }

    /// What an agent that can not move waits to do, and for what.
    #[must_use]
    pub fn waits_for(&self, state: &State, agent: Agent) -> (String, &'static str) {
        let (part, control) = match agent {
            Agent::Zapper => (Part::Zapper, state.shared.zapper),
            Agent::Thread(index) => (
                Part::thread(usize::from(index)),
                state.shared.threads[usize::from(index)],
            ),
            Agent::Vcpu(index) => (Part::Vcpu, state.vcpus[usize::from(index)].control),
        };
        let line = &self.program(part)[usize::from(control.line)];
        let because = match line.instr {
            _ if state.shared.bugged => "the VM is dead",
            Instr::BeginZap { .. } if !self.is_active(part) => "nobody removes pages here",
            Instr::BeginZap { .. } => "a KVM lock is held against it, or no page is mapped",
            Instr::FaultLock { .. } | Instr::Premap => "mmu_lock is held for write",
            Instr::Lock { .. } => "a KVM lock is held against it",
            Instr::Kick {
                step: KickStep::Wait,
            } => "an IPI is not acknowledged",
            Instr::Kick { .. } | Instr::FullBarrier | Instr::Call { .. } | Instr::Unlock { .. } => {
                "its store buffer is not empty"
            }
            Instr::RunLoop { .. } => "the TD is not finalized",
            Instr::SleepOnFlag { woken: true } => "the flag is up",
            Instr::SleepOnFlag { woken: false } => "nobody wakes it",
            _ => "an interrupt has to be taken first",
        };
        (line.text.to_owned(), because)
    }

    /// True when a short rendering may leave a step out: a test that came out as usual, a lock that
    /// nobody in the scenario can contend, a jump.
    #[must_use]
    pub fn is_detail(&self, id: StepId) -> bool {
        let (part, line, outcome) = self.labels.parts(id);
        match part {
            Part::Environment => false,
            Part::Module => {
                let op = self.op(line);
                let usual = matches!(
                    op.kind,
                    OpKind::Return | OpKind::BranchZeroStep | OpKind::ClearHostPriority
                ) || matches!(op.kind, OpKind::Effect { effect: Effect::CheckLeaf | Effect::RecordBepoch, .. } if outcome == 0);
                op.uncontended || usual
            }
            _ => match self.program(part)[usize::from(line)].instr {
                Instr::Nop | Instr::Jump { .. } | Instr::RunLoop { .. } => true,
                Instr::Kick {
                    step: KickStep::End,
                } => true,
                Instr::Kick {
                    step: KickStep::Visit,
                } => outcome == 4,
                Instr::Kick {
                    step: KickStep::Send,
                } => outcome == 1,
                Instr::UnlessBusy { .. }
                | Instr::UnlessPremapError { .. }
                | Instr::UnlessRunnable { .. }
                | Instr::BugOn
                | Instr::VpEnterStatus { .. }
                | Instr::HandleExitIrqoff
                | Instr::HandleExit { .. }
                | Instr::AugStatus
                | Instr::IoctlStatus { .. } => outcome == 0,
                _ => false,
            },
        }
    }

    /// One line for a step: where, what, how it came out.
    #[must_use]
    pub fn describe(&self, id: StepId) -> String {
        let text = self.text(id);
        let outcome = if text.outcome.is_empty() {
            String::new()
        } else {
            format!(" -> {}", text.outcome)
        };
        format!("{} {}{outcome}", text.anchor.function, text.name)
            .trim_start()
            .to_owned()
    }
}

/// Outcomes that go without saying.
const USUAL: [&str; 5] = ["done", "taken", "called", "enter", "no error"];

fn pick(names: &[&str], outcome: u8) -> String {
    let name = names.get(usize::from(outcome)).copied().unwrap_or_default();
    if USUAL.contains(&name) {
        String::new()
    } else {
        name.to_owned()
    }
}
