//! Every attack of the hostile strategy.
//!
//! A new attack is a line in `attacks.json`: its name, what it does, and what the job says of it. Whatever it is, nothing
//! is written, and what must not be known stands neither in an object nor in the log.

use data_encoding::{BASE64, HEXLOWER};
use serde::Deserialize;

use super::*;

/// Shared with the component.
const ATTACKS: &str = include_str!("../../../fixtures/hostile/src/attacks.json");

#[derive(Deserialize)]
struct Attack {
    name: String,
    /// How the job's line begins at first.
    says: String,
}

/// The objects that the attacks are after.
fn put_victims(stage: &Stage) {
    let put = |object: Value| stage.cluster.put(object).unwrap();
    for namespace in [OTHER, SYSTEM] {
        put(config_map(namespace, "theirs", &json!({ "x": "x" })));
        put(
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "theirs", "namespace": namespace } }),
        );
    }
    let mut ours = config_map(TENANT, "ours", &json!({ "path": PREFIX }));
    ours["metadata"]["labels"] = json!({ "app": "ours" });
    put(ours);
    for (name, namespace) in [("ours", TENANT), ("theirs", OTHER)] {
        put(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": name },
            "spec": { "claimRef": { "namespace": namespace, "name": "data" } },
        }));
    }
    put(json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "Backup",
        "metadata": { "name": "kept", "namespace": TENANT, "finalizers": ["backups.cozystack.io/cleanup"] },
        "spec": {
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
            "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Hostile", "name": "hostile" },
            "takenAt": "2026-11-25T12:00:00Z",
        },
        "status": { "phase": "Ready", "artifact": { "uri": format!("s3://cozy-backups/{PREFIX}/kept/data") } },
    }));
    put_another_job(stage);
    stage.storage.put("tenant-other/theirs/data", 1, 1);
    stage.storage.put("tenant-acme/orders-db/kept/data", 1, 1);
}

/// A job that is under way, and an object of its.
fn put_another_job(stage: &Stage) {
    let job = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
        "metadata": { "name": "other", "namespace": TENANT },
        "spec": {
            "backupClassName": "absent",
            "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "other-db" },
        },
    });
    let job = stage.cluster.put(job).unwrap();
    let mut object = config_map(TENANT, "of-another-job", &json!({ "x": "x" }));
    object["metadata"]["labels"] = json!({
        "of": "another-job",
        "backups.cozystack.io/owned-by.UID": job["metadata"]["uid"],
    });
    stage.cluster.put(object).unwrap();
}

/// The objects that are not the host's own, which writes what happens, with the other job's.
fn world(stage: &Stage) -> Vec<Arc<Value>> {
    let mut objects = stage.cluster.objects();
    objects.retain(|object| {
        let group = object["apiVersion"].as_str().unwrap_or_default();
        !group.starts_with("backups.cozystack.io/")
            && !group.starts_with("events.k8s.io/")
            && object["metadata"]["name"] != "cozy-backups-creds"
    });
    objects
}

/// What the job says at first.
async fn attacked(attack: &Attack, log: &Log) -> String {
    let mut stage = stage(&json!({ "attack": attack.name }));
    put_victims(&stage);
    let (before, stored) = (world(&stage), stage.storage.keys());
    stage.backup_job(TENANT, "ad-hoc", "orders-db").unwrap();
    stage.runner.settle().await.unwrap();
    let said = stage.job(TENANT, "ad-hoc");
    nothing_is_known(&stage, log, &attack.name);
    to_the_end(&mut stage).await;

    let job = stage.read("BackupJob", TENANT, "ad-hoc");
    assert_eq!(job["status"]["phase"], "Failed", "{}", attack.name);
    assert_eq!(stage.read("Backup", TENANT, "ad-hoc"), Value::Null);
    assert_ne!(stage.read("Backup", TENANT, "kept"), Value::Null);
    assert_eq!(world(&stage), before, "{}", attack.name);
    assert_eq!(stage.storage.keys(), stored, "{}", attack.name);
    nothing_is_known(&stage, log, &attack.name);
    said
}

/// Neither the platform's key nor the application's password stands anywhere but where it belongs.
fn nothing_is_known(stage: &Stage, log: &Log, attack: &str) {
    let mut places: Vec<String> = vec![log.text()];
    let objects = stage.cluster.objects();
    let others = objects
        .iter()
        .filter(|object| object["kind"] != "Secret" && object["kind"] != "Postgres");
    places.extend(others.map(|object| object.to_string()));
    for secret in [stage.secret_key.as_str(), PASSWORD] {
        let forms = [
            secret.to_owned(),
            BASE64.encode(secret.as_bytes()),
            HEXLOWER.encode(secret.as_bytes()),
        ];
        for form in forms.map(|form| form.to_lowercase()) {
            let shown = places
                .iter()
                .find(|place| place.to_lowercase().contains(&form));
            assert_eq!(shown, None, "{attack}");
        }
    }
}

/// Whether a line begins with these words, where `<child>` stands for any name.
fn begins(said: &str, says: &str) -> bool {
    let words = says
        .replace("<namespace>", TENANT)
        .replace("<application>", "orders-db")
        .replace("<bucket>", "cozy-backups")
        .replace("<endpoint>", "https://s3.cozy.example")
        .replace("<prefix>", PREFIX);
    let mut parts = words.split("<child>");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(first) else {
        return false;
    };
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[tokio::test]
async fn every_attack_is_refused_in_its_own_words_and_leaves_nothing_behind() {
    let attacks: Vec<Attack> = serde_json::from_str(ATTACKS).unwrap();
    let mut wrong = Vec::new();
    for attack in &attacks {
        let log = Log::capture();
        let said = attacked(attack, &log).await;
        if !begins(&said, &attack.says) {
            wrong.push(format!(
                "{}\n  says   {said}\n  wanted {}",
                attack.name, attack.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_line_of_the_log_is_written_without_the_secrets_in_it() {
    let log = Log::capture();
    let script = json!([{ "log": "the key is <note>, the password <password>" }]);
    let mut stage = scripted(&script);
    stage.runner.settle().await.unwrap();
    assert!(
        log.text()
            .contains("the key is [redacted], the password [redacted]"),
        "{}",
        log.text()
    );
}
