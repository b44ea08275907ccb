//! `check matrix`: the grid, who meets whom, and the same as JSON.

mod common;
#[path = "common/documented.rs"]
mod documented;

use common::ended;
use documented::Format;
use insta::assert_snapshot;
use seamcheck_model::builtin::{KERNELS, MODULES};
use serde_json::Value;
use std::collections::BTreeSet;

fn printed(args: &[&str]) -> String {
    let ended = ended(args);
    assert_eq!(
        (ended.status, ended.err.as_str()),
        (Some(0), ""),
        "{args:?}"
    );
    ended.out
}

fn json(module: &str, kernel: &str) -> Value {
    let text = printed(&["matrix", "--json", "--module", module, "--kernel", kernel]);
    serde_json::from_str(&text).expect("JSON")
}

/// The realities of the collisions of two leaves on a lock.
fn reality<'a>(matrix: &'a Value, loser: &str, holder: &str, lock: &str) -> Vec<&'a str> {
    let all = matrix["collisions"].as_array().expect("an array").iter();
    let pair = all.filter(|found| {
        found["loser"] == loser && found["holder"] == holder && found["lock"] == lock
    });
    pair.map(|found| found["reality"].as_str().expect("a string"))
        .collect()
}

#[test]
fn the_patchs_own_table_is_drawn_in_a_hundred_columns() {
    assert_snapshot!(
        "matrix",
        printed(&["matrix", "--module", "patch-table", "--kernel", "patch-v1"])
    );
}

#[test]
fn no_built_in_table_needs_more_than_a_hundred_columns() {
    for (module, _) in MODULES {
        for (kernel, _) in KERNELS {
            let text = printed(&["matrix", "--module", module, "--kernel", kernel]);
            let wide = text.lines().find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{module}, {kernel}");
        }
    }
}

#[test]
fn the_matrix_has_the_documented_fields_and_no_others() {
    let format = Format::read("seamcheck.matrix.v1");
    let mut met = BTreeSet::new();
    format.assert_fits(&json("1.5.05", "6.16"), &mut met);
    assert_eq!(met, format.all(), "left: met, right: documented");
}

#[test]
fn an_ioctl_can_take_the_tdr_from_a_removal_on_6_16() {
    let matrix = json("1.5.05", "6.16");
    let loser = "TDH.MEM.RANGE.BLOCK";
    assert_eq!(
        reality(&matrix, loser, "TDH.VP.INIT@1", "TDR"),
        ["together"]
    );
    assert_eq!(
        reality(&matrix, loser, "TDH.MEM.PAGE.AUG", "SEPT_TREE"),
        ["kept-apart"]
    );
    assert_eq!(reality(&matrix, loser, "TDH.VP.ENTER", "TDR"), [""; 0]);
}

#[test]
fn the_newer_modules_shared_tree_takes_remove_out_of_it_and_leaves_block_in() {
    let tree = |module: &str, loser: &str| {
        let matrix = json(module, "6.16");
        reality(&matrix, loser, "TDH.VP.ENTER", "SEPT_TREE").len()
    };
    assert_eq!(
        (
            tree("1.5.05", "TDH.MEM.PAGE.REMOVE"),
            tree("2.0.12", "TDH.MEM.PAGE.REMOVE")
        ),
        (1, 0)
    );
    assert_eq!(
        (
            tree("1.5.05", "TDH.MEM.RANGE.BLOCK"),
            tree("2.0.12", "TDH.MEM.RANGE.BLOCK")
        ),
        (1, 1)
    );
}

#[test]
fn a_leaf_that_nobody_issues_and_one_without_a_row_are_named() {
    let matrix = json("1.5.05", "next");
    let names = |key: &str| matrix[key].to_string();
    assert!(names("not_issued").contains("TDH.MEM.PAGE.DEMOTE"));
    assert!(!names("not_issued").contains("TDH.MEM.PAGE.REMOVE"));
    assert!(names("without_row").contains("TDH.MEM.PAGE.PROMOTE"));
    assert!(!names("without_row").contains("TDH.MEM.PAGE.DEMOTE"));
    let (loser, holder) = ("TDH.MEM.PAGE.DEMOTE", "TDH.MEM.RANGE.BLOCK");
    assert_eq!(reality(&matrix, loser, holder, "SEPT_TREE"), ["no-caller"]);
    let text = printed(&["matrix", "--module", "1.5.05", "--kernel", "next"]);
    let words = common::words(&text);
    assert!(
        words.contains("No code path of kernel next here issues: "),
        "{text}"
    );
    let row = text
        .lines()
        .find(|line| line.contains(loser))
        .expect("a row");
    assert!(row.contains("s-"), "{row}");
}

#[test]
fn a_lock_around_the_ioctl_keeps_it_apart() {
    let directory = common::scratch("matrix-lock");
    let (_, text) = KERNELS
        .iter()
        .find(|(name, _)| *name == "6.16")
        .expect("there");
    // What 6.19 does: mmu_lock for write around TDH.VP.INIT.
    let around = text.replacen(
        "function = \"tdx_td_vcpu_init\"\nlocks = [",
        "function = \"tdx_td_vcpu_init\"\nlocks = [{ lock = \"mmu_lock\", mode = \"write\" }, ",
        1,
    );
    assert_ne!(around, *text);
    let file = directory.join("own.toml");
    std::fs::write(&file, around).expect("it can be written");
    let matrix = json("1.5.05", file.to_str().expect("UTF-8"));
    let found = reality(&matrix, "TDH.MEM.RANGE.BLOCK", "TDH.VP.INIT@1", "TDR");
    // What is left is the code that KVM does not have.
    assert_eq!(found, ["hypothetical"]);
}

#[test]
fn a_table_or_a_profile_that_is_not_there_is_named() {
    for args in [
        ["matrix", "--module", "9.9"],
        ["matrix", "--kernel", "no/such.toml"],
    ] {
        let ended = ended(&args);
        assert_eq!((ended.status, ended.out.as_str()), (Some(2), ""));
        assert!(ended.err.contains(args[2]), "{}", ended.err);
    }
}
