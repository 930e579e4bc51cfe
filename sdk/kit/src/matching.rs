//! Where a document is not as expected.

use serde_json::Value;

/// How much of a value is shown in a message.
const SHOWN: usize = 300;

/// Where a document is not as expected, a line for each place; empty when it is.
///
/// Only what is expected is looked at. A list has to have just the items that are expected, each as far as it is
/// expected; null means that nothing is there; `*` in a text stands for anything.
pub(crate) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut lines = vec![];
    partial("", expected, Some(found), &mut lines);
    lines
}

/// Whether a text is as expected.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    // There is always a first part.
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn partial(place: &str, expected: &Value, found: Option<&Value>, lines: &mut Vec<String>) {
    let found = found.filter(|found| !found.is_null());
    let is_so = match (expected, found) {
        (Value::Null, None) => true,
        (Value::Object(members), Some(Value::Object(content))) => {
            for (name, expected) in members {
                let place = format!("{place}/{}", escaped(name));
                partial(&place, expected, content.get(name), lines);
            }
            true
        }
        (Value::Array(items), Some(Value::Array(content))) if items.len() == content.len() => {
            for (index, (expected, found)) in items.iter().zip(content).enumerate() {
                partial(&format!("{place}/{index}"), expected, Some(found), lines);
            }
            true
        }
        (Value::String(pattern), Some(Value::String(text))) => fits(pattern, text),
        (expected, Some(found)) => expected == found,
        (_, None) => false,
    };
    if !is_so {
        lines.push(difference(place, expected, found));
    }
}

fn difference(place: &str, expected: &Value, found: Option<&Value>) -> String {
    let place = if place.is_empty() { "/" } else { place };
    let expected = match expected {
        Value::Null => "nothing".to_owned(),
        expected => shown(expected),
    };
    let found = found.map_or_else(|| "nothing".to_owned(), shown);
    format!("{place}: expected {expected}, found {found}")
}

/// Where two documents differ, a line for each place.
pub(crate) fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = vec![];
    changed("", Some(before), Some(after), &mut lines);
    lines
}

fn changed(place: &str, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(added) {
                let place = format!("{place}/{}", escaped(name));
                changed(&place, before.get(name), after.get(name), lines);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                let place = format!("{place}/{index}");
                changed(&place, before.get(index), after.get(index), lines);
            }
        }
        (before, after) if before == after => {}
        (Some(Value::String(before)), Some(Value::String(after))) if before.contains('\n') => {
            lines.push(line_that_differs(place, before, after));
        }
        (before, after) => {
            let told = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), shown);
            lines.push(format!(
                "{place}: it was {}, now it is {}",
                told(before),
                told(after)
            ));
        }
    }
}

/// Of long texts, such as a program, the first line that is another.
fn line_that_differs(place: &str, before: &str, after: &str) -> String {
    let same = before.lines().zip(after.lines());
    let same = same.take_while(|(before, after)| before == after).count();
    let line = |text: &str| {
        let line = text.lines().nth(same);
        line.map_or_else(|| "nothing".to_owned(), |line| shown(&line.into()))
    };
    format!(
        "{place}: line {} was {}, now it is {}",
        same + 1,
        line(before),
        line(after)
    )
}

/// A member's name in a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A value in a message.
pub(crate) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_expected_is_looked_at() {
        let found = json!({ "spec": { "size": 3, "name": "x" }, "status": {} });
        assert_eq!(
            differences(&json!({ "spec": { "size": 3 } }), &found),
            [""; 0]
        );
        assert_eq!(
            differences(
                &json!({ "spec": { "size": 4, "name": null, "a/b": true } }),
                &found
            ),
            [
                "/spec/size: expected 4, found 3",
                "/spec/name: expected nothing, found \"x\"",
                "/spec/a~1b: expected true, found nothing",
            ]
        );
    }

    #[test]
    fn a_list_has_just_what_is_expected() {
        let found = json!([{ "name": "a", "more": 1 }, { "name": "b" }]);
        assert!(differences(&json!([{ "name": "a" }, { "name": "*" }]), &found).is_empty());
        assert_eq!(differences(&json!([{ "name": "a" }]), &found).len(), 1);
        assert_eq!(
            differences(&json!([{ "name": "a" }, { "name": "c" }]), &found),
            ["/1/name: expected \"c\", found \"b\""]
        );
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, fit) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "acb", false),
            ("*b*", "abc", true),
            ("a*a", "a", false),
            ("s3://*/x*.db", "s3://b/x/y.db", true),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn changes_are_told_both_ways() {
        let before = json!({ "a": 1, "b": [1, 2] });
        let after = json!({ "b": [1], "c": true });
        assert_eq!(
            changes(&before, &after),
            [
                "/a: it was 1, now it is nothing",
                "/b/1: it was 2, now it is nothing",
                "/c: it was nothing, now it is true",
            ]
        );
        assert_eq!(
            changes(&json!({ "a": "x\ny\nz" }), &json!({ "a": "x\nv\nz" })),
            ["/a: line 2 was \"y\", now it is \"v\""]
        );
    }
}
