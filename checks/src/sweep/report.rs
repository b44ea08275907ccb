//! A sweep as text and as JSON.

use super::plan::Together;
use super::{Cell, Failure};
use crate::exit::Exit;
use crate::report::grouped;
use seamcheck_traces::Trace;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.sweep.v1";

/// What makes two failures the same on different modules.
fn same(one: &Failure, other: &Failure) -> bool {
    one.pair == other.pair
        && one.leaf == other.leaf
        && one.status == other.status
        && one.bug_on == other.bug_on
        && one.because() == other.because()
}

/// The text; with each shortest trace drawn when `drawn` is set.
#[must_use]
pub fn human(cells: &[Cell], drawn: bool) -> String {
    let mut out = String::new();
    let mut kernels: Vec<&str> = Vec::new();
    for cell in cells {
        if !kernels.contains(&cell.kernel.as_str()) {
            kernels.push(&cell.kernel);
        }
    }
    for kernel in kernels {
        let of_kernel: Vec<&Cell> = cells.iter().filter(|cell| cell.kernel == kernel).collect();
        one_kernel(&mut out, kernel, &of_kernel, drawn);
    }
    let states: u64 = cells.iter().map(|cell| cell.states).sum();
    let searches: usize = cells.iter().map(|cell| cell.searches).sum();
    let _ = writeln!(
        out,
        "{} pairs of a kernel and a module, {} searches, {} states",
        cells.len(),
        grouped(searches as u64),
        grouped(states)
    );
    for cell in cells {
        for (pair, cut) in &cell.cut {
            let _ = writeln!(
                out,
                "not complete: {pair}, kernel {}, module {}: {}",
                cell.kernel,
                cell.module,
                cut.text()
            );
        }
    }
    out
}

fn one_kernel(out: &mut String, kernel: &str, cells: &[&Cell], drawn: bool) {
    let Some(first) = cells.first() else { return };
    let count = |wanted: fn(&Together) -> bool| {
        let pairs = first.pairs.iter();
        pairs.filter(|pair| wanted(&pair.together)).count()
    };
    let modules: Vec<&str> = cells.iter().map(|cell| cell.module.as_str()).collect();
    let _ = writeln!(
        out,
        "kernel {kernel}, module {}: {} pairs of code paths; {} run together, {} exclude each other \
         by a KVM lock, {} are never at one time",
        modules.join(", "),
        first.pairs.len(),
        count(|together| matches!(together, Together::Search(_))),
        count(|together| matches!(together, Together::Excluded(_))),
        count(|together| matches!(together, Together::NotAtOneTime)),
    );
    let mut told: Vec<&Failure> = Vec::new();
    let mut last = String::new();
    for failure in cells.iter().flat_map(|cell| &cell.failures) {
        if told.iter().any(|known| same(known, failure)) {
            continue;
        }
        told.push(failure);
    }
    if told.is_empty() {
        let _ = writeln!(out, "  no SEAMCALL that KVM can not let fail does fail");
    }
    for (names, failure) in together(told) {
        let pair = format!("{names} beside {}", failure.pair.1);
        if last != pair {
            let _ = writeln!(out, "  {pair}");
            last = pair;
        }
        let on: Vec<&str> = cells
            .iter()
            .filter(|cell| cell.failures.iter().any(|other| same(other, failure)))
            .map(|cell| cell.module.as_str())
            .collect();
        let everywhere = on.len() == cells.len();
        let _ = writeln!(
            out,
            "    {} returns {} ({})\n        because  {}\n        fires    KVM_BUG_ON in {}(), after {} transitions",
            failure.leaf,
            failure.status,
            failure.status.pretty(),
            failure.because(),
            failure.bug_on,
            failure.length,
        );
        if !everywhere {
            let _ = writeln!(out, "        only on  module {}", on.join(", "));
        }
        if drawn {
            let _ = writeln!(out, "\n{}", seamcheck_traces::race(&failure.trace));
        }
    }
    out.push('\n');
}

/// Page removals that fail alike beside the same path are told as one, in the order found.
fn together(told: Vec<&Failure>) -> Vec<(String, &Failure)> {
    let alike = |one: &Failure, other: &Failure| {
        one.pair.1 == other.pair.1
            && one.leaf == other.leaf
            && one.status == other.status
            && one.bug_on == other.bug_on
            && one.because() == other.because()
    };
    let mut groups: Vec<(Vec<&str>, &Failure)> = Vec::new();
    for failure in told {
        match groups.iter_mut().find(|(_, first)| alike(first, failure)) {
            Some((names, _)) => names.push(&failure.pair.0),
            None => groups.push((vec![&failure.pair.0], failure)),
        }
    }
    let mut named: Vec<(String, &Failure)> = groups
        .into_iter()
        .map(|(names, failure)| (names.join(", "), failure))
        .collect();
    named.sort_by_key(|(names, failure)| (failure.pair.1.clone(), names.clone(), failure.length));
    named
}

#[derive(Serialize)]
struct Sweep<'a> {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    cells: Vec<JsonCell<'a>>,
}

#[derive(Serialize)]
struct JsonCell<'a> {
    kernel: &'a str,
    module: &'a str,
    searches: usize,
    states: u64,
    seconds: f64,
    pairs: Vec<JsonPair<'a>>,
    failures: Vec<JsonFailure<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_complete: Vec<BTreeMap<&'static str, &'a str>>,
}

#[derive(Serialize)]
struct JsonPair<'a> {
    paths: [&'a str; 2],
    together: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_by: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    paths: [&'a str; 2],
    seamcall: &'a str,
    status: String,
    status_name: String,
    because: String,
    bug_on: &'a str,
    length: u64,
    trace: &'a Trace,
}

/// The same as JSON.
#[must_use]
pub fn json(cells: &[Cell], exit: Exit) -> impl Serialize {
    Sweep {
        format: FORMAT,
        tool: crate::TOOL,
        exit: exit as u8,
        cells: cells.iter().map(json_cell).collect(),
    }
}

fn json_cell(cell: &Cell) -> JsonCell<'_> {
    let pairs = cell.pairs.iter().map(|pair| JsonPair {
        paths: [&pair.one, &pair.other],
        together: match pair.together {
            Together::Search(_) => "searched",
            Together::Excluded(_) => "excluded",
            Together::NotAtOneTime => "not-at-one-time",
        },
        excluded_by: match &pair.together {
            Together::Excluded(locks) => locks.clone(),
            _ => Vec::new(),
        },
    });
    let failures = cell.failures.iter().map(|failure| JsonFailure {
        paths: [&failure.pair.0, &failure.pair.1],
        seamcall: &failure.leaf,
        status: failure.status.to_string(),
        status_name: failure.status.pretty(),
        because: failure.because(),
        bug_on: &failure.bug_on,
        length: failure.length,
        trace: &failure.trace,
    });
    let cut = cell
        .cut
        .iter()
        .map(|(pair, cut)| BTreeMap::from([("pair", pair.as_str()), ("why", cut.text())]));
    JsonCell {
        kernel: &cell.kernel,
        module: &cell.module,
        searches: cell.searches,
        states: cell.states,
        seconds: cell.elapsed.as_secs_f64(),
        pairs: pairs.collect(),
        failures: failures.collect(),
        not_complete: cut.collect(),
    }
}
