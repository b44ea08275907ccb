//! What in a leaf's row can return a status: read off the lock tables.

use crate::collisions;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::module::compile::{Code, TooLarge};
use seamcheck_model::module::{Compiler, Op, OpKind};
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::labels::op_outcomes;
use seamcheck_model::table::{Effect, FlowAction, FlowStep, Leaf, LockTable};

/// The leaf that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub leaf: String,
    /// Its version, when that is known.
    pub version: Option<u64>,
    /// What it returned.
    pub status: StatusWord,
}

impl Wanted {
    /// Whether a row is about this leaf. A row without a version is about all of them.
    #[must_use]
    pub fn is(&self, leaf: &Leaf) -> bool {
        let same_version = match (self.version, leaf.version) {
            (Some(wanted), Some(row)) => wanted == row,
            _ => true,
        };
        leaf.name == self.leaf && same_version
    }

    /// The outcomes of a step that return the status: `(outcome)` of a compiled step.
    ///
    /// A try-lock's status is in its row. An effect's outcome is named as the code it returns.
    pub(super) fn outcomes<'a>(
        &'a self,
        code: &'a Code,
        op: &'a Op,
    ) -> impl Iterator<Item = u8> + 'a {
        let names = op_outcomes(op).iter().enumerate();
        names.filter_map(move |(outcome, name)| {
            let returns = match op.kind {
                OpKind::Acquire { .. } | OpKind::SetTdel { .. } => {
                    *name == "BUSY" && code.statuses[usize::from(op.status)] == self.status
                }
                OpKind::Effect { .. } => {
                    let code = self
                        .status
                        .name()
                        .and_then(|code| code.strip_prefix("TDX_"));
                    code == Some(*name)
                }
                _ => false,
            };
            returns.then_some(outcome as u8)
        })
    }
}

/// Why a leaf can return a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A lock that it does not get.
    Lock {
        /// The leaf, by key.
        leaf: String,
        /// The lock.
        lock: Resource,
        /// How it is wanted.
        wanted: Mode,
        /// Who can hold it in a conflicting mode, and how: leaves by key.
        holders: Vec<(String, Mode)>,
    },
    /// A state that it finds.
    State {
        /// The leaf, by key.
        leaf: String,
        /// The step that finds it.
        effect: Effect,
    },
}

impl Cause {
    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Lock {
                leaf,
                lock,
                wanted,
                holders,
            } => {
                let head = format!("{leaf} wants {} {}", lock.key(), wanted.key());
                let mut by_mode: Vec<(Mode, Vec<&str>)> = Vec::new();
                for (holder, mode) in holders {
                    match by_mode.iter_mut().find(|(known, _)| known == mode) {
                        Some((_, leaves)) => leaves.push(holder),
                        None => by_mode.push((*mode, vec![holder])),
                    }
                }
                let held = by_mode
                    .iter()
                    .map(|(mode, leaves)| format!("{} by {}", mode.key(), leaves.join(", ")));
                let held: Vec<String> = held.collect();
                if held.is_empty() {
                    format!("{head}; no row holds it in a conflicting mode")
                } else if lock.is_per_vcpu() {
                    format!(
                        "{head}; on the same vCPU it can be held {}",
                        held.join("; or ")
                    )
                } else {
                    format!("{head}; it can be held {}", held.join("; or "))
                }
            }
            Self::State { leaf, effect } => {
                // The effect's own words name the leaf that it is mostly about.
                let about = effect.about();
                let what = about.split_once(": ").map_or(about, |(_, what)| what);
                format!("{leaf}: {what}")
            }
        }
    }
}

/// What a lock table says about a status: nothing when it has no such leaf, else its causes.
///
/// # Errors
/// When a leaf is too long.
pub fn causes(table: &LockTable, wanted: &Wanted) -> Result<Option<Vec<Cause>>, TooLarge> {
    let rows: Vec<&Leaf> = table.leaves.iter().filter(|leaf| wanted.is(leaf)).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let collisions = collisions::collisions(table)?;
    let mut all: Vec<Cause> = Vec::new();
    for row in rows {
        let mut compiler = Compiler::default();
        compiler.add(row)?;
        let code = compiler.finish();
        // In the row's order; compiled steps are in another.
        for step in &row.flow {
            let compiled = code.ops.iter().skip(1);
            let mut compiled = compiled.filter(|op| is_step(op, step));
            if !compiled.any(|op| wanted.outcomes(&code, op).next().is_some()) {
                continue;
            }
            let leaf = row.key();
            let cause = match step.action {
                FlowAction::Effect { effect, .. } => Cause::State { leaf, effect },
                FlowAction::Acquire { resource, mode, .. } => {
                    let holders = if resource.is_per_vcpu() {
                        rivals_on_one_vcpu(table, resource, mode)
                    } else {
                        let rivals = collisions
                            .iter()
                            .filter(|found| found.loser == leaf && found.lock == resource);
                        let held = rivals.map(|found| (found.holder.clone(), found.held));
                        held.collect()
                    };
                    Cause::Lock {
                        leaf,
                        lock: resource,
                        wanted: mode,
                        holders,
                    }
                }
                FlowAction::Release { .. } => continue,
            };
            if !all.contains(&cause) {
                all.push(cause);
            }
        }
    }
    Ok(Some(all))
}

/// Who takes a lock of one vCPU in a conflicting mode. Collisions leave such locks out, because
/// different vCPUs never meet there.
fn rivals_on_one_vcpu(table: &LockTable, lock: Resource, wanted: Mode) -> Vec<(String, Mode)> {
    let held = |leaf: &Leaf| {
        let mut taken = leaf.acquisitions();
        let found = taken.find(|(other, held, _)| *other == lock && wanted.conflicts(*held));
        found.map(|(_, held, _)| (leaf.key(), held))
    };
    table.leaves.iter().filter_map(held).collect()
}

/// Whether a compiled step stands for a step of a row. No row acquires a lock twice.
fn is_step(op: &Op, step: &FlowStep) -> bool {
    match (op.kind, step.action) {
        (
            OpKind::Effect {
                effect: compiled, ..
            },
            FlowAction::Effect { effect, .. },
        ) => compiled == effect,
        (kind, FlowAction::Acquire { resource, .. }) => kind.acquires() == Some(resource),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seamcheck_model::builtin;
    use seamcheck_model::status::{
        EPT_ENTRY_STATE_INCORRECT, EPT_WALK_FAILED, NAMED, OPERAND_BUSY, Operand,
        PREVIOUS_TLB_EPOCH_BUSY, TLB_TRACKING_NOT_DONE,
    };

    fn of(leaf: &str, status: StatusWord) -> Option<Vec<Cause>> {
        let (name, text) = builtin::MODULES
            .iter()
            .find(|(name, _)| *name == "1.5.05")
            .unwrap();
        let table = LockTable::parse(name, text).unwrap();
        let wanted = Wanted {
            leaf: leaf.into(),
            version: None,
            status,
        };
        causes(&table, &wanted).unwrap()
    }

    #[test]
    fn busy_and_rcx_of_remove_is_the_entry_or_the_page() {
        let causes = of("TDH.MEM.PAGE.REMOVE", OPERAND_BUSY.with(Operand::Rcx)).unwrap();
        let locks: Vec<_> = causes
            .iter()
            .map(|cause| match cause {
                Cause::Lock { lock, .. } => *lock,
                Cause::State { .. } => panic!("{cause:?}"),
            })
            .collect();
        assert_eq!(locks, [Resource::SeptEntry, Resource::PagePamt]);
    }

    #[test]
    fn the_tdr_of_a_removal_is_held_by_ioctls_only() {
        let causes = of("TDH.MEM.RANGE.BLOCK", OPERAND_BUSY.with(Operand::Rdx)).unwrap();
        let [
            Cause::Lock {
                lock: Resource::Tdr,
                holders,
                ..
            },
        ] = causes.as_slice()
        else {
            panic!("{causes:?}")
        };
        assert!(
            holders.contains(&("TDH.VP.INIT@1".into(), Mode::Exclusive)),
            "{holders:?}"
        );
        assert!(
            holders.iter().all(|(leaf, _)| leaf != "TDH.VP.ENTER"),
            "{holders:?}"
        );
    }

    #[test]
    fn states_are_found_by_the_name_of_their_code() {
        for (leaf, status, effect) in [
            (
                "TDH.MEM.TRACK",
                PREVIOUS_TLB_EPOCH_BUSY,
                Effect::AdvanceEpoch,
            ),
            (
                "TDH.MEM.PAGE.REMOVE",
                TLB_TRACKING_NOT_DONE.with(Operand::Rcx),
                Effect::CheckTracked,
            ),
            (
                "TDH.MEM.PAGE.AUG",
                EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx),
                Effect::AugEntry,
            ),
        ] {
            let causes = of(leaf, status).unwrap();
            assert_eq!(
                causes,
                [Cause::State {
                    leaf: leaf.into(),
                    effect
                }]
            );
        }
    }

    #[test]
    fn a_row_that_can_not_return_it_says_so_and_a_leaf_without_a_row_is_something_else() {
        assert_eq!(
            of("TDH.MEM.TRACK", EPT_WALK_FAILED.with(Operand::Rcx)),
            Some(vec![])
        );
        assert_eq!(of("TDH.EXPORT.MEM", OPERAND_BUSY), None);
    }

    #[test]
    fn a_version_that_is_known_picks_its_row() {
        let busy = OPERAND_BUSY.with(Operand::Tdr);
        let (name, text) = builtin::MODULES
            .iter()
            .find(|(name, _)| *name == "1.5.05")
            .unwrap();
        let table = LockTable::parse(name, text).unwrap();
        let of = |version| {
            let wanted = Wanted {
                leaf: "TDH.VP.INIT".into(),
                version,
                status: busy,
            };
            causes(&table, &wanted).unwrap().unwrap().len()
        };
        assert_eq!((of(None), of(Some(0)), of(Some(1))), (2, 1, 1));
    }

    /// The search for states rests on it.
    #[test]
    fn every_outcome_in_capitals_is_the_name_of_a_status_code() {
        for (name, text) in builtin::MODULES {
            for leaf in &LockTable::parse(name, text).unwrap().leaves {
                let mut compiler = Compiler::default();
                compiler.add(leaf).unwrap();
                for op in compiler
                    .finish()
                    .ops
                    .iter()
                    .filter(|op| matches!(op.kind, OpKind::Effect { .. }))
                {
                    for outcome in op_outcomes(op) {
                        let is_code = outcome.contains('_') && *outcome == outcome.to_uppercase();
                        let known = NAMED
                            .iter()
                            .any(|(name, ..)| *name == format!("TDX_{outcome}"));
                        assert_eq!(is_code, known, "{name}, {}: {outcome}", leaf.key());
                    }
                }
            }
        }
    }
}
