//! What an evaluation costs, and what stands around it.
//!
//! `cargo bench -p backup-sandbox`. The strategy must have been built: `cargo xtask bundle`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that cannot run says so by panicking"
)]

#[path = "../tests/guest/mod.rs"]
mod guest;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use backup_sandbox::{
    Answer, Compiler, EvaluationError, Limits, Question, Read, Request, Round, Sandbox, Settings,
    Snapshot, Strategy,
    contract::{ApplicationRef, Bucket, Entry, JobIdentity},
};
use divan::{Bencher, counter::ItemsCount};
use guest::{Guest, forever};
use tempfile::TempDir;

/// The strategy that is measured. `COMPONENT=target/bundle/cnpg.wasm` measures the real one.
const COMPONENT: &str = "target/fixtures/small.wasm";

/// How late a guest that loops may be stopped.
const LATEST: Duration = Duration::from_millis(20);

fn main() {
    divan::main();
}

fn component() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join(std::env::var("COMPONENT").unwrap_or_else(|_| COMPONENT.to_owned()));
    fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo xtask bundle` builds it",
            file.display()
        )
    })
}

struct Place {
    sandbox: Sandbox,
    _folder: TempDir,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(Settings::new(folder.path(), Compiler::InProcess)).unwrap();
    Place {
        sandbox,
        _folder: folder,
    }
}

fn request(parameters: &[(&str, &str)]) -> Arc<Request> {
    let entry = |(key, value): &(&str, &str)| Entry {
        key: (*key).into(),
        value: (*value).into(),
    };
    Arc::new(Request {
        now: 1_700_000_000,
        job: JobIdentity {
            kind: "BackupJob".into(),
            namespace: "tenant-acme".into(),
            name: "nightly".into(),
            uid: "5f0c0a6e-6a0e-4d0e-8f1a-0c8f6c1f3f10".into(),
            started_at: 1_699_999_000,
        },
        options: "{}".into(),
        subject: ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "Postgres".into(),
            namespace: "tenant-acme".into(),
            name: "orders".into(),
        },
        parameters: parameters.iter().map(entry).collect(),
        source: None,
        state: None,
        refused: None,
        prefixes: vec!["tenant-acme/orders".into()],
    })
}

/// A JSON document of about so many bytes around these members.
fn document(bytes: usize, members: &str) -> Answer {
    let padding: Vec<String> = (0..bytes / 64)
        .map(|number| {
            format!(
                r#""key-{number:04}":{{"name":"value-{number:04}","enabled":true,"size":"10Gi"}}"#
            )
        })
        .collect();
    Answer::Text(Some(
        format!("{{{members},\"padding\":{{{}}}}}", padding.join(",")).into(),
    ))
}

/// The cluster, as a backup that is finished finds it.
fn answer(read: &Read) -> Answer {
    match read {
        Read::Application => document(4 << 10, r#""spec":{"replicas":3}"#),
        Read::Object(target) if target.kind == "Cluster" => document(
            2 << 10,
            r#""metadata":{"uid":"1"},"status":{"currentPrimary":"orders-1"}"#,
        ),
        Read::Object(target) if target.kind == "Backup" => document(
            512,
            r#""status":{"phase":"completed","backupId":"20240101T000000"}"#,
        ),
        Read::Bucket => Answer::Bucket(Bucket {
            name: "backups".into(),
            endpoint: "https://s3.example.org".into(),
            region: "us-east-1".into(),
            force_path_style: true,
            credentials_secret: "cozy-backups-creds".into(),
        }),
        Read::Objects(_) => Answer::Texts(Vec::new()),
        Read::Serves { .. } => Answer::Flag(true),
        Read::StoredObjects { .. } => Answer::Stored(Vec::new()),
        _ => Answer::Text(Some("{}".into())),
    }
}

/// Everything that the strategy reads, so that it needs no second round.
fn steady(strategy: &Strategy, request: &Arc<Request>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    loop {
        let mut evaluation =
            strategy.evaluate(Question::Backup, Arc::clone(request), snapshot.clone());
        match evaluation.round().unwrap() {
            Round::Needs(read) => {
                let answer = answer(&read);
                snapshot.insert(read, answer);
            }
            Round::Finished(_) => return snapshot,
        }
    }
}

fn evaluated(bencher: Bencher<'_, '_>, parameters: &[(&str, &str)]) {
    let place = place();
    let strategy = place.sandbox.load(&component(), Limits::default()).unwrap();
    let request = request(parameters);
    let snapshot = steady(&strategy, &request);
    bencher
        .counter(ItemsCount::new(1_u32))
        .with_inputs(|| snapshot.clone())
        .bench_values(|snapshot| {
            strategy
                .evaluate(Question::Backup, Arc::clone(&request), snapshot)
                .round()
                .unwrap()
        });
}

/// A finished backup's evaluation, without a second round. Its items per second are one core's.
#[divan::bench(sample_count = 2_000, sample_size = 5)]
fn evaluate(bencher: Bencher<'_, '_>) {
    evaluated(bencher, &[]);
}

/// The same, when it parses an application of 4 KiB.
#[divan::bench(sample_count = 2_000, sample_size = 5)]
fn evaluate_reading_the_application(bencher: Bencher<'_, '_>) {
    evaluated(bencher, &[("read-application", "true")]);
}

/// A store, an instance, a call that returns at once, and everything given back: what no strategy can avoid.
#[divan::bench(sample_count = 2_000, sample_size = 10)]
fn instantiate(bencher: Bencher<'_, '_>) {
    let place = place();
    let strategy = place
        .sandbox
        .load(&Guest::default().build(), Limits::default())
        .unwrap();
    bencher.bench(|| strategy.validate("{}", &[]).unwrap());
}

/// The same with the measured strategy, whose allocator grows its memory, which the kernel must permit and
/// forbid again.
#[divan::bench(sample_count = 2_000, sample_size = 10)]
fn validate(bencher: Bencher<'_, '_>) {
    let place = place();
    let strategy = place.sandbox.load(&component(), Limits::default()).unwrap();
    bencher.bench(|| strategy.validate("{}", &[]).unwrap());
}

/// A component whose compiled code is in the cache: digests of both files, mapping, linking, `describe`.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn load_from_the_cache(bencher: Bencher<'_, '_>) {
    let place = place();
    let component = component();
    place.sandbox.load(&component, Limits::default()).unwrap();
    bencher.bench(|| place.sandbox.load(&component, Limits::default()).unwrap());
}

/// How long a guest runs that never returns and has 1 ms. Fails when one is stopped more than 20 ms late.
#[divan::bench(sample_count = 100, sample_size = 1)]
fn stop_a_loop_after_1_ms(bencher: Bencher<'_, '_>) {
    let deadline = Duration::from_millis(1);
    let place = place();
    let limits = Limits {
        deadline,
        fuel: u64::MAX,
        ..Limits::default()
    };
    let strategy = place
        .sandbox
        .load(&Guest::restoring(&forever("")).build(), limits)
        .unwrap();
    let request = request(&[]);
    bencher.bench(|| {
        let began = Instant::now();
        let mut evaluation =
            strategy.evaluate(Question::Restore, Arc::clone(&request), Snapshot::default());
        let error = evaluation.round().unwrap_err();
        let late = began.elapsed().saturating_sub(deadline);
        assert!(matches!(error, EvaluationError::Deadline { .. }), "{error}");
        assert!(late < LATEST, "{late:?} late");
    });
}
