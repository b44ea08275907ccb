use super::*;
use proptest::prelude::*;

fn read(text: &[u8]) -> Log {
    Log::read(text).expect("memory can be read")
}

const FAILED: &str = "kvm_intel: SEAMCALL TDH_MEM_TRACK failed: 0x8000020100000000";

#[test]
fn equal_failures_are_counted_and_the_first_is_shown() {
    let text = format!("one\n[1.0] {FAILED}\r\n[2.0] {FAILED}\n[3.0] {FAILED}");
    let log = read(text.as_bytes());
    assert_eq!((log.lines, log.failures.len()), (4, 1));
    let seen = &log.failures[0];
    assert_eq!((seen.line, seen.count), (2, 3));
    assert_eq!(seen.text, format!("[1.0] {FAILED}"));
}

#[test]
fn registers_belong_to_the_failure_before_them_and_only_when_near() {
    let text = "virt/tdx: SEAMCALL (38) failed: 0x1\nvirt/tdx: RCX 0x5 RDX 0x6 R08 0x7\n";
    assert_eq!(read(text.as_bytes()).failures[0].failure.values.len(), 3);
    let far = "virt/tdx: SEAMCALL (38) failed: 0x1\n\n\n\n\nvirt/tdx: RCX 0x5 RDX 0x6 R08 0x7\n";
    assert!(read(far.as_bytes()).failures[0].failure.values.is_empty());
}

#[test]
fn a_log_tells_its_versions_and_what_died_where() {
    let text = "Linux version 6.16.3-generic (build@host)\n\
        virt/tdx: TDX module: attributes 0x0, vendor_id 0x8086, major_version 1, minor_version 5, build\n\
        WARNING: CPU: 3 PID: 7 at arch/x86/kvm/vmx/tdx.c:1799 tdx_track+0x1/0x2 [kvm_intel]\n\
        WARNING: CPU: 3 PID: 7 at drivers/net/x.c:1 other+0x1/0x2\n\
        kvm: VM is dead\n";
    let clues = read(text.as_bytes()).clues;
    let clues: Vec<_> = clues
        .iter()
        .map(|clue| (clue.kind, clue.text.as_str()))
        .collect();
    assert_eq!(
        clues,
        [
            (ClueKind::Kernel, "6.16.3-generic"),
            (ClueKind::Module, "1.5"),
            (ClueKind::Warning, "arch/x86/kvm/vmx/tdx.c:1799 tdx_track"),
            (ClueKind::Dead, "VM is dead"),
        ]
    );
}

#[test]
fn a_line_without_end_is_looked_at_in_pieces_and_nothing_in_it_is_missed() {
    let mut text = vec![b'x'; 3 * LINE];
    text.extend_from_slice(b"\n");
    text.extend_from_slice(FAILED.as_bytes());
    let log = read(&text);
    assert_eq!((log.lines, log.long, log.failures.len()), (2, 1, 1));
    assert_eq!(log.failures[0].line, 2);
    // Wherever the pieces end.
    for before in (LINE - 2 * FAILED.len()..LINE + 2).step_by(7) {
        let words = "a b ".repeat(before / 4);
        let log = read(format!("{words}{FAILED} {words}{FAILED}").as_bytes());
        let seen: Vec<u64> = log.failures.iter().map(|seen| seen.count).collect();
        assert_eq!((log.lines, log.long, log.binary), (1, 1, 0), "{before}");
        assert_eq!(seen, [2], "{before}");
        assert!(log.unclear.is_empty(), "{before}");
    }
}

#[test]
fn a_long_line_of_text_is_not_said_to_be_none() {
    let text = "ä b ".repeat(LINE / 2);
    assert_eq!(
        (read(text.as_bytes()).long, read(text.as_bytes()).binary),
        (1, 0)
    );
}

#[test]
fn a_key_that_is_lost_is_noted() {
    let log = read(b"kvm_intel: tdh_mng_key_freeid() failed. HKID 3 is leaked.\n");
    assert_eq!(
        (log.clues[0].kind, log.clues[0].text.as_str()),
        (ClueKind::Leaked, "HKID 3 is leaked")
    );
    assert!(log.unclear.is_empty());
}

#[test]
fn more_distinct_failures_than_are_kept_are_counted() {
    let lines = (0..1000).map(|n| format!("SEAMCALL TDH_MEM_TRACK failed: {n:#x}\n"));
    let log = read(lines.collect::<String>().as_bytes());
    assert_eq!(log.failures.len() as u64 + log.more_failures, 1000);
    let lines = (0..1000).map(|_| "SEAMCALL failed\n".to_owned());
    let log = read(lines.collect::<String>().as_bytes());
    assert_eq!(log.unclear.len() as u64 + log.more_unclear, 1000);
}

#[test]
fn what_a_terminal_would_obey_is_not_shown() {
    let log = read(b"\x1b[31m\0SEAMCALL TDH_MEM_TRACK failed: 0x1\x07\xff\n");
    assert_eq!(
        log.failures[0].text,
        ".[31m.SEAMCALL TDH_MEM_TRACK failed: 0x1.."
    );
    assert_eq!(log.binary, 1);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
        prop_assert_eq!(read(&bytes).lines, lines);
    }

    #[test]
    fn a_failure_among_any_bytes_is_not_missed(
        before in prop::collection::vec(any::<u8>(), 0..300),
        after in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let text = [&before[..], b"\n", FAILED.as_bytes(), b"\n", &after[..]].concat();
        prop_assert_eq!(read(&text).failures.iter().filter(|seen| {
            seen.failure.status.0 == 0x8000_0201_0000_0000
        }).count(), 1);
    }

    #[test]
    fn a_failure_cut_anywhere_is_a_failure_unclear_or_too_short_to_tell(end in 0..FAILED.len()) {
        let log = read(&FAILED.as_bytes()[..end]);
        let fails = FAILED.find("fail").unwrap() + 4;
        prop_assert_eq!(log.failures.len() + log.unclear.len(), usize::from(end >= fails));
    }
}
