//! The page as Prometheus reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use backup_engine::{Key, PluginOf};
use backup_sandbox::{Cost, Question};
use jiff::Timestamp;
use kube::{Client, Config};

use super::{passes::Ended, *};

/// What the page says: of each metric its type, and each sample with its labels.
struct Page {
    types: BTreeMap<String, String>,
    samples: BTreeMap<String, f64>,
}

impl Page {
    /// Reads the text format strictly: every line is a comment or a sample of a metric whose type was told.
    fn read(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let mut words = comment.splitn(3, ' ');
                let (what, name, rest) = (
                    words.next().unwrap(),
                    words.next().unwrap(),
                    words.next().unwrap(),
                );
                match what {
                    "TYPE" => {
                        let told = types.insert(name.to_owned(), rest.to_owned());
                        assert_eq!(told, None, "{name} is told twice");
                    }
                    "HELP" => assert!(!rest.is_empty(), "{name} has no help"),
                    other => panic!("{other}: {line}"),
                }
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let name = sample.split('{').next().unwrap();
            let of = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end).filter(|of| types.contains_key(*of)))
                .unwrap_or(name);
            let told = types.get(of);
            assert!(told.is_some(), "{name} has no type: {line}");
            assert_eq!(
                of != name,
                told.unwrap() == "histogram",
                "only histograms have parts: {line}"
            );
            samples.insert(sample.to_owned(), value.parse().unwrap());
        }
        Self { types, samples }
    }
}

fn metrics() -> Metrics {
    metrics_where(true)
}

/// Of a host that works, or stands by.
fn metrics_where(leads: bool) -> Metrics {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    // Nobody is asked.
    let config = Config::new("http://127.0.0.1:1".parse().unwrap());
    let cluster = RealCluster::new(Client::try_from(config).unwrap());
    let (_, leads) = watch::channel(leads);
    let requests = Requests::default();
    requests.count("GET", "200".to_owned());
    Metrics::new(
        &requests,
        32,
        cluster,
        Arc::default(),
        leads,
        Projections(Arc::default()),
    )
}

fn job(name: &str) -> Key {
    Key {
        kind: "BackupJob".to_owned(),
        namespace: "tenant-acme".to_owned(),
        name: name.to_owned(),
    }
}

const PLUGIN: PluginOf<'static> = PluginOf {
    strategy_kind: "CNPG",
    name: "cnpg",
};

const PLAN: PlanOf<'static> = PlanOf {
    namespace: "tenant-acme",
    name: "nightly",
};

const BACKUP: BackupOf<'static> = BackupOf {
    namespace: "tenant-acme",
    name: "nightly-1",
    strategy_kind: "CNPG",
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Lets everything happen once.
fn everything(metrics: &Metrics) {
    let passes = &metrics.passes;
    passes.joined(&job("one"));
    passes.began(&job("one"));
    passes.ended(&job("one"), Duration::from_millis(3), Ended::Failed);
    metrics.evaluated(&Evaluated {
        plugin: PLUGIN,
        question: Question::Backup,
        outcome: "Answered",
        computed: Duration::from_micros(25),
        cost: Cost {
            fuel: 100_000,
            memory_bytes: 1 << 20,
            rounds: 1,
        },
        reads: 3,
        actions: 2,
        finished: None,
    });
    metrics.setback(&PLUGIN, Reason::PlanRejected);
    metrics.job_ended(&JobEnd {
        kind: "BackupJob",
        phase: "Succeeded",
        reason: "BackupCompleted",
        class: "cozy-default",
        strategy_kind: "CNPG",
        took: Some(Duration::from_secs(30)),
    });
    metrics.plan_seen(
        &PLAN,
        &PlanSeen {
            last_success: Some(at(1_700_000_000)),
            success_due: Some(at(1_700_172_800)),
        },
    );
    metrics.backup_seen(&BACKUP, BackupState::Lost);
    metrics.backup_removed(&BACKUP, Removed::Done);
}

#[tokio::test]
async fn passes_are_counted_as_controller_runtime_counts_them() {
    let metrics = metrics();
    everything(&metrics);
    metrics.passes.joined(&job("two"));
    metrics.passes.joined(&job("three"));
    metrics.passes.left(&job("three"));
    let page = Page::read(&metrics.text());
    let labels = "{name=\"backupjob\",controller=\"backupjob\"}";
    for (sample, value) in [
        (
            "controller_runtime_reconcile_total{controller=\"backupjob\",result=\"error\"}",
            1.0,
        ),
        (
            "controller_runtime_reconcile_errors_total{controller=\"backupjob\"}",
            1.0,
        ),
        (
            "controller_runtime_reconcile_time_seconds_count{controller=\"backupjob\"}",
            1.0,
        ),
        (
            "controller_runtime_active_workers{controller=\"backupjob\"}",
            0.0,
        ),
        (
            "controller_runtime_max_concurrent_reconciles{controller=\"plan\"}",
            32.0,
        ),
        (&format!("workqueue_depth{labels}"), 1.0),
        (&format!("workqueue_adds_total{labels}"), 3.0),
        (&format!("workqueue_retries_total{labels}"), 1.0),
        (
            &format!("workqueue_queue_duration_seconds_count{labels}"),
            1.0,
        ),
        (
            &format!("workqueue_work_duration_seconds_count{labels}"),
            1.0,
        ),
    ] {
        assert_eq!(page.samples.get(sample), Some(&value), "{sample}");
    }
}

#[tokio::test]
async fn a_plan_that_is_gone_is_told_no_more_and_no_job_is_a_label() {
    let metrics = metrics();
    everything(&metrics);
    let sample = "cozystack_backup_plan_last_success_timestamp_seconds{namespace=\"tenant-acme\",plan=\"nightly\"}";
    let page = Page::read(&metrics.text());
    assert_eq!(page.samples.get(sample), Some(&1_700_000_000.0));
    let due = sample.replace("last_success", "success_due");
    assert_eq!(page.samples.get(&due), Some(&1_700_172_800.0));
    metrics.plan_gone(&PLAN);
    metrics.backup_gone(BACKUP.namespace, BACKUP.name);
    let text = metrics.text();
    assert!(!text.contains("tenant-acme"), "{text}");
    assert!(!text.contains("\"one\""), "{text}");
}

#[tokio::test]
async fn an_evaluation_of_some_microseconds_can_be_told_from_one_of_some_more() {
    let metrics = metrics();
    everything(&metrics);
    let page = Page::read(&metrics.text());
    let name = "cozystack_backup_evaluation_seconds_bucket{";
    let buckets = page.samples.iter().filter_map(|(sample, count)| {
        let (_, bound) = sample.strip_prefix(name)?.split_once("le=\"")?;
        let bound: f64 = bound.split('"').next()?.parse().ok()?;
        Some((bound * 1_000_000.0, *count))
    });
    let buckets: Vec<(f64, f64)> = buckets.collect();
    let holds_it = |from: f64, to: f64| {
        let within = buckets
            .iter()
            .filter(|(bound, _)| (from..to).contains(bound));
        within.map(|(_, count)| *count).collect::<Vec<f64>>()
    };
    assert_eq!(holds_it(9.0, 25.0), [0.0, 0.0], "10 and 20 µs: {buckets:?}");
    assert_eq!(holds_it(25.0, 50.0), [1.0], "40 µs: {buckets:?}");
}

#[tokio::test]
async fn a_suspended_plan_is_not_waited_for() {
    let metrics = metrics();
    everything(&metrics);
    metrics.plan_seen(&PLAN, &PlanSeen::default());
    let page = Page::read(&metrics.text());
    let due = "cozystack_backup_plan_success_due_timestamp_seconds";
    let told = page.samples.keys();
    assert!(!told.clone().any(|sample| sample.starts_with(due)));
}

#[tokio::test]
async fn a_lost_backup_is_counted_until_it_is_found_again_or_removed() {
    let metrics = metrics();
    let lost = "cozystack_backup_lost{namespace=\"tenant-acme\",strategy_kind=\"CNPG\"}";
    let told = |sample: &str| Page::read(&metrics.text()).samples.get(sample).copied();
    metrics.backup_seen(&BACKUP, BackupState::Lost);
    metrics.backup_seen(&BACKUP, BackupState::Lost);
    assert_eq!(told(lost), Some(1.0));
    metrics.backup_seen(&BACKUP, BackupState::InOrder);
    assert_eq!(told(lost), None);
}

#[tokio::test]
async fn a_host_that_stands_by_tells_of_no_backup() {
    let metrics = metrics_where(false);
    metrics.backup_seen(&BACKUP, BackupState::Lost);
    assert!(!metrics.text().contains("cozystack_backup_lost{"));
}

#[tokio::test]
async fn a_removal_is_told_while_it_lasts_and_what_came_of_it() {
    let metrics = metrics();
    let told = |sample: &str| Page::read(&metrics.text()).samples.get(sample).copied();
    let oldest = "cozystack_backup_removal_oldest_timestamp_seconds{strategy_kind=\"CNPG\"}";
    let left = "cozystack_backup_removals_total{strategy_kind=\"CNPG\",outcome=\"LeftBehind\"}";
    metrics.backup_seen(&BACKUP, BackupState::Removing(at(1_700_000_000)));
    let later = BackupOf {
        name: "nightly-2",
        ..BACKUP
    };
    metrics.backup_seen(&later, BackupState::Removing(at(1_700_000_060)));
    assert_eq!(told(oldest), Some(1_700_000_000.0));
    assert_eq!(told(left), Some(0.0), "so that an increase can be told");
    metrics.backup_removed(&BACKUP, Removed::LeftBehind);
    metrics.backup_gone(BACKUP.namespace, BACKUP.name);
    assert_eq!(told(oldest), Some(1_700_000_060.0));
    assert_eq!(told(left), Some(1.0));
}

/// The first column of the README's tables, without code marks, with the second.
fn documented() -> BTreeMap<String, String> {
    let page = include_str!("../../README.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (name, rest) = row.split_once("` |")?;
        Some((name.to_owned(), rest.split('|').next()?.trim().to_owned()))
    })
    .collect()
}

#[tokio::test]
async fn every_metric_is_in_the_readme_with_its_type() {
    let metrics = metrics();
    everything(&metrics);
    let page = Page::read(&metrics.text());
    let documented = documented();
    for (name, type_) in &page.types {
        assert_eq!(documented.get(name), Some(type_), "{name}");
    }
    let told: BTreeSet<&String> = page.types.keys().collect();
    let types = ["counter", "gauge", "histogram"];
    for (name, type_) in documented
        .iter()
        .filter(|(_, type_)| types.contains(&type_.as_str()))
    {
        assert!(
            told.contains(name),
            "{name} ({type_}) is documented and never told"
        );
    }
}
