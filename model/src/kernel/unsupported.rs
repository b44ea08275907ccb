//! Refusing decisions that a form of the claim does not implement.

use super::decisions::Decisions;

/// A decision has a value that a form of the protocol does not implement.
///
/// A form that ignored it would report a verdict about another protocol than the one asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this form of the protocol does not implement `{decision} = \"{value}\"`")]
pub struct Unsupported {
    /// The decision, as named in the data files.
    pub decision: &'static str,
    /// Its value, as spelled in the data files.
    pub value: &'static str,
}

/// What a form implements: per decision, the values it obeys.
pub(crate) type Implemented = &'static [(&'static str, &'static [&'static str])];

/// Whether a form obeys this value of this decision.
pub(crate) fn is_implemented(implemented: Implemented, decision: &str, value: &str) -> bool {
    let row = implemented.iter().find(|(name, _)| *name == decision);
    row.is_some_and(|(_, values)| values.contains(&value))
}

/// Refuses the first decision, in the order of [`Decisions::NAMES`], that is not `implemented`.
///
/// A decision without a row is refused whatever its value: one added later can not be forgotten.
pub(crate) fn refuse_others(
    implemented: Implemented,
    decisions: &Decisions,
) -> Result<(), Unsupported> {
    for &decision in Decisions::NAMES {
        let value = decisions.get(decision).unwrap_or("");
        if !is_implemented(implemented, decision, value) {
            return Err(Unsupported { decision, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_without_a_row_is_refused() {
        let refused = refuse_others(&[], &Decisions::first_of_each()).unwrap_err();
        assert_eq!(
            refused,
            Unsupported {
                decision: "flag_raise",
                value: "before-kick"
            }
        );
        assert_eq!(
            refused.to_string(),
            "this form of the protocol does not implement `flag_raise = \"before-kick\"`"
        );
    }
}
