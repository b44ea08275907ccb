//! A closed enum travels under its key.

use seamcheck_model::closed_enum::ClosedEnum;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(super) fn serialize<T: ClosedEnum, S: Serializer>(
    value: &T,
    out: S,
) -> Result<S::Ok, S::Error> {
    out.serialize_str(value.key())
}

pub(super) fn deserialize<'de, T: ClosedEnum, D: Deserializer<'de>>(
    from: D,
) -> Result<T, D::Error> {
    let key = String::deserialize(from)?;
    T::from_key(&key).ok_or_else(|| {
        let known: Vec<&str> = T::ALL.iter().map(|value| value.key()).collect();
        let what = T::WHAT;
        Error::custom(format!(
            "unknown {what} `{key}`; it is one of {}",
            known.join(", ")
        ))
    })
}
