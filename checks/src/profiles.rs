//! Profiles of `check run`: `profiles.toml`.

use crate::suite;
use seamcheck_model::data::{DataError, Reader, suggest};

/// The profiles that come with the program.
pub const BUILT_IN: &str = include_str!("../profiles.toml");

/// What is run, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `default`, `ci`, `nightly`.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// Files of the suite, without directory and ending.
    pub suites: Vec<String>,
    /// Memory for the states of each search, in MiB.
    pub max_memory: u64,
    /// Time for each search, in seconds.
    pub timeout: u64,
}

/// Reads profiles.
///
/// # Errors
/// At the first thing that is not understood, with its place and a remedy.
pub fn parse(file: &str, text: &str) -> Result<Vec<Profile>, DataError> {
    let parsed = Reader::parse(file, text)?;
    let root = Reader::root(file, text, &parsed);
    root.only(&["profile"])?;
    let mut profiles: Vec<Profile> = Vec::new();
    for row in root.tables("profile")? {
        let profile = parse_one(row)?;
        if profiles.iter().any(|other| other.name == profile.name) {
            return Err(row.error_at("name", "duplicate profile"));
        }
        profiles.push(profile);
    }
    Ok(profiles)
}

fn parse_one(row: Reader<'_>) -> Result<Profile, DataError> {
    row.only(&["name", "about", "suites", "max-memory", "timeout"])?;
    let suites = row.strings("suites")?;
    let known = suite::file_names();
    if let Some(unknown) = suites.iter().find(|name| !known.contains(name)) {
        let text = format!("no file of the suite is called `{unknown}`");
        let error = row.error_at("suites", text);
        return Err(match suggest::closest(unknown, &known) {
            Some(close) => error.with_help(format!("did you mean `{close}`?")),
            None => error.with_help(format!("one of {}", known.join(", "))),
        });
    }
    let number = |key: &str| {
        row.number(key)?
            .ok_or_else(|| row.error(format!("`{key}` is missing")))
    };
    Ok(Profile {
        name: row.string("name")?.to_owned(),
        about: row.string("about")?.to_owned(),
        suites: suites.into_iter().map(str::to_owned).collect(),
        max_memory: number("max-memory")?,
        timeout: number("timeout")?,
    })
}

/// The profile called `name`, or what to say when there is none.
///
/// # Errors
/// A sentence that names the profiles there are.
pub fn find(profiles: Vec<Profile>, name: &str) -> Result<Profile, String> {
    let known: Vec<String> = profiles.iter().map(|one| one.name.clone()).collect();
    let mut found = profiles.into_iter().filter(|one| one.name == name);
    found.next().ok_or_else(|| {
        format!(
            "no profile is called `{name}`: it is one of {}",
            known.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_that_come_with_the_program_are_well_formed() {
        let profiles = parse("profiles.toml", BUILT_IN).expect("well-formed");
        let names: Vec<&str> = profiles.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["default", "ci", "nightly"]);
        // Nothing that is in a file of the suite is run by no profile.
        for file in suite::file_names() {
            let mut all = profiles.iter();
            assert!(all.any(|one| one.suites.iter().any(|name| name == file)));
        }
    }

    #[test]
    fn a_profile_that_names_no_file_of_the_suite_is_refused() {
        let text = BUILT_IN.replace("\"nightly\"]", "\"nightli\"]");
        let error = parse("profiles.toml", &text).expect_err("no such file");
        assert!(error.to_string().contains("nightli"), "{error}");
        assert_eq!(error.help.as_deref(), Some("did you mean `nightly`?"));
    }

    #[test]
    fn an_unknown_profile_is_refused_with_the_names_there_are() {
        let profiles = parse("profiles.toml", BUILT_IN).expect("well-formed");
        let said = find(profiles, "fast").expect_err("no such profile");
        assert_eq!(
            said,
            "no profile is called `fast`: it is one of default, ci, nightly"
        );
    }
}
