//! What a kernel calls the functions that the programs of [`crate::kvm`] name as 6.16 does.

use crate::data::{DataError, Reader, suggest};
use crate::kvm::{FUNCTIONS, Program};
use crate::resource::Evidence;

/// A function that has another name in a kernel, or has become part of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// What 6.16 calls it: one of [`FUNCTIONS`].
    pub function: String,
    /// What this kernel calls it.
    pub name: String,
    /// The file it has moved to, if it has.
    pub file: Option<String>,
    /// Where this was found.
    pub source: String,
    /// How well it is known.
    pub evidence: Evidence,
}

/// Gives the lines of a program the names that a kernel has for their functions.
pub(crate) fn rename(renamed: &[Renamed], program: &mut Program) {
    for line in program {
        let anchor = &mut line.anchor;
        let Some(known) = renamed.iter().find(|row| row.function == anchor.function) else {
            continue;
        };
        anchor.function.clone_from(&known.name);
        if let Some(file) = &known.file {
            anchor.file.clone_from(file);
        }
    }
}

/// Reads the `[[renamed]]` rows of a profile.
pub(super) fn parse(root: Reader<'_>) -> Result<Vec<Renamed>, DataError> {
    let mut all: Vec<Renamed> = Vec::new();
    for row in root.tables("renamed")? {
        row.only(&["function", "name", "file", "source", "evidence", "note"])?;
        let function = row.string("function")?;
        if !FUNCTIONS.contains(&function) {
            let help = suggest::did_you_mean(function, FUNCTIONS);
            return Err(row.error_at(
                "function",
                format!("no step stands for a function `{function}`{help}"),
            ));
        }
        if all.iter().any(|known| known.function == function) {
            return Err(row.error_at("function", format!("{function} is renamed already")));
        }
        all.push(Renamed {
            function: function.to_owned(),
            name: row.string("name")?.to_owned(),
            file: if row.has("file") {
                Some(row.string("file")?.to_owned())
            } else {
                None
            },
            source: row.string("source")?.to_owned(),
            evidence: row.choice("evidence")?,
        });
    }
    Ok(all)
}
