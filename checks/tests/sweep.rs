//! Every pair of code paths, and which lock would help: what the program says, and that it is so.

mod common;

use common::{ended, ended_in, scratch};
use serde_json::Value;
use std::collections::BTreeSet;

fn json(args: &[&str], status: i32) -> Value {
    let ended = ended(args);
    assert_eq!(ended.status, Some(status), "{args:?}: {}", ended.err);
    serde_json::from_str(&ended.out).expect("JSON")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// `one + other: SEAMCALL status`, for each failure.
fn failures(kernel: &str, module: &str) -> BTreeSet<String> {
    let sweep = json(
        &["sweep", "--kernel", kernel, "--module", module, "--json"],
        10,
    );
    let cell = &sweep["cells"][0];
    assert_eq!(
        (text(cell, "kernel"), text(cell, "module")),
        (kernel, module)
    );
    assert_eq!(cell.get("not_complete"), None);
    let failures = cell["failures"].as_array().expect("an array");
    let line = |failure: &Value| {
        let (one, other) = (&failure["paths"][0], &failure["paths"][1]);
        format!(
            "{} + {}: {} {}",
            one.as_str().unwrap_or_default(),
            other.as_str().unwrap_or_default(),
            text(failure, "seamcall"),
            text(failure, "status_name")
        )
    };
    failures.iter().map(line).collect()
}

#[test]
fn the_newest_kernel_fails_in_these_ways_and_no_others() {
    let (finalize, measure) = ("KVM_TDX_FINALIZE_VM", "KVM_TDX_INIT_MEM_REGION:measure");
    let mut wanted = BTreeSet::new();
    for removal in ["fallocate(PUNCH_HOLE)", "guest_memfd memory failure"] {
        for (path, leaf, status) in [
            (finalize, "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY | RDX"),
            (finalize, "TDH.MEM.PAGE.REMOVE", "TDX_OPERAND_BUSY | RDX"),
            (
                finalize,
                "TDH.MEM.PAGE.REMOVE",
                "TDX_TLB_TRACKING_NOT_DONE | RCX",
            ),
            (measure, "TDH.MR.EXTEND", "TDX_OPERAND_BUSY | RDX"),
            (measure, "TDH.MEM.RANGE.BLOCK", "TDX_OPERAND_BUSY | RDX"),
            (measure, "TDH.MEM.PAGE.REMOVE", "TDX_OPERAND_BUSY | RDX"),
        ] {
            wanted.insert(format!("{removal} + {path}: {leaf} {status}"));
        }
    }
    wanted.insert(format!(
        "{measure} + cpu-offline: TDH.MR.EXTEND TDX_OPERAND_BUSY | RDX"
    ));
    assert_eq!(failures("next", "1.5.01"), wanted);
    let init = "KVM_TDX_INIT_VCPU + cpu-offline: TDH.VP.INIT@1 TDX_OPERAND_BUSY | TDR";
    wanted.insert(init.to_owned());
    for module in ["1.5.05", "2.0.12"] {
        assert_eq!(failures("next", module), wanted, "{module}");
    }
}

/// Searches every three code paths, and fails where they come to what no two of them do.
fn assert_threes_are_pairs(kernel: &str, module: &str) {
    let args = ["sweep", "--kernel", kernel, "--module", module, "--json"];
    let sweep = json(&[&args[..], &["--at-once", "3"]].concat(), 10);
    let cell = &sweep["cells"][0];
    assert_eq!(cell.get("not_complete"), None);
    let (pairs, triples) = (&cell["pairs"], &cell["triples"]);
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    assert_eq!((count(pairs), count(triples)), (153, 451), "{kernel}");
    let failures = cell["failures"].as_array().expect("an array");
    let three = failures
        .iter()
        .filter(|failure| count(&failure["paths"]) > 2);
    let three: Vec<String> = three.map(|failure| failure["paths"].to_string()).collect();
    assert_eq!(three, [""; 0], "{kernel}, {module}");
    assert!(!failures.is_empty());
}

#[test]
fn three_code_paths_at_a_time_come_to_nothing_that_two_do_not() {
    // 6.16 for the count of premapped pages, `next` for what is left on it.
    assert_threes_are_pairs("6.16", "1.5.01");
    assert_threes_are_pairs("next", "1.5.05");
}

#[test]
#[ignore = "minutes: every kernel on every module"]
fn three_code_paths_at_a_time_come_to_nothing_more_on_any_version() {
    for (kernel, _) in seamcheck_model::builtin::KERNELS {
        for module in ["1.5.01", "1.5.05", "2.0.08", "2.0.12"] {
            assert_threes_are_pairs(kernel, module);
        }
    }
}

#[test]
fn r5_is_found_where_it_was_and_for_its_own_reason() {
    let hole =
        "fallocate(PUNCH_HOLE) + KVM_TDX_INIT_VCPU: TDH.MEM.RANGE.BLOCK TDX_OPERAND_BUSY | RDX";
    assert!(failures("6.16", "1.5.05").contains(hole));
    assert!(!failures("6.16", "1.5.01").contains(hole));
    assert!(!failures("6.19", "1.5.05").contains(hole));
}

#[test]
fn traces_of_a_sweep_are_written_and_can_be_executed_again() {
    let directory = scratch("sweep-traces");
    let args = [
        "sweep", "--kernel", "next", "--module", "1.5.01", "--traces", "out",
    ];
    assert_eq!(ended_in(&directory, &args).status, Some(10));
    let files = std::fs::read_dir(directory.join("out")).expect("written");
    let mut count = 0;
    for file in files {
        let path = file.expect("readable").path();
        let path = path.to_str().expect("UTF-8");
        assert_eq!(ended(&["replay", path]).status, Some(0), "{path}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn a_kernel_that_there_is_not_is_refused() {
    let ended = ended(&["sweep", "--kernel", "6.17"]);
    assert_eq!(ended.status, Some(2));
    assert!(ended.err.contains("unknown kernel `6.17`"), "{}", ended.err);
}

fn fixes(args: &[&str], status: i32) -> Vec<String> {
    let found = json(&[&["fix", "--json"], args].concat(), status);
    let fixes = found["fixes"].as_array().expect("an array");
    fixes
        .iter()
        .map(|fix| text(fix, "hold").to_owned())
        .collect()
}

#[test]
fn the_fix_that_upstream_chose_is_among_those_found() {
    let found = fixes(&["M27"], 0);
    let upstream = "mmu_lock:write@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1";
    assert!(found.iter().any(|hold| hold == upstream), "{found:?}");
}

#[test]
fn a_lock_around_the_seamcall_alone_does_not_fix_finalize() {
    let found = fixes(&["finalize-beside-hole", "--property", "no-bug-on"], 0);
    assert_eq!(
        found.first().map(String::as_str),
        Some("mmu_lock:read@KVM_TDX_FINALIZE_VM")
    );
    assert!(
        found.iter().all(|hold| !hold.contains("/TDH.MR.FINALIZE")),
        "{found:?}"
    );
}

#[test]
fn no_kvm_lock_helps_against_a_guest() {
    assert_eq!(fixes(&["M02/sc"], 10), [""; 0]);
}

#[test]
fn what_holds_needs_no_fix() {
    let ended = ended(&["fix", "claim"]);
    assert_eq!(ended.status, Some(2));
    assert!(
        ended.err.contains("there is nothing to fix"),
        "{}",
        ended.err
    );
}

#[test]
fn a_lock_changed_is_compared_with_the_kernels_own() {
    let question = [
        "--vcpus",
        "0",
        "--with",
        "KVM_TDX_FINALIZE_VM",
        "--kernel",
        "next",
    ];
    let scenario = [
        "--set",
        "finalized=false",
        "--set",
        "populated=true",
        "--property",
        "no-bug-on",
    ];
    let hold = ["--hold", "mmu_lock:write@KVM_TDX_FINALIZE_VM"];
    let held = ended(&[&["what-if"], &question[..], &scenario, &hold].concat());
    assert_eq!(held.status, Some(0), "{}", held.err);
    assert!(
        held.out.contains("with the kernel's own locks: violated 9"),
        "{}",
        held.out
    );
    let drop = ["--drop", "mmu_lock@KVM_TDX_FINALIZE_VM"];
    let refused = ended(&[&["what-if"], &question[..], &scenario, &drop].concat());
    assert_eq!(refused.status, Some(2));
    let message = "KVM_TDX_FINALIZE_VM does not hold mmu_lock";
    assert!(refused.err.contains(message), "{}", refused.err);
}
