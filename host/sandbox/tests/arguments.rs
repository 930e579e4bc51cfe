//! Arguments and answers that the contract refuses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a function that several tests use"
)]

mod guest;
#[path = "guest/host.rs"]
mod host;

use std::sync::Arc;

use backup_sandbox::{
    Answer, EvaluationError, Question, Request, Snapshot,
    contract::{Artifact, FinishedBackup},
};
use guest::Guest;
use host::{load, refused, request, restore, run};

#[test]
fn a_secret_is_not_given_out() {
    for kind in ["Secret", "secret", "SECRET", "Secrets", "SecretList"] {
        let get = format!(
            "(call $cluster.get 'v1' '{kind}' (i32.const 1) 'tenant-acme' 'a' (i32.const 512))"
        );
        assert!(
            refused(Guest::restoring(&get))
                .starts_with("`cluster.get`: a strategy cannot read Secrets"),
            "{kind}"
        );
        let find = format!(
            "(call $cluster.find 'v1' '{kind}' (i32.const 1) 'tenant-acme' (i32.const 0) (i32.const 0) (i32.const 512))"
        );
        assert!(
            refused(Guest::restoring(&find))
                .starts_with("`cluster.find`: a strategy cannot read Secrets"),
            "{kind}"
        );
    }
    for version in ["V1", "v1 ", "/v1", "core/v1/", ""] {
        let get = format!(
            "(call $cluster.get '{version}' 'Secret' (i32.const 1) 'tenant-acme' 'a' (i32.const 512))"
        );
        assert!(
            refused(Guest::restoring(&get)).contains("is not an apiVersion"),
            "{version:?}"
        );
    }
}

#[test]
fn names_cannot_leave_their_place_in_a_request() {
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../secrets/b",
        "a?b",
        "a%2fb",
        "a b",
        "a\\0ab",
    ] {
        let get = format!(
            "(call $cluster.get 'v1' 'Pod' (i32.const 1) 'tenant-acme' '{name}' (i32.const 512))"
        );
        assert!(
            refused(Guest::restoring(&get)).contains("is not the name of an object"),
            "{name:?}"
        );
        let get =
            format!("(call $cluster.get 'v1' 'Pod' (i32.const 1) '{name}' 'a' (i32.const 512))");
        assert!(
            refused(Guest::restoring(&get)).contains("is not a DNS label"),
            "{name:?}"
        );
    }
}

#[test]
fn an_object_is_whole_and_has_a_name() {
    for (object, problem) in [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ("{}", "has no `apiVersion`"),
        (r#"{"apiVersion":"v1"}"#, "has no `kind`"),
        (r#"{"apiVersion":"v1","kind":"Pod"}"#, "has no `metadata`"),
        (
            r#"{"apiVersion":"v1","kind":7,"metadata":{}}"#,
            "`kind` of the object is not a string",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{}}"#,
            "has no `name` in its `metadata`",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a-"}}"#,
            "`generateName`",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a/b"}}"#,
            "not the name of an object",
        ),
        (
            r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":7}}"#,
            "not a string",
        ),
    ] {
        for call in [
            format!("(call $plan.create '{object}' (i32.const 0))"),
            format!("(call $plan.apply '{object}')"),
            format!("(call $plan.dry-run '{object}')"),
        ] {
            let error = refused(Guest::restoring(&call));
            assert!(error.contains(problem), "{object}: {error}");
        }
    }
    let patch = "(call $plan.merge 'v1' 'Pod' (i32.const 0) (i32.const 0) (i32.const 0) 'a' '[]')";
    assert_eq!(
        refused(Guest::restoring(patch)),
        "`plan.merge`: the patch is not a JSON object"
    );
}

#[test]
fn delete_all_needs_labels() {
    let all = "(call $plan.delete-all 'v1' 'Pod' (i32.const 1) 'tenant-acme' (i32.const 0) (i32.const 0) (i32.const 0))";
    assert_eq!(
        refused(Guest::restoring(all)),
        "`plan.delete-all`: labels are required"
    );
}

#[test]
fn a_path_has_no_segment_that_a_client_might_resolve() {
    for path in [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a/..", "a\nb",
    ] {
        let error = refused(Guest::restoring(&format!("(call $plan.purge '{path}')")));
        assert!(error.starts_with("`plan.purge`: "), "{path:?}: {error}");
    }
    // Only looks like one.
    restore(Guest::restoring("(call $plan.purge '...a/..b')")).unwrap();
}

fn listing(path: &str, limit: u32) -> Guest {
    let rest =
        format!("(i32.const 0) (i32.const 0) (i32.const 0) (i32.const {limit}) (i32.const 512)");
    Guest::restoring(&format!("(call $storage.objects '{path}' {rest})"))
}

#[test]
fn objects_are_listed_where_it_was_granted_and_in_the_source() {
    let source = FinishedBackup {
        name: "monday".into(),
        taken_at: 0,
        application: request().subject,
        artifact: Some(Artifact {
            uri: "s3://backups/tenant-old/orders/base/".into(),
            size_bytes: None,
            checksum: None,
        }),
        metadata: Vec::new(),
        resources: None,
    };
    let list = |path: &str| {
        let request = Request {
            source: Some(source.clone()),
            ..request()
        };
        let strategy = load(listing(path, 10)).unwrap();
        run(
            strategy.evaluate(Question::Restore, Arc::new(request), Snapshot::default()),
            |_| Answer::Stored(Vec::new()),
        )
    };
    for path in [
        "tenant-acme/orders",
        "tenant-acme/orders/wal",
        "tenant-old/orders/base/1",
    ] {
        list(path).unwrap();
    }
    for path in [
        "tenant-acme",
        "tenant-acme/orders-2",
        "tenant-old/orders",
        "backups",
    ] {
        let error = list(path).unwrap_err().to_string();
        let places = "`tenant-acme/orders`, `tenant-old/orders/base`";
        assert_eq!(
            error,
            format!("`storage.objects`: `{path}` lies outside of {places}")
        );
    }
}

#[test]
fn numbers_have_bounds() {
    for limit in [0, 1_001] {
        let error = refused(listing("tenant-acme/orders", limit));
        assert_eq!(
            error,
            format!("`storage.objects`: `limit` is {limit}; it must be between 1 and 1000")
        );
    }
    for lines in [0, 2_001] {
        let call = format!(
            "(call $cluster.log-tail 'a' 'b' 'c' (i32.const 0) (i32.const {lines}) (i32.const 512))"
        );
        let error = refused(Guest::restoring(&call));
        assert_eq!(
            error,
            format!("`cluster.log-tail`: `lines` is {lines}; it must be between 1 and 2000")
        );
    }
    let error = refused(Guest::restoring(
        "(call $context.child-name 'a' (i32.const 19) (i32.const 512))",
    ));
    assert_eq!(
        error,
        "`context.child-name`: `max-length` is 19; a name needs 20 characters"
    );
}

#[test]
fn conditions_and_events_are_what_kubernetes_takes() {
    let long = "x".repeat(32_769);
    for (call, problem) in [
        (
            "(call $plan.condition 'Ready' (i32.const 1) 'Reason' '')".to_owned(),
            "the host's own",
        ),
        (
            "(call $plan.condition 'Not one' (i32.const 1) 'Reason' '')".to_owned(),
            "not a condition type",
        ),
        (
            format!(
                "(call $plan.condition '{}' (i32.const 1) 'Reason' '')",
                "x".repeat(317)
            ),
            "not a condition type",
        ),
        (
            "(call $plan.condition 'Fine' (i32.const 1) 'no reason' '')".to_owned(),
            "not a reason",
        ),
        (
            format!("(call $plan.condition 'Fine' (i32.const 1) 'Reason' '{long}')"),
            "32769 bytes",
        ),
        (
            "(call $plan.event (i32.const 0) '' '')".to_owned(),
            "not a reason",
        ),
        (
            format!("(call $plan.event (i32.const 0) 'Reason' '{long}')"),
            "32769 bytes",
        ),
    ] {
        let error = refused(Guest::restoring(&call));
        assert!(error.contains(problem), "{error}");
    }
    restore(Guest::restoring(
        "(call $plan.condition 'backups.example.org/Fine' (i32.const 1) 'Re_a,s:on' '')",
    ))
    .unwrap();
}

#[test]
fn a_state_is_json_or_cleared() {
    let error = refused(Guest::restoring(
        "(call $plan.remember (i32.const 1) 'state')",
    ));
    assert!(
        error.starts_with("`plan.remember`: the state is not JSON"),
        "{error}"
    );
    let cleared = restore(Guest::restoring(
        "(call $plan.remember (i32.const 0) (i32.const 0) (i32.const 0))",
    ))
    .unwrap();
    assert_eq!(cleared.plan.remember, Some(None));
    assert_eq!(restore(Guest::restoring("")).unwrap().plan.remember, None);
}

#[test]
fn an_answer_is_checked_too() {
    // Step::Failed with an empty reason and an empty message.
    let guest = Guest::restoring("(return @failed)").words("failed", &[2, 0, 0, 0, 0]);
    let error = restore(guest).unwrap_err();
    assert!(
        matches!(
            error,
            EvaluationError::Answer {
                question: Question::Restore,
                ..
            }
        ),
        "{error}"
    );
    // An answer that is no case of the variant.
    let error = restore(Guest::restoring("(return @odd)").words("odd", &[9])).unwrap_err();
    assert!(matches!(error, EvaluationError::Trap { .. }), "{error}");
}

#[test]
fn a_text_must_be_utf8() {
    let guest =
        Guest::restoring("(call $plan.purge @bad (i32.const 2))").data("bad", &[0xc3, 0x28]);
    assert!(matches!(
        restore(guest).unwrap_err(),
        EvaluationError::Trap { .. }
    ));
}
