//! Sets of KVM locks.

use crate::closed_enum::ClosedEnum;
use crate::resource::{KvmLock, KvmMode};

/// A set of KVM locks with their modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct KvmHeld {
    read: u8,
    write: u8,
}

const fn bit(lock: KvmLock) -> u8 {
    1 << lock as u8
}

impl KvmHeld {
    /// No lock.
    pub const NONE: Self = Self { read: 0, write: 0 };

    /// True when there is no lock in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.read | self.write == 0
    }

    /// Adds a lock.
    #[must_use]
    pub const fn with(mut self, lock: KvmLock, mode: KvmMode) -> Self {
        match mode {
            KvmMode::Read => self.read |= bit(lock),
            KvmMode::Write => self.write |= bit(lock),
        }
        self
    }

    /// Removes a lock.
    #[must_use]
    pub const fn without(mut self, lock: KvmLock) -> Self {
        self.read &= !bit(lock);
        self.write &= !bit(lock);
        self
    }

    /// Both sets.
    #[must_use]
    pub const fn and(mut self, other: Self) -> Self {
        self.read |= other.read;
        self.write |= other.write;
        self
    }

    /// True when a lock is in the set, in this mode.
    #[must_use]
    pub const fn has_mode(self, lock: KvmLock, mode: KvmMode) -> bool {
        let held = match mode {
            KvmMode::Read => self.read,
            KvmMode::Write => self.write,
        };
        held & bit(lock) != 0
    }

    /// True when a lock is in the set, in whatever mode.
    #[must_use]
    pub const fn has(self, lock: KvmLock) -> bool {
        (self.read | self.write) & bit(lock) != 0
    }

    /// True when two threads that are about the same guest_memfd inode can not hold these sets at
    /// the same time. Each thread's vcpu->mutex is that of a vCPU of its own, so it excludes nobody
    /// but who takes every vCPU's.
    #[must_use]
    pub const fn excludes(self, other: Self) -> bool {
        self.excludes_on(other, true)
    }

    /// The same, of threads that may be about different inodes.
    #[must_use]
    pub const fn excludes_on(self, other: Self, same_inode: bool) -> bool {
        let mut common = !bit(KvmLock::VcpuMutex);
        if !same_inode {
            common &= !bit(KvmLock::InvalidateLock);
        }
        let directly =
            (self.write & (other.read | other.write) | self.read & other.write) & common != 0;
        let by_every = self.has(KvmLock::EveryVcpuMutex) && other.has(KvmLock::VcpuMutex)
            || self.has(KvmLock::VcpuMutex) && other.has(KvmLock::EveryVcpuMutex);
        directly || by_every
    }

    /// The locks by which these sets exclude each other, by name; for reports.
    #[must_use]
    pub fn in_common(self, other: Self, same_inode: bool) -> Vec<&'static str> {
        self.iter()
            .filter(|(lock, mode)| {
                let alone = Self::default().with(*lock, *mode);
                alone.excludes_on(other, same_inode)
            })
            .map(|(lock, _)| lock.key())
            .collect()
    }

    /// The locks, with their modes.
    pub fn iter(self) -> impl Iterator<Item = (KvmLock, KvmMode)> {
        KvmLock::ALL.iter().flat_map(move |lock| {
            let read = (self.read & bit(*lock) != 0).then_some((*lock, KvmMode::Read));
            let write = (self.write & bit(*lock) != 0).then_some((*lock, KvmMode::Write));
            read.into_iter().chain(write)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(lock: KvmLock) -> KvmHeld {
        KvmHeld::default().with(lock, KvmMode::Write)
    }

    #[test]
    fn one_vcpus_mutex_excludes_only_who_takes_every_vcpus() {
        let (one, every) = (write(KvmLock::VcpuMutex), write(KvmLock::EveryVcpuMutex));
        assert!(!one.excludes(one));
        assert!(one.excludes(every) && every.excludes(one) && every.excludes(every));
        assert_eq!(one.in_common(every, true), ["vcpu->mutex"]);
    }

    #[test]
    fn the_invalidate_locks_of_two_inodes_do_not_exclude_each_other() {
        let lock = write(KvmLock::InvalidateLock);
        assert!(lock.excludes(lock) && !lock.excludes_on(lock, false));
        let with_slots = lock.and(write(KvmLock::SlotsLock));
        assert!(with_slots.excludes_on(with_slots, false));
        assert_eq!(with_slots.in_common(with_slots, false), ["slots_lock"]);
    }

    #[test]
    fn readers_exclude_writers_only() {
        let read = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        assert!(!read.excludes(read) && read.excludes(write(KvmLock::MmuLock)));
    }
}
