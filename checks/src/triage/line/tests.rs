use super::*;

fn read(line: &str) -> Vec<Line> {
    LineReader::new().read(line.as_bytes())
}

fn failure(line: &str) -> Failure {
    match read(line).as_slice() {
        [Line::Failure(failure)] => failure.clone(),
        other => panic!("{line}: {other:?}"),
    }
}

fn named(name: &str) -> LeafRef {
    LeafRef::Name(name.into())
}

#[test]
fn kvm_prints_the_leaf_by_name() {
    for (line, leaf, status) in [
        (
            "kvm_intel: SEAMCALL TDH_MEM_RANGE_BLOCK failed: 0x8000020000000002",
            "TDH.MEM.RANGE.BLOCK",
            0x8000_0200_0000_0002,
        ),
        (
            "SEAMCALL TDH_VP_INIT failed: 0x8000020000000080",
            "TDH.VP.INIT",
            0x8000_0200_0000_0080,
        ),
        (
            "tdx: SEAMCALL tdh_mem_track failed: 0x8000020100000000",
            "TDH.MEM.TRACK",
            0x8000_0201_0000_0000,
        ),
    ] {
        let failure = failure(line);
        assert_eq!(
            (failure.leaf, failure.status),
            (named(leaf), StatusWord(status))
        );
    }
}

#[test]
fn the_values_behind_it_are_kept_under_whatever_name() {
    let old = "SEAMCALL TDH_MEM_PAGE_REMOVE failed: 0xc0000b0800000001, rcx 0x7ff, rdx 0x405";
    let new =
        "SEAMCALL TDH_MEM_PAGE_REMOVE failed: 0xc0000b0800000001, entry 0x7ff, level_state 0x405";
    assert_eq!(
        failure(old).values,
        [("rcx".into(), 0x7ff), ("rdx".into(), 0x405)]
    );
    assert_eq!(
        failure(new).values,
        [("entry".into(), 0x7ff), ("level_state".into(), 0x405)]
    );
}

#[test]
fn the_core_prints_the_leaf_by_number() {
    for line in [
        "virt/tdx: SEAMCALL (0x0000000000010016) failed: 0x8000020000000080",
        "virt/tdx: SEAMCALL (65558) failed: 0x8000020000000080",
        "tdx: SEAMCALL[0x10016] failed: 0x8000020000000080",
        "tdx: SEAMCALL failed: CPU 12: leaf 65558, error 0x8000020000000080.",
        "kvm_intel: SEAMCALL 65558 failed: 0x8000020000000080",
    ] {
        let failure = failure(line);
        assert_eq!(
            failure.leaf,
            LeafRef::Number(LeafNumber(0x1_0016)),
            "{line}"
        );
        assert_eq!(failure.status, StatusWord(0x8000_0200_0000_0080), "{line}");
    }
    let registers = "virt/tdx: RCX 0x0000000000000001 RDX 0x0000000000000002 R08 0x0";
    let read = read(registers);
    let [Line::Registers(values)] = read.as_slice() else {
        panic!("{read:?}")
    };
    assert_eq!(values.len(), 3);
}

#[test]
fn reads_and_writes_of_a_vcpus_fields_have_their_own_line() {
    for line in [
        "kvm_intel: TDH_VP_RD[TDVPS_STATE.0x10] failed 0xc000010000000001",
        "kvm_intel: TDH_VP_WR[TDVPS_MGMT.0xb] = 0x1 failed: 0xc000010000000001",
    ] {
        assert_eq!(failure(line).status, StatusWord(0xc000_0100_0000_0001));
    }
}

#[test]
fn three_values_are_kept_where_6_19_prints_a_comma_too_many() {
    let line =
        "SEAMCALL TDH_PHYMEM_PAGE_RECLAIM failed: 0xc000030000000001, rcx 0x1, rdx, 0x2, r8 0x3";
    let named: Vec<String> = failure(line)
        .values
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(named, ["rcx", "rdx", "r8"]);
}

#[test]
fn an_entry_that_fails_has_words_of_its_own() {
    let failure = failure("kvm_intel: vcpu0, guest rIP: 0x0 TD vp_enter_ret 0x9000020500000000");
    assert_eq!(failure.leaf, named("TDH.VP.ENTER"));
    assert_eq!(failure.status, StatusWord(0x9000_0205_0000_0000));
}

#[test]
fn what_kvm_says_of_a_lost_key_is_no_failure_of_its_own() {
    assert_eq!(
        read("kvm_intel: tdh_mng_vpflushdone() failed. HKID 12 is leaked."),
        []
    );
    let other = read("kvm_intel: tdh_mng_vpflushdone() failed.");
    assert!(matches!(*other, [Line::Unclear(_)]), "{other:?}");
}

#[test]
fn several_failures_in_one_line_are_all_read() {
    let line = "a SEAMCALL TDH_MEM_TRACK failed: 0x1, rcx 0x5 b TDH_VP_RD[X.0x1] failed 0x2 \
                c SEAMCALL (38) failed: 0x3 d SEAMCALL failed";
    let read = read(line);
    let [
        Line::Failure(one),
        Line::Failure(two),
        Line::Failure(three),
        Line::Unclear(_),
    ] = read.as_slice()
    else {
        panic!("{read:?}")
    };
    let statuses = [one, two, three].map(|failure| failure.status.0);
    assert_eq!(statuses, [1, 2, 3]);
    assert_eq!(one.values, [("rcx".into(), 5)]);
}

#[test]
fn what_stands_before_it_does_not_matter() {
    let line = "SEAMCALL TDH_MEM_TRACK failed: 0x80000200000000a9";
    for before in [
        "",
        "[ 1234.567890] kvm_intel: ",
        "<3>[ 1234.567890][ T4321] kvm_intel: ",
        "Nov 24 18:00:01 host kernel: kvm_intel: ",
        "2026-11-24T18:00:01.123456+00:00 host kernel: [12.5] kvm_intel: ",
        "{\"PRIORITY\":\"3\",\"MESSAGE\":\"kvm_intel: ",
    ] {
        assert_eq!(
            failure(&format!("{before}{line}")).leaf,
            named("TDH.MEM.TRACK")
        );
    }
}

#[test]
fn a_loader_call_and_an_odd_name_are_told_from_leaves() {
    let loader = failure("SEAMLDR (0) failed: 0x8000020000000080").leaf;
    assert_eq!(loader, LeafRef::Loader(0));
    let bit = failure("SEAMCALL (0x8000000000000001) failed: 0x8000020000000080").leaf;
    assert_eq!(bit, LeafRef::Loader(1));
    let odd = failure("SEAMCALL foo failed: 0x8000020000000080").leaf;
    assert_eq!(odd, LeafRef::Odd("foo".into()));
}

#[test]
fn a_line_that_ends_too_early_is_unclear_and_not_skipped() {
    for line in [
        "kvm_intel: SEAMCALL TDH_MEM_TRACK failed: ",
        "kvm_intel: SEAMCALL TDH_MEM_TRACK failed: 0x",
        "SEAMCALL failed: CPU 3 is not in VMX operation.",
        "SEAMCALL (7) failed: 0x80000200000000010000",
        "SEAMCALL (99999999999999999999999) failed: 0x8000020000000080",
        "TDH_VP_RD[TDVPS_STATE.0x10] failed",
    ] {
        assert!(matches!(*read(line), [Line::Unclear(_)]), "{line}");
    }
}

#[test]
fn other_lines_are_none_of_ours() {
    for line in [
        "",
        "SEAMCALL",
        "TDX module initialized",
        "usb 1-1: reset failed",
        "RCX: 0x1 RDX: 0x2",
    ] {
        assert_eq!(read(line), [], "{line}");
    }
}
