//! "Did you mean …?" for misspelt keys.

/// The known spelling closest to `given`, when it is close enough to be meant.
#[must_use]
pub fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(given, candidate), *candidate))
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The tail of an error message: the closest spelling, or the list of all.
#[must_use]
pub fn did_you_mean(given: &str, known: &[&str]) -> String {
    match closest(given, known) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None if known.is_empty() => String::new(),
        None => format!("; known: {}", known.join(", ")),
    }
}
