//! Helm for the releases of Postgres applications, and the API server of the applications, whose objects are views of
//! HelmReleases: a change of one writes the other anew, and thereby resumes it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use backup_engine::{
    cluster::{ApiError, Caller, Cluster, Part},
    reference,
};
use serde_json::{Value, json};

use super::{API_VERSION, PLUGIN, STORES, get};
use crate::play::{APPLICATION_KIND, set_status, text};

const MANAGER: &str = "helm-controller";
/// Says on a release which values it has.
const VALUES: &str = "stage/values";
/// Says on a release which values were rendered last.
const RENDERED: &str = "stage/rendered";

/// One step of a release: it takes in a change of its application, or is rendered.
pub(super) async fn render<C: Cluster>(
    cluster: &C,
    release: &Value,
) -> Result<Option<String>, ApiError> {
    if text(release, APPLICATION_KIND) != "Postgres" {
        return Ok(None);
    }
    let label = "/metadata/labels/apps.cozystack.io~1application.name";
    let application = text(release, label);
    let group = "apps.cozystack.io/v1alpha1";
    let found = get(cluster, release, group, "Postgres", application).await?;
    let Some(application) = found else {
        return Ok(None);
    };
    let values = digest(&application["spec"]);
    // Up to its first restore an application is as it was installed.
    let is_restored = application.pointer("/spec/bootstrap/enabled") == Some(&json!(true));
    let note = |name: &str| release["metadata"]["annotations"][name].as_str();
    if is_restored && note(VALUES) != Some(&values) {
        let patch = json!({ "metadata": { "annotations": { VALUES: values } }, "spec": { "suspend": null } });
        change(cluster, release, &patch).await?;
        let name = text(release, "/metadata/name");
        return Ok(Some(format!("HelmRelease {name} has new values")));
    }
    if release.pointer("/spec/suspend") == Some(&json!(true)) {
        return Ok(None);
    }
    let name = text(release, "/metadata/name");
    let database = get(cluster, release, API_VERSION, "Cluster", name).await?;
    let is_rendered = !is_restored || note(RENDERED) == Some(&values);
    if is_rendered && database.is_some() {
        return Ok(None);
    }
    let outcome = upgrade(cluster, release, &application, database.as_ref()).await?;
    let patch = json!({ "metadata": { "annotations": { RENDERED: values } } });
    change(cluster, release, &patch).await?;
    let ready = json!({ "conditions": [{
        "type": "Ready",
        "status": if outcome.is_ok() { "True" } else { "False" },
        "reason": if outcome.is_ok() { "UpgradeSucceeded" } else { "UpgradeFailed" },
        "message": outcome.as_ref().err().map_or("Helm upgrade succeeded", |why| why.as_str()),
        "lastTransitionTime": "2026-11-25T12:00:00Z",
    }] });
    set_status(cluster, MANAGER, release, &ready).await?;
    let failed = outcome
        .err()
        .map_or(String::new(), |why| format!(", and fails: {why}"));
    Ok(Some(format!("Helm renders {name}{failed}")))
}

/// Values in short: in full they hold passwords.
fn digest(values: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    values.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// What the chart renders, and what goes wrong with it.
async fn upgrade<C: Cluster>(
    cluster: &C,
    release: &Value,
    application: &Value,
    database: Option<&Value>,
) -> Result<Result<(), String>, ApiError> {
    let name = text(release, "/metadata/name");
    let spec = &application["spec"];
    let is_restored = spec["bootstrap"]["enabled"] == true;
    if is_restored && spec["backup"]["useSystemBucket"] == true {
        return Ok(Err(
            "bootstrap.enabled and backup.useSystemBucket exclude each other".to_owned(),
        ));
    }
    let archives = is_restored && spec["backup"]["enabled"] == true;
    let stores = [
        (is_restored, format!("{name}-recovery")),
        (archives, name.to_owned()),
    ];
    for store in stores.iter().filter(|(is_rendered, _)| *is_rendered) {
        if let Err(why) = object_store(cluster, release, &store.1, &spec["backup"]).await? {
            return Ok(Err(why));
        }
    }
    let rendered = rendered(name, spec, archives);
    let Some(database) = database else {
        let mut object = object(release, API_VERSION, "Cluster", name);
        object["spec"] = rendered;
        let host = Caller::host();
        cluster.create(&host, MANAGER, &object, false).await?;
        return Ok(Ok(()));
    };
    let bootstrap = &database["spec"]["bootstrap"];
    if is_restored && bootstrap["recovery"]["source"] != rendered["bootstrap"]["recovery"]["source"]
    {
        return Ok(Err(
            "spec.bootstrap: Only one bootstrap method can be specified at a time".to_owned(),
        ));
    }
    change(cluster, database, &json!({ "spec": rendered })).await?;
    Ok(Ok(()))
}

/// The spec of the Cluster.
fn rendered(name: &str, spec: &Value, archives: bool) -> Value {
    let bootstrap = &spec["bootstrap"];
    let mut rendered = json!({ "instances": 1 });
    if bootstrap["enabled"] == true {
        let source = &bootstrap["oldName"];
        rendered["bootstrap"] = json!({ "recovery": { "source": source } });
        if let Some(time) = bootstrap["recoveryTime"].as_str() {
            rendered["bootstrap"]["recovery"]["recoveryTarget"] = json!({ "targetTime": time });
        }
        let parameters = json!({
            "barmanObjectName": format!("{name}-recovery"), "serverName": bootstrap["serverName"],
        });
        rendered["externalClusters"] =
            json!([{ "name": source, "plugin": { "name": PLUGIN, "parameters": parameters } }]);
    } else {
        rendered["bootstrap"] = json!({ "initdb": { "database": "app" } });
    }
    if archives {
        let own = bootstrap["newServerName"].as_str().unwrap_or(name);
        rendered["plugins"] = json!([{
            "name": PLUGIN,
            "isWALArchiver": true,
            "parameters": { "barmanObjectName": name, "serverName": own },
        }]);
    }
    rendered
}

/// Helm takes over an object that carries its marks, and no other.
async fn object_store<C: Cluster>(
    cluster: &C,
    release: &Value,
    name: &str,
    backup: &Value,
) -> Result<Result<(), String>, ApiError> {
    let key = |field: &str| json!({ "name": backup["s3CredentialsSecret"]["name"], "key": backup["s3CredentialsSecret"][field] });
    let mut spec = json!({ "configuration": {
        "destinationPath": backup["destinationPath"],
        "s3Credentials": { "accessKeyId": key("accessKeyIDKey"), "secretAccessKey": key("secretAccessKeyKey") },
    } });
    for field in ["endpointURL", "endpointCA"] {
        if !backup[field].is_null() && backup[field] != "" {
            spec["configuration"][field] = backup[field].clone();
        }
    }
    match get(cluster, release, STORES, "ObjectStore", name).await? {
        Some(found) => {
            let of = &found["metadata"]["annotations"]["meta.helm.sh/release-name"];
            if *of != release["metadata"]["name"] {
                return Ok(Err(format!(
                    "ObjectStore {name} exists and cannot be imported: invalid ownership metadata"
                )));
            }
            change(cluster, &found, &json!({ "spec": spec })).await?;
        }
        None => {
            let mut object = object(release, STORES, "ObjectStore", name);
            object["spec"] = spec;
            let host = Caller::host();
            cluster.create(&host, MANAGER, &object, false).await?;
        }
    }
    Ok(Ok(()))
}

/// An object of a release, without its spec.
fn object(release: &Value, api_version: &str, kind: &str, name: &str) -> Value {
    let namespace = text(release, "/metadata/namespace");
    json!({
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": { "app.kubernetes.io/managed-by": "Helm" },
            "annotations": {
                "meta.helm.sh/release-name": text(release, "/metadata/name"),
                "meta.helm.sh/release-namespace": namespace,
            },
        },
    })
}

async fn change<C: Cluster>(cluster: &C, object: &Value, patch: &Value) -> Result<(), ApiError> {
    let target = reference(object);
    let host = Caller::host();
    let merged = cluster.merge(&host, MANAGER, &target, patch, Part::Main);
    merged.await.map(|_| ())
}
