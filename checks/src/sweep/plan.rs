//! Which code paths can run together, and the questions that show it.

use seamcheck_model::kernel::{CodePath, KernelProfile, KvmHeld, Trigger};
use seamcheck_model::resource::KvmLock;
use seamcheck_model::scenario::{Memory, Scenario};

/// The name that stands for a vCPU's thread: `vcpu_run()`, its faults and its guest.
pub const KVM_RUN: &str = "KVM_RUN";

/// A code path that takes part.
#[derive(Clone, Copy, Debug)]
enum Actor<'a> {
    Removal(&'a Trigger),
    Path(&'a CodePath),
    Vcpu,
}

/// When KVM lets a code path pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Before,
    After,
    Any,
}

/// What is to be said about a pair of code paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Together {
    /// They run together; a search for each scenario.
    Search(Vec<Scenario>),
    /// Each waits for the other's locks.
    Excluded(Vec<&'static str>),
    /// KVM lets one pass only before TDH.MR.FINALIZE, the other only behind it.
    NotAtOneTime,
}

/// A pair of code paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// One.
    pub one: String,
    /// The other, or the same again.
    pub other: String,
    /// Whether they run together.
    pub together: Together,
}

impl Actor<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Removal(trigger) => &trigger.name,
            Self::Path(path) => &path.name,
            Self::Vcpu => KVM_RUN,
        }
    }

    /// A vCPU thread's own mutex is left out: see docs/limits.md.
    fn locks(&self) -> KvmHeld {
        match self {
            Self::Removal(trigger) => trigger.locks,
            Self::Path(path) => path.locks,
            Self::Vcpu => KvmHeld::default(),
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Removal(_) => Phase::Any,
            Self::Path(path) if path.before_finalize => Phase::Before,
            Self::Path(path) if path.after_finalize => Phase::After,
            Self::Path(_) => Phase::Any,
            Self::Vcpu => Phase::After,
        }
    }

    fn finalizes(&self) -> bool {
        matches!(self, Self::Path(path) if path.finalizes())
    }
}

/// Every pair of a kernel's code paths.
#[must_use]
pub fn pairs(profile: &KernelProfile) -> Vec<Pair> {
    let triggers = profile.triggers();
    let removals = triggers
        .iter()
        .filter(|trigger| trigger.alone.is_none())
        .map(Actor::Removal);
    let real = |path: &&CodePath| path.alone.is_none() && !path.hypothetical;
    let paths = profile.paths.iter().filter(real).map(Actor::Path);
    let actors: Vec<Actor<'_>> = removals.chain(paths).chain([Actor::Vcpu]).collect();
    let mut pairs = Vec::new();
    for (index, one) in actors.iter().enumerate() {
        for other in &actors[index..] {
            pairs.push(Pair {
                one: one.name().to_owned(),
                other: other.name().to_owned(),
                together: together(one, other),
            });
        }
    }
    pairs
}

fn together(one: &Actor<'_>, other: &Actor<'_>) -> Together {
    let (here, there) = (one.locks(), other.locks());
    if here.excludes_on(there, false) {
        return Together::Excluded(here.in_common(there, false));
    }
    let both = [one, other];
    let phases = both.map(Actor::phase);
    let has = |phase| phases.contains(&phase);
    let transition = both.iter().any(|actor| actor.finalizes());
    if has(Phase::Before) && has(Phase::After) && !transition {
        return Together::NotAtOneTime;
    }
    let mut scenarios = Vec::new();
    if !has(Phase::After) || transition {
        scenarios.extend(scenario(both, false));
    }
    if !has(Phase::Before) {
        scenarios.extend(scenario(both, true));
    }
    Together::Search(scenarios)
}

/// One inode unless that excludes them; and one for each page, where both lock the page's.
fn scenario(both: [&Actor<'_>; 2], finalized: bool) -> Vec<Scenario> {
    let [here, there] = both.map(Actor::locks);
    let vcpus = both.iter().filter(|actor| matches!(actor, Actor::Vcpu));
    let zap = both.iter().find_map(|actor| match actor {
        Actor::Removal(trigger) => Some(trigger.name.clone()),
        _ => None,
    });
    let threads = both.iter().filter_map(|actor| match actor {
        Actor::Path(path) => Some(path.name.clone()),
        _ => None,
    });
    let base = Scenario {
        vcpus: vcpus.count(),
        zap: zap.unwrap_or_else(|| Scenario::NOBODY.to_owned()),
        threads: threads.collect(),
        finalized,
        // Somebody who adds pages needs one that is not added yet.
        populated: !finalized && !both.iter().any(|actor| adds_pages(actor)),
        memory: Memory::Tso,
        ..Scenario::default()
    };
    let inode = KvmLock::InvalidateLock;
    let mut all = Vec::new();
    if !here.excludes(there) {
        all.push(base.clone());
    }
    if here.has(inode) && there.has(inode) {
        all.push(Scenario {
            pages: 2,
            inodes: 2,
            ..base
        });
    }
    all
}

fn adds_pages(actor: &Actor<'_>) -> bool {
    matches!(actor, Actor::Path(path) if path.seamcalls().any(|(leaf, _)| leaf == "TDH.MEM.PAGE.ADD"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Source;

    fn pair(kernel: &str, one: &str, other: &str) -> Together {
        let source = Source::kernel(kernel).expect("built in");
        let profile = KernelProfile::parse(kernel, &source.text).expect("is read");
        let pairs = pairs(&profile);
        let found = pairs
            .into_iter()
            .find(|pair| pair.one == one && pair.other == other);
        found.expect("there is such a pair").together
    }

    #[test]
    fn two_removals_exclude_each_other_by_mmu_lock() {
        let both = pair(
            "6.16",
            "fallocate(PUNCH_HOLE)",
            "guest_memfd memory failure",
        );
        assert_eq!(both, Together::Excluded(vec!["mmu_lock"]));
    }

    #[test]
    fn a_hole_in_another_inode_runs_beside_populating() {
        let both = pair("next", "fallocate(PUNCH_HOLE)", "KVM_TDX_INIT_MEM_REGION");
        let Together::Search(scenarios) = both else {
            panic!("{both:?}");
        };
        assert!(scenarios.iter().all(|scenario| scenario.inodes == 2));
    }

    #[test]
    fn the_state_guard_excludes_two_ioctls_from_6_19_on() {
        let on = |kernel| pair(kernel, "KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU");
        assert!(matches!(on("6.16"), Together::Search(_)));
        assert!(matches!(on("6.19"), Together::Excluded(_)));
    }

    #[test]
    fn what_runs_before_finalize_does_not_meet_what_runs_behind_it() {
        let both = pair("6.16", "KVM_TDX_INIT_VCPU", KVM_RUN);
        assert_eq!(both, Together::NotAtOneTime);
        assert!(matches!(
            pair("6.16", "KVM_TDX_FINALIZE_VM", KVM_RUN),
            Together::Search(_)
        ));
    }
}
