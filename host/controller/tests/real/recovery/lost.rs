//! `docs/recovery.md`: what was lost is brought back out of the catalogue.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    backups::{
        NEIGHBOUR, Operators, PLAN, POSTGRES, ROTATED, TAKEN, applications, looked_at, namespaces,
        plan_is_applied,
    },
    platform::Platform,
    storage::Storage,
};
use crate::{
    cluster::API,
    page::{TENANT, job},
    typed::Page,
};

fn page() -> Page {
    Page::of("recovery.md")
}

/// "The cluster is lost", from step 3 to step 6, with the catalogue in a file. Gives back what is printed of the phases.
pub(super) async fn bring_back(platform: &mut Platform, catalogue: &str) -> String {
    let commands = page().section("The cluster is lost").commands();
    let [
        stop,
        objects,
        asleep,
        apply,
        select,
        status,
        list,
        start,
        check,
        available,
        _,
        _,
    ] = commands;
    platform.types(&stop).await;
    let objects = objects.replace("catalogue.json", catalogue);
    for command in [objects, asleep, apply, select, status] {
        platform.types(&command).await;
    }
    let listed = platform.types(&list).await;
    platform.types(&start).await;
    platform.types(&check).await;
    platform.types(&available).await;
    listed
}

/// "A namespace was deleted", which takes some seconds: the neighbour's is being deleted from now on.
pub(super) async fn namespace(platform: &mut Platform) {
    let deleted = format!("kubectl delete namespace {NEIGHBOUR} --wait=false");
    platform.types(&deleted).await;
}

/// It is gone, its data is not, and it is brought back.
pub(super) async fn namespace_is_back(platform: &mut Platform) {
    let namespace = ("v1", "Namespace", NEIGHBOUR);
    platform.site.gone("", namespace).await;
    namespaces(&platform.site, &[NEIGHBOUR]).await;
    let [part] = page().section("A namespace was deleted").commands();
    platform.types(&part.replace(TENANT, NEIGHBOUR)).await;
    bring_back(platform, "part.json").await;
    is_available(platform, NEIGHBOUR, "dump").await;
}

/// A Backup that was brought back has been looked at, and its data is there. Gives back the Backup.
pub(super) async fn is_available(platform: &Platform, tenant: &str, name: &str) -> Value {
    let (backup, available) = looked_at(&platform.site, tenant, name).await;
    assert_eq!(available["status"], "True", "{backup:#}");
    backup
}

/// "A Backup was deleted by mistake": it goes and its data stays. Leaves another one behind that waits for its removal.
pub(super) async fn by_mistake(
    platform: &mut Platform,
    operators: &mut Operators,
    storage: &Storage,
) {
    operators.stall(&platform.site, storage);
    let before = storage.stored().await;
    let site = &platform.site;
    site.put(vec![job("under-way", "cozy-default", POSTGRES)])
        .await;
    let has_begun = |job: &Value| job["status"]["startedAt"].is_string();
    let under_way = (API, "BackupJob", "under-way");
    site.until(TENANT, under_way, has_begun).await;
    let deleted = format!("kubectl delete backup ad-hoc leaving --namespace {TENANT} --wait=false");
    platform.types(&deleted).await;
    let waits =
        |backup: &Value| backup["status"]["strategy"]["waiting"]["reason"] == "ApplicationBusy";
    for name in ["ad-hoc", "leaving"] {
        let backup = (API, "Backup", name);
        platform.site.until(TENANT, backup, waits).await;
    }
    let [keeps] = page().section("A Backup was deleted by mistake").commands();
    platform.types(&keeps).await;
    platform.site.gone(TENANT, (API, "Backup", "ad-hoc")).await;
    let after = storage.stored().await;
    assert!(before.iter().all(|key| after.contains(key)), "{after:?}");
}

/// The host could not look at a Backup lately. What it notes of that goes when it can again, whoever has written it.
pub(super) async fn could_not_be_looked_at(platform: &Platform) {
    let now = Timestamp::now().round(jiff::Unit::Second).unwrap();
    let noted = json!({
        "apiVersion": API, "kind": "Backup",
        "metadata": { "name": "yearly-1", "namespace": TENANT },
        "status": { "failedChecks": 2, "lastCheckTime": now },
    });
    platform.site.says(&noted).await;
}

/// All tenants are gone with their finalizers, and nobody has undone or removed anything: what a new cluster is like.
async fn nothing_is_left(platform: &mut Platform) {
    let [stop, ..] = page().section("The cluster is lost").commands::<12>();
    platform.types(&stop).await;
    let held = "kubectl get backups,backupjobs,restorejobs --all-namespaces --output json";
    let let_go =
        format!("{held} | jq '.items[].metadata.finalizers = []' | kubectl replace --filename -");
    platform.types(&let_go).await;
    let gone = format!("kubectl delete namespace {TENANT} {NEIGHBOUR}");
    platform.types(&gone).await;
}

/// "The cluster is lost". `unfinished` is where the data of the Backup lies that was being written.
pub(super) async fn cluster(platform: &mut Platform, unfinished: &str, storage: &Storage) {
    let plan = (API, "Plan", PLAN);
    let before = platform.site.read(TENANT, plan).await.unwrap();
    nothing_is_left(platform).await;
    namespaces(&platform.site, &[TENANT, NEIGHBOUR]).await;
    let listed = bring_back(platform, "catalogue.json").await;
    let rows = listed.lines().skip(1);
    let without_phase: Vec<&str> = rows.filter(|row| !row.contains(" Ready ")).collect();
    assert!(
        matches!(without_phase.as_slice(), [row] if row.contains("unfinished")),
        "{listed}"
    );
    let all = TAKEN.iter().chain([&ROTATED]);
    let there = all.filter(|(_, name, _)| *name != "ad-hoc");
    for (tenant, name, _) in there.clone() {
        let backup = is_available(platform, tenant, name).await;
        for noted in ["failedChecks", "strategy"] {
            assert_eq!(backup["status"][noted], Value::Null, "{backup:#}");
        }
    }
    let sleeps = |plan: &Value| plan["status"]["conditions"][0]["reason"] == "Suspended";
    platform.site.until(TENANT, plan, sleeps).await;

    applications(&platform.site).await;
    let _operators = Operators::play(&platform.site, storage);
    for name in ["yearly-1", "dump"] {
        let job = platform.site.restored(TENANT, name, "again").await;
        assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
    }
    let refused = platform.site.restored(TENANT, "unfinished", "again").await;
    let message = refused["status"]["message"].to_string();
    assert!(message.contains("is not Ready"), "{refused:#}");
    plan_wakes(platform, &before).await;
    for (tenant, name, _) in there {
        let backup = platform.site.read(tenant, (API, "Backup", name)).await;
        let deleted = backup.unwrap()["metadata"]["deletionTimestamp"].clone();
        assert_eq!(deleted, Value::Null, "{name}");
    }
    is_removed(platform, unfinished, storage).await;
}

/// The last step: a Plan is what it was, and makes up for nothing.
async fn plan_wakes(platform: &mut Platform, before: &Value) {
    let [.., select, wake] = page().section("The cluster is lost").commands::<12>();
    platform.types(&select).await;
    platform.types(&wake).await;
    let is_awake = |plan: &Value| plan["status"]["nextScheduleTime"].is_string();
    let plan = (API, "Plan", PLAN);
    let woken = platform.site.until(TENANT, plan, is_awake).await;
    assert_eq!(woken["spec"], before["spec"]);
    plan_is_applied(&platform.site);
    let applied = platform.site.read(TENANT, plan).await.unwrap();
    assert_eq!(applied["spec"], before["spec"], "its file says the same");
    assert_eq!(
        woken["status"]["lastScheduleTime"],
        Value::Null,
        "{woken:#}"
    );
}

/// Backups that were brought back go as any others, with their data and nobody else's.
async fn is_removed(platform: &mut Platform, unfinished: &str, storage: &Storage) {
    let leaving = (API, "Backup", "leaving");
    let leaving = platform.site.read(TENANT, leaving).await.unwrap();
    let id = &leaving["spec"]["driverMetadata"]["cnpg.io/backup-id"];
    let base = format!("/base/{}/", id.as_str().unwrap());
    let is_theirs = |key: &String| key.contains(&base) || key == unfinished;
    let before = storage.stored().await;
    let deleted = format!("kubectl delete backup leaving unfinished --namespace {TENANT}");
    platform.types(&deleted).await;
    let after = storage.stored().await;
    let gone = before.into_iter().filter(|key| !after.contains(key));
    let (theirs, others): (Vec<_>, Vec<_>) = gone.partition(is_theirs);
    assert!(
        theirs.len() > 2 && others.is_empty(),
        "{theirs:?} {others:?}"
    );
    assert!(!after.iter().any(is_theirs), "{after:?}");
}
