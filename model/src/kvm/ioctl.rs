//! Any other host thread: an ioctl from the kernel profile's code paths, over and over.

use super::assembler::{Anchor, Assembler, Label, Program};
use super::instr::{CallSite, Instr};
use crate::kernel::{CodePath, Deed, Group};
use crate::module::LeafId;

/// The program of a code path; `leaves` are the SEAMCALLs it names, in order. Whether KVM has seen
/// the TD finalized is tested only in a TD `of_two_lives`; elsewhere the answer does not change.
#[must_use]
pub fn program(path: &CodePath, leaves: &[LeafId], of_two_lives: bool) -> Program {
    let mut asm = Assembler::default();
    let (begin, unlock) = (asm.label(), asm.label());
    let mut leaves = leaves.iter().copied();
    asm.function("", "arch/x86/kvm/vmx/tdx.c");
    asm.place(begin);
    asm.line(Instr::BeginIoctl, "ioctl()");
    asm.line(Instr::Lock { locks: path.locks }, "take its KVM locks");
    asm.setting.held = path.locks;
    if of_two_lives && (path.before_finalize || path.after_finalize) {
        let test = Instr::TestState {
            runnable: path.after_finalize,
            to: asm.to(unlock),
        };
        asm.line(test, "kvm_tdx->state?");
    }
    if path.refuses_premapped {
        let test = Instr::UnlessNonePremapped { to: asm.to(unlock) };
        asm.line(test, "nr_premapped?");
    }
    for group in &path.groups {
        write_group(&mut asm, path, group, &mut leaves, unlock);
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

fn write_group(
    asm: &mut Assembler,
    path: &CodePath,
    group: &Group,
    leaves: &mut impl Iterator<Item = LeafId>,
    unlock: Label,
) {
    let inner = !group.under.is_empty();
    if inner {
        let locks = group.held();
        asm.line(Instr::Lock { locks }, "take the locks around the call");
        asm.setting.held = path.locks.and(locks);
    }
    for deed in &group.deeds {
        match deed {
            Deed::Seamcall(_) => {
                let Some(leaf) = leaves.next() else { continue };
                let site = CallSite::Other;
                asm.line(Instr::Call { leaf, site }, "SEAMCALL");
                let check = Instr::IoctlStatus {
                    to: asm.to(unlock),
                    on_failure: group.on_failure,
                };
                asm.line(check, "err?");
            }
            Deed::Premap => asm.line(
                Instr::Premap,
                "map in the mirror page table, under mmu_lock for read",
            ),
            Deed::UnlessMapped => {
                let look = Instr::UnlessMapped { to: asm.to(unlock) };
                asm.line(look, "look at the mirror SPTE");
            }
            Deed::SetPresent => asm.line(Instr::SetPresent, "set the mirror SPTE"),
            Deed::StateRunnable => {
                asm.line(Instr::SetRunnable, "kvm_tdx->state = TD_STATE_RUNNABLE")
            }
        }
    }
    if inner {
        asm.line(Instr::Release, "drop the locks around the call");
        asm.setting.held = path.locks;
    }
}
