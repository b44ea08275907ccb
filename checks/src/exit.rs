//! Exit statuses: one table for every command.

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All as expected; to a question: it holds.
    AsExpected = 0,
    /// A bug in this program.
    Internal = 1,
    /// Wrong usage, or bad data or a bad file given.
    Usage = 2,
    /// A verdict differs from the manifest; to a question: it is violated.
    Violated = 10,
    /// A verdict is vacuous where it should not be.
    Vacuous = 11,
    /// Two engines disagree, or code and model diverge.
    Disagreement = 14,
    /// A limit was hit.
    Unknown = 20,
    /// An output could not be written.
    Unwritable = 74,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Exit {
    /// The status of several at once: 1, 14, 10, 11, 20, in this order.
    #[must_use]
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        const ORDER: [Exit; 9] = [
            Exit::Internal,
            Exit::Usage,
            Exit::Interrupted,
            Exit::Disagreement,
            Exit::Violated,
            Exit::Vacuous,
            Exit::Unknown,
            Exit::Unwritable,
            Exit::AsExpected,
        ];
        let rank = |exit: &Self| ORDER.iter().position(|other| other == exit).unwrap_or(0);
        all.into_iter().min_by_key(rank).unwrap_or(Self::AsExpected)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_statuses_at_once_give_the_gravest() {
        assert_eq!(Exit::worst([]), Exit::AsExpected);
        assert_eq!(
            Exit::worst([Exit::AsExpected, Exit::Unknown]),
            Exit::Unknown
        );
        assert_eq!(
            Exit::worst([Exit::Unknown, Exit::Vacuous, Exit::Violated]),
            Exit::Violated
        );
        assert_eq!(
            Exit::worst([Exit::Violated, Exit::Disagreement]),
            Exit::Disagreement
        );
        assert_eq!(
            Exit::worst([Exit::Disagreement, Exit::Internal]),
            Exit::Internal
        );
    }
}
