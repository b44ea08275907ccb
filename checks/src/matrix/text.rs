//! The matrix for people: a grid, a legend, and who meets whom.

use super::{Matrix, Reality};
use crate::collisions::{Caller, Collision, Meeting};
use crate::report::wrapped_at;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::{Mode, Resource};
use std::fmt::Write;

/// No line is wider.
const WIDTH: usize = 100;
/// What stands before the cells: a number and a leaf.
const HEAD: usize = 30;

/// One letter for each lock, all different also in small.
const fn letter(lock: Resource) -> char {
    match lock {
        Resource::Tdr => 'T',
        Resource::OpState => 'O',
        Resource::TdEpoch => 'E',
        Resource::SeptTree => 'S',
        Resource::SeptEntry => 'N',
        Resource::Tdvpr => 'V',
        Resource::PagePamt => 'P',
    }
}

pub(super) fn text(matrix: &Matrix) -> String {
    let mut out = format!(
        "Locks of TDX module {}, under the KVM locks of kernel {}.\n\
         Row: the leaf that comes second and returns TDX_OPERAND_BUSY. Column: the leaf that holds.\n\n",
        matrix.module, matrix.kernel
    );
    grid(&mut out, matrix);
    legend(&mut out, matrix);
    left_out(&mut out, matrix);
    let known: Vec<Known<'_>> = matrix
        .collisions
        .iter()
        .map(|collision| {
            let (reality, meetings) = matrix.meetings(collision);
            (collision, reality, meetings)
        })
        .collect();
    for (reality, heading) in [
        (Reality::Together, "Really together:"),
        (
            Reality::Hypothetical,
            "Together only if the host ran code that KVM does not have:",
        ),
    ] {
        meet(&mut out, heading, reality, &known);
    }
    kept_apart(&mut out, &known);
    out
}

fn cell(matrix: &Matrix, loser: &str, holder: &str) -> String {
    let pair = matrix
        .collisions
        .iter()
        .filter(|found| found.loser == loser && found.holder == holder);
    let letters: String = pair
        .map(|collision| {
            let letter = letter(collision.lock);
            match matrix.meetings(collision).0 {
                Reality::Together => letter.to_string(),
                Reality::Hypothetical => format!("{letter}?"),
                Reality::KeptApart => letter.to_ascii_lowercase().to_string(),
                Reality::NoCaller => format!("{}-", letter.to_ascii_lowercase()),
            }
        })
        .collect();
    if letters.is_empty() {
        ".".into()
    } else {
        letters
    }
}

fn grid(out: &mut String, matrix: &Matrix) {
    let cells: Vec<Vec<String>> = matrix
        .leaves
        .iter()
        .map(|loser| {
            let row = matrix.leaves.iter();
            row.map(|holder| cell(matrix, loser, holder)).collect()
        })
        .collect();
    let widest = cells.iter().flatten().map(String::len).max();
    let width = widest.unwrap_or(1).max(2) + 1;
    let columns: Vec<usize> = (0..matrix.leaves.len()).collect();
    for band in columns.chunks(((WIDTH - HEAD) / width).max(1)) {
        let numbers: String = band
            .iter()
            .map(|column| format!("{:>width$}", column + 1))
            .collect();
        let _ = writeln!(out, "{:HEAD$}{numbers}", "");
        for (row, leaf) in matrix.leaves.iter().enumerate() {
            let texts = band
                .iter()
                .map(|column| format!("{:>width$}", cells[row][*column]));
            let texts: String = texts.collect();
            let _ = writeln!(out, "{:>3} {leaf:<26}{texts}", row + 1);
        }
        out.push('\n');
    }
}

fn legend(out: &mut String, matrix: &Matrix) {
    for lock in Resource::ALL {
        if matrix.collisions.iter().any(|found| found.lock == *lock) {
            let _ = writeln!(out, "  {}  {}: {}", letter(*lock), lock.key(), lock.about());
        }
    }
    out.push_str(
        "  A capital letter: two threads of this kernel can meet there. With a question mark: only if the\n  \
         host ran code that KVM does not have. A small letter: the rows conflict, but KVM keeps the two\n  \
         apart. With a minus: they conflict, and this kernel issues one of them not at all. A dot: no\n  \
         lock in conflicting modes, or one taken earlier keeps them apart. TDVPR is one vCPU's own and\n  \
         left out; pages are the same page.\n",
    );
}

/// What the grid does not say anything of, or nothing about KVM.
fn left_out(out: &mut String, matrix: &Matrix) {
    let (kernel, module) = (&matrix.kernel, &matrix.module);
    let heads = [
        (
            format!("No code path of kernel {kernel} here issues"),
            matrix.not_issued(),
        ),
        (
            format!("Module {module} has leaves without a row here, of which nothing is said"),
            matrix.without_row(),
        ),
    ];
    for (head, leaves) in heads {
        if !leaves.is_empty() {
            out.push('\n');
            wrapped_at(out, 0, 2, WIDTH, &format!("{head}: {}.", leaves.join(", ")));
        }
    }
}

type Known<'a> = (&'a Collision, Reality, Vec<Meeting<'a>>);

/// Holders of a lock that do it from the same place in the same way.
struct Holders<'a> {
    caller: &'a Caller,
    mode: Mode,
    leaves: Vec<&'a str>,
}

/// Who meets whom, by the leaf that fails and where it is issued.
fn meet(out: &mut String, heading: &str, reality: Reality, known: &[Known<'_>]) {
    let mut losers: Vec<&Caller> = Vec::new();
    for (.., meetings) in known {
        let real = meetings
            .iter()
            .filter(|meeting| Reality::of_one(meeting) == reality);
        for meeting in real {
            if !losers.contains(&meeting.loser) {
                losers.push(meeting.loser);
            }
        }
    }
    losers.sort_by_key(|caller| {
        known
            .iter()
            .position(|(found, ..)| found.loser == caller.leaf)
    });
    if !losers.is_empty() {
        let _ = writeln!(out, "\n{heading}");
    }
    for loser in losers {
        out.push('\n');
        wrapped_at(
            out,
            2,
            6,
            WIDTH,
            &format!("{} in {}", loser.leaf, loser.text()),
        );
        let own = known.iter().filter(|(found, ..)| found.loser == loser.leaf);
        let own: Vec<&Known<'_>> = own.collect();
        let mut locks: Vec<Resource> = own.iter().map(|(found, ..)| found.lock).collect();
        locks.dedup();
        for lock in locks {
            let on_lock = own.iter().filter(|(found, ..)| found.lock == lock);
            on_one_lock(out, reality, loser, on_lock.copied());
        }
    }
}

fn on_one_lock<'a>(
    out: &mut String,
    reality: Reality,
    loser: &Caller,
    known: impl Iterator<Item = &'a Known<'a>>,
) {
    let (mut head, mut holders) = (String::new(), Vec::<Holders<'_>>::new());
    for (found, _, meetings) in known {
        let (lock, mode) = (found.lock.key(), found.wanted.key());
        head = format!(
            "    {lock} {mode}, or {} {}",
            found.status,
            found.status.pretty()
        );
        let real = meetings
            .iter()
            .filter(|meeting| Reality::of_one(meeting) == reality && meeting.loser == loser);
        for meeting in real {
            let same = holders
                .iter_mut()
                .find(|known| known.caller.same_place(meeting.holder) && known.mode == found.held);
            match same {
                Some(known) => known.leaves.push(&found.holder),
                None => holders.push(Holders {
                    caller: meeting.holder,
                    mode: found.held,
                    leaves: vec![&found.holder],
                }),
            }
        }
    }
    if holders.is_empty() {
        return;
    }
    let _ = writeln!(out, "{head}");
    for Holders {
        caller,
        mode,
        leaves,
    } in holders
    {
        let times = [loser.when.text(), caller.when.text()];
        let when = times.iter().find(|when| !when.is_empty());
        let when = when.map_or(String::new(), |when| format!("; {when}"));
        let leaves = leaves.join(", ");
        let line = format!("held {} by {leaves} in {}{when}", mode.key(), caller.text());
        wrapped_at(out, 6, 10, WIDTH, &line);
    }
}

/// What keeps the others apart, each reason once.
fn kept_apart(out: &mut String, known: &[Known<'_>]) {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for (collision, reality, meetings) in known {
        let mut texts: Vec<String> = match reality {
            Reality::NoCaller => vec!["this kernel issues one of them not at all".into()],
            _ => meetings
                .iter()
                .filter_map(|meeting| meeting.apart.map(|apart| apart.text()))
                .collect(),
        };
        if matches!(reality, Reality::Together | Reality::Hypothetical) {
            continue;
        }
        texts.sort();
        texts.dedup();
        let reason = texts.join("; or ");
        let pair = format!(
            "{} by {} ({})",
            collision.loser,
            collision.holder,
            letter(collision.lock)
        );
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, pairs)) => pairs.push(pair),
            None => reasons.push((reason, vec![pair])),
        }
    }
    if !reasons.is_empty() {
        let _ = writeln!(out, "\nKept apart:");
    }
    for (reason, pairs) in reasons {
        out.push('\n');
        wrapped_at(out, 2, 2, WIDTH, &reason);
        wrapped_at(out, 4, 4, WIDTH, &pairs.join(", "));
    }
}
