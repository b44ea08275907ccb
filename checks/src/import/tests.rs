//! The made-up mail in the forms that mailers and archives give it.

use super::*;
use crate::question::Source;
use proptest::prelude::*;
use std::sync::LazyLock;

const MAIL: &str = include_str!("../../tests/mails/removal.patch");

static OURS: LazyLock<Ours> = LazyLock::new(ours);

fn ours() -> Ours {
    let table = |name: &str| {
        (
            name.to_owned(),
            Source::module(name).unwrap().table().unwrap(),
        )
    };
    let kernel = |name: &str| {
        (
            name.to_owned(),
            Source::kernel(name).unwrap().profile().unwrap(),
        )
    };
    Ours {
        tables: ["patch-table", "1.5.05", "2.0.12"].map(table).into(),
        kernels: ["patch-v1", "6.16"].map(kernel).into(),
    }
}

fn import(bytes: impl AsRef<[u8]>) -> (Import, Exit) {
    let import = Import::new("mail".into(), bytes.as_ref(), &OURS);
    let exit = import.exit(&OURS);
    (import, exit)
}

fn one(bytes: impl AsRef<[u8]>) -> (Imported, Exit) {
    let (mut import, exit) = import(bytes);
    assert_eq!(import.found.len(), 1);
    (import.found.remove(0), exit)
}

fn columns(found: &Imported) -> Vec<Option<Column>> {
    found
        .compared
        .iter()
        .map(|compared| compared.entry.column)
        .collect()
}

fn head_and_body() -> (&'static str, &'static str) {
    MAIL.split_once("\n\n").unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).enumerate();
    let text = groups.flat_map(|(at, group)| {
        let word = group
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        let digits = (0..4).map(move |digit| {
            let used = digit <= group.len();
            let index = word >> (18 - 6 * digit) & 63;
            if used {
                DIGITS[index as usize] as char
            } else {
                '='
            }
        });
        let end = (at % 19 == 18).then_some('\n');
        digits.chain(end)
    });
    text.collect()
}

fn printable(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let mut out = line.replace('=', "=3D").replace('\t', "=09");
        if out.ends_with(' ') {
            out.pop();
            out.push_str("=20");
        }
        // Broken in the middle, as it is when a line is long.
        let middle = out.char_indices().map(|(at, _)| at).find(|at| *at >= 60);
        match middle.filter(|at| {
            !out[..*at].contains("=3D") && !out[at.saturating_sub(3)..*at].contains('=')
        }) {
            Some(at) => format!("{}=\n{}", &out[..at], &out[at..]),
            None => out,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn with_encoding(encoding: &str, body: &str) -> String {
    let (head, _) = head_and_body();
    format!("{}\n\n{body}\n", head.replace("8bit", encoding))
}

#[test]
fn the_mail_agrees_with_the_patchs_own_table_and_profile() {
    let (found, exit) = one(MAIL);
    assert_eq!(exit, Exit::AsExpected);
    assert_eq!(
        found.text.message_id.as_deref(),
        Some("made-up-1@example.org")
    );
    assert_eq!(found.compared.len(), 10);
    let decisions: Vec<_> = found
        .decided
        .iter()
        .filter(|decided| !decided.is_before)
        .map(|decided| (decided.decision, decided.value))
        .collect();
    for expected in [
        ("flag_raise", "before-kick"),
        ("kick", "request-wait"),
        ("busy_predicate", "bit-test"),
        ("busy_predicate", "masked"),
        ("on_busy", "kick-and-retry"),
        ("flag_clear", "after-retry"),
        ("track_kick", "after-track"),
        ("vcpu_flag_test", "in-tdx-vcpu-run"),
        ("flag_return", "exit-handled"),
    ] {
        assert!(decisions.contains(&expected), "{expected:?}: {decisions:?}");
    }
}

#[test]
fn what_stood_before_is_told_from_what_stands_after() {
    let (found, _) = one(MAIL);
    let before: Vec<_> = found
        .decided
        .iter()
        .filter(|decided| decided.is_before)
        .map(|decided| {
            (
                decided.leaf.as_deref().unwrap_or_default(),
                decided.decision,
                decided.value,
            )
        })
        .collect();
    for expected in [
        ("TDH.MEM.RANGE.BLOCK", "on_busy", "give-up"),
        ("TDH.MEM.RANGE.BLOCK", "busy_predicate", "sept-busy"),
        ("TDH.MEM.PAGE.REMOVE", "on_busy", "retry-without-kick"),
        ("TDH.MEM.TRACK", "on_busy", "retry-without-kick"),
    ] {
        assert!(before.contains(&expected), "{expected:?}: {before:?}");
    }
}

/// A macro around the retry, as from 6.19 on, and one call of it.
const MACRO: &str = "\
Subject: [PATCH] made up: a macro around the retry

--- a/arch/x86/kvm/vmx/tdx.c
+++ b/arch/x86/kvm/vmx/tdx.c
@@ -10,0 +10,11 @@ static void before(void)
+#define tdh_do_no_vcpus(tdh_func, kvm, args...) \\
+({ \\
+\t__err = tdh_func(args); \\
+\tif (unlikely(tdx_operand_busy(__err))) { \\
+\t\tWRITE_ONCE(__kvm_tdx->wait_for_sept_zap, true); \\
+\t\tkvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE); \\
+\t\t__err = tdh_func(args); \\
+\t\tWRITE_ONCE(__kvm_tdx->wait_for_sept_zap, false); \\
+\t} \\
+\t__err; \\
+})
@@ -30,1 +41,1 @@ static void tdx_track(struct kvm *kvm)
-\terr = tdh_mem_track(&kvm_tdx->td);
+\terr = tdh_do_no_vcpus(tdh_mem_track, kvm, &kvm_tdx->td);
";

#[test]
fn a_macro_decides_for_the_seamcalls_that_it_is_given() {
    let (found, _) = one(MACRO);
    let after = found.decided.iter().filter(|decided| !decided.is_before);
    let after: Vec<_> = after
        .map(|decided| {
            let leaf = decided.leaf.as_deref().unwrap_or_default();
            (
                leaf,
                decided.decision,
                decided.value,
                decided.function.as_str(),
            )
        })
        .collect();
    let (track, within) = ("TDH.MEM.TRACK", "tdh_do_no_vcpus");
    for expected in [
        ("", "flag_raise", "before-kick", within),
        ("", "kick", "request-wait", within),
        (track, "on_busy", "kick-and-retry", "tdx_track"),
        (track, "busy_predicate", "masked", within),
        (track, "flag_clear", "after-retry", within),
    ] {
        assert!(after.contains(&expected), "{expected:?}: {after:?}");
    }
    assert_eq!(after.len(), 5, "{after:?}");
}

#[test]
fn every_form_that_keeps_blanks_reads_the_same() {
    let (_, body) = head_and_body();
    let quoted: String = body.lines().map(|line| format!("> {line}\n")).collect();
    let escaped = body
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let flowed = MAIL.replace("charset=UTF-8", "charset=UTF-8; format=flowed");
    let stuffed = |line: &str| {
        let is_stuffed = line.starts_with([' ', '>']) || line.starts_with("From ");
        let line = if line == " " { "" } else { line };
        format!("{}{line}\n", if is_stuffed { " " } else { "" })
    };
    let (flowed_head, _) = flowed.split_once("\n\n").unwrap();
    let flowed_body: String = body.lines().map(stuffed).collect();
    let expected = columns(&one(MAIL).0);
    for (form, text) in [
        ("plain text", body.to_owned()),
        ("CRLF", MAIL.replace('\n', "\r\n")),
        (
            "quoted-printable",
            with_encoding("quoted-printable", &printable(body)),
        ),
        ("base64", with_encoding("base64", &base64(body.as_bytes()))),
        ("format=flowed", format!("{flowed_head}\n\n{flowed_body}")),
        ("format=flowed said, not done", flowed.clone()),
        (
            "a reply",
            format!("Somebody wrote:\n{quoted}\nLooks good.\n"),
        ),
        (
            "an archive's page",
            format!("<html><head><title>x</title></head><body><pre>{escaped}</pre></body></html>"),
        ),
        (
            "a mailbox",
            format!("{MAIL}\nFrom x Mon Jan  1 00:00:00 2025\nSubject: another\n\nnothing\n"),
        ),
    ] {
        let (found, exit) = one(&text);
        assert_eq!(columns(&found), expected, "{form}");
        assert_eq!(found.decided.len(), one(MAIL).0.decided.len(), "{form}");
        assert_eq!(exit, Exit::AsExpected, "{form}");
    }
}

#[test]
fn collapsed_blanks_leave_no_column_and_no_guess() {
    let collapsed: String = MAIL
        .lines()
        .map(|line| {
            // Code keeps its tabs; archives do this to text.
            let kept = line.starts_with(['+', '-', ' ', '@']) && !line.starts_with("   ");
            let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let text = if kept { line.to_owned() } else { words };
            text + "\n"
        })
        .collect();
    let (found, exit) = one(&collapsed);
    assert_eq!(found.compared.len(), 10);
    assert!(
        columns(&found).iter().all(Option::is_none),
        "{:?}",
        columns(&found)
    );
    assert_eq!(exit, Exit::Unknown);
}

#[test]
fn an_answer_between_quoted_lines_does_not_break_the_hunk() {
    let (_, body) = head_and_body();
    let quoted = body.lines().map(|line| {
        let answer = if line.contains("err & TDX_OPERAND_BUSY") {
            "\nThis is any error, is it not?\n\n"
        } else {
            ""
        };
        format!("> {line}\n{answer}")
    });
    let (found, _) = one(quoted.collect::<String>());
    assert_eq!(found.decided.len(), one(MAIL).0.decided.len());
    assert_eq!(found.diff.short, [0; 0]);
}

#[test]
fn a_row_that_differs_and_a_predicate_that_differs_are_seen() {
    let text = MAIL.replace(
        "tdh_vp_enter           tdh_mem_track",
        "tdh_mem_track          tdh_vp_enter",
    );
    assert_eq!(one(&text).1, Exit::Violated);
    let text = MAIL.replace("err & TDX_OPERAND_BUSY", "tdx_operand_busy(err)");
    assert_eq!(one(&text).1, Exit::Violated);
    let text = MAIL.replace(
        "                                      tdh_mem_range_block\n",
        "",
    );
    assert_eq!(one(&text).1, Exit::Violated, "a leaf that is left out");
}

#[test]
fn a_table_with_more_locks_than_ours_is_reported_and_not_refused() {
    let more = "TDCS epoch     tdh_vp_enter           tdh_mem_track\n\
                ------\n\
                WBCACHE                               tdh_phymem_cache_wb\n\
                TDR            tdh_mem_track          tdh_vp_init\n";
    let text = MAIL.replace(
        "TDCS epoch     tdh_vp_enter           tdh_mem_track\n",
        more,
    );
    let (found, exit) = one(&text);
    assert_eq!(found.foreign.len(), 1);
    assert_eq!(found.foreign[0].label, "WBCACHE");
    // TDR is a lock of the model, though not of the patch's own table.
    assert_eq!(found.compared.len(), 12);
    assert_eq!(exit, Exit::Violated);
}

#[test]
fn half_a_mail_is_read_as_far_as_it_goes() {
    let half = &MAIL[..MAIL.find("tdh_mem_range_block(td").unwrap()];
    let (found, exit) = one(half);
    assert!(!found.diff.short.is_empty());
    assert_eq!(exit, Exit::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        import(&bytes);
    }

    #[test]
    fn the_mail_with_bytes_changed_is_read_without_a_panic(
        changes in prop::collection::vec((0..MAIL.len(), any::<u8>()), 1..40),
        end in 0..MAIL.len(),
    ) {
        let mut bytes = MAIL.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        import(&bytes);
        import(&bytes[..end]);
    }

    #[test]
    fn any_lines_under_a_header_are_read_without_a_panic(lines in prop::collection::vec("[ -~\t|é]{0,60}", 0..30)) {
        let text = format!("Lock | SHARED | EXCLUSIVE\n{}", lines.join("\n"));
        import(&text);
        import(text.replace('|', " "));
    }
}
