//! What arguments and answers must look like.
//!
//! Names end up in the paths of requests and labels in their queries, so nothing passes here that could change
//! what a request means. Each check says what is wrong in words for the strategy's author.

use std::{collections::BTreeSet, ops::RangeInclusive};

use serde_json::{Map, Value};

use crate::contract::{ApplicationRef, ObjectRef, Selector};

/// Lines that `cluster.log-tail` gives: a log line is some 100 bytes, and a call's answer should stay small.
pub(crate) const LOG_LINES: RangeInclusive<u32> = 1..=2_000;
/// Objects that `storage.objects` gives: one page of S3's ListObjectsV2.
pub(crate) const STORED_OBJECTS: RangeInclusive<u32> = 1..=1_000;
/// `metav1.Condition`: `message` has at most so many bytes.
const MESSAGE: usize = 32_768;
/// `metav1.Condition`: `reason` has at most so many bytes.
const REASON: usize = 1_024;
/// `metav1.Condition`: `type` has at most so many bytes.
const CONDITION_TYPE: usize = 316;
/// A DNS label.
const LABEL: usize = 63;
/// A DNS subdomain, and the name of any object.
const SUBDOMAIN: usize = 253;
/// S3: a key has at most so many bytes.
const KEY: usize = 1_024;

type Checked = Result<(), String>;

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
fn is_label(text: &str) -> bool {
    text.len() <= LABEL
        && is_bounded(
            text,
            |b| b.is_ascii_lowercase() || b.is_ascii_digit(),
            |b| b == b'-',
        )
}

/// Labels with dots between them.
fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN && text.split('.').all(is_label)
}

/// `[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?`, the name part of a label's key, and a label's value.
fn is_qualified(text: &str) -> bool {
    is_bounded(
        text,
        |b| b.is_ascii_alphanumeric(),
        |b| matches!(b, b'-' | b'_' | b'.'),
    )
}

/// Not empty, `edge` at both ends, `edge` or `inner` between.
fn is_bounded(text: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.into_iter().all(|end| end.is_some_and(|b| edge(*b)))
        && bytes.iter().all(|b| edge(*b) || inner(*b))
}

fn require(holds: bool, problem: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Part of a child's name.
pub(crate) fn role(text: &str) -> Checked {
    require(is_label(text), || {
        format!("the role {text:?} is not a DNS label: a-z, 0-9 and `-` between them")
    })
}

/// A namespace, which is a DNS label.
pub(crate) fn namespace(text: &str) -> Checked {
    require(is_label(text), || {
        format!("the namespace {text:?} is not a DNS label")
    })
}

/// A container, which is a DNS label.
pub(crate) fn container(text: &str) -> Checked {
    require(is_label(text), || {
        format!("the container {text:?} is not a DNS label")
    })
}

/// The name of any object: a segment of a path. Most kinds want a DNS subdomain, but RBAC allows `:`, and some
/// capitals.
pub(crate) fn name(text: &str) -> Checked {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b':');
    let valid = !text.is_empty() && text.len() <= SUBDOMAIN && text.bytes().all(allowed);
    require(valid && text != "." && text != "..", || {
        format!("{text:?} is not the name of an object")
    })
}

/// `v1`, or a group and a version, and a kind.
pub(crate) fn kind(api_version: &str, kind: &str) -> Checked {
    let (group, version) = match api_version.split_once('/') {
        Some((group, version)) => (Some(group), version),
        None => (None, api_version),
    };
    let valid = group.is_none_or(is_subdomain) && is_label(version);
    require(valid, || {
        format!("{api_version:?} is not an apiVersion: `v1`, or `group/version`")
    })?;
    let valid = kind.len() <= LABEL && is_bounded(kind, |b| b.is_ascii_alphanumeric(), |_| false);
    require(valid && kind.as_bytes()[0].is_ascii_alphabetic(), || {
        format!("{kind:?} is not a kind")
    })
}

/// Secrets are not given out. The kind is compared as a lenient lookup of resources might.
pub(crate) fn not_secret(api_version: &str, kind: &str) -> Checked {
    let core = !api_version.contains('/');
    let secret = ["secret", "secrets", "secretlist"]
        .iter()
        .any(|name| kind.eq_ignore_ascii_case(name));
    require(!(core && secret), || {
        "a strategy cannot read Secrets: let the operator's object name the Secret, and the operator read it"
            .to_owned()
    })
}

pub(crate) fn object_ref(target: &ObjectRef) -> Checked {
    kind(&target.api_version, &target.kind)?;
    target.namespace.as_deref().map_or(Ok(()), namespace)?;
    name(&target.name)
}

pub(crate) fn application(target: &ApplicationRef) -> Checked {
    require(is_subdomain(&target.group), || {
        format!("{:?} is not an API group", target.group)
    })?;
    kind("v1", &target.kind)?;
    namespace(&target.namespace)?;
    name(&target.name)
}

pub(crate) fn selector(matching: &Selector) -> Checked {
    kind(&matching.api_version, &matching.kind)?;
    matching.namespace.as_deref().map_or(Ok(()), namespace)?;
    let mut keys = BTreeSet::new();
    for label in &matching.labels {
        label_key(&label.key)?;
        let valid =
            label.value.is_empty() || (label.value.len() <= LABEL && is_qualified(&label.value));
        require(valid, || {
            format!("{:?} is not a label's value", label.value)
        })?;
        require(keys.insert(&label.key), || {
            format!("the label {:?} is given twice", label.key)
        })?;
    }
    Ok(())
}

/// `delete-all` without labels would empty a namespace.
pub(crate) fn labelled(matching: &Selector) -> Checked {
    require(!matching.labels.is_empty(), || {
        "labels are required".to_owned()
    })
}

fn label_key(key: &str) -> Checked {
    require(is_prefixed(key, LABEL), || {
        format!("{key:?} is not a label's key")
    })
}

/// A qualified name, with or without a subdomain and `/` before it.
fn is_prefixed(text: &str, longest: usize) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_subdomain) && name.len() <= longest && is_qualified(name)
}

pub(crate) fn uid(text: &str) -> Checked {
    let valid = text.len() <= 128 && is_qualified(text);
    require(valid, || format!("{text:?} is not a uid"))
}

/// A path in a bucket: segments with `/` between them, none of which a client might resolve or drop.
pub(crate) fn path(text: &str) -> Checked {
    require(!text.is_empty(), || "the path is empty".to_owned())?;
    key(text)?;
    let edges = text.starts_with('/') || text.ends_with('/');
    require(!edges, || format!("the path {text:?} has a `/` at an end"))?;
    let odd = text
        .split('/')
        .find(|segment| matches!(*segment, "" | "." | ".."));
    require(odd.is_none(), || {
        format!(
            "the path {text:?} has the segment {:?}",
            odd.unwrap_or_default()
        )
    })
}

/// A key in a bucket.
pub(crate) fn key(text: &str) -> Checked {
    require(text.len() <= KEY, || {
        format!("a key of {} bytes; S3 allows {KEY}", text.len())
    })?;
    require(!text.chars().any(char::is_control), || {
        format!("{text:?} has a control character")
    })
}

pub(crate) fn within(what: &str, value: u32, range: RangeInclusive<u32>) -> Checked {
    let (low, high) = (range.start(), range.end());
    require(range.contains(&value), || {
        format!("`{what}` is {value}; it must be between {low} and {high}")
    })
}

/// `^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`, the pattern of `metav1.Condition`.
pub(crate) fn reason(text: &str) -> Checked {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let edge = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid =
        first && text.len() <= REASON && is_bounded(text, edge, |b| matches!(b, b',' | b':'));
    require(valid, || {
        format!("{text:?} is not a reason: one word in PascalCase, such as `BackupFailed`")
    })
}

/// The pattern of `metav1.Condition`'s type, without the host's own.
pub(crate) fn condition_type(text: &str) -> Checked {
    let valid = text.len() <= CONDITION_TYPE && is_prefixed(text, CONDITION_TYPE);
    require(valid, || {
        format!("{text:?} is not a condition type: one word in PascalCase")
    })?;
    require(text != "Ready", || {
        "the condition `Ready` is the host's own".to_owned()
    })
}

pub(crate) fn message(text: &str) -> Checked {
    require(text.len() <= MESSAGE, || {
        format!(
            "a message of {} bytes; Kubernetes allows {MESSAGE} in a condition",
            text.len()
        )
    })
}

/// JSON of any kind.
pub(crate) fn json(what: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{what} is not JSON: {error}"))
}

/// A JSON object.
pub(crate) fn json_object(what: &str, text: &str) -> Result<Map<String, Value>, String> {
    match json(what, text)? {
        Value::Object(object) => Ok(object),
        _ => Err(format!("{what} is not a JSON object")),
    }
}

/// A whole Kubernetes object with a name of its own.
pub(crate) fn object(text: &str) -> Result<Value, String> {
    let object = json_object("the object", text)?;
    let member = |from: &Map<String, Value>, at: &'static str| match from.get(at) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("`{at}` of the object is not a string")),
        None => Err(format!("the object has no `{at}`")),
    };
    kind(&member(&object, "apiVersion")?, &member(&object, "kind")?)?;
    let Some(Value::Object(metadata)) = object.get("metadata") else {
        return Err("the object has no `metadata`".to_owned());
    };
    require(!metadata.contains_key("generateName"), || {
        "`generateName` makes another object each time: use `name` with `context.child-name`"
            .to_owned()
    })?;
    name(&member(metadata, "name").map_err(|problem| format!("{problem} in its `metadata`"))?)?;
    if metadata.contains_key("namespace") {
        namespace(&member(metadata, "namespace")?)?;
    }
    Ok(Value::Object(object))
}
