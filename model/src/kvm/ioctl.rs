//! Any other host thread: an ioctl from the kernel profile's code paths, over and over.

use super::assembler::{Anchor, Assembler, Program};
use super::instr::{CallSite, Instr};
use crate::kernel::{CodePath, Deed};
use crate::module::LeafId;

/// The program of a code path; `leaves` are the SEAMCALLs it names, in order.
#[must_use]
pub fn program(path: &CodePath, leaves: &[LeafId]) -> Program {
    let mut asm = Assembler::default();
    let (begin, unlock) = (asm.label(), asm.label());
    let mut leaves = leaves.iter();
    asm.function("", "arch/x86/kvm/vmx/tdx.c");
    asm.place(begin);
    asm.line(Instr::BeginIoctl, "ioctl()");
    asm.line(Instr::Lock { locks: path.locks }, "take its KVM locks");
    asm.setting.held = path.locks;
    for deed in &path.deeds {
        match (deed, deed_leaf(deed, &mut leaves)) {
            (Deed::Seamcall(_), Some(leaf)) => {
                asm.line(
                    Instr::Call {
                        leaf,
                        site: CallSite::Other,
                    },
                    "SEAMCALL",
                );
                let check = Instr::IoctlStatus {
                    to: asm.to(unlock),
                    on_failure: path.on_failure,
                };
                asm.line(check, "err?");
            }
            _ => asm.line(
                Instr::Premap,
                "map in the mirror page table, under mmu_lock for read",
            ),
        }
    }
    asm.place(unlock);
    asm.line(Instr::Unlock { to: asm.to(begin) }, "drop its KVM locks");
    let mut program = asm.finish();
    for line in &mut program {
        line.anchor = Anchor {
            function: path.function.clone(),
            file: line.anchor.file.clone(),
        };
    }
    program
}

fn deed_leaf<'a>(deed: &Deed, leaves: &mut impl Iterator<Item = &'a LeafId>) -> Option<LeafId> {
    match deed {
        Deed::Seamcall(_) => leaves.next().copied(),
        Deed::Premap => None,
    }
}
