//! loom's executions beside what only some scenarios have, each held against the packed model: vCPUs that
//! move, that are created late, that sleep on the flag or have a request bit, and kicks by others.

mod common;

use common::Outcome;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::threads::conformance::{Conformance, Held};
use seamcheck_model::threads::{Bounds, Memory, Scenario, Window, run_under_loom_held};

use Memory::{SequentiallyConsistent, Weak};
use Window::{Block, Remove, Track};

/// What the code of one scenario comes to, held against the model of another.
fn held(code: &Scenario, model: &Scenario, memory: Memory) -> Outcome<Conformance> {
    bounded(code, model, memory, None)
}

fn bounded(
    code: &Scenario,
    model: &Scenario,
    memory: Memory,
    preemptions: Option<usize>,
) -> Outcome<Conformance> {
    let (table, kernel) = (common::table(code.module.key())?, common::profile("6.16")?);
    let held = Held::new(&table, &kernel, model, memory)?;
    let bounds = Bounds {
        executions: 200_000,
        preemptions,
    };
    // Nothing here violates it: every execution is made.
    let property = Property::FlagUnderMmuLock;
    let report = run_under_loom_held(code, memory, property, bounds, held)?;
    assert!(!report.capped && report.gave_up.is_none() && report.violation.is_none());
    Ok(report.conformance.ok_or("nothing was held")?)
}

/// In order, by program order, weaker than x86, undecided.
fn counts(found: &Conformance) -> [usize; 4] {
    [
        found.in_order,
        found.by_program_order,
        found.weaker_than_x86,
        found.undecided,
    ]
}

fn merged(window: Window) -> Outcome<Scenario> {
    Ok(Scenario::of_window(
        common::profile("6.16")?.decisions,
        window,
    ))
}

fn moves(window: Window) -> Outcome<Scenario> {
    Ok(Scenario {
        migrate: true,
        ..merged(window)?
    })
}

fn late(window: Window) -> Outcome<Scenario> {
    Ok(Scenario {
        late: true,
        ..merged(window)?
    })
}

fn kicked_by_others(window: Window) -> Outcome<Scenario> {
    Ok(Scenario {
        foreign_kick: true,
        laps: 1,
        ..merged(window)?
    })
}

fn changed(code: Scenario, decision: &str, value: &str) -> Outcome<Scenario> {
    let mut changed = code;
    changed.decisions.set(decision, value)?;
    Ok(changed)
}

fn of_the_rfc(window: Window) -> Outcome<Scenario> {
    let decisions = common::profile("rfc-request-bit")?.decisions;
    Ok(Scenario::of_window(decisions, window))
}

#[test]
fn what_moves_sleeps_or_is_kicked_by_others_is_inside_the_model() -> Outcome<()> {
    let asleep = |window| changed(merged(window)?, "flag_return", "sleep-woken");
    for (code, sequentially_consistent, weak) in [
        (moves(Block)?, 594, [1_014, 144, 0, 0]),
        (moves(Track)?, 11_281, [18_627, 6_319, 0, 0]),
        (kicked_by_others(Block)?, 5_388, [6_713, 680, 0, 0]),
        (kicked_by_others(Remove)?, 5_388, [6_713, 680, 0, 0]),
        (asleep(Block)?, 621, [1_290, 378, 0, 0]),
        (of_the_rfc(Block)?, 1_501, [1_501, 0, 0, 0]),
    ] {
        let found = held(&code, &code, SequentiallyConsistent)?;
        assert!(found.start_is_reached && found.divergence.is_none());
        assert_eq!(counts(&found), [sequentially_consistent, 0, 0, 0]);
        let found = held(&code, &code, Weak)?;
        assert_eq!(found.divergence, None, "{code:?}");
        assert_eq!(counts(&found), weak, "{code:?}");
    }
    Ok(())
}

/// A vCPU that is created late may find an empty walk, which is no barrier: M31. What loom shows of it is partly
/// weaker than x86, and never outside the model.
#[test]
fn what_is_created_late_is_inside_the_model() -> Outcome<()> {
    let code = late(Block)?;
    let found = held(&code, &code, SequentiallyConsistent)?;
    assert_eq!(counts(&found), [1_384, 0, 0, 0]);
    let compared = found.outcomes.ok_or("not compared")?;
    assert!(compared.agree(), "{compared:?}");
    assert_eq!(compared.code, 14);
    let found = held(&code, &code, Weak)?;
    assert_eq!(found.divergence, None);
    assert_eq!(counts(&found), [2_878, 30_036, 20_511, 0]);
    Ok(())
}

/// A kick may have read how many vCPUs there are while nothing of it was seen yet.
#[test]
fn two_that_are_created_late_in_the_window_of_track_are_inside_the_model() -> Outcome<()> {
    let code = Scenario {
        vcpus: 2,
        laps: 1,
        ..late(Track)?
    };
    let found = bounded(&code, &code, SequentiallyConsistent, Some(3))?;
    assert_eq!(found.divergence, None);
    assert!(found.start_is_reached && found.in_order > 0);
    Ok(())
}

/// An early look at `vcpu->cpu` may find an old one on a weak memory; x86 comes to the same by migrating later.
#[test]
fn a_cpu_that_is_read_early_is_inside_the_model_and_on_x86() -> Outcome<()> {
    let code = changed(moves(Block)?, "kick_mode_read", "cpu-before-mode")?;
    let found = held(&code, &code, SequentiallyConsistent)?;
    assert_eq!(counts(&found), [816, 0, 0, 0]);
    let found = held(&code, &code, Weak)?;
    assert_eq!(found.divergence, None);
    assert_eq!(counts(&found), [3_552, 10_040, 0, 0]);
    Ok(())
}

/// Behind a plain load `vcpu->cpu` may be old as well; a look at it is none at the mode; and somebody else's kick
/// finds what it finds, whatever the zapper's look is believed to have found.
#[test]
fn an_early_or_plain_look_beside_kicks_by_others_is_inside_the_model() -> Outcome<()> {
    let plain = |code| changed(code, "kick_mode_read", "plain-load");
    let early = |code| changed(code, "kick_mode_read", "cpu-before-mode");
    for (code, preemptions, counted) in [
        (plain(moves(Block)?)?, 2, [318, 247, 14, 0]),
        (plain(kicked_by_others(Block)?)?, 3, [3_476, 1_924, 0, 0]),
        (early(kicked_by_others(Block)?)?, 3, [453, 39, 0, 0]),
    ] {
        let found = bounded(&code, &code, Weak, Some(preemptions))?;
        assert_eq!(found.divergence, None, "{code:?}");
        assert_eq!(counts(&found), counted, "{code:?}");
    }
    Ok(())
}

/// M20 where the flag's vCPU enters again (M32): its interrupts are on as it goes round.
#[test]
fn interrupts_are_on_where_a_vcpu_goes_round_before_they_are_off() -> Outcome<()> {
    let code = changed(merged(Block)?, "irq_disable", "after-flag-test")?;
    let code = changed(code, "flag_return", "reenter-guest")?;
    let found = bounded(&code, &code, SequentiallyConsistent, Some(2))?;
    assert_eq!(found.divergence, None);
    assert_eq!(counts(&found), [23, 0, 0, 0]);
    Ok(())
}

/// Each can come out otherwise: against a model that has nothing of the kind.
#[test]
fn each_parts_from_a_model_without_it_on_both_memories() -> Outcome<()> {
    let asleep = changed(merged(Block)?, "flag_return", "sleep")?;
    let woken = changed(merged(Block)?, "flag_return", "sleep-woken")?;
    let early = changed(moves(Block)?, "kick_mode_read", "cpu-before-mode")?;
    for (code, model) in [
        (moves(Block)?, merged(Block)?),
        (late(Block)?, merged(Block)?),
        (kicked_by_others(Block)?, merged(Block)?),
        (woken, asleep),
        (early, moves(Block)?),
        (of_the_rfc(Block)?, merged(Block)?),
        (
            of_the_rfc(Block)?,
            changed(of_the_rfc(Block)?, "kick", "none")?,
        ),
    ] {
        for memory in [SequentiallyConsistent, Weak] {
            let found = held(&code, &model, memory)?;
            let what = format!("{memory:?} {code:?}");
            let (divergence, journal) = found.divergence.ok_or(what.clone())?;
            assert_eq!(journal[divergence.at], divergence.code, "{what}");
        }
    }
    Ok(())
}
