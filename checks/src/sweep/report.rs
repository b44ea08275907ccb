//! A sweep as text and as JSON.

use super::plan::{Party, Together};
use super::{Cell, Failure};
use crate::exit::Exit;
use crate::report::{grouped, rests_on_text};
use seamcheck_traces::Trace;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The format's name and version.
pub const FORMAT: &str = "seamcheck.sweep.v1";

/// What makes two failures the same on different modules.
fn same(one: &Failure, other: &Failure) -> bool {
    one.names == other.names && one.is_alike(other)
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
    let cut: Vec<String> = cells.iter().flat_map(not_complete).collect();
    for line in cut.iter().take(MOST) {
        let _ = writeln!(out, "{line}");
    }
    if cut.len() > MOST {
        let _ = writeln!(
            out,
            "not complete: {} more",
            grouped((cut.len() - MOST) as u64)
        );
    }
    out
}

/// Searches that were cut short, of which more are not listed one by one.
const MOST: usize = 8;

fn not_complete(cell: &Cell) -> Vec<String> {
    let Cell { kernel, module, .. } = cell;
    let each = cell.cut.iter().map(|(names, cut)| {
        let why = cut.text();
        format!("not complete: {names}, kernel {kernel}, module {module}: {why}")
    });
    each.collect()
}

fn one_kernel(out: &mut String, kernel: &str, cells: &[&Cell], drawn: bool) {
    let Some(first) = cells.first() else { return };
    let modules: Vec<&str> = cells.iter().map(|cell| cell.module.as_str()).collect();
    let _ = write!(out, "kernel {kernel}, module {}: ", modules.join(", "));
    for (size, what) in [(2, "pairs of code paths"), (3, "threes")] {
        let of_size = first
            .parties
            .iter()
            .filter(|party| party.names.len() == size);
        let count = |wanted: fn(&Together) -> bool| {
            let parties = of_size.clone();
            parties.filter(|party| wanted(&party.together)).count()
        };
        if of_size.clone().next().is_none() {
            continue;
        }
        let _ = writeln!(
            out,
            "{}{} {what}; {} run together, {} exclude each other by a KVM lock, {} are never at one time",
            if size > 2 { "  and " } else { "" },
            of_size.clone().count(),
            count(|together| matches!(together, Together::Search(_))),
            count(|together| matches!(together, Together::Excluded(_))),
            count(|together| matches!(together, Together::NotAtOneTime)),
        );
    }
    let rests_on: BTreeSet<u64> = cells
        .iter()
        .flat_map(|cell| &cell.rests_on)
        .copied()
        .collect();
    let rests_on: Vec<u64> = rests_on.into_iter().collect();
    let _ = writeln!(out, "  rests on {}", rests_on_text(&rests_on));
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
        let party = format!("{names} beside {}", failure.names[1..].join(" and "));
        if last != party {
            let _ = writeln!(out, "  {party}");
            last = party;
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

/// Page removals that fail alike beside the same paths are told as one, in the order found.
fn together(told: Vec<&Failure>) -> Vec<(String, &Failure)> {
    let mut groups: Vec<(Vec<&str>, &Failure)> = Vec::new();
    for failure in told {
        let alike =
            |first: &Failure| first.names[1..] == failure.names[1..] && first.is_alike(failure);
        match groups.iter_mut().find(|(_, first)| alike(first)) {
            Some((names, _)) => names.push(&failure.names[0]),
            None => groups.push((vec![&failure.names[0]], failure)),
        }
    }
    let mut named: Vec<(String, &Failure)> = groups
        .into_iter()
        .map(|(names, failure)| (names.join(", "), failure))
        .collect();
    named.sort_by_key(|(names, failure)| {
        let beside = failure.names[1..].to_vec();
        (beside.len(), beside, names.clone(), failure.length)
    });
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
    pairs: Vec<JsonParty<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    triples: Vec<JsonParty<'a>>,
    failures: Vec<JsonFailure<'a>>,
    rests_on: &'a BTreeSet<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_complete: Vec<BTreeMap<&'static str, &'a str>>,
}

#[derive(Serialize)]
struct JsonParty<'a> {
    paths: &'a [String],
    together: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded_by: Vec<&'static str>,
}

#[derive(Serialize)]
struct JsonFailure<'a> {
    paths: &'a [String],
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
    let of_size = |size: usize| {
        let parties = cell.parties.iter();
        parties
            .filter(move |party| party.names.len() == size)
            .map(json_party)
    };
    let failures = cell.failures.iter().map(|failure| JsonFailure {
        paths: &failure.names,
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
        .map(|(names, cut)| BTreeMap::from([("pair", names.as_str()), ("why", cut.text())]));
    JsonCell {
        kernel: &cell.kernel,
        module: &cell.module,
        searches: cell.searches,
        states: cell.states,
        seconds: cell.elapsed.as_secs_f64(),
        pairs: of_size(2).collect(),
        triples: of_size(3).collect(),
        failures: failures.collect(),
        rests_on: &cell.rests_on,
        not_complete: cut.collect(),
    }
}

fn json_party(party: &Party) -> JsonParty<'_> {
    JsonParty {
        paths: &party.names,
        together: match party.together {
            Together::Search(_) => "searched",
            Together::Excluded(_) => "excluded",
            Together::NotAtOneTime => "not-at-one-time",
        },
        excluded_by: match &party.together {
            Together::Excluded(locks) => locks.clone(),
            _ => Vec::new(),
        },
    }
}
