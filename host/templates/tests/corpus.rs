//! Every case of the corpus: 736 that real Go judged, 23 where Go would do what a hermetic host must not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use backup_templates::{Data, Document, Missing, Numbers};
use serde_json::Value as Json;

/// What the host should do with a case.
#[derive(Debug, PartialEq)]
enum Expected<'a> {
    Text(&'a str),
    Refusal,
}

fn expected(case: &Json) -> Expected<'_> {
    let text = |of: &'static str| case[of].as_str().map(Expected::Text);
    let Some(divergence) = case.get("divergence") else {
        return text("expect").unwrap_or(Expected::Refusal);
    };
    match divergence["kind"].as_str() {
        Some("host-refuses") => Expected::Refusal,
        Some("host-accepts" | "host-differs") => {
            Expected::Text(divergence["host_expect"].as_str().unwrap())
        }
        other => panic!("divergence of an unknown kind: {other:?}"),
    }
}

fn rendered(case: &Json) -> Result<String, String> {
    let missing = match case["missingkey"].as_str() {
        Some("error") => Missing::Error,
        _ => Missing::Go,
    };
    let numbers = match case.get("numbers") {
        Some(_) => Numbers::Integer,
        None => Numbers::Float,
    };
    let string_maps = case.get("string_maps").and_then(Json::as_array);
    let string_maps = string_maps.into_iter().flatten().filter_map(Json::as_str);
    let data = Data::new(case["data"].clone(), numbers).string_maps(string_maps);

    let document =
        Document::compile(&case["template"], missing).map_err(|errors| errors[0].to_string())?;
    let rendered = document.render(&data).map_err(|error| error.to_string())?;
    Ok(rendered.as_str().unwrap().to_owned())
}

#[test]
fn every_case_of_the_corpus_renders_as_it_should() {
    let cases: Vec<Json> = serde_json::from_str(include_str!("corpus.json")).unwrap();
    assert_eq!(cases.len(), 759);

    let mut failures = Vec::new();
    let mut by_category: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for case in &cases {
        let outcome = rendered(case);
        let matches = match (expected(case), &outcome) {
            (Expected::Text(wanted), Ok(text)) => wanted == text,
            (Expected::Refusal, Err(_)) => true,
            _ => false,
        };
        let counts = by_category
            .entry(case["category"].as_str().unwrap())
            .or_default();
        counts.0 += usize::from(matches);
        counts.1 += 1;
        if !matches {
            failures.push(format!(
                "{}\n    template {}\n    wanted   {:?}\n    got      {outcome:?}",
                case["name"],
                case["template"],
                expected(case)
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases fail: {by_category:#?}\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}
