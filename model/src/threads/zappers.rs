//! Who removes pages in the code: one zapper, or two with a page each, in a guest_memfd inode of its own.

use crate::kernel::KvmHeld;
use crate::kvm::zap::freezes;
use crate::resource::{KvmLock, KvmMode};
use crate::system::Agent;

/// The zappers of a scenario. Each removes the page of its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zappers {
    count: usize,
    locks: KvmHeld,
}

/// Zappers that the code has not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZappersError {
    /// Neither one nor two.
    #[error("{given} zappers are asked for: the code has 1 or 2")]
    Count {
        /// What was asked for.
        given: usize,
    },
    /// A lock but mmu_lock keeps two page removals apart.
    #[error("the code takes no {lock}, which keeps two page removals apart here")]
    Lock {
        /// Its name.
        lock: &'static str,
    },
}

impl Zappers {
    /// One, that takes mmu_lock for write: what the `[zap]` of every kernel here does.
    pub const ONE: Self = Self {
        count: 1,
        locks: KvmHeld::NONE.with(KvmLock::MmuLock, KvmMode::Write),
    };

    /// So many, under the locks of a kernel profile's `[zap]`.
    ///
    /// Of these the code takes mmu_lock. An inode's invalidate_lock keeps nobody from another inode's pages.
    ///
    /// # Errors
    /// When the code has not so many, or another lock would keep them apart.
    pub fn new(count: usize, locks: KvmHeld) -> Result<Self, ZappersError> {
        if !(1..=2).contains(&count) {
            return Err(ZappersError::Count { given: count });
        }
        let others = locks.without(KvmLock::MmuLock);
        match others.in_common(others, false).first() {
            Some(lock) if count > 1 => Err(ZappersError::Lock { lock }),
            _ => Ok(Self { count, locks }),
        }
    }

    /// How many; as many pages there are.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count
    }

    /// The KVM locks around a removal.
    pub(super) const fn locks(self) -> KvmHeld {
        self.locks
    }

    /// How mmu_lock is held during a removal; `None` where it is not.
    #[must_use]
    pub const fn mmu_lock(self) -> Option<KvmMode> {
        if self.locks.has_mode(KvmLock::MmuLock, KvmMode::Write) {
            Some(KvmMode::Write)
        } else if self.locks.has_mode(KvmLock::MmuLock, KvmMode::Read) {
            Some(KvmMode::Read)
        } else {
            None
        }
    }

    /// Whether a removal freezes the mirror SPTE, as in the model.
    pub(super) const fn freeze(self) -> bool {
        freezes(self.locks)
    }
}

/// The second zapper: the last of the model's threads, of which the code has no other.
pub(super) const SECOND: Agent = Agent::Thread(0);

/// Which sender of IPIs an agent is: each CPU that sends has call data of its own.
pub(super) const fn sender(agent: Agent) -> u32 {
    match agent {
        Agent::Thread(index) => 1 + index as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;
    use crate::data::DataError;
    use crate::kernel::KernelProfile;

    #[test]
    fn one_zapper_takes_mmu_lock_as_every_kernel_here_does() -> Result<(), DataError> {
        for (name, text) in builtin::KERNELS {
            let locks = KernelProfile::parse(name, text)?.zap.locks;
            let zappers = Zappers::new(1, locks).expect("one zapper");
            assert_eq!(zappers.mmu_lock(), Zappers::ONE.mmu_lock(), "{name}");
            assert!(Zappers::new(2, locks).is_ok(), "{name}");
        }
        Ok(())
    }

    #[test]
    fn a_lock_that_the_code_does_not_take_is_refused_where_it_matters() {
        let slots = KvmHeld::NONE.with(KvmLock::SlotsLock, KvmMode::Write);
        let lock = "slots_lock";
        assert_eq!(Zappers::new(2, slots), Err(ZappersError::Lock { lock }));
        assert!(Zappers::new(1, slots).is_ok());
        assert_eq!(
            Zappers::new(3, slots),
            Err(ZappersError::Count { given: 3 })
        );
    }

    #[test]
    fn a_removal_without_mmu_lock_for_write_freezes_the_mirror_spte() {
        let under = |locks: KvmHeld| Zappers { count: 2, locks };
        let read = KvmHeld::NONE.with(KvmLock::MmuLock, KvmMode::Read);
        assert!(under(read).freeze() && under(KvmHeld::NONE).freeze());
        assert!(!Zappers::ONE.freeze());
        assert_eq!(under(read).mmu_lock(), Some(KvmMode::Read));
        assert_eq!(under(KvmHeld::NONE).mmu_lock(), None);
    }
}
