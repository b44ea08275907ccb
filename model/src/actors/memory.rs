//! Kernel memory: the flag, each vCPU's `mode`, `mmu_lock` with the mirror SPTE under it, and
//! between each CPU and all that the CPU's store queue.
//!
//! x86-TSO: a store waits in its CPU's queue, in order, until it drains; a load goes past it, but
//! sees the CPU's own newest store; LOCKed instructions, barriers and releases of a lock wait until
//! the queue is empty. Under sequential consistency a store is in memory at once. An access that
//! must wait is latched, and answered when the queue has drained.

use super::message::{Access, Answer, Cpu, MAX_CPUS, MAX_VCPUS, Mode, Move, Msg};
use super::{Agent, Id, Out};
use crate::scenario::Memory;
use arrayvec::ArrayVec;

/// How many stores wait at most. A vCPU without its barriers can have two to `mode` under way; one
/// more and the search is not complete, which is reported.
const QUEUE: usize = 2;

/// The mirror page table's entry for the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MirrorSpte {
    /// Not present.
    None,
    /// FROZEN_SPTE: a fault is mapping the page.
    Frozen,
    /// Mapped.
    Present,
}

/// `kvm->mmu_lock`, a rwlock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MmuLock {
    /// The zapper has it.
    pub writer: bool,
    /// So many faults have it.
    pub readers: u8,
}

/// A store that waits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Store {
    /// To `wait_for_sept_zap`.
    Flag(bool),
    /// To the CPU's vCPU's mode.
    Mode(Mode),
}

/// Kernel memory.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MemoryState {
    /// `kvm_tdx->wait_for_sept_zap`.
    pub wait_for_sept_zap: bool,
    /// `vcpu->mode`, per vCPU.
    pub mode: ArrayVec<Mode, MAX_VCPUS>,
    /// Store queues, per CPU, oldest store first.
    pub queues: ArrayVec<ArrayVec<Store, QUEUE>, MAX_CPUS>,
    /// Per CPU, what waits until its queue is empty.
    pub latched: ArrayVec<Option<Access>, MAX_CPUS>,
    /// `kvm->mmu_lock`.
    pub mmu_lock: MmuLock,
    /// The page's mirror SPTE.
    pub mirror: MirrorSpte,
    /// `kvm->vm_bugged`.
    pub vm_bugged: bool,
    /// A store found its queue full.
    pub overflowed: bool,
}

impl MemoryState {
    pub(super) fn new(vcpus: usize) -> Self {
        Self {
            wait_for_sept_zap: false,
            mode: std::iter::repeat_n(Mode::default(), vcpus).collect(),
            queues: std::iter::repeat_n(ArrayVec::new(), vcpus + 1).collect(),
            latched: std::iter::repeat_n(None, vcpus + 1).collect(),
            mmu_lock: MmuLock::default(),
            mirror: MirrorSpte::Present,
            vm_bugged: false,
            overflowed: false,
        }
    }

    pub(super) fn on_msg(&mut self, memory: Memory, src: Id, msg: Msg, o: &mut Out<Agent>) {
        let Msg::Access(access) = msg else {
            unreachable!("memory is sent {msg:?} by nobody")
        };
        let cpu = Cpu::of(src);
        if needs_empty_queue(access) && !self.queues[cpu.index()].is_empty() {
            self.latched[cpu.index()] = Some(access);
        } else {
            o.send(src, Msg::Answer(self.perform(memory, cpu, access)));
        }
    }

    /// The CPUs whose oldest store may reach memory now.
    pub(super) fn moves(&self) -> impl Iterator<Item = Move> + '_ {
        let waiting = |cpu: &usize| !self.queues[*cpu].is_empty();
        (0..self.queues.len())
            .filter(waiting)
            .map(|cpu| Move::Drain(Cpu(cpu as u8)))
    }

    /// The vCPUs that somebody else's kick, a locked cmpxchg, makes EXITING_GUEST_MODE. It changes no
    /// other, and its IPI is an interrupt that a guest may have at any time anyway.
    pub(super) fn foreign_kicks(&self) -> impl Iterator<Item = Move> + '_ {
        let inside = |vcpu: &usize| self.mode[*vcpu] == Mode::InGuestMode;
        let vcpus = (0..self.mode.len()).filter(inside);
        vcpus.map(|vcpu| Move::ForeignKick(vcpu as u8))
    }

    /// `cmpxchg(&vcpu->mode, IN_GUEST_MODE, EXITING_GUEST_MODE)`, whoever's. Returns the old mode.
    pub(super) fn kick(&mut self, vcpu: u8) -> Mode {
        let mode = &mut self.mode[usize::from(vcpu)];
        let old = *mode;
        if old == Mode::InGuestMode {
            *mode = Mode::ExitingGuestMode;
        }
        old
    }

    /// The oldest store of a CPU reaches memory; what was latched behind it is performed.
    pub(super) fn drain(&mut self, memory: Memory, cpu: Cpu, o: &mut Out<Agent>) {
        let store = self.queues[cpu.index()].remove(0);
        self.commit(cpu, store);
        if self.queues[cpu.index()].is_empty()
            && let Some(access) = self.latched[cpu.index()].take()
        {
            o.send(cpu.actor(), Msg::Answer(self.perform(memory, cpu, access)));
        }
    }

    fn commit(&mut self, cpu: Cpu, store: Store) {
        match (store, cpu.vcpu()) {
            (Store::Flag(value), _) => self.wait_for_sept_zap = value,
            (Store::Mode(mode), Some(vcpu)) => self.mode[vcpu] = mode,
            (Store::Mode(_), None) => unreachable!("the zapper stores to no mode"),
        }
    }

    fn store(&mut self, memory: Memory, cpu: Cpu, store: Store) -> Answer {
        match memory {
            Memory::Sc => self.commit(cpu, store),
            Memory::Tso => {
                self.overflowed |= self.queues[cpu.index()].try_push(store).is_err();
            }
        }
        Answer::Done
    }

    fn perform(&mut self, memory: Memory, cpu: Cpu, access: Access) -> Answer {
        match access {
            // Nobody loads the flag but vCPUs, and nobody stores it but the zapper.
            Access::ReadFlag => Answer::Flag(self.wait_for_sept_zap),
            Access::WriteFlag(value) => self.store(memory, cpu, Store::Flag(value)),
            Access::ReadMode(vcpu) => Answer::Mode(self.forwarded(cpu, vcpu)),
            Access::WriteMode(mode) => self.store(memory, cpu, Store::Mode(mode)),
            Access::KickMode(vcpu) => Answer::Mode(self.kick(vcpu)),
            Access::FullBarrier => Answer::Done,
            Access::LockAndUnmap if self.mmu_lock != MmuLock::default() => Answer::Contended,
            Access::LockAndUnmap if self.mirror != MirrorSpte::Present => Answer::Nothing,
            Access::LockAndUnmap => {
                (self.mmu_lock.writer, self.mirror) = (true, MirrorSpte::None);
                Answer::Locked
            }
            Access::UnlockAfterZap => {
                self.mmu_lock.writer = false;
                Answer::Done
            }
            Access::LockAndFreeze if self.mmu_lock.writer => Answer::Contended,
            Access::LockAndFreeze if self.mirror != MirrorSpte::None => Answer::Nothing,
            Access::LockAndFreeze => {
                self.mmu_lock.readers += 1;
                self.mirror = MirrorSpte::Frozen;
                Answer::Locked
            }
            Access::UnlockAfterFault { mapped } => {
                self.mirror = if mapped {
                    MirrorSpte::Present
                } else {
                    MirrorSpte::None
                };
                self.mmu_lock.readers -= 1;
                Answer::Done
            }
            Access::BugOn => {
                self.vm_bugged = true;
                Answer::Done
            }
        }
    }

    /// A load: the CPU's own newest store to the location, or what is in memory.
    fn forwarded(&self, cpu: Cpu, vcpu: u8) -> Mode {
        let own = cpu == Cpu::of_vcpu(usize::from(vcpu));
        let newest = self.queues[cpu.index()].last().filter(|_| own);
        match newest {
            Some(Store::Mode(mode)) => *mode,
            _ => self.mode[usize::from(vcpu)],
        }
    }
}

/// LOCKed instructions and barriers drain the queue; a lock's release is a store behind the others,
/// and nobody sees it before them.
const fn needs_empty_queue(access: Access) -> bool {
    match access {
        Access::ReadFlag
        | Access::WriteFlag(_)
        | Access::ReadMode(_)
        | Access::WriteMode(_)
        | Access::BugOn => false,
        Access::KickMode(_)
        | Access::FullBarrier
        | Access::LockAndUnmap
        | Access::UnlockAfterZap
        | Access::LockAndFreeze
        | Access::UnlockAfterFault { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VCPU: Cpu = Cpu::of_vcpu(0);

    fn run(memory: &mut MemoryState, cpu: Cpu, access: Access) -> Option<Msg> {
        let mut o = Out::new();
        memory.on_msg(Memory::Tso, cpu.actor(), Msg::Access(access), &mut o);
        answer(&o)
    }

    fn drain(memory: &mut MemoryState, cpu: Cpu) -> Option<Msg> {
        let mut o = Out::new();
        memory.drain(Memory::Tso, cpu, &mut o);
        answer(&o)
    }

    fn answer(o: &Out<Agent>) -> Option<Msg> {
        match &o[..] {
            [stateright::actor::Command::Send(_, msg)] => Some(*msg),
            [] => None,
            _ => panic!("one answer at most"),
        }
    }

    #[test]
    fn a_load_goes_past_the_stores_of_its_cpu_and_sees_its_own_newest_one() {
        let mut memory = MemoryState::new(1);
        run(&mut memory, VCPU, Access::WriteMode(Mode::InGuestMode));
        let own = run(&mut memory, VCPU, Access::ReadMode(0));
        assert_eq!(own, Some(Msg::Answer(Answer::Mode(Mode::InGuestMode))));
        let others = run(&mut memory, Cpu::ZAPPER, Access::ReadMode(0));
        assert_eq!(
            others,
            Some(Msg::Answer(Answer::Mode(Mode::OutsideGuestMode)))
        );
    }

    #[test]
    fn a_barrier_is_latched_until_the_queue_is_empty() {
        let mut memory = MemoryState::new(1);
        run(&mut memory, VCPU, Access::WriteMode(Mode::InGuestMode));
        run(&mut memory, VCPU, Access::WriteMode(Mode::OutsideGuestMode));
        assert_eq!(run(&mut memory, VCPU, Access::FullBarrier), None);
        assert_eq!(drain(&mut memory, VCPU), None);
        assert_eq!(memory.mode[0], Mode::InGuestMode);
        assert_eq!(drain(&mut memory, VCPU), Some(Msg::Answer(Answer::Done)));
        assert_eq!(memory.mode[0], Mode::OutsideGuestMode);
    }

    #[test]
    fn a_cmpxchg_answers_the_old_value_whether_it_stores_or_not() {
        let mut memory = MemoryState::new(1);
        let kick = Access::KickMode(0);
        for (stored, expected) in [
            (None, Mode::OutsideGuestMode),
            (Some(Mode::InGuestMode), Mode::InGuestMode),
            (None, Mode::ExitingGuestMode),
        ] {
            if let Some(mode) = stored {
                memory.mode[0] = mode;
            }
            let answer = run(&mut memory, Cpu::ZAPPER, kick);
            assert_eq!(answer, Some(Msg::Answer(Answer::Mode(expected))));
        }
    }

    #[test]
    fn a_store_that_finds_no_room_is_reported() {
        let mut memory = MemoryState::new(1);
        for _ in 0..=QUEUE {
            run(&mut memory, VCPU, Access::WriteMode(Mode::InGuestMode));
        }
        assert!(memory.overflowed);
    }
}
