//! `check list --pairs`: for each conflicting pair of a lock table, the run that tells it apart.
//!
//! A pair is told apart by a run when the run's agents can bring the two leaves together on the
//! lock, so that BUSY is a required witness there: altering either mode to one that does not
//! conflict takes the witness away.

use super::Failure;
use crate::engine::Watch;
use crate::question::Source;
use crate::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Witness;
use seamcheck_model::resource::Resource;
use seamcheck_model::system::{Reductions, System};
use seamcheck_model::table::LockTable;
use std::collections::BTreeMap;
use std::fmt::Write;

/// (loser, lock, holder) by leaf key.
type Pair = (String, Resource, String);

/// Every conflicting pair of a lock table: the loser's and the holder's modes conflict.
fn conflicting(table: &LockTable) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for loser in &table.leaves {
        for holder in &table.leaves {
            for (resource, mode, _) in loser.acquisitions() {
                let meets = holder
                    .acquisitions()
                    .any(|(other, held, _)| other == resource && mode.conflicts(held));
                if meets {
                    pairs.push((loser.key(), resource, holder.key()));
                }
            }
        }
    }
    pairs.sort();
    pairs.dedup();
    pairs
}

fn told_apart(system: &System) -> Vec<Pair> {
    let key =
        |leaf: seamcheck_model::module::LeafId| system.code.leaves[usize::from(leaf.0)].key.clone();
    let required = system.observations.required.iter();
    required
        .filter_map(|witness| match witness {
            Witness::Busy(pair) => Some((key(pair.loser), pair.resource, key(pair.holder))),
            _ => None,
        })
        .collect()
}

/// The table, for every lock table the suite uses.
pub(super) fn table(runs: &[Run], _: &Watch) -> Result<String, Failure> {
    let mut by_module: BTreeMap<String, BTreeMap<Pair, String>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.form == Form::Packed) {
        let system = run.question()?.system(Reductions {
            share_equal: false,
            ..Reductions::ALL
        })?;
        let known = by_module.entry(run.module.clone()).or_default();
        for pair in told_apart(&system) {
            known.entry(pair).or_insert_with(|| run.name.clone());
        }
    }
    let mut out = String::new();
    for (module, known) in &by_module {
        let source = Source::module(module)?;
        let table = LockTable::parse(&source.name, &source.text)
            .map_err(|error| Failure::Internal(error.to_string()))?;
        let (apart, alike): (Vec<Pair>, Vec<Pair>) = conflicting(&table)
            .into_iter()
            .partition(|pair| known.contains_key(pair));
        let _ = writeln!(
            out,
            "{module}: {} conflicting pairs told apart",
            apart.len()
        );
        for pair in &apart {
            let run = known.get(pair).map_or("", String::as_str);
            let _ = writeln!(
                out,
                "    {:<24} BUSY on {:<11} held by {:<24} {run}",
                pair.0,
                pair.1.key(),
                pair.2
            );
        }
        let _ = writeln!(
            out,
            "{module}: {} that no configured agents can bring together",
            alike.len()
        );
        for (loser, resource, holder) in &alike {
            let _ = writeln!(
                out,
                "    {loser:<24} BUSY on {:<11} held by {holder}",
                resource.key()
            );
        }
    }
    Ok(out)
}
