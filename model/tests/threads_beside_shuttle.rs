//! An ioctl beside the zapper, in the code, under shuttle.

mod common;

use common::Outcome;
use common::beside::{INIT_VCPU, M10, asked, code, is_dead, m10, m27, others};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::status::SUCCESS;
use seamcheck_model::system::{Agent, Reductions, System};
use seamcheck_model::threads::{
    Budget, Entry, Event, Leaf, Scenario, ShuttleReport, Strategy, Version, conformance,
    run_under_shuttle,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use Property::{EpochEmpty, FlagUnderMmuLock};

/// Random schedules; what `oracle` objects to ends them.
fn schedules(
    code: &Scenario,
    property: Property,
    seed: u64,
    oracle: impl Fn(&[Entry]) -> Result<(), String> + Send + Sync + 'static,
) -> Outcome<ShuttleReport> {
    let budget = Budget {
        strategy: Strategy::Random,
        schedules: 1_000,
        seed,
    };
    let code = Scenario {
        vcpus: code.vcpus,
        beside: code.beside,
        module: code.module,
        ..Scenario::whole(code.decisions, code.vcpus, code.laps)
    };
    Ok(run_under_shuttle(&code, property, &budget, oracle)?)
}

/// The packed model of an ioctl beside the zapper, a step at a time.
fn model(kernel: &KernelProfile, threads: &[&str], module: Version) -> Outcome<System> {
    let table = common::table(module.key())?;
    let asked = scenario::Scenario {
        exit_reason: true,
        ..asked(threads)
    };
    let decisions = kernel.decisions;
    Ok(System::new(
        &table,
        kernel,
        decisions,
        asked,
        Reductions::NONE,
    )?)
}

/// When TDH.VP.INIT is called: before a removal, during it, or after it.
fn when(journal: &[Entry]) -> BTreeSet<&'static str> {
    let (mut when, mut during) = (BTreeSet::new(), "before");
    for entry in journal {
        match entry.event {
            Event::BeginZap { .. } => during = "during",
            Event::Unlock => during = "after",
            Event::Call {
                leaf: Leaf::Init, ..
            } => {
                when.insert(during);
            }
            _ => {}
        }
    }
    when
}

/// That 6.19 holds says something: ioctl and removal meet, each is done, and it is mmu_lock that makes one
/// wait for the other.
#[test]
fn in_6_19_vcpus_are_initialized_before_a_removal_and_after_it_and_in_m27_during_it() -> Outcome<()>
{
    for (kernel, expected) in [
        (common::profile("6.19")?, &["after", "before"][..]),
        (m27()?, &["after", "before", "during"]),
    ] {
        let seen: Arc<Mutex<BTreeSet<&'static str>>> = Arc::default();
        let also = Arc::clone(&seen);
        let is_whole = kernel.name == "6.19" && expected.len() == 2;
        let oracle = move |journal: &[Entry]| {
            also.lock().expect("not poisoned").extend(when(journal));
            let done = |agent| {
                let own = journal.iter().filter(|entry| entry.agent == agent);
                own.filter(|entry| entry.event == Event::Returned(SUCCESS))
                    .count()
            };
            // BLOCK and REMOVE; TDH.VP.INIT three times.
            let both = (done(Agent::Zapper), done(Agent::Thread(0)));
            match both {
                (2, 3) => Ok(()),
                _ if !is_whole => Ok(()),
                _ => Err(format!("{both:?}")),
            }
        };
        let report = schedules(&code(&kernel, INIT_VCPU, 3)?, FlagUnderMmuLock, 1, oracle)?;
        assert_eq!(report.objection, None);
        assert_eq!(report.schedules, 1_000);
        let seen: Vec<_> = seen.lock().expect("not poisoned").iter().copied().collect();
        assert_eq!(seen, expected);
    }
    Ok(())
}

#[test]
fn every_schedule_beside_an_ioctl_is_inside_the_model() -> Outcome<()> {
    let (merged, fixed) = (common::profile("6.16")?, common::profile("6.19")?);
    let whole: &[&str] = &["KVM_TDX_INIT_VCPU:create", "KVM_TDX_INIT_VCPU:write"];
    let two: &[&str] = &["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU"];
    for (kernel, threads) in [
        (&merged, INIT_VCPU),
        (&merged, whole),
        (&merged, two),
        (&fixed, INIT_VCPU),
        (&fixed, whole),
        (&fixed, two),
        (&m27()?, INIT_VCPU),
        (&m27()?, two),
        (&common::profile("patch-v1")?, M10),
        (&m10()?, M10),
    ] {
        for module in [Version::V1_5_05, Version::V2_0_12] {
            let mut code = code(kernel, threads, 3)?;
            code.module = module;
            let model = model(kernel, threads, module)?;
            let oracle = move |journal: &[Entry]| {
                conformance::check(&model, journal).map_err(|found| found.to_string())
            };
            // Nothing that any of these breaks: each goes on to its end.
            let report = schedules(&code, EpochEmpty, 3, oracle)?;
            let what = format!("{} {threads:?} {module:?}", kernel.name);
            assert_eq!(report.objection.map(|found| found.0), None, "{what}");
            assert_eq!((report.schedules, report.given_up), (1_000, 0), "{what}");
        }
    }
    Ok(())
}

/// The check can fail: another decision, and another lock of the ioctl's.
#[test]
fn code_and_model_of_another_kernel_part() -> Outcome<()> {
    for (of, the_code) in others()? {
        let code = code(&the_code, INIT_VCPU, 1)?;
        let model = model(&of, INIT_VCPU, Version::V1_5_05)?;
        let oracle = move |journal: &[Entry]| {
            conformance::check(&model, journal).map_err(|found| found.to_string())
        };
        assert!(
            schedules(&code, FlagUnderMmuLock, 1, oracle)?
                .objection
                .is_some()
        );
    }
    Ok(())
}

/// The other way of M10, in a VM that is alive: KVM tolerates the error, drops mmu_lock, and the flag stays
/// up.
#[test]
fn a_flag_is_left_up_by_an_error_that_kvm_tolerates() -> Outcome<()> {
    let code = code(&m10()?, M10, 1)?;
    let report = schedules(&code, FlagUnderMmuLock, 1, |_| Ok(()))?;
    let (_, journal) = report.violation.ok_or("not found")?;
    let mut up = false;
    let left_up = journal.iter().position(|entry| {
        if let Event::StoreFlag(value) = entry.event {
            up = value;
        }
        up && matches!(entry.event, Event::Unlock | Event::BugOn)
    });
    let left_up = left_up.ok_or("the flag is down")?;
    assert_eq!(journal[left_up].event, Event::Unlock);
    assert!(!is_dead(&journal[..left_up]));
    Ok(())
}
