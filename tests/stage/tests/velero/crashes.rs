//! A host that ends between any two requests, and evaluations that are repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use backup_engine::cluster::{
    Account, ApiError, ApiReason,
    memory::{Operation, Verb, Verdict},
};

use super::*;

/// From now on the request with this number and those behind it fail, until the host is restarted.
fn crash_at(world: &World, number: usize) -> Arc<AtomicUsize> {
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    world
        .stage
        .cluster
        .set_interceptor(move |operation: &Operation| {
            let is_read = matches!(operation.verb, Verb::Get | Verb::List);
            let is_operators =
                operation.account == Account::Host && is_operators_kind(&operation.kind);
            if is_read || is_operators {
                return Verdict::Pass;
            }
            if counted.fetch_add(1, Ordering::Relaxed) >= number {
                return Verdict::Fail(ApiError::new(ApiReason::Unavailable, "the host is gone"));
            }
            Verdict::Pass
        });
    seen
}

/// What only the played operators write under the account of the host.
fn is_operators_kind(kind: &str) -> bool {
    !matches!(
        kind,
        "RestoreJob" | "BackupJob" | "Backup" | "HelmRelease" | "Event"
    )
}

async fn to_the_end(world: &mut World, kind: &str, name: &str) -> String {
    for _ in 0..200 {
        world.stage.restart();
        // A host that has just started hears of everything that is there.
        world.stage.runner.settle().await.ok();
        let said = world.stage.said(kind, TENANT, name);
        if said.starts_with("Succeeded") || said.starts_with("Failed") {
            return said;
        }
        world.stage.cluster.advance(20);
        world.step().await;
    }
    panic!("{}", world.stage.said(kind, TENANT, name));
}

#[tokio::test]
async fn a_restore_ends_the_same_wherever_the_host_is_cut_off() {
    let mut number = 0;
    loop {
        let mut world = World::with_backup().await;
        let seen = crash_at(&world, number);
        world.restore(&json!({}));
        let mut was_cut_off = false;
        for _ in 0..30 {
            world.stage.runner.settle().await.ok();
            if seen.load(Ordering::Relaxed) > number {
                was_cut_off = true;
                break;
            }
            if world
                .stage
                .said("RestoreJob", TENANT, "back")
                .starts_with("Succeeded")
            {
                break;
            }
            world.stage.cluster.advance(20);
            let now = Timestamp::from_second(world.stage.cluster.now()).unwrap();
            // What is refused to the host is refused to Helm, which has the same account here.
            world.velero.step(&world.stage.cluster, now).await.ok();
        }
        world
            .stage
            .cluster
            .set_interceptor(|_: &Operation| Verdict::Pass);
        let said = to_the_end(&mut world, "RestoreJob", "back").await;
        assert!(said.starts_with("Succeeded"), "cut off at {number}: {said}");
        world.operators_rest().await;
        world.is_at_peace("first");
        assert_eq!(world.aside().len(), 2, "cut off at {number}");
        assert_eq!(
            world.all((API, "Restore"), VELERO).len(),
            1,
            "cut off at {number}"
        );
        if !was_cut_off {
            break;
        }
        number += 1;
    }
    assert!(number > 15, "only {number} requests were cut off");
}

#[tokio::test]
async fn an_undoing_ends_the_same_with_a_new_host_for_each_pass() {
    let mut world = World::with_backup().await;
    world.fate(VeleroFate::RestoreEnds("Failed".to_owned(), "x".to_owned()));
    world.restore(&json!({}));
    let said = to_the_end(&mut world, "RestoreJob", "back").await;
    assert!(said.contains("VeleroRestoreFailed"), "{said}");
    world.fate(VeleroFate::Completes);
    world.operators_rest().await;
    world.is_at_peace("later");
}

#[tokio::test]
async fn a_backup_is_ordered_once_with_a_new_host_for_each_pass() {
    let mut world = World::new().await;
    world.backup("nightly", "VMInstance", "web");
    let said = to_the_end(&mut world, "BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(world.all((API, "Backup"), VELERO).len(), 1);
}

#[tokio::test]
async fn a_copy_under_another_name_ends_the_same_with_a_new_host_for_each_pass() {
    let mut world = World::with_backup_of_disk().await;
    world.open();
    let options = json!({ "targetNamespace": OTHER });
    world
        .stage
        .restore_job_to(TENANT, "back", "nightly", ("VMDisk", "copy"), &options)
        .unwrap();
    let said = to_the_end(&mut world, "RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world.operators_rest().await;
    let claims: Vec<String> = world.all(CLAIM, OTHER).into_keys().collect();
    assert_eq!(claims, ["vm-disk-copy"]);
    assert_eq!(world.data(OTHER, "vm-disk-copy"), "first");
}

// Each read that a host has not made before takes a round, and there are 16.
#[tokio::test]
async fn a_machine_with_many_disks_is_restored_with_a_new_host_for_each_pass() {
    let mut world = World::new().await;
    let mut disks = vec![json!({ "name": "web-root" }), json!({ "name": "web-data" })];
    for number in 0..14 {
        let disk = format!("more-{number}");
        let mut release = world.read(RELEASE, TENANT, "vm-disk-web-root");
        release["metadata"] = json!({
            "name": format!("vm-disk-{disk}"),
            "namespace": TENANT,
            "labels": {
                "apps.cozystack.io/application.kind": "VMDisk",
                "apps.cozystack.io/application.name": disk,
            },
        });
        release.as_object_mut().unwrap().remove("status");
        world.stage.cluster.put(release).unwrap();
        disks.push(json!({ "name": disk }));
    }
    world.operators_rest().await;
    let application = ("apps.cozystack.io/v1alpha1", "VMInstance");
    world.change(application, TENANT, "web", |web| {
        web["spec"]["disks"] = json!(disks);
    });
    world.backup("nightly", "VMInstance", "web");
    let said = to_the_end(&mut world, "BackupJob", "nightly").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    world.restore(&json!({}));
    let said = to_the_end(&mut world, "RestoreJob", "back").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(world.aside().len(), 16);
    // And is undone the same way.
    world.fate(VeleroFate::RestoreEnds("Failed".to_owned(), "x".to_owned()));
    world
        .stage
        .restore_job(TENANT, "again", "nightly", &json!({}))
        .unwrap();
    let said = to_the_end(&mut world, "RestoreJob", "again").await;
    assert!(said.contains("VeleroRestoreFailed"), "{said}");
    assert_eq!(world.aside().len(), 16);
}

// Also where nothing of the old disks is to stay.
#[tokio::test]
async fn a_disk_never_is_without_its_data_wherever_a_job_is_cut_off_and_deleted() {
    for number in (0..32).step_by(2) {
        let mut world = World::with_backup().await;
        let seen = crash_at(&world, number);
        world.restore(&json!({ "keepOriginalPVC": false }));
        for _ in 0..30 {
            world.stage.runner.settle().await.ok();
            let said = world.stage.said("RestoreJob", TENANT, "back");
            if seen.load(Ordering::Relaxed) > number || said.starts_with("Succeeded") {
                break;
            }
            world.stage.cluster.advance(20);
            let now = Timestamp::from_second(world.stage.cluster.now()).unwrap();
            world.velero.step(&world.stage.cluster, now).await.ok();
        }
        world
            .stage
            .cluster
            .set_interceptor(|_: &Operation| Verdict::Pass);
        world
            .stage
            .delete("RestoreJob", TENANT, "back")
            .await
            .unwrap();
        world.stage.restart();
        for _ in 0..60 {
            world.turn().await;
            if world.stage.read("RestoreJob", TENANT, "back").is_null() {
                break;
            }
        }
        assert!(
            world.stage.read("RestoreJob", TENANT, "back").is_null(),
            "cut off at {number}"
        );
        world.operators_rest().await;
        let word = world.data(TENANT, "vm-disk-web-root");
        assert!(
            matches!(word.as_str(), "first" | "later"),
            "cut off at {number}: {word:?}"
        );
        world.is_at_peace(&word);
    }
}
