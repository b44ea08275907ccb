//! The module versions that exist as code.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::threads::Version;

/// A module version that exists as code.
///
/// # Errors
/// Names those that do.
pub fn version(name: &str) -> Result<Version, String> {
    Version::from_key(name).ok_or_else(|| {
        let known: Vec<&str> = Version::ALL.iter().map(|version| version.key()).collect();
        format!(
            "module `{name}` does not exist as code; {} do{}",
            known.join(" and "),
            suggest::did_you_mean(name, &known)
        )
    })
}
