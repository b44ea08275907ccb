//! Every conflict of a lock table that a run is said to tell apart: without it, the run shows it.

mod common;
#[path = "common/pairs.rs"]
mod of_leaves;

use common::{ended, runs, search};
use of_leaves::{Pair, harmless, pairs, system, told_apart};
use seamcheck::question::Question;
use seamcheck::suite::{Form, Run};
use seamcheck_model::resource::Resource;
use std::collections::{BTreeMap, BTreeSet};

/// Runs with more states are too many to be searched once for each of their pairs.
const SMALL: u64 = 20_000;

fn question(run: &Run) -> Question {
    run.question().expect("the suite asks only what exists")
}

/// The same questions about lock tables in which the pair does not conflict.
fn altered(run: &Run, pair: &Pair) -> Vec<Question> {
    let asked = question(run);
    let tables = harmless(&asked.table, pair).into_iter();
    let ask = |table| Question {
        table,
        ..asked.clone()
    };
    tables.map(ask).collect()
}

/// The run or, when it is large, the same with a guest that does only what the pair needs.
fn trimmed(run: &Run, pair: &Pair) -> Run {
    let mut run = run.clone();
    if run.states.is_none_or(|states| states >= SMALL) {
        let needs = |leaf: &str| pair.loser.contains(leaf) || pair.holder.contains(leaf);
        run.scenario.accept = needs("TDG.MEM.PAGE.ACCEPT");
        run.scenario.attr = needs("TDG.MEM.PAGE.ATTR");
        run.scenario.zero_step = pair.lock == Resource::SeptTree;
    }
    run
}

fn seen(question: &Question) -> BTreeSet<Pair> {
    let system = system(question);
    pairs(&system, &search(&system).witnesses)
}

#[test]
fn the_program_lists_every_pair_with_the_first_run_that_tells_it_apart() {
    let listed = ended(&["list", "--pairs"]);
    assert_eq!(listed.status, Some(0), "{}", listed.err);
    let lines: BTreeSet<String> = listed.out.lines().map(common::words).collect();
    let runs = runs();
    let all = told_apart(&runs);
    for ((_, pair), told) in &all {
        let line = format!("{} {}", pair.text(), told[0].name);
        assert!(lines.contains(&line), "missing: {line}");
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (module, _) in all.keys() {
        *counts.entry(module).or_default() += 1;
    }
    assert_eq!(counts.len(), 5, "{counts:?}");
    for (module, count) in counts {
        let line = format!("{module}: {count} conflicting pairs told apart");
        assert!(lines.contains(&line), "missing: {line}");
    }
}

#[test]
fn a_pair_that_no_longer_conflicts_is_no_longer_required_to_be_seen() {
    for ((module, pair), told) in told_apart(&runs()) {
        for question in altered(told[0], &pair) {
            let system = system(&question);
            let required = pairs(&system, &system.observations.required);
            assert!(!required.contains(&pair), "{module}: {}", pair.text());
        }
    }
}

#[test]
fn a_run_shows_each_of_its_pairs_and_none_that_no_longer_conflicts() {
    let (runs, mut shown) = (runs(), BTreeMap::new());
    let all = told_apart(&runs);
    assert!(all.len() > 100, "{} pairs", all.len());
    for ((module, pair), told) in all {
        let smallest = told.into_iter().min_by_key(|run| run.states);
        let run = trimmed(smallest.expect("it was told apart"), &pair);
        let what = format!("{module}, {}: {}", run.name, pair.text());
        let question = format!("{} {:?}", run.name, run.scenario);
        let shown = shown
            .entry(question)
            .or_insert_with(|| seen(&self::question(&run)));
        assert!(shown.contains(&pair), "never: {what}");
        for question in altered(&run, &pair) {
            assert!(!seen(&question).contains(&pair), "still: {what}");
        }
    }
}

#[test]
fn a_run_sees_no_busy_that_was_not_foreseen() {
    for run in runs() {
        let small = run.states.is_some_and(|states| states < SMALL);
        if !small || run.form != Form::Packed {
            continue;
        }
        let system = system(&question(&run));
        let foreseen = pairs(&system, &system.observations.required);
        for pair in pairs(&system, &search(&system).witnesses) {
            assert!(foreseen.contains(&pair), "{}: {}", run.name, pair.text());
        }
    }
}
