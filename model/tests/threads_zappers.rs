//! Two zappers in the code, each with a page in an inode of its own.

mod common;

use common::Outcome;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::system::{Agent, Reductions, System};
use seamcheck_model::threads::conformance::{self, Conformance, Held};
use seamcheck_model::threads::{
    Bounds, Budget, Entry, Event, FirstCall, Guest, LoomError, LoomReport, Memory, Scenario,
    ShuttleReport, Strategy, Window, Zappers, run_under_loom, run_under_loom_held,
    run_under_shuttle,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a change is made to 6.16's page removal: M13 without mmu_lock, M14 with it for read.
const M13: &[&str] = &["mmu_lock@zap"];
const M14: &[&str] = &["mmu_lock@zap", "mmu_lock:read@zap"];
const MERGED: &[&str] = &[];

fn kernel(changes: &[&str]) -> Outcome<KernelProfile> {
    let mut kernel = common::profile("6.16")?;
    for change in changes {
        match change.contains(':') {
            true => kernel.hold(change)?,
            false => kernel.release(change)?,
        }
    }
    Ok(kernel)
}

/// Two zappers under loom, whose guest only leaves.
fn under_loom(kernel: &KernelProfile, window: Window) -> Outcome<Scenario> {
    Ok(Scenario {
        zappers: Zappers::new(2, kernel.zap.locks)?,
        laps: 1,
        first_call: match window {
            Window::Whole => FirstCall::Made,
            _ => FirstCall::WasBusyOnEntry,
        },
        guest: Guest::Script(&[]),
        ..Scenario::of_window(kernel.decisions, window)
    })
}

fn under_shuttle(kernel: &KernelProfile, vcpus: usize) -> Outcome<Scenario> {
    Ok(Scenario {
        zappers: Zappers::new(2, kernel.zap.locks)?,
        ..Scenario::whole(kernel.decisions, vcpus, 3)
    })
}

/// Schedules of the code against the model of a kernel, until they part. Nothing else ends the run: no vCPU
/// enters untested.
fn schedules(code: &Scenario, of: &KernelProfile, schedules: usize) -> Outcome<ShuttleReport> {
    let about = scenario::Scenario {
        vcpus: code.vcpus,
        zappers: 2,
        pages: 2,
        inodes: 2,
        exit_reason: true,
        ..scenario::Scenario::default()
    };
    let table = common::table(code.module.key())?;
    let model = System::new(&table, of, of.decisions, about, Reductions::NONE)?;
    let oracle = move |journal: &[Entry]| {
        conformance::check(&model, journal).map_err(|found| found.to_string())
    };
    let budget = Budget {
        strategy: Strategy::Random,
        schedules,
        seed: 1,
    };
    let property = Property::FlagTested;
    Ok(run_under_shuttle(code, property, &budget, oracle)?)
}

/// loom's executions against the model of a kernel.
fn executions(
    code: &Scenario,
    of: &KernelProfile,
    memory: Memory,
    preemptions: Option<usize>,
) -> Outcome<(LoomReport, Conformance)> {
    let model = Scenario {
        decisions: of.decisions,
        zappers: Zappers::new(2, of.zap.locks)?,
        ..*code
    };
    let held = Held::new(&common::table(code.module.key())?, of, &model, memory)?;
    let bounds = Bounds {
        executions: 10_000,
        preemptions,
    };
    let report = run_under_loom_held(code, memory, Property::FlagTested, bounds, held)?;
    let conformance = report.conformance.clone().ok_or("nothing was held")?;
    Ok((report, conformance))
}

#[test]
fn every_schedule_of_two_zappers_is_inside_the_model() -> Outcome<()> {
    for changes in [MERGED, M13, M14] {
        let kernel = kernel(changes)?;
        for (vcpus, zaps) in [(1, 1), (1, 2), (2, 1)] {
            let code = Scenario {
                zaps,
                ..under_shuttle(&kernel, vcpus)?
            };
            let report = schedules(&code, &kernel, 500)?;
            assert_eq!(report.objection, None, "{changes:?}");
            assert_eq!((report.schedules, report.given_up), (500, 0));
            assert!(report.second_calls > 0 && report.turned_back > 0);
        }
    }
    Ok(())
}

/// 6.16 keeps its properties; M13 and M14 lose what the model says they lose.
#[test]
fn two_zappers_without_mmu_lock_for_write_are_seen_to_break_what_the_model_says() -> Outcome<()> {
    let seen = |changes| -> Outcome<[bool; 4]> {
        let kernel = kernel(changes)?;
        let report = schedules(&under_shuttle(&kernel, 1)?, &kernel, 500)?;
        Ok([
            Property::NoSecondBusy,
            Property::NoVcpuInside,
            Property::EpochEmpty,
            Property::NoBugOn,
        ]
        .map(|property| report.met.violates(property)))
    };
    assert_eq!(seen(MERGED)?, [false; 4]);
    assert_eq!(seen(M13)?, [true; 4]);
    assert_eq!(seen(M14)?, [true; 4]);
    Ok(())
}

#[test]
fn the_code_of_other_locks_or_another_protocol_is_not_inside_the_model() -> Outcome<()> {
    for (code, model) in [(MERGED, M14), (M13, MERGED), (M13, M14), (M14, MERGED)] {
        let (code, model) = (under_shuttle(&kernel(code)?, 1)?, kernel(model)?);
        let report = schedules(&code, &model, 100)?;
        assert!(report.objection.is_some());
    }
    for changes in [MERGED, M13] {
        for (decision, value) in [
            ("kick", "request-no-wait"),
            ("flag_clear", "before-retry"),
            ("track_kick", "absent"),
        ] {
            let (mut other, model) = (kernel(changes)?, kernel(changes)?);
            other.decisions.set(decision, value)?;
            let report = schedules(&under_shuttle(&other, 1)?, &model, 500)?;
            assert!(report.objection.is_some(), "{decision} = {value}");
        }
    }
    Ok(())
}

#[test]
fn two_zappers_under_loom_are_inside_the_model_on_both_memories() -> Outcome<()> {
    for changes in [MERGED, M13, M14] {
        let kernel = kernel(changes)?;
        let code = under_loom(&kernel, Window::Whole)?;
        for memory in [Memory::SequentiallyConsistent, Memory::Weak] {
            let (report, conformance) = executions(&code, &kernel, memory, Some(2))?;
            assert_eq!(conformance.divergence, None, "{changes:?}, {memory:?}");
            let inside = conformance.in_order + conformance.by_program_order;
            assert_eq!(inside, report.executions, "{changes:?}, {memory:?}");
            assert!(report.second_calls > 0);
        }
    }
    Ok(())
}

/// Both are behind a first call that the guest's lock on the entry made BUSY; the model comes there.
#[test]
fn a_window_of_two_zappers_begins_where_the_model_comes_to() -> Outcome<()> {
    for changes in [M13, M14] {
        let kernel = kernel(changes)?;
        let code = under_loom(&kernel, Window::Block)?;
        let memory = Memory::SequentiallyConsistent;
        let (_, conformance) = executions(&code, &kernel, memory, Some(1))?;
        assert!(conformance.start_is_reached, "{changes:?}");
        assert_eq!(conformance.divergence, None, "{changes:?}");
    }
    Ok(())
}

/// No vCPU is needed for that: neither has kept the other out.
#[test]
fn two_zappers_without_mmu_lock_make_each_other_busy_with_no_vcpu() -> Outcome<()> {
    let violated = |changes| -> Outcome<bool> {
        let code = Scenario {
            vcpus: 0,
            ..under_loom(&kernel(changes)?, Window::Whole)?
        };
        let bounds = Bounds {
            executions: 10_000,
            preemptions: Some(1),
        };
        let memory = Memory::SequentiallyConsistent;
        let report = run_under_loom(&code, memory, Property::NoSecondBusy, bounds)?;
        Ok(report.violation.is_some())
    };
    assert!(violated(M13)? && violated(M14)?);
    assert!(!violated(MERGED)?);
    Ok(())
}

/// With no vCPU loom's search has an end, and what all executions come to is what the model comes to.
#[test]
fn two_zappers_alone_come_to_the_outcomes_of_the_model() -> Outcome<()> {
    let kernel = kernel(MERGED)?;
    let code = Scenario {
        vcpus: 0,
        ..under_loom(&kernel, Window::Whole)?
    };
    let memory = Memory::SequentiallyConsistent;
    let (_, conformance) = executions(&code, &kernel, memory, None)?;
    let outcomes = conformance.outcomes.ok_or("no outcomes")?;
    assert!(outcomes.agree(), "{outcomes:?}");
    assert_eq!(outcomes.code, 1);
    Ok(())
}

#[test]
fn another_zappers_locks_are_a_divergence_under_loom() -> Outcome<()> {
    for (code, model) in [(MERGED, M14), (M13, MERGED), (M14, M13)] {
        let (code, model) = (under_loom(&kernel(code)?, Window::Whole)?, kernel(model)?);
        let memory = Memory::SequentiallyConsistent;
        let (_, conformance) = executions(&code, &model, memory, Some(1))?;
        assert!(conformance.divergence.is_some());
    }
    Ok(())
}

#[test]
fn what_two_zappers_can_not_do_under_loom_is_refused() -> Outcome<()> {
    let merged = kernel(MERGED)?;
    let refused = |code: &Scenario| {
        let bounds = Bounds {
            executions: 1,
            preemptions: Some(0),
        };
        run_under_loom(code, Memory::Weak, Property::NoSecondBusy, bounds)
    };
    let window = under_loom(&merged, Window::Block)?;
    assert_eq!(refused(&window), Err(LoomError::Window));
    let many = Scenario {
        vcpus: 4,
        ..under_loom(&merged, Window::Whole)?
    };
    let too_many = LoomError::TooManyThreads { given: 4, most: 3 };
    assert_eq!(refused(&many), Err(too_many.clone()));
    let said = "4 vCPUs asked for; loom runs at most 3 beside the zappers, shuttle runs more";
    assert_eq!(too_many.to_string(), said);
    Ok(())
}

/// Each CPU that sends has call data of its own: the second IPI does not wait for the first one's handler.
#[test]
fn an_ipi_of_each_zapper_can_wait_for_the_same_vcpu() -> Outcome<()> {
    let kernel = kernel(M13)?;
    let both = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&both);
    let oracle = move |journal: &[Entry]| {
        let (mut is_off, mut waits) = (false, Vec::new());
        for entry in journal {
            match (entry.agent, entry.event) {
                (Agent::Vcpu(_), Event::IrqDisable) => is_off = true,
                (Agent::Vcpu(_), Event::IrqEnable) => (is_off, waits) = (false, Vec::new()),
                (agent, Event::Sent { .. }) if is_off => waits.push(agent),
                _ => {}
            }
            if waits.contains(&Agent::Zapper) && waits.contains(&Agent::Thread(0)) {
                seen.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    let budget = Budget {
        strategy: Strategy::Random,
        schedules: 500,
        seed: 1,
    };
    let code = under_shuttle(&kernel, 1)?;
    run_under_shuttle(&code, Property::FlagTested, &budget, oracle)?;
    assert!(both.load(Ordering::Relaxed));
    Ok(())
}
