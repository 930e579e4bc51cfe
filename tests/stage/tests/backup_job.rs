//! The way of a BackupJob, with the CNPG strategy as the real component.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    ApiError, ApiReason, Caller, Cluster as _, Part,
    memory::{Operation, Verb, Verdict},
};
use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Cnpg, Fate, Operator as _, Stage};

const TENANT: &str = "tenant-acme";

/// A platform with the CNPG plugin, and a tenant with a database.
fn stage() -> Stage {
    let stage = Stage::new().unwrap();
    stage.serve(&Stage::bundled("cnpg.wasm").unwrap()).unwrap();
    stage.platform().unwrap();
    stage.namespace(TENANT).unwrap();
    stage.postgres(TENANT, "orders-db", "a-password").unwrap();
    stage
}

/// Host and operator take turns until the job ends.
async fn play(stage: &mut Stage, operator: &Cnpg, job: &str) -> String {
    for _ in 0..60 {
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, job);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        stage.cluster.advance(20);
        let now = Timestamp::from_second(stage.cluster.now()).unwrap();
        operator.step(&stage.cluster, now).await.unwrap();
    }
    panic!("the job did not end; it says {}", stage.job(TENANT, job));
}

fn operator(stage: &Stage, fate: Fate) -> Cnpg {
    Cnpg::new(Arc::clone(&stage.storage), fate)
}

/// An object without what differs from run to run or only machines read.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        metadata.remove(member);
    }
    object
}

fn backups_of_the_operator(stage: &Stage) -> Vec<Arc<Value>> {
    let is_backup = |object: &Arc<Value>| {
        object["kind"] == "Backup" && object["apiVersion"] == "postgresql.cnpg.io/v1"
    };
    stage
        .cluster
        .objects()
        .into_iter()
        .filter(is_backup)
        .collect()
}

#[tokio::test]
async fn the_documented_job_leads_to_a_backup() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert_eq!(said, "Succeeded BackupCompleted: Backup ad-hoc is complete");

    let read = |api_version: &str, kind: &str, name: &str| {
        shown(
            &stage
                .cluster
                .read(api_version, kind, Some(TENANT), name)
                .unwrap(),
        )
    };
    insta::assert_yaml_snapshot!("object-store", read("barmancloud.cnpg.io/v1", "ObjectStore", "postgres-orders-db"), {
        ".metadata.ownerReferences[].uid" => "(uid)",
    });
    insta::assert_yaml_snapshot!(
        "cluster",
        read("postgresql.cnpg.io/v1", "Cluster", "postgres-orders-db")
    );
    insta::assert_yaml_snapshot!("cnpg-backup", shown(&backups_of_the_operator(&stage)[0]), {
        ".metadata.name" => "(name)",
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
    });
    insta::assert_yaml_snapshot!("backup", shown(&stage.read("Backup", TENANT, "ad-hoc")), {
        ".metadata.labels[\"backups.cozystack.io/owned-by.UID\"]" => "(uid)",
        ".spec.plugin.digest" => "(digest)",
        ".spec.driverMetadata[\"cnpg.io/backup-name\"]" => "(name)",
        ".status.artifact.uri" => "(uri)",
    });
}

// Defect 26 of the reference: what a template was given could end up in what tenants read.
#[tokio::test]
async fn no_secret_stands_where_the_tenant_reads() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    play(&mut stage, &operator, "ad-hoc").await;
    for object in stage
        .cluster
        .objects()
        .iter()
        .filter(|object| object["kind"] != "Secret")
    {
        let text = object.to_string();
        assert!(
            !text.contains(&stage.access_key) && !text.contains(&stage.secret_key),
            "{text}"
        );
        assert!(
            object["kind"] == "Postgres" || !text.contains("a-password"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn foreign_plugins_of_the_cluster_are_kept() {
    let mut stage = stage();
    let mut cluster = stage
        .cluster
        .read(
            "postgresql.cnpg.io/v1",
            "Cluster",
            Some(TENANT),
            "postgres-orders-db",
        )
        .unwrap();
    cluster["spec"]["plugins"] =
        json!([{ "name": "audit.example.org", "parameters": { "level": "all" } }]);
    stage.cluster.put(cluster).unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    play(&mut stage, &operator, "ad-hoc").await;
    let cluster = stage
        .cluster
        .read(
            "postgresql.cnpg.io/v1",
            "Cluster",
            Some(TENANT),
            "postgres-orders-db",
        )
        .unwrap();
    let plugins = cluster["spec"]["plugins"].as_array().unwrap();
    assert_eq!(plugins.len(), 2);
    assert_eq!(
        plugins[0],
        json!({ "name": "audit.example.org", "parameters": { "level": "all" } })
    );
}

#[tokio::test]
async fn a_failure_of_the_operator_is_told_to_the_tenant() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Fails("no space left on device".to_owned()));
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: CNPGBackupFailed: CloudNativePG has failed: no space left on device"
    );
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
}

#[tokio::test]
async fn a_job_that_never_ends_is_ended_after_a_day() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Stalls);
    for _ in 0..10 {
        stage.runner.settle().await.unwrap();
        stage.cluster.advance(20);
        operator
            .step(
                &stage.cluster,
                Timestamp::from_second(stage.cluster.now()).unwrap(),
            )
            .await
            .unwrap();
    }
    stage.runner.settle().await.unwrap();
    assert!(
        stage
            .job(TENANT, "ad-hoc")
            .starts_with("Running Running: BackupRunning"),
        "{}",
        stage.job(TENANT, "ad-hoc")
    );
    while let Some(at) = stage.runner.next_at() {
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: not finished by "),
        "{said}"
    );
}

// Defect 18 of the reference: every job asked every few seconds, one job at a time.
#[tokio::test]
async fn a_quiet_job_costs_no_requests() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Stalls);
    for _ in 0..6 {
        stage.runner.settle().await.unwrap();
        operator
            .step(
                &stage.cluster,
                Timestamp::from_second(stage.cluster.now()).unwrap(),
            )
            .await
            .unwrap();
    }
    stage.runner.settle().await.unwrap();
    drop(stage.cluster.take_requests());
    stage.cluster.advance(3600);
    stage.postgres(TENANT, "another-db", "x").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(stage.cluster.take_requests(), []);
}

/// Runs the job with a fault at the nth request that writes, and a restart of the host after it. Gives back how
/// many writes there were before the fault.
async fn with_fault_at(nth: usize, is_lost: bool) -> (Stage, String, bool) {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let writes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&writes);
    stage.cluster.set_interceptor(move |operation: &Operation| {
        // The operator writes as the host in this story; what it writes is told apart by its kinds.
        let is_operators =
            operation.purpose.is_empty() && matches!(operation.kind.as_str(), "Pod" | "Cluster");
        let is_operators = is_operators
            || (operation.purpose.is_empty() && operation.api_version == "postgresql.cnpg.io/v1");
        if !operation.writes() || is_operators || counter.fetch_add(1, Ordering::Relaxed) != nth {
            return Verdict::Pass;
        }
        let error = ApiError::new(ApiReason::Unavailable, "the connection broke");
        if is_lost {
            Verdict::Fail(error)
        } else {
            Verdict::PassThenFail(error)
        }
    });
    let mut was_hit = false;
    for _ in 0..60 {
        while let Some(passed) = stage.runner.step().await {
            if passed.failed.is_some() {
                was_hit = true;
                stage.restart();
            }
        }
        if stage.job(TENANT, "ad-hoc").starts_with("Succeeded") {
            break;
        }
        stage.cluster.advance(20);
        operator
            .step(
                &stage.cluster,
                Timestamp::from_second(stage.cluster.now()).unwrap(),
            )
            .await
            .unwrap();
    }
    let said = stage.job(TENANT, "ad-hoc");
    (stage, said, was_hit)
}

#[tokio::test]
async fn a_crash_before_or_after_any_write_ends_the_same_way_with_one_backup() {
    for is_lost in [true, false] {
        let mut nth = 0;
        loop {
            let (stage, said, was_hit) = with_fault_at(nth, is_lost).await;
            assert_eq!(
                said, "Succeeded BackupCompleted: Backup ad-hoc is complete",
                "fault at write {nth}"
            );
            assert_eq!(
                backups_of_the_operator(&stage).len(),
                1,
                "fault at write {nth}"
            );
            if !was_hit {
                break;
            }
            nth += 1;
        }
        assert!(nth >= 6, "only {nth} writes");
    }
}

// Defect 8 of the reference: the new job found the old one's objects and succeeded at once with old data.
#[tokio::test]
async fn a_job_created_anew_under_an_old_name_starts_anew() {
    let mut stage = stage();
    let operator = operator(&stage, Fate::Completes);
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    play(&mut stage, &operator, "ad-hoc").await;
    let first = backups_of_the_operator(&stage)[0]["metadata"]["name"].clone();
    stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();

    // The Backup of the first job is there: the second says so before it touches anything.
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(
        said.starts_with("Failed BackupFailed: a Backup named ad-hoc exists already"),
        "{said}"
    );
    assert_eq!(backups_of_the_operator(&stage).len(), 1);

    stage.delete("BackupJob", TENANT, "ad-hoc").await.unwrap();
    // The first Backup's data goes first. Until then its name is taken.
    let mut held = stage.read("Backup", TENANT, "ad-hoc");
    let finalizers = held["metadata"]["finalizers"].as_array_mut().unwrap();
    finalizers.push(json!("example.org/hold"));
    stage.cluster.put(held).unwrap();
    stage.delete("Backup", TENANT, "ad-hoc").await.unwrap();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "ad-hoc"),
        "Pending Waiting: a Backup named ad-hoc, of another job, is being removed"
    );
    let target = ObjectRef {
        api_version: backup_api::names::API_VERSION.to_owned(),
        kind: "Backup".to_owned(),
        namespace: Some(TENANT.to_owned()),
        name: "ad-hoc".to_owned(),
    };
    let let_go = json!({ "metadata": { "finalizers": null } });
    let (user, part) = (Caller::host(), Part::Main);
    let merged = stage.cluster.merge(&user, "test", &target, &let_go, part);
    merged.await.unwrap();
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let names: Vec<Value> = backups_of_the_operator(&stage)
        .iter()
        .map(|b| b["metadata"]["name"].clone())
        .collect();
    // What belonged to the first Backup went with it.
    assert_eq!(names.len(), 1);
    assert!(!names.contains(&first));
}

#[tokio::test]
async fn a_job_that_another_controller_began_long_ago_ends_before_anything_is_ordered_for_it() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let mut job = stage.read("BackupJob", TENANT, "ad-hoc");
    let begun = Timestamp::from_second(stage.cluster.now() - 25 * 60 * 60).unwrap();
    job["status"] = json!({ "phase": "Running", "startedAt": begun.to_string() });
    stage.cluster.put(job).unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(
        said.starts_with("Failed BackupFailed: not finished by"),
        "{said}"
    );
    assert!(backups_of_the_operator(&stage).is_empty());
}

// Defect 5 of the reference: nothing kept two jobs of one application apart.
#[tokio::test]
async fn an_application_is_worked_on_by_one_job_at_a_time() {
    let mut stage = stage();
    let operator = operator(&stage, Fate::Completes);
    stage.backup_job(TENANT, "first", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    stage.backup_job(TENANT, "second", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    assert_eq!(
        stage.job(TENANT, "second"),
        "Pending ApplicationBusy: BackupJob first works on this application; this job goes on when it has ended"
    );
    // A restart does not let the second in.
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert!(
        stage
            .job(TENANT, "second")
            .starts_with("Pending ApplicationBusy")
    );
    assert!(
        play(&mut stage, &operator, "first")
            .await
            .starts_with("Succeeded")
    );
    assert!(
        play(&mut stage, &operator, "second")
            .await
            .starts_with("Succeeded")
    );
    assert_eq!(backups_of_the_operator(&stage).len(), 2);
}

#[tokio::test]
async fn requests_of_the_strategy_are_made_as_its_own_account() {
    let mut stage = stage();
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    drop(stage.cluster.take_requests());
    let operator = operator(&stage, Fate::Completes);
    stage.runner.settle().await.unwrap();
    for request in stage.cluster.take_requests() {
        let is_strategys = matches!(
            request.api_version.as_str(),
            "postgresql.cnpg.io/v1" | "barmancloud.cnpg.io/v1"
        );
        let is_hosts =
            request.api_version.starts_with("backups.cozystack.io") || request.kind == "Secret";
        let by_strategy = format!("{:?}", request.account).contains("strategy-cnpg");
        assert!(!is_strategys || by_strategy, "{request:?}");
        assert!(!is_hosts || !by_strategy, "{request:?}");
    }
    play(&mut stage, &operator, "ad-hoc").await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_and_the_job_goes_on_when_it_is_granted() {
    let mut stage = stage();
    stage.cluster.set_policy(|operation: &Operation| {
        !(operation.verb == Verb::Create && operation.api_version == "postgresql.cnpg.io/v1")
    });
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    let operator = operator(&stage, Fate::Completes);
    for _ in 0..4 {
        stage.runner.settle().await.unwrap();
        operator
            .step(
                &stage.cluster,
                Timestamp::from_second(stage.cluster.now()).unwrap(),
            )
            .await
            .ok();
    }
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    assert!(said.contains(" PermissionMissing: create Backup"), "{said}");
    assert!(
        said.contains("system:serviceaccount:cozy-backup-controller:strategy-cnpg"),
        "{said}"
    );
    assert!(
        said.contains("cannot create resource \"backups\""),
        "{said}"
    );
    stage.cluster.clear_policy();
    let said = play(&mut stage, &operator, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

// Found by the simulation: who had the application was another job after each restart of the host.
#[tokio::test]
async fn a_job_that_waits_for_a_right_keeps_no_other_from_the_application() {
    let mut stage = stage();
    stage.cluster.set_policy(|operation: &Operation| {
        !(operation.kind == "Cluster" && operation.purpose.contains("/first"))
    });
    let operator = operator(&stage, Fate::Completes);
    stage.backup_job(TENANT, "first", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "first");
    assert!(said.starts_with("Pending PermissionMissing"), "{said}");
    stage.backup_job(TENANT, "second", "orders-db").unwrap();
    let said = play(&mut stage, &operator, "second").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let said = stage.job(TENANT, "first");
    assert!(said.starts_with("Pending PermissionMissing"), "{said}");
}
