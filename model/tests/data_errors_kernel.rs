//! Mistakes in a kernel profile: where they are found, what is said, and which remedy is given.

mod common;

use common::mistake::refused_kernel as refused;
use common::profile;
use seamcheck_model::kernel::{Decisions, KernelProfile};
use seamcheck_model::resource::Evidence;

const DECISIONS: &str = "it is one of flag_raise, flag_clear, kick, kick_mode_read, vcpu_flag_test, \
                         vcpu_barrier, mode_outside, irq_disable, busy_predicate, on_busy, \
                         track_kick, exit_request, flag_return, vp_enter_busy, exit_reason_on_flag";
const LOCKS: &str =
    "it is one of mmu_lock, kvm->lock, slots_lock, vcpu->mutex, invalidate_lock, every vcpu->mutex";

#[test]
fn a_text_that_is_not_toml_is_refused_where_it_stops_being_toml() {
    refused("[zap]", "[zap‸", "unclosed table, expected `]`", None);
    refused("[zap]", "[‸decisions]", "duplicate key", None);
}

#[test]
fn an_unknown_key_is_met_with_the_closest_one_or_with_all() {
    let all = "it is one of name, title, paths_as, paths_evidence, decisions_as, decisions_evidence, \
               decisions, zap, trigger, path, renamed";
    refused("title", "‸xyz", "unknown key `xyz`", Some(all));
    refused(
        "[[path]]",
        "[[‸paths]]",
        "unknown key `paths`",
        Some("did you mean `path`?"),
    );
    let value = Some("did you mean `value`?");
    refused("{ value", "{ ‸valu", "unknown key `valu`", value);
    let does = "it is one of name, function, locks, does, on_failure, before_finalize, after_finalize, \
                refuses_premapped, alone, irqs_off, hypothetical, source, evidence, note";
    refused("does =", "‸issues =", "unknown key `issues`", Some(does));
    let mode = "it is one of lock, mode";
    refused("{ lock =", "{ ‸on =", "unknown key `on`", Some(mode));
}

#[test]
fn an_unknown_decision_is_met_with_the_closest_one_or_with_all() {
    let raise = Some("did you mean `flag_raise`?");
    refused(
        "flag_raise =",
        "‸flag_rise =",
        "unknown key `flag_rise`",
        raise,
    );
    refused("kick =", "‸zzz =", "unknown key `zzz`", Some(DECISIONS));
}

#[test]
fn an_unknown_value_of_a_decision_is_met_with_its_values() {
    let message = "unknown value `befor-kick` for decision `flag_raise`; it is one of \
                   before-kick, after-kick, around-all-three, never, request-bit";
    refused("\"before-kick\"", "‸\"befor-kick\"", message, None);
    // A value of another decision is no better.
    let message = "unknown value `srcu-unlock` for decision `kick`; it is one of \
                   request-wait, request-wait-in-guest-only, request-no-wait, vcpu-kick, none";
    refused("\"request-wait\"", "‸\"srcu-unlock\"", message, None);
}

#[test]
fn every_decision_must_be_given() {
    let text = common::text(seamcheck_model::builtin::KERNELS, "6.16").unwrap();
    for name in Decisions::NAMES {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} = ")));
        let line = line.unwrap();
        // What is missing has no place of its own: the table's header stands for it.
        let lacks = text.replacen(&format!("{line}\n"), "", 1);
        let error = KernelProfile::parse("mine.toml", &lacks).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("mine.toml:6:1: missing key `{name}`")
        );
        assert_eq!(&lacks[error.span], "[decisions]");
        let help = error.help.unwrap();
        assert!(help.ends_with("take over the rest: decisions_as = \"6.19\""));
    }
}

#[test]
fn a_decision_says_its_value_its_source_and_its_evidence() {
    let row = "kick_mode_read = { value = \"locked-cmpxchg\", source = \"include/linux/kvm_host.h: kvm_vcpu_exiting_guest_mode\", evidence = \"read\" }";
    let lacks = |rest: &str| format!("kick_mode_read = ‸{{ {rest} }}");
    let (value, source, read) = (
        "value = \"plain-load\"",
        "source = \"\"",
        "evidence = \"read\"",
    );
    refused(
        row,
        &lacks(&format!("{source}, {read}")),
        "missing key `value`",
        None,
    );
    refused(
        row,
        &lacks(&format!("{value}, {read}")),
        "missing key `source`",
        None,
    );
    refused(
        row,
        &lacks(&format!("{value}, {source}")),
        "missing key `evidence`",
        None,
    );
    let table = "`kick_mode_read` must be a table";
    refused(row, "kick_mode_read = ‸\"plain-load\"", table, None);
}

#[test]
fn an_unknown_kvm_lock_mode_or_policy_is_met_with_the_closest_one_or_with_all() {
    let mmu = Some("did you mean `mmu_lock`?");
    refused(
        "\"mmu_lock\"",
        "‸\"mmulock\"",
        "unknown KVM lock `mmulock`",
        mmu,
    );
    refused(
        "\"mmu_lock\"",
        "‸\"xyz\"",
        "unknown KVM lock `xyz`",
        Some(LOCKS),
    );
    let write = Some("did you mean `write`?");
    refused(
        "mode = \"write\"",
        "mode = ‸\"wrte\"",
        "unknown KVM lock mode `wrte`",
        write,
    );
    // The modes of the module's locks are not those of KVM's.
    let modes = Some("it is one of read, write");
    refused(
        "mode = \"write\"",
        "mode = ‸\"shared\"",
        "unknown KVM lock mode `shared`",
        modes,
    );
    let bug = Some("did you mean `bug-on`?");
    refused(
        "\"bug-on\"",
        "‸\"bugon\"",
        "unknown failure policy `bugon`",
        bug,
    );
    let policies = Some("it is one of return, bug-on, bug-on-unless-busy");
    refused(
        "\"bug-on\"",
        "‸\"xyz\"",
        "unknown failure policy `xyz`",
        policies,
    );
}

#[test]
fn a_missing_key_is_missed_at_the_table_that_lacks_it() {
    refused("title = ", "# ", "missing key `title`", None);
    let zap = Some("give it, or take that of another kernel: paths_as = \"6.19\"");
    refused("[zap]", "[[path]]", "missing key `zap`", zap);
    let lock = "{ lock = \"mmu_lock\", mode";
    refused(lock, "‸{ mode", "missing key `lock`", None);
    let path = "[[path]]\nname = \"host-debug-read\"\nhypothetical = true\nfunction = \"tdh_mem_sept_rd\"\n";
    let lacks = "‸[[path]]\nname = \"host-debug-read\"\nhypothetical = true\n";
    refused(path, lacks, "missing key `function`", None);
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    let early = "`before_finalize` must be true or false";
    refused("finalize = true", "finalize = ‸\"yes\"", early, None);
    refused(
        "locks = []",
        "locks = ‸{}",
        "`locks` must be an array",
        None,
    );
    refused(
        "locks = []",
        "locks = [‸\"mmu_lock\"]",
        "`locks` must hold tables",
        None,
    );
    let strings = "`does` must hold strings";
    let or = Some("or tables, for what is done under locks of its own");
    refused("\"premap\", \"TDH", "\"premap\", ‸5, \"TDH", strings, or);
    refused("title = ", "title = ‸5 #", "`title` must be a string", None);
}

#[test]
fn a_code_path_given_twice_is_refused() {
    let (find, put) = (
        "name = \"host-debug-read\"",
        "name = ‸\"KVM_TDX_INIT_VCPU\"",
    );
    refused(find, put, "duplicate code path KVM_TDX_INIT_VCPU", None);
}

#[test]
fn a_path_that_does_not_say_otherwise_returns_its_errors_at_any_time() {
    let kernel = profile("6.16").unwrap();
    let path = kernel.path("host-debug-read").unwrap();
    assert_eq!(path.on_failure, seamcheck_model::kernel::OnFailure::Return);
    assert!(!path.before_finalize && path.locks.iter().next().is_none());
}

#[test]
fn a_lock_that_is_taken_twice_is_refused() {
    let twice =
        "{ lock = \"mmu_lock\", mode = \"write\" }, { lock = ‸\"mmu_lock\", mode = \"write\" }]";
    let waits = Some("a thread that takes a KVM lock twice waits for itself");
    let once = "{ lock = \"mmu_lock\", mode = \"write\" }]";
    refused(once, twice, "mmu_lock is held already", waits);
}

#[test]
fn a_path_that_kvm_would_never_let_pass_is_refused() {
    let both = "before_finalize = true\nafter_finalize = ‸true";
    let one = Some("give one of before_finalize and after_finalize");
    let message = "KVM would never let this path pass";
    refused("before_finalize = true", both, message, one);
}

#[test]
fn paths_of_a_kernel_that_there_is_not_are_refused() {
    let message = "unknown kernel `6.17`";
    let known: Vec<&str> = seamcheck_model::builtin::KERNELS
        .iter()
        .map(|(name, _)| *name)
        .collect();
    let help = format!("it is one of {}", known.join(", "));
    let put = "paths_as = ‸\"6.17\"\n[decisions]";
    refused("[decisions]", put, message, Some(&help));
    let own = "a profile can not take over its own rows";
    for key in ["paths_as", "decisions_as"] {
        let put = format!("{key} = ‸\"6.16\"\n[decisions]");
        refused("[decisions]", &put, own, None);
    }
}

const VARIANT: &str = "name = \"mine\"\ntitle = \"6.19, and vCPUs that are not kicked\"\n\
    paths_as = \"6.19\"\ndecisions_as = \"6.19\"\n";

#[test]
fn a_profile_takes_over_what_it_does_not_give() {
    let parse = |rest: &str| KernelProfile::parse("mine.toml", &format!("{VARIANT}{rest}"));
    let (same, theirs) = (parse("").unwrap(), profile("6.19").unwrap());
    assert_eq!(same.decisions, theirs.decisions);
    assert_eq!(same.zap.locks, theirs.zap.locks);
    assert_eq!(same.paths.len(), theirs.paths.len());
    let one = parse(
        "decisions_evidence = \"read\"\n\
         [decisions]\nkick = { value = \"none\", source = \"mine\", evidence = \"stated\" }\n",
    );
    let one = one.unwrap();
    for name in Decisions::NAMES {
        let (wanted, evidence) = match *name {
            "kick" => (Some("none"), Evidence::Stated),
            _ => (theirs.decisions.get(name), Evidence::Read),
        };
        let place = Decisions::NAMES.iter().position(|other| other == name);
        assert_eq!(one.decisions.get(name), wanted, "{name}");
        assert_eq!(one.evidence[place.unwrap()], evidence, "{name}");
    }
}

#[test]
fn what_is_taken_over_is_assumed_unless_the_profile_says_otherwise() {
    let taken = KernelProfile::parse("mine.toml", VARIANT).unwrap();
    let mut evidence = taken.evidence.iter().chain([&taken.zap.evidence]);
    assert_eq!(taken.evidence.len(), Decisions::NAMES.len());
    assert!(evidence.all(|evidence| *evidence == Evidence::Assumed));
}

#[test]
fn a_function_that_no_step_stands_for_can_not_be_renamed() {
    let row = |function: &str| {
        format!(
            "[[renamed]]\nfunction = {function}\nname = \"x\"\nsource = \"s\"\nevidence = \"read\"\n\n[zap]"
        )
    };
    let message = "no step stands for a function `tdx_trak`; did you mean `tdx_track`?";
    refused("[zap]", &row("‸\"tdx_trak\""), message, None);
    let twice = row("\"tdx_track\"").replace("[zap]", &row("‸\"tdx_track\""));
    refused("[zap]", &twice, "tdx_track is renamed already", None);
}
