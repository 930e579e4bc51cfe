//! What the cluster in memory answers differently from a real one, with the reason. Everything else is an error, of
//! the one or of the other.
//!
//! One more is not asked for: the adapter of the real cluster has creations and merge patches refused (`BadRequest`)
//! whose fields the schema does not have, and memory drops such fields, as an API server does that is not asked.

use serde_json::{Map, Value, json};

use crate::{operation::Operation, pair::Answer};

/// How two answers relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are the same, or differ in a way that is known and leaves both with the same objects.
    Same,
    /// They differ in a way that is known and leaves them with other objects: what follows cannot be compared.
    Parted,
    /// They differ in a way that nobody knows of.
    Different,
}

/// A difference that is known.
struct Difference {
    /// Why it is there, and stays.
    #[allow(dead_code, reason = "it is there to be read")]
    because: &'static str,
    /// What it leads to.
    verdict: Verdict,
    /// Whether the answers to a request, of memory and of the real cluster, differ in this way.
    fits: fn(&Operation, &Answer, &Answer) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        because: "The API server answers with a 500 to an apply that does not fit the schema's types. Memory gives \
                  the reason that a 500 has; the adapter of the real cluster knows better, from the message, that \
                  the same request will never pass. Of several errors, the API server tells in any order.",
        verdict: Verdict::Same,
        fits: |operation, memory, real| {
            let untyped =
                |message: &str| message.starts_with("failed to create typed patch object");
            let (
                Operation::Apply { .. },
                Answer::No("ServiceUnavailable", one),
                Answer::No("Invalid", other),
            ) = (operation, memory, real)
            else {
                return false;
            };
            untyped(one) && words(one) == words(other)
        },
    },
    Difference {
        because: "Of several reasons why an object is invalid, the API server tells in any order, and of an update \
                  memory may tell fewer. Nothing depends on either.",
        verdict: Verdict::Same,
        fits: |_, memory, real| {
            let (Answer::No("Invalid", one), Answer::No("Invalid", other)) = (memory, real) else {
                return false;
            };
            let mut told = words(other);
            words(one).iter().all(|word| {
                let place = told.iter().position(|other| other == word);
                place.map(|place| told.swap_remove(place)).is_some()
            })
        },
    },
    Difference {
        because: "Memory does not check what is in the API server's own kinds, such as that the type of a Secret \
                  never changes. Strategies have no reason to try.",
        verdict: Verdict::Parted,
        fits: |operation, memory, real| {
            let own = operation
                .target()
                .is_some_and(|(kind, _)| kind.api_version() == "v1");
            own && matches!((memory, real), (Answer::Is(_), Answer::No("Invalid", _)))
        },
    },
    Difference {
        because: "When an apply gives up the last field of a map or the last item of a list that it still names, as \
                  `spec: {}` after `spec: {mode: fast}`, the API server's merge leaves a null there, which a schema \
                  that says `object` refuses. Memory leaves it empty and accepts it.",
        verdict: Verdict::Parted,
        fits: |operation, memory, real| {
            let (Operation::Apply { .. }, Answer::Is(_), Answer::No("Invalid", message)) =
                (operation, memory, real)
            else {
                return false;
            };
            message.contains(r#"in body must be of type object: "null""#)
                || message.contains(r#"in body must be of type array: "null""#)
        },
    },
    Difference {
        because: "As before, where no schema refuses it. The null is told in the answer only of an object that the \
                  apply has let go; it is not stored.",
        verdict: Verdict::Same,
        fits: |operation, memory, real| {
            let (Operation::Apply { .. }, Answer::Is(memory), Answer::Is(real)) =
                (operation, memory, real)
            else {
                return false;
            };
            without_empty(memory) == without_empty(real)
        },
    },
];

/// A value without nulls, and without maps and lists that have nothing in them.
fn without_empty(value: &Value) -> Value {
    let kept = |inner: &Value| {
        let inner = without_empty(inner);
        let empty = inner.is_null() || inner == json!({}) || inner == json!([]);
        (!empty).then_some(inner)
    };
    match value {
        Value::Object(members) => members
            .iter()
            .filter_map(|(name, inner)| Some((name.clone(), kept(inner)?)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().filter_map(kept).collect(),
        other => other.clone(),
    }
}

/// The words of a message in an order of their own, without what sets several reasons apart.
fn words(message: &str) -> Vec<&str> {
    let mut words: Vec<_> = message
        .split(' ')
        .map(|word| word.trim_matches(['[', ']', ',']))
        .collect();
    words.sort_unstable();
    words
}

/// Compares the answers to a request.
pub(crate) fn verdict(operation: &Operation, memory: &Answer, real: &Answer) -> Verdict {
    if memory == real {
        return Verdict::Same;
    }
    DIFFERENCES
        .iter()
        .find(|difference| (difference.fits)(operation, memory, real))
        .map_or(Verdict::Different, |difference| difference.verdict)
}
