//! `check code`: what it prints, for people and as JSON, its exit statuses, and schedules in files.

mod common;

use common::{ended, ended_in, scratch, words};
use serde_json::Value;

fn json(args: &[&str]) -> (Option<i32>, Value) {
    let ended = ended(args);
    let answer = serde_json::from_str(&ended.out);
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {}{}", ended.out, ended.err));
    (ended.status, answer)
}

/// A mutant that shuttle finds soon, a quick window that holds, and one that is cut short.
const FALLS: [&str; 5] = [
    "code",
    "--engine=shuttle",
    "--vcpus=2",
    "--set=kick=none",
    "--window=block",
];
const HOLDS: [&str; 2] = ["code", "--window=remove"];
const CUT: [&str; 3] = ["code", "--window=remove", "--executions=100"];

#[test]
fn what_holds_is_printed_with_its_bounds() {
    let ended = ended(&HOLDS);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    insta::assert_snapshot!("code_holds", ended.out);
}

#[test]
fn what_falls_is_printed_with_the_execution_of_the_fewest_preemptions() {
    let ended = ended(&["code", "--fewest", "--set=vcpu_barrier=absent"]);
    assert_eq!(ended.status, Some(10), "{}", ended.err);
    insta::assert_snapshot!("code_fewest_M06", ended.out);
}

#[test]
fn a_schedule_that_falls_is_printed_event_by_event() {
    let ended = ended(&FALLS);
    assert_eq!(ended.status, Some(10), "{}", ended.err);
    insta::assert_snapshot!("code_shuttle_M02", ended.out);
}

#[test]
fn what_is_cut_short_is_unknown() {
    for args in [&CUT[..], &["code", "--set=flag_return=reenter-guest"]] {
        let ended = ended(args);
        assert_eq!(ended.status, Some(20), "{}", ended.err);
        assert!(
            ended.out.starts_with("unknown no-second-busy"),
            "{}",
            ended.out
        );
    }
    let sample = ended(&["code", "--engine=shuttle", "--schedules=20"]);
    assert_eq!(sample.status, Some(20), "{}", sample.err);
    assert!(
        words(&sample.out).contains("20 schedules are inside the model"),
        "{}",
        sample.out
    );
}

/// Whether a vCPU happens to meet the flag is up to the machine.
#[test]
fn real_threads_are_called_a_smoke_test_and_prove_nothing() {
    let ended = ended(&["code", "--engine=std", "--schedules=5"]);
    assert!(matches!(ended.status, Some(11 | 20)), "{ended:?}");
    assert!(
        words(&ended.out).contains("real threads, a smoke test"),
        "{}",
        ended.out
    );
}

#[test]
fn nothing_to_claim_is_vacuous() {
    let ended = ended(&["code", "--set=on_busy=retry-without-kick"]);
    assert_eq!(ended.status, Some(11), "{}{}", ended.out, ended.err);
}

/// A window does not have what these are about, and a guest that is never interrupted has nothing to dispatch.
#[test]
fn what_a_run_has_nothing_of_is_vacuous_whatever_the_property() {
    for args in [
        "code --property tracked-remove",
        "code --property epoch-empty",
        "code --property interrupt-once",
        "code --set on_busy=give-up --property no-mark-left",
        "code --window whole --preemptions 2 --property interrupt-once",
        "code --engine shuttle --window block --schedules 5 --property tracked-remove",
    ] {
        let ended = ended(&args.split(' ').collect::<Vec<_>>());
        assert_eq!(ended.status, Some(11), "{args}: {}{}", ended.out, ended.err);
    }
    for (args, status) in [
        ("code --window remove --property tracked-remove", 0),
        ("code --window track --property epoch-empty --laps 1", 0),
        (
            "code --window whole --preemptions 2 --guest interrupt --property interrupt-once",
            10,
        ),
        (
            "code --window whole --preemptions 2 --set on_busy=give-up --property no-mark-left",
            10,
        ),
    ] {
        let ended = ended(&args.split(' ').collect::<Vec<_>>());
        assert_eq!(
            ended.status,
            Some(status),
            "{args}: {}{}",
            ended.out,
            ended.err
        );
    }
}

#[test]
fn json_says_the_same_and_the_exit_status() {
    for (args, status, verdict) in [
        (&HOLDS[..], 0, "holds"),
        (&FALLS, 10, "violated"),
        (&CUT, 20, "unknown"),
    ] {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let (ended, answer) = json(&args);
        assert_eq!(ended, Some(status));
        assert_eq!(answer["exit"], status);
        assert_eq!(answer["verdict"], verdict);
    }
    let (_, holds) = json(&["code", "--window=remove", "--json"]);
    insta::assert_snapshot!(
        "code_holds_json",
        serde_json::to_string_pretty(&holds).expect("JSON")
    );
}

#[test]
fn the_same_seed_makes_the_same_run_and_another_seed_another() {
    let at = |seed: &str| {
        let args: Vec<&str> = FALLS.iter().copied().chain(["--json", seed]).collect();
        json(&args).1["answer"].clone()
    };
    assert_eq!(at("--seed=7"), at("--seed=7"));
    assert_ne!(at("--seed=7")["steps"], at("--seed=8")["steps"]);
}

#[test]
fn a_saved_schedule_makes_the_same_execution_again() {
    let directory = scratch("code-replay");
    let args: Vec<&str> = FALLS.iter().copied().chain(["--save=found.json"]).collect();
    let found = ended_in(&directory, &args);
    assert_eq!(found.status, Some(10), "{}", found.err);
    let again = ended_in(&directory, &["code", "--replay=found.json"]);
    assert_eq!(again.status, Some(10), "{}", again.err);
    let events = |text: &str| {
        let (_, events) = text.split_once("the execution:").expect("an execution");
        events.to_owned()
    };
    assert_eq!(events(&again.out), events(&found.out));
}

#[test]
fn a_file_that_is_no_schedule_is_refused() {
    let directory = scratch("code-wrong-replay");
    let write =
        |name: &str, text: &str| std::fs::write(directory.join(name), text).expect("a file");
    let args: Vec<&str> = FALLS.iter().copied().chain(["--save=good.json"]).collect();
    assert_eq!(ended_in(&directory, &args).status, Some(10));
    let good = std::fs::read_to_string(directory.join("good.json")).expect("a schedule");
    write("text.json", "what is this");
    write(
        "other.json",
        &good.replace("seamcheck.schedule.v1", "seamcheck.schedule.v9"),
    );
    write(
        "word.json",
        &good.replace("\"threads\": \"", "\"threads\": \"zero "),
    );
    write(
        "beyond.json",
        &good.replace("\"threads\": \"", "\"threads\": \"0 9 "),
    );
    for (file, says) in [
        ("missing.json", "missing.json"),
        ("text.json", "expected value"),
        ("other.json", "the format is `seamcheck.schedule.v9`"),
        ("word.json", "`zero` is no number of a thread"),
        ("beyond.json", "the code does not follow this schedule"),
    ] {
        let replay = format!("--replay={file}");
        let ended = ended_in(&directory, &["code", &replay]);
        assert_eq!(ended.status, Some(2), "{file}: {}{}", ended.out, ended.err);
        assert_eq!(ended.out, "", "{file}");
        assert!(words(&ended.err).contains(says), "{file}: {}", ended.err);
    }
}

#[test]
fn what_the_code_or_an_engine_can_not_do_is_refused_with_a_reason() {
    for (args, says) in [
        (
            &["code", "--vcpus=5"][..],
            "loom runs at most 4 beside the zapper",
        ),
        (
            &["code", "--set=kik=none"],
            "no decision is called `kik`; did you mean `kick`?",
        ),
        (
            &["code", "--set=kick=nne"],
            "unknown value `nne` for decision `kick`",
        ),
        (&["code", "--set=kick"], "write NAME=VALUE"),
        (&["code", "--module=1.5.01"], "does not exist as code"),
        (&["code", "--window=blok"], "unknown window `blok`"),
        (&["code", "--memory=tso"], "unknown memory `tso`"),
        (&["code", "--guest=acept"], "unknown guest `acept`"),
        (
            &["code", "--in-guest"],
            "only when a whole removal begins, under loom",
        ),
        (
            &["code", "--property=zap-finishes"],
            "the code does not watch `zap-finishes`",
        ),
        (
            &["code", "--engine=std", "--property=no-vcpu-inside"],
            "real threads record nothing",
        ),
    ] {
        let ended = ended(args);
        assert_eq!(
            ended.status,
            Some(2),
            "{args:?}: {}{}",
            ended.out,
            ended.err
        );
        assert_eq!(ended.out, "", "{args:?}");
        assert!(words(&ended.err).contains(says), "{args:?}: {}", ended.err);
    }
}

/// M27: an ioctl beside the zapper, in the words of `check what-if`.
const BESIDE: [&str; 5] = [
    "code",
    "--kernel=6.19",
    "--with=KVM_TDX_INIT_VCPU",
    "--set=finalized=false",
    "--set=populated=true",
];
const DROPPED: &str = "--drop=mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1";

#[test]
fn an_ioctl_beside_the_zapper_is_run_with_the_locks_that_its_kernel_gives_it() {
    let broken = ended(&[&BESIDE[..], &[DROPPED, "--laps=1", "--fewest"]].concat());
    assert_eq!(broken.status, Some(10), "{}", broken.err);
    insta::assert_snapshot!("code_beside_M27", broken.out);
    let fixed = ended(&[&BESIDE[..], &["--property=no-bug-on"]].concat());
    assert_eq!(fixed.status, Some(0), "{}", fixed.err);
    let vacuous = ended(&BESIDE);
    assert_eq!(vacuous.status, Some(11), "{}", vacuous.err);
    let against = [DROPPED, "--memory=rmw", "--against=flag_clear=before-retry"];
    let parts = ended(&[&BESIDE[..], &against].concat());
    assert_eq!(parts.status, Some(14), "{}", parts.err);
}

#[test]
fn a_schedule_beside_an_ioctl_is_made_again_from_its_file() {
    let path = scratch("code-beside").join("schedule.json");
    let path = path.display().to_string();
    let save = format!("--save={path}");
    let found = json(&[&BESIDE[..], &[DROPPED, "--engine=shuttle", &save, "--json"]].concat());
    assert_eq!(found.0, Some(10));
    let beside = &found.1["request"]["beside"];
    assert_eq!(beside["with"][0], "KVM_TDX_INIT_VCPU");
    assert_eq!(beside["drop"][0], DROPPED.trim_start_matches("--drop="));
    assert_eq!(
        (&beside["finalized"], &beside["populated"]),
        (&false.into(), &true.into())
    );
    let again = json(&["code", "--replay", &path, "--json"]);
    assert_eq!(again.0, Some(10));
    assert_eq!(again.1["answer"]["events"], found.1["answer"]["events"]);
}

#[test]
fn what_the_code_does_not_have_beside_the_zapper_is_refused() {
    for (args, says) in [
        (&["--with=KVM_TDX_INIT_VCPU"][..], "finalized=false"),
        (&["--set=finalized=false"], "name an ioctl"),
        (&["--vcpus=0"], "nothing to interleave"),
        (
            &["--with=KVM_TDX_FINALIZE_VM", "--set=finalized=false"],
            "does not exist as code",
        ),
        (
            &[
                "--with=KVM_TDX_INIT_VCPU",
                "--set=finalized=false",
                "--window=block",
            ],
            "whole",
        ),
    ] {
        let ended = ended(&[&["code"], args].concat());
        assert_eq!(ended.status, Some(2), "{args:?}");
        assert!(words(&ended.err).contains(says), "{args:?}: {}", ended.err);
    }
}
