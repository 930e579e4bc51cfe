//! Values under a shape: merging, comparing, naming and removing fields. `structured-merge-diff/typed`.

use serde_json::{Map, Value};

use super::{
    fields::{Fields, Path, Step},
    shape::{self, Form, Relation, Shape},
};

/// Which fields differ.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) removed: Fields,
    pub(super) modified: Fields,
    pub(super) added: Fields,
}

fn map_of(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn list_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn in_map<'a>(map: Option<&'a Map<String, Value>>, name: &str) -> Option<&'a Value> {
    map.and_then(|map| map.get(name))
}

/// The names of the fields of both maps, each once.
fn names<'a>(
    left: Option<&'a Map<String, Value>>,
    right: Option<&'a Map<String, Value>>,
) -> impl Iterator<Item = &'a String> {
    let others = right.into_iter().flat_map(Map::keys);
    let own = left.into_iter().flat_map(Map::keys);
    own.chain(others.filter(move |name| !left.is_some_and(|left| left.contains_key(*name))))
}

/// The step that leads to a list's element; an error where it has none.
pub(super) fn step(
    relation: &Relation,
    element_shape: &Shape,
    element: &Value,
) -> Result<Step, String> {
    let Relation::Keyed(keys) = relation else {
        return match element {
            Value::Object(_) => {
                Err("associative list without keys has an element that's a map type".to_owned())
            }
            Value::Array(_) => {
                Err("not supported: associative list with lists as elements".to_owned())
            }
            Value::Null => Err(
                "associative list without keys has an element that's an explicit null".to_owned(),
            ),
            scalar => Ok(Step::Value(scalar.to_string())),
        };
    };
    let map = match element {
        Value::Object(map) => map,
        Value::Null => {
            return Err("associative list with keys may not have a null element".to_owned());
        }
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let mut found: Vec<(String, String)> = Vec::new();
    for key in keys {
        let value = map
            .get(key)
            .unwrap_or_else(|| element_shape.key_default(key));
        if map.contains_key(key) || !value.is_null() {
            found.push((key.clone(), value.to_string()));
        }
    }
    if found.is_empty() {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default \
             values for any key fields)",
            keys.join(" ")
        ));
    }
    found.sort();
    Ok(Step::Key(found))
}

/// Elements with their steps; those without are passed over, validation has refused them where it matters.
fn indexed<'a>(relation: &Relation, shape: &Shape, list: &'a [Value]) -> Vec<(Step, &'a Value)> {
    list.iter()
        .filter_map(|element| Some((step(relation, shape, element).ok()?, element)))
        .collect()
}

/// `right` laid over `left`. None where nothing is left.
pub(super) fn merge(left: Option<&Value>, right: Option<&Value>, shape: &Shape) -> Option<Value> {
    match shape.form(right.or(left)?) {
        Form::Map(map) if !map.is_some_and(|map| map.atomic) => {
            let (own, theirs) = (map_of(left), map_of(right));
            // Nothing to descend into: this keeps null and empty apart.
            if own.is_none_or(Map::is_empty) && theirs.is_none_or(Map::is_empty) {
                return right.or(left).cloned();
            }
            let mut merged = Map::new();
            for name in names(own, theirs) {
                let inner = shape::field(map, name).map_or(&Shape::Open, |(shape, _)| shape);
                if let Some(value) = merge(in_map(own, name), in_map(theirs, name), inner) {
                    merged.insert(name.clone(), value);
                }
            }
            (!merged.is_empty()).then_some(Value::Object(merged))
        }
        Form::List(relation, element) if *relation != Relation::Atomic => {
            let (own, theirs) = (list_of(left), list_of(right));
            if own.is_empty() && theirs.is_empty() {
                return right.or(left).cloned();
            }
            let merged = merge_lists(
                &indexed(relation, element, own),
                &indexed(relation, element, theirs),
                element,
            );
            (!merged.is_empty()).then_some(Value::Array(merged))
        }
        _ => right.or(left).cloned(),
    }
}

/// Keeps the order of both lists as far as that goes, the right one's first.
fn merge_lists(left: &[(Step, &Value)], right: &[(Step, &Value)], shape: &Shape) -> Vec<Value> {
    let find = |list: &[(Step, &Value)], step: &Step| {
        list.iter()
            .find(|(other, _)| other == step)
            .map(|(_, value)| (*value).clone())
    };
    let mut shared = right
        .iter()
        .map(|(step, _)| step)
        .filter(|step| find(left, step).is_some());
    let mut next_shared = shared.next();
    let mut merged: Vec<Value> = Vec::new();
    let mut taken: Vec<&Step> = Vec::new();
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((step, value)), Some((other, theirs))) = (left.get(l), right.get(r)) {
            if step == other {
                taken.push(step);
                merged.extend(merge(Some(value), Some(theirs), shape));
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if find(right, step).is_some() && next_shared.is_some_and(|next| next != step) {
                l += 1;
                continue;
            }
        }
        if let Some((step, value)) = left.get(l) {
            if find(right, step).is_none() {
                merged.extend(merge(Some(value), None, shape));
                l += 1;
                continue;
            }
            if taken.contains(&step) {
                l += 1;
            }
        }
        if let Some((step, value)) = right.get(r) {
            taken.push(step);
            merged.extend(merge(find(left, step).as_ref(), Some(value), shape));
            r += 1;
            if next_shared == Some(step) {
                next_shared = shared.next();
            }
        }
    }
    merged
}

/// What changes on the way from `left` to `right`.
pub(super) fn compare(left: &Value, right: &Value, shape: &Shape) -> Comparison {
    let mut comparison = Comparison::default();
    differ(
        Some(left),
        Some(right),
        shape,
        &mut Vec::new(),
        &mut comparison,
    );
    comparison
}

fn differ(
    left: Option<&Value>,
    right: Option<&Value>,
    shape: &Shape,
    path: &mut Path,
    out: &mut Comparison,
) {
    let forms = (
        left.map(|value| shape.form(value)),
        right.map(|value| shape.form(value)),
    );
    let leaf = match forms {
        (Some(own), Some(other)) => {
            if !own.is_like(other) {
                differ_as(own, left, right, path, out);
            }
            differ_as(other, left, right, path, out)
        }
        (Some(form), None) | (None, Some(form)) => differ_as(form, left, right, path, out),
        (None, None) => return,
    };
    if leaf {
        return;
    }
    if left.is_none() {
        out.added.insert(path);
    } else if right.is_none() {
        out.removed.insert(path);
    }
}

/// True when the values were compared whole.
fn differ_as(
    form: Form<'_>,
    left: Option<&Value>,
    right: Option<&Value>,
    path: &mut Path,
    out: &mut Comparison,
) -> bool {
    match form {
        Form::Map(map) if !map.is_some_and(|map| map.atomic) => {
            let (own, theirs) = (map_of(left), map_of(right));
            if own.is_none_or(Map::is_empty) && theirs.is_none_or(Map::is_empty) {
                return differ_whole(left, right, path, out);
            }
            for name in names(own, theirs) {
                let inner = shape::field(map, name).map_or(&Shape::Open, |(shape, _)| shape);
                path.push(Step::Field(name.clone()));
                differ(in_map(own, name), in_map(theirs, name), inner, path, out);
                path.pop();
            }
            false
        }
        Form::List(relation, element) if *relation != Relation::Atomic => {
            let (own, theirs) = (list_of(left), list_of(right));
            if own.is_empty() && theirs.is_empty() {
                return differ_whole(left, right, path, out);
            }
            differ_lists(
                &indexed(relation, element, own),
                &indexed(relation, element, theirs),
                element,
                path,
                out,
            );
            false
        }
        _ => differ_whole(left, right, path, out),
    }
}

fn differ_whole(
    left: Option<&Value>,
    right: Option<&Value>,
    path: &Path,
    out: &mut Comparison,
) -> bool {
    match (left, right) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (left, right) if left != right => out.modified.insert(path),
        _ => {}
    }
    true
}

/// Elements that occur more than once under one key are compared together, as a whole.
fn differ_lists(
    left: &[(Step, &Value)],
    right: &[(Step, &Value)],
    shape: &Shape,
    path: &mut Path,
    out: &mut Comparison,
) {
    let all = |list: &[(Step, &Value)], step: &Step| -> Vec<Value> {
        list.iter()
            .filter(|(other, _)| other == step)
            .map(|(_, value)| (*value).clone())
            .collect()
    };
    let mut seen: Vec<&Step> = Vec::new();
    for (step, _) in left.iter().chain(right) {
        if seen.contains(&step) {
            continue;
        }
        seen.push(step);
        let (own, theirs) = (all(left, step), all(right, step));
        path.push(step.clone());
        match (own.as_slice(), theirs.as_slice()) {
            ([] | [_], [] | [_]) => differ(own.first(), theirs.first(), shape, path, out),
            ([_, _, ..], [_, _, ..]) => {
                if own != theirs {
                    out.modified.insert(path);
                }
            }
            ([_, _, ..], _) => {
                differ(None, theirs.first(), shape, path, out);
                out.removed.insert(path);
            }
            _ => {
                differ(own.first(), None, shape, path, out);
                out.added.insert(path);
            }
        }
        path.pop();
    }
}

/// The fields that a value has.
pub(super) fn fields(value: &Value, shape: &Shape) -> Fields {
    let mut fields = Fields::default();
    name_fields(value, shape, &mut Vec::new(), &mut fields);
    fields
}

fn name_fields(value: &Value, shape: &Shape, path: &mut Path, out: &mut Fields) {
    match shape.form(value) {
        Form::Map(map) if !map.is_some_and(|map| map.atomic) => {
            for (name, inner) in value.as_object().into_iter().flatten() {
                let (inner_shape, declared) =
                    shape::field(map, name).unwrap_or((&Shape::Open, false));
                path.push(Step::Field(name.clone()));
                name_fields(inner, inner_shape, path, out);
                let is_empty_map = inner.as_object().is_some_and(Map::is_empty);
                if inner.is_null() || is_empty_map || !declared {
                    out.insert(path);
                }
                path.pop();
            }
        }
        Form::List(relation, element) if *relation != Relation::Atomic => {
            let elements = indexed(relation, element, list_of(Some(value)));
            for (step, inner) in &elements {
                let alone = elements.iter().filter(|(other, _)| other == step).count() == 1;
                path.push(step.clone());
                if alone {
                    name_fields(inner, element, path, out);
                }
                out.insert(path);
                path.pop();
            }
        }
        _ => out.insert(path),
    }
}

/// The value without some of its fields. A list or map that counts as a whole, and of which something is removed,
/// loses everything. Where nothing is left, or was, the API server's merge leaves a null.
pub(super) fn remove(value: &Value, fields: &Fields, shape: &Shape) -> Value {
    match (shape.form(value), value) {
        (Form::Map(Some(map)), Value::Object(_)) if map.atomic => Value::Null,
        (Form::Map(map), Value::Object(content)) => {
            let kept = content.iter().filter_map(|(name, inner)| {
                let shape = shape::field(map, name).map_or(&Shape::Open, |(shape, _)| shape);
                let left = remove_step(&Step::Field(name.clone()), inner, fields, shape)?;
                Some((name.clone(), left))
            });
            let left: Map<String, Value> = kept.collect();
            or_null(left.is_empty(), Value::Object(left))
        }
        (Form::List(Relation::Atomic, _), Value::Array(_)) => Value::Null,
        (Form::List(relation, element), Value::Array(list)) => {
            let kept = list
                .iter()
                .filter_map(|inner| match step(relation, element, inner) {
                    Ok(step) => remove_step(&step, inner, fields, element),
                    Err(_) => Some(inner.clone()),
                });
            let left: Vec<Value> = kept.collect();
            or_null(left.is_empty(), Value::Array(left))
        }
        _ => value.clone(),
    }
}

/// What is left of a field or an element; none where it is removed itself.
fn remove_step(step: &Step, inner: &Value, fields: &Fields, shape: &Shape) -> Option<Value> {
    if fields.has(step) {
        return None;
    }
    Some(match fields.below(step) {
        Some(below) => remove(inner, below, shape),
        None => inner.clone(),
    })
}

fn or_null(empty: bool, left: Value) -> Value {
    if empty { Value::Null } else { left }
}
