//! The rows of a patch's lock table against the rows of ours.

use super::table::{Column, Entry, Row};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::table::LockTable;

/// What a lock table says about a leaf and a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ours {
    /// The leaf takes the lock, in these modes (more than one where leaf versions differ).
    Takes(Vec<Mode>),
    /// The leaf does not take the lock.
    NotTaken,
    /// The table has no such leaf.
    NoLeaf,
}

impl Ours {
    /// What `table` says.
    #[must_use]
    pub fn of(table: &LockTable, leaf: &str, lock: Resource) -> Self {
        let mut rows = table
            .leaves
            .iter()
            .filter(|row| row.name == leaf)
            .peekable();
        if rows.peek().is_none() {
            return Self::NoLeaf;
        }
        let mut modes = Vec::new();
        for row in rows {
            let taken = row.acquisitions().filter(|(other, ..)| *other == lock);
            for (_, mode, _) in taken {
                if !modes.contains(&mode) {
                    modes.push(mode);
                }
            }
        }
        if modes.is_empty() {
            Self::NotTaken
        } else {
            Self::Takes(modes)
        }
    }

    /// Whether the patch says the same. Both modes of an S-EPT entry exclude everybody.
    #[must_use]
    pub fn agrees(&self, column: Column) -> bool {
        let Self::Takes(modes) = self else {
            return false;
        };
        modes.iter().any(|mode| match mode {
            Mode::Shared => column == Column::Shared,
            Mode::Exclusive | Mode::Host | Mode::Guest => column == Column::Exclusive,
        })
    }

    /// `shared`, `host`, `not taken`, `no row`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Takes(modes) => {
                let keys: Vec<&str> = modes.iter().map(|mode| mode.key()).collect();
                keys.join("/")
            }
            Self::NotTaken => "not taken".into(),
            Self::NoLeaf => "no row".into(),
        }
    }
}

/// A leaf and a lock of the patch's table, and what each of ours says.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The lock.
    pub lock: Resource,
    /// As the mail spells it.
    pub label: String,
    /// The leaf and its column.
    pub entry: Entry,
    /// What each table says, in the order they were given.
    pub ours: Vec<Ours>,
}

/// A row of ours about a lock that the patch's table has, with a leaf that it has not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The lock.
    pub lock: Resource,
    /// The leaf, by name.
    pub leaf: String,
    /// How ours takes it.
    pub mode: Mode,
}

/// Every entry whose lock the model has.
#[must_use]
pub fn compare(rows: &[Row], tables: &[LockTable]) -> Vec<Compared> {
    let mut all = Vec::new();
    for row in rows {
        let Some(lock) = row.resource else { continue };
        for entry in &row.entries {
            all.push(Compared {
                lock,
                label: row.label.clone(),
                entry: entry.clone(),
                ours: tables
                    .iter()
                    .map(|table| Ours::of(table, &entry.leaf, lock))
                    .collect(),
            });
        }
    }
    all
}

/// What a table of ours has on the locks of the patch's, and the patch has not.
#[must_use]
pub fn missing(rows: &[Row], table: &LockTable) -> Vec<Missing> {
    let mut all = Vec::new();
    for lock in Resource::ALL {
        let own: Vec<&Row> = rows
            .iter()
            .filter(|row| row.resource == Some(*lock))
            .collect();
        if own.is_empty() {
            continue;
        }
        for leaf in &table.leaves {
            let listed = own
                .iter()
                .flat_map(|row| &row.entries)
                .any(|entry| entry.leaf == leaf.name);
            let taken = leaf.acquisitions().find(|(other, ..)| other == lock);
            if let (false, Some((_, mode, _))) = (listed, taken) {
                let found = Missing {
                    lock: *lock,
                    leaf: leaf.name.clone(),
                    mode,
                };
                if !all.contains(&found) {
                    all.push(found);
                }
            }
        }
    }
    all
}

/// The locks of a table of ours that the patch's table does not list at all.
#[must_use]
pub fn unlisted(rows: &[Row], table: &LockTable) -> Vec<Resource> {
    let kinds = table.kinds.iter().map(|(lock, _)| *lock);
    kinds
        .filter(|lock| rows.iter().all(|row| row.resource != Some(*lock)))
        .collect()
}
