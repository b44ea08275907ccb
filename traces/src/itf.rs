//! The Informal Trace Format of the TLA+ world (Apalache's ADR 15): states, not steps.
//!
//! Variables are the agents, the pages and whatever else fields belong to, each a record of its
//! fields; beside them the locks held, as a set, and the step that led to the state.

use crate::moment::{BUFFER, fields};
use crate::schema::{Held, Step, Trace};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A variable of ours may not be called like a field's owner.
const LOCKS: &str = "locks";
const STEP: &str = "step";

/// The trace as ITF, indented, with a newline at its end.
#[must_use]
pub fn itf(trace: &Trace) -> String {
    let states: Vec<Value> = (0..=trace.steps.len())
        .map(|after| state(trace, after))
        .collect();
    let mut vars: Vec<&str> = owners(&fields(trace, 0)).into_keys().collect();
    vars.extend([LOCKS, STEP]);
    let mut whole = json!({
        "#meta": {
            "format": "ITF",
            "format-description": "https://apalache-mc.org/docs/adr/015adr-trace.html",
            "source": trace.check,
            "description": trace.verdict.reason,
            "property": trace.question.property,
            "status": trace.verdict.result,
        },
        "params": [],
        "vars": vars,
        "states": states,
    });
    // ITF's loop names the state that follows the last one; a rest repeats the last.
    if let Some(start) = trace.loop_starts_at {
        whole["loop"] = json!(start.min(trace.steps.len()));
    }
    let text = serde_json::to_string_pretty(&whole).expect("every key is a string");
    text + "\n"
}

/// Fields by what they belong to: `vcpu0.mode` to `vcpu0`; `wait_for_sept_zap` to itself.
fn owners<'a>(fields: &BTreeMap<&'a str, &'a str>) -> BTreeMap<&'a str, Value> {
    let mut owners: BTreeMap<&str, Value> = BTreeMap::new();
    for (field, text) in fields {
        match field.split_once('.') {
            Some((owner, name)) => {
                let record = owners.entry(owner).or_insert_with(|| json!({}));
                if record.is_object() {
                    record[name] = value(field, text);
                }
            }
            None => drop(owners.insert(field, value(field, text))),
        }
    }
    owners.retain(|owner, _| *owner != LOCKS && *owner != STEP);
    owners
}

fn value(field: &str, text: &str) -> Value {
    match text {
        "true" if !field.ends_with(BUFFER) => json!(true),
        "false" if !field.ends_with(BUFFER) => json!(false),
        "empty" if field.ends_with(BUFFER) => json!([]),
        _ if field.ends_with(BUFFER) => text.split(", ").collect(),
        _ => json!(text),
    }
}

fn state(trace: &Trace, after: usize) -> Value {
    let mut state = Map::new();
    state.insert("#meta".into(), json!({ "index": after }));
    for (owner, value) in owners(&fields(trace, after)) {
        state.insert(owner.into(), value);
    }
    let step = after.checked_sub(1).map(|index| &trace.steps[index]);
    let held = step.map_or(&[][..], |step| &step.locks);
    let held: Vec<Value> = held.iter().map(lock).collect();
    state.insert(LOCKS.into(), json!({ "#set": held }));
    state.insert(STEP.into(), taken(step));
    Value::Object(state)
}

fn lock(held: &Held) -> Value {
    json!({
        "lock": held.lock, "mode": held.mode, "agent": held.agent, "by": held.by,
    })
}

/// The step that led to a state; empty strings for the initial one, so that its type is one.
fn taken(step: Option<&Step>) -> Value {
    let text = |of: fn(&Step) -> &str| step.map_or("", of);
    json!({
        "agent": text(|step| &step.agent),
        "name": text(|step| &step.name),
        "function": text(|step| &step.anchor.function),
        "file": text(|step| &step.anchor.file),
        "status": text(|step| step.status_name.as_deref().unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, generated};

    #[test]
    fn a_reader_of_the_format_reads_it() {
        for trace in fixtures::all().into_iter().chain((0..50).map(generated)) {
            let read: itf::Trace<itf::Value> = itf::trace_from_str(&itf(&trace)).unwrap();
            assert_eq!(read.states.len(), trace.steps.len() + 1);
            assert_eq!(read.loop_index, None);
        }
    }

    #[test]
    fn a_loop_leads_back_to_the_state_before_its_first_step() {
        let mut trace = fixtures::second_block_is_busy();
        trace.loop_starts_at = Some(3);
        let read: Value = serde_json::from_str(&itf(&trace)).unwrap();
        assert_eq!(read["loop"], 3);
    }

    #[test]
    fn fields_of_one_owner_are_one_record_and_stores_a_list() {
        let fields = BTreeMap::from([
            ("vcpu0.mode", "IN_GUEST_MODE"),
            ("vcpu0.store_buffer", "OUTSIDE_GUEST_MODE, IN_GUEST_MODE"),
            ("wait_for_sept_zap", "true"),
        ]);
        let owners = owners(&fields);
        assert_eq!(owners["wait_for_sept_zap"], true);
        assert_eq!(
            owners["vcpu0"],
            json!({
                "mode": "IN_GUEST_MODE",
                "store_buffer": ["OUTSIDE_GUEST_MODE", "IN_GUEST_MODE"],
            })
        );
    }
}
