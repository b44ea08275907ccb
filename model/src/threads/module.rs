//! The TDX module's side: what it keeps of a TD, and the calls as functions.
//!
//! Each leaf is written out in its own file, lock by lock, in the order of its source file; nothing
//! here reads a lock table. `tests/threads_lock_table.rs` holds what the code acquires, as recorded
//! while it runs, against the table's rows.

mod call;
mod epoch;
mod page;
mod seamcalls;
mod tdcalls;
mod vcpu_setup;
mod vp_enter;

pub(super) use call::Current;
pub(super) use page::Page;
pub(super) use seamcalls::{
    tdh_mem_page_aug, tdh_mem_page_remove, tdh_mem_range_block, tdh_mem_track, tdh_vp_wr,
};
pub(super) use vcpu_setup::{tdh_mem_page_add, tdh_vp_addcx, tdh_vp_create, tdh_vp_init};
pub(super) use vp_enter::{
    ExitReason, Tdvps, begin_in_guest, leave_guest, status_of, tdh_vp_enter,
};

use super::backends::Std;
use super::beside::Ioctl;
use super::locks::Lock;
use super::runtime::Runtime;
use super::scenario::{Grain, Scenario};
use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::resource::{LockKind, Resource};
use crate::system::Agent;
use epoch::EpochTracking;

closed_enum! { "module version",
    /// The TDX module versions that exist as code.
    pub enum Version {
        V1_5_05 = "1.5.05": "TDH.VP.ENTER takes the S-EPT tree exclusively in its 0-step mode; whole-entry stores erase TDHP",
        V2_0_12 = "2.0.12": "TDH.VP.ENTER takes the S-EPT tree shared, a host-priority lock; stores keep TDHP",
    }
}

/// What the module keeps of a TD: lock words, TD_EPOCH and REFCOUNTs, private pages.
pub(super) struct Td<R: Runtime> {
    version: Version,
    tdr: Lock<R>,
    op_state: Lock<R>,
    epoch_lock: Lock<R>,
    epoch: EpochTracking<R>,
    sept_tree: Lock<R>,
    pages: Vec<Page<R>>,
    tdvpr: Vec<Lock<R>>,
    /// Those of vCPUs that ioctl threads set up, each one of its own.
    new_tdvpr: Vec<Lock<R>>,
    /// OP_STATE is RUNNABLE, else INITIALIZED: no leaf here changes it.
    runnable: bool,
}

impl<R: Runtime> Td<R> {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let order = scenario.lock_words;
        let beside = scenario.beside;
        let a_word = |is_contended: bool| match scenario.grain {
            Grain::Contended if !is_contended => Lock::Uncontended,
            _ => Lock::new(LockKind::SharexHostPriority, order),
        };
        let host_priority = || a_word(false);
        let tree = match scenario.module {
            Version::V1_5_05 => LockKind::Sharex,
            Version::V2_0_12 => LockKind::SharexHostPriority,
        };
        Self {
            version: scenario.module,
            tdr: a_word(beside.takes_tdr()),
            op_state: host_priority(),
            epoch_lock: Lock::new(LockKind::Sharex, order),
            epoch: EpochTracking::new(scenario.prepared().td_epoch, order),
            sept_tree: Lock::new(tree, order),
            pages: (0..scenario.zappers.count())
                .map(|_| {
                    let pamt = a_word(beside.does(Ioctl::InitMemRegion));
                    Page::new(&scenario.prepared(), pamt, order)
                })
                .collect(),
            tdvpr: (0..scenario.vcpus).map(|_| host_priority()).collect(),
            new_tdvpr: beside.ioctls().map(|_| host_priority()).collect(),
            runnable: beside.finalized,
        }
    }

    /// What a page is left as: for oracles.
    pub(super) fn page(&self, page: u8) -> &Page<R> {
        &self.pages[usize::from(page)]
    }

    /// The word of a lock: of TDVPRs the one that this agent names, of PAMT entries this page's. An S-EPT entry
    /// has its own.
    fn lock(&self, resource: Resource, agent: Agent, page: u8) -> Option<&Lock<R>> {
        match resource {
            Resource::Tdr => Some(&self.tdr),
            Resource::OpState => Some(&self.op_state),
            Resource::TdEpoch => Some(&self.epoch_lock),
            Resource::SeptTree => Some(&self.sept_tree),
            Resource::Tdvpr => match agent {
                Agent::Vcpu(index) => self.tdvpr.get(usize::from(index)),
                Agent::Thread(index) => self.new_tdvpr.get(usize::from(index)),
                Agent::Zapper => None,
            },
            Resource::PagePamt => Some(&self.page(page).pamt),
            Resource::SeptEntry => None,
        }
    }

    /// Stores leave TDHP alone.
    pub(super) fn keeps_host_priority(&self) -> bool {
        self.version == Version::V2_0_12
    }
}

/// The kinds of the locks that a scenario's code takes; none where it has no word.
#[must_use]
pub fn lock_kinds(scenario: &Scenario) -> Vec<(Resource, Option<LockKind>)> {
    let td = Td::<Std>::new(scenario);
    let kind_of = |resource| match td.lock(resource, Agent::Vcpu(0), 0) {
        Some(lock) => lock.kind(),
        None if resource == Resource::SeptEntry => Some(LockKind::SeptEntry),
        None => None,
    };
    let all = Resource::ALL.iter().copied();
    all.map(|resource| (resource, kind_of(resource))).collect()
}
