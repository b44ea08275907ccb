//! What a line of code does, as far as it is about a retry.

use crate::import::pattern;
use regex::Regex;
use seamcheck_model::leaf_number::canonical_name;

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
    /// Calls what the macro that it stands in was given.
    CallArgument,
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

/// Reads lines of code.
#[derive(Debug)]
pub(super) struct ActReader {
    call: Regex,
    macro_call: Regex,
    argument: Regex,
    fastpath: Regex,
    error: Regex,
    store: Regex,
}

impl ActReader {
    pub(super) fn new() -> Self {
        Self {
            call: pattern(r"\b(tdh_(?:mem|vp|mng|mr|phymem)_\w+)\s*\("),
            macro_call: pattern(r"\btdh_do_no_vcpus\s*\(\s*(tdh_\w+)?"),
            argument: pattern(r"=\s*\w+\s*\(args\)\s*;"),
            fastpath: pattern(r"\breturn\s+EXIT_FASTPATH_(\w+)"),
            error: pattern(r"\breturn\s+-(EAGAIN|EBUSY)\b"),
            store: pattern(r"wait_for_sept_zap\s*(?:,|=)\s*(true|false)\b"),
        }
    }

    /// Hands every act of a line to `found`; a comment has none.
    pub(super) fn read(&self, code: &str, mut found: impl FnMut(Act)) {
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
        if self.argument.is_match(code) {
            found(Act::CallArgument);
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

/// How a line asks whether a status is busy, if it does.
pub(super) fn predicate(code: &str) -> Option<Predicate> {
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
