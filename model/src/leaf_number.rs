//! The numbers of the host-side leaves, as they stand in RAX of a SEAMCALL and in kernel logs.
//!
//! Bits 15:0 are the leaf, bits 23:16 its version; bit 63 says that the SEAM loader is meant.
//! Numbers: the module's `seamcall_leaf_opcode_e` and the kernel's `arch/x86/virt/vmx/tdx/tdx.h`.

use std::fmt;

/// RAX of a SEAMCALL: leaf, version, and who is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeafNumber(pub u64);

macro_rules! leaves {
    ($( $number:literal $name:literal, )+) => {
        /// Every host-side leaf of the module: number and name.
        pub const LEAVES: &[(u16, &str)] = &[ $( ($number, $name) ),+ ];
    };
}

leaves! {
    0 "TDH.VP.ENTER",
    1 "TDH.MNG.ADDCX",
    2 "TDH.MEM.PAGE.ADD",
    3 "TDH.MEM.SEPT.ADD",
    4 "TDH.VP.ADDCX",
    5 "TDH.MEM.PAGE.RELOCATE",
    6 "TDH.MEM.PAGE.AUG",
    7 "TDH.MEM.RANGE.BLOCK",
    8 "TDH.MNG.KEY.CONFIG",
    9 "TDH.MNG.CREATE",
    10 "TDH.VP.CREATE",
    11 "TDH.MNG.RD",
    12 "TDH.MEM.RD",
    13 "TDH.MNG.WR",
    14 "TDH.MEM.WR",
    15 "TDH.MEM.PAGE.DEMOTE",
    16 "TDH.MR.EXTEND",
    17 "TDH.MR.FINALIZE",
    18 "TDH.VP.FLUSH",
    19 "TDH.MNG.VPFLUSHDONE",
    20 "TDH.MNG.KEY.FREEID",
    21 "TDH.MNG.INIT",
    22 "TDH.VP.INIT",
    23 "TDH.MEM.PAGE.PROMOTE",
    24 "TDH.PHYMEM.PAGE.RDMD",
    25 "TDH.MEM.SEPT.RD",
    26 "TDH.VP.RD",
    27 "TDH.MNG.KEY.RECLAIMID",
    28 "TDH.PHYMEM.PAGE.RECLAIM",
    29 "TDH.MEM.PAGE.REMOVE",
    30 "TDH.MEM.SEPT.REMOVE",
    31 "TDH.SYS.KEY.CONFIG",
    32 "TDH.SYS.INFO",
    33 "TDH.SYS.INIT",
    34 "TDH.SYS.RD",
    35 "TDH.SYS.LP.INIT",
    36 "TDH.SYS.TDMR.INIT",
    37 "TDH.SYS.RDALL",
    38 "TDH.MEM.TRACK",
    39 "TDH.MEM.RANGE.UNBLOCK",
    40 "TDH.PHYMEM.CACHE.WB",
    41 "TDH.PHYMEM.PAGE.WBINVD",
    43 "TDH.VP.WR",
    44 "TDH.SYS.LP.SHUTDOWN",
    45 "TDH.SYS.CONFIG",
}

impl LeafNumber {
    /// Bits 15:0.
    #[must_use]
    pub const fn leaf(self) -> u16 {
        self.0 as u16
    }

    /// Bits 23:16.
    #[must_use]
    pub const fn version(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// True when no other bit than those of leaf and version is set.
    #[must_use]
    pub const fn is_plain(self) -> bool {
        self.0 >> 24 == 0
    }

    /// The leaf's name, if the module has it; loader calls and other bits have none.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let known = LEAVES.iter().find(|(number, _)| *number == self.leaf());
        known.filter(|_| self.is_plain()).map(|(_, name)| *name)
    }
}

impl fmt::Display for LeafNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version() == 0 && self.is_plain() {
            write!(f, "{}", self.0)
        } else {
            write!(f, "{:#x}", self.0)
        }
    }
}

/// A leaf's name as lock tables have it (`TDH.MEM.RANGE.BLOCK`), whichever way it is spelled:
/// `TDH_MEM_RANGE_BLOCK`, `tdh_mem_range_block`. `None` when it is no leaf's name.
#[must_use]
pub fn canonical_name(spelled: &str) -> Option<String> {
    let name = spelled.trim().to_ascii_uppercase().replace('_', ".");
    let parts = name.split('.').collect::<Vec<_>>();
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_leaf = parts.len() > 2 && matches!(parts[0], "TDH" | "TDG") && parts.iter().all(is_word);
    is_leaf.then_some(name)
}

/// The number of a host-side leaf, if the module has one of this name.
#[must_use]
pub fn number_of(name: &str) -> Option<u16> {
    let known = LEAVES.iter().find(|(_, known)| *known == name);
    known.map(|(number, _)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::MODULES;
    use crate::table::LockTable;

    #[test]
    fn a_number_carries_its_version() {
        let init = LeafNumber(0x1_0016);
        assert_eq!((init.name(), init.version()), (Some("TDH.VP.INIT"), 1));
        assert_eq!(LeafNumber(7).name(), Some("TDH.MEM.RANGE.BLOCK"));
        assert_eq!(LeafNumber(42).name(), None);
        assert_eq!(LeafNumber(1 << 63 | 1).name(), None);
        assert_eq!(
            (LeafNumber(7).to_string(), init.to_string()),
            ("7".into(), "0x10016".into())
        );
    }

    #[test]
    fn every_spelling_of_a_name_is_the_same_leaf() {
        for spelled in ["TDH_MEM_TRACK", "tdh_mem_track", "TDH.MEM.TRACK"] {
            assert_eq!(canonical_name(spelled).as_deref(), Some("TDH.MEM.TRACK"));
        }
        for other in [
            "",
            "TDH",
            "tdh_",
            "tdx_track",
            "TDH__X",
            "TDH.MEM",
            "TDH_MEM_TRACK(",
        ] {
            assert_eq!(canonical_name(other), None, "{other}");
        }
    }

    #[test]
    fn every_host_side_leaf_of_a_built_in_table_has_a_number() {
        for (name, text) in MODULES {
            let table = LockTable::parse(name, text).unwrap();
            for leaf in table.leaves.iter().filter(|leaf| !leaf.is_tdcall()) {
                assert!(number_of(&leaf.name).is_some(), "{name}: {}", leaf.name);
            }
        }
    }

    #[test]
    fn no_number_and_no_name_stands_twice() {
        for (at, (number, name)) in LEAVES.iter().enumerate() {
            let again = LEAVES[..at]
                .iter()
                .any(|(other, word)| other == number || word == name);
            assert!(!again, "{number} {name}");
        }
    }
}
