//! An ioctl beside the zapper, in the code, under loom: a TD that is not finalized, and no vCPU that runs.

mod common;

use common::Outcome;
use common::beside::{INIT_VCPU, M10, asked, code, is_dead, m10, m27, others};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::threads::conformance::{Conformance, Held};
use seamcheck_model::threads::{
    Beside, Bounds, LoomReport, Memory, Scenario, Version, run_under_loom_held,
};

use Memory::{SequentiallyConsistent, Weak};
use Property::{FlagUnderMmuLock, NoBugOn, NoSecondBusy};

const ALL: Bounds = Bounds {
    executions: 100_000,
    preemptions: None,
};

/// The code of one kernel under loom, held against the model of another.
fn held(
    of: &KernelProfile,
    code: &Scenario,
    memory: Memory,
    property: Property,
    bounds: Bounds,
) -> Outcome<LoomReport> {
    let table = common::table(code.module.key())?;
    let model = Scenario {
        decisions: of.decisions,
        ..*code
    };
    let held = Held::new(&table, of, &model, memory)?;
    Ok(run_under_loom_held(code, memory, property, bounds, held)?)
}

fn conformance_of(report: &LoomReport) -> Outcome<Conformance> {
    report
        .conformance
        .clone()
        .ok_or_else(|| "nothing was held".into())
}

#[test]
fn a_second_call_meets_tdh_vp_init_wherever_mmu_lock_does_not_keep_it_away() -> Outcome<()> {
    let (merged, v1) = (common::profile("6.16")?, common::profile("patch-v1")?);
    for (kernel, module) in [
        (&merged, Version::V1_5_05),
        (&merged, Version::V2_0_12),
        (&v1, Version::V1_5_05),
        (&m27()?, Version::V1_5_05),
    ] {
        for memory in [SequentiallyConsistent, Weak] {
            let mut code = code(kernel, INIT_VCPU, 1)?;
            code.module = module;
            for (preemptions, violated) in [(0, false), (1, false), (2, true)] {
                let bounds = Bounds {
                    preemptions: Some(preemptions),
                    ..ALL
                };
                let report = held(kernel, &code, memory, NoSecondBusy, bounds)?;
                let what = format!("{} {module:?} {memory:?} {preemptions}", kernel.name);
                assert_eq!(report.violation.is_some(), violated, "{what}");
                assert!(!is_dead(&report.violation.unwrap_or_default()), "{what}");
                assert_eq!(report.conformance.and_then(|held| held.divergence), None);
            }
        }
    }
    Ok(())
}

#[test]
fn from_6_19_on_nothing_is_busy_and_every_interleaving_is_the_models() -> Outcome<()> {
    for name in ["6.19", "next"] {
        let kernel = common::profile(name)?;
        for (laps, executions) in [(1, 9), (2, 23)] {
            for memory in [SequentiallyConsistent, Weak] {
                let code = code(&kernel, INIT_VCPU, laps)?;
                let report = held(&kernel, &code, memory, NoBugOn, ALL)?;
                let what = format!("{name} {laps} {memory:?}");
                assert_eq!(report.violation, None, "{what}");
                assert_eq!((report.executions, report.capped), (executions, false));
                assert_eq!((report.second_calls, report.met.first_busy), (0, 0));
                let found = conformance_of(&report)?;
                assert_eq!(found.in_order, executions, "{what}");
                assert!(found.start_is_reached, "{what}");
                let compared = found.outcomes.as_ref();
                assert_eq!(compared.is_some(), memory == SequentiallyConsistent);
                assert!(compared.is_none_or(|found| found.agree()), "{what}");
            }
        }
    }
    Ok(())
}

/// The check can fail: another decision, and another lock of the ioctl's.
#[test]
fn code_and_model_of_another_kernel_part() -> Outcome<()> {
    for (of, the_code) in others()? {
        let code = code(&the_code, INIT_VCPU, 1)?;
        for memory in [SequentiallyConsistent, Weak] {
            let report = held(&of, &code, memory, NoSecondBusy, ALL)?;
            assert!(conformance_of(&report)?.divergence.is_some(), "{memory:?}");
        }
    }
    Ok(())
}

/// An exclusive attempt on a word that is nothing but the host-priority mark looks twice. Somebody who comes
/// and goes in between makes it BUSY with nobody there: the model has that BUSY a moment earlier.
#[test]
fn a_refusal_between_two_looks_is_the_models_too() -> Outcome<()> {
    let kernel = common::profile("6.16")?;
    let code = code(&kernel, INIT_VCPU, 2)?;
    let report = held(
        &kernel,
        &code,
        SequentiallyConsistent,
        FlagUnderMmuLock,
        ALL,
    )?;
    let found = conformance_of(&report)?;
    assert_eq!(found.divergence, None);
    assert_eq!(found.in_order, report.executions);
    println!("{} executions", report.executions);
    Ok(())
}

/// Both ways of M10: an error that KVM tolerates, and one that it does not.
#[test]
fn a_flag_that_an_error_leaves_up_is_found_in_a_vm_that_is_alive() -> Outcome<()> {
    let (kernel, plain) = (m10()?, common::profile("patch-v1")?);
    for (kernel, violated) in [(&kernel, true), (&plain, false)] {
        for memory in [SequentiallyConsistent, Weak] {
            let bounds = Bounds {
                preemptions: Some(2),
                ..ALL
            };
            let code = code(kernel, M10, 1)?;
            let report = held(kernel, &code, memory, FlagUnderMmuLock, bounds)?;
            assert_eq!(report.violation.is_some(), violated, "{memory:?}");
            assert!(report.second_calls > 0);
            assert!(!is_dead(&report.violation.clone().unwrap_or_default()));
            assert_eq!(conformance_of(&report)?.divergence, None);
        }
    }
    Ok(())
}

#[test]
fn what_the_code_does_not_have_is_refused() -> Outcome<()> {
    let kernel = common::profile("6.19")?;
    let refused = |asked: &scenario::Scenario| {
        let refused = Beside::of(&kernel, asked).err();
        refused.map_or_else(String::new, |error| error.to_string())
    };
    let plain = asked(INIT_VCPU);
    assert_eq!(refused(&plain), "");
    let finalized = scenario::Scenario {
        finalized: true,
        ..plain.clone()
    };
    assert!(refused(&finalized).contains("finalized=false"));
    let nobody = scenario::Scenario {
        threads: Vec::new(),
        ..plain.clone()
    };
    assert!(refused(&nobody).contains("name an ioctl"));
    let zap = scenario::Scenario {
        zap: scenario::Scenario::NOBODY.to_owned(),
        ..plain
    };
    assert!(refused(&zap).contains("[zap]"));
    let three = refused(&asked(&["KVM_TDX_INIT_VCPU"; 3]));
    assert!(three.contains("at most 2"), "{three}");
    // From 6.19 on it does something else, under the same name.
    for path in ["KVM_TDX_FINALIZE_VM", "KVM_TDX_INIT_MEM_REGION", "nothing"] {
        let text = refused(&asked(&[path]));
        assert!(text.contains("does not exist as code"), "{path}: {text}");
    }
    Ok(())
}
