//! Cases that do not say what is so: each is told with its file, its step and what is different.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, path::Path};

use backup_strategy_kit::{Kit, Report};
use stage::Stage;

const GIVEN: &str = "
case: any
strategy: {}
given:
  - apiVersion: apps.vendor.example/v1alpha1
    kind: Ledger
    metadata: { name: books, namespace: tenant-acme }
";

/// Tries the vendor's strategy on a case.
fn tried(case: &str) -> (Report, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("case.yaml"), case).unwrap();
    (tried_in(folder.path(), false), folder)
}

fn tried_in(folder: &Path, updates: bool) -> Report {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vendor");
    let strategy = Stage::from_folder(&target, "ledger.wasm").unwrap();
    Kit::of(&strategy).updating(updates).run(folder).unwrap()
}

/// The only failure of a story, without the folder.
fn failure(story: &str) -> String {
    let (report, folder) = tried(&format!("{GIVEN}{story}"));
    let [failure] = &report.failures[..] else {
        panic!("{report}");
    };
    let folder = format!("{}/", folder.path().display());
    failure.to_string().replace(&folder, "")
}

#[test]
fn what_is_not_as_expected_is_told_place_by_place() {
    let told = failure(
        "
story:
  - backup: {}
    expect: { phase: Running }
  - expect:
      phase: Succeeded
      objects:
        - kind: Export
          spec: { ledger: other, to: null }
      gone: { kind: Export }
      stored: [tenant-acme/books/x]
      left: []
",
    );
    let lines: Vec<&str> = told.lines().map(str::trim).collect();
    assert_eq!(
        lines[..4],
        [
            "case.yaml:12: step 2: it is not as expected:",
            "phase: expected \"Succeeded\", found \"Running\"",
            "objects: Export backup-export-dc0012f5f5: /spec/ledger: expected \"other\", found \"books\"",
            "objects: Export backup-export-dc0012f5f5: /spec/to: expected nothing, found \
             \"s3://backups/tenant-acme/books/backup-export-dc0012f5f5.ledger\"",
        ]
    );
    assert_eq!(
        lines[4..],
        [
            "gone: Export backup-export-dc0012f5f5 is there",
            "stored: tenant-acme/books/x is missing",
            "left: Export is not expected",
            "it says \"LedgerOperatorAtWork: the ledger operator is at work\"",
        ]
    );
}

#[test]
fn a_misspelt_word_is_told_with_those_that_there_are() {
    let told = failure("story: [{ bakcup: {} }]");
    assert!(
        told.starts_with("case.yaml:8: step 1: unknown field `bakcup`, expected one of "),
        "{told}"
    );
    let told = failure("story: [{ expect: { phrase: Running } }]");
    assert!(told.contains("step 1: unknown field `phrase`"), "{told}");
    let told = failure("stories: []");
    assert!(told.contains("case.yaml cannot be read: "), "{told}");
    assert!(told.contains("unknown field `stories`"), "{told}");
    let told = failure("grant: { storagePath: [x] }\nstory: [{ backup: {} }]");
    assert!(
        told.contains("grant: a StrategyPlugin's spec has no storagePath"),
        "{told}"
    );
}

#[test]
fn what_is_named_and_is_not_there_is_told() {
    for (story, why) in [
        (
            "story: [{ change: { kind: Export, status: {} } }]",
            "step 1: there is no Export",
        ),
        (
            "story: [{ restore: {} }]",
            "step 1: there is no such Backup",
        ),
        (
            "story: [{ store: { \"x/$(Export/metadata/name)\": 1 } }]",
            "step 1: $(Export/metadata/name): there is no Export",
        ),
        (
            "story: [{ lose: [x] }]",
            "step 1: lose: x does not lie in the bucket",
        ),
        ("story: [{ time: soon }]", "step 1: time: \"soon\": "),
        (
            "story: [{ expect: { phase: Running } }]",
            "step 1: nothing was asked for yet",
        ),
        (
            "crds: [absent.yaml]\nstory: []",
            "absent.yaml cannot be read: ",
        ),
    ] {
        let told = failure(story);
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn an_object_that_a_given_definition_does_not_allow_is_refused() {
    let definition = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: exports.ledgers.vendor.example }
spec:
  group: ledgers.vendor.example
  scope: Namespaced
  names: { kind: Export, listKind: ExportList, plural: exports, singular: export }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema:
          type: object
          properties: { spec: { type: object, properties: { ledger: { type: string } } } }
";
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("crds")).unwrap();
    fs::write(folder.path().join("crds/export.yaml"), definition).unwrap();
    let story = "crds: [crds]\nstory: [{ backup: {}, expect: { objects: { kind: Export } } }]";
    fs::write(folder.path().join("case.yaml"), format!("{GIVEN}{story}")).unwrap();
    let report = tried_in(folder.path(), false).to_string();
    assert!(
        report.contains("it says \"create Export tenant-acme/"),
        "{report}"
    );
    assert!(report.contains("unknown field \\\"spec.to\\\""), "{report}");
}

#[test]
fn plans_are_held_against_those_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let case = folder.path().join("case.yaml");
    fs::write(&case, format!("{GIVEN}story: [{{ backup: {{}} }}]")).unwrap();
    let plans = folder.path().join("plans/case.yaml");

    let report = tried_in(folder.path(), false).to_string();
    assert!(report.contains("run again with UPDATE_CASES=1"), "{report}");
    let report = tried_in(folder.path(), true);
    assert!(report.passed(), "{report}");
    assert_eq!(report.updated, std::slice::from_ref(&plans));
    let report = tried_in(folder.path(), false);
    assert!(report.passed() && report.updated.is_empty(), "{report}");

    let text = fs::read_to_string(&plans).unwrap();
    assert!(text.contains("kind: Export"), "{text}");
    fs::write(&plans, text.replace("ledger: books", "ledger: cooked")).unwrap();
    let report = tried_in(folder.path(), false).to_string();
    assert!(
        report.contains("/spec/ledger: it was \"cooked\", now it is \"books\""),
        "{report}"
    );
}

#[test]
fn objects_without_a_story_are_tried_as_a_host_tries_made_up_ones() {
    let (report, _) = tried(
        "
apiVersion: apps.vendor.example/v1alpha1
kind: Ledger
metadata: { name: books, namespace: tenant-acme }
",
    );
    assert!(report.passed(), "{report}");
}

#[test]
fn a_folder_without_cases_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = backup_strategy_kit::run("absent.wasm", folder.path()).unwrap_err();
    assert!(error.to_string().contains("build the component first"));
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vendor");
    let strategy = Stage::from_folder(&target, "ledger.wasm").unwrap();
    let error = Kit::of(&strategy).run(folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds no .yaml file"), "{error}");
}
