//! Paths with slashes, and addresses. No file is touched: the functions for the system's paths are those for slashes,
//! as they are on Linux.

use super::Kind::{Map as AMap, Text};
use super::{Call, Function, Row, url};
use crate::error::Outcome;
use crate::value::{self, Value};

const BASE: Function = Function::fixed(&[Text], |call| Ok(value::text(base(call.text(0)?))));
const DIR: Function = Function::fixed(&[Text], |call| Ok(value::text(dir(call.text(0)?))));
const CLEAN: Function = Function::fixed(&[Text], |call| Ok(value::text(clean(call.text(0)?))));
const EXT: Function = Function::fixed(&[Text], |call| Ok(value::text(ext(call.text(0)?))));
const IS_ABS: Function = Function::fixed(&[Text], |call| {
    Ok(Value::Bool(call.text(0)?.starts_with('/')))
});

pub(super) const TABLE: &[Row] = &[
    ("base", BASE),
    ("osBase", BASE),
    ("dir", DIR),
    ("osDir", DIR),
    ("clean", CLEAN),
    ("osClean", CLEAN),
    ("ext", EXT),
    ("osExt", EXT),
    ("isAbs", IS_ABS),
    ("osIsAbs", IS_ABS),
    ("urlParse", Function::fixed(&[Text], url_parse)),
    (
        "urlJoin",
        Function::fixed(&[AMap], |call| {
            url::join(call.map(0)?.as_ref()).map(value::text)
        }),
    ),
];

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some("") | None => "/",
        Some(name) => name,
    }
}

fn dir(path: &str) -> String {
    clean(path.rfind('/').map_or("", |slash| &path[..=slash]))
}

/// The shortest path that leads to the same place, by its text alone.
fn clean(path: &str) -> String {
    let is_rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_rooted => {}
            _ => parts.push(part),
        }
    }
    match (is_rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn ext(path: &str) -> &str {
    let name = path.rfind('/').map_or(path, |slash| &path[slash + 1..]);
    name.rfind('.').map_or("", |dot| &name[dot..])
}

fn url_parse(call: &Call<'_>) -> Outcome<Value> {
    let url = url::parse(call.text(0)?)?;
    let parts = [
        ("scheme", url.scheme.as_str()),
        ("host", &url.host),
        ("hostname", url.hostname()),
        ("path", &url.path),
        ("query", &url.query),
        ("opaque", &url.opaque),
        ("fragment", &url.fragment),
        ("userinfo", &url.userinfo),
    ];
    let entries = parts
        .into_iter()
        .map(|(name, part)| (name.into(), value::text(part)));
    Ok(value::map(entries.collect()))
}
