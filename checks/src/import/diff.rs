//! The diff of a patch: where SEAMCALLs are called, what counts as busy, how they are retried.
//!
//! No diff is applied. Lines are looked at one by one, under the function that the hunk's head or a
//! definition among its lines names; a line that a mailer has broken is one that says nothing.

use super::mail::TextLine;
use regex::Regex;
use seamcheck_model::leaf_number::canonical_name;

/// Which side of the diff a line is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Taken out.
    Old,
    /// Put in.
    New,
    /// There before and after.
    Both,
}

/// How a status is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// `err & TDX_OPERAND_BUSY`.
    BitTest,
    /// `tdx_operand_busy(err)`, or equality under the mask.
    Masked,
    /// Equality with the busy S-EPT tree.
    SeptBusy,
    /// Equality with TDX_OPERAND_BUSY as it stands.
    Unmasked,
}

impl Predicate {
    /// As the decision `busy_predicate` spells it.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::BitTest => "bit-test",
            Self::Masked => "masked",
            Self::SeptBusy => "sept-busy",
            Self::Unmasked => "unmasked",
        }
    }
}

/// Something that a line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Calls a leaf's wrapper.
    Call(String),
    /// Asks whether a status is busy.
    Test(Predicate),
    /// Stores the flag.
    StoreFlag(bool),
    /// Loads the flag.
    LoadFlag,
    /// `kvm_make_all_cpus_request(…, KVM_REQ_OUTSIDE_GUEST_MODE)`.
    KickAll,
    /// `kvm_vcpu_kick()`.
    KickOne,
    /// `tdx_no_vcpus_enter_start()`.
    Start,
    /// `tdx_no_vcpus_enter_stop()`.
    Stop,
    /// `tdh_do_no_vcpus()`: call, start, call again, stop, in one.
    Macro(Option<String>),
    /// `return EXIT_FASTPATH_…`, the rest of the name.
    ReturnFastpath(String),
    /// `return -EAGAIN` or `-EBUSY`.
    ReturnError(String),
    /// The end of a loop.
    While,
}

/// An act and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// What is done.
    pub act: Act,
    /// On which side.
    pub side: Side,
    /// The function, as far as the diff names it.
    pub function: String,
    /// The file.
    pub file: String,
    /// Number of the line in the text, from 1.
    pub line: usize,
}

/// What a diff holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Hunks looked at.
    pub hunks: usize,
    /// Hunks that end before they have as many lines as they say.
    pub short: Vec<usize>,
    /// What their lines do, in order.
    pub acts: Vec<Acted>,
}

/// Reads diffs.
#[derive(Debug)]
pub struct DiffReader {
    hunk: Regex,
    file: Regex,
    definition: Regex,
    call: Regex,
    macro_call: Regex,
    fastpath: Regex,
    error: Regex,
    store: Regex,
}

impl DiffReader {
    /// A reader.
    ///
    /// # Panics
    /// Never: the patterns are fixed, and a test compiles them.
    #[must_use]
    pub fn new() -> Self {
        let compile = |pattern: &str| match Regex::new(pattern) {
            Ok(regex) => regex,
            Err(error) => unreachable!("{pattern}: {error}"),
        };
        Self {
            hunk: compile(r"^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@\s*(.*)$"),
            file: compile(r"^\+\+\+ (?:b/)?(\S+)"),
            definition: compile(r"^[A-Za-z_][\w\s*]*?\b(\w+)\s*\([^;]*$"),
            call: compile(r"\b(tdh_(?:mem|vp|mng|mr|phymem)_\w+)\s*\("),
            macro_call: compile(r"\btdh_do_no_vcpus\s*\(\s*(tdh_\w+)?"),
            fastpath: compile(r"\breturn\s+EXIT_FASTPATH_(\w+)"),
            error: compile(r"\breturn\s+-(EAGAIN|EBUSY)\b"),
            store: compile(r"wait_for_sept_zap\s*(?:,|=)\s*(true|false)\b"),
        }
    }

    /// Everything of interest in the hunks of a text.
    #[must_use]
    pub fn read(&self, lines: &[TextLine]) -> Diff {
        let (mut diff, mut file) = (Diff::default(), String::new());
        let mut at = 0;
        while at < lines.len() {
            let line = &lines[at];
            if let Some(named) = self.file.captures(&line.text) {
                file = named[1].to_owned();
            } else if let Some(head) = self.hunk.captures(&line.text) {
                let count = |group: usize| {
                    head.get(group)
                        .map_or(Some(1), |text| text.as_str().parse::<usize>().ok())
                };
                let wanted = (count(1).unwrap_or(0), count(2).unwrap_or(0));
                let function = self.function(&head[3]).unwrap_or_default();
                at = self.hunk(lines, at, wanted, (&file, function), &mut diff);
                continue;
            }
            at += 1;
        }
        diff
    }

    /// One hunk; where it ends.
    fn hunk(
        &self,
        lines: &[TextLine],
        head: usize,
        (mut old, mut new): (usize, usize),
        (file, mut function): (&str, String),
        diff: &mut Diff,
    ) -> usize {
        let quoted = lines[head].quoted;
        let mut at = head + 1;
        diff.hunks += 1;
        while (old, new) != (0, 0) && at < lines.len() {
            let line = &lines[at];
            // Somebody's answer between the quoted lines.
            if line.quoted < quoted {
                at += 1;
                continue;
            }
            let (side, code) = match line.text.chars().next() {
                Some('+') => (Side::New, &line.text[1..]),
                Some('-') => (Side::Old, &line.text[1..]),
                Some(' ') => (Side::Both, &line.text[1..]),
                // An empty line of context that lost its blank.
                None => (Side::Both, ""),
                Some('\\') => {
                    at += 1;
                    continue;
                }
                Some(_) if self.hunk.is_match(&line.text) || line.text.starts_with("diff ") => {
                    break;
                }
                // A tail that a mailer has broken off belongs to the line before.
                Some(_) => {
                    at += 1;
                    continue;
                }
            };
            old -= usize::from(side != Side::New && old > 0);
            new -= usize::from(side != Side::Old && new > 0);
            if let Some(defined) = self.function(code) {
                function = defined;
            }
            self.acts(code, |act| {
                diff.acts.push(Acted {
                    act,
                    side,
                    function: function.clone(),
                    file: file.to_owned(),
                    line: at + 1,
                });
            });
            at += 1;
        }
        if (old, new) != (0, 0) {
            diff.short.push(head + 1);
        }
        at
    }

    /// The function that a line defines.
    fn function(&self, code: &str) -> Option<String> {
        let found = self.definition.captures(code)?;
        let name = found[1].to_owned();
        let is_keyword =
            ["if", "while", "for", "switch", "return", "sizeof"].contains(&name.as_str());
        (!is_keyword).then_some(name)
    }

    fn acts(&self, code: &str, mut found: impl FnMut(Act)) {
        let code = code.trim();
        if code.starts_with('*') || code.starts_with("/*") || code.starts_with("//") {
            return;
        }
        if let Some(named) = self.macro_call.captures(code) {
            let leaf = named.get(1).and_then(|name| canonical_name(name.as_str()));
            found(Act::Macro(leaf));
        } else if let Some(called) = self.call.captures(code)
            && let Some(leaf) = canonical_name(&called[1])
        {
            found(Act::Call(leaf));
        }
        if let Some(predicate) = predicate(code) {
            found(Act::Test(predicate));
        }
        if let Some(stored) = self.store.captures(code) {
            found(Act::StoreFlag(&stored[1] == "true"));
        } else if code.contains("wait_for_sept_zap")
            && (code.contains("READ_ONCE") || code.starts_with("if"))
        {
            found(Act::LoadFlag);
        }
        if code.contains("KVM_REQ_OUTSIDE_GUEST_MODE") && code.contains("kvm_make_all_cpus_request")
        {
            found(Act::KickAll);
        }
        if code.contains("kvm_vcpu_kick(") {
            found(Act::KickOne);
        }
        // Calls, not definitions.
        if code.ends_with(';') && code.contains("tdx_no_vcpus_enter_start(") {
            found(Act::Start);
        }
        if code.ends_with(';') && code.contains("tdx_no_vcpus_enter_stop(") {
            found(Act::Stop);
        }
        if let Some(returned) = self.fastpath.captures(code) {
            found(Act::ReturnFastpath(returned[1].to_owned()));
        }
        if let Some(returned) = self.error.captures(code) {
            found(Act::ReturnError(returned[1].to_owned()));
        }
        if code.starts_with("} while") || code.starts_with("while (") {
            found(Act::While);
        }
    }
}

impl Default for DiffReader {
    fn default() -> Self {
        Self::new()
    }
}

/// How a line asks whether a status is busy, if it does.
fn predicate(code: &str) -> Option<Predicate> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let busy = "TDX_OPERAND_BUSY";
    if flat.starts_with("#define") || flat.contains("static inline") {
        return None;
    }
    if flat.contains("tdx_operand_busy(") || flat.contains("IS_TDX_OPERAND_BUSY(") {
        return Some(Predicate::Masked);
    }
    if flat.contains("TDX_ERROR_SEPT_BUSY")
        || (flat.contains(busy) && flat.contains("TDX_OPERAND_ID_SEPT"))
    {
        return Some(Predicate::SeptBusy);
    }
    if flat.contains(&format!("== {busy}")) {
        let is_masked = flat.contains("TDX_SEAMCALL_STATUS_MASK");
        return Some(if is_masked {
            Predicate::Masked
        } else {
            Predicate::Unmasked
        });
    }
    flat.contains(&format!("& {busy}"))
        .then_some(Predicate::BitTest)
}

#[cfg(test)]
mod tests {
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
}
