//! The engines: independent ways to search the same question.

pub mod exact;
pub mod stateright;
pub(crate) mod supervised;

use seamcheck_model::property::{Property, Witness};
use seamcheck_model::system::Event;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// At most this many states.
    pub states: u64,
    /// At most this many bytes of memory for states, asked before a table grows.
    pub memory: u64,
    /// At most this long.
    pub time: Duration,
    /// On this many threads.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            states: u64::from(u32::MAX - 1),
            memory: 4 << 30,
            time: Duration::from_secs(600),
            threads: 1,
        }
    }
}

/// Why a search was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// [`Limits::states`].
    States,
    /// [`Limits::memory`].
    Memory,
    /// [`Limits::time`].
    Time,
    /// A violation is there, but a limit was hit before a shortest trace to it was found.
    NoTrace,
    /// A store buffer was too short.
    StoreBuffer,
    /// The limit on executions.
    Executions,
    /// An execution that goes on for longer than the engine is let: it may have no end.
    Endless,
    /// The engine failed: a bug in the code, or a schedule that does not fit it.
    Failed,
    /// Some schedules of many were made, and none violates.
    Sample,
    /// Code and model part.
    Parted,
    /// The user interrupted it.
    Interrupted,
}

impl Cut {
    /// In words, for "unknown: …".
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::States => "the limit on states was hit",
            Self::Memory => "the limit on memory was hit",
            Self::Time => "the limit on time was hit",
            Self::NoTrace => {
                "it is violated, but a limit was hit before a shortest trace was found"
            }
            Self::StoreBuffer => "a store buffer overflowed",
            Self::Executions => "a limit on executions was hit",
            Self::Endless => "an execution goes on for longer than the engine is let",
            Self::Failed => "the engine failed",
            Self::Sample => "some schedules of many were made, and none violates",
            Self::Parted => "code and model part",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Shared between a search, its progress display and the signal handler.
#[derive(Debug, Default)]
pub struct Watch {
    /// Set to stop the search.
    pub stop: AtomicBool,
    /// States found so far.
    pub states: AtomicU64,
}

impl Watch {
    /// True once the search must stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A transition that breaks a property, and how to get there.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The property.
    pub property: Property,
    /// Keys of the states from the initial one to the one the violating step starts from.
    pub path: Vec<Vec<u64>>,
    /// The violating step.
    pub last: Event,
}

impl Violation {
    /// Number of transitions, the violating one included.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.path.len() as u64
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Distinct states.
    pub states: u64,
    /// Transitions taken.
    pub transitions: u64,
    /// Length of the longest shortest path.
    pub depth: u64,
    /// Why the search is not complete, if it is not. Stopping at a violation is not a cut.
    pub cut: Option<Cut>,
    /// True when every reachable state was expanded.
    pub complete: bool,
    /// First violation of each property that was asked for or met.
    pub violations: Vec<Violation>,
    /// How often each step fired, by step number.
    pub fired: Vec<u64>,
    /// The witnesses seen.
    pub witnesses: Vec<Witness>,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// Bytes the visited set and its queue take.
    pub bytes: u64,
    /// Bytes of one state's key.
    pub key_bytes: usize,
}

impl Report {
    /// The violation of a property, if one was found.
    #[must_use]
    pub fn violation(&self, property: Property) -> Option<&Violation> {
        self.violations
            .iter()
            .find(|violation| violation.property == property)
    }
}

/// A stopwatch for limits.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Wall-clock time since the start.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
