//! What the cluster in memory answers differently from a real one, with the reason. Everything else is an error, of
//! the one or of the other.

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
        because: "Of several reasons why an object is invalid, the API server tells in any order, and of an update \
                  memory may tell fewer. Nothing depends on either.",
        verdict: Verdict::Same,
        fits: |_, memory, real| match (memory, real) {
            (Answer::No("Invalid", one), Answer::No("Invalid", other)) => tells(other, one),
            _ => false,
        },
    },
    Difference {
        because: "Of an apply that does not fit the schema's types, the API server looks at the fields of a map in any \
                  order and stops at the first that is not declared. Memory tells all that is wrong.",
        verdict: Verdict::Same,
        fits: |_, memory, real| match (memory, real) {
            (Answer::No("Invalid", one), Answer::No("Invalid", other)) => {
                other.starts_with("failed to create typed patch object") && tells(one, other)
            }
            _ => false,
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
];

/// Whether a message has all the words of another.
fn tells(message: &str, other: &str) -> bool {
    let mut told = words(message);
    words(other).iter().all(|word| {
        let place = told.iter().position(|told| told == word);
        place.map(|place| told.swap_remove(place)).is_some()
    })
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
