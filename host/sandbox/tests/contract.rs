//! The host's side of the contract: what is offered, what is read, what comes out. What is refused is in
//! `arguments.rs`.
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
    Action, Answer, EvaluationError, Finished, Question, Read, Reply, Round, Snapshot,
    contract::{Bucket, Lifetime, Propagation, Step, StoredObject, Verdict, View},
};
use guest::{Guest, WIT};
use host::{evaluation, load, request, run};
use serde_json::json;

/// A call of every function with arguments that pass, leaving nothing on the stack. The result goes to where
/// answers made of zeros are not.
const CALLS: [(&str, &str); 33] = [
    ("context.now", "(drop (call $context.now))"),
    ("context.job", "(call $context.job (i32.const 512))"),
    ("context.options", "(call $context.options (i32.const 512))"),
    ("context.subject", "(call $context.subject (i32.const 512))"),
    (
        "context.application",
        "(call $context.application (i32.const 512))",
    ),
    (
        "context.release",
        "(call $context.release 'apps.cozystack.io' 'Postgres' 'tenant-acme' 'orders' (i32.const 512))",
    ),
    (
        "context.spec",
        "(call $context.spec (i32.const 0) (i32.const 512))",
    ),
    (
        "context.child-name",
        "(call $context.child-name 'backup' (i32.const 63) (i32.const 512))",
    ),
    (
        "context.parameters",
        "(call $context.parameters (i32.const 512))",
    ),
    ("context.source", "(call $context.source (i32.const 512))"),
    ("context.state", "(call $context.state (i32.const 512))"),
    ("context.refused", "(call $context.refused (i32.const 512))"),
    (
        "cluster.get",
        "(call $cluster.get 'v1' 'Pod' (i32.const 1) 'tenant-acme' 'orders-1' (i32.const 512))",
    ),
    (
        "cluster.find",
        "(call $cluster.find 'v1' 'Pod' (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))",
    ),
    ("cluster.serves", "(drop (call $cluster.serves 'v1' 'Pod'))"),
    (
        "cluster.log-tail",
        "(call $cluster.log-tail 'tenant-acme' 'orders-1' 'postgres' (i32.const 0) (i32.const 10) (i32.const 512))",
    ),
    ("storage.target", "(call $storage.target (i32.const 512))"),
    ("storage.ca-key", "(call $storage.ca-key (i32.const 512))"),
    (
        "storage.prefixes",
        "(call $storage.prefixes (i32.const 512))",
    ),
    (
        "storage.objects",
        "(call $storage.objects 'tenant-acme/orders' (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 512))",
    ),
    (
        "plan.create",
        "(call $plan.create '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}' (i32.const 1))",
    ),
    (
        "plan.dry-run",
        "(call $plan.dry-run '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}')",
    ),
    (
        "plan.apply",
        "(call $plan.apply '{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}')",
    ),
    (
        "plan.merge",
        "(call $plan.merge 'v1' 'ConfigMap' (i32.const 1) 'tenant-acme' 'a' '{\"data\":null}')",
    ),
    (
        "plan.delete",
        "(call $plan.delete 'v1' 'ConfigMap' (i32.const 1) 'tenant-acme' 'a' (i32.const 1) '5f0c' (i32.const 1))",
    ),
    (
        "plan.delete-all",
        "(call $plan.delete-all 'v1' 'Pod' (i32.const 1) 'tenant-acme' @labels (i32.const 1) (i32.const 0))",
    ),
    (
        "plan.suspend",
        "(call $plan.suspend 'tenant-acme' 'postgres-orders')",
    ),
    (
        "plan.resume",
        "(call $plan.resume 'tenant-acme' 'postgres-orders')",
    ),
    ("plan.purge", "(call $plan.purge 'tenant-acme/orders/base')"),
    (
        "plan.condition",
        "(call $plan.condition 'WALArchiveReady' (i32.const 1) 'Archiving' 'all is well')",
    ),
    (
        "plan.event",
        "(call $plan.event (i32.const 1) 'Slow' 'it takes long')",
    ),
    (
        "plan.remember",
        "(call $plan.remember (i32.const 1) '{\"step\":2}')",
    ),
    ("log.write", "(call $log.write (i32.const 1) 'hello')"),
];

/// One label, `app=orders`: its key and value lie in the text before it.
fn labelled(guest: Guest) -> Guest {
    // Data begins at 1024, and this is the first that is placed.
    guest
        .data("text", b"app\0\0\0\0\0orders\0\0")
        .words("labels", &[1024, 3, 1032, 6])
}

fn answer(read: &Read) -> Answer {
    match read {
        Read::Serves { .. } => Answer::Flag(true),
        Read::Objects(_) => Answer::Texts(vec!["{}".into(), "{}".into()]),
        Read::Bucket => Answer::Bucket(Bucket {
            name: "backups".into(),
            endpoint: "https://s3.example.org".into(),
            region: "us-east-1".into(),
            force_path_style: true,
            credentials_secret: "cozy-backups-creds".into(),
        }),
        Read::StoredObjects { .. } => Answer::Stored(vec![StoredObject {
            key: "a".into(),
            size_bytes: 1,
            modified_at: 2,
        }]),
        _ => Answer::Text(Some("{}".into())),
    }
}

fn ask(question: Question, body: &str) -> Result<Finished, EvaluationError> {
    let strategy = load(labelled(Guest::default()).on(question.as_str(), body)).unwrap();
    run(evaluation(&strategy, question), answer)
}

#[test]
fn every_question_is_offered_what_the_contract_says() {
    for question in [
        Question::Paths,
        Question::Backup,
        Question::Restore,
        Question::Abort,
        Question::Forget,
        Question::Check,
    ] {
        for (name, call) in CALLS {
            let offered = !name.starts_with("plan.") || question.plans();
            match ask(question, call) {
                Ok(_) => assert!(offered, "`{name}` is offered to `{question}`"),
                Err(EvaluationError::NotOffered {
                    question: asked,
                    function,
                }) => {
                    assert!(!offered, "`{name}` is not offered to `{question}`");
                    assert_eq!((asked, function), (question, name));
                }
                Err(error) => panic!("`{name}` for `{question}`: {error}"),
            }
        }
    }
}

#[test]
fn describe_and_validate_can_only_log() {
    for (name, call) in CALLS {
        let described = load(labelled(Guest::default()).on("describe", call));
        let strategy = load(labelled(Guest::default()).on("validate", call)).unwrap();
        let validated = strategy.validate("{}", &[]);
        if name == "log.write" {
            described.unwrap();
            validated.unwrap();
            continue;
        }
        let error = described.unwrap_err().to_string();
        assert_eq!(
            error,
            format!("it does not describe itself: `{name}` is not offered to `describe`")
        );
        assert_eq!(
            validated.unwrap_err().to_string(),
            format!("`{name}` is not offered to `validate`")
        );
    }
}

#[test]
fn the_calls_above_are_all_functions_of_the_contract() {
    let functions: usize = WIT
        .lines()
        .filter(|line| line.starts_with("    ") && line.contains(": func("))
        .count();
    // Without the eight that a strategy exports.
    assert_eq!(functions - 8, CALLS.len());
}

#[test]
fn a_read_that_the_snapshot_lacks_ends_the_round() {
    let body = "(call $plan.purge 'a') (call $log.write (i32.const 1) 'one')
        (call $context.application (i32.const 512)) (call $cluster.serves 'v1' 'Pod') drop
        (call $context.application (i32.const 512)) (call $log.write (i32.const 1) 'two')";
    let strategy = load(Guest::restoring(body)).unwrap();
    let mut evaluation = evaluation(&strategy, Question::Restore);
    let Round::Needs(read) = evaluation.round().unwrap() else {
        panic!("it finished")
    };
    assert_eq!(read, Read::Application);
    // Absence is an answer: it is not asked for again.
    evaluation.supply(read, Answer::Text(None));
    let Round::Needs(read) = evaluation.round().unwrap() else {
        panic!("it finished")
    };
    evaluation.supply(read.clone(), Answer::Flag(false));
    let Round::Finished(finished) = evaluation.round().unwrap() else {
        panic!("it did not finish")
    };
    assert_eq!(finished.reads, [Read::Application, read]);
    assert_eq!(finished.answer, Reply::Step(Step::Done));
    assert_eq!(
        finished.plan.actions.len(),
        1,
        "an aborted round's actions are dropped"
    );
    let log: Vec<&str> = finished
        .log
        .iter()
        .map(|line| line.message.as_str())
        .collect();
    assert_eq!(log, ["one", "two"], "an aborted round's lines are dropped");
    assert_eq!(finished.cost.rounds, 3);
    assert!(finished.cost.fuel > 0 && finished.cost.memory_bytes == 2 << 16);
}

#[test]
fn what_is_read_no_more_is_not_among_the_reads() {
    let strategy = load(Guest::restoring(
        "(call $context.application (i32.const 512))",
    ))
    .unwrap();
    let mut snapshot = Snapshot::default();
    snapshot.insert(Read::Application, Answer::Text(None));
    snapshot.insert(Read::Spec(View::Subject), Answer::Text(None));
    let finished = run(
        strategy.evaluate(Question::Restore, Arc::new(request()), snapshot),
        answer,
    )
    .unwrap();
    assert_eq!(finished.reads, [Read::Application]);
    assert_eq!(finished.cost.rounds, 1);
}

#[test]
fn an_evaluation_is_a_function_of_request_and_snapshot() {
    let body = "(call $context.application (i32.const 512)) (call $plan.event (i32.const 1) 'Slow' 'it takes long')";
    let strategy = load(Guest::restoring(body)).unwrap();
    let once = || run(evaluation(&strategy, Question::Restore), answer).unwrap();
    assert_eq!(once(), once());
}

#[test]
fn an_evaluation_moves_between_threads() {
    let strategy = load(Guest::default()).unwrap();
    let mut evaluation = evaluation(&strategy, Question::Check);
    let round = std::thread::spawn(move || evaluation.round())
        .join()
        .unwrap()
        .unwrap();
    let Round::Finished(finished) = round else {
        panic!("it did not finish")
    };
    assert_eq!(finished.answer, Reply::Verdict(Verdict::Present(None)));
}

#[test]
fn an_answer_of_the_wrong_shape_is_the_hosts_fault() {
    let strategy = load(Guest::restoring(
        "(call $context.application (i32.const 512))",
    ))
    .unwrap();
    let error = run(evaluation(&strategy, Question::Restore), |_| {
        Answer::Flag(true)
    })
    .unwrap_err();
    assert!(matches!(error, EvaluationError::Internal(_)), "{error}");
}

#[test]
fn everything_that_was_written_down_is_in_the_plan() {
    let body: String = CALLS
        .iter()
        .filter(|(name, _)| name.starts_with("plan."))
        .map(|(_, call)| *call)
        .collect();
    let plan = ask(Question::Restore, &body).unwrap().plan;
    let verbs: Vec<&str> = plan.actions.iter().map(Action::verb).collect();
    assert_eq!(
        verbs,
        [
            "create",
            "dry-run",
            "apply",
            "merge",
            "delete",
            "delete-all",
            "suspend",
            "resume",
            "purge"
        ]
    );
    let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" } });
    assert_eq!(
        plan.actions[0],
        Action::Create {
            object,
            lifetime: Lifetime::Kept
        }
    );
    let Action::Merge { patch, .. } = &plan.actions[3] else {
        panic!("{:?}", plan.actions[3])
    };
    assert_eq!(patch, &json!({ "data": null }));
    let Action::Delete {
        uid,
        propagation: Propagation::Foreground,
        ..
    } = &plan.actions[4]
    else {
        panic!()
    };
    assert_eq!(uid.as_deref(), Some("5f0c"));
    let Action::DeleteAll { matching, .. } = &plan.actions[5] else {
        panic!()
    };
    assert_eq!(
        (
            matching.labels[0].key.as_str(),
            matching.labels[0].value.as_str()
        ),
        ("app", "orders")
    );
    assert_eq!(plan.remember, Some(Some("{\"step\":2}".into())));
    assert_eq!(
        (
            plan.conditions[0].type_.as_str(),
            plan.events[0].reason.as_str()
        ),
        ("WALArchiveReady", "Slow")
    );
}

#[test]
fn validate_has_a_door_of_its_own() {
    let strategy = load(Guest::default()).unwrap();
    assert_eq!(strategy.validate("{}", &[]).unwrap(), []);
    let error = evaluation(&strategy, Question::Validate)
        .round()
        .unwrap_err();
    assert!(matches!(error, EvaluationError::Internal(_)), "{error}");
}
