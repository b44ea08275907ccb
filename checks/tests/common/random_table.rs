//! Lock tables with a few rows changed: text in, text out, so that the parser takes part.

use proptest::prelude::*;
use proptest::sample::select;

/// A change. Acquisitions are meant by their place among all of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TableChange {
    /// Shared for exclusive, exclusive for shared.
    Turn(usize),
    /// It is not made, nor is the lock released.
    Drop(usize),
    /// It changes places with the one that follows in its flow.
    Swap(usize),
    /// The lock is of the other kind.
    Kind(&'static str),
    /// Whole-entry stores keep, or erase, the host-priority mark.
    EntryStore,
}

/// Acquisitions of the zapper's, the vCPU's and the guest's leaves, which stand first.
const ACQUISITIONS: usize = 26;

pub(crate) fn changes() -> impl Strategy<Value = Vec<TableChange>> {
    let locks = ["TDR", "OP_STATE", "TD_EPOCH", "SEPT_TREE", "PAGE_PAMT"];
    let change = prop_oneof![
        4 => (0..ACQUISITIONS).prop_map(TableChange::Turn),
        2 => (0..ACQUISITIONS).prop_map(TableChange::Drop),
        2 => (0..ACQUISITIONS).prop_map(TableChange::Swap),
        1 => select(locks.to_vec()).prop_map(TableChange::Kind),
        1 => Just(TableChange::EntryStore),
    ];
    prop::collection::vec(change, 0..4)
}

/// The text with the changes made, one after the other.
pub(crate) fn changed(text: &str, changes: &[TableChange]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for change in changes {
        match *change {
            TableChange::Turn(place) => turn(&mut lines, place),
            TableChange::Drop(place) => drop_lock(&mut lines, place),
            TableChange::Swap(place) => swap(&mut lines, place),
            TableChange::Kind(lock) => other_kind(&mut lines, lock),
            TableChange::EntryStore => entry_store(&mut lines),
        }
    }
    lines.join("\n")
}

fn is_acquisition(line: &str) -> bool {
    line.trim_start().starts_with("{ acquire =")
}

/// The line of an acquisition.
fn at(lines: &[String], place: usize) -> Option<usize> {
    let all = lines.iter().enumerate();
    let mut all = all.filter(|(_, line)| is_acquisition(line));
    all.nth(place).map(|(line, _)| line)
}

fn turn(lines: &mut [String], place: usize) {
    if let Some(at) = at(lines, place) {
        lines[at] = if lines[at].contains("\"shared\"") {
            lines[at].replace("\"shared\"", "\"exclusive\"")
        } else {
            lines[at].replace("\"exclusive\"", "\"shared\"")
        };
    }
}

fn drop_lock(lines: &mut Vec<String>, place: usize) {
    let Some(at) = at(lines, place) else {
        return;
    };
    let dropped = lines.remove(at);
    let lock = dropped.split('"').nth(1).expect("it names a lock");
    let end = (at..lines.len()).find(|line| lines[*line] == "]");
    let rest = at..end.unwrap_or(lines.len());
    let alone = format!("{{ release = \"{lock}\"");
    let merged = format!(", releases = \"{lock}\"");
    if let Some(line) = rest.clone().find(|line| lines[*line].contains(&alone)) {
        lines.remove(line);
    } else if let Some(line) = rest.clone().find(|line| lines[*line].contains(&merged)) {
        lines[line] = lines[line].replace(&merged, "");
    }
}

fn swap(lines: &mut [String], place: usize) {
    if let Some(at) = at(lines, place)
        && is_acquisition(&lines[at + 1])
    {
        lines.swap(at, at + 1);
    }
}

fn other_kind(lines: &mut [String], lock: &str) {
    let head = format!("{lock} = {{ kind = ");
    let (plain, prior) = ("\"sharex\"", "\"sharex-host-priority\"");
    if let Some(line) = lines.iter_mut().find(|line| line.starts_with(&head)) {
        *line = if line.contains(plain) {
            line.replace(plain, prior)
        } else {
            line.replace(prior, plain)
        };
    }
}

fn entry_store(lines: &mut [String]) {
    let key = "keeps_host_priority = ";
    if let Some(line) = lines.iter_mut().find(|line| line.starts_with(key)) {
        *line = if line.ends_with("true") {
            format!("{key}false")
        } else {
            format!("{key}true")
        };
    }
}
