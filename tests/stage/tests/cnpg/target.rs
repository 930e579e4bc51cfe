//! How far a restore goes, and into what.

use serde_json::{Value, json};
use stage::Fate;

use crate::world::*;

const COPY: &str = "postgres-copy";

/// Options that ask for a moment.
fn moment(text: &str) -> Value {
    json!({ "recoveryTime": text })
}

fn target(stage: &stage::Stage) -> Value {
    cluster(stage)["spec"]["bootstrap"]["recovery"]["recoveryTarget"].clone()
}

#[tokio::test]
async fn a_point_in_time_is_reached_from_the_backup_that_was_named() {
    let mut stage = backed_up().await;
    stage.cluster.advance(600);
    archive_wal(&stage, ARCHIVE, 9);
    let time = "2026-11-25T13:06:00.123456+01:00";
    let said = restored(&mut stage, &moment(time), Fate::Completes).await;
    assert_eq!(said, RESTORED);
    assert_eq!(
        target(&stage),
        json!({ "backupID": base_of(&stage, "ad-hoc"), "targetTime": time })
    );
    assert_eq!(
        application(&stage)["spec"]["bootstrap"]["recoveryTime"],
        time
    );
    let operator = operator(&stage, Fate::Completes);
    turns(&mut stage, &operator, 2).await;
    assert_eq!(helm(&stage), "True: Helm upgrade succeeded");
}

#[tokio::test]
async fn latest_means_all_that_was_archived() {
    let mut stage = backed_up().await;
    let said = restored(&mut stage, &moment("latest"), Fate::Completes).await;
    assert_eq!(said, RESTORED);
    assert_eq!(
        target(&stage),
        json!({ "backupID": base_of(&stage, "ad-hoc") })
    );
}

// TestParseCNPGRestoreOptions: nil blob, missing fields.
#[tokio::test]
async fn an_empty_time_asks_for_nothing() {
    let mut stage = backed_up().await;
    let said = restored(&mut stage, &moment(""), Fate::Completes).await;
    assert_eq!(said, RESTORED);
    assert_eq!(target(&stage)["targetImmediate"], true);
}

/// A restore into the application `copy`, which has users and a database of its own.
async fn into_copy(stage: &mut stage::Stage, options: &Value) -> String {
    stage.postgres(TENANT, "copy", "word-of-the-copy").unwrap();
    let copy = object(stage, APPS, "Postgres", "copy");
    change(stage, copy, |copy| {
        copy["spec"]["users"]["stale"] = json!({ "password": "another-word" });
        copy["spec"]["databases"] = json!({ "stale": {} });
        copy["spec"]["backup"] = json!({
            "s3AccessKey": "left-over", "s3SecretKey": "left-over",
            "endpointCA": { "name": "left-over", "key": "ca" },
        });
        copy["spec"]["bootstrap"] = json!({ "recoveryTime": "2020-01-01T00:00:00Z" });
    });
    stage
        .restore_job_to(TENANT, "back", "ad-hoc", ("Postgres", "copy"), options)
        .unwrap();
    let operator = operator(stage, Fate::Completes);
    play(stage, &operator, "RestoreJob", "back").await
}

// TestResolveCNPGRestoreTarget
#[tokio::test]
async fn another_application_takes_the_data_and_the_source_is_only_read() {
    let mut stage = backed_up().await;
    let (before, source, keys) = (cluster(&stage), application(&stage), stage.storage.keys());
    assert_eq!(into_copy(&mut stage, &nothing()).await, RESTORED);
    assert_eq!(cluster(&stage), before);
    assert_eq!(application(&stage), source);
    assert_eq!(stage.storage.keys(), keys);
    let id = base_of(&stage, "ad-hoc");
    assert_eq!(
        recovered_from(&stage, COPY),
        format!("s3://cozy-backups/{ARCHIVE}/base/{id}")
    );
    assert_eq!(
        store(&stage, "postgres-copy-recovery")["spec"]["configuration"]["destinationPath"],
        "s3://cozy-backups/tenant-acme/orders-db/"
    );
}

// TestBuildPostgresAppRestorePatch_ReplacesTargetUsersAndDatabases, …_ScrubsStaleBackupSettings,
// …_ForwardsSecretRef_NotCleartext
#[tokio::test]
async fn the_other_application_says_what_it_holds_now_and_nothing_of_before() {
    let mut stage = backed_up().await;
    assert_eq!(into_copy(&mut stage, &nothing()).await, RESTORED);
    let spec = object(&stage, APPS, "Postgres", "copy")["spec"].clone();
    assert_eq!(
        spec["users"],
        json!({ "orders": { "password": "word-of-the-copy" } })
    );
    assert_eq!(
        spec["databases"],
        json!({ "orders": { "roles": { "admin": ["orders"] } } })
    );
    assert_eq!(
        spec["backup"],
        json!({
            "destinationPath": "s3://cozy-backups/tenant-acme/orders-db/",
            "endpointURL": "https://s3.cozy.example",
            "s3CredentialsSecret": {
                "name": "cozy-backups-creds",
                "accessKeyIDKey": "AWS_ACCESS_KEY_ID",
                "secretAccessKeyKey": "AWS_SECRET_ACCESS_KEY",
            },
        })
    );
    assert_eq!(spec["bootstrap"].get("recoveryTime"), None);
    assert_eq!(spec["bootstrap"]["enabled"], true);
    assert_eq!(spec["bootstrap"]["oldName"], "tenant-acme-orders-db");
    assert_eq!(spec["bootstrap"]["serverName"], "tenant-acme-orders-db");
}

#[tokio::test]
async fn a_copy_archives_into_a_place_of_its_own_from_its_first_backup_on() {
    let mut stage = backed_up().await;
    assert_eq!(into_copy(&mut stage, &nothing()).await, RESTORED);
    stage.backup_job(TENANT, "of-copy", "copy").unwrap();
    let operator = operator(&stage, Fate::Completes);
    let said = play(&mut stage, &operator, "BackupJob", "of-copy").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let metadata = backup(&stage, "of-copy")["spec"]["driverMetadata"].clone();
    assert_eq!(
        metadata["cnpg.io/destination-path"],
        "s3://cozy-backups/tenant-acme/copy/"
    );
    assert_eq!(metadata["cnpg.io/server-name"], "tenant-acme-copy");
}

// TestBuildPostgresAppRestorePatch_ForwardsCustomKeyOverrides, …_ForwardsEndpointCA
#[tokio::test]
async fn names_of_keys_and_of_an_authority_are_forwarded() {
    let mut stage = backed_up().await;
    let credentials = json!({
        "secretRef": { "name": "{{ .Application.metadata.name }}-keys" },
        "accessKeyIDKey": "id", "secretAccessKeyKey": "word",
    });
    set(&stage, "/barmanObjectStore/s3Credentials", credentials);
    let authority = json!({ "secretRef": { "name": "{{ .Application.metadata.name }}-ca" }, "key": "root.pem" });
    set(&stage, "/barmanObjectStore/endpointCA", authority);
    // As the reference has it: rendered for the target.
    assert_eq!(into_copy(&mut stage, &nothing()).await, RESTORED);
    let spec = object(&stage, APPS, "Postgres", "copy")["spec"].clone();
    assert_eq!(
        spec["backup"]["s3CredentialsSecret"],
        json!({ "name": "copy-keys", "accessKeyIDKey": "id", "secretAccessKeyKey": "word" })
    );
    assert_eq!(
        spec["backup"]["endpointCA"],
        json!({ "name": "copy-ca", "key": "root.pem" })
    );
    let configuration = store(&stage, "postgres-copy-recovery")["spec"]["configuration"].clone();
    assert_eq!(
        configuration["s3Credentials"]["secretAccessKey"],
        json!({ "name": "copy-keys", "key": "word" })
    );
    assert_eq!(
        configuration["endpointCA"],
        json!({ "name": "copy-ca", "key": "root.pem" })
    );
}
