use super::*;
use seamcheck_model::builtin;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::resource::{KvmLock, KvmMode, Mode, Resource};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::{Reductions, System};
use seamcheck_model::table::LockTable;

fn table(name: &str) -> LockTable {
    let (_, text) = builtin::MODULES
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    LockTable::parse(name, text).unwrap()
}

fn kernel(name: &str) -> KernelProfile {
    let (_, text) = builtin::KERNELS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    KernelProfile::parse(name, text).unwrap()
}

fn find<'a>(all: &'a [Collision], loser: &str, holder: &str) -> Vec<(&'a str, Mode, Mode)> {
    let pair = all
        .iter()
        .filter(|found| found.loser == loser && found.holder == holder);
    pair.map(|found| (found.lock.key(), found.wanted, found.held))
        .collect()
}

#[test]
fn a_pair_that_an_earlier_lock_keeps_apart_is_no_collision() {
    let all = collisions(&table("1.5.05")).unwrap();
    // PAGE.ADD holds the TDR alone all the while, so AUG never gets as far as the page.
    let tdr = ("TDR", Mode::Shared, Mode::Exclusive);
    assert_eq!(find(&all, "TDH.MEM.PAGE.AUG", "TDH.MEM.PAGE.ADD"), [tdr]);
}

#[test]
fn the_pair_that_refutes_the_claim_meets_before_finalize_and_only_there() {
    let (table, kernel) = (table("1.5.05"), kernel("6.16"));
    let all = collisions(&table).unwrap();
    let callers = callers(&table, &kernel).unwrap();
    let collision = all
        .iter()
        .find(|found| found.loser == "TDH.MEM.RANGE.BLOCK" && found.holder == "TDH.VP.INIT@1");
    let collision = collision.unwrap();
    assert_eq!(collision.status, StatusWord(0x8000_0200_0000_0002));
    let together: Vec<_> = meetings(collision, &callers)
        .into_iter()
        .filter(|meeting| meeting.apart.is_none())
        .map(|meeting| (meeting.holder.name.clone(), meeting.holder.is_hypothetical))
        .collect();
    assert!(
        together.contains(&("KVM_TDX_INIT_VCPU".into(), false)),
        "{together:?}"
    );
    assert!(
        together.contains(&("any-tdr-exclusive".into(), true)),
        "{together:?}"
    );
}

#[test]
fn mmu_lock_keeps_the_zap_and_the_fault_apart() {
    let (table, kernel) = (table("1.5.05"), kernel("6.16"));
    let callers = callers(&table, &kernel).unwrap();
    let who = |leaf: &str| callers.iter().find(|caller| caller.leaf == leaf).unwrap();
    let (zap, fault) = (who("TDH.MEM.RANGE.BLOCK"), who("TDH.MEM.PAGE.AUG"));
    let kept = apart(zap, fault, Resource::SeptTree);
    let lock = Apart::Lock(KvmLock::MmuLock, KvmMode::Write, KvmMode::Read);
    assert_eq!(kept, Some(lock));
    assert_eq!(
        apart(fault, fault, Resource::SeptEntry),
        Some(Apart::FrozenSpte)
    );
    assert_eq!(apart(fault, fault, Resource::SeptTree), None);
    assert_eq!(who("TDH.MEM.TRACK").when, When::AfterFinalize);
    assert_eq!(zap.when, When::Always);
    let ioctl = who("TDH.VP.INIT@1");
    assert_eq!(apart(ioctl, fault, Resource::Tdr), Some(Apart::Finalize));
}

#[test]
fn the_rows_allow_everything_that_a_system_requires_to_be_seen() {
    use seamcheck_model::property::Witness;
    for (module, _) in builtin::MODULES {
        let (table, kernel) = (table(module), kernel("6.16"));
        let all = collisions(&table).unwrap();
        let reductions = Reductions {
            share_equal: false,
            ..Reductions::ALL
        };
        let scenario = Scenario {
            vcpus: 2,
            ..Scenario::default()
        };
        let system = System::new(&table, &kernel, kernel.decisions, scenario, reductions);
        let system = system.unwrap();
        let key = |leaf: seamcheck_model::module::LeafId| {
            system.code.leaves[usize::from(leaf.0)].key.as_str()
        };
        for witness in &system.observations.required {
            let Witness::Busy(pair) = witness else {
                continue;
            };
            let there = all.iter().any(|found| {
                found.loser == key(pair.loser)
                    && found.holder == key(pair.holder)
                    && found.lock == pair.resource
            });
            assert!(there, "{module}: {witness:?}");
        }
    }
}
