//! What a run of the code is told, and what is expected of its executions.

use seamcheck_model::data::{DataError, Reader};
use seamcheck_model::threads::{Scripted, Window};

/// How many of loom's executions are which, and how many outcomes they come to; what is left out is
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpectedHeld {
    /// Accepted by the model in loom's order.
    pub in_order: u64,
    /// Accepted in another.
    pub by_program_order: u64,
    /// Not to be seen on x86.
    pub weaker_than_x86: u64,
    /// Outcomes, where they are compared.
    pub outcomes: Option<u64>,
}

impl ExpectedHeld {
    /// The keys in a manifest.
    pub(super) const KEYS: [&str; 4] = [
        "in-order",
        "by-program-order",
        "weaker-than-x86",
        "outcomes",
    ];

    pub(super) fn parse(expected: Reader<'_>) -> Result<Self, DataError> {
        let [in_order, by_program_order, weaker_than_x86, outcomes] =
            Self::KEYS.map(|key| expected.number(key));
        Ok(Self {
            in_order: in_order?.unwrap_or_default(),
            by_program_order: by_program_order?.unwrap_or_default(),
            weaker_than_x86: weaker_than_x86?.unwrap_or_default(),
            outcomes: outcomes?,
        })
    }
}

/// What only the code's forms are told; what is left out is the engine's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeSettings {
    /// What the zapper does.
    pub window: Option<Window>,
    /// How often a vCPU goes round.
    pub laps: Option<usize>,
    /// loom: what the guests do.
    pub guest: Option<Scripted>,
    /// loom: on their first lap only.
    pub guest_once: bool,
    /// loom: a whole removal begins with vCPUs in their guests.
    pub in_guest: bool,
    /// 0-step is armed at the start.
    pub zero_step_armed: bool,
    /// loom: the window is entered with TDHP set.
    pub marked: bool,
    /// loom: the module's lock words are full barriers.
    pub barriers_in_locks: bool,
    /// loom: the most preemptions.
    pub preemptions: Option<usize>,
    /// loom: the fewest preemptions that violate, looked for bound after bound.
    pub fewest: Option<usize>,
    /// loom: the most executions.
    pub executions: Option<usize>,
    /// shuttle: the number of schedules.
    pub schedules: Option<usize>,
    /// shuttle: the depth of PCT.
    pub pct: Option<usize>,
    /// shuttle: where the choice of schedules begins.
    pub seed: Option<u64>,
    /// Every execution or schedule is held against the packed model.
    pub conformance: bool,
}

impl CodeSettings {
    pub(super) fn parse(row: Reader<'_>) -> Result<Self, DataError> {
        row.only(&[
            "window",
            "laps",
            "guest",
            "guest_once",
            "in_guest",
            "zero_step_armed",
            "marked",
            "barriers_in_locks",
            "preemptions",
            "fewest",
            "executions",
            "schedules",
            "pct",
            "seed",
            "conformance",
        ])?;
        let number = |key: &str| Ok(row.number(key)?.map(|number| number as usize));
        Ok(Self {
            window: row
                .has("window")
                .then(|| row.choice("window"))
                .transpose()?,
            laps: number("laps")?,
            guest: row.has("guest").then(|| row.choice("guest")).transpose()?,
            guest_once: row.boolean("guest_once", false)?,
            in_guest: row.boolean("in_guest", false)?,
            zero_step_armed: row.boolean("zero_step_armed", false)?,
            marked: row.boolean("marked", false)?,
            barriers_in_locks: row.boolean("barriers_in_locks", false)?,
            preemptions: number("preemptions")?,
            fewest: number("fewest")?,
            executions: number("executions")?,
            schedules: number("schedules")?,
            pct: number("pct")?,
            seed: row.number("seed")?,
            conformance: row.boolean("conformance", false)?,
        })
    }
}
