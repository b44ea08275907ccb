//! What an ioctl thread's lines do; see `kvm/ioctl.rs` for the program.

use super::kvm_step::Step;
use super::others::Others;
use super::state::{EntryState, MirrorSpte};
use crate::kernel::{KvmHeld, OnFailure};
use crate::resource::{KvmLock, KvmMode};
use crate::status::StatusWord;

impl<'a, O: Others> Step<'_, '_, 'a, '_, O> {
    pub(super) fn begin_ioctl(&mut self) {
        for page in 0..self.system.scenario.pages {
            self.then(0, None, |next| {
                next.control_mut().page = page as u8;
                next.choice = page as u8;
            });
        }
    }

    pub(super) fn premap(&mut self) {
        let read = KvmHeld::default().with(KvmLock::MmuLock, KvmMode::Read);
        let page = self.frame.control().page;
        if self.system.kvm_lock_is_held(self.frame, read, page) {
            return;
        }
        let page = usize::from(page);
        if self.frame.shared.pages[page].mirror != MirrorSpte::None {
            self.next(1);
        } else {
            self.then(0, None, |next| {
                next.shared.pages[page].mirror = MirrorSpte::Present
            });
        }
    }

    /// Up to 6.18 KVM counts pages that are mapped in the mirror page table and not added yet. One
    /// whose mirror SPTE is removed counts until `tdx_sept_zap_private_spte()` has found it not added.
    pub(super) fn unless_none_premapped(&mut self, to: u8) {
        let shared = &self.frame.shared;
        let mut pages = shared.pages.iter().enumerate();
        let premapped = pages.any(|(index, page)| {
            let is_mapped =
                page.mirror == MirrorSpte::Present || self.system.zaps_unjudged(shared, index);
            is_mapped && page.entry == EntryState::Free
        });
        self.branch(premapped, to);
    }

    pub(super) fn unless_mapped(&mut self, to: u8) {
        let page = usize::from(self.frame.control().page);
        let mapped = self.frame.shared.pages[page].mirror != MirrorSpte::None;
        self.branch(mapped, to);
    }

    pub(super) fn set_present(&mut self) {
        let page = usize::from(self.frame.control().page);
        self.then(0, None, |next| {
            next.shared.pages[page].mirror = MirrorSpte::Present;
        });
    }

    pub(super) fn ioctl_status(&mut self, to: u8, on_failure: OnFailure) {
        let status = self.status();
        let tolerated = match on_failure {
            OnFailure::Return => true,
            OnFailure::BugOn => false,
            OnFailure::BugOnUnlessBusy => status.is_operand_busy(),
        };
        if status == StatusWord(0) {
            self.next(0);
        } else if tolerated {
            self.then(1, Some(to), |next| next.control_mut().status = 0);
        } else {
            self.then(2, None, |next| next.shared.bugged = true);
        }
    }
}
