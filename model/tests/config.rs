//! Questions that do not fit their lock table or kernel profile, and what is said about them.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, profile};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::{ConfigError, Reductions, System};
use seamcheck_model::table::{FlowAction, FlowStep, LockTable};

fn claim() -> Ask {
    Ask::claim().unwrap()
}

/// What is said about the question.
fn refused(ask: &Ask) -> String {
    ask.system().map(|_| ()).unwrap_err().to_string()
}

/// Module 1.5.05 without a leaf.
fn without(leaf: &str) -> Ask {
    let mut ask = claim();
    ask.module.leaves.retain(|row| row.name != leaf);
    ask
}

#[test]
fn more_than_a_state_has_room_for_is_refused() {
    let limit = "9 vCPUs asked for, at most 8 are possible";
    assert_eq!(refused(&claim().vcpus(9)), limit);
    let mut ask = claim();
    ask.scenario.pages = 3;
    let limit = "3 pages asked for, at most 2 are possible";
    assert_eq!(refused(&ask), limit);
    let limit = "3 ioctl threads asked for, at most 2 are possible";
    assert_eq!(refused(&claim().threads(&["host-debug-read"; 3])), limit);
}

#[test]
fn a_leaf_that_an_agent_issues_must_have_a_row() {
    for (leaf, agent) in [
        ("TDH.MEM.RANGE.BLOCK", "the zapper"),
        ("TDH.MEM.TRACK", "the zapper"),
        ("TDH.MEM.PAGE.REMOVE", "the zapper"),
        ("TDH.VP.ENTER", "a vCPU"),
        ("TDH.MEM.PAGE.AUG", "a vCPU"),
        ("TDG.MEM.PAGE.ACCEPT", "the guest"),
        ("TDG.MEM.PAGE.ATTR.RD", "the guest"),
        ("TDG.MEM.PAGE.ATTR.WR", "the guest"),
    ] {
        let message = format!(
            "lock table 1.5.05 has no row for {leaf}, which {agent} issues; add the row, or leave {agent} out"
        );
        assert_eq!(refused(&without(leaf)), message);
    }
    let message = "lock table 1.5.05 has no row for TDH.MEM.SEPT.RD, which host-debug-read issues; \
                   add the row, or leave host-debug-read out";
    let debug = without("TDH.MEM.SEPT.RD").threads(&["host-debug-read"]);
    assert_eq!(refused(&debug), message);
}

#[test]
fn a_leaf_that_nobody_issues_needs_no_row() {
    assert!(without("TDH.MEM.SEPT.RD").system().is_ok());
    // A vCPU issues TDH.VP.WR if there is a row for it.
    assert!(without("TDH.VP.WR").system().is_ok());
    let mut accepts_only = without("TDG.MEM.PAGE.ATTR.WR");
    accepts_only.scenario.attr = false;
    assert!(accepts_only.system().is_ok());
}

#[test]
fn an_unknown_code_path_is_met_with_all_there_are() {
    let message = refused(&claim().threads(&["KVM_TDX_FINALISE_VM"]));
    let known = "kernel 6.16 has no code path `KVM_TDX_FINALISE_VM`; it has KVM_TDX_INIT_VCPU, \
                 KVM_TDX_INIT_MEM_REGION, host-debug-read, any-tdr-exclusive, KVM_TDX_INIT_VM, ";
    assert!(message.starts_with(known), "{message}");
    for path in profile("6.16").unwrap().paths {
        assert!(message.contains(&path.name), "{}", path.name);
    }
}

#[test]
fn what_stands_alone_runs_beside_nothing() {
    let message = refused(&claim().threads(&["teardown"]));
    let alone = "teardown does not run beside anything else: the VM has no users left";
    assert_eq!(message, alone);
    let mut ask = claim();
    ask.scenario.zap = "VM destruction".into();
    assert!(refused(&ask).starts_with("VM destruction does not run beside anything else"));
    ask.scenario.zap = "munmap".into();
    let message = refused(&ask);
    let known = "in kernel 6.16 nothing called `munmap` removes pages; it is one of fallocate(PUNCH_HOLE), ";
    assert!(
        message.starts_with(known) && message.ends_with("nobody"),
        "{message}"
    );
}

#[test]
fn a_page_has_one_inode() {
    let mut ask = claim();
    ask.scenario.inodes = 2;
    let message = "2 inodes for 1 pages: give 1, or as many as there are pages";
    assert_eq!(refused(&ask), message);
    ask.scenario.pages = 2;
    assert!(ask.system().is_ok());
}

#[test]
fn what_kvm_refuses_before_the_td_is_finalized_is_refused() {
    let events = claim().threads(&["KVM_RUN:events"]);
    assert!(events.system().is_ok());
    let message = "KVM_RUN:events is refused until the TD is finalized; ask with finalized=true";
    assert_eq!(refused(&events.before_finalize()), message);
    let both = claim().threads(&["KVM_RUN:events", "KVM_TDX_FINALIZE_VM"]);
    assert!(both.before_finalize().system().is_ok());
}

#[test]
fn what_kvm_refuses_once_the_td_is_finalized_is_refused() {
    for path in ["KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_MEM_REGION"] {
        let message = format!(
            "{path} is refused once the TD is finalized; ask with finalized=false and populated=true, or take `any-tdr-exclusive`"
        );
        assert_eq!(refused(&claim().threads(&[path])), message);
        assert!(claim().before_finalize().threads(&[path]).system().is_ok());
    }
}

/// A table whose TDH.VP.WR takes and drops a lock this often more.
fn lengthened(table: &LockTable, times: usize) -> LockTable {
    let mut table = table.clone();
    for row in table
        .leaves
        .iter_mut()
        .filter(|row| row.name == "TDH.VP.WR")
    {
        let plain = |action| FlowStep { action, when: None };
        let first = row.flow[0].action;
        let FlowAction::Acquire { resource, .. } = first else {
            continue;
        };
        for _ in 0..times {
            row.flow.push(plain(first));
            row.flow.push(plain(FlowAction::Release { resource }));
        }
    }
    table
}

#[test]
fn a_table_with_more_steps_than_there_are_addresses_is_refused() {
    let kernel = profile("6.16").unwrap();
    let build = |times| {
        let table = lengthened(&claim().module, times);
        let scenario = Scenario::default();
        System::new(&table, &kernel, kernel.decisions, scenario, Reductions::ALL)
    };
    assert!(build(10).is_ok());
    let error = build(100).map(|_| ()).unwrap_err();
    assert!(matches!(error, ConfigError::TooLarge(_)));
    let message = "the lock table needs more than 255 steps; remove leaves that no agent uses";
    assert_eq!(error.to_string(), message);
}
