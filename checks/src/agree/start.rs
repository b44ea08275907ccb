//! How a run of the code begins, and how many vCPUs the packed model needs to come there.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::threads::{Version, Window};
use std::fmt;

/// Where the code begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// What the zapper does from there on.
    pub window: Window,
    /// TDHP is set.
    pub marked: bool,
    /// 0-step is armed on every vCPU.
    pub armed: bool,
}

/// What brings the model to such a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// As many vCPUs as the code has.
    ByItsOwn,
    /// One vCPU more: it has made the first call busy, and is out of the way.
    ByAnother,
    /// Nothing that has been looked at: what the code does from there is no answer.
    Never,
}

impl Start {
    /// How the model comes here (`conformance/start.rs` searches one and two vCPUs); a test of
    /// this crate searches again for each start in the suite.
    #[must_use]
    pub const fn reached(self, module: Version, late: bool) -> Reached {
        match (self.window, self.marked, module) {
            (Window::Whole, ..) if !self.armed => Reached::ByItsOwn,
            (Window::Whole | Window::Track, true, _) | (Window::Whole, ..) => Reached::Never,
            (Window::Remove, false, Version::V2_0_12) => Reached::Never,
            // Nobody can have been in the way before the first vCPU was created.
            _ if late || self.armed => Reached::ByAnother,
            (Window::Remove, false, Version::V1_5_05) => Reached::ByAnother,
            (Window::Block, false, Version::V2_0_12) => Reached::ByAnother,
            (Window::Block | Window::Track | Window::Remove, ..) => Reached::ByItsOwn,
        }
    }

    /// In the order of a removal.
    pub(super) fn order(self) -> (usize, bool, bool) {
        let windows = Window::ALL.iter();
        let at = windows.take_while(|window| **window != self.window).count();
        (at, self.marked, self.armed)
    }
}

/// `B`, `T` or `R`, with `h` for TDHP and `a` for 0-step.
impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.window {
            Window::Block => "B",
            Window::Track => "T",
            Window::Remove => "R",
            Window::Whole => "all",
        })?;
        f.write_str(if self.marked { "h" } else { "" })?;
        f.write_str(if self.armed { "a" } else { "" })
    }
}
