//! Reading a lock table, and holding it against itself.

use super::{Effect, FlowAction, FlowStep, Leaf, LockTable};
use crate::closed_enum::ClosedEnum;
use crate::data::{DataError, Reader};
use crate::resource::{Evidence, LockKind, Mode, Resource};

impl LockTable {
    /// Reads a lock table.
    ///
    /// # Errors
    /// At the first thing that is not understood or not consistent, with its place and a remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, DataError> {
        let parsed = Reader::parse(file, text)?;
        let root = Reader::root(file, text, &parsed);
        root.only(&["name", "title", "locks", "sept_entry_store", "leaf"])?;
        let kinds = parse_kinds(root.table("locks")?)?;
        let store = root.table("sept_entry_store")?;
        store.only(&["keeps_host_priority", "source", "evidence"])?;
        store.string("source")?;
        store.choice::<Evidence>("evidence")?;
        let mut leaves: Vec<Leaf> = Vec::new();
        for row in root.tables("leaf")? {
            let leaf = parse_leaf(row, &kinds)?;
            if leaves.iter().any(|known| known.key() == leaf.key()) {
                return Err(row
                    .error_at("name", format!("duplicate row for {}", leaf.key()))
                    .with_help("merge the two rows, or give them different leaf versions"));
            }
            leaves.push(leaf);
        }
        Ok(Self {
            name: root.string("name")?.to_owned(),
            title: root.string("title")?.to_owned(),
            kinds,
            entry_store_keeps_host_priority: store.boolean("keeps_host_priority", false)?,
            leaves,
        })
    }
}

fn parse_kinds(locks: Reader<'_>) -> Result<Vec<(Resource, LockKind)>, DataError> {
    let known: Vec<&str> = Resource::ALL
        .iter()
        .map(|resource| resource.key())
        .collect();
    locks.only(&known)?;
    let mut kinds = Vec::new();
    for resource in Resource::ALL
        .iter()
        .copied()
        .filter(|resource| locks.has(resource.key()))
    {
        let row = locks.table(resource.key())?;
        row.only(&["kind", "source", "evidence"])?;
        row.string("source")?;
        row.choice::<Evidence>("evidence")?;
        kinds.push((resource, row.choice("kind")?));
    }
    Ok(kinds)
}

fn parse_leaf(row: Reader<'_>, kinds: &[(Resource, LockKind)]) -> Result<Leaf, DataError> {
    row.only(&["name", "version", "flow", "source", "evidence", "note"])?;
    if !row.has("flow") {
        return Err(row
            .error("missing key `flow`")
            .with_help("a leaf that takes no lock has `flow = []`"));
    }
    let mut flow = Vec::new();
    // What is held if the condition is met, and if it is not: both have to come out even.
    let (mut met, mut unmet): (Vec<Resource>, Vec<Resource>) = (Vec::new(), Vec::new());
    for step in row.tables("flow")? {
        let parsed = parse_step(step, kinds)?;
        follow(step, parsed.action, &mut met)?;
        if parsed.when.is_none() {
            follow(step, parsed.action, &mut unmet)
                .map_err(|error| error.with_help("it depends on `when`; give both the same"))?;
        }
        flow.push(parsed);
    }
    for (held, whose) in [(met, ""), (unmet, " when the condition is not met")] {
        if let Some(resource) = held.first() {
            return Err(row
                .error_at(
                    "flow",
                    format!("{} is still held at the end{whose}", resource.key()),
                )
                .with_help(format!("add {{ release = \"{}\" }}", resource.key())));
        }
    }
    check_effects(row, &flow)?;
    Ok(Leaf {
        name: row.string("name")?.to_owned(),
        version: row.number("version")?,
        flow,
        source: row.string("source")?.to_owned(),
        evidence: row.choice("evidence")?,
    })
}

/// Effects are what one leaf does: elsewhere they would mean nothing. A guest that runs counts in a
/// REFCOUNT from before until after, which no lock says.
fn check_effects(row: Reader<'_>, flow: &[FlowStep]) -> Result<(), DataError> {
    let name = row.string("name")?;
    let effects: Vec<Effect> = flow
        .iter()
        .filter_map(|step| match step.action {
            FlowAction::Effect { effect, .. } => Some(effect),
            _ => None,
        })
        .collect();
    for effect in &effects {
        let (fits, whose) = match effect {
            Effect::SampleEpoch | Effect::WouldFault | Effect::RunGuest | Effect::LeaveEpoch => {
                (name == "TDH.VP.ENTER", "TDH.VP.ENTER")
            }
            Effect::AcceptCheck | Effect::AcceptStore | Effect::AttrCheck => {
                (name.starts_with("TDG."), "a TDCALL")
            }
            _ => (name.starts_with("TDH."), "a SEAMCALL"),
        };
        if !fits {
            let text = format!("`{}` is what {whose} does, not {name}", effect.key());
            return Err(row.error_at("flow", text).with_help("leave it out"));
        }
    }
    let place = |wanted| effects.iter().position(|effect| *effect == wanted);
    let Some(runs) = place(Effect::RunGuest) else {
        return Ok(());
    };
    let counts = place(Effect::SampleEpoch).is_some_and(|at| at < runs)
        && place(Effect::LeaveEpoch).is_some_and(|at| at > runs);
    if counts {
        return Ok(());
    }
    Err(row
        .error_at("flow", "the guest runs without being counted in a REFCOUNT")
        .with_help(
            "put { effect = \"sample-epoch\" } before it and { effect = \"leave-epoch\" } after it",
        ))
}

fn parse_step(step: Reader<'_>, kinds: &[(Resource, LockKind)]) -> Result<FlowStep, DataError> {
    let when = if step.has("when") {
        Some(step.choice("when")?)
    } else {
        None
    };
    let action = if step.has("acquire") {
        step.only(&["acquire", "mode", "busy", "when"])?;
        let (resource, mode) = (step.choice("acquire")?, step.choice("mode")?);
        check_mode(step, resource, mode, kinds)?;
        FlowAction::Acquire {
            resource,
            mode,
            busy: step.choice("busy")?,
        }
    } else if step.has("release") {
        step.only(&["release", "when"])?;
        FlowAction::Release {
            resource: step.choice("release")?,
        }
    } else if step.has("effect") {
        step.only(&["effect", "releases", "when"])?;
        let releases = if step.has("releases") {
            Some(step.choice("releases")?)
        } else {
            None
        };
        FlowAction::Effect {
            effect: step.choice("effect")?,
            releases,
        }
    } else {
        step.only(&[
            "acquire", "mode", "busy", "release", "effect", "releases", "when",
        ])?;
        return Err(step.error("a step needs `acquire`, `release` or `effect`"));
    };
    Ok(FlowStep { action, when })
}

/// Host and guest modes belong to S-EPT entries, shared and exclusive to everything else.
fn check_mode(
    step: Reader<'_>,
    resource: Resource,
    mode: Mode,
    kinds: &[(Resource, LockKind)],
) -> Result<(), DataError> {
    let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == resource) else {
        return Err(step
            .error_at("acquire", format!("{} has no kind", resource.key()))
            .with_help(format!("add {} to the [locks] table", resource.key())));
    };
    let entry_mode = matches!(mode, Mode::Host | Mode::Guest);
    if entry_mode == (*kind == LockKind::SeptEntry) {
        return Ok(());
    }
    let allowed = if entry_mode {
        "shared or exclusive"
    } else {
        "host or guest"
    };
    Err(step
        .error_at(
            "mode",
            format!(
                "a {} lock is not taken in mode `{}`",
                kind.key(),
                mode.key()
            ),
        )
        .with_help(format!("use {allowed}")))
}

/// Tracks what is held, so that a double acquire or a release of what is not held is refused.
fn follow(step: Reader<'_>, action: FlowAction, held: &mut Vec<Resource>) -> Result<(), DataError> {
    let (key, released) = match action {
        FlowAction::Acquire { resource, .. } if held.contains(&resource) => {
            return Err(step
                .error_at("acquire", format!("{} is held already", resource.key()))
                .with_help("no lock of the TDX module is recursive"));
        }
        FlowAction::Acquire { resource, .. } => {
            held.push(resource);
            return Ok(());
        }
        FlowAction::Release { resource } => ("release", Some(resource)),
        FlowAction::Effect { releases, .. } => ("releases", releases),
    };
    let Some(resource) = released else {
        return Ok(());
    };
    let Some(position) = held.iter().position(|known| *known == resource) else {
        let holding: Vec<&str> = held.iter().map(|known| known.key()).collect();
        return Err(step
            .error_at(
                key,
                format!("{} is released but not held here", resource.key()),
            )
            .with_help(format!(
                "held at this point: {}",
                if holding.is_empty() {
                    "nothing".into()
                } else {
                    holding.join(", ")
                }
            )));
    };
    held.remove(position);
    Ok(())
}
