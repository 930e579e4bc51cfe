//! What becomes of a finished backup of an Etcd application: whether it is still there, and its removal. The strategy
//! is the real component; it is asked directly, and what it plans is done by hand.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use backup_engine::{
    Location, Storage,
    cluster::{Caller, Cluster, DeleteOptions},
};
use backup_sandbox::{
    Action, Answer, Finished, Question, Read, Reply, Request, Round, Snapshot, Strategy,
    contract::{
        ApplicationRef, Artifact, Bucket, Entry, FinishedBackup, JobIdentity, ObjectRef, Step,
        Verdict,
    },
};
use serde_json::{Value, json};
use stage::Stage;

const TENANT: &str = "tenant-acme";
const OPERATOR: &str = "etcd-operator.cozystack.io/v1alpha2";
const KEY: &str = "tenant-acme/etcd/bk.db";

/// A storage with one snapshot, its EtcdSnapshot, and what else lies around.
struct Afterwards {
    stage: Stage,
    strategy: Strategy,
    ca_key: Option<&'static str>,
    location: Location,
}

fn afterwards() -> Afterwards {
    let stage = Stage::new().unwrap();
    let strategy = Stage::bundled("etcd.wasm").unwrap();
    stage.namespace(TENANT).unwrap();
    stage.etcd(TENANT, "etcd").unwrap();
    for key in [
        KEY,
        "tenant-acme/etcd/bk.db2",
        "tenant-acme/etcd/other.db",
        "tenant-rival/etcd/bk.db",
    ] {
        stage.storage.put(key, 20_512, 1);
    }
    stage
        .cluster
        .put(json!({
            "apiVersion": OPERATOR,
            "kind": "EtcdSnapshot",
            "metadata": { "name": "bk", "namespace": TENANT },
            "spec": { "clusterRef": { "name": "etcd" }, "destination": { "s3": s3() } },
            "status": { "phase": "Complete", "artifact": { "uri": format!("s3://cozy-backups/{KEY}") } },
        }))
        .unwrap();
    let location = Location {
        endpoint: String::new(),
        bucket: String::new(),
        region: String::new(),
        force_path_style: true,
        authority: None,
        access_key: String::new(),
        secret_key: String::new(),
    };
    Afterwards {
        stage,
        strategy,
        ca_key: None,
        location,
    }
}

fn s3() -> Value {
    json!({
        "bucket": "cozy-backups",
        "endpoint": "https://s3.cozy.example",
        "key": "tenant-acme/etcd/",
        "credentialsSecretRef": { "name": "cozy-backups-creds" },
    })
}

fn etcd() -> ApplicationRef {
    ApplicationRef {
        group: "apps.cozystack.io".to_owned(),
        kind: "Etcd".to_owned(),
        namespace: TENANT.to_owned(),
        name: "etcd".to_owned(),
    }
}

/// What a Backup says of its snapshot.
fn artifact(uri: &str) -> Artifact {
    Artifact {
        uri: uri.to_owned(),
        size_bytes: Some(20_512),
        checksum: None,
    }
}

/// A Backup as it was written, with changes to what it says of its place.
fn backup(change: impl FnOnce(&mut Value)) -> FinishedBackup {
    let mut s3 = s3();
    change(&mut s3);
    let resources = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1",
        "kind": "EtcdBackupSnapshot",
        "destination": { "s3": s3 },
    });
    FinishedBackup {
        name: "ad-hoc".to_owned(),
        taken_at: 1,
        application: etcd(),
        artifact: Some(artifact(&format!("s3://cozy-backups/{KEY}"))),
        metadata: vec![Entry {
            key: "etcd.aenix.io/backup-name".to_owned(),
            value: "bk".to_owned(),
        }],
        resources: Some(resources.to_string()),
    }
}

impl Afterwards {
    async fn ask(&self, question: Question, source: &FinishedBackup) -> Finished {
        let request = Request {
            now: 100,
            job: JobIdentity {
                kind: "Backup".to_owned(),
                namespace: TENANT.to_owned(),
                name: "ad-hoc".to_owned(),
                uid: "1".to_owned(),
                started_at: 100,
            },
            options: "{}".to_owned(),
            subject: etcd(),
            parameters: vec![],
            source: Some(source.clone()),
            state: None,
            refused: None,
            prefixes: vec!["tenant-acme/etcd".to_owned()],
        };
        let mut evaluation =
            self.strategy
                .evaluate(question, Arc::new(request), Snapshot::default());
        loop {
            match evaluation.round().unwrap() {
                Round::Finished(finished) => return *finished,
                Round::Needs(read) => {
                    let answer = self.answer(&read).await;
                    evaluation.supply(read, answer);
                }
            }
        }
    }

    async fn answer(&self, read: &Read) -> Answer {
        let host = Caller::host();
        let text = |value: &Value| Arc::from(value.to_string());
        match read {
            Read::Object(target) => {
                let found = self.stage.cluster.get(&host, target).await.unwrap();
                Answer::Text(found.as_ref().map(text))
            }
            Read::Objects(matching) => {
                let found = self.stage.cluster.list(&host, matching).await.unwrap();
                Answer::Texts(found.iter().map(text).collect())
            }
            Read::Release(_) => Answer::Text(Some(Arc::from("etcd"))),
            Read::Bucket => Answer::Bucket(Bucket {
                name: "cozy-backups".to_owned(),
                endpoint: "https://s3.cozy.example".to_owned(),
                region: "eu-1".to_owned(),
                force_path_style: true,
                credentials_secret: "cozy-backups-creds".to_owned(),
            }),
            Read::CaKey => Answer::Text(self.ca_key.map(Arc::from)),
            Read::StoredObjects { path, after, limit } => {
                let limit = usize::try_from(*limit).unwrap();
                let storage = &self.stage.storage;
                let found = storage.objects(&self.location, path, after.as_deref(), limit);
                Answer::Stored(found.await.unwrap())
            }
            other => panic!("{other:?} is not needed"),
        }
    }

    /// Asks and does what is planned, until it is done.
    async fn forget(&self, source: &FinishedBackup) -> Step {
        for _ in 0..4 {
            let finished = self.ask(Question::Forget, source).await;
            for action in &finished.plan.actions {
                match action {
                    Action::Delete { target, uid, .. } => self.delete(target, uid.clone()).await,
                    Action::Purge { path } => {
                        let storage = &self.stage.storage;
                        storage.purge(&self.location, path).await.unwrap();
                    }
                    other => panic!("{other:?} is no part of a removal"),
                }
            }
            match finished.answer {
                Reply::Step(Step::Waiting(_)) => {}
                Reply::Step(step) => return step,
                other => panic!("{other:?}"),
            }
        }
        panic!("the removal has no end")
    }

    async fn delete(&self, target: &ObjectRef, uid: Option<String>) {
        let options = DeleteOptions {
            uid,
            ..DeleteOptions::default()
        };
        let cluster = &self.stage.cluster;
        cluster
            .delete(&Caller::host(), target, &options)
            .await
            .unwrap();
    }

    async fn check(&self, source: &FinishedBackup) -> String {
        match self.ask(Question::Check, source).await.answer {
            Reply::Verdict(Verdict::Present(None)) => "present".to_owned(),
            Reply::Verdict(Verdict::Present(Some(artifact))) => {
                format!("present as {} of {:?}", artifact.uri, artifact.size_bytes)
            }
            Reply::Verdict(Verdict::Lost(why)) => format!("lost {}", why.reason),
            Reply::Verdict(Verdict::Unknown(why)) => format!("unknown {}", why.reason),
            other => panic!("{other:?}"),
        }
    }

    fn snapshot(&self) -> Option<Value> {
        self.stage
            .cluster
            .read(OPERATOR, "EtcdSnapshot", Some(TENANT), "bk")
    }
}

#[tokio::test]
async fn a_removal_takes_the_snapshot_and_its_object_and_nothing_else() {
    let afterwards = afterwards();
    assert_eq!(afterwards.forget(&backup(|_| {})).await, Step::Done);
    assert_eq!(afterwards.snapshot(), None);
    assert_eq!(
        afterwards.stage.storage.keys(),
        [
            "tenant-acme/etcd/bk.db2",
            "tenant-acme/etcd/other.db",
            "tenant-rival/etcd/bk.db"
        ]
    );
    // Done again it finds nothing, and is done.
    assert_eq!(afterwards.forget(&backup(|_| {})).await, Step::Done);
}

#[tokio::test]
async fn a_removal_that_cannot_reach_the_object_says_what_to_do() {
    for change in [
        |s3: &mut Value| s3["bucket"] = "own".into(),
        |s3: &mut Value| s3["endpoint"] = "https://other.example".into(),
    ] {
        let afterwards = afterwards();
        let source = backup(change);
        let Step::Failed(failure) = afterwards.forget(&source).await else {
            panic!("it is not in reach");
        };
        assert_eq!(failure.reason, "SnapshotOutOfReach");
        assert!(failure.message.contains("deletionPolicy to Retain"));
        assert_eq!(afterwards.stage.storage.keys().len(), 4);
    }
    // A folder that is another's, or the whole of one's own.
    for uri in [
        "s3://cozy-backups/tenant-rival/etcd/bk.db",
        "s3://cozy-backups/tenant-acme/etcd",
    ] {
        let afterwards = afterwards();
        let mut source = backup(|_| {});
        source.artifact = Some(artifact(uri));
        assert!(matches!(afterwards.forget(&source).await, Step::Failed(_)));
        assert_eq!(afterwards.stage.storage.keys().len(), 4);
    }
}

#[tokio::test]
async fn a_backup_is_there_as_long_as_its_object_is() {
    let afterwards = afterwards();
    let source = backup(|_| {});
    assert_eq!(afterwards.check(&source).await, "present");
    let mut silent = source.clone();
    silent.artifact = None;
    assert_eq!(
        afterwards.check(&silent).await,
        "present as s3://cozy-backups/tenant-acme/etcd/bk.db of Some(20512)"
    );
    let storage = &afterwards.stage.storage;
    storage.purge(&afterwards.location, KEY).await.unwrap();
    // That the operator still says Complete does not help, nor that another key begins alike.
    assert_eq!(afterwards.check(&source).await, "lost SnapshotGone");
}

#[tokio::test]
async fn a_snapshot_of_another_size_is_lost() {
    let afterwards = afterwards();
    let source = backup(|_| {});
    afterwards.stage.storage.put(KEY, 4_096, 2);
    assert_eq!(afterwards.check(&source).await, "lost SnapshotChanged");
    let finished = afterwards.ask(Question::Check, &source).await;
    let Reply::Verdict(Verdict::Lost(why)) = finished.answer else {
        panic!("it is another one");
    };
    assert_eq!(
        why.message,
        "s3://cozy-backups/tenant-acme/etcd/bk.db has 4096 bytes, and the snapshot that was taken had 20512: it was cut \
         off or overwritten"
    );
}

#[tokio::test]
async fn a_backup_that_does_not_know_its_size_learns_it() {
    let afterwards = afterwards();
    for size in [None, Some(0)] {
        let mut source = backup(|_| {});
        source.artifact.as_mut().unwrap().size_bytes = size;
        assert_eq!(
            afterwards.check(&source).await,
            "present as s3://cozy-backups/tenant-acme/etcd/bk.db of Some(20512)"
        );
    }
}

/// The host would take a malformed argument for a mistake of the strategy's.
#[tokio::test]
async fn a_backup_with_a_malformed_name_or_path_is_told_as_its_own_mistake() {
    let afterwards = afterwards();
    let mut named = backup(|_| {});
    named.metadata[0].value = "../bk".to_owned();
    let Step::Failed(why) = afterwards.forget(&named).await else {
        panic!("there is no such snapshot");
    };
    assert_eq!(why.reason, "InvalidMetadata");
    assert_eq!(
        why.message,
        "spec.driverMetadata of Backup ad-hoc says \"../bk\" for etcd.aenix.io/backup-name, which cannot be the name of \
         an object"
    );
    // The artifact says which file it is; without one only the name does.
    assert_eq!(afterwards.check(&named).await, "present");
    named.artifact = None;
    assert_eq!(afterwards.check(&named).await, "unknown InvalidMetadata");

    for key in [
        "a/../../bk.db",
        "tenant-acme/etcd/b\nk.db",
        "tenant-acme/etcd//bk.db",
    ] {
        let mut source = backup(|_| {});
        source.artifact = Some(artifact(&format!("s3://cozy-backups/{key}")));
        assert_eq!(
            afterwards.check(&source).await,
            "unknown SnapshotOutOfSight"
        );
        assert!(matches!(afterwards.forget(&source).await, Step::Failed(_)));
    }
    assert_eq!(afterwards.stage.storage.keys().len(), 4);
}

#[tokio::test]
async fn what_lies_elsewhere_cannot_be_told() {
    let afterwards = afterwards();
    let own = backup(|s3| s3["bucket"] = "own".into());
    assert_eq!(afterwards.check(&own).await, "unknown SnapshotOutOfSight");
    let mut odd = backup(|s3| s3["key"] = "tenant-acme/etcd//".into());
    odd.artifact = None;
    assert_eq!(afterwards.check(&odd).await, "unknown SnapshotOutOfSight");
    let mut mute = backup(|_| {});
    mute.resources = None;
    mute.metadata = vec![];
    assert_eq!(afterwards.check(&mute).await, "unknown MetadataMissing");
}

#[tokio::test]
async fn a_private_certificate_authority_is_refused_before_anything_is_touched() {
    let mut afterwards = afterwards();
    afterwards.ca_key = Some("ca.crt");
    let finished = afterwards.ask(Question::Restore, &backup(|_| {})).await;
    let Reply::Step(Step::Failed(failure)) = finished.answer else {
        panic!("the operator cannot trust it");
    };
    assert_eq!(failure.reason, "PrivateCAUnsupported");
    assert_eq!(finished.plan.actions, []);
}
