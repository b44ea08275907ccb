//! Writing programs line by line, with labels.

use super::instr::Instr;
use crate::kernel::KvmHeld;

/// The kernel function or TDX module file a step stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Anchor {
    /// `vcpu_enter_guest`, `TDH.MEM.RANGE.BLOCK`, …
    pub function: String,
    /// `arch/x86/kvm/x86.c`, …
    pub file: String,
}

/// One line of a program.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it does.
    pub instr: Instr,
    /// How it reads in a trace.
    pub text: &'static str,
    /// What it stands for.
    pub anchor: Anchor,
    /// Interrupts are disabled before this line.
    pub irqs_off: bool,
    /// The KVM locks held before this line.
    pub held: KvmHeld,
    /// `wait_for_sept_zap` has been raised by this thread and not yet lowered.
    pub flag_window: bool,
    /// The thread has frozen its page's mirror SPTE: nobody else has.
    pub frozen: bool,
}

/// A program: its lines, addressed by index.
pub type Program = Vec<Line>;

/// A forward reference to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// What holds at the line about to be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting {
    /// See [`Line::irqs_off`].
    pub irqs_off: bool,
    /// See [`Line::held`].
    pub held: KvmHeld,
    /// See [`Line::flag_window`].
    pub flag_window: bool,
    /// See [`Line::frozen`].
    pub frozen: bool,
}

/// Writes a program.
#[derive(Default)]
pub struct Assembler {
    lines: Vec<Line>,
    labels: Vec<Option<u8>>,
    /// What holds from here on; changed by the program writer as it goes.
    pub setting: Setting,
    function: &'static str,
    file: &'static str,
}

impl Assembler {
    /// A label to be placed later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label at the next line.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.lines.len() as u8);
    }

    /// The reference to a label inside an instruction; resolved by [`Assembler::finish`].
    #[must_use]
    pub fn to(&self, label: Label) -> u8 {
        label.0 as u8
    }

    /// The function the following lines stand for.
    pub fn function(&mut self, function: &'static str, file: &'static str) {
        self.function = function;
        self.file = file;
    }

    /// Writes a line.
    pub fn line(&mut self, instr: Instr, text: &'static str) {
        let Setting {
            irqs_off,
            held,
            flag_window,
            frozen,
        } = self.setting;
        let anchor = Anchor {
            function: self.function.to_owned(),
            file: self.file.to_owned(),
        };
        self.lines.push(Line {
            instr,
            text,
            anchor,
            irqs_off,
            held,
            flag_window,
            frozen,
        });
    }

    /// Resolves labels. Every label that was used has been placed: programs are written by this
    /// crate only, and a test assembles every combination of decisions.
    #[must_use]
    pub fn finish(mut self) -> Program {
        let labels = self.labels;
        let resolve = |to: &mut u8| *to = labels[usize::from(*to)].unwrap_or_default();
        for line in &mut self.lines {
            match &mut line.instr {
                Instr::Jump { to }
                | Instr::UnlessBusy { to, .. }
                | Instr::GiveUp { to }
                | Instr::IfError { to }
                | Instr::UnlessPremapError { to }
                | Instr::UnlessRunnable { to }
                | Instr::Unlock { to }
                | Instr::RemoveMirrorSpte { gone: to, .. }
                | Instr::ExitRequest { to, .. }
                | Instr::TestFlag { to, .. }
                | Instr::HandleExit { fault: to }
                | Instr::FaultLock { to }
                | Instr::IoctlStatus { to, .. }
                | Instr::TestState { to, .. }
                | Instr::UnlessNonePremapped { to }
                | Instr::UnlessMapped { to }
                | Instr::VpEnterStatus { reenter: Some(to) } => resolve(to),
                Instr::RunLoop {
                    userspace,
                    halted,
                    scheduled_out,
                    push,
                } => {
                    resolve(userspace);
                    resolve(halted);
                    resolve(scheduled_out);
                    if let Some(push) = push {
                        resolve(push);
                    }
                }
                Instr::Nop
                | Instr::Call { .. }
                | Instr::BeginZap { .. }
                | Instr::ThawMirrorSpte
                | Instr::StoreFlag { .. }
                | Instr::Kick { .. }
                | Instr::BugOn
                | Instr::IrqDisable
                | Instr::IrqEnable
                | Instr::StoreMode { .. }
                | Instr::FullBarrier
                | Instr::VpEnterStatus { reenter: None }
                | Instr::HandleExitIrqoff
                | Instr::AugStatus
                | Instr::BeginIoctl
                | Instr::Lock { .. }
                | Instr::Premap
                | Instr::Release
                | Instr::ClearRequests
                | Instr::SetPresent
                | Instr::SetRunnable
                | Instr::SleepOnFlag { .. } => {}
            }
        }
        self.lines
    }
}
