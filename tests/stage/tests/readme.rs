//! What the documentation says of the tests.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path};

const README: &str = include_str!("../../README.md");

/// `file.rs::name`, as the table names tests: the file from the root of the repository on where it says so, else from
/// the folder of this one.
fn named() -> Vec<(String, String)> {
    README
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|code| code.split_once(".rs::"))
        .map(|(file, name)| {
            let is_elsewhere = ["host/", "plugins/", "tests/"]
                .iter()
                .any(|folder| file.starts_with(folder));
            let folder = if is_elsewhere {
                ""
            } else {
                "tests/stage/tests/"
            };
            (format!("{folder}{file}.rs"), name.to_owned())
        })
        .collect()
}

#[test]
fn every_test_that_the_table_of_defects_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let named = named();
    assert!(named.len() >= 20, "{named:?}");
    for (file, name) in named {
        let text =
            fs::read_to_string(root.join(&file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(
            text.contains(&format!("fn {name}(")),
            "{file} has no {name}"
        );
    }
}
