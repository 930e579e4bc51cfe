//! Objects, as far as they are looked at: all kinds alike, each with methods for what one wants to know of it.

use backup_strategy::prelude::*;
use serde::Deserialize;

/// An object of any kind. What it says is read where it is asked for: a field that is absent is an empty text.
#[derive(Deserialize)]
pub struct Thing {
    pub metadata: Metadata,
    #[serde(default)]
    pub spec: Value,
    #[serde(default)]
    pub status: Value,
}

/// A text in an object; empty when there is none.
pub fn text<'a>(part: &'a Value, pointer: &str) -> &'a str {
    let found = part.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// A number in an object; zero when there is none.
pub fn number(part: &Value, pointer: &str) -> u64 {
    part.pointer(pointer)
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

/// The texts of a list in an object.
pub fn texts<'a>(part: &'a Value, pointer: &str) -> Vec<&'a str> {
    let found = part.pointer(pointer).and_then(Value::as_array);
    let found = found.into_iter().flatten();
    found.filter_map(Value::as_str).collect()
}

/// Makes kinds of objects: a name, its API version, its kind, and `true` where it has no namespace.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $version:literal $kind:literal $($cluster:literal)?;)*) => {$(
        $(#[$doc])*
        #[derive(serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name($crate::object::Thing);

        impl backup_strategy::Object for $name {
            const API_VERSION: &str = $version;
            const KIND: &str = $kind;
            $(const CLUSTER_SCOPED: bool = $cluster;)?
        }

        impl std::ops::Deref for $name {
            type Target = $crate::object::Thing;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

pub(crate) use kinds;
