//! Effects that the model takes in one step although a table takes away the lock that makes them one.
//!
//! The merges of docs/model.md rest on these locks. A table without them is a fair question, and the
//! answer has to say what it is worth.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::table::{Effect, FlowAction, Leaf};

type Held = Vec<(Resource, Mode)>;

/// What is missing, in words.
pub(super) fn of(leaf: &Leaf) -> Vec<String> {
    let (mut held, mut missing) = (Held::new(), Vec::new());
    for step in &leaf.flow {
        match step.action {
            FlowAction::Acquire { resource, mode, .. } => held.push((resource, mode)),
            FlowAction::Release { resource } => held.retain(|(other, _)| *other != resource),
            FlowAction::Effect { effect, releases } => {
                if let Some(lock) = lacks(effect, &held) {
                    missing.push(format!("{} of {} without {lock}", effect.key(), leaf.key()));
                }
                held.retain(|(other, _)| Some(*other) != releases);
            }
        }
    }
    missing
}

fn lacks(effect: Effect, held: &Held) -> Option<&'static str> {
    let has = |resource| held.iter().any(|(other, _)| *other == resource);
    let excludes = |resource| held.contains(&(resource, Mode::Exclusive));
    let (is_guarded, lock) = match effect {
        Effect::AdvanceEpoch => (excludes(Resource::TdEpoch), "TD_EPOCH exclusive"),
        Effect::SampleEpoch => (has(Resource::TdEpoch), "TD_EPOCH"),
        Effect::BlockEntry
        | Effect::CheckLeaf
        | Effect::FreeEntry
        | Effect::AcceptCheck
        | Effect::AcceptStore
        | Effect::AttrCheck
        | Effect::AugEntry
        | Effect::AddEntry => (
            has(Resource::SeptEntry) || excludes(Resource::Tdr),
            "SEPT_ENTRY",
        ),
        // Reads of one word, or nothing that a lock of the table guards.
        Effect::RecordBepoch
        | Effect::RequireInitialized
        | Effect::RequireRunnable
        | Effect::CheckTracked
        | Effect::WouldFault
        | Effect::RunGuest
        | Effect::LeaveEpoch => (true, ""),
        Effect::Finalize => (
            excludes(Resource::Tdr) || excludes(Resource::OpState),
            "TDR exclusive",
        ),
    };
    (!is_guarded).then_some(lock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seamcheck_model::builtin::MODULES;
    use seamcheck_model::table::LockTable;

    fn missing(text: &str) -> Vec<String> {
        let table = LockTable::parse("test.toml", text).expect("well-formed");
        table.leaves.iter().flat_map(of).collect()
    }

    #[test]
    fn the_module_tables_hold_every_lock_and_the_patch_leaves_one_out() {
        for (name, text) in MODULES {
            let expected: &[&str] = if *name == "patch-table" {
                &["aug-entry of TDH.MEM.PAGE.AUG without SEPT_ENTRY"]
            } else {
                &[]
            };
            assert_eq!(missing(text), expected, "{name}");
        }
    }

    #[test]
    fn a_table_that_takes_a_lock_away_is_told() {
        let mut tables = MODULES.iter();
        let (_, text) = tables.find(|(name, _)| *name == "1.5.05").expect("there");
        let shared = r#"{ acquire = "TD_EPOCH", mode = "shared", busy = "TD_EPOCH" }"#;
        let exclusive = shared.replace("shared", "exclusive");
        assert!(text.contains(&exclusive));
        assert_eq!(
            missing(&text.replace(&exclusive, shared)),
            ["advance-epoch of TDH.MEM.TRACK without TD_EPOCH exclusive"]
        );
    }
}
