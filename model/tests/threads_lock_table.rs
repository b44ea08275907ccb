//! What the code acquires while it runs, held against the lock table's rows: order, mode, operand; and of
//! which kind its locks are.

mod common;

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::resource::{LockKind, Mode, Resource};
use seamcheck_model::scenario;
use seamcheck_model::status::Operand;
use seamcheck_model::system::Agent;
use seamcheck_model::table::LockTable;
use seamcheck_model::threads::{
    Beside, Budget, Entry, Event, Leaf, Scenario, Strategy, Version, lock_kinds, run_under_shuttle,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Acquisitions = Vec<(Resource, Mode, Operand)>;

/// What a leaf acquired when it was called once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Row {
    acquired: Acquisitions,
    /// The last of it was BUSY.
    cut_off: bool,
}

/// An agent's calls in a journal, TDCALLs apart, with what they acquired.
fn acquisitions(journal: &[Entry], agent: Agent) -> Vec<(Leaf, Row)> {
    let mut calls: Vec<(Leaf, Row)> = Vec::new();
    let mut tdcall = None;
    for entry in journal.iter().filter(|entry| entry.agent == agent) {
        match entry.event {
            Event::Call { leaf, .. } => {
                tdcall = None;
                calls.push((leaf, Row::default()));
            }
            Event::Guest { tdcall: inner, .. } => {
                tdcall = inner;
                calls.extend(inner.map(|leaf| (leaf, Row::default())));
            }
            Event::Acquire {
                resource,
                mode,
                operand,
                taken,
            } => {
                let (_, row) = calls.last_mut().expect("a lock is taken in a call");
                assert_eq!(
                    tdcall.is_some(),
                    resource == Resource::SeptEntry && mode == Mode::Guest
                );
                row.acquired.push((resource, mode, operand));
                row.cut_off = !taken;
            }
            _ => {}
        }
    }
    calls
}

/// Rows per leaf, as they were made.
type Rows = Arc<Mutex<BTreeMap<Leaf, Vec<Row>>>>;

/// Adds what these agents acquire in many schedules, to the end of each: none breaks this property.
fn run(scenario: &Scenario, agents: &'static [Agent], rows: &Rows) {
    let rows = Arc::clone(rows);
    let budget = Budget {
        strategy: Strategy::Random,
        schedules: 500,
        seed: 7,
    };
    let report = run_under_shuttle(scenario, Property::EpochEmpty, &budget, move |journal| {
        let mut rows = rows.lock().expect("not poisoned");
        let calls = agents
            .iter()
            .flat_map(|agent| acquisitions(journal, *agent));
        for (leaf, made) in calls {
            let known = rows.entry(leaf).or_default();
            if !known.contains(&made) {
                known.push(made);
            }
        }
        Ok(())
    });
    assert_eq!(report.expect("implemented").violation, None);
}

/// Ioctls of 6.16 before the TD is finalized, the page there from the start unless one adds it.
fn beside(threads: &[&str]) -> Beside {
    let kernel = common::profile("6.16").expect("built in");
    let asked = scenario::Scenario {
        vcpus: 0,
        threads: threads.iter().map(|name| (*name).to_owned()).collect(),
        finalized: false,
        populated: threads.len() > 1,
        ..scenario::Scenario::default()
    };
    Beside::of(&kernel, &asked).expect("exists as code")
}

fn whole(module: Version, armed: bool) -> Scenario {
    let decisions = common::profile("6.16").expect("built in").decisions;
    Scenario {
        module,
        zero_step_armed: armed,
        ..Scenario::whole(decisions, 2, 4)
    }
}

/// The rows of acquisitions that each leaf made, in many schedules, the shortest first. One that was cut off
/// by a BUSY has to be the beginning of another.
fn recorded(module: Version) -> BTreeMap<Leaf, Vec<Acquisitions>> {
    let rows = Rows::default();
    for armed in [false, true] {
        let agents = &[Agent::Zapper, Agent::Vcpu(0), Agent::Vcpu(1)];
        run(&whole(module, armed), agents, &rows);
    }
    let decisions = common::profile("6.16").expect("built in").decisions;
    for threads in [
        &["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU:create"][..],
        &["KVM_TDX_INIT_MEM_REGION"],
    ] {
        let mut scenario = Scenario::whole(decisions, 0, 2);
        (scenario.module, scenario.beside) = (module, beside(threads));
        run(
            &scenario,
            &[Agent::Zapper, Agent::Thread(0), Agent::Thread(1)],
            &rows,
        );
    }
    let rows = rows.lock().expect("not poisoned").clone();
    rows.into_iter()
        .map(|(leaf, rows)| (leaf, whole_rows(leaf, rows)))
        .collect()
}

fn whole_rows(leaf: Leaf, rows: Vec<Row>) -> Vec<Acquisitions> {
    let (cut_off, whole): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| row.cut_off);
    let mut whole: Vec<Acquisitions> = whole.into_iter().map(|row| row.acquired).collect();
    whole.sort_by_key(Vec::len);
    for Row { acquired, .. } in cut_off {
        let begins = whole.iter().any(|row| row.starts_with(&acquired));
        assert!(
            begins,
            "{}: {acquired:?} begins none of {whole:?}",
            leaf.key()
        );
    }
    whole
}

/// What the table says about a leaf: its row without the 0-step step and, if it has one, with it.
fn rows_of(table: &LockTable, leaf: Leaf) -> Vec<Acquisitions> {
    let row = table.leaf(leaf.key()).expect("a row for the leaf");
    let mut unarmed = row.clone();
    unarmed.flow.retain(|step| step.when.is_none());
    let mut rows: Vec<Acquisitions> = [unarmed, row.clone()]
        .iter()
        .map(|row| row.acquisitions().collect())
        .collect();
    rows.dedup();
    rows
}

/// The locks whose kind is another in the code.
fn other_kinds(table: &LockTable, module: Version) -> Vec<(Resource, Option<LockKind>)> {
    let in_table = |wanted: Resource| {
        let found = table.kinds.iter().find(|(known, _)| *known == wanted);
        found.map(|(_, kind)| *kind)
    };
    let in_code = lock_kinds(&whole(module, false)).into_iter();
    in_code
        .filter(|(resource, kind)| *kind != in_table(*resource))
        .collect()
}

fn mismatches(table: &LockTable, module: Version) -> Vec<String> {
    let recorded = recorded(module);
    let wrong = Leaf::ALL
        .iter()
        .copied()
        .filter(|leaf| recorded.get(leaf) != Some(&rows_of(table, *leaf)));
    wrong
        .map(|leaf| {
            format!(
                "{}: the table says {:?}, the code does {:?}",
                leaf.key(),
                rows_of(table, leaf),
                recorded.get(&leaf)
            )
        })
        .collect()
}

#[test]
fn the_code_takes_the_locks_of_the_table_in_order_mode_and_operand() {
    for module in Version::ALL.iter().copied() {
        let table = common::table(module.key()).expect("built in");
        assert_eq!(mismatches(&table, module), [""; 0], "{}", module.key());
    }
}

#[test]
fn the_code_s_locks_are_of_the_table_s_kinds() {
    for module in Version::ALL.iter().copied() {
        let table = common::table(module.key()).expect("built in");
        assert_eq!(other_kinds(&table, module), [], "{}", module.key());
    }
}

/// The test can fail: the tree lock of one version is of another kind in the other.
#[test]
fn the_kinds_of_another_version_are_noticed() {
    let (old, new) = (Version::V1_5_05, Version::V2_0_12);
    let of_new = common::table(new.key()).expect("built in");
    let plain = (Resource::SeptTree, Some(LockKind::Sharex));
    assert_eq!(other_kinds(&of_new, old), [plain]);
    let of_old = common::table(old.key()).expect("built in");
    let host_priority = (Resource::SeptTree, Some(LockKind::SharexHostPriority));
    assert_eq!(other_kinds(&of_old, new), [host_priority]);
}

/// 0-step makes two rows of TDH.VP.ENTER's, and of no other leaf's.
#[test]
fn a_step_that_only_an_armed_vcpu_takes_is_not_taken_by_others() {
    let text = common::text(seamcheck_model::builtin::MODULES, "1.5.05").expect("built in");
    let always = text.replace(", when = \"zero-step-armed\"", "");
    let table = LockTable::parse("changed.toml", &always).expect("a valid table");
    let found = mismatches(&table, Version::V1_5_05);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("TDH.VP.ENTER"), "{found:?}");
}

/// The test can fail: each of these rows is another one than the code's.
#[test]
fn a_changed_row_is_noticed() {
    let text = common::text(seamcheck_model::builtin::MODULES, "1.5.05").expect("built in");
    let tree = r#"{ acquire = "SEPT_TREE", mode = "exclusive", busy = "SEPT_TREE" },"#;
    let epoch = r#"{ acquire = "TD_EPOCH", mode = "exclusive", busy = "TD_EPOCH" },"#;
    let tdr = r#"{ acquire = "TDR", mode = "shared", busy = "RCX" },"#;
    let guest = r#"{ acquire = "SEPT_ENTRY", mode = "guest", busy = "RCX" },"#;
    let init = r#"{ acquire = "TDR", mode = "exclusive", busy = "TDR" },"#;
    let create = r#"{ acquire = "TDR", mode = "shared", busy = "RDX" },"#;
    let addcx = r#"{ acquire = "TDVPR", mode = "exclusive", busy = "RDX" },"#;
    let add = r#"{ acquire = "PAGE_PAMT", mode = "exclusive", busy = "R8" },"#;
    for (leaf, from, to) in [
        (
            "TDH.MEM.RANGE.BLOCK",
            tree,
            tree.replace("exclusive", "shared"),
        ),
        ("TDH.MEM.TRACK", tdr, tdr.replace("RCX", "RDX")),
        (
            "TDH.MEM.TRACK",
            epoch,
            format!("{}\n{}", epoch.replace("TD_EPOCH", "SEPT_TREE"), epoch),
        ),
        ("TDH.VP.INIT", init, init.replace("exclusive", "shared")),
        ("TDH.VP.CREATE", create, create.replace("RDX", "RCX")),
        ("TDH.VP.ADDCX", addcx, addcx.replace("exclusive", "shared")),
        ("TDH.MEM.PAGE.ADD", add, add.replace("R8", "RCX")),
        (
            "TDG.MEM.PAGE.ACCEPT",
            guest,
            guest.replace("RCX", "SEPT_ENTRY"),
        ),
    ] {
        let row = text.find(&format!("name = \"{leaf}\"")).expect("the row");
        let mut changed = text[row..].replacen(from, &to, 1);
        if to.contains("SEPT_TREE") && leaf == "TDH.MEM.TRACK" {
            let release = r#"{ release = "TD_EPOCH" },"#;
            let both = format!("{release}\n{{ release = \"SEPT_TREE\" }},");
            changed = changed.replacen(release, &both, 1);
        }
        let changed = format!("{}{changed}", &text[..row]);
        let table = LockTable::parse("changed.toml", &changed).expect("a valid table");
        let found = mismatches(&table, Version::V1_5_05);
        assert_eq!(found.len(), 1, "{leaf}: {found:?}");
        assert!(found[0].starts_with(leaf), "{found:?}");
    }
}
