//! What it would take for a leaf to return a status that nobody here can bring about.

use super::causes::{Cause, Wanted};
use crate::collisions::{self, Collision};
use crate::question::{QuestionError, Source};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::status::{OPERAND_BUSY, Operand};
use seamcheck_model::table::{Leaf, LockTable};

/// What would be needed, and what stands in the way, on one kernel and one module.
#[derive(Debug)]
pub struct Needs {
    /// The kernel profile, as named.
    pub kernel: String,
    /// The lock table, as named.
    pub module: String,
    /// One sentence each.
    pub texts: Vec<String>,
}

/// What would be needed. `causes` are those of the module's rows.
///
/// # Errors
/// When the profile or the table is not understood.
pub fn needs(
    wanted: &Wanted,
    causes: &[Cause],
    kernel: &Source,
    module: &Source,
) -> Result<Needs, QuestionError> {
    let (table, profile) = (module.table()?, kernel.profile()?);
    let rows: Vec<&Leaf> = table.leaves.iter().filter(|leaf| wanted.is(leaf)).collect();
    let found = collisions::collisions(&table).unwrap_or_default();
    let callers = collisions::callers(&table, &profile).unwrap_or_default();
    let mut texts = Vec::new();
    for cause in causes {
        match cause {
            Cause::State { .. } => texts.push(state(wanted)),
            Cause::Lock { lock, .. } if lock.is_per_vcpu() => texts.push(format!(
                "two threads in SEAMCALLs of one vCPU: {} is that vCPU's own, and each code path here \
                 acts on a vCPU of its own",
                lock.key()
            )),
            Cause::Lock { holders, lock, wanted, .. } if holders.is_empty() => {
                texts.push(nobody(*lock, *wanted));
            }
            Cause::Lock { leaf, lock, .. } => {
                let own = found.iter().filter(|one| one.loser == *leaf && one.lock == *lock);
                texts.extend(apart(own, &callers));
            }
        }
    }
    if causes.is_empty() {
        texts.push(match wanted.status.is_operand_busy() {
            false => state(wanted),
            true if rows.is_empty() => no_row(&table, wanted),
            true => no_such_lock(&rows),
        });
    }
    texts.dedup();
    Ok(Needs {
        kernel: kernel.name.clone(),
        module: module.name.clone(),
        texts,
    })
}

/// A state, in the words of the status.
fn state(wanted: &Wanted) -> String {
    let what = wanted.status.meaning().map_or_else(
        || "a state that has no name here".to_owned(),
        |meaning| format!("this state: {}", meaning.trim_end_matches('.')),
    );
    format!("{what}; nothing that was searched leads there")
}

/// A lock that no row holds against the leaf.
fn nobody(lock: Resource, wanted: Mode) -> String {
    let how = match wanted {
        Mode::Shared => "exclusively",
        _ => "in any mode",
    };
    // Facts of the module that no row is about: its migration leaves are not in the tables.
    let who = match lock {
        Resource::OpState => {
            "; of the module's leaves only those of migration do (TDH.EXPORT.*, TDH.IMPORT.*, \
             TDH.MIG.STREAM.CREATE), and they are in no table here"
        }
        _ => "; no row here does",
    };
    format!("a SEAMCALL that holds {} {how}{who}", lock.key())
}

/// The locks of the rows with what each reports: none of them reports this.
fn no_such_lock(rows: &[&Leaf]) -> String {
    let mut each: Vec<String> = Vec::new();
    for leaf in rows {
        for (lock, mode, busy) in leaf.acquisitions() {
            let text = format!(
                "{} ({} {})",
                OPERAND_BUSY.with(busy),
                lock.key(),
                mode.key()
            );
            if !each.contains(&text) {
                each.push(text);
            }
        }
    }
    format!(
        "a lock that the leaf's row does not have, or another operand than the row says: by the row it \
         can return {}",
        each.join(", ")
    )
}

/// How the rows take the lock that the operand is about; how this leaf does, nobody here says.
fn no_row(table: &LockTable, wanted: &Wanted) -> String {
    let lock = match wanted.status.operand() {
        Some(Operand::Tdr) => Resource::Tdr,
        Some(Operand::OpState) => Resource::OpState,
        Some(Operand::TdEpoch) => Resource::TdEpoch,
        Some(Operand::SeptTree) => Resource::SeptTree,
        _ => {
            return "a SEAMCALL that holds, in a conflicting mode, what the operand stands for; which \
                    lock that is for this leaf is in no table here"
                .to_owned();
        }
    };
    let mut by_mode: Vec<(Mode, Vec<String>)> = Vec::new();
    for leaf in &table.leaves {
        let Some((_, mode, _)) = leaf.acquisitions().find(|(other, ..)| *other == lock) else {
            continue;
        };
        match by_mode.iter_mut().find(|(known, _)| *known == mode) {
            Some((_, leaves)) => leaves.push(leaf.key()),
            None => by_mode.push((mode, vec![leaf.key()])),
        }
    }
    let held = by_mode
        .iter()
        .map(|(mode, leaves)| format!("{} by {}", mode.key(), leaves.join(", ")));
    let held: Vec<String> = held.collect();
    format!(
        "{} held in a mode that conflicts with this leaf's, which no table here has; the rows hold it {}",
        lock.key(),
        held.join("; or ")
    )
}

/// For each holder what keeps it from the leaf in this kernel, equal reasons together.
fn apart<'a>(
    found: impl Iterator<Item = &'a Collision>,
    callers: &[collisions::Caller],
) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for collision in found {
        let meetings = collisions::meetings(collision, callers);
        let mut texts: Vec<String> = meetings
            .iter()
            .filter(|meeting| !meeting.loser.is_hypothetical && !meeting.holder.is_hypothetical)
            .map(|meeting| match meeting.apart {
                Some(apart) => apart.text(),
                None => "they can be in both at once, but were not found to collide".into(),
            })
            .collect();
        texts.sort();
        texts.dedup();
        if texts.is_empty() {
            texts.push("no code of this kernel's issues one of the two".into());
        }
        let reason = texts.join("; or ");
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, holders)) => holders.push(&collision.holder),
            None => reasons.push((reason, vec![&collision.holder])),
        }
    }
    let text = |(reason, holders): (String, Vec<&str>)| {
        format!(
            "{} meanwhile; kept apart by: {reason}",
            holders.join(" or ")
        )
    };
    reasons.into_iter().map(text).collect()
}
