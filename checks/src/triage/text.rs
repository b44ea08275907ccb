//! The triage for people.

use super::log::{ClueKind, Log};
use super::search::{Found, Pair};
use super::{Answer, Triage};
use crate::report::{beside, grouped, rests_on_text, wrapped_at};
use crate::trace::render::WITNESS;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::status::StatusWord;
use std::collections::BTreeSet;
use std::fmt::Write;

/// No line is wider, but for lines of the log itself.
const WIDTH: usize = 100;

/// The triage for people.
#[must_use]
pub fn text(triage: &Triage) -> String {
    let mut out = String::new();
    head(&mut out, triage);
    for (index, answer) in triage.answers.iter().enumerate() {
        failure(&mut out, index + 1, answer);
    }
    unclear(&mut out, &triage.log);
    out
}

fn head(out: &mut String, triage: &Triage) {
    let log = &triage.log;
    let lines: u64 = log.failures.iter().map(|seen| seen.count).sum::<u64>() + log.more_failures;
    let failures = match (lines, triage.answers.len()) {
        (0, _) => "no SEAMCALL failure in a format that the kernel has used".to_owned(),
        (1, _) => "one SEAMCALL failure".to_owned(),
        (lines, 1) => format!("one SEAMCALL failure, on {} lines", grouped(lines)),
        (lines, distinct) if lines == distinct as u64 => {
            format!("{distinct} distinct SEAMCALL failures")
        }
        (lines, distinct) => {
            format!(
                "{distinct} distinct SEAMCALL failures, on {} lines",
                grouped(lines)
            )
        }
    };
    let count = match log.lines {
        1 => "1 line".to_owned(),
        lines => format!("{} lines", grouped(lines)),
    };
    wrapped_at(
        out,
        0,
        2,
        WIDTH,
        &format!("{}: {count}, {failures}.", triage.file),
    );
    for (count, what) in [
        (log.more_failures, "further distinct failures, left out"),
        (log.binary, "no text"),
        (log.long, "longer than 65 536 bytes, looked at in pieces"),
    ] {
        let lines = if count == 1 { "line" } else { "lines" };
        if count > 0 {
            let _ = writeln!(out, "  {} {lines}: {what}", grouped(count));
        }
    }
    for clue in &log.clues {
        let says = match clue.kind {
            ClueKind::Kernel => format!("Linux {}", clue.text),
            ClueKind::Module => format!("TDX module {}", clue.text),
            ClueKind::Warning => format!("a WARN, as KVM_BUG_ON prints it, at {}", clue.text),
            ClueKind::Leaked => format!("{}: a TD that was not torn down", clue.text),
            ClueKind::Dead => format!("`{}`", clue.text),
        };
        let _ = writeln!(out, "  line {}: {says}", clue.line);
    }
}

fn failure(out: &mut String, number: usize, answer: &Answer) {
    let (seen, status) = (&answer.seen, answer.seen.failure.status);
    let more = match seen.count {
        1 => String::new(),
        2 => " (and one more line)".to_owned(),
        count => format!(" (and {} more lines)", grouped(count - 1)),
    };
    let leaf = match answer.leaf_number() {
        Some(leaf) if answer.leaf.is_some() => format!("{}, leaf {leaf}", answer.leaf_text()),
        _ => answer.leaf_text(),
    };
    let _ = writeln!(
        out,
        "\n{number}. line {}{more}: {leaf}\n   {}\n",
        seen.line, seen.text
    );
    let mut line = |head: &str, text: &str| beside(out, 3, head, WIDTH, text);
    line("status", &format!("{status} {}", status.pretty()));
    if let Some(meaning) = status.meaning() {
        line("", meaning);
    }
    if let Some(reason) = made_by_the_kernel(status) {
        line("", reason);
    }
    if let Some(operand) = status.operand() {
        line("operand", operand.about());
    }
    let values = seen
        .failure
        .values
        .iter()
        .map(|(name, value)| format!("{name} {value:#x}"));
    let values: Vec<String> = values.collect();
    if !values.is_empty() {
        line("with", &values.join(", "));
    }
    if answer.leaf.is_none() {
        line(
            "",
            "Not recognised: this is no leaf of the TDX module, so nothing more can be said.",
        );
        return;
    }
    causes(out, answer);
    verdicts(out, answer);
    changes(out, answer);
    needs(out, answer);
    let numbers: BTreeSet<u64> = answer
        .pairs
        .iter()
        .flat_map(|pair| &pair.rests_on)
        .copied()
        .collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    if !numbers.is_empty() {
        beside(out, 3, "rests on", WIDTH, &rests_on_text(&numbers));
    }
    if let Some(trace) = &answer.trace {
        out.push_str(if trace.verdict.result == WITNESS {
            "\n   The shortest way to its being returned (`--trace FILE` keeps it), where the property holds\n\n"
        } else {
            "\n   The shortest way to it (`--trace FILE` keeps it), which breaks the property\n\n"
        });
        let _ = writeln!(out, "{}", seamcheck_traces::race(trace).trim_end());
    }
}

/// What the kernel's assembly wrapper puts behind TDX_SW_ERROR (arch/x86/include/asm/tdx.h).
const fn made_by_the_kernel(status: StatusWord) -> Option<&'static str> {
    match status.0 {
        0x8000_FF00_FFFF_0000 => {
            Some("VMFailInvalid: no TDX module is loaded, or it was shut down.")
        }
        0x8000_FF00_0000_000D => Some("#GP: TDX is not enabled by the BIOS."),
        0x8000_FF00_0000_0006 => Some("#UD: the CPU is not in VMX operation."),
        _ => None,
    }
}

fn causes(out: &mut String, answer: &Answer) {
    for (cause, modules) in &answer.causes {
        let text = format!("{} (module {})", cause.text(), modules.join(", "));
        beside(out, 3, "cause", WIDTH, &text);
    }
    if answer.causes.is_empty() {
        let has_row = answer
            .pairs
            .iter()
            .any(|pair| !matches!(pair.found, Found::NoRow));
        let text = if has_row {
            "no step of this leaf's row returns it: what does is not modelled"
        } else {
            "no lock table here has a row for this leaf: it is not modelled"
        };
        beside(out, 3, "cause", WIDTH, text);
    }
}

/// What each kernel on each module can do, equal answers together.
fn verdicts(out: &mut String, answer: &Answer) {
    let mut groups: Vec<(&'static str, String, Vec<&Pair>)> = Vec::new();
    for pair in &answer.pairs {
        let (head, text) = verdict(&pair.found);
        match groups
            .iter_mut()
            .find(|(other, known, _)| *other == head && *known == text)
        {
            Some((.., pairs)) => pairs.push(pair),
            None => groups.push((head, text, vec![pair])),
        }
    }
    const ORDER: [&str; 6] = ["logged", "only if", "silent", "never", "unknown", ""];
    groups.sort_by_key(|(head, ..)| ORDER.iter().position(|known| known == head));
    for (head, text, pairs) in groups {
        let by = by(&pairs);
        beside(out, 3, head, WIDTH, &format!("{by}: {text}"));
    }
}

/// What would have to be otherwise.
fn changes(out: &mut String, answer: &Answer) {
    let Some(changes) = &answer.changes else {
        return;
    };
    let each = changes
        .found
        .iter()
        .map(|change| format!("{}={}", change.decision, change.value));
    let each: Vec<String> = each.collect();
    let (kernel, module) = (&changes.kernel, &changes.module);
    let cut = if changes.is_cut {
        "; not all of them could be tried in time"
    } else {
        ""
    };
    let text = if each.is_empty() {
        format!(
            "no one decision (`check list --decisions`) of kernel {kernel} on module {module}, taken \
             otherwise, has it logged beside 1 vCPU{cut}"
        )
    } else {
        format!(
            "kernel {kernel} on module {module} would log it with any one of these taken otherwise \
             (`check list --decisions`): {}{cut}",
            each.join(", ")
        )
    };
    beside(out, 3, "would if", WIDTH, &text);
}

/// What it would take.
fn needs(out: &mut String, answer: &Answer) {
    let Some(needs) = &answer.needs else {
        return;
    };
    for text in &needs.texts {
        let text = format!(
            "(kernel {} on module {}) {text}",
            needs.kernel, needs.module
        );
        beside(out, 3, "needs", WIDTH, &text);
    }
}

/// `kernel 6.16 on module 1.5.05, 2.0.12; kernel next on module 2.0.12`
fn by(pairs: &[&Pair]) -> String {
    let mut kernels: Vec<(&str, Vec<&str>)> = Vec::new();
    for pair in pairs {
        match kernels
            .iter_mut()
            .find(|(kernel, _)| *kernel == pair.kernel)
        {
            Some((_, modules)) => modules.push(&pair.module),
            None => kernels.push((&pair.kernel, vec![&pair.module])),
        }
    }
    // Kernels that have the same modules in common.
    let mut shared: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
    for (kernel, modules) in kernels {
        match shared.iter_mut().find(|(_, known)| *known == modules) {
            Some((kernels, _)) => kernels.push(kernel),
            None => shared.push((vec![kernel], modules)),
        }
    }
    let each = shared.iter().map(|(kernels, modules)| {
        format!(
            "kernel {} on module {}",
            kernels.join(", "),
            modules.join(", ")
        )
    });
    each.collect::<Vec<_>>().join("; ")
}

fn verdict(found: &Found) -> (&'static str, String) {
    match found {
        Found::Logged(sighting) => {
            let who = who(&sighting.question.scenario);
            let length = sighting.violation.length();
            let text = format!("KVM_BUG_ON fires after {length} transitions, {who}");
            if sighting.is_hypothetical {
                ("only if", format!("{text}, which KVM itself does not do"))
            } else {
                ("logged", text)
            }
        }
        Found::Silent(silence) => {
            let cut = silence.cut.map_or(String::new(), |cut| {
                format!("; {}, so it may be logged all the same", cut.text())
            });
            let who = who(&silence.question.scenario);
            let but = if silence.is_hypothetical {
                ", which KVM itself does not do"
            } else {
                ""
            };
            let length = silence.length();
            (
                "silent",
                format!(
                    "{}, and nothing is logged (returned after {length} transitions, {who}{but}){cut}",
                    silence.reaction
                ),
            )
        }
        Found::PerVcpu => (
            "",
            "not searched: only another SEAMCALL of the same vCPU can make it fail so".into(),
        ),
        Found::Never { searched: 0, .. } => (
            "never",
            "nobody that this kernel can bring together makes it fail so".into(),
        ),
        Found::Never { searched, .. } => {
            let scenarios = if *searched == 1 {
                "scenario"
            } else {
                "scenarios"
            };
            (
                "never",
                format!("not found; {searched} {scenarios} searched to the end"),
            )
        }
        Found::NoRow => ("", "no row for this leaf".into()),
        Found::NoCaller => ("", "no code path that is modelled issues this leaf".into()),
        Found::Unknown(cut) => ("unknown", format!("not found: {}", cut.text())),
    }
}

/// `with 1 vCPU`, `before TDH.MR.FINALIZE, two threads in KVM_TDX_INIT_VCPU`
fn who(scenario: &Scenario) -> String {
    let mut parts = Vec::new();
    if !scenario.finalized {
        parts.push("before TDH.MR.FINALIZE".to_owned());
    }
    match scenario.vcpus {
        0 => {}
        1 => parts.push("with 1 vCPU".into()),
        vcpus => parts.push(format!("with {vcpus} vCPUs")),
    }
    match scenario.threads.as_slice() {
        [] => {}
        [one, other] if one == other => parts.push(format!("two threads in {one}")),
        [one] => parts.push(format!("a thread in {one}")),
        several => parts.push(format!("threads in {}", several.join(" and "))),
    }
    parts.join(", ")
}

fn unclear(out: &mut String, log: &Log) {
    if log.unclear.is_empty() {
        return;
    }
    out.push_str("\nNot recognised:\n");
    for unclear in &log.unclear {
        let _ = writeln!(
            out,
            "  line {}: {}\n    {}",
            unclear.line, unclear.why, unclear.text
        );
    }
    if log.more_unclear > 0 {
        let _ = writeln!(out, "  and {} more lines", grouped(log.more_unclear));
    }
}
