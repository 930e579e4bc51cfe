//! Etcd.

use stage::{EtcdFate, EtcdOperator, Workplace};

use crate::{bucket::bucket, cluster::Scene};

/// A tenant's etcd, from its backup on.
pub async fn story() {
    let scene = Scene::empty().await;
    let objects = stage::etcd_objects(scene.namespace(), "etcd").unwrap();
    scene.put_with_status(objects).await;
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    let _operator = scene.play(EtcdOperator::at(place, EtcdFate::Completes));

    scene.backup_job_of("nightly", "Etcd", "etcd").await;
    let job = scene.ended("BackupJob", "nightly").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");

    scene.restore_job("restore", "nightly").await;
    let job = scene.ended("RestoreJob", "restore").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");

    scene.delete("Backup", "nightly").await;
    scene.gone("Backup", "nightly").await;
}
