use super::act::predicate;
use super::*;

fn read(text: &str) -> Diff {
    let line = |text: &str| TextLine {
        quoted: 0,
        text: text.to_owned(),
    };
    DiffReader::new().read(&text.lines().map(line).collect::<Vec<_>>())
}

fn acts(text: &str) -> Vec<(Act, Side, String)> {
    let acts = read(text).acts.into_iter();
    acts.map(|acted| (acted.act, acted.side, acted.function))
        .collect()
}

const DIFF: &str = "\
--- a/arch/x86/kvm/vmx/tdx.c
+++ b/arch/x86/kvm/vmx/tdx.c
@@ -10,3 +10,5 @@ static int zap_one(struct kvm *kvm)
 \terr = tdh_mem_range_block(td);
+\tif (unlikely(err & TDX_OPERAND_BUSY)) {
+\t\ttdx_no_vcpus_enter_start(kvm);
+\t\terr = tdh_mem_range_block(td);
-\tif (err == TDX_ERROR_SEPT_BUSY)
 \treturn 0;
";

#[test]
fn acts_are_found_under_their_function() {
    let zap_one = || "zap_one".to_owned();
    let block = || Act::Call("TDH.MEM.RANGE.BLOCK".into());
    assert_eq!(
        acts(DIFF),
        [
            (block(), Side::Both, zap_one()),
            (Act::Test(Predicate::BitTest), Side::New, zap_one()),
            (Act::Start, Side::New, zap_one()),
            (block(), Side::New, zap_one()),
            (Act::Test(Predicate::SeptBusy), Side::Old, zap_one()),
        ]
    );
    assert_eq!(read(DIFF).acts[0].file, "arch/x86/kvm/vmx/tdx.c");
    assert_eq!((read(DIFF).hunks, read(DIFF).short.len()), (1, 0));
}

#[test]
fn a_definition_among_the_lines_names_what_follows() {
    let text = "@@ -1,1 +1,5 @@\n+static void start(struct kvm *kvm)\n+{\n+\tWRITE_ONCE(tdx->wait_for_sept_zap, true);\n+\tkvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);\n }\n";
    let start = "start".to_owned();
    assert_eq!(
        acts(text),
        [
            (Act::StoreFlag(true), Side::New, start.clone()),
            (Act::KickAll, Side::New, start)
        ]
    );
}

#[test]
fn every_form_of_the_predicate_is_told_from_the_others() {
    for (code, predicate_is) in [
        ("if (err & TDX_OPERAND_BUSY)", Some(Predicate::BitTest)),
        ("if (tdx_operand_busy(err))", Some(Predicate::Masked)),
        (
            "while ((err & TDX_SEAMCALL_STATUS_MASK) == TDX_OPERAND_BUSY);",
            Some(Predicate::Masked),
        ),
        ("if (err == TDX_OPERAND_BUSY)", Some(Predicate::Unmasked)),
        (
            "if (err == (TDX_OPERAND_BUSY | TDX_OPERAND_ID_SEPT))",
            Some(Predicate::SeptBusy),
        ),
        ("if (err)", None),
    ] {
        assert_eq!(predicate(code), predicate_is, "{code}");
    }
}

#[test]
fn half_a_hunk_is_read_as_far_as_it_goes_and_noted() {
    let half: String = DIFF
        .lines()
        .take(6)
        .map(|line| line.to_owned() + "\n")
        .collect();
    let diff = read(&half);
    assert_eq!((diff.acts.len(), diff.short.len()), (3, 1));
}

#[test]
fn numbers_that_no_hunk_has_are_no_hunk() {
    let diff = read("@@ -1,99999999999999999999999 +1,5 @@\n+\ttdh_mem_track(td);\n");
    assert_eq!(diff.hunks, 1);
}

#[test]
fn a_macro_is_named_like_a_function_and_calls_what_it_is_given() {
    let text = "@@ -1,0 +1,4 @@ static void before(void)\n+#define tdh_do_no_vcpus(tdh_func, kvm, args...) \\\n+({ \\\n+\t__err = tdh_func(args); \\\n+\tif (tdx_operand_busy(__err)) \\\n";
    let name = || "tdh_do_no_vcpus".to_owned();
    assert_eq!(
        acts(text),
        [
            (Act::Macro(None), Side::New, name()),
            (Act::CallArgument, Side::New, name()),
            (Act::Test(Predicate::Masked), Side::New, name()),
        ]
    );
}
