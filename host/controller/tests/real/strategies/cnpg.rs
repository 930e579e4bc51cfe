//! Postgres.

use stage::{Cnpg, Fate, Workplace};

use crate::{bucket::bucket, cluster::Scene};

/// A tenant's database, from its backup on.
pub async fn story() {
    let scene = Scene::empty().await;
    let database = stage::postgres_objects(scene.namespace(), "orders-db", "a-password");
    scene.put_with_status(database.unwrap()).await;
    let place = Workplace::new(bucket()).of_namespace(scene.namespace());
    let _operator = scene.play(Cnpg::at(place, Fate::Completes));

    scene
        .backup_job_of("nightly", "Postgres", "orders-db")
        .await;
    let job = scene.ended("BackupJob", "nightly").await;
    assert_eq!(job["status"]["phase"], "Succeeded", "{job}");
}
