//! A second zapper: kept away by mmu_lock it changes nothing, and without it everything.

#![allow(clippy::unwrap_used)]

mod common;

use common::same::same;
use common::{Ask, profile, table, walk};
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{ConfigError, Reductions, State, System};

/// Two zappers and one vCPU, which accepts pages and does nothing else.
fn two(pages: usize, memory: Memory) -> Scenario {
    Scenario {
        zappers: 2,
        pages,
        inodes: pages,
        attr: false,
        zero_step: false,
        memory,
        ..Scenario::default()
    }
}

fn build(kernel: &KernelProfile, scenario: Scenario) -> Result<System, ConfigError> {
    let table = table("1.5.05").unwrap();
    System::new(&table, kernel, kernel.decisions, scenario, Reductions::ALL)
}

/// 6.16 without mmu_lock around a hole punch, or with it for read.
fn unlocked(mode: Option<&str>) -> KernelProfile {
    let mut kernel = profile("6.16").unwrap();
    kernel.release("mmu_lock@zap").unwrap();
    if let Some(mode) = mode {
        kernel.hold(&format!("mmu_lock:{mode}@zap")).unwrap();
    }
    kernel
}

/// How many zappers have begun and not ended.
fn at_work(system: &System, state: &State) -> usize {
    let works = |part: &Part| state.shared.control(*part).line != 0;
    system.zappers().filter(works).count()
}

#[test]
fn mmu_lock_keeps_two_removals_apart_and_the_claim_holds() {
    let kernel = profile("6.16").unwrap();
    for (pages, memory) in [
        (1, Memory::Sc),
        (2, Memory::Sc),
        (1, Memory::Tso),
        (2, Memory::Tso),
    ] {
        let system = build(&kernel, two(pages, memory)).unwrap();
        let (mut most, mut second) = (0, false);
        let found = walk(
            &system,
            |state| {
                most = most.max(at_work(&system, state));
                second |= state.shared.control(Part::Thread0).line != 0;
            },
            |_, _, _| {},
        );
        assert_eq!((most, second), (1, true));
        assert_eq!(found.broken.len(), 0, "{:?}", found.broken);
        assert!(!found.overflowed);
    }
}

#[test]
fn two_removals_under_mmu_lock_for_read_meet_but_never_on_one_page() {
    for mode in [None, Some("read")] {
        let scenario = Scenario {
            accept: false,
            ..two(2, Memory::Sc)
        };
        let system = build(&unlocked(mode), scenario).unwrap();
        let mut met = false;
        let found = walk(
            &system,
            |state| {
                let [one, other] = [Part::Zapper, Part::Thread0].map(|part| {
                    let control = state.shared.control(part);
                    (control.op != 0).then_some(control.page)
                });
                met |= one.is_some() && other.is_some();
                assert!(one.is_none() || one != other, "{state:?}");
            },
            |_, _, _| {},
        );
        assert!(met);
        for property in [
            Property::NoSecondBusy,
            Property::NoVcpuInside,
            Property::EpochEmpty,
            Property::FlagUnderMmuLock,
        ] {
            assert!(found.broken.contains(&property), "{property:?}");
        }
    }
}

#[test]
fn two_zappers_are_the_same_without_any_reduction() {
    for memory in [Memory::Sc, Memory::Tso] {
        let mut ask = Ask::claim().unwrap();
        ask.scenario = two(1, memory);
        assert_eq!(same(&ask, Reductions::NONE).broken.len(), 0);
    }
}

#[test]
fn what_is_kept_for_one_kick_only_is_refused_beside_two() {
    let kernel = profile("6.16").unwrap();
    let refused = |change: fn(&mut Scenario)| {
        let mut scenario = two(1, Memory::Sc);
        change(&mut scenario);
        build(&kernel, scenario).unwrap_err().to_string()
    };
    let late = "late is modelled beside one zapper only: its kick's reading of vcpu->cpu or of \
                their number is kept once";
    assert_eq!(refused(|scenario| scenario.late = true), late);
    assert!(refused(|scenario| scenario.migrate = true).starts_with("migrate is modelled"));
    assert_eq!(
        refused(|scenario| scenario.zappers = 3),
        "3 zappers asked for, at most 2 are possible"
    );
    assert_eq!(
        refused(|scenario| scenario.zappers = 0),
        "zappers is 1 or 2; for nobody who removes pages give zap=nobody"
    );
    assert_eq!(
        refused(|scenario| scenario.threads = vec!["host-debug-read".into(); 2]),
        "2 ioctl threads asked for, at most 1 are possible"
    );
}
