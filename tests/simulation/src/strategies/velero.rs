//! Virtual machines and their disks, by Velero.

use std::{collections::BTreeSet, sync::LazyLock};

use backup_engine::{Settings, cluster::memory::MemoryCluster};
use serde_json::{Value, json};
use stage::{Kind, VeleroFate, VeleroServer};

use super::{Application, Order, Player, Shown, Simulated, Turn};
use crate::{ground::text, schedule::TENANTS, vault::Place};

pub(super) struct Velero;

static FATES: LazyLock<Vec<VeleroFate>> = LazyLock::new(|| {
    let why = || "no space left on device".to_owned();
    vec![
        VeleroFate::Completes,
        VeleroFate::Deaf,
        VeleroFate::BackupStays("InProgress".to_owned()),
        VeleroFate::BackupEnds("PartiallyFailed".to_owned(), why()),
        VeleroFate::UploadFails(why()),
        VeleroFate::RestoreStays("InProgress".to_owned()),
        VeleroFate::RestoreEnds("PartiallyFailed".to_owned(), why()),
        VeleroFate::DeletionRefused(why()),
        VeleroFate::MachineHangs,
        VeleroFate::ClaimsStay,
        VeleroFate::Unbound,
    ]
});

/// Where Velero and its objects are.
const NAMESPACE: &str = "cozy-velero";

/// What the player keeps on a volume: the word that lies in it.
const DATA: &str = "stage.example/data";

/// A machine, and one of its disks.
const APPLICATIONS: [Application; 2] = [
    Application {
        kind: "VMInstance",
        name: "web",
    },
    Application {
        kind: "VMDisk",
        name: "web-data",
    },
];

const fn order(kind: &'static str, is_kept: bool) -> Order {
    Order {
        api_version: "velero.io/v1",
        kind,
        most: 1,
        is_kept,
    }
}

const ORDERS: [Order; 2] = [order("Backup", true), order("Restore", false)];

impl Simulated for Velero {
    fn kind(&self) -> &'static str {
        "Velero"
    }

    fn plugin(&self) -> &'static str {
        "velero"
    }

    fn set_up(&self, settings: &mut Settings) {
        settings.storage.velero.has_location = true;
    }

    fn surroundings(&self) -> Vec<Value> {
        let location = stage::crd(&Kind {
            group: "velero.io",
            version: "v1",
            kind: "BackupStorageLocation",
            plural: "backupstoragelocations",
        });
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": NAMESPACE },
        });
        vec![location, namespace]
    }

    fn spoil(&self, settings: &mut Value) {
        settings["spec"]["template"]["spec"]["includedNamespaces"] =
            json!(["{{ .Absent.member }}"]);
    }

    fn applications(&self) -> &'static [Application] {
        &APPLICATIONS
    }

    fn release(&self, name: &str) -> String {
        match name {
            "web" => "vm-instance-web".to_owned(),
            disk => format!("vm-disk-{disk}"),
        }
    }

    /// The machine comes with its disks.
    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>> {
        let mut objects = stage::virtual_machine_objects(namespace, "web")?;
        if application.kind == "VMDisk" {
            let names = [application.name.to_owned(), self.release(application.name)];
            objects.retain(|object| {
                names
                    .iter()
                    .any(|name| text(object, "/metadata/name") == name)
            });
        }
        Ok(objects)
    }

    fn options(&self) -> Vec<Value> {
        vec![
            json!({ "keepOriginalPVC": false }),
            json!({ "keepOriginalPVC": "no" }),
            json!({ "keepOriginalIpAndMac": false }),
            json!({ "targetNamespace": TENANTS[0] }),
            json!({ "targetNamespace": TENANTS[1], "failIfTargetExists": false }),
        ]
    }

    fn group(&self) -> &'static str {
        "velero.io"
    }

    fn touches(&self) -> &'static [&'static str] {
        &[
            "Backup",
            "DataUpload",
            "DeleteBackupRequest",
            "HelmRelease",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Restore",
            "VirtualMachine",
        ]
    }

    fn fates(&self) -> Vec<String> {
        FATES.iter().map(|fate| format!("{fate:?}")).collect()
    }

    fn player(&self) -> Player {
        let mut server: Option<VeleroServer> = None;
        let mut begun = BTreeSet::new();
        Box::new(move |fate, place, cluster, now| {
            let fate = FATES.get(fate).cloned().unwrap_or_default();
            let server = server.get_or_insert_with(|| VeleroServer::at(place, fate.clone()));
            write_to_disks(cluster, &mut begun);
            Turn::of(&server.with_fate(fate), cluster, now)
        })
    }

    fn follows_storage(&self) -> bool {
        false
    }

    fn orders(&self) -> &'static [Order] {
        &ORDERS
    }

    fn is_complete(&self, order: &Value) -> bool {
        text(order, "/status/phase") == "Completed"
    }

    fn place(&self, backup: &Value) -> Option<Place> {
        let folder = "/spec/driverMetadata/velero.io~1storage-path";
        let folder = text(backup, folder).trim_matches('/');
        let bucket = text(backup, "/spec/storage/bucket");
        (!folder.is_empty()).then(|| (bucket.to_owned(), folder.to_owned()))
    }

    /// A volume holds what it was filled with.
    fn shown(&self, object: &Value) -> Vec<Shown> {
        let Some(backup) = object["metadata"]["annotations"][DATA].as_str() else {
            return vec![];
        };
        let claim = text(object, "/spec/claimRef/name");
        let Some(disk) = claim.strip_prefix("vm-disk-") else {
            return vec![];
        };
        let shows = |kind, name: &str| Shown {
            namespace: text(object, "/spec/claimRef/namespace").to_owned(),
            kind,
            name: name.to_owned(),
            from: (String::new(), format!("velero/backups/{backup}")),
        };
        let machine = disk.split('-').next().unwrap_or_default();
        vec![shows("VMDisk", disk), shows("VMInstance", machine)]
    }
}

/// Each backup finds another word on the disks that it is of: its own name.
fn write_to_disks(cluster: &MemoryCluster, begun: &mut BTreeSet<String>) {
    let objects = cluster.objects();
    let is_new = |backup: &Value| {
        text(backup, "/apiVersion") == "velero.io/v1"
            && text(backup, "/kind") == "Backup"
            && matches!(text(backup, "/status/phase"), "" | "New" | "Queued")
    };
    for backup in objects.iter().filter(|object| is_new(object)) {
        let name = text(backup, "/metadata/name");
        if !begun.insert(name.to_owned()) {
            continue;
        }
        let claims = objects.iter().filter(|object| {
            text(object, "/kind") == "PersistentVolumeClaim"
                && text(object, "/metadata/namespace") == text(backup, "/spec/includedNamespaces/0")
                && is_selected(backup, object)
        });
        for claim in claims {
            let volume = text(claim, "/spec/volumeName");
            if let Some(mut volume) = cluster.read("v1", "PersistentVolume", None, volume) {
                volume["metadata"]["annotations"][DATA] = json!(name);
                // It may have gone just now.
                cluster.put(volume).ok();
            }
        }
    }
}

/// Whether a backup is of an object.
fn is_selected(backup: &Value, object: &Value) -> bool {
    let selectors = backup["spec"]["orLabelSelectors"].as_array();
    let has = |(label, value): (&String, &Value)| object["metadata"]["labels"][label] == *value;
    let selects = |selector: &Value| {
        let labels = selector["matchLabels"].as_object();
        labels.is_some_and(|labels| labels.into_iter().all(has))
    };
    selectors.into_iter().flatten().any(selects)
}
