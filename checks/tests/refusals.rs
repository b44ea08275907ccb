//! Refusals: status 2, nothing on standard output, and a message with the place and a remedy.

mod common;

use common::{Ended, ended, ended_in, scratch, words};
use seamcheck_model::builtin;

/// Ends with 2, prints nothing on standard output, and says each of `phrases`.
fn refused(args: &[&str], phrases: &[&str]) {
    assert_refusal(args, &ended(args), phrases);
}

fn assert_refusal(args: &[&str], ended: &Ended, phrases: &[&str]) {
    assert_eq!(ended.status, Some(2), "{args:?}: {}", ended.err);
    assert_eq!(ended.out, "", "{args:?}");
    let said = words(&ended.err);
    for phrase in phrases {
        assert!(said.contains(phrase), "{args:?} says: {said}");
    }
}

#[test]
fn a_misspelt_name_is_refused_with_the_closest_one() {
    refused(
        &["run", "clam"],
        &["no check is called `clam`", "did you mean `claim`?"],
    );
    refused(&["run", "zzz"], &["`check list` names them all"]);
    refused(&["explain", "M06/ts"], &["did you mean `M06/tso`?"]);
    refused(
        &["what-if", "--set", "kik=none"],
        &[
            "no decision and no setting is called `kik`",
            "did you mean `kick`?",
            "check list --decisions",
        ],
    );
    refused(
        &["what-if", "--property", "no-second-bus"],
        &["did you mean `no-second-busy`?"],
    );
    refused(
        &["explain", "M06", "--property", "no-bug-no"],
        &["unknown property `no-bug-no`", "did you mean `no-bug-on`?"],
    );
}

#[test]
fn a_misspelt_setting_is_refused_with_the_closest_one() {
    refused(
        &["what-if", "--set", "acept=true"],
        &["did you mean `accept`?"],
    );
}

#[test]
fn a_value_that_does_not_exist_is_refused_with_those_that_do() {
    refused(
        &["what-if", "--set", "kick=nne"],
        &[
            "unknown value `nne` for decision `kick`",
            "request-no-wait, vcpu-kick, none",
        ],
    );
    refused(&["what-if", "--set", "kick"], &["write NAME=VALUE"]);
    refused(
        &["what-if", "--set", "accept=maybe"],
        &["accept is `true` or `false`, not `maybe`"],
    );
    refused(
        &["what-if", "--memory", "arm"],
        &["memory is `sc` or `tso`"],
    );
    refused(
        &["what-if", "--module", "9.9"],
        &["patch-table, 1.5.01, 1.5.05, 2.0.08, 2.0.12", ".toml file"],
    );
    refused(
        &["what-if", "--kernel", "5.0"],
        &["patch-v1, 6.16", ".toml file"],
    );
    refused(
        &["decode", "busy"],
        &["`busy` is no 64-bit status word", "0x8000020000000092"],
    );
}

#[test]
fn a_scenario_that_does_not_fit_is_refused_with_the_limit_or_the_way_out() {
    refused(
        &["what-if", "--vcpus", "9"],
        &["9 vCPUs asked for, at most 8"],
    );
    refused(
        &["what-if", "--pages", "3"],
        &["3 pages asked for, at most 2"],
    );
    let thread = ["--with", "host-debug-read"];
    refused(
        &[&["what-if"], &thread[..], &thread[..], &thread[..]].concat(),
        &["3 ioctl threads asked for, at most 2"],
    );
    refused(
        &["what-if", "--with", "KVM_TDX_INIT_VCP"],
        &[
            "no code path `KVM_TDX_INIT_VCP`",
            "it has KVM_TDX_INIT_VCPU",
        ],
    );
    refused(
        &["what-if", "--with", "KVM_TDX_INIT_VCPU"],
        &["refused once the TD is finalized; ask with finalized=false and populated=true"],
    );
}

#[test]
fn a_command_line_that_is_not_understood_is_refused_with_a_hint() {
    // The first word may be a check's name, so an unknown command is an unknown check.
    refused(&["frobnicate"], &["no check is called `frobnicate`"]);
    refused(&["what-if", "--vcpus", "x"], &["'--vcpus <N>'", "--help"]);
    refused(
        &["list", "--decisions", "--json"],
        &["cannot be used with", "--help"],
    );
    refused(&["decode"], &["<WORDS>", "--help"]);
    refused(
        &["run", "--tracs", "x"],
        &["unexpected argument '--tracs'", "'--traces'"],
    );
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    refused(
        &["what-if", "--module", "absent.toml"],
        &["absent.toml: No such file"],
    );
    refused(
        &["what-if", "--kernel", "./absent"],
        &["./absent: No such file"],
    );
    refused(
        &["replay", "absent.json"],
        &["absent.json: No such file", "check explain"],
    );
}

fn built_in<'a>(known: &[(&str, &'a str)], name: &str) -> &'a str {
    let found = known.iter().find(|(version, _)| *version == name);
    found.expect("built in").1
}

fn refused_with_file(file: &str, text: &str, args: &[&str], phrases: &[&str]) {
    // Tests run side by side: the question tells their directories apart.
    let directory = scratch(&format!("cli{}-{file}", args[1]));
    std::fs::write(directory.join(file), text).expect("it can be written");
    assert_refusal(args, &ended_in(&directory, args), phrases);
}

#[test]
fn a_mistake_in_a_users_own_lock_table_is_shown_where_it_stands() {
    let table = built_in(builtin::MODULES, "1.5.05");
    let right = r#"mode = "exclusive", busy = "TD_EPOCH""#;
    let line = 1 + table[..table.find(right).expect("there")]
        .matches('\n')
        .count();
    let wrong = table.replacen(right, r#"mode = "exclusiv", busy = "TD_EPOCH""#, 1);
    let place = format!("mine.toml:{line}:34: unknown mode `exclusiv`");
    let shown = format!("{line} {{ acquire = \"TD_EPOCH\", mode = \"exclusiv\", busy");
    refused_with_file(
        "mine.toml",
        &wrong,
        &["what-if", "--module", "mine.toml"],
        &[&place, &shown, "did you mean `exclusive`?"],
    );
}

#[test]
fn a_mistake_in_a_users_own_kernel_profile_is_shown_where_it_stands() {
    let profile = built_in(builtin::KERNELS, "6.16");
    let wrong = profile.replacen("name = \"6.16\"", "nam = \"6.16\"", 1);
    refused_with_file(
        "mine.toml",
        &wrong,
        &["what-if", "--kernel", "mine.toml"],
        &["mine.toml:3:1: unknown key `nam`", "did you mean `name`?"],
    );
    refused_with_file(
        "broken.toml",
        "name = [",
        &["what-if", "--kernel", "broken.toml"],
        &["broken.toml:1:9: unclosed array"],
    );
}
