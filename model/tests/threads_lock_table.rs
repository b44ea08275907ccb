//! What the code acquires while it runs, held against the lock table's rows: order, mode, operand.

mod common;

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::scenario;
use seamcheck_model::status::Operand;
use seamcheck_model::system::Agent;
use seamcheck_model::table::LockTable;
use seamcheck_model::threads::{
    Beside, Budget, Entry, Event, Leaf, Scenario, Strategy, Version, run_under_shuttle,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Acquisitions = Vec<(Resource, Mode, Operand)>;

/// Each agent's SEAMCALLs in a journal, TDCALLs apart, with what they acquired before they failed.
fn acquisitions(journal: &[Entry], agent: Agent) -> Vec<(Leaf, Acquisitions)> {
    let mut calls: Vec<(Leaf, Acquisitions)> = Vec::new();
    let mut tdcall = None;
    for entry in journal.iter().filter(|entry| entry.agent == agent) {
        match entry.event {
            Event::Call { leaf, .. } => {
                tdcall = None;
                calls.push((leaf, Vec::new()));
            }
            Event::Guest { tdcall: inner, .. } => {
                tdcall = inner;
                calls.extend(inner.map(|leaf| (leaf, Vec::new())));
            }
            Event::Acquire {
                resource,
                mode,
                operand,
                ..
            } => {
                let call = calls.last_mut().expect("a lock is taken in a call");
                assert_eq!(
                    tdcall.is_some(),
                    resource == Resource::SeptEntry && mode == Mode::Guest
                );
                call.1.push((resource, mode, operand));
            }
            _ => {}
        }
    }
    calls
}

/// Rows of acquisitions per leaf, as they were made.
type Rows = Arc<Mutex<BTreeMap<Leaf, Vec<Acquisitions>>>>;

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

/// The longest row of acquisitions that each leaf made, in many schedules. A shorter one, cut off by a
/// BUSY, has to be its beginning. TDH.VP.ENTER has two rows: with 0-step armed and without.
fn recorded(module: Version) -> BTreeMap<Leaf, Vec<Acquisitions>> {
    let decisions = common::profile("6.16").expect("built in").decisions;
    let rows = Rows::default();
    for armed in [false, true] {
        let mut scenario = Scenario::whole(decisions, 2, 4);
        scenario.module = module;
        scenario.zero_step_armed = armed;
        const AGENTS: [Agent; 3] = [Agent::Zapper, Agent::Vcpu(0), Agent::Vcpu(1)];
        run(&scenario, &AGENTS, &rows);
    }
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
    let mut rows = rows.lock().expect("not poisoned").clone();
    for made in rows.values_mut() {
        let all = made.clone();
        made.retain(|row| {
            !all.iter()
                .any(|other| other.len() > row.len() && other.starts_with(row))
        });
    }
    rows
}

/// What the table says about a leaf: its row, without and with the 0-step step if it has one.
fn rows_of(table: &LockTable, leaf: Leaf) -> Vec<Acquisitions> {
    let row = table.leaf(leaf.key()).expect("a row for the leaf");
    let all: Acquisitions = row.acquisitions().collect();
    vec![all]
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
