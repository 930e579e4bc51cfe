//! Kinds of objects of which the fields are read where they are asked for.

use serde::{Deserialize, de::DeserializeOwned};

use crate::{Condition, Metadata, Value, text::read_value};

/// An object of any kind. A field that is absent, or of another type, counts as empty.
///
/// [`kinds!`](crate::kinds) makes kinds of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Unstructured {
    /// Name, labels and the like.
    pub metadata: Metadata,
    /// What is asked for.
    pub spec: Value,
    /// What there is.
    pub status: Value,
}

impl Unstructured {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its UID, to change or delete just the object that was looked at.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        crate::set(Some(self.metadata.uid.as_str()))
    }

    /// Whether its deletion was asked for.
    #[must_use]
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.is_being_deleted()
    }

    /// The status's `phase`; empty when there is none.
    #[must_use]
    pub fn phase(&self) -> &str {
        text(&self.status, "/phase")
    }

    /// One of the status's `conditions`, by its type.
    #[must_use]
    pub fn condition(&self, of_type: &str) -> Option<Condition> {
        let mut conditions = self.conditions();
        let at = conditions.iter().position(|one| one.r#type == of_type)?;
        Some(conditions.swap_remove(at))
    }

    /// All of them.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let listed = items(&self.status, "/conditions");
        listed.filter_map(|one| part(one, "")).collect()
    }
}

/// A part of an object as a type of its own, by its JSON pointer; none where it is absent or does not fit.
#[must_use]
pub fn part<T: DeserializeOwned>(whole: &Value, pointer: &str) -> Option<T> {
    read_value(whole.pointer(pointer)?).ok()
}

/// A text in an object, by its JSON pointer; empty when there is none.
#[must_use]
pub fn text<'a>(part: &'a Value, pointer: &str) -> &'a str {
    let found = part.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// A number in an object; zero when there is none.
#[must_use]
pub fn number(part: &Value, pointer: &str) -> u64 {
    let found = part.pointer(pointer).and_then(Value::as_u64);
    found.unwrap_or_default()
}

/// The items of a list in an object; none when there is no list.
pub fn items<'a>(part: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let found = part.pointer(pointer).and_then(Value::as_array);
    found.into_iter().flatten()
}

/// The texts of a list in an object.
#[must_use]
pub fn texts<'a>(part: &'a Value, pointer: &str) -> Vec<&'a str> {
    items(part, pointer).filter_map(Value::as_str).collect()
}

/// Makes kinds of objects that are [`Unstructured`]: a name, the API version, the kind, and where they are, if that is
/// not in the application's namespace: `CLUSTER_SCOPED` or `IN_SYSTEM_NAMESPACES`, as [`Object`](crate::Object) has
/// them. What one wants to know of them are methods.
///
/// ```
/// use backup_strategy::{kinds, prelude::*, text};
///
/// kinds! {
///     /// A dump.
///     Dump: "example.org/v1" "Dump";
///     /// A volume.
///     Volume: "v1" "PersistentVolume" { CLUSTER_SCOPED };
/// }
///
/// impl Dump {
///     fn is_complete(&self) -> bool {
///         self.phase() == "Complete"
///     }
///
///     fn server(&self) -> &str {
///         text(&self.spec, "/server/name")
///     }
/// }
/// # let dump = Dump::default();
/// # assert!(!dump.is_complete() && dump.server().is_empty() && Volume::CLUSTER_SCOPED);
/// ```
#[macro_export]
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident: $version:literal $kind:literal $({ $place:ident })?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name(pub $crate::Unstructured);

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::serde::Deserialize::deserialize(deserializer).map(Self)
            }
        }

        impl $crate::Object for $name {
            const API_VERSION: &'static str = $version;
            const KIND: &'static str = $kind;
            $(const $place: bool = true;)?
        }

        impl ::std::ops::Deref for $name {
            type Target = $crate::Unstructured;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    )*};
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn what_is_absent_or_of_another_type_counts_as_empty() {
        let object = json!({
            "metadata": { "name": "a" },
            "status": {
                "phase": 7,
                "conditions": [{ "type": "Ready", "status": "True" }, "odd"],
                "sizes": [1, "b"],
            },
        });
        let object = part::<Unstructured>(&object, "").unwrap_or_default();
        assert_eq!((object.metadata.name.as_str(), object.phase()), ("a", ""));
        assert!(
            object
                .condition("Ready")
                .is_some_and(|ready| ready.is_true())
        );
        assert_eq!(object.conditions().len(), 1);
        assert_eq!(texts(&object.status, "/sizes"), ["b"]);
        assert_eq!(number(&object.status, "/sizes/0"), 1);
        assert_eq!(
            (text(&object.spec, "/a"), items(&object.spec, "/a").count()),
            ("", 0)
        );
    }
}
