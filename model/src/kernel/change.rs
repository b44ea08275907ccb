//! One KVM lock more, or one less, on one code path: `mmu_lock:write@KVM_TDX_FINALIZE_VM`.

mod error;
mod order;

pub use error::{ChangeError, Place};
use order::{Taken, carve, check_order, inner_locks, insert, issues, twice};

use super::path::set;
use super::{CodePath, KernelProfile};
use crate::closed_enum::ClosedEnum;
use crate::data::suggest;
use crate::resource::{KvmLock, KvmMode};

impl KernelProfile {
    /// Holds one lock more, spelled `LOCK:MODE@PATH` or `LOCK:MODE@PATH/LEAF`.
    ///
    /// # Errors
    /// When the words are not understood, or a thread would deadlock: by waiting for itself, or by
    /// taking locks in another order than everybody else.
    pub fn hold(&mut self, text: &str) -> Result<(), ChangeError> {
        let (lock, place) = split(text)?;
        let (lock, mode) = lock.rsplit_once(':').ok_or_else(|| ChangeError::Shape {
            given: text.to_owned(),
        })?;
        let mode = KvmMode::from_key(mode).ok_or_else(|| ChangeError::UnknownMode {
            given: mode.to_owned(),
        })?;
        self.add((known_lock(lock)?, mode), &Place::parse(place))
    }

    /// Drops a lock, spelled `LOCK@PATH` or `LOCK@PATH/LEAF`.
    ///
    /// # Errors
    /// When the words are not understood, or the lock is not held there.
    pub fn release(&mut self, text: &str) -> Result<(), ChangeError> {
        let (lock, place) = split(text)?;
        let lock = known_lock(lock.split(':').next().unwrap_or(lock))?;
        let place = Place::parse(place);
        let not_held = ChangeError::NotHeld {
            place: place.text(),
            lock: lock.key(),
        };
        let before = self.clone();
        match &place {
            Place::Whole(name) => {
                let order = self.whole(name)?;
                order.retain(|(held, _)| *held != lock);
            }
            Place::Call { path, leaf } => {
                let path = self.named(path)?;
                for group in &mut path.groups {
                    if issues(group, leaf) {
                        group.under.retain(|(held, _)| *held != lock);
                    }
                }
            }
        }
        self.derive_sets();
        if *self == before {
            return Err(not_held);
        }
        Ok(())
    }

    /// Every place that can be given a lock of its own, for the page removal and the paths named.
    #[must_use]
    pub fn places(&self, removal: &str, paths: &[String]) -> Vec<Place> {
        let mut places = vec![Place::Whole(removal.to_owned())];
        for path in paths.iter().filter_map(|name| self.path(name)) {
            places.push(Place::Whole(path.name.clone()));
            let calls = path.seamcalls().map(|(leaf, _)| Place::Call {
                path: path.name.clone(),
                leaf: leaf.to_owned(),
            });
            places.extend(calls);
        }
        let mut distinct: Vec<Place> = Vec::new();
        for place in places {
            if !distinct.contains(&place) {
                distinct.push(place);
            }
        }
        distinct
    }

    fn add(&mut self, taken: Taken, place: &Place) -> Result<(), ChangeError> {
        let text = place.text();
        match place {
            Place::Whole(name) => {
                let inner = self.path(name).map_or_else(Vec::new, inner_locks);
                let order = self.whole(name)?;
                if inner.iter().any(|(lock, _)| *lock == taken.0) {
                    return Err(twice(&text, taken.0));
                }
                insert(order, taken, &text)?;
                // What is now outside of it.
                let outer = order.clone();
                for (lock, _) in inner {
                    check_order(&outer, lock, &text)?;
                }
            }
            Place::Call { path, leaf } => {
                let path = self.named(path)?;
                if path.order.iter().any(|(lock, _)| *lock == taken.0) {
                    return Err(twice(&text, taken.0));
                }
                check_order(&path.order, taken.0, &text)?;
                let mut groups = Vec::new();
                let mut found = false;
                for group in path.groups.drain(..) {
                    if !issues(&group, leaf) {
                        groups.push(group);
                    } else if group.under.is_empty() {
                        found = true;
                        groups.extend(carve(group, leaf, taken));
                    } else {
                        found = true;
                        let mut group = group;
                        insert(&mut group.under, taken, &text)?;
                        groups.push(group);
                    }
                }
                path.groups = groups;
                if !found {
                    return Err(ChangeError::UnknownPlace {
                        kernel: self.name.clone(),
                        given: text,
                        hint: String::new(),
                    });
                }
            }
        }
        self.derive_sets();
        Ok(())
    }

    fn derive_sets(&mut self) {
        self.zap.locks = set(&self.zap.order);
        for trigger in &mut self.triggers {
            trigger.locks = set(&trigger.order);
        }
        for path in &mut self.paths {
            path.locks = set(&path.order);
        }
    }

    fn unknown(&self, name: &str) -> ChangeError {
        let known: Vec<&str> = std::iter::once(self.zap.name.as_str())
            .chain(self.triggers.iter().map(|trigger| trigger.name.as_str()))
            .chain(self.paths.iter().map(|path| path.name.as_str()))
            .collect();
        ChangeError::UnknownPlace {
            kernel: self.name.clone(),
            given: name.to_owned(),
            hint: suggest::did_you_mean(name, &known),
        }
    }

    fn whole(&mut self, name: &str) -> Result<&mut Vec<Taken>, ChangeError> {
        let unknown = self.unknown(name);
        if self.zap.name == name || name == "zap" {
            return Ok(&mut self.zap.order);
        }
        let triggers = self.triggers.iter_mut();
        let trigger = triggers.map(|trigger| (&trigger.name, &mut trigger.order));
        let paths = self.paths.iter_mut();
        let mut all = trigger.chain(paths.map(|path| (&path.name, &mut path.order)));
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, order)| order).ok_or(unknown)
    }

    fn named(&mut self, name: &str) -> Result<&mut CodePath, ChangeError> {
        let unknown = self.unknown(name);
        let mut paths = self.paths.iter_mut();
        paths.find(|path| path.name == name).ok_or(unknown)
    }
}

fn split(text: &str) -> Result<(&str, &str), ChangeError> {
    text.split_once('@')
        .filter(|(lock, place)| !lock.is_empty() && !place.is_empty())
        .ok_or_else(|| ChangeError::Shape {
            given: text.to_owned(),
        })
}

fn known_lock(given: &str) -> Result<KvmLock, ChangeError> {
    KvmLock::from_key(given).ok_or_else(|| ChangeError::UnknownLock {
        given: given.to_owned(),
        known: KvmLock::ALL.iter().map(|lock| lock.key()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin;

    fn profile(name: &str) -> KernelProfile {
        let found = builtin::KERNELS.iter().find(|(known, _)| *known == name);
        KernelProfile::parse(name, found.expect("built in").1).expect("is read")
    }

    #[test]
    fn a_lock_is_held_around_a_whole_path_or_one_call() {
        let mut kernel = profile("6.16");
        kernel.hold("mmu_lock:write@KVM_TDX_FINALIZE_VM").unwrap();
        let path = kernel.path("KVM_TDX_FINALIZE_VM").unwrap();
        assert!(path.locks.has(KvmLock::MmuLock));
        assert_eq!(path.order.last(), Some(&(KvmLock::MmuLock, KvmMode::Write)));
        kernel
            .hold("mmu_lock:write@KVM_TDX_INIT_MEM_REGION:measure/TDH.MR.EXTEND")
            .unwrap();
        let path = kernel.path("KVM_TDX_INIT_MEM_REGION:measure").unwrap();
        let held: Vec<bool> = path
            .seamcalls()
            .map(|(_, held)| held.has(KvmLock::MmuLock))
            .collect();
        assert_eq!(held, [false, true]);
    }

    #[test]
    fn a_lock_that_is_taken_away_can_be_put_back() {
        let (mut kernel, before) = (profile("6.19"), profile("6.19"));
        kernel
            .release("mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1")
            .unwrap();
        assert_ne!(kernel, before);
        kernel
            .hold("mmu_lock:write@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1")
            .unwrap();
        assert_eq!(kernel, before);
        let error = kernel.release("mmu_lock@KVM_TDX_FINALIZE_VM").unwrap_err();
        assert_eq!(
            error.to_string(),
            "KVM_TDX_FINALIZE_VM does not hold mmu_lock"
        );
    }

    #[test]
    fn what_would_deadlock_is_refused() {
        let refused = |text: &str| profile("6.19").hold(text).unwrap_err().to_string();
        assert_eq!(
            refused("mmu_lock:write@KVM_TDX_INIT_MEM_REGION"),
            "KVM_TDX_INIT_MEM_REGION would take mmu_lock twice: it waits for itself"
        );
        assert_eq!(
            refused("slots_lock:write@KVM_TDX_FINALIZE_VM"),
            "KVM_TDX_FINALIZE_VM would take slots_lock twice: it waits for itself"
        );
        let mut kernel = profile("6.16");
        let error = kernel.hold("kvm->lock:write@KVM_TDX_INIT_MEM_REGION/TDH.MEM.PAGE.ADD");
        assert_eq!(
            error.unwrap_err().to_string(),
            "KVM_TDX_INIT_MEM_REGION/TDH.MEM.PAGE.ADD would take kvm->lock inside vcpu->mutex; \
             everywhere else KVM takes vcpu->mutex inside kvm->lock"
        );
    }

    #[test]
    fn every_profile_takes_its_locks_in_one_order() {
        for (name, _) in builtin::KERNELS {
            let kernel = profile(name);
            let triggers = kernel.triggers().into_iter();
            let orders = triggers.map(|trigger| (trigger.name, trigger.order));
            let paths = kernel.paths.iter().map(|path| {
                let inner = inner_locks(path);
                let order = path.order.iter().copied().chain(inner.into_iter().take(1));
                (path.name.clone(), order.collect())
            });
            for (path, order) in orders.chain(paths) {
                let ranks: Vec<u8> = order.iter().map(|(lock, _)| lock.rank()).collect();
                assert!(ranks.is_sorted(), "{name}: {path} takes {order:?}");
            }
        }
    }
}
