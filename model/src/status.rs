//! SEAMCALL and TDCALL status words.
//!
//! Bits 63:32 are the status, bits 31:0 the operand or detail. Values: the TDX module's
//! `include/auto_gen/tdx_error_codes_defs.h` and the kernel's `tdx_errno.h`.

use crate::closed_enum::{ClosedEnum, closed_enum};
use std::fmt;

/// A 64-bit completion status, as it comes back in RAX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusWord(pub u64);

/// `TDX_SEAMCALL_STATUS_MASK`: everything but the operand.
pub const STATUS_MASK: u64 = 0xFFFF_FFFF_0000_0000;

macro_rules! status_codes {
    ($( $NAME:ident = $value:literal : $about:literal, )+) => {
        $( #[doc = $about] pub const $NAME: StatusWord = StatusWord($value); )+

        /// Every status code this project has a name for: name, code, meaning.
        pub const NAMED: &[(&str, StatusWord, &str)] = &[ $( (concat!("TDX_", stringify!($NAME)), $NAME, $about), )+ ];
    };
}

status_codes! {
    SUCCESS = 0x0000_0000_0000_0000: "The call completed.",
    NON_RECOVERABLE_VCPU = 0x4000_0001_0000_0000: "The vCPU can not be entered any more.",
    NON_RECOVERABLE_TD = 0x6000_0002_0000_0000: "The TD can not be entered any more (the kernel's header spells this 0x4000000200000000).",
    INTERRUPTED_RESUMABLE = 0x8000_0003_0000_0000: "Interrupted; call again to resume.",
    INTERRUPTED_RESTARTABLE = 0x8000_0004_0000_0000: "Interrupted; call again from the beginning.",
    OPERAND_INVALID = 0xC000_0100_0000_0000: "An operand is invalid.",
    OPERAND_ADDR_RANGE_ERROR = 0xC000_0101_0000_0000: "An address operand is out of range.",
    OPERAND_BUSY = 0x8000_0200_0000_0000: "A try-lock was held in a conflicting mode; the operand says which.",
    PREVIOUS_TLB_EPOCH_BUSY = 0x8000_0201_0000_0000: "TDH.MEM.TRACK found a vCPU still running in the previous TD epoch; not a lock.",
    SYS_BUSY = 0x8000_0202_0000_0000: "A SYS-level lock was held.",
    RND_NO_ENTROPY = 0x8000_0203_0000_0000: "No entropy; the kernel's wrappers retry this themselves.",
    OPERAND_BUSY_HOST_PRIORITY = 0x8000_0204_0000_0000: "A guest try-lock gave way to a host that failed before it; shown to the guest as OPERAND_BUSY.",
    HOST_PRIORITY_BUSY_TIMEOUT = 0x9000_0205_0000_0000: "A guest was refused for longer than TDCS.HP_LOCK_TIMEOUT; a trap-like TD exit.",
    PAGE_METADATA_INCORRECT = 0xC000_0300_0000_0000: "The page's PAMT entry has the wrong type.",
    TD_FATAL = 0xE000_0604_0000_0000: "The TD is in a fatal error state.",
    LIFECYCLE_STATE_INCORRECT = 0xC000_0607_0000_0000: "The TD's key and life cycle state does not allow the call.",
    OP_STATE_INCORRECT = 0xC000_0608_0000_0000: "The TD's OP_STATE does not allow the call.",
    VCPU_STATE_INCORRECT = 0xC000_0700_0000_0000: "The vCPU's state does not allow the call.",
    VCPU_ASSOCIATED = 0x8000_0701_0000_0000: "The vCPU is associated with another LP.",
    VCPU_NOT_ASSOCIATED = 0x8000_0702_0000_0000: "The vCPU is not associated with this LP.",
    FLUSHVP_NOT_DONE = 0x8000_0824_0000_0000: "TDH.VP.FLUSH is still missing for some vCPU.",
    EPT_WALK_FAILED = 0xC000_0B00_0000_0000: "The S-EPT walk did not reach the level.",
    GPA_RANGE_NOT_BLOCKED = 0xC000_0B06_0000_0000: "The S-EPT entry is not blocked.",
    GPA_RANGE_ALREADY_BLOCKED = 0x0000_0B07_0000_0000: "The S-EPT entry is blocked already (informational, bit 63 clear).",
    TLB_TRACKING_NOT_DONE = 0xC000_0B08_0000_0000: "A vCPU may still hold a translation: TRACK is missing, or a vCPU of the older epoch is still inside.",
    PAGE_ALREADY_ACCEPTED = 0x0000_0B0A_0000_0000: "The page is mapped already (informational).",
    PAGE_SIZE_MISMATCH = 0xC000_0B0B_0000_0000: "The S-EPT entry is not a leaf at this level.",
    EPT_ENTRY_STATE_INCORRECT = 0xC000_0B0D_0000_0000: "The S-EPT entry's state does not allow the call.",
    EPT_PAGE_NOT_FREE = 0xC000_0B0E_0000_0000: "The S-EPT page still has entries in use.",
    SW_ERROR = 0x8000_FF00_0000_0000: "Made by the kernel, not by the module: the SEAMCALL instruction itself failed or faulted.",
}

closed_enum! { "operand",
    /// The operand id in bits 31:0 of a BUSY (and of most other) status words.
    pub enum Operand {
        Rax = "RAX": "RAX, id 0",
        Rcx = "RCX": "RCX, id 1",
        Rdx = "RDX": "RDX, id 2",
        R8 = "R8": "R8, id 8",
        R9 = "R9": "R9, id 9",
        Tdr = "TDR": "the implicit TDR, id 0x80",
        Tdvpr = "TDVPR": "the TDVPR, id 0x82",
        Tdcs = "TDCS": "the TDCS, id 0x90",
        Tdvps = "TDVPS": "the TDVPS, id 0x91",
        SeptTree = "SEPT_TREE": "the secure EPT tree, id 0x92",
        SeptEntry = "SEPT_ENTRY": "a secure EPT entry, id 0x93 (unused for lock failures)",
        Rtmr = "RTMR": "a run-time measurement register, id 0xa8",
        TdEpoch = "TD_EPOCH": "the TD epoch, id 0xa9",
        OpState = "OP_STATE": "the TD's OP_STATE, id 0xac",
        Kot = "KOT": "the key ownership table, id 0xba",
    }
}

impl Operand {
    /// The id that stands in bits 31:0.
    #[must_use]
    pub const fn id(self) -> u64 {
        match self {
            Self::Rax => 0,
            Self::Rcx => 1,
            Self::Rdx => 2,
            Self::R8 => 8,
            Self::R9 => 9,
            Self::Tdr => 0x80,
            Self::Tdvpr => 0x82,
            Self::Tdcs => 0x90,
            Self::Tdvps => 0x91,
            Self::SeptTree => 0x92,
            Self::SeptEntry => 0x93,
            Self::Rtmr => 0xA8,
            Self::TdEpoch => 0xA9,
            Self::OpState => 0xAC,
            Self::Kot => 0xBA,
        }
    }
}

impl StatusWord {
    /// The code with an operand added, as the module's `api_error_with_operand_id` does.
    #[must_use]
    pub const fn with(self, operand: Operand) -> Self {
        Self(self.0 + operand.id())
    }

    /// Bits 63:32, the status without its operand.
    #[must_use]
    pub const fn code(self) -> Self {
        Self(self.0 & STATUS_MASK)
    }

    /// True for `TDX_OPERAND_BUSY` with any operand: what the kernel's `tdx_operand_busy()` asks.
    #[must_use]
    pub const fn is_operand_busy(self) -> bool {
        self.code().0 == OPERAND_BUSY.0
    }

    /// Bit 63.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 >> 63 == 1
    }

    /// The class in bits 47:40; 0x02 is "resource busy".
    #[must_use]
    pub const fn class(self) -> u8 {
        (self.0 >> 40) as u8
    }

    /// The code's name, if it is one of [`NAMED`].
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMED
            .iter()
            .find(|(_, code, _)| *code == self.code())
            .map(|(name, ..)| *name)
    }

    /// What the code means, if it is one of [`NAMED`].
    #[must_use]
    pub fn meaning(self) -> Option<&'static str> {
        NAMED
            .iter()
            .find(|(_, code, _)| *code == self.code())
            .map(|(.., about)| *about)
    }

    /// The operand, when bits 31:0 are the id of one.
    #[must_use]
    pub fn operand(self) -> Option<Operand> {
        let id = self.0 & !STATUS_MASK;
        Operand::ALL
            .iter()
            .copied()
            .find(|operand| operand.id() == id && id != 0)
    }

    /// Name and operand as kernel developers write them: `TDX_OPERAND_BUSY | RCX`.
    #[must_use]
    pub fn pretty(self) -> String {
        let name = self.name().map_or_else(
            || format!("unknown status {:#018x}", self.code().0),
            str::to_owned,
        );
        match (self.operand(), self.0 & !STATUS_MASK) {
            (Some(operand), _) => format!("{name} | {}", operand.key()),
            (None, 0) => name,
            (None, detail) => format!("{name} | {detail:#x}"),
        }
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logged_status_words_of_real_reports_decode() {
        assert_eq!(
            StatusWord(0x8000_0200_0000_0080).pretty(),
            "TDX_OPERAND_BUSY | TDR"
        );
        assert_eq!(
            StatusWord(0xc000_0b08_0000_0001).pretty(),
            "TDX_TLB_TRACKING_NOT_DONE | RCX"
        );
        assert_eq!(
            StatusWord(0x8000_0200_0000_0092).pretty(),
            "TDX_OPERAND_BUSY | SEPT_TREE"
        );
        assert_eq!(
            StatusWord(0x8000_0200_0000_00a9).pretty(),
            "TDX_OPERAND_BUSY | TD_EPOCH"
        );
    }

    #[test]
    fn every_named_code_has_its_name_once() {
        for (name, code, _) in NAMED {
            assert_eq!(code.name(), Some(*name));
            assert_eq!(code.0 & !STATUS_MASK, 0, "{name} carries an operand");
        }
    }
}
