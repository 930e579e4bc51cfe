use std::sync::Arc;

use serde_json::Value as Json;

use crate::limits;
use crate::value::{self, Map, Value};

/// How templates see the numbers of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// Every number is a `float64`, as after a round trip through JSON in Go: 20971520 prints as `2.097152e+07`, and
    /// `eq .replicas 3` is an error. Cozystack's CNPG, Etcd, FoundationDB, MariaDB and MongoDB strategies see this.
    Float,
    /// A whole number is an `int64`, as Kubernetes decodes objects: 20971520 prints plainly. Cozystack's Velero,
    /// Altinity and Job strategies see this.
    Integer,
}

/// What templates see as `.` and `$`.
#[derive(Debug, Clone)]
pub struct Data {
    pub(crate) root: Value,
    pub(crate) string_maps: Vec<Arc<Map>>,
    pub(crate) too_deep: bool,
}

impl Data {
    /// Data from JSON. Rendering with data nested over [`limits::DATA_NESTING`] levels is refused.
    pub fn new(data: Json, numbers: Numbers) -> Data {
        let mut too_deep = false;
        let root = convert(data, numbers, limits::DATA_NESTING, &mut too_deep);
        Data {
            root,
            string_maps: Vec::new(),
            too_deep,
        }
    }

    /// Names the maps, by dotted paths from the root, that are string maps in Go: `Parameters`, `Release`,
    /// `Backup.ApplicationRef`. `index` reads an absent key of theirs as the empty string. A path that leads to no map
    /// is passed over.
    #[must_use]
    pub fn string_maps<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Data {
        for path in paths {
            let found = path
                .split('.')
                .try_fold(&self.root, |at, key| at.field(key));
            if let Some(Value::Map(map)) = found {
                self.string_maps.push(Arc::clone(map));
            }
        }
        self
    }
}

fn convert(json: Json, numbers: Numbers, levels: usize, too_deep: &mut bool) -> Value {
    let Some(levels) = levels.checked_sub(1) else {
        *too_deep = true;
        return Value::Nil;
    };
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(truth),
        Json::Number(number) => match (numbers, number.as_i64()) {
            (Numbers::Integer, Some(whole)) => Value::Int(whole),
            // A number that no float holds cannot be told apart from NaN by any function.
            _ => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(string) => value::text(string),
        Json::Array(items) => value::list(
            items
                .into_iter()
                .map(|item| convert(item, numbers, levels, too_deep))
                .collect(),
        ),
        Json::Object(entries) => value::map(
            entries
                .into_iter()
                .map(|(key, item)| (Arc::from(key), convert(item, numbers, levels, too_deep)))
                .collect(),
        ),
    }
}

/// Values from JSON that a template decodes: every number is a float.
pub(crate) fn decoded(json: Json) -> Value {
    convert(json, Numbers::Float, limits::DATA_NESTING, &mut false)
}
