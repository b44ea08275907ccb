//! Where KVM's order of locks puts one more, and what would deadlock.

use super::ChangeError;
use crate::closed_enum::ClosedEnum;
use crate::kernel::{CodePath, Deed, Group};
use crate::resource::{KvmLock, KvmMode};

/// A lock with the mode in which it is held.
pub(super) type Taken = (KvmLock, KvmMode);

pub(super) fn twice(place: &str, lock: KvmLock) -> ChangeError {
    ChangeError::Twice {
        place: place.to_owned(),
        lock: lock.key(),
    }
}

pub(super) fn issues(group: &Group, leaf: &str) -> bool {
    let wanted = |deed: &Deed| matches!(deed, Deed::Seamcall(key) if key == leaf);
    group.deeds.iter().any(wanted)
}

/// The locks taken inside a path's own, `premap`'s mmu_lock included.
pub(super) fn inner_locks(path: &CodePath) -> Vec<Taken> {
    let premaps = path.deeds().any(|deed| *deed == Deed::Premap);
    let premap = premaps.then_some((KvmLock::MmuLock, KvmMode::Read));
    let groups = path.groups.iter().flat_map(|group| group.under.clone());
    groups.chain(premap).collect()
}

/// Where KVM's order puts it. A reader may become a writer.
pub(super) fn insert(order: &mut Vec<Taken>, taken: Taken, place: &str) -> Result<(), ChangeError> {
    if let Some(held) = order.iter_mut().find(|(lock, _)| *lock == taken.0) {
        if held.1 == taken.1 || taken.1 == KvmMode::Read {
            return Err(twice(place, taken.0));
        }
        held.1 = taken.1;
        return Ok(());
    }
    let rank = taken.0.rank();
    let same = order.iter().find(|(lock, _)| lock.rank() == rank);
    if let Some((lock, _)) = same {
        return Err(twice(place, *lock));
    }
    let at = order.partition_point(|(lock, _)| lock.rank() < rank);
    order.insert(at, taken);
    Ok(())
}

pub(super) fn check_order(outer: &[Taken], inner: KvmLock, place: &str) -> Result<(), ChangeError> {
    match outer.iter().find(|(lock, _)| lock.rank() >= inner.rank()) {
        Some((lock, _)) if lock.rank() == inner.rank() => Err(twice(place, *lock)),
        Some((lock, _)) => Err(ChangeError::Order {
            place: place.to_owned(),
            inner: inner.key(),
            outer: lock.key(),
        }),
        None => Ok(()),
    }
}

/// A group of deeds as up to three: the call alone is put under the lock.
pub(super) fn carve(group: Group, leaf: &str, taken: Taken) -> Vec<Group> {
    let wanted = |deed: &Deed| matches!(deed, Deed::Seamcall(key) if key == leaf);
    let mut groups: Vec<Group> = Vec::new();
    for deed in group.deeds {
        let under = if wanted(&deed) {
            vec![taken]
        } else {
            Vec::new()
        };
        match groups.last_mut() {
            Some(last) if last.under == under => last.deeds.push(deed),
            _ => groups.push(Group {
                under,
                on_failure: group.on_failure,
                deeds: vec![deed],
            }),
        }
    }
    groups
}
