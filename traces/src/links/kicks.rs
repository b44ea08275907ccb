//! From an interrupt sent to its acknowledgement, by the fields `vcpuN.ipi`.

use super::{Link, LinkKind};
use crate::schema::Step;
use std::collections::BTreeMap;

/// The end of the name of the fields that follow a kick's IPI.
const IPI: &str = ".ipi";
/// Its value while no interrupt is on its way.
const NONE: &str = "none";

pub(super) fn links(steps: &[Step]) -> Vec<Link> {
    let mut sent: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        for change in &step.changed {
            let Some(target) = change.field.strip_suffix(IPI) else {
                continue;
            };
            if change.from == NONE {
                sent.insert(target, index + 1);
            }
            if change.to == NONE {
                found.extend(sent.remove(target).map(|from| Link {
                    to: index + 1,
                    from,
                    kind: LinkKind::Kick,
                    what: format!("IPI to {target}"),
                }));
            }
        }
    }
    found
}
