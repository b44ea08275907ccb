//! Who is owed a turn.

use super::watch::{is_between_zaps, wants_lock};
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::module::OpKind;
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::labels::{Environment, Part, guest};
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, Event, State, System};

/// Who is treated fairly on its own: a thread, a store buffer, an IPI, a wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The zapper's thread.
    Zapper,
    /// The zapper's store buffer.
    DrainFlag,
    /// An ioctl thread, or the second zapper's.
    Thread(u8),
    /// Its store buffer.
    DrainThread(u8),
    /// A vCPU's thread, in KVM or in the module.
    Vcpu(u8),
    /// A vCPU's store buffer.
    DrainMode(u8),
    /// An IPI on its way to a vCPU's CPU.
    Deliver(u8),
    /// The second zapper's.
    DeliverSecond(u8),
    /// An IPI that is taken by KVM.
    Acknowledge(u8),
    /// An IPI that ends the guest.
    Interrupt(u8),
    /// A vCPU thread that wants a KVM lock.
    VcpuLock(u8),
    /// An ioctl thread that wants a KVM lock.
    ThreadLock(u8),
    /// Who kicks vCPUs and is no zapper: no turn is owed to it.
    Somebody,
}

/// A set of [`Actor`]s.
pub type Actors = u64;

impl Actor {
    /// It alone, as a set.
    #[must_use]
    pub const fn bit(self) -> Actors {
        let (kind, index) = match self {
            Self::Somebody => return 0,
            Self::Zapper => (0, 0),
            Self::DrainFlag => (0, 1),
            Self::Thread(index) => (0, 2 + index),
            Self::ThreadLock(index) => (0, 4 + index),
            Self::DrainThread(index) => (0, 6 + index),
            Self::Vcpu(vcpu) => (1, vcpu),
            Self::DrainMode(vcpu) => (2, vcpu),
            Self::Deliver(vcpu) => (3, vcpu),
            Self::Acknowledge(vcpu) => (4, vcpu),
            Self::Interrupt(vcpu) => (5, vcpu),
            Self::VcpuLock(vcpu) => (6, vcpu),
            Self::DeliverSecond(vcpu) => (7, vcpu),
        };
        1 << (kind * MAX_VCPUS + index as usize)
    }
}

/// Those who get their turn even if they could take it only again and again, not all the time.
///
/// An IPI that is pending ends the guest at the next instruction boundary, and between two TDCALLs
/// there is one. KVM's locks are queued: whoever waits is served before whoever comes later.
pub const STRONG: Actors = {
    let vcpus = (1 << MAX_VCPUS) - 1;
    (vcpus << (5 * MAX_VCPUS))
        | (vcpus << (6 * MAX_VCPUS))
        | Actor::ThreadLock(0).bit()
        | Actor::ThreadLock(1).bit()
};

/// Who takes a transition.
#[must_use]
pub fn actor(system: &System, before: &State, event: &Event) -> Actor {
    let (part, line, outcome) = system.labels.parts(event.trail[0]);
    let environment = part == Part::Environment;
    match event.agent {
        Agent::Zapper if environment => Actor::DrainFlag,
        Agent::Zapper => Actor::Zapper,
        Agent::Thread(index) if environment => Actor::DrainThread(index),
        Agent::Thread(index) => {
            let control = before.shared.threads[usize::from(index)];
            if wants_lock(system, Part::thread(index.into()), control) {
                Actor::ThreadLock(index)
            } else {
                Actor::Thread(index)
            }
        }
        Agent::Vcpu(vcpu) if environment && line == Environment::DrainMode as u8 => {
            Actor::DrainMode(vcpu)
        }
        Agent::Vcpu(vcpu) if environment && line == Environment::Deliver as u8 => {
            if outcome == 0 {
                Actor::Deliver(vcpu)
            } else {
                Actor::DeliverSecond(vcpu)
            }
        }
        Agent::Vcpu(_) if environment && line == Environment::ForeignKick as u8 => Actor::Somebody,
        Agent::Vcpu(vcpu) if environment => Actor::Acknowledge(vcpu),
        Agent::Vcpu(vcpu) if ends_guest(system, event) => Actor::Interrupt(vcpu),
        Agent::Vcpu(vcpu) => {
            let control = before.vcpus[usize::from(vcpu)].control;
            if wants_lock(system, Part::Vcpu, control) {
                Actor::VcpuLock(vcpu)
            } else {
                Actor::Vcpu(vcpu)
            }
        }
    }
}

fn ends_guest(system: &System, event: &Event) -> bool {
    let (part, line, outcome) = system.labels.parts(event.trail[0]);
    part == Part::Module && outcome == guest::KICKED && system.runs_guest(line)
}

/// Whether the first vCPU turns away from running of its own accord: to userspace, to sleep, off
/// the CPU, because a request or other work is pending, or because somebody else kicks it.
#[must_use]
pub fn is_reluctant(system: &System, event: &Event) -> bool {
    event.agent == Agent::Vcpu(0)
        && event.trail.iter().any(|step| {
            let (part, line, outcome) = system.labels.parts(*step);
            if part == Part::Environment {
                return line == Environment::ForeignKick as u8;
            }
            if part != Part::Vcpu {
                return false;
            }
            match system.program_of(part)[usize::from(line)].instr {
                // Outcome 4 is TDH.VP.WR, which can be had again and again as well.
                Instr::RunLoop { .. } => outcome != 0,
                // Outcome 1 is the mode, 2 a request or work.
                Instr::ExitRequest { .. } => outcome == 2,
                _ => false,
            }
        })
}

/// Whether the first vCPU's guest is refused an S-EPT entry for a host's sake.
#[must_use]
pub fn is_refusal(system: &System, event: &Event) -> bool {
    event.agent == Agent::Vcpu(0)
        && event.trail.iter().any(|step| {
            let (part, line, outcome) = system.labels.parts(*step);
            let looks = || system.code.ops[usize::from(line)].kind == OpKind::LookHostPriority;
            part == Part::Module && outcome == 1 && looks()
        })
}

/// Everybody who is owed a turn: who can go on, but for those who may rest. An idle zapper or ioctl
/// thread may, and so may a guest.
#[must_use]
pub fn owed(system: &System, state: &State, able: Actors) -> Actors {
    let mut owed = able;
    if is_between_zaps(system, &state.shared, Part::Zapper) {
        owed &= !Actor::Zapper.bit();
    }
    for index in 0..system.threads.len() as u8 {
        let thread = state.shared.threads[usize::from(index)];
        let part = Part::thread(index.into());
        let rests = if system.is_zapper(part) {
            is_between_zaps(system, &state.shared, part)
        } else {
            is_between_ioctls(system, index, thread)
        };
        if rests {
            owed &= !Actor::Thread(index).bit();
        }
    }
    for (index, vcpu) in state.vcpus[..system.scenario.vcpus].iter().enumerate() {
        if vcpu.control.op != 0 && system.runs_guest(vcpu.control.op) {
            owed &= !Actor::Vcpu(index as u8).bit();
        }
    }
    owed
}

fn is_between_ioctls(system: &System, index: u8, thread: Control) -> bool {
    let program = system.program_of(Part::thread(index.into()));
    thread.op == 0 && program[usize::from(thread.line)].instr == Instr::BeginIoctl
}

/// Everybody who can take a transition out of a state.
#[must_use]
pub fn able(system: &System, state: &State) -> Actors {
    let mut able = 0;
    system.successors(state, |event, _| {
        able |= actor(system, state, &event).bit();
    });
    able
}

/// Whether an endless run is fair that is in these states again and again, each with who is owed a
/// turn in it, and in which `taken` take theirs.
#[must_use]
pub fn is_fair(owed: impl IntoIterator<Item = Actors>, taken: Actors) -> bool {
    let (mut always, mut ever) = (Actors::MAX, 0);
    for owed in owed {
        always &= owed;
        ever |= owed;
    }
    (always | ever & STRONG) & !taken == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_actor_has_a_bit_of_its_own() {
        let mut all = vec![Actor::Zapper, Actor::DrainFlag];
        all.extend((0..2).flat_map(|index| {
            [
                Actor::Thread(index),
                Actor::ThreadLock(index),
                Actor::DrainThread(index),
            ]
        }));
        for vcpu in 0..MAX_VCPUS as u8 {
            all.extend([
                Actor::Vcpu(vcpu),
                Actor::DrainMode(vcpu),
                Actor::Deliver(vcpu),
                Actor::Acknowledge(vcpu),
                Actor::Interrupt(vcpu),
                Actor::VcpuLock(vcpu),
                Actor::DeliverSecond(vcpu),
            ]);
        }
        let union = all.iter().fold(0, |set, actor| set | actor.bit());
        assert_eq!(union.count_ones() as usize, all.len());
        let strong = |actor: &&Actor| {
            matches!(
                actor,
                Actor::Interrupt(_) | Actor::VcpuLock(_) | Actor::ThreadLock(_)
            )
        };
        let strong = all
            .iter()
            .filter(strong)
            .fold(0, |set, actor| set | actor.bit());
        assert_eq!(STRONG, strong);
    }

    #[test]
    fn who_could_go_on_all_the_time_must() {
        let (a, b) = (Actor::Zapper.bit(), Actor::Vcpu(0).bit());
        assert!(!is_fair([a, a | b], b));
        assert!(is_fair([a, b], 0));
        assert!(is_fair([a, a], a));
    }

    #[test]
    fn who_is_served_in_order_goes_on_if_ever_it_could() {
        let (lock, vcpu) = (Actor::VcpuLock(0).bit(), Actor::Vcpu(1).bit());
        assert!(!is_fair([lock | vcpu, vcpu], vcpu));
        assert!(is_fair([lock | vcpu, vcpu], vcpu | lock));
    }
}
