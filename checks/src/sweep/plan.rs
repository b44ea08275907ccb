//! Which code paths can run together, two or three at a time, and the questions that show it.

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

/// What is to be said about a party.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Together {
    /// They run together; a search for each scenario.
    Search(Vec<Scenario>),
    /// Each waits for the locks of every other.
    Excluded(Vec<&'static str>),
    /// KVM lets one pass only before TDH.MR.FINALIZE, the other only behind it.
    NotAtOneTime,
}

/// Two or three code paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Their names; one can stand there more than once.
    pub names: Vec<String>,
    /// Whether they run together.
    pub together: Together,
}

/// Who is brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Three code paths at a time, and not only two.
    pub triples: bool,
    /// How many vCPUs [`KVM_RUN`] is.
    pub vcpus: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            triples: false,
            vcpus: 1,
        }
    }
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

/// Every pair of a kernel's code paths, and with [`Size::triples`] every three of which at most two
/// are neither a page removal nor a vCPU: the model has room for two such threads.
#[must_use]
pub fn parties(profile: &KernelProfile, size: Size) -> Vec<Party> {
    let triggers = profile.triggers();
    let removals = triggers
        .iter()
        .filter(|trigger| trigger.alone.is_none())
        .map(Actor::Removal);
    let real = |path: &&CodePath| path.alone.is_none() && !path.hypothetical;
    let paths = profile.paths.iter().filter(real).map(Actor::Path);
    let actors: Vec<Actor<'_>> = removals.chain(paths).chain([Actor::Vcpu]).collect();
    let mut parties = Vec::new();
    for (index, one) in actors.iter().enumerate() {
        for other in &actors[index..] {
            parties.push(party(&[*one, *other], size));
        }
    }
    if size.triples {
        for (first, one) in actors.iter().enumerate() {
            for (second, two) in actors.iter().enumerate().skip(first) {
                for three in &actors[second..] {
                    let all = [*one, *two, *three];
                    if has_room(&all) {
                        parties.push(party(&all, size));
                    }
                }
            }
        }
    }
    parties
}

/// One zapper, and two other threads; more vCPUs are [`Size::vcpus`].
fn has_room(actors: &[Actor<'_>]) -> bool {
    let count = |is: fn(&Actor<'_>) -> bool| actors.iter().filter(|actor| is(actor)).count();
    count(|actor| matches!(actor, Actor::Removal(_))) < 2
        && count(|actor| matches!(actor, Actor::Vcpu)) < 2
        && count(|actor| matches!(actor, Actor::Path(_))) < 3
}

fn party(actors: &[Actor<'_>], size: Size) -> Party {
    Party {
        names: actors.iter().map(|actor| actor.name().to_owned()).collect(),
        together: together(actors, size),
    }
}

fn together(actors: &[Actor<'_>], size: Size) -> Together {
    let locks: Vec<KvmHeld> = actors.iter().map(Actor::locks).collect();
    let mut pairs = Vec::new();
    for (index, here) in locks.iter().enumerate() {
        pairs.extend(locks[index + 1..].iter().map(|there| (*here, *there)));
    }
    if pairs
        .iter()
        .all(|(here, there)| here.excludes_on(*there, false))
    {
        let mut common: Vec<&'static str> = Vec::new();
        for lock in pairs
            .iter()
            .flat_map(|(here, there)| here.in_common(*there, false))
        {
            if !common.contains(&lock) {
                common.push(lock);
            }
        }
        return Together::Excluded(common);
    }
    let has = |phase| actors.iter().any(|actor| actor.phase() == phase);
    let transition = actors.iter().any(Actor::finalizes);
    if has(Phase::Before) && has(Phase::After) && !transition {
        return Together::NotAtOneTime;
    }
    let mut scenarios = Vec::new();
    if !has(Phase::After) || transition {
        scenarios.extend(scenarios_of(actors, &pairs, size, false));
    }
    if !has(Phase::Before) {
        scenarios.extend(scenarios_of(actors, &pairs, size, true));
    }
    Together::Search(scenarios)
}

/// One inode unless that excludes them; and one for each page, where two lock the page's.
fn scenarios_of(
    actors: &[Actor<'_>],
    pairs: &[(KvmHeld, KvmHeld)],
    size: Size,
    finalized: bool,
) -> Vec<Scenario> {
    let zap = actors.iter().find_map(|actor| match actor {
        Actor::Removal(trigger) => Some(trigger.name.clone()),
        _ => None,
    });
    let threads = actors.iter().filter_map(|actor| match actor {
        Actor::Path(path) => Some(path.name.clone()),
        _ => None,
    });
    let runs = actors.iter().any(|actor| matches!(actor, Actor::Vcpu));
    let base = Scenario {
        vcpus: if runs { size.vcpus } else { 0 },
        zap: zap.unwrap_or_else(|| Scenario::NOBODY.to_owned()),
        threads: threads.collect(),
        finalized,
        // Somebody who adds pages needs one that is not added yet.
        populated: !finalized && !actors.iter().any(adds_pages),
        memory: Memory::Tso,
        ..Scenario::default()
    };
    let inode = KvmLock::InvalidateLock;
    let mut all = Vec::new();
    if pairs.iter().any(|(here, there)| !here.excludes(*there)) {
        all.push(base.clone());
    }
    if pairs
        .iter()
        .any(|(here, there)| here.has(inode) && there.has(inode))
    {
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

    fn of(kernel: &str, names: &[&str], size: Size) -> Together {
        let source = Source::kernel(kernel).expect("built in");
        let profile = KernelProfile::parse(kernel, &source.text).expect("is read");
        let parties = parties(&profile, size).into_iter();
        let mut parties = parties.filter(|party| party.names == names);
        parties.next().expect("there is such a party").together
    }

    fn pair(kernel: &str, one: &str, other: &str) -> Together {
        of(kernel, &[one, other], Size::default())
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

    #[test]
    fn three_run_together_where_two_of_them_can() {
        let size = Size {
            triples: true,
            vcpus: 2,
        };
        let (hole, finalize) = ("fallocate(PUNCH_HOLE)", "KVM_TDX_FINALIZE_VM");
        // The two ioctls exclude each other from 6.19 on; the hole meets either.
        let Together::Search(scenarios) = of("next", &[hole, "KVM_TDX_INIT_VCPU", finalize], size)
        else {
            panic!("not searched")
        };
        assert!(scenarios.iter().all(|scenario| scenario.threads.len() == 2));
        let Together::Search(scenarios) = of("next", &[hole, finalize, KVM_RUN], size) else {
            panic!("not searched")
        };
        assert!(scenarios.iter().all(|scenario| scenario.vcpus == 2));
        let ioctls = ["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_MEM_REGION", finalize];
        let source = Source::kernel("next").expect("built in");
        let profile = KernelProfile::parse("next", &source.text).expect("is read");
        let all = parties(&profile, size);
        // There is room for two ioctls at a time.
        assert!(all.iter().all(|party| party.names != ioctls));
    }
}
