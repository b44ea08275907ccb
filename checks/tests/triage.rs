//! `check triage`: from the lines of dead TDs to traces.

mod common;
#[path = "common/documented.rs"]
mod documented;

use common::{Ended, ended_in, scratch, words};
use documented::Format;
use insta::assert_snapshot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A hole punched while a vCPU is initialised (docs/claim.md).
const PUNCHED: &str = "[  99.123456] kvm_intel: SEAMCALL TDH_MEM_RANGE_BLOCK failed: 0x8000020000000002, entry 0x0, level_state 0x0\n";
/// Two vCPUs initialised at once.
const TWICE: &str = "Nov 24 18:00:01 host kernel: virt/tdx: SEAMCALL (0x0000000000010016) failed: 0x8000020000000080\n\
    Nov 24 18:00:01 host kernel: virt/tdx: RCX 0x0000000000000001 RDX 0x0000000000000000 R08 0x0000000000000000\n";
/// What a vCPU does to a first call, and no second.
const FIRST: &str = "kvm_intel: SEAMCALL TDH_MEM_TRACK failed: 0x80000200000000a9\n";

fn triage(directory: &Path, log: &[u8], more: &[&str]) -> Ended {
    std::fs::write(directory.join("log"), log).expect("it can be written");
    ended_in(directory, &[&["triage", "log"], more].concat())
}

fn json(directory: &Path, log: &str, more: &[&str]) -> Value {
    let ended = triage(directory, log.as_bytes(), &[&["--json"], more].concat());
    serde_json::from_str(&ended.out).expect("JSON")
}

const ONE: [&str; 4] = ["--kernel", "6.16", "--module", "1.5.05"];

#[test]
fn a_dead_td_is_explained_down_to_the_trace() {
    let directory = scratch("triage-dead");
    let log = format!(
        "[   0.0] Linux version 6.16.3 (somebody@somewhere)\n{PUNCHED}\
         [  99.2] WARNING: CPU: 3 PID: 9 at arch/x86/kvm/vmx/tdx.c:1725 tdx_sept_zap_private_spte+0x1/0x2\n{PUNCHED}"
    );
    let ended = triage(&directory, log.as_bytes(), &ONE);
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    assert_snapshot!("triage", ended.out);
}

#[test]
fn the_trace_of_a_failure_is_executed_again_and_ends_in_that_failure() {
    for (name, log, status) in [
        ("triage-punched", PUNCHED, "0x8000020000000002"),
        ("triage-twice", TWICE, "0x8000020000000080"),
    ] {
        let directory = scratch(name);
        let ended = triage(&directory, log.as_bytes(), &["--trace", "trace.json"]);
        assert_eq!(ended.status, Some(0), "{}", ended.err);
        let replayed = ended_in(&directory, &["replay", "trace.json"]);
        assert_eq!(replayed.status, Some(0), "{}", replayed.err);
        assert!(replayed.out.contains(status), "{}", replayed.out);
    }
}

#[test]
fn a_first_call_that_is_busy_is_told_from_the_failure_that_is_logged() {
    let directory = scratch("triage-first");
    let answer = json(&directory, FIRST, &ONE);
    let failure = &answer["failures"][0];
    assert_eq!(
        (&answer["exit"], &failure["explained"]),
        (&20.into(), &false.into())
    );
    assert_eq!(failure["found"][0]["result"], "silent");
    // Without the kick the second call is busy as well, and that is logged.
    let changes = failure["changes"]["found"].as_array().expect("an array");
    let has = |decision: &str, value: &str| {
        changes
            .iter()
            .any(|change| change["decision"] == decision && change["value"] == value)
    };
    assert!(
        has("kick", "none") && has("vcpu_barrier", "absent"),
        "{changes:?}"
    );
    assert!(!has("track_kick", "absent"), "{changes:?}");
    let text = words(&triage(&directory, FIRST.as_bytes(), &ONE).out);
    assert!(
        text.contains("KVM kicks every vCPU and calls again, and nothing is logged"),
        "{text}"
    );
}

#[test]
fn a_status_that_is_dealt_with_has_a_trace_that_ends_where_it_is_returned() {
    let directory = scratch("triage-witness");
    let more = [&ONE[..], &["--trace", "trace.json"]].concat();
    let ended = triage(&directory, FIRST.as_bytes(), &more);
    assert!(
        ended
            .out
            .contains("Witness: TDH.MEM.TRACK returns 0x80000200000000a9")
    );
    assert!(words(&ended.out).contains("held shared vCPU 0 TDH.VP.ENTER"));
    let replayed = ended_in(&directory, &["replay", "trace.json"]);
    assert_eq!((replayed.status, replayed.err.as_str()), (Some(0), ""));
    let text = std::fs::read_to_string(directory.join("trace.json")).expect("written");
    let other = "TDH.MEM.TRACK returns 0x8000020100000000 (TDX_PREVIOUS_TLB_EPOCH_BUSY).";
    let own = "TDH.MEM.TRACK returns 0x80000200000000a9 (TDX_OPERAND_BUSY | TD_EPOCH).";
    assert!(text.contains(own));
    for (name, forged) in [
        ("reason.json", text.replace(own, other)),
        ("result.json", text.replace("\"witness\"", "\"violated\"")),
    ] {
        std::fs::write(directory.join(name), forged).expect("it can be written");
        assert_eq!(
            ended_in(&directory, &["replay", name]).status,
            Some(2),
            "{name}"
        );
    }
}

#[test]
fn what_nobody_can_bring_about_is_told_with_what_it_would_take() {
    let directory = scratch("triage-needs");
    for (line, result, needs) in [
        (
            "SEAMCALL TDH_MEM_TRACK failed: 0x80000200000000ac",
            "never",
            "a SEAMCALL that holds OP_STATE exclusively",
        ),
        (
            "SEAMCALL TDH_MEM_TRACK failed: 0x8000020000000092",
            "never",
            "by the row it can return 0x8000020000000001 (TDR shared)",
        ),
        (
            "SEAMCALL TDH_VP_ENTER failed: 0x8000020000000001",
            "not-searched",
            "two threads in SEAMCALLs of one vCPU",
        ),
        (
            "SEAMCALL TDH_MEM_PAGE_AUG failed: 0x8000020000000002",
            "silent",
            "",
        ),
        (
            "SEAMCALL TDH_MEM_RANGE_BLOCK failed: 0xc0000b0000000001",
            "never",
            "this state: The S-EPT walk did not reach the level",
        ),
        (
            "SEAMCALL TDH_MEM_PAGE_PROMOTE failed: 0x8000020000000092",
            "no-row",
            "the rows hold it exclusive by TDH.MEM.RANGE.BLOCK",
        ),
        (
            "TD vp_enter_ret 0x9000020500000000",
            "never",
            "this state: A guest was refused for longer",
        ),
    ] {
        let answer = json(&directory, line, &ONE);
        let failure = &answer["failures"][0];
        assert_eq!(failure["found"][0]["result"], result, "{line}");
        let texts = failure["needs"]["texts"].to_string();
        assert_eq!(failure.get("needs").is_some(), !needs.is_empty(), "{line}");
        assert!(texts.contains(needs) || needs.is_empty(), "{line}: {texts}");
    }
}

#[test]
fn locks_and_states_come_from_the_tables() {
    let directory = scratch("triage-causes");
    let log = "SEAMCALL TDH_MEM_PAGE_REMOVE failed: 0xc0000b0800000001\n\
        SEAMCALL TDH_MEM_PAGE_REMOVE failed: 0x8000020000000001\n\
        SEAMCALL TDH_MEM_TRACK failed: 0xc0000b0000000001\n";
    let answer = json(&directory, log, &ONE);
    let causes = |at: usize| {
        answer["failures"][at]["causes"]
            .as_array()
            .expect("an array")
            .clone()
    };
    assert_eq!((causes(0).len(), causes(0)[0].get("lock")), (1, None));
    let locks: Vec<Value> = causes(1)
        .iter()
        .map(|cause| cause["lock"].clone())
        .collect();
    assert_eq!(locks, ["SEPT_ENTRY", "PAGE_PAMT"]);
    assert_eq!(causes(2).len(), 0);
    assert_eq!(answer["failures"][2]["found"][0]["result"], "never");
}

#[test]
fn a_leaf_that_is_not_modelled_and_a_number_that_is_no_leaf_are_said_to_be() {
    let directory = scratch("triage-unknown");
    let log = "SEAMCALL TDH_SYS_CONFIG failed: 0x8000020000000000\nSEAMCALL (4242) failed: 0x8000ff0000000006\n";
    let ended = triage(&directory, log.as_bytes(), &ONE);
    assert_eq!(ended.status, Some(20));
    let text = words(&ended.out);
    assert!(
        text.contains("no lock table here has a row for this leaf: it is not modelled"),
        "{text}"
    );
    assert!(
        text.contains("unknown leaf 4242") && text.contains("Not recognised"),
        "{text}"
    );
    assert!(
        text.contains("#UD: the CPU is not in VMX operation."),
        "{text}"
    );
}

#[test]
fn half_a_line_is_named_with_its_place() {
    let directory = scratch("triage-half");
    let ended = triage(
        &directory,
        b"one\nkvm_intel: SEAMCALL TDH_MEM_TRACK failed: ",
        &ONE,
    );
    assert_eq!(ended.status, Some(20));
    assert!(
        ended.out.contains("Not recognised:\n  line 2: "),
        "{}",
        ended.out
    );
}

#[test]
fn a_log_without_a_failure_has_nothing_to_be_asked() {
    let directory = scratch("triage-none");
    let junk: Vec<u8> = (0..100_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for log in [&b""[..], b"all is well\n", b"\0\0\0", &junk] {
        let ended = triage(&directory, log, &[]);
        assert_eq!((ended.status, ended.err.as_str()), (Some(11), ""));
        assert!(
            ended.out.contains("no SEAMCALL failure in a format"),
            "{}",
            ended.out
        );
    }
    assert!(
        triage(&directory, &junk, &[])
            .out
            .contains("lines: no text")
    );
}

#[test]
fn standard_input_is_read_where_no_file_is_given() {
    for args in [&["triage"][..], &["triage", "-"]] {
        let mut command = common::check(&[args, &ONE].concat());
        let output = command
            .write_stdin(PUNCHED)
            .output()
            .expect("the program starts");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(
            text.starts_with("standard input: 1 line, one SEAMCALL failure."),
            "{text}"
        );
    }
}

#[test]
fn a_log_that_can_not_be_read_is_refused() {
    let directory = scratch("triage-unreadable");
    for file in ["no-such-log", "."] {
        let ended = ended_in(&directory, &["triage", file]);
        assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""), "{file}");
        assert!(ended.err.contains(file), "{}", ended.err);
    }
}

#[test]
fn without_time_to_search_nothing_is_said_to_be_impossible() {
    let directory = scratch("triage-time");
    let answer = json(&directory, PUNCHED, &["--timeout", "0"]);
    let found = answer["failures"][0]["found"].as_array().expect("an array");
    let results: BTreeSet<&str> = found
        .iter()
        .map(|found| found["result"].as_str().expect("a string"))
        .collect();
    assert!(
        results.contains("unknown") && !results.contains("logged"),
        "{results:?}"
    );
    assert_eq!(answer["exit"], 20);
}

#[test]
fn the_triage_has_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.triage.v1");
    let (directory, mut met) = (scratch("triage-json"), BTreeSet::new());
    let all = format!(
        "Linux version 6.16.3\n{PUNCHED}{TWICE}{FIRST}SEAMCALL TDH_MEM_TRACK failed: 0xc0000b0000000001\nSEAMCALL failed\n"
    );
    format.assert_fits(&json(&directory, &all, &["--kernel", "6.16"]), &mut met);
    format.assert_fits(&json(&directory, PUNCHED, &["--timeout", "0"]), &mut met);
    assert_eq!(met, format.all(), "left: met, right: documented");
}
