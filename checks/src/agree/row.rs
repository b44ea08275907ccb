//! A row of the matrix, and how its answers stand to each other.

use super::{Answer, Column, Counts};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;

/// What a form says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Its verdict, and the scope of that.
    Answer(Answer),
    /// The question is none for it, for this reason.
    CannotSee(String),
    /// It could be asked, and was not.
    NotRun,
}

/// A question with a property, and what each form says.
#[derive(Clone, Debug)]
pub struct Row {
    /// The packed run's check: the mutant's name.
    pub mutant: String,
    /// The memory model.
    pub memory: Memory,
    /// The property.
    pub property: Property,
    /// What holds in the packed model is proved for every number of vCPUs.
    pub every_number: bool,
    /// Per [`Column::ALL`].
    pub cells: [Cell; Column::ALL.len()],
}

/// How a row's answers stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Two forms or more decide the question, alike.
    Agree,
    /// At most one form decides it; what others say in scopes of their own is not against it, and no
    /// more.
    Compatible,
    /// At most one form has a verdict.
    Alone,
    /// Two verdicts exclude each other.
    Differ,
}

impl Stand {
    /// How it is spelled in reports.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Agree => "agree",
            Self::Compatible => "compatible",
            Self::Alone => "alone",
            Self::Differ => "differ",
        }
    }
}

impl Row {
    /// How many forms have come to a verdict, in whatever scope.
    #[must_use]
    pub fn verdicts(&self) -> usize {
        let said = self.answers();
        said.filter(|answer| answer.counts() != Counts::Silent)
            .count()
    }

    /// How its answers stand to each other. How long a counterexample is depends on what a form calls one
    /// step, so lengths are not compared; a search that was cut short says nothing.
    #[must_use]
    pub fn stand(&self) -> Stand {
        let mut words = self.answers().filter(|answer| self.decides(answer));
        let first = words.next().map(|answer| answer.verdict.word());
        let others: Vec<&str> = words.map(|answer| answer.verdict.word()).collect();
        if others.iter().any(|word| Some(*word) != first) {
            Stand::Differ
        } else if !others.is_empty() {
            Stand::Agree
        } else if self.verdicts() > 1 {
            Stand::Compatible
        } else {
            Stand::Alone
        }
    }

    /// False when two verdicts exclude each other.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.stand() != Stand::Differ
    }

    /// Whether an answer says how the row's question is to be answered. A proof makes the question larger:
    /// a violation among more vCPUs is then one of its own.
    #[must_use]
    pub fn decides(&self, answer: &Answer) -> bool {
        let decides = answer.counts() == Counts::Decides;
        decides || (self.every_number && answer.decides_for_more_vcpus())
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.cells.iter().filter_map(|cell| match cell {
            Cell::Answer(answer) => Some(answer),
            Cell::CannotSee(_) | Cell::NotRun => None,
        })
    }
}
