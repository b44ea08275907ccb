//! How far a request goes, in words.

use super::request::{CodeRequest, Engine, plural};
use super::zappers;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::threads::Window;

impl CodeRequest {
    /// The bounds in words: they are part of every verdict.
    #[must_use]
    pub fn bounds_text(&self) -> String {
        let beside = match self.beside.with[..] {
            [] => String::new(),
            _ => format!(" beside {}", self.beside.with.join(" and ")),
        };
        let vcpus = format!(
            "{} vCPU{}{beside} × {} lap{}, {}",
            self.vcpus,
            plural(self.vcpus),
            self.laps,
            plural(self.laps),
            match self.window {
                Window::Whole if self.in_guest => {
                    "the whole removal, begun with vCPUs in their guests".to_owned()
                }
                Window::Whole => "the whole removal".to_owned(),
                window if self.marked => format!("the window of {}, TDHP set", window.key()),
                window => format!("the window of {}", window.key()),
            }
        );
        let zappers = self.parse_zappers().ok().and_then(zappers::text);
        let zappers = zappers.map_or_else(String::new, |zappers| format!("{zappers}, "));
        format!(
            "{zappers}{vcpus}, {}{}",
            self.guest_text(),
            self.reach_text()
        )
    }

    /// What loom's guests do, and whether 0-step is armed.
    fn guest_text(&self) -> String {
        let armed = if self.zero_step_armed {
            "0-step armed, "
        } else {
            ""
        };
        if self.engine != Engine::Loom || !self.beside.finalized {
            return armed.to_owned();
        }
        let once = if self.guest_once { " once" } else { "" };
        format!("{armed}guests: {}{once}, ", self.guest.key())
    }

    /// The engine's own bounds in words.
    #[must_use]
    pub fn reach_text(&self) -> String {
        match self.engine {
            Engine::Loom => match (self.preemptions, self.fewest) {
                (None, false) => "all interleavings".to_owned(),
                (None, true) => "from no preemption to all interleavings".to_owned(),
                (Some(most), false) => format!("up to {most} preemption{}", plural(most)),
                (Some(most), true) => format!("from no preemption to {most}"),
            },
            Engine::Shuttle => match self.pct {
                None => format!("random schedules, seed {}", self.seed),
                Some(depth) => format!("PCT schedules of depth {depth}, seed {}", self.seed),
            },
            Engine::Std => "real threads, a smoke test".to_owned(),
        }
    }
}
