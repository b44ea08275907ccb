//! What a guest does: a script for loom, anything for engines that choose.

use super::runtime::Runtime;
use super::scenario::Window;
use crate::closed_enum::closed_enum;

/// Something the guest does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// TDG.MEM.PAGE.ACCEPT.
    Accept,
    /// TDG.MEM.PAGE.ATTR.RD.
    AttrRead,
    /// TDG.MEM.PAGE.ATTR.WR.
    AttrWrite,
    /// An access, which faults if the entry is FREE or blocked; the fault may be the one that arms
    /// 0-step.
    Access {
        /// It is.
        arms: bool,
    },
    /// TDG.VP.VMCALL, with or without progress of RIP since the last entry.
    Vmcall {
        /// With.
        progress: bool,
    },
    /// An interrupt ends the guest: the kick's, if it is pending.
    Interrupt {
        /// See [`Deed::Vmcall`].
        progress: bool,
    },
}

/// What the guest does each time it is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// These deeds, all about the first page, and then TDG.VP.VMCALL without progress.
    Script(&'static [Deed]),
    /// The same on the vCPU's first lap; on later ones TDG.VP.VMCALL at once.
    Once(&'static [Deed]),
    /// Whatever the engine chooses, before and between entries too.
    Any,
}

/// What a free guest chooses from, by number.
pub(super) const CHOICES: [Deed; 9] = [
    Deed::Accept,
    Deed::AttrRead,
    Deed::AttrWrite,
    Deed::Access { arms: false },
    Deed::Access { arms: true },
    Deed::Vmcall { progress: false },
    Deed::Vmcall { progress: true },
    Deed::Interrupt { progress: false },
    Deed::Interrupt { progress: true },
];

closed_enum! { "guest",
    /// What a guest for loom does before its TDG.VP.VMCALL: loom has no choices to explore.
    pub enum Scripted {
        Vmcall = "vmcall": "nothing but TDG.VP.VMCALL",
        Accept = "accept": "TDG.MEM.PAGE.ACCEPT",
        AttrRead = "attr-rd": "TDG.MEM.PAGE.ATTR.RD",
        AttrWrite = "attr-wr": "TDG.MEM.PAGE.ATTR.WR",
        Access = "access": "an access, which faults where the page is blocked or gone",
        ArmingAccess = "arming-access": "the same; a fault is the one that arms 0-step",
        Interrupt = "interrupt": "an interrupt ends it: the kick's, if that is pending",
    }
}

impl Scripted {
    /// The one that has something to meet in a window, and nothing more.
    #[must_use]
    pub const fn of_window(window: Window) -> Self {
        match window {
            Window::Track => Self::Vmcall,
            Window::Block | Window::Remove | Window::Whole => Self::AttrRead,
        }
    }

    /// What the guest does each time it is entered.
    #[must_use]
    pub const fn deeds(self) -> &'static [Deed] {
        match self {
            Self::Vmcall => &[],
            Self::Accept => &[Deed::Accept],
            Self::AttrRead => &[Deed::AttrRead],
            Self::AttrWrite => &[Deed::AttrWrite],
            Self::Access => &[Deed::Access { arms: false }],
            Self::ArmingAccess => &[Deed::Access { arms: true }],
            Self::Interrupt => &[Deed::Interrupt { progress: false }],
        }
    }
}

impl Guest {
    /// The guest as it is on a lap, counted from 0.
    pub(super) const fn on_lap(self, lap: usize) -> Self {
        match (self, lap) {
            (Self::Once(deeds), 0) => Self::Script(deeds),
            (Self::Once(_), _) => Self::Script(&[]),
            _ => self,
        }
    }

    pub(super) fn deed<R: Runtime>(&self, step: usize) -> Deed {
        match self {
            Self::Script(deeds) | Self::Once(deeds) => {
                let last = Deed::Vmcall { progress: false };
                deeds.get(step).copied().unwrap_or(last)
            }
            Self::Any => CHOICES[usize::from(R::choose(CHOICES.len() as u8)) % CHOICES.len()],
        }
    }

    /// The page that a deed is about.
    pub(super) fn page<R: Runtime>(&self, pages: usize) -> u8 {
        match self {
            Self::Any if pages > 1 => R::choose(pages as u8),
            _ => 0,
        }
    }
}
