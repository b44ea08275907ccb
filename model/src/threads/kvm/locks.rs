//! The locks of KVM's that an ioctl and a page removal hold: taken outermost first, as in the kernel
//! (Documentation/virt/kvm/locking.rst), each in the mode that the kernel profile gives.

use super::Kvm;
use super::mmu_lock::MmuLock;
use crate::kernel::KvmHeld;
use crate::resource::{KvmLock, KvmMode};
use crate::threads::event::Event;
use crate::threads::module::Current;
use crate::threads::runtime::Runtime;

/// The locks beside mmu_lock, a word each.
///
/// A mutex is a rwlock that nobody takes for read. The `vcpu->mutex`es are one word: each thread's own
/// excludes nobody but who takes every vCPU's, as a reader does a writer.
pub(super) struct KvmLocks<R: Runtime> {
    vm: MmuLock<R>,
    vcpus: MmuLock<R>,
    slots: MmuLock<R>,
    invalidate: MmuLock<R>,
}

impl<R: Runtime> KvmLocks<R> {
    pub(super) fn new() -> Self {
        Self {
            vm: MmuLock::new(),
            vcpus: MmuLock::new(),
            slots: MmuLock::new(),
            invalidate: MmuLock::new(),
        }
    }
}

/// How a lock's word is taken.
const fn mode_of(lock: KvmLock, mode: KvmMode) -> KvmMode {
    match lock {
        KvmLock::VcpuMutex => KvmMode::Read,
        KvmLock::EveryVcpuMutex => KvmMode::Write,
        _ => mode,
    }
}

/// Outermost first.
fn in_order(held: KvmHeld) -> Vec<(KvmLock, KvmMode)> {
    let mut locks: Vec<_> = held.iter().collect();
    locks.sort_by_key(|(lock, _)| lock.rank());
    locks
}

impl<R: Runtime> Kvm<R> {
    /// Where nobody is beside the zapper, the locks beside mmu_lock have no words.
    fn word(&self, lock: KvmLock) -> Option<&MmuLock<R>> {
        let locks = self.locks.as_ref();
        match lock {
            KvmLock::MmuLock => Some(&self.mmu_lock),
            KvmLock::VmLock => locks.map(|locks| &locks.vm),
            KvmLock::VcpuMutex | KvmLock::EveryVcpuMutex => locks.map(|locks| &locks.vcpus),
            KvmLock::SlotsLock => locks.map(|locks| &locks.slots),
            KvmLock::InvalidateLock => locks.map(|locks| &locks.invalidate),
        }
    }

    pub(super) fn take(&self, held: KvmHeld) {
        for (lock, mode) in in_order(held) {
            match (self.word(lock), mode_of(lock, mode)) {
                (Some(word), KvmMode::Read) => word.read_lock(),
                (Some(word), KvmMode::Write) => word.write_lock(),
                (None, _) => {}
            }
        }
    }

    /// Innermost first. What is noted is noted where the first is dropped: from there on nobody can rely on
    /// all of them.
    pub(super) fn give_back(&self, held: KvmHeld, current: Current<R>, note: Option<Event>) {
        let mut note = note;
        for (lock, mode) in in_order(held).into_iter().rev() {
            match (self.word(lock), mode_of(lock, mode)) {
                (Some(word), KvmMode::Read) => word.read_unlock(),
                (Some(word), KvmMode::Write) => word.write_unlock(),
                (None, _) => continue,
            }
            if let Some(event) = note.take() {
                current.record(event);
            }
        }
        if let Some(event) = note {
            current.record_local(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::closed_enum::ClosedEnum;

    #[test]
    fn locks_are_taken_outermost_first() {
        let all = KvmLock::ALL.iter().fold(KvmHeld::default(), |held, lock| {
            held.with(*lock, KvmMode::Write)
        });
        let ranks: Vec<u8> = in_order(all).iter().map(|(lock, _)| lock.rank()).collect();
        assert!(ranks.is_sorted());
        assert_eq!(ranks.last(), Some(&KvmLock::MmuLock.rank()));
    }
}
