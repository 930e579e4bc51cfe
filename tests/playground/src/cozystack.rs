//! Cozystack, as far as an application goes: one that is ordered gets what it consists of, and takes it along when it is
//! deleted. A Helm release without an application, as a restore of a virtual machine to another name leaves it, has one
//! from then on.

use backup_engine::{
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part},
    reference,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Operator, all, text};

/// The applications.
const APPS: &str = "apps.cozystack.io/v1alpha1";
const HELM: &str = "helm.toolkit.fluxcd.io/v2";
const MANAGER: &str = "cozystack";

/// Holds an application until what it consists of is gone.
const FINALIZER: &str = "cozystack.example/release";

/// It makes what an application consists of at once; the operators go on from there.
pub(crate) struct Cozystack;

impl Operator for Cozystack {
    const WATCHES: &[(&str, &str)] = &[
        (APPS, "Postgres"),
        (APPS, "MariaDB"),
        (APPS, "ClickHouse"),
        (APPS, "Etcd"),
        (APPS, "FoundationDB"),
        (APPS, "VMDisk"),
        (APPS, "VMInstance"),
        (HELM, "HelmRelease"),
    ];

    async fn step<C: Cluster>(&self, cluster: &C, _: Timestamp) -> Result<Vec<String>, ApiError> {
        let mut steps = vec![];
        for kind in kinds() {
            for application in all(cluster, APPS, kind).await? {
                let is_going = application["metadata"]["deletionTimestamp"].is_string();
                let step = match (is_going, is_held(&application)) {
                    (false, false) => install(cluster, &application).await?,
                    (true, true) => remove(cluster, &application).await?,
                    _ => continue,
                };
                steps.push(step);
            }
        }
        for release in all(cluster, HELM, "HelmRelease").await? {
            steps.extend(adopt(cluster, &release).await?);
        }
        Ok(steps)
    }
}

/// The kinds of applications that are backed up.
fn kinds() -> impl Iterator<Item = &'static str> {
    let applications = Cozystack::WATCHES.iter();
    applications.filter_map(|(api_version, kind)| (*api_version == APPS).then_some(*kind))
}

/// What an application consists of, with what operators say of it. None of it is another application.
///
/// # Errors
/// When the stage itself is not in order.
fn parts(application: &Value) -> anyhow::Result<Vec<Value>> {
    let namespace = text(application, "/metadata/namespace");
    let name = text(application, "/metadata/name");
    let mut objects = match text(application, "/kind") {
        "Postgres" => stage::postgres_objects(namespace, name, "")?,
        "MariaDB" => stage::mariadb_objects(namespace, name, "")?,
        "ClickHouse" => {
            let count = |field: &str| application["spec"][field].as_u64();
            let count = |field| u32::try_from(count(field).unwrap_or(1)).unwrap_or(1);
            stage::clickhouse_objects(namespace, name, (count("shards"), count("replicas")))?
        }
        "Etcd" => stage::etcd_objects(namespace, name)?,
        "FoundationDB" => stage::foundationdb_objects(namespace, name)?,
        // The played Helm makes the rest.
        kind => vec![release_of_machine(application, kind)],
    };
    objects.retain(|object| object["apiVersion"] != APPS);
    Ok(objects)
}

/// The release of a virtual machine or a disk.
fn release_of_machine(application: &Value, kind: &str) -> Value {
    let chart = if kind == "VMDisk" {
        "vm-disk"
    } else {
        "vm-instance"
    };
    let name = text(application, "/metadata/name");
    json!({
        "apiVersion": HELM,
        "kind": "HelmRelease",
        "metadata": {
            "name": format!("{chart}-{name}"),
            "namespace": text(application, "/metadata/namespace"),
            "labels": {
                "apps.cozystack.io/application.group": "apps.cozystack.io",
                "apps.cozystack.io/application.kind": kind,
                "apps.cozystack.io/application.name": name,
            },
        },
        "spec": {
            "interval": "5m",
            "chartRef": { "kind": "ExternalArtifact", "name": chart, "namespace": "cozy-system" },
            "values": application["spec"],
        },
    })
}

/// Makes what an application consists of, and holds the application.
async fn install<C: Cluster>(cluster: &C, application: &Value) -> Result<String, ApiError> {
    let host = Caller::host();
    for part in parts_of(application)? {
        let made = match cluster.create(&host, MANAGER, &part, false).await {
            // A step before that was cut off, or a restore.
            Err(error) if error.reason == ApiReason::AlreadyExists => continue,
            made => made?,
        };
        if part.get("status").is_some() {
            let status = json!({ "status": part["status"] });
            let target = reference(&made);
            cluster
                .merge(&host, MANAGER, &target, &status, Part::Status)
                .await?;
        }
    }
    hold(cluster, application, &json!([FINALIZER])).await?;
    Ok(format!("{} is installed", called(application)))
}

/// Takes what an application consists of along, its release first: Helm would make the rest anew.
async fn remove<C: Cluster>(cluster: &C, application: &Value) -> Result<String, ApiError> {
    let mut parts = parts_of(application)?;
    parts.extend(made_by_helm(application));
    for part in parts {
        let target = reference(&part);
        let options = DeleteOptions::default();
        match cluster.delete(&Caller::host(), &target, &options).await {
            Err(error) if error.reason == ApiReason::NotFound => {}
            deleted => deleted?,
        }
    }
    hold(cluster, application, &Value::Null).await?;
    Ok(format!("{} is removed", called(application)))
}

/// What the played Helm has made of the release of a machine or a disk. What those own goes with them.
fn made_by_helm(application: &Value) -> Vec<Value> {
    let name = text(application, "/metadata/name");
    let namespace = text(application, "/metadata/namespace");
    let (api_version, kind, release) = match text(application, "/kind") {
        "VMInstance" => ("kubevirt.io/v1", "VirtualMachine", "vm-instance"),
        "VMDisk" => ("cdi.kubevirt.io/v1beta1", "DataVolume", "vm-disk"),
        _ => return vec![],
    };
    vec![json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": { "name": format!("{release}-{name}"), "namespace": namespace },
    })]
}

/// Gives a release its application, where it has none. One that Helm has not installed may be on its way to another name.
async fn adopt<C: Cluster>(cluster: &C, release: &Value) -> Result<Option<String>, ApiError> {
    let label = |name: &str| {
        let label = format!("apps.cozystack.io/application.{name}");
        release["metadata"]["labels"][label].as_str()
    };
    let known = label("kind").filter(|kind| kinds().any(|known| known == *kind));
    let is_going = release["metadata"]["deletionTimestamp"].is_string();
    let is_installed =
        release["status"]["conditions"].is_array() && release["spec"]["suspend"] != true;
    let stays = is_installed && !is_going;
    let Some((kind, name)) = known.zip(label("name")).filter(|_| stays) else {
        return Ok(None);
    };
    let values = release.pointer("/spec/values");
    let application = json!({
        "apiVersion": APPS,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": text(release, "/metadata/namespace"),
            "finalizers": [FINALIZER],
        },
        "spec": values.cloned().unwrap_or_else(|| json!({})),
    });
    let host = Caller::host();
    if cluster
        .get(&host, &reference(&application))
        .await?
        .is_some()
    {
        return Ok(None);
    }
    cluster.create(&host, MANAGER, &application, false).await?;
    Ok(Some(format!(
        "{} has come with its release",
        called(&application)
    )))
}

/// As [`parts`], for a step.
fn parts_of(application: &Value) -> Result<Vec<Value>, ApiError> {
    parts(application).map_err(|error| ApiError::new(ApiReason::Invalid, format!("{error:#}")))
}

async fn hold<C: Cluster>(
    cluster: &C,
    application: &Value,
    finalizers: &Value,
) -> Result<(), ApiError> {
    let patch = json!({ "metadata": { "finalizers": finalizers } });
    let target = reference(application);
    let host = Caller::host();
    let held = cluster.merge(&host, MANAGER, &target, &patch, Part::Main);
    held.await.map(|_| ())
}

fn is_held(application: &Value) -> bool {
    let finalizers = application["metadata"]["finalizers"].as_array();
    let mut finalizers = finalizers.into_iter().flatten();
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

fn called(object: &Value) -> String {
    let text = |pointer| text(object, pointer);
    format!(
        "{} {}/{}",
        text("/kind"),
        text("/metadata/namespace"),
        text("/metadata/name")
    )
}
