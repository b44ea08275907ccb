//! An ioctl beside the zapper: which, and with which KVM locks; and the TD that it finds.

use crate::question::{DROP, HOLD, QuestionError, Source};
use crate::suite::Run;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::scenario;
use seamcheck_model::threads::Beside;
use serde::{Deserialize, Serialize};

/// What a request says of it, in the words of `check what-if`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BesideText {
    /// Code paths of the kernel profile.
    #[serde(default)]
    pub with: Vec<String>,
    /// KVM locks that are held besides: `LOCK:MODE@PATH`.
    #[serde(default)]
    pub hold: Vec<String>,
    /// KVM locks that are dropped: `LOCK@PATH`.
    #[serde(default)]
    pub drop: Vec<String>,
    /// TDH.MR.FINALIZE has been done.
    #[serde(default = "yes")]
    pub finalized: bool,
    /// The page has been added before the start.
    #[serde(default)]
    pub populated: bool,
}

const fn yes() -> bool {
    true
}

impl Default for BesideText {
    fn default() -> Self {
        Self {
            with: Vec::new(),
            hold: Vec::new(),
            drop: Vec::new(),
            finalized: true,
            populated: false,
        }
    }
}

impl BesideText {
    /// What a run of the suite says.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        if run.scenario.threads.is_empty() && run.scenario.finalized {
            return Self::default();
        }
        let locks = |how: &str| {
            let texts = run.set.iter().filter_map(|(name, _)| {
                let (given, text) = name.split_once(' ')?;
                (given == how).then(|| text.to_owned())
            });
            texts.collect()
        };
        Self {
            with: run.scenario.threads.clone(),
            hold: locks(HOLD),
            drop: locks(DROP),
            finalized: run.scenario.finalized,
            populated: run.scenario.populated,
        }
    }

    /// Nobody is beside the zapper, in a TD as it is without this.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        *self == Self::default()
    }

    /// How the locks are written among the changes of a question.
    pub(super) fn changes(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let held = self.hold.iter().map(|text| format!("{HOLD} {text}"));
        let dropped = self.drop.iter().map(|text| format!("{DROP} {text}"));
        held.chain(dropped).map(|change| (change, String::new()))
    }

    /// The model's scenario with the same threads and the same TD.
    #[must_use]
    pub fn in_the_model(&self, plain: scenario::Scenario) -> scenario::Scenario {
        scenario::Scenario {
            threads: self.with.clone(),
            finalized: self.finalized,
            populated: self.populated,
            ..plain
        }
    }

    /// The code's side of it.
    ///
    /// # Errors
    /// When a lock is wrong, or the code does not have what is asked for.
    pub(super) fn parse(&self, kernel: &str) -> Result<Beside, QuestionError> {
        if self.is_nobody() {
            return Ok(Beside::NOBODY);
        }
        let asked = self.in_the_model(scenario::Scenario::default());
        Beside::of(&self.profile(kernel)?, &asked)
            .map_err(|error| QuestionError::Usage(error.to_string()))
    }

    /// The kernel profile with its locks changed.
    fn profile(&self, kernel: &str) -> Result<KernelProfile, QuestionError> {
        let mut profile = Source::kernel(kernel)?.profile()?;
        for text in &self.hold {
            profile.hold(text)?;
        }
        for text in &self.drop {
            profile.release(text)?;
        }
        Ok(profile)
    }
}
