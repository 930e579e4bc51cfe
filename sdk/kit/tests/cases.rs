//! The cases of the strategies of this repository, and of the vendor's.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use backup_strategy_kit::Kit;
use serde_json::Value;
use stage::Stage;

/// The root of the repository.
fn root() -> PathBuf {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    kit.join("../..").canonicalize().unwrap()
}

/// The strategies: their names, and the folders of their cases.
fn strategies() -> Vec<(String, PathBuf)> {
    let plugins = fs::read_dir(root().join("plugins")).unwrap();
    let mut found: Vec<_> = plugins
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, entry.path().join("cases"))
        })
        .collect();
    found.sort();
    found
}

/// Tries a component on its cases; `UPDATE_CASES=1` writes the plans anew.
fn passes(folder: &str, file: &str, cases: &Path) {
    let updates = std::env::var_os("UPDATE_CASES").is_some_and(|set| set == "1");
    let strategy = Stage::from_folder(&root().join("target").join(folder), file).unwrap();
    let report = Kit::of(&strategy).updating(updates).run(cases).unwrap();
    assert!(report.passed(), "{report}");
}

#[test]
fn every_case_of_every_strategy_ends_as_it_says() {
    for (name, cases) in strategies() {
        passes("bundle", &format!("{name}.wasm"), &cases);
    }
}

/// What the vendor's own test does, in its own workspace.
#[test]
fn every_case_of_the_vendors_strategy_ends_as_it_says() {
    passes(
        "vendor",
        "ledger.wasm",
        &root().join("tests/vendor/ledger/cases"),
    );
}

/// What the steps of a strategy's cases are made of, and what they expect.
fn words_of(cases: &Path) -> (Vec<String>, bool) {
    let (mut words, mut fails) = (vec![], false);
    for file in fs::read_dir(cases).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let case: Value = serde_saphyr::from_str(&text).unwrap();
        for step in case["story"].as_array().unwrap() {
            words.extend(step.as_object().unwrap().keys().cloned());
            fails |= step["expect"]["phase"] == "Failed";
        }
    }
    (words, fails)
}

#[test]
fn every_question_that_a_strategy_answers_is_asked_in_its_cases() {
    for (name, cases) in strategies() {
        let strategy = Stage::bundled(&format!("{name}.wasm")).unwrap();
        let questions = strategy.manifest().questions.as_ref();
        let (words, fails) = words_of(&cases);
        for question in ["backup", "restore", "check", "forget"] {
            let is_offered =
                questions.is_none_or(|all| all.iter().any(|offered| offered == question));
            let is_asked = words.iter().any(|word| word == question);
            assert!(is_asked || !is_offered, "{name}: no case asks {question}");
        }
        assert!(fails, "{name}: nothing fails in any case");
    }
}
