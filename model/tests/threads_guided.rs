//! The model is inside the code: each transition of the packed model, driven through the code.

mod common;

use common::Outcome;
use rustc_hash::FxHashMap;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario;
use seamcheck_model::system::labels::guest;
use seamcheck_model::system::{Agent, Reductions, State, System};
use seamcheck_model::threads::conformance::entry_of;
use seamcheck_model::threads::guided::{Followed, follow};
use seamcheck_model::threads::{Entry, Event, Scenario};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

fn model(decisions: Decisions, vcpus: usize) -> Outcome<System> {
    let scenario = scenario::Scenario {
        vcpus,
        exit_reason: true,
        ..scenario::Scenario::default()
    };
    let (table, kernel) = (common::table("1.5.05")?, common::profile("6.16")?);
    Ok(System::new(
        &table,
        &kernel,
        decisions,
        scenario,
        Reductions::NONE,
    )?)
}

/// A request or thread work is never pending in the code.
fn is_beyond_the_code(event: Event) -> bool {
    event == Event::ExitRequest(2)
}

struct Reached {
    /// From where and by which event each state was first reached.
    from: Vec<(usize, Option<Entry>)>,
    /// Every visible transition: source state and event.
    transitions: Vec<(usize, Entry)>,
}

/// Everything within one removal, breadth first.
fn reach(system: &System) -> Reached {
    let start = (system.initial(), false);
    let mut known: FxHashMap<(State, bool), usize> = FxHashMap::default();
    known.insert(start, 0);
    let mut reached = Reached {
        from: vec![(0, None)],
        transitions: Vec::new(),
    };
    let mut queue = VecDeque::from([(start, 0)]);
    while let Some(((state, begun), index)) = queue.pop_front() {
        system.successors(&state, |step, next| {
            let entry = entry_of(system, &state, &step, &next);
            let begins = entry.is_some_and(|entry| entry.event == Event::BeginZap);
            if entry.is_some_and(|entry| is_beyond_the_code(entry.event)) || (begins && begun) {
                return;
            }
            if let Some(entry) = entry {
                reached.transitions.push((index, entry));
            }
            let key = (next, begun || begins);
            if !known.contains_key(&key) {
                let number = known.len();
                known.insert(key, number);
                reached.from.push((index, entry));
                queue.push_back((key, number));
            }
        });
    }
    reached
}

fn path(reached: &Reached, mut at: usize) -> Vec<Entry> {
    let mut path = Vec::new();
    while at != 0 {
        let (from, entry) = reached.from[at];
        path.extend(entry);
        at = from;
    }
    path.reverse();
    path
}

fn laps(path: &[Entry]) -> usize {
    1 + path
        .iter()
        .filter(|entry| entry.event == Event::IrqDisable)
        .count()
}

/// Drives the code along every path, and gives back what it did with each.
fn drive(
    decisions: Decisions,
    vcpus: usize,
    paths: Vec<Vec<Entry>>,
) -> Vec<(Vec<Entry>, Followed)> {
    let mut by_laps: BTreeMap<usize, Vec<Vec<Entry>>> = BTreeMap::new();
    for path in paths {
        by_laps.entry(laps(&path)).or_default().push(path);
    }
    let mut driven = Vec::new();
    for (laps, paths) in by_laps {
        let code = Scenario::whole(decisions, vcpus, laps);
        let followed = follow(&code, paths.clone());
        driven.extend(paths.into_iter().zip(followed));
    }
    driven
}

/// The one difference in granularity: in the model an IPI that is sent can be on its way for a while, when
/// another interrupt ends the guest or the vCPU closes interrupts and enters. The code's arrives at once: it
/// ends that guest, or is taken before that entry.
fn is_ipi_on_its_way(wanted: Event, made: Option<Event>) -> bool {
    let is_interrupt = |event| {
        let outcomes = [guest::KICKED, guest::INTERRUPT];
        matches!(event, Event::Guest { outcome, .. } if outcomes.contains(&outcome))
    };
    is_interrupt(wanted) && made.is_some_and(is_interrupt)
}

/// How many paths the code followed to their end; the others have to be explained.
fn followed(driven: &[(Vec<Entry>, Followed)]) -> usize {
    let mut count = 0;
    for (path, followed) in driven {
        let Some((wanted, made)) = followed.instead else {
            assert!(followed.ended && followed.events == path.len(), "{path:?}");
            count += 1;
            continue;
        };
        let made = made.map(|entry| entry.event);
        assert!(
            is_ipi_on_its_way(wanted.event, made),
            "after {} events: {wanted} wanted, {made:?} made:\n{}",
            followed.events,
            path.iter()
                .map(|entry| format!("{entry}\n"))
                .collect::<String>()
        );
    }
    count
}

#[test]
fn the_code_can_take_every_transition_of_the_model_within_one_removal() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let reached = reach(&model(decisions, 1)?);
    let paths = reached.transitions.iter().map(|(from, entry)| {
        let mut path = path(&reached, *from);
        path.push(*entry);
        path
    });
    let driven = drive(decisions, 1, paths.collect());
    assert_eq!((reached.from.len(), driven.len()), (22_089, 29_793));
    assert_eq!(followed(&driven), 29_769);
    Ok(())
}

/// The vCPU a step of the kick is about.
fn kicked(entry: Option<Entry>) -> Option<u8> {
    match entry?.event {
        Event::Visited { vcpu, .. } | Event::Sent { vcpu } => Some(vcpu),
        _ => None,
    }
}

/// A walk of the model's, one transition at random after the other, within one removal.
fn walk(system: &System, seed: u64, steps: usize) -> Vec<Entry> {
    let (mut state, mut path, mut begun) = (system.initial(), Vec::new(), false);
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for _ in 0..steps {
        let mut possible = Vec::new();
        system.successors(&state, |step, next| {
            let entry = entry_of(system, &state, &step, &next);
            let begins = entry.is_some_and(|entry| entry.event == Event::BeginZap);
            let beyond = entry.is_some_and(|entry| is_beyond_the_code(entry.event));
            if !(beyond || begins && begun) {
                possible.push((entry, next, begins));
            }
        });
        // The kick's walk takes vCPUs in any order in the model, which names none, in theirs in the code.
        let first = possible
            .iter()
            .filter_map(|(entry, ..)| kicked(*entry))
            .min();
        possible.retain(|(entry, ..)| kicked(*entry).is_none_or(|vcpu| Some(vcpu) == first));
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let Some(index) = (random as usize).checked_rem(possible.len()) else {
            break;
        };
        let (entry, next, begins) = possible[index];
        path.extend(entry);
        (state, begun) = (next, begun || begins);
    }
    path
}

#[test]
fn the_code_can_follow_two_vcpus_on_random_walks_of_the_model() -> Outcome<()> {
    let decisions = common::profile("6.16")?.decisions;
    let system = model(decisions, 2)?;
    let paths: Vec<Vec<Entry>> = (1..=3_000).map(|seed| walk(&system, seed, 400)).collect();
    let pairs: BTreeSet<String> = paths
        .iter()
        .flat_map(|path| path.windows(2))
        .filter(|pair| pair[0].agent != pair[1].agent)
        .map(|pair| format!("{:?} {:?}", pair[0].event, pair[1].event))
        .collect();
    let driven = drive(decisions, 2, paths);
    let count = followed(&driven);
    assert!(count > 2_500, "{count} of {}", driven.len());
    assert!(
        pairs.len() > 2_000,
        "{} pairs of steps side by side",
        pairs.len()
    );
    Ok(())
}

/// The shortest path to a second call that is busy.
fn counterexample(reached: &Reached) -> Option<Vec<Entry>> {
    reached.transitions.iter().find_map(|(from, entry)| {
        let Event::Returned(status) = entry.event else {
            return None;
        };
        if entry.agent != Agent::Zapper || !status.is_operand_busy() {
            return None;
        }
        let mut path = path(reached, *from);
        let is_call = |entry: &&Entry| {
            entry.agent == Agent::Zapper && matches!(entry.event, Event::Call { .. })
        };
        let call = path.iter().rev().find(is_call)?;
        let no_fail = matches!(call.event, Event::Call { no_fail: true, .. });
        path.push(*entry);
        no_fail.then_some(path)
    })
}

#[test]
fn a_counterexample_of_the_model_is_a_failing_run_of_the_code() -> Outcome<()> {
    for (decision, value) in [
        ("flag_raise", "after-kick"),
        ("flag_raise", "never"),
        ("flag_clear", "before-retry"),
        ("kick", "none"),
        ("kick", "request-no-wait"),
        ("vcpu_flag_test", "absent"),
        ("vcpu_flag_test", "before-mode-store"),
        ("mode_outside", "before-vp-enter"),
        ("irq_disable", "after-flag-test"),
    ] {
        let mut decisions = common::profile("6.16")?.decisions;
        decisions.set(decision, value)?;
        let reached = reach(&model(decisions, 1)?);
        let path = counterexample(&reached).ok_or(decision)?;
        let driven = drive(decisions, 1, vec![path]);
        assert_eq!(followed(&driven), 1, "{decision} = {value}");
        let violated = driven[0].1.met.violates(Property::NoSecondBusy);
        assert!(violated, "{decision} = {value}");
    }
    Ok(())
}
