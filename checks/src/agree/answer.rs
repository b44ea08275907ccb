//! What a form says of a row: a verdict, how far it reaches, and what it counts for.

use super::start::Start;
use crate::engine::Cut;
use crate::verdict::Verdict;
use std::fmt;

/// Something in which an answer reaches less far than the question of its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Smaller {
    /// Fewer vCPUs.
    Vcpus(usize),
    /// Not the whole removal: windows of it.
    Starts(Vec<Start>),
    /// Each vCPU goes round so often.
    Laps(usize),
    /// At most so many preemptions.
    Preemptions(usize),
}

impl fmt::Display for Smaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcpus(1) => f.write_str("1 vCPU"),
            Self::Vcpus(count) => write!(f, "{count} vCPUs"),
            Self::Starts(starts) => {
                let names: Vec<String> = starts.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(" "))
            }
            Self::Laps(1) => f.write_str("1 lap"),
            Self::Laps(count) => write!(f, "{count} laps"),
            Self::Preemptions(1) => f.write_str("≤1 preemption"),
            Self::Preemptions(most) => write!(f, "≤{most} preemptions"),
        }
    }
}

/// Something in which it reaches further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Larger {
    /// More vCPUs.
    Vcpus(usize),
    /// As many vCPUs and one more, which has made the first call busy.
    OneMore(usize),
    /// A weak memory, and nobody has shown that x86 does the same.
    Memory,
    /// A guest that does more.
    Guest,
}

impl Larger {
    const fn is_of_vcpus(self) -> bool {
        matches!(self, Self::Vcpus(_) | Self::OneMore(_))
    }
}

impl fmt::Display for Larger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vcpus(count) => write!(f, "{count} vCPUs"),
            Self::OneMore(count) => write!(f, "{count}+1 vCPUs"),
            Self::Memory => f.write_str("weak memory"),
            Self::Guest => f.write_str("larger guest"),
        }
    }
}

/// An answer's scope beside its row's; the same when both are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// What it leaves out.
    pub smaller: Vec<Smaller>,
    /// What it has beyond.
    pub larger: Vec<Larger>,
}

/// What an answer counts for where its row's question is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// It decides the question.
    Decides,
    /// It holds in a smaller scope: nothing is against the row, and no more than that.
    Within,
    /// It is violated in a larger scope: that says nothing of the row's.
    Beyond,
    /// It has no verdict.
    Silent,
}

impl Counts {
    /// How it is spelled in reports.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Within => "within",
            Self::Beyond => "beyond",
            Self::Silent => "silent",
        }
    }

    /// What is violated in a scope is violated in every larger one; what holds, or is vacuous, in a
    /// scope is so in every smaller one. Nothing else follows.
    #[must_use]
    pub const fn of(verdict: Verdict, is_smaller: bool, is_larger: bool) -> Self {
        match (verdict, is_smaller, is_larger) {
            (Verdict::Unknown(_), ..) => Self::Silent,
            (Verdict::Violated(_), _, false) => Self::Decides,
            (Verdict::Violated(_), _, true) => Self::Beyond,
            (Verdict::Holds | Verdict::Vacuous, false, _) => Self::Decides,
            (Verdict::Holds | Verdict::Vacuous, true, _) => Self::Within,
        }
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// Where it stands.
    pub scope: Scope,
    /// The runs it comes from.
    pub runs: Vec<String>,
}

impl Answer {
    /// To the very question of the row.
    #[must_use]
    pub fn to_the_same(verdict: Verdict, run: &str) -> Self {
        Self {
            verdict,
            scope: Scope::default(),
            runs: vec![run.to_owned()],
        }
    }

    /// What it counts for.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Scope { smaller, larger } = &self.scope;
        Counts::of(self.verdict, !smaller.is_empty(), !larger.is_empty())
    }

    /// It would decide the question of a row that is about every number of vCPUs.
    pub(super) fn decides_for_more_vcpus(&self) -> bool {
        let more = |larger: &Larger| larger.is_of_vcpus();
        self.counts() == Counts::Beyond && self.scope.larger.iter().all(more)
    }

    /// A sample that has not met a violation.
    #[must_use]
    pub const fn is_sample(&self) -> bool {
        matches!(self.verdict, Verdict::Unknown(Cut::Sample))
    }

    /// The scope, where the verdict depends on it: what holds is told with what it leaves out, what is
    /// violated with what it has beyond, and what has no verdict with how far it was looked.
    #[must_use]
    pub fn scope_text(&self) -> String {
        let Scope { smaller, larger } = &self.scope;
        let smaller = smaller.iter().map(ToString::to_string);
        let vcpus = larger.iter().filter(|larger| larger.is_of_vcpus());
        let vcpus = vcpus.map(ToString::to_string);
        let larger = larger.iter().map(ToString::to_string);
        let told: Vec<String> = match self.verdict {
            Verdict::Violated(_) => larger.collect(),
            Verdict::Holds | Verdict::Vacuous => smaller.collect(),
            Verdict::Unknown(_) => vcpus.chain(smaller).collect(),
        };
        told.join(", ")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_sample() {
            f.write_str("sampled")?;
        } else {
            write!(f, "{}", self.verdict)?;
        }
        match self.scope_text() {
            scope if scope.is_empty() => Ok(()),
            scope => write!(f, " ({scope})"),
        }
    }
}
