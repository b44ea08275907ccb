//! The assumption ledger, `assumptions.toml`: what a verdict rests on and no search here shows.

use crate::question::Question;
use crate::report::{is_any_path_assumed, rows_assumed, unguarded_effects, unopposed};
use crate::suite::Form;
use seamcheck_model::data::{DataError, Reader};
use seamcheck_model::resource::Evidence;
use seamcheck_model::scenario::Memory;
use seamcheck_model::system::System;
use std::sync::LazyLock;

/// The ledger that comes with the program.
pub const BUILT_IN: &str = include_str!("../assumptions.toml");

/// The same, read; a test holds it to be well-formed.
pub static LEDGER: LazyLock<Vec<Assumption>> =
    LazyLock::new(|| parse("assumptions.toml", BUILT_IN).unwrap_or_default());

/// Which verdicts rest on an assumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// All.
    Always,
    /// Those under x86-TSO.
    Tso,
    /// Those under sequential consistency.
    Sc,
    /// Those with a vCPU.
    Vcpus,
    /// Those in which nobody contends some lock of the zapper's.
    Unopposed,
    /// Those that use a row of the lock table that is only assumed.
    AssumedRows,
    /// Those that run a code path that is only assumed.
    AssumedPaths,
    /// Those with a decision of the kernel profile that is only assumed.
    AssumedDecisions,
    /// Those that use a row without the lock that makes its effect a single step.
    UnguardedEffects,
    /// Proofs for every number of vCPUs.
    EveryNumber,
    /// Those about what must happen in the end.
    Liveness,
}

impl Applies {
    const ALL: [(&'static str, Self, &'static str); 11] = [
        ("always", Self::Always, "every verdict"),
        ("tso", Self::Tso, "verdicts under x86-TSO"),
        ("sc", Self::Sc, "verdicts under sequential consistency"),
        ("vcpus", Self::Vcpus, "verdicts with a vCPU"),
        (
            "unopposed",
            Self::Unopposed,
            "verdicts whose report lists uncontended locks",
        ),
        (
            "assumed-rows",
            Self::AssumedRows,
            "verdicts whose report lists such rows",
        ),
        (
            "assumed-paths",
            Self::AssumedPaths,
            "verdicts whose report lists such code paths",
        ),
        (
            "assumed-decisions",
            Self::AssumedDecisions,
            "verdicts whose report lists such decisions",
        ),
        (
            "unguarded-effects",
            Self::UnguardedEffects,
            "verdicts whose report lists such steps",
        ),
        (
            "every-number",
            Self::EveryNumber,
            "proofs for every number of vCPUs",
        ),
        (
            "liveness",
            Self::Liveness,
            "verdicts on what must happen in the end",
        ),
    ];

    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, applies, _)| *applies == self)
            .map_or("", |(.., text)| text)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// Its number, never given twice.
    pub number: u64,
    /// What is assumed.
    pub text: String,
    /// On what grounds.
    pub source: String,
    /// By which verdicts.
    pub applies: Applies,
    /// Of which forms of the claim.
    pub forms: Vec<Form>,
    /// The run of the suite that drops it, or why there is none.
    pub weakened: Result<String, String>,
}

impl Assumption {
    /// By which verdicts, in words.
    #[must_use]
    pub fn by(&self) -> String {
        let verdicts = self.applies.text();
        if self.forms.len() == Form::ALL.len() {
            return verdicts.to_owned();
        }
        let forms: Vec<&str> = self.forms.iter().map(|form| form.key()).collect();
        format!("{verdicts}, of the form {}", forms.join(" or "))
    }
}

/// Reads a ledger.
///
/// # Errors
/// At the first thing that is not understood, with its place and a remedy.
pub fn parse(file: &str, text: &str) -> Result<Vec<Assumption>, DataError> {
    let parsed = Reader::parse(file, text)?;
    let root = Reader::root(file, text, &parsed);
    root.only(&["assumption"])?;
    let mut ledger: Vec<Assumption> = Vec::new();
    for row in root.tables("assumption")? {
        let one = parse_one(row)?;
        if ledger.iter().any(|other| other.number == one.number) {
            return Err(row.error_at("number", "this number is given twice"));
        }
        ledger.push(one);
    }
    Ok(ledger)
}

fn parse_one(row: Reader<'_>) -> Result<Assumption, DataError> {
    let keys = ["number", "text", "source", "applies", "forms"];
    row.only(&[&keys[..], &["weakened-by", "not-weakened"]].concat())?;
    let spelling = row.string("applies")?;
    let mut all = Applies::ALL.iter();
    let Some((_, applies, _)) = all.find(|(key, ..)| *key == spelling) else {
        let known: Vec<&str> = Applies::ALL.iter().map(|(key, ..)| *key).collect();
        return Err(row
            .error_at("applies", format!("unknown scope `{spelling}`"))
            .with_help(format!("one of {}", known.join(", "))));
    };
    let weakened = match (row.has("weakened-by"), row.has("not-weakened")) {
        (true, false) => Ok(row.string("weakened-by")?.to_owned()),
        (false, true) => Err(row.string("not-weakened")?.to_owned()),
        _ => return Err(row.error("give either `weakened-by` or `not-weakened`")),
    };
    let forms = if row.has("forms") {
        let named = row.strings("forms")?.into_iter();
        let forms: Option<Vec<Form>> = named.map(Form::from_key).collect();
        let known = || Form::ALL.map(Form::key).join(", ");
        forms.ok_or_else(|| {
            row.error_at("forms", "an unknown form")
                .with_help(format!("some of {}", known()))
        })?
    } else {
        Form::ALL.to_vec()
    };
    let number = row.number("number")?;
    Ok(Assumption {
        number: number.ok_or_else(|| row.error("`number` is missing"))?,
        text: row.string("text")?.to_owned(),
        source: row.string("source")?.to_owned(),
        applies: *applies,
        forms,
        weakened,
    })
}

/// What kind of answer it is, beside the question itself.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Which form of the claim it comes from.
    pub form: Form,
    /// The memory model; none where it is neither of the two: C11's under loom, the machine's under std.
    pub memory: Option<Memory>,
    /// There is a proof for every number of vCPUs.
    pub every_number: bool,
    /// It is about what must happen in the end.
    pub liveness: bool,
}

impl Kind {
    /// An answer of the packed model's, about one number of vCPUs and what must never happen.
    #[must_use]
    pub const fn packed(memory: Memory) -> Self {
        Self {
            form: Form::Packed,
            memory: Some(memory),
            every_number: false,
            liveness: false,
        }
    }
}

/// The numbers of the assumptions that an answer rests on, in ascending order. `system` is the packed
/// model's, whatever the form: which locks are contended and which rows are used is the same in all.
#[must_use]
pub fn of(question: &Question, system: &System, kind: Kind) -> Vec<u64> {
    let scenario = &system.scenario;
    let applies = |one: &&Assumption| match one.applies {
        Applies::Always => true,
        Applies::Tso => kind.memory == Some(Memory::Tso),
        Applies::Sc => kind.memory == Some(Memory::Sc),
        Applies::Vcpus => scenario.vcpus > 0,
        Applies::Unopposed => !unopposed(system).is_empty(),
        Applies::AssumedRows => !rows_assumed(question, system).is_empty(),
        Applies::AssumedPaths => is_any_path_assumed(question, system),
        Applies::AssumedDecisions => question.profile.evidence.contains(&Evidence::Assumed),
        Applies::UnguardedEffects => !unguarded_effects(question, system).is_empty(),
        Applies::EveryNumber => kind.every_number,
        Applies::Liveness => kind.liveness,
    };
    LEDGER
        .iter()
        .filter(|one| one.forms.contains(&kind.form))
        .filter(applies)
        .map(|one| one.number)
        .collect()
}

/// The numbers that a search of the packed model for what must never happen rests on.
#[must_use]
pub fn of_search(question: &Question, system: &System) -> Vec<u64> {
    of(question, system, Kind::packed(system.scenario.memory))
}

/// `A1-A3 A5`: numbers in ascending order, neighbours in a range.
#[must_use]
pub fn tags(numbers: &[u64]) -> String {
    let ranges = numbers.chunk_by(|one, next| one + 1 == *next);
    let tags: Vec<String> = ranges
        .map(|range| match range {
            [first, .., last] => format!("A{first}-A{last}"),
            _ => format!("A{}", range[0]),
        })
        .collect();
    tags.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_well_formed_and_numbered_from_one_on() {
        let ledger = parse("assumptions.toml", BUILT_IN).expect("well-formed");
        let numbers: Vec<u64> = ledger.iter().map(|one| one.number).collect();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    }

    #[test]
    fn neighbouring_numbers_are_printed_as_a_range() {
        assert_eq!(tags(&[]), "");
        assert_eq!(tags(&[4]), "A4");
        assert_eq!(tags(&[1, 2, 3, 5, 7, 8]), "A1-A3 A5 A7-A8");
    }

    #[test]
    fn every_kind_of_scope_is_used() {
        for (key, applies, _) in Applies::ALL {
            assert!(LEDGER.iter().any(|one| one.applies == applies), "{key}");
        }
    }

    #[test]
    fn a_number_that_is_given_twice_is_refused() {
        let text = BUILT_IN.replace("number = 2\n", "number = 1\n");
        let error = parse("assumptions.toml", &text).expect_err("twice");
        assert!(error.to_string().contains("given twice"), "{error}");
    }

    #[test]
    fn an_unknown_form_is_refused_with_those_there_are() {
        let text = BUILT_IN.replacen("forms = [\"actors\"]", "forms = [\"spin\"]", 1);
        let error = parse("assumptions.toml", &text).expect_err("unknown");
        assert!(error.help.is_some_and(|help| help.contains("shuttle")));
    }

    #[test]
    fn an_unknown_scope_is_refused_with_those_there_are() {
        let text = BUILT_IN.replace("applies = \"sc\"", "applies = \"sometimes\"");
        let error = parse("assumptions.toml", &text).expect_err("unknown");
        assert!(error.help.is_some_and(|help| help.contains("unopposed")));
    }
}
