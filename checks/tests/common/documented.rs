//! The tables of docs/json.md, read so that a test can hold JSON against them.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// For each object its fields with their types; the outermost object is called "".
pub(crate) struct Format(BTreeMap<String, Vec<(String, String)>>);

impl Format {
    /// The format whose section of docs/json.md is headed `name`.
    pub(crate) fn read(name: &str) -> Self {
        let text = include_str!("../../../docs/json.md");
        let (_, section) = text.split_once(&format!("## {name}\n")).expect("a section");
        let section = section.split("\n## ").next().unwrap_or_default();
        let mut objects: BTreeMap<String, Vec<_>> = BTreeMap::new();
        let mut title = String::new();
        for line in section.lines() {
            if let Some(cells) = line.strip_prefix("| `") {
                objects
                    .entry(title.clone())
                    .or_default()
                    .extend(fields(cells));
            } else if let Some(object) = line.strip_suffix(':') {
                let object = object.strip_prefix("A ").or(object.strip_prefix("An "));
                title = object.unwrap_or_default().to_owned();
            }
        }
        assert!(
            objects.contains_key(""),
            "{name}: the outermost object comes first"
        );
        Self(objects)
    }

    /// Every `object.field` there is.
    pub(crate) fn all(&self) -> BTreeSet<String> {
        let objects = self.0.iter();
        let names = |(object, fields): (&String, &Vec<(String, String)>)| {
            let named = fields.iter().map(|(name, _)| format!("{object}.{name}"));
            named.collect::<Vec<_>>()
        };
        objects.flat_map(names).collect()
    }

    /// Fails at the first field that is not documented, null, or of another type; gathers the
    /// `object.field`s it meets.
    pub(crate) fn assert_fits(&self, value: &Value, met: &mut BTreeSet<String>) {
        self.object("", value, met);
    }

    fn object(&self, object: &str, value: &Value, met: &mut BTreeSet<String>) {
        let value = value.as_object();
        for (key, inner) in value.unwrap_or_else(|| panic!("{object} is no object")) {
            let place = format!("{object}.{key}");
            let known = self.0[object].iter().find(|(name, _)| name == key);
            let (_, kind) = known.unwrap_or_else(|| panic!("{place} is not documented"));
            self.value(kind, inner, &place, met);
            met.insert(place);
        }
    }

    fn value(&self, kind: &str, value: &Value, place: &str, met: &mut BTreeSet<String>) {
        let fits = match kind {
            "string" => value.is_string(),
            "number" => value.is_number(),
            "bool" => value.is_boolean(),
            "object, string to string" => {
                let object = value.as_object();
                object.is_some_and(|object| object.values().all(Value::is_string))
            }
            _ if self.0.contains_key(kind) => {
                self.object(kind, value, met);
                true
            }
            _ => match kind.strip_prefix("array of ") {
                Some(each) => {
                    let array = value.as_array();
                    for inner in array.unwrap_or_else(|| panic!("{place} is no array")) {
                        self.value(each, inner, place, met);
                    }
                    true
                }
                // Described in a sentence, not in a table.
                None => value.is_object(),
            },
        };
        assert!(fits, "{place} is no {kind}: {value}");
    }
}

/// The names in a row's first cell, each with the type in its second.
fn fields(row: &str) -> Vec<(String, String)> {
    let mut cells = row.split(" | ");
    let names = cells.next().unwrap_or_default();
    let kind = cells.next().expect("a type").trim().to_owned();
    let names = names
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned());
    names.map(|name| (name, kind.clone())).collect()
}
