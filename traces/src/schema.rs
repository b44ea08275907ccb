//! The trace format, version 1: what was asked, the steps taken, the verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format's name and version, the first field of every trace.
pub const FORMAT: &str = "seamcheck.trace.v1";

/// One execution of the model, and what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// [`FORMAT`].
    pub format: String,
    /// Name and version of the program that wrote the trace.
    pub tool: String,
    /// The suite entry the trace belongs to, when it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// What was asked: enough to ask it again.
    pub question: Question,
    /// Who takes part, in column order.
    pub agents: Vec<Agent>,
    /// Every field before the first step, by name; steps say what they change.
    pub initial: BTreeMap<String, String>,
    /// The steps, in execution order.
    pub steps: Vec<Step>,
    /// For an execution that never ends: the step, counted from 1, that follows the last one.
    /// The steps before it are the stem, the others the loop. The number behind the last step's
    /// stands for a rest: nobody has to do anything more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_starts_at: Option<usize>,
    /// What the steps show.
    pub verdict: Verdict,
}

/// Everything a run depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The lock table.
    pub module: Source,
    /// The kernel profile.
    pub kernel: Source,
    /// Decisions changed on top of the profile, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// The full assignment of decisions that results.
    pub decisions: BTreeMap<String, String>,
    /// The scenario's settings, by name.
    pub scenario: BTreeMap<String, String>,
    /// `sc` or `tso`.
    pub memory: String,
    /// The property's short name.
    pub property: String,
    /// The property in one sentence.
    pub property_text: String,
}

/// A lock table or kernel profile: a built-in one by name, a user's own with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Version name, or the file name of a user's own.
    pub name: String,
    /// The whole text, when it is not built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toml: Option<String>,
}

/// What kind of thread an agent is; decides its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AgentKind {
    /// The thread that removes pages.
    Zapper,
    /// A vCPU thread: its host run loop and its guest.
    Vcpu,
    /// A thread in an ioctl.
    Ioctl,
}

/// One participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Stable identifier used by steps: `zapper`, `vcpu0`, `ioctl0`.
    pub id: String,
    /// What people call it: `zapper`, `vCPU 0`, `KVM_TDX_INIT_VCPU`.
    pub name: String,
    /// Its kind.
    pub kind: AgentKind,
}

/// One step of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Who moved ([`Agent::id`]).
    pub agent: String,
    /// What happened, in the kernel's or the module's own words.
    pub name: String,
    /// The function and file this step stands for.
    pub anchor: Anchor,
    /// True when this step is taken in one go with the one before it (a named reduction).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fused: bool,
    /// True when a short rendering may leave the step out: a test that came out as usual, a lock
    /// that nobody here can contend, a jump.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub detail: bool,
    /// Set where a SEAMCALL begins and where it returns to its caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seamcall: Option<CallEdge>,
    /// The status word a SEAMCALL or TDCALL returned or failed with, `0x` and 16 digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The status word's name and operand: `TDX_OPERAND_BUSY | RCX`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_name: Option<String>,
    /// Fields that this step changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
    /// Every lock held after the step, by anyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locks: Vec<Held>,
    /// What this step asked about its thread and the others, with the answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
    /// What else could have run instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enabled: Vec<Alternative>,
    /// Who could not run, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Blocked>,
}

/// An end of a SEAMCALL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallEdge {
    /// The caller issues it.
    Called,
    /// It returns to its caller.
    Returned,
}

/// Where a step stands in the kernel or the TDX module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// Function (or SEAMCALL) name.
    pub function: String,
    /// Source file.
    pub file: String,
}

/// One field's change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Field name: `wait_for_sept_zap`, `vcpu0.mode`, `page0.entry`.
    pub field: String,
    /// Value before.
    pub from: String,
    /// Value after.
    pub to: String,
}

/// One lock held by one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The lock: `TDR`, `SEPT_TREE`, `mmu_lock`, …
    pub lock: String,
    /// `shared`, `exclusive`, `host`, `guest`, `read`, `write`.
    pub mode: String,
    /// The holder ([`Agent::id`]).
    pub agent: String,
    /// The SEAMCALL, TDCALL or kernel function under which it is held.
    pub by: String,
}

/// A question that a step asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// The condition in words.
    pub text: String,
    /// Whether it held.
    pub value: bool,
}

/// A step that was possible but not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// Who ([`Agent::id`]).
    pub agent: String,
    /// What.
    pub name: String,
}

/// An agent that could not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Blocked {
    /// Who ([`Agent::id`]).
    pub agent: String,
    /// The step it waits to take.
    pub name: String,
    /// Why it cannot.
    pub because: String,
    /// What the step it waits to take asks, with the answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<Guard>,
}

/// What the trace shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// `violated` or, for a trace that shows something reachable, `witness`.
    pub result: String,
    /// One sentence: what went wrong at the last step.
    pub reason: String,
    /// The lock that could not be had, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
}

/// A failed try-acquire and who stood in its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The lock.
    pub lock: String,
    /// Who wanted it ([`Agent::id`]).
    pub wanted_by: String,
    /// The leaf that wanted it.
    pub wanted_for: String,
    /// The mode it wanted.
    pub wanted_mode: String,
    /// Who held it, and how.
    pub held: Vec<Held>,
}

/// The format as a JSON Schema, indented, with a newline at its end: what is published beside this
/// crate as `trace.v1.schema.json`.
#[must_use]
pub fn json_schema() -> String {
    let mut schema = schemars::schema_for!(Trace);
    schema.insert("$id".into(), FORMAT.into());
    schema.insert("title".into(), FORMAT.into());
    if let Some(format) = schema.pointer_mut("/properties/format") {
        format["const"] = FORMAT.into();
    }
    let text = serde_json::to_string_pretty(&schema).expect("every key is a string");
    text + "\n"
}
