//! Why a step could run and others could not: what was asked, with the answers.
//!
//! What a step asks about vCPUs it declares to the model, which writes it down. What it asks about
//! its own thread and about the zapper and ioctl threads follows from where its agent stands.

use super::render::agent_id;
use seamcheck_model::kernel::KvmHeld;
use seamcheck_model::kernel::decisions::KickModeRead;
use seamcheck_model::kvm::instr::{Instr, KickStep};
use seamcheck_model::module::{Held, OpKind};
use seamcheck_model::resource::{KvmLock, KvmMode, Mode, Resource};
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::others::Asked;
use seamcheck_model::system::state::{Control, MirrorSpte, VcpuMode};
use seamcheck_model::system::{Agent, State, System};
use seamcheck_traces::schema::Guard;

/// What was asked about vCPUs, oldest first.
pub(super) fn asked_of_vcpus(log: &[Asked]) -> Vec<Guard> {
    let mut guards: Vec<Guard> = log
        .iter()
        .filter_map(|entry| match entry {
            Asked::Question(predicate, value) => Some(guard(predicate.text(), *value)),
            Asked::Agent => None,
        })
        .collect();
    guards.dedup();
    guards
}

/// What an agent's next step asks about its own thread and about threads that are no vCPU's.
pub(super) fn asked_of_others(single: &System, state: &State, agent: Agent) -> Vec<Guard> {
    let asking = Asking {
        single,
        state,
        agent,
    };
    let control = control(state, agent);
    match control.op {
        0 => asking.of_line(control),
        op => asking.of_op(single.code.ops[usize::from(op)].kind, control),
    }
}

/// Where an agent stands.
pub(super) fn control(state: &State, agent: Agent) -> Control {
    match agent {
        Agent::Zapper => state.shared.zapper,
        Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
        Agent::Thread(index) => state.shared.threads[usize::from(index)],
    }
}

fn guard(text: impl Into<String>, value: bool) -> Guard {
    Guard {
        text: text.into(),
        value,
    }
}

struct Asking<'a> {
    single: &'a System,
    state: &'a State,
    agent: Agent,
}

impl Asking<'_> {
    fn of_op(&self, kind: OpKind, control: Control) -> Vec<Guard> {
        let page = usize::from(control.page);
        match kind {
            OpKind::Acquire { resource, mode } => self.module_lock(resource, mode, control.page),
            OpKind::SetTdel { mode } => self.module_lock(Resource::SeptEntry, mode, control.page),
            OpKind::LookHostPriority => vec![guard(
                format!("TDHP of page {page} is set"),
                self.state.shared.pages[page].host_priority,
            )],
            OpKind::BranchZeroStep => match self.agent {
                Agent::Vcpu(index) => vec![guard(
                    "LAST_EPF_GPA_LIST is not empty",
                    self.state.vcpus[usize::from(index)].zero_step != 0,
                )],
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn of_line(&self, control: Control) -> Vec<Guard> {
        let (part, flag) = (self.part(), self.state.shared.flag);
        match self.single.program_of(part)[usize::from(control.line)].instr {
            Instr::TestFlag { .. } | Instr::SleepOnFlag { .. } => {
                vec![guard("wait_for_sept_zap is up in memory", flag)]
            }
            Instr::FullBarrier | Instr::Call { .. } | Instr::Unlock { .. } => self.buffer(),
            Instr::Kick { step } if self.kick_drains(step) => self.buffer(),
            Instr::ExitRequest {
                sees_mode: true, ..
            } => self.exiting(),
            Instr::RunLoop { .. } | Instr::UnlessRunnable { .. } => {
                vec![guard("the TD is finalized", self.single.scenario.finalized)]
            }
            Instr::BeginZap { locks } => {
                let mut guards = self.kvm_locks(locks);
                guards.push(guard("a page is mapped", self.some_page_is_mapped()));
                guards
            }
            Instr::Lock { locks } => self.kvm_locks(locks),
            Instr::FaultLock { .. } | Instr::Premap => {
                self.kvm_locks(KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read))
            }
            _ => Vec::new(),
        }
    }

    const fn part(&self) -> Part {
        match self.agent {
            Agent::Zapper => Part::Zapper,
            Agent::Vcpu(_) => Part::Vcpu,
            Agent::Thread(index) => Part::thread(index as usize),
        }
    }

    fn kick_drains(&self, step: KickStep) -> bool {
        match step {
            KickStep::Visit => self.single.decisions.kick_mode_read == KickModeRead::LockedCmpxchg,
            KickStep::Send => true,
            KickStep::Wait | KickStep::End => false,
        }
    }

    /// Stores wait in buffers under x86-TSO only, and not in those of ioctl threads.
    fn buffer(&self) -> Vec<Guard> {
        let empty = match (self.agent, self.part()) {
            (Agent::Vcpu(index), _) => self.state.vcpus[usize::from(index)].stores.is_empty(),
            (_, part) if self.single.is_zapper(part) => {
                self.state.shared.flag_stores_of(part).is_empty()
            }
            _ => return Vec::new(),
        };
        if self.single.scenario.memory == Memory::Sc {
            return Vec::new();
        }
        vec![guard("its store buffer is empty", empty)]
    }

    /// A load sees its own CPU's newest store first.
    fn exiting(&self) -> Vec<Guard> {
        let Agent::Vcpu(index) = self.agent else {
            return Vec::new();
        };
        let vcpu = &self.state.vcpus[usize::from(index)];
        let exiting = vcpu.stores.is_empty() && vcpu.mode == VcpuMode::Exiting;
        vec![guard("it reads mode as EXITING_GUEST_MODE", exiting)]
    }

    fn some_page_is_mapped(&self) -> bool {
        let pages = &self.state.shared.pages[..self.single.scenario.pages];
        pages.iter().any(|page| page.mirror == MirrorSpte::Present)
    }

    /// For each other thread that is no vCPU's: whether it holds a module lock against this step.
    fn module_lock(&self, resource: Resource, mode: Mode, page: u8) -> Vec<Guard> {
        use seamcheck_model::closed_enum::ClosedEnum;
        let conflicts = |other: Agent| {
            let control = control(self.state, other);
            let held: Held = self.single.held_by(control);
            held.conflicts(resource, mode) && (!resource.is_per_page() || control.page == page)
        };
        let text = |other| {
            let (who, lock) = (agent_id(self.single, other), resource.key());
            format!("{who} holds {lock} against {}", mode.key())
        };
        self.other_threads()
            .map(|other| guard(text(other), conflicts(other)))
            .collect()
    }

    /// The same of the KVM locks of a program's line.
    fn kvm_locks(&self, wanted: KvmHeld) -> Vec<Guard> {
        use seamcheck_model::closed_enum::ClosedEnum;
        let excludes = |other: Agent| {
            let asking = Asking {
                agent: other,
                ..*self
            };
            let line = usize::from(control(self.state, other).line);
            self.single.program_of(asking.part())[line]
                .held
                .excludes(wanted)
        };
        let locks: Vec<String> = wanted
            .iter()
            .map(|(lock, mode)| format!("{} for {}", lock.key(), mode.key()))
            .collect();
        let locks = locks.join(", ");
        let text = |other| {
            format!(
                "{} holds a lock against {locks}",
                agent_id(self.single, other)
            )
        };
        self.other_threads()
            .map(|other| guard(text(other), excludes(other)))
            .collect()
    }

    fn other_threads(&self) -> impl Iterator<Item = Agent> {
        let threads = (0..self.single.threads.len() as u8).map(Agent::Thread);
        std::iter::once(Agent::Zapper)
            .chain(threads)
            .filter(|other| *other != self.agent)
    }
}
