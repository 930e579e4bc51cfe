//! The Backups of the story, and the applications and operators that they are made with.

use serde_json::{Value, json};
use stage::{Bucket as _, Cnpg, Fate, MariaDbFate, MariaDbOperator, Workplace};

use super::storage::Storage;
use crate::{
    cluster::{API, Played},
    page::{TENANT, job},
    site::Site,
};

/// Another tenant.
pub(super) const NEIGHBOUR: &str = "tenant-umbrella";

/// The tenant's Plan. Its time never comes here.
pub(super) const PLAN: &str = "yearly";

/// The application that a stalled job holds.
pub(super) const POSTGRES: (&str, &str) = ("Postgres", "orders-db");

const MARIADB: (&str, &str) = ("MariaDB", "orders");

/// A Backup of the story: whose it is, its name, and what it is of.
pub(super) type Taken = (&'static str, &'static str, (&'static str, &'static str));

/// Those that are there from the start. The second and the third are the Plan's.
pub(super) const TAKEN: [Taken; 6] = [
    (NEIGHBOUR, "dump", MARIADB),
    (TENANT, "yearly-1", POSTGRES),
    (TENANT, "yearly-2", POSTGRES),
    (TENANT, "ad-hoc", POSTGRES),
    (TENANT, "leaving", POSTGRES),
    (TENANT, "dump", MARIADB),
];

/// One that is taken with another key.
pub(super) const ROTATED: Taken = (TENANT, "rotated", MARIADB);

/// The operators of both tenants' applications.
pub(super) struct Operators {
    postgres: Played,
    _mariadb: Played,
}

impl Operators {
    /// Lets them play.
    pub(super) fn play(site: &Site, storage: &Storage) -> Self {
        let place = Workplace::new(storage.bucket());
        let mariadb = MariaDbOperator::at(place, MariaDbFate::Completes);
        Self {
            postgres: postgres(site, storage, Fate::Completes),
            _mariadb: site.play(&[TENANT, NEIGHBOUR], mariadb),
        }
    }

    /// No base backup goes on from now on.
    pub(super) fn stall(&mut self, site: &Site, storage: &Storage) {
        self.postgres = postgres(site, storage, Fate::Stalls);
    }
}

fn postgres(site: &Site, storage: &Storage, fate: Fate) -> Played {
    let place = Workplace::new(storage.bucket()).of_namespace(TENANT);
    site.play(&[TENANT], Cnpg::at(place, fate))
}

/// Creates namespaces.
pub(super) async fn namespaces(site: &Site, names: &[&str]) {
    let namespace = |name: &&str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    site.put(names.iter().map(namespace).collect()).await;
}

/// Creates the applications.
pub(super) async fn applications(site: &Site) {
    let postgres = stage::postgres_objects(TENANT, POSTGRES.1, "a-password");
    let mut objects = postgres.unwrap();
    for tenant in [TENANT, NEIGHBOUR] {
        objects.extend(stage::mariadb_objects(tenant, MARIADB.1, "a-password").unwrap());
    }
    site.put(objects).await;
}

/// Has the tenant's Plan, with a rule, as whoever keeps it in a file applies it.
pub(super) fn plan_is_applied(site: &Site) {
    let plan = json!({
        "apiVersion": API, "kind": "Plan", "metadata": { "name": PLAN, "namespace": TENANT },
        "spec": {
            "applicationRef": { "kind": POSTGRES.0, "name": POSTGRES.1 },
            "backupClassName": "cozy-default",
            "schedule": { "cron": "0 3 1 1 *" },
            "retentionPolicy": { "keepLast": 2 },
        },
    });
    let applied = "kubectl apply --filename -";
    site.admin.run_on(applied, &plan.to_string()).unwrap();
}

/// Takes Backups. The size of what lies in the storage is known of each: the host has looked there.
pub(super) async fn are_taken(site: &Site, taken: &[Taken]) {
    let jobs = taken.iter().map(|(tenant, name, application)| {
        let mut job = job(name, "cozy-default", *application);
        job["metadata"]["namespace"] = json!(tenant);
        if name.starts_with(PLAN) {
            job["spec"]["planRef"] = json!({ "name": PLAN });
        }
        job
    });
    site.put(jobs.collect()).await;
    for (tenant, name, _) in taken {
        let job = site.ended(tenant, "BackupJob", name).await;
        assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
        let backup = site.read(tenant, (API, "Backup", name)).await.unwrap();
        assert!(
            backup["status"]["artifact"]["sizeBytes"].is_u64(),
            "{backup:#}"
        );
    }
}

/// What the host has just created of a Backup when its catalogue is kept in that very moment: all but its status. Gives back
/// where its data lies.
pub(super) async fn is_being_written(site: &Site, storage: &Storage) -> String {
    let mut backup = site.read(TENANT, (API, "Backup", "dump")).await.unwrap();
    let uri = backup["status"]["artifact"]["uri"].as_str().unwrap();
    let (before, time) = uri.split_once("/backup.").unwrap();
    let uri = format!(
        "{before}/backup.2026-01-01T00:00:00Z{}",
        time.split_once('Z').unwrap().1
    );
    backup["spec"]["driverMetadata"]["k8s.mariadb.com/storage-uri"] = json!(uri);
    let written = json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": { "name": "unfinished", "namespace": TENANT },
        "spec": backup["spec"],
    });
    site.plane.apply(&[written]).await.unwrap();
    let key = storage.key(&uri);
    storage
        .bucket()
        .put(key, 1, jiff::Timestamp::UNIX_EPOCH)
        .await;
    key.to_owned()
}

/// A Backup that has been looked at as it was asked for, and what is known of its data.
pub(super) async fn looked_at(site: &Site, tenant: &str, name: &str) -> (Value, Value) {
    let is_answered = |backup: &Value| {
        let asked = &backup["metadata"]["annotations"]["backups.cozystack.io/check-requested"];
        asked.is_string() && backup["status"]["lastCheckRequest"] == *asked
    };
    let backup = site.until(tenant, (API, "Backup", name), is_answered).await;
    let mut conditions = backup["status"]["conditions"].as_array().unwrap().iter();
    let available = conditions.find(|condition| condition["type"] == "Available");
    let available = available.unwrap().clone();
    (backup, available)
}
