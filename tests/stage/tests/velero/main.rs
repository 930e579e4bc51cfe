//! Virtual machines and disks, with the Velero strategy as the real component.
//!
//! A tenant has a virtual machine `web` with the disks `web-root` and `web-data`. What lies in a volume is a word.
//!
//! | file | tells |
//! |---|---|
//! | `backup` | how a backup is taken, and what it says of itself |
//! | `settings` | what an administrator may set |
//! | `restore` | a restore in place, step by step |
//! | `copies` | restores into other namespaces, also under other names |
//! | `undone` | what becomes of jobs that fail or are deleted |
//! | `forget`, `check` | the life of a Backup afterwards |
//! | `crashes` | hosts that end between any two requests |
//! | `defects` | what the reference got wrong |
//! | `kept` | Backups of earlier versions |

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod backup;
mod check;
mod copies;
mod crashes;
mod defects;
mod forget;
mod kept;
mod restore;
mod settings;
mod undone;

use std::{collections::BTreeMap, sync::Arc};

use backup_engine::cluster::{Caller, Cluster as _, DeleteOptions};
use backup_sandbox::contract::ObjectRef;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Kind, Operator as _, Stage, VeleroFate, VeleroServer, Workplace, crd};

const TENANT: &str = "tenant-acme";
const OTHER: &str = "tenant-other";
const VELERO: &str = "cozy-velero";
const API: &str = "velero.io/v1";
const MACHINE: (&str, &str) = ("kubevirt.io/v1", "VirtualMachine");
const RUNNING: (&str, &str) = ("kubevirt.io/v1", "VirtualMachineInstance");
const DATA_VOLUME: (&str, &str) = ("cdi.kubevirt.io/v1beta1", "DataVolume");
const RELEASE: (&str, &str) = ("helm.toolkit.fluxcd.io/v2", "HelmRelease");
const CLAIM: (&str, &str) = ("v1", "PersistentVolumeClaim");
const VOLUME: (&str, &str) = ("v1", "PersistentVolume");
const DATA: &str = "stage.example/data";

/// A platform with Velero, and a tenant whose machine runs.
struct World {
    stage: Stage,
    velero: VeleroServer,
}

impl World {
    async fn new() -> Self {
        let stage = Stage::of("velero", TENANT).unwrap();
        stage
            .cluster
            .install_crd(&crd(&Kind {
                group: "velero.io",
                version: "v1",
                kind: "BackupStorageLocation",
                plural: "backupstoragelocations",
            }))
            .unwrap();
        for namespace in [OTHER, VELERO] {
            stage.namespace(namespace).unwrap();
        }
        stage.cluster.put(stage::storage_location()).unwrap();
        let place = Workplace::new(Arc::clone(&stage.storage));
        let velero = VeleroServer::at(place, VeleroFate::Completes);
        let mut world = Self { stage, velero };
        world.machine(TENANT, "web").await;
        world
    }

    /// The same with a Backup `nightly` of the machine, whose disks hold other words since.
    async fn with_backup() -> Self {
        let mut world = Self::new().await;
        world.backed_up("nightly", "VMInstance", "web").await;
        world.writes("vm-disk-web-root", "later");
        world.writes("vm-disk-web-data", "later");
        world
    }

    /// The same of one disk, whose machine is halted since.
    async fn with_backup_of_disk() -> Self {
        let mut world = Self::new().await;
        world.backed_up("nightly", "VMDisk", "web-data").await;
        world.writes("vm-disk-web-data", "later");
        world.halt("vm-instance-web").await;
        world
    }

    /// A machine comes up, with a word in each disk.
    async fn machine(&mut self, namespace: &str, name: &str) {
        for object in stage::virtual_machine_objects(namespace, name).unwrap() {
            self.stage.cluster.put(object).unwrap();
        }
        self.operators_rest().await;
        if namespace == TENANT {
            self.writes(&format!("vm-disk-{name}-root"), "first");
            self.writes(&format!("vm-disk-{name}-data"), "first");
        }
    }

    async fn halt(&mut self, machine: &str) {
        let mut found = self.read(MACHINE, TENANT, machine);
        found["spec"]["runStrategy"] = json!("Halted");
        self.stage.cluster.put(found).unwrap();
        self.operators_rest().await;
    }

    fn fate(&mut self, fate: VeleroFate) {
        self.velero = self.velero.with_fate(fate);
    }

    async fn step(&self) -> Vec<String> {
        let now = Timestamp::from_second(self.stage.cluster.now()).unwrap();
        self.velero.step(&self.stage.cluster, now).await.unwrap()
    }

    /// The operators do all that they have to do.
    async fn operators_rest(&self) {
        for _ in 0..30 {
            if self.step().await.is_empty() {
                return;
            }
        }
        panic!("the operators do not come to rest");
    }

    async fn turn(&mut self) {
        self.stage.runner.settle().await.unwrap();
        self.stage.cluster.advance(20);
        self.step().await;
    }

    /// Host and operators take turns until a job ends.
    async fn ends(&mut self, kind: &str, name: &str) -> String {
        for _ in 0..400 {
            self.stage.runner.settle().await.unwrap();
            let said = self.stage.said(kind, TENANT, name);
            if said.starts_with("Succeeded") || said.starts_with("Failed") {
                return said;
            }
            // A host that waits for a deadline is not asked every few seconds.
            self.stage.cluster.advance(20);
            if self.step().await.is_empty()
                && let Some(at) = self.stage.runner.next_at()
            {
                let at = at.as_second().max(self.stage.cluster.now());
                self.stage.cluster.set_now(at);
            }
        }
        let said = self.stage.said(kind, TENANT, name);
        panic!("the job did not end; it says {said}");
    }

    /// Turns until a job says this.
    async fn says(&mut self, kind: &str, name: &str, words: &str) {
        for _ in 0..200 {
            self.stage.runner.settle().await.unwrap();
            let said = self.stage.said(kind, TENANT, name);
            if said.contains(words) {
                return;
            }
            assert!(!said.starts_with("Succeeded"), "{said}");
            self.turn().await;
        }
        let said = self.stage.said(kind, TENANT, name);
        panic!("the job does not say {words}: {said}");
    }

    fn backup(&self, name: &str, kind: &str, application: &str) {
        self.stage
            .backup_job_of(TENANT, name, kind, application)
            .unwrap();
    }

    async fn backed_up(&mut self, name: &str, kind: &str, application: &str) {
        self.backup(name, kind, application);
        let said = self.ends("BackupJob", name).await;
        assert_eq!(
            said,
            format!("Succeeded BackupCompleted: Backup {name} is complete")
        );
    }

    /// A restore of `nightly`, and how it ends.
    async fn restored(&mut self, options: &Value) -> String {
        self.restore(options);
        self.ends("RestoreJob", "back").await
    }

    fn restore(&self, options: &Value) {
        self.stage
            .restore_job(TENANT, "back", "nightly", options)
            .unwrap();
    }

    /// Lets restores go into other namespaces.
    fn open(&self) {
        self.stage.restore_policy().unwrap();
        self.stage.cluster.advance(60);
    }

    fn read(&self, (api_version, kind): (&str, &str), namespace: &str, name: &str) -> Value {
        let read = self
            .stage
            .cluster
            .read(api_version, kind, Some(namespace), name);
        read.unwrap_or_default()
    }

    /// The objects of a kind in a namespace, by name.
    fn all(&self, (api_version, kind): (&str, &str), namespace: &str) -> BTreeMap<String, Value> {
        let objects = self.stage.cluster.objects();
        let found = objects.iter().filter(|object| {
            object["apiVersion"] == api_version
                && object["kind"] == kind
                && (kind == "PersistentVolume" || object["metadata"]["namespace"] == namespace)
        });
        found
            .map(|object| (name(object).to_owned(), Value::clone(object)))
            .collect()
    }

    /// The only object of a kind of Velero's.
    fn only(&self, kind: &str) -> Value {
        let all = self.all((API, kind), VELERO);
        assert_eq!(all.len(), 1, "{:?}", all.keys());
        all.into_values().next().unwrap()
    }

    /// What a guest writes to a disk.
    fn writes(&self, claim: &str, word: &str) {
        let mut volume = self.volume(TENANT, claim);
        volume["metadata"]["annotations"][DATA] = json!(word);
        self.stage.cluster.put(volume).unwrap();
    }

    fn volume(&self, namespace: &str, claim: &str) -> Value {
        let claim = self.read(CLAIM, namespace, claim);
        let name = claim["spec"]["volumeName"].as_str().unwrap_or_default();
        let read = self.stage.cluster.read(VOLUME.0, VOLUME.1, None, name);
        read.unwrap_or_default()
    }

    /// What lies in the volume of a claim; empty where there is none.
    fn data(&self, namespace: &str, claim: &str) -> String {
        let volume = self.volume(namespace, claim);
        let data = volume["metadata"]["annotations"][DATA].as_str();
        data.unwrap_or_default().to_owned()
    }

    fn is_running(&self, namespace: &str, machine: &str) -> bool {
        !self.read(RUNNING, namespace, machine).is_null()
    }

    fn is_suspended(&self, namespace: &str, release: &str) -> bool {
        self.read(RELEASE, namespace, release)["spec"]["suspend"] == true
    }

    /// The claims that were put aside.
    fn aside(&self) -> Vec<String> {
        let claims = self.all(CLAIM, TENANT).into_keys();
        claims.filter(|claim| claim.contains("-orig-")).collect()
    }

    async fn delete(&self, (api_version, kind): (&str, &str), namespace: &str, name: &str) {
        let target = ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        let options = DeleteOptions::default();
        let cluster = &self.stage.cluster;
        cluster
            .delete(&Caller::host(), &target, &options)
            .await
            .unwrap();
    }

    /// Changes an object.
    fn change(
        &self,
        kind: (&str, &str),
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) {
        let mut found = self.read(kind, namespace, name);
        assert!(!found.is_null(), "no {} {name}", kind.1);
        change(&mut found);
        self.stage.cluster.put(found).unwrap();
    }

    /// The machine as it is when nothing is going on: it runs, nothing rests, each disk holds this word, and nothing of
    /// a restore is left.
    fn is_at_peace(&self, word: &str) {
        for disk in ["vm-disk-web-root", "vm-disk-web-data"] {
            assert_eq!(self.data(TENANT, disk), word, "{disk}");
            let claim = self.read(CLAIM, TENANT, disk);
            assert_eq!(claim["status"]["phase"], "Bound", "{disk}");
            let volume = self.volume(TENANT, disk);
            let policy = &volume["spec"]["persistentVolumeReclaimPolicy"];
            assert_eq!(policy, "Delete", "{disk}");
            assert!(!self.read(DATA_VOLUME, TENANT, disk).is_null(), "{disk}");
            assert!(!self.is_suspended(TENANT, disk), "{disk}");
        }
        assert!(!self.is_suspended(TENANT, "vm-instance-web"));
        assert!(self.is_running(TENANT, "vm-instance-web"));
        assert!(self.all(("v1", "ConfigMap"), VELERO).is_empty());
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// An object without what differs from run to run or only machines read.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for member in [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
    ] {
        metadata.remove(member);
    }
    object
}
