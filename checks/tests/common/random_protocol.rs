//! Random questions: a built-in profile and table, a few decisions changed, modes of a few
//! acquisitions turned round, some scenario.

use proptest::prelude::*;
use proptest::sample::select;
use seamcheck::question::{Question, QuestionError, Source};
use seamcheck_model::builtin;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario::{Memory, Scenario};

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    module: &'static str,
    kernel: &'static str,
    set: Vec<(String, String)>,
    /// Which acquisitions, by their place in the table, get the other mode.
    turned: Vec<usize>,
    scenario: Scenario,
}

impl Asked {
    pub(crate) fn question(&self) -> Result<Question, QuestionError> {
        let (name, text) = named(builtin::MODULES, self.module);
        let text = turn_modes(text, &self.turned);
        let module = Source::own(&format!("{name}.toml"), &text)?;
        let kernel = Source::kernel(self.kernel)?;
        Question::new(module, kernel, self.set.clone(), self.scenario.clone())
    }
}

fn named(all: &[(&'static str, &'static str)], name: &str) -> (&'static str, &'static str) {
    let mut all = all.iter();
    *all.find(|(known, _)| *known == name).expect("built in")
}

/// The text with the modes of these acquisitions turned round, where they are shared or exclusive.
fn turn_modes(text: &str, turned: &[usize]) -> String {
    let lines = text.lines().enumerate();
    let changed = lines.map(|(index, line)| {
        if !turned.contains(&index) || !line.contains("acquire =") {
            line.to_owned()
        } else if line.contains("\"shared\"") {
            line.replace("\"shared\"", "\"exclusive\"")
        } else {
            line.replace("\"exclusive\"", "\"shared\"")
        }
    });
    changed.collect::<Vec<_>>().join("\n")
}

fn names(all: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    all.iter().map(|(name, _)| *name).collect()
}

fn decision() -> impl Strategy<Value = (String, String)> {
    select(Decisions::NAMES).prop_flat_map(|name| {
        let values: Vec<&str> = Decisions::values(name)
            .iter()
            .map(|(key, _)| *key)
            .collect();
        (
            Just(name.to_owned()),
            select(values).prop_map(str::to_owned),
        )
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let guest = (any::<bool>(), any::<bool>(), any::<bool>());
    let threads = [
        "",
        "",
        "",
        "any-tdr-exclusive",
        "KVM_TDX_INIT_VCPU",
        "host-debug-read",
    ];
    let scenario = (
        select(&[0_usize, 1, 1, 1, 2][..]),
        select(&[true, true, true, false][..]),
        guest,
        select(threads.to_vec()),
        any::<bool>(),
    );
    scenario.prop_map(
        |(vcpus, finalized, (accept, attr, zero_step), thread, tso)| Scenario {
            vcpus,
            finalized,
            accept,
            attr,
            zero_step,
            threads: thread.split_whitespace().map(str::to_owned).collect(),
            memory: if tso { Memory::Tso } else { Memory::Sc },
            ..Scenario::default()
        },
    )
}

/// Any of them.
pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    (
        select(names(builtin::MODULES)),
        select(names(builtin::KERNELS)),
        prop::collection::vec(decision(), 0..4),
        prop::collection::vec(0..200_usize, 0..6),
        scenario(),
    )
        .prop_map(|(module, kernel, set, turned, scenario)| Asked {
            module,
            kernel,
            set,
            turned,
            scenario,
        })
}
