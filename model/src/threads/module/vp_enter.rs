//! TDH.VP.ENTER (tdh_vp_enter.c, td_exit_stepping.c, td_exit.c), the guest inside it, and the TD exit.

use super::Td;
use super::call::{Call, Current};
use super::tdcalls::tdcall;
use crate::resource::{Mode, Resource};
use crate::status::{Operand, SUCCESS, StatusWord};
use crate::system::EPT_VIOLATION_EXIT;
use crate::system::labels::guest;
use crate::system::state::EntryState;
use crate::table::Effect;
use crate::threads::event::{Event, Leaf};
use crate::threads::guest::{Deed, Guest};
use crate::threads::module::Version;
use crate::threads::runtime::Runtime;

/// What the module keeps of a vCPU (TDVPS) and only its own calls touch.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::threads) struct Tdvps {
    /// LAST_EPF_GPA_LIST: the page in it, if it is not empty.
    pub(in crate::threads) zero_step: Option<u8>,
}

/// Why the guest was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::threads) enum ExitReason {
    /// On this page.
    EptViolation(u8),
    Vmcall,
    Interrupt,
}

/// TDH.VP.ENTER: a status, and the exit reason when the guest ran or would have faulted at once.
pub(in crate::threads) fn tdh_vp_enter<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
    tdvps: &mut Tdvps,
    guest: &Guest,
    interrupted: &dyn Fn() -> bool,
) -> Result<ExitReason, StatusWord> {
    let mut call = Call::new(td, current);
    let mut epoch = 0;
    let result = enter(&mut call, tdvps, &mut epoch).map(|entered| match entered {
        Entered::WouldFault(page) => ExitReason::EptViolation(page),
        Entered::Guest => {
            let reason = run_guest(&mut call, tdvps, guest, interrupted);
            td_exit(&mut call, epoch);
            reason
        }
    });
    call.unwind(|td| td.epoch.uncount(epoch));
    result
}

/// td_exit.c: REFCOUNT--, then the locks.
fn td_exit<R: Runtime>(call: &mut Call<'_, R>, epoch: u64) {
    call.td.epoch.uncount(epoch);
    call.uncounted();
    call.note(Effect::LeaveEpoch, 0);
    call.release(Resource::Tdr);
    call.release(Resource::Tdvpr);
}

/// A TDH.VP.ENTER up to its guest, before anybody else moves; nothing is recorded. [`leave_guest`] is the rest.
pub(in crate::threads) fn begin_in_guest<R: Runtime>(td: &Td<R>, vcpu: usize) {
    // Nobody holds anything yet: shared attempts are not refused.
    let _ = td.tdvpr[vcpu].acquire(Mode::Shared, |_| ());
    let _ = td.tdr.acquire(Mode::Shared, |_| ());
    td.epoch.count(td.epoch.read().epoch());
}

/// The rest of a TDH.VP.ENTER that [`begin_in_guest`] began, in this epoch: the guest runs, and exits.
pub(in crate::threads) fn leave_guest<R: Runtime>(
    td: &Td<R>,
    current: Current<R>,
    epoch: u64,
    tdvps: &mut Tdvps,
    guest: &Guest,
    interrupted: &dyn Fn() -> bool,
) -> ExitReason {
    let mut call = Call::in_guest(td, current);
    let reason = run_guest(&mut call, tdvps, guest, interrupted);
    td_exit(&mut call, epoch);
    reason
}

enum Entered {
    Guest,
    /// The 0-step filter: a listed GPA would fault again.
    WouldFault(u8),
}

fn enter<R: Runtime>(
    call: &mut Call<'_, R>,
    tdvps: &Tdvps,
    epoch: &mut u64,
) -> Result<Entered, StatusWord> {
    call.acquire(Resource::Tdvpr, Mode::Shared, Operand::Rcx)?;
    call.acquire(Resource::Tdr, Mode::Shared, Operand::Tdr)?;
    call.acquire(Resource::OpState, Mode::Shared, Operand::OpState)?;
    call.acquire(Resource::TdEpoch, Mode::Shared, Operand::TdEpoch)?;
    *epoch = call.td.epoch.read().epoch();
    call.td.epoch.count(*epoch);
    call.counted();
    call.note(Effect::SampleEpoch, 0);
    call.release(Resource::TdEpoch);
    call.current
        .record_local(Event::ZeroStepArmed(tdvps.zero_step.is_some()));
    if let Some(page) = tdvps.zero_step {
        let mode = match call.td.version {
            Version::V1_5_05 => Mode::Exclusive,
            Version::V2_0_12 => Mode::Shared,
        };
        call.acquire(Resource::SeptTree, mode, Operand::SeptTree)?;
        let faults = call.td.page(page).state() != EntryState::Mapped;
        call.note(Effect::WouldFault, u8::from(faults));
        if faults {
            return Ok(Entered::WouldFault(page));
        }
    }
    call.release(Resource::OpState);
    call.release(Resource::SeptTree);
    Ok(Entered::Guest)
}

/// The guest runs, until something ends it.
fn run_guest<R: Runtime>(
    call: &mut Call<'_, R>,
    tdvps: &mut Tdvps,
    guest: &Guest,
    interrupted: &dyn Fn() -> bool,
) -> ExitReason {
    let mut step = 0;
    loop {
        R::local_step();
        let deed = guest.deed::<R>(step);
        step += 1;
        if matches!(deed, Deed::Vmcall { .. } | Deed::Interrupt { .. }) {
            call.current = call.current.about(0);
        } else {
            call.current = call.current.about(guest.page::<R>(call.td.pages.len()));
        }
        let leaf = match deed {
            Deed::Accept => Leaf::Accept,
            Deed::AttrRead => Leaf::AttrRead,
            Deed::AttrWrite => Leaf::AttrWrite,
            Deed::Access { arms } => {
                // A PENDING page is the guest's own affair (#VE); a MAPPED one does not fault.
                if matches!(
                    call.page().state(),
                    EntryState::Mapped | EntryState::Pending
                ) {
                    continue;
                }
                tdvps.zero_step = arms.then_some(call.current.page);
                note_guest(call, guest::EPT_VIOLATION, None, tdvps);
                return ExitReason::EptViolation(call.current.page);
            }
            Deed::Vmcall { progress } => {
                tdvps.zero_step = tdvps.zero_step.filter(|_| !progress);
                note_guest(call, guest::VMCALL, None, tdvps);
                return ExitReason::Vmcall;
            }
            Deed::Interrupt { progress } => {
                tdvps.zero_step = tdvps.zero_step.filter(|_| !progress);
                let outcome = if interrupted() {
                    guest::KICKED
                } else {
                    guest::INTERRUPT
                };
                note_guest(call, outcome, None, tdvps);
                return ExitReason::Interrupt;
            }
        };
        note_guest(call, guest::TDCALL, Some(leaf), tdvps);
        if tdcall(call, leaf) == Err(EPT_VIOLATION_EXIT) {
            return ExitReason::EptViolation(call.current.page);
        }
    }
}

fn note_guest<R: Runtime>(call: &Call<'_, R>, outcome: u8, tdcall: Option<Leaf>, tdvps: &Tdvps) {
    call.current.record(Event::Guest {
        outcome,
        tdcall,
        armed: tdvps.zero_step.is_some(),
        page: call.current.page,
    });
}

/// The status as KVM sees it: an exit is a success.
pub(in crate::threads) fn status_of(result: &Result<ExitReason, StatusWord>) -> StatusWord {
    result.err().unwrap_or(SUCCESS)
}
