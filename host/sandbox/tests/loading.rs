//! What is refused before a strategy is ever asked, and what a loaded one tells.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a function that several tests use"
)]

mod guest;
#[path = "guest/host.rs"]
mod host;

use backup_sandbox::{Limits, LoadError};
use guest::{Guest, MANIFEST, WIT, later};
use host::{load, sandbox};

fn refused(bytes: &[u8]) -> LoadError {
    sandbox()
        .load(bytes, Limits::default())
        .expect_err("it was loaded")
}

fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn what_is_no_component_is_refused() {
    for bytes in [
        &b""[..],
        b"\0asm",
        b"hello, world",
        b"\0asm\x0d\0\x01\0garbage",
    ] {
        assert!(
            matches!(refused(bytes), LoadError::NotAComponent(_)),
            "{bytes:?}"
        );
    }
    let error = refused(&component("(module)")).to_string();
    assert!(error.contains("it is a core module"), "{error}");
}

#[test]
fn foreign_imports_are_refused_by_name_all_of_them() {
    let error = refused(&component(
        r#"(component
            (import "wasi:io/poll@0.2.0" (instance))
            (import "cozystack:backup-strategy/log@1.0.0" (instance))
            (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#,
    ));
    let LoadError::ForeignImport(names) = &error else {
        panic!("{error}")
    };
    assert_eq!(
        names,
        &["wasi:io/poll@0.2.0", "wasi:clocks/wall-clock@0.2.0"]
    );
    assert!(
        error.to_string().contains("build it without WASI"),
        "{error}"
    );
}

#[test]
fn an_import_that_is_not_of_the_package_is_foreign() {
    for name in [
        "cozystack:backup-strategyx/log@1.0.0",
        "cozystack:backup/log@1.0.0",
        "evil",
    ] {
        let error = refused(&component(&format!(
            r#"(component (import "{name}" (func)))"#
        )));
        assert!(
            matches!(error, LoadError::ForeignImport(_)),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_component_without_the_strategy_interface_is_refused() {
    let error = refused(&component("(component)")).to_string();
    assert_eq!(
        error,
        "it does not export cozystack:backup-strategy/strategy@1.0.0"
    );
}

#[test]
fn functions_of_a_newer_contract_are_refused_by_name_all_of_them() {
    let guest =
        Guest::restoring("(call $context.attempt) (call $plan.attempt) (call $plan.purge 'a')")
            .against(&later("1.1.0"), "backup-strategy", "1.1.0");
    let error = load(guest).unwrap_err();
    let LoadError::NewerContract { missing, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(
        missing,
        &[
            "context.attempt (contract 1.1.0)",
            "plan.attempt (contract 1.1.0)"
        ]
    );
    assert!(
        error.to_string().contains("it speaks contract 1.0.0"),
        "{error}"
    );
}

#[test]
fn a_newer_minor_version_that_is_not_used_is_no_reason() {
    let guest = Guest::restoring("(call $plan.purge 'a')").against(
        &later("1.1.0"),
        "backup-strategy",
        "1.1.0",
    );
    assert!(
        load(guest)
            .unwrap()
            .imports()
            .contains(&"cozystack:backup-strategy/plan@1.1.0#purge".to_owned())
    );
}

#[test]
fn another_major_version_is_another_contract() {
    let guest = Guest::restoring("(call $plan.purge 'a')").against(
        &later("2.0.0"),
        "backup-strategy",
        "2.0.0",
    );
    let error = load(guest).unwrap_err();
    assert!(
        matches!(&error, LoadError::NewerContract { missing, .. } if missing == &["contract 2.0.0"]),
        "{error}"
    );
    let guest = Guest::default().against(&later("0.9.0"), "backup-strategy", "0.9.0");
    let error = load(guest).unwrap_err();
    assert!(
        matches!(&error, LoadError::Mismatch(problem) if problem.contains("0.9.0")),
        "{error}"
    );
}

#[test]
fn a_function_of_another_type_is_refused() {
    let text = WIT.replace(
        "purge: func(path: string);",
        "purge: func(path: string) -> bool;",
    );
    assert_ne!(text, WIT);
    let guest = Guest::restoring("(drop (call $plan.purge 'a'))")
        .against(&text, "backup-strategy", "1.0.0")
        .with_result("plan.purge", "i32");
    let error = load(guest).unwrap_err();
    assert!(
        matches!(&error, LoadError::Mismatch(problem) if problem.contains("purge")),
        "{error}"
    );
}

#[test]
fn an_export_of_another_type_is_refused() {
    // One more case: nothing but an instantiation finds out.
    let text = WIT.replace(
        "        done,\n        failed(failure),",
        "        done,\n        failed(failure),\n        more,",
    );
    assert_ne!(text, WIT);
    let error = load(Guest::default().against(&text, "backup-strategy", "1.0.0")).unwrap_err();
    assert!(matches!(&error, LoadError::Mismatch(_)), "{error}");
}

#[test]
fn a_guest_that_traps_or_loops_when_it_describes_itself_is_refused() {
    let error = load(Guest::default().on("describe", "unreachable")).unwrap_err();
    assert!(matches!(error, LoadError::Describe(_)), "{error}");
    let error = load(Guest::default().on("describe", "(loop $l (br $l))")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("`describe` used more than 100000000 units of fuel")
            || error.contains("took longer"),
        "{error}"
    );
    let error = load(Guest::default().module("(start $s) (func $s unreachable)")).unwrap_err();
    assert!(matches!(error, LoadError::Describe(_)), "{error}");
}

#[test]
fn a_manifest_is_a_document_of_the_schema() {
    for (from, to, problem) in [
        ("{", "[", "not JSON"),
        (r#""guest""#, r#""Guest""#, "/name: "),
        (r#""1.2.3""#, r#""1.2""#, "/version: "),
        (
            r#""1.0.0""#,
            r#""2.0.0""#,
            "/contract: 2.0.0 is not compatible",
        ),
        (r#""Guest""#, r#""guest""#, "/strategyKind/kind: "),
        (
            r#"[{ "group": "apps.cozystack.io", "kind": "Postgres" }]"#,
            "[]",
            "/applications: ",
        ),
        (r#""name": "guest","#, "", "the document: "),
        (
            r#""version""#,
            r#""questions": ["ask"], "version""#,
            "/questions/0: ",
        ),
        (
            r#""version""#,
            r#""writes": [{ "apiVersion": "v1", "kind": "A", "actions": ["create"], "storagePaths": ["/a~2"] }], "version""#,
            "is not a JSON pointer",
        ),
        (
            r#""version""#,
            r#""reads": [{ "apiVersion": "v1", "kind": "A" }], "writes": [
                { "apiVersion": "v1", "kind": "A", "actions": ["create"], "inSystemNamespaces": true }
            ], "version""#,
            "/writes/0/inSystemNamespaces: what else is said of A differs",
        ),
    ] {
        let manifest = MANIFEST.replacen(from, to, 1);
        let error = load(Guest::default().manifest(&manifest)).expect_err(problem);
        let LoadError::Manifest(text) = &error else {
            panic!("{error}")
        };
        assert!(text.contains(problem), "{text}");
    }
}

#[test]
fn a_loaded_strategy_tells_what_it_is() {
    let guest = Guest::restoring("(call $plan.purge 'a') (drop (call $context.now))");
    let bytes = guest.build();
    let strategy = sandbox().load(&bytes, Limits::default()).unwrap();
    assert_eq!(strategy.manifest().name, "guest");
    assert_eq!(strategy.manifest().version.to_string(), "1.2.3");
    assert_eq!(strategy.size(), bytes.len());
    assert!(strategy.digest().starts_with("sha256:") && strategy.digest().len() == 71);
    let functions = |names: &[String]| {
        names
            .iter()
            .filter(|name| name.contains('#'))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        functions(strategy.imports()),
        [
            "cozystack:backup-strategy/context@1.0.0#now",
            "cozystack:backup-strategy/plan@1.0.0#purge"
        ]
    );
    assert_eq!(functions(strategy.exports()).len(), 8);
}
