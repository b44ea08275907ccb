//! How far a run of the code reaches.

use super::start::{Reached, Start};
use crate::forms::code::CodeRequest;
use crate::suite::{Form, Run};
use seamcheck_model::threads::Memory;

/// It.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) vcpus: usize,
    pub(super) start: Start,
    /// The model's way to the start takes a vCPU more.
    by_another: bool,
    pub(super) laps: usize,
    /// The most preemptions; none for all.
    pub(super) preemptions: Option<usize>,
    /// What it shows may be weaker than x86.
    pub(super) is_weak: bool,
}

impl Reach {
    /// Of a run of the code, `on_x86` if x86 is known to come to its violation; `None` for a model,
    /// and where the code begins where nothing in the model does.
    pub(super) fn of(run: &Run, on_x86: bool) -> Option<Self> {
        if !matches!(run.form, Form::Loom | Form::Shuttle) {
            return None;
        }
        let request = CodeRequest::of(run).ok()?;
        let start = Start {
            window: request.window,
            marked: request.marked,
            armed: request.zero_step_armed,
        };
        let by_another = match start.reached(request.module, request.late) {
            Reached::ByItsOwn => false,
            Reached::ByAnother => true,
            Reached::Never => return None,
        };
        Some(Self {
            vcpus: request.vcpus,
            start,
            by_another,
            laps: request.laps,
            preemptions: request.preemptions,
            is_weak: run.form == Form::Loom && request.memory == Memory::Weak && !on_x86,
        })
    }

    /// How many vCPUs the model needs to do the same.
    pub(super) const fn needs(&self) -> usize {
        self.vcpus + self.by_another as usize
    }

    /// The bound on preemptions as a number.
    pub(super) fn bound(&self) -> usize {
        self.preemptions.unwrap_or(usize::MAX)
    }

    /// From the same start, it leaves out nothing that the other has.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.start == other.start
            && self.vcpus >= other.vcpus
            && self.laps >= other.laps
            && self.bound() >= other.bound()
    }
}
