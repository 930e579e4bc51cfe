//! The Pods of backup agents: what the settings say of them, with the credentials and the security that every one needs.
//!
//! The operator merges its own containers into the template, by their names.

use backup_strategy::{Pod, fill, items, prelude::*};

use crate::{
    FoundationDb,
    destination::{Blob, Commands},
    operator::{AGENTS_LABEL, FoundationDbBackup, FoundationDbCluster, agents_of},
};

/// The container with the agent.
const AGENT: &str = "foundationdb";
/// The init container that copies the programs of another image. It has no image here: the operator knows it.
const INIT: &str = "foundationdb-kubernetes-init";
/// The user that FoundationDB's images are made for.
const USER: u32 = 4059;
/// The variable by which agents find the file with their credentials.
const CREDENTIALS: &str = "FDB_BLOB_CREDENTIALS";
/// The variable by which they find the certificate authority of the S3 service.
const AUTHORITY: &str = "FDB_TLS_CA_FILE";
/// The key of the platform's Secret that holds that file.
const KEY: &str = "blob_credentials.json";
/// Where the platform's Secret is mounted.
const FOLDER: &str = "/var/fdb-blob-credentials";
/// The volume of the platform's Secret.
const VOLUME: &str = "blob-credentials";

/// The template of the agents' Pods.
pub fn pod_template(
    cx: &Context<FoundationDb>,
    cluster: &FoundationDbCluster,
    blob: &Blob,
    commands: &Commands,
) -> Outcome<Value> {
    let given = cx.spec()?.template.backup_deployment_pod_template_spec;
    let template = filled(given.unwrap_or_default(), cluster.has_unified_image());
    if cx.authority_of(blob.host()).is_some() && !has_variable(&template, AUTHORITY) {
        return fail!(
            "PrivateCAUnsupported",
            "{} has a certificate of a private authority. FoundationDB trusts it only where {AUTHORITY}, \
             FDB_TLS_CERTIFICATE_FILE and FDB_TLS_KEY_FILE are set, in the operator's Pod and in \
             backupDeploymentPodTemplateSpec; set them in both, or give the storage a certificate of a public authority",
            blob.host()
        );
    }
    let secret = cx.bucket().credentials_secret;
    Ok(with_credentials(
        template,
        commands.credentials.as_deref(),
        &secret,
    ))
}

/// Tells the agent where its credentials are: in the file that the parameters name, else in the platform's Secret.
fn with_credentials(mut template: Value, file: Option<&str>, secret: &str) -> Value {
    if has_variable(&template, CREDENTIALS) {
        return template;
    }
    let spec = &mut template["spec"];
    if file.is_none() {
        let items = json!([{ "key": KEY, "path": KEY }]);
        add(
            &mut spec["volumes"],
            json!({ "name": VOLUME, "secret": { "secretName": secret, "items": items } }),
        );
    }
    if let Some(agent) = agent(spec) {
        if file.is_none() {
            let mount = json!({ "name": VOLUME, "mountPath": FOLDER, "readOnly": true });
            add(&mut agent["volumeMounts"], mount);
        }
        let file = file.map_or_else(|| format!("{FOLDER}/{KEY}"), Into::into);
        add(
            &mut agent["env"],
            json!({ "name": CREDENTIALS, "value": file }),
        );
    }
    template
}

/// A Secret that is missing does not make agents fail: their Pods just never start.
pub fn missing(
    cx: &Context<FoundationDb>,
    backup: &FoundationDbBackup,
    ready: i64,
    wanted: i64,
) -> Outcome<()> {
    let agents = agents_of(backup.name());
    let pods = cx.find::<Pod>(&[(AGENTS_LABEL, &agents)])?;
    let why = pods.iter().find_map(Pod::obstacle).map_or_else(
        || {
            let secrets = secrets_of(backup.pod_template()).join(", ");
            format!("they need these Secrets of the namespace: {secrets}")
        },
        |obstacle| format!("a Pod cannot start: {obstacle}"),
    );
    wait!(
        "BackupAgentsNotReady",
        "{ready} of {wanted} backup agents of {agents} are ready; {why}"
    )
    .at_most(15.minutes())
}

/// The Secrets that the Pods of a template need.
fn secrets_of(template: &Value) -> Vec<&str> {
    let volumes = items(template, "/spec/volumes");
    let mounted = volumes
        .filter(|volume| volume["secret"]["optional"] != true)
        .filter_map(|volume| volume["secret"]["secretName"].as_str());
    let containers = ["/spec/initContainers", "/spec/containers"];
    let containers = containers.iter().flat_map(|list| items(template, list));
    let read = containers.flat_map(|container| {
        let whole = items(container, "/envFrom").map(|from| &from["secretRef"]);
        let single =
            items(container, "/env").map(|variable| &variable["valueFrom"]["secretKeyRef"]);
        whole.chain(single)
    });
    let read = read
        .filter(|reference| reference["optional"] != true)
        .filter_map(|reference| reference["name"].as_str());
    let mut secrets: Vec<&str> = vec![];
    for secret in mounted.chain(read) {
        if !secrets.contains(&secret) {
            secrets.push(secret);
        }
    }
    secrets
}

/// What a Pod of the level `restricted` says, where the template does not say it otherwise.
fn filled(mut template: Value, has_unified_image: bool) -> Value {
    let spec = &mut template["spec"];
    fill(
        spec,
        json!({
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
        }),
    );
    named(&mut spec["containers"], AGENT);
    if !has_unified_image {
        named(&mut spec["initContainers"], INIT);
    }
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array_mut().into_iter().flatten() {
            fill(
                &mut container["securityContext"],
                json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } }),
            );
        }
    }
    // The operator asks for a processor and 8 GiB otherwise, for each agent.
    if let Some(agent) = agent(spec) {
        fill(
            &mut agent["resources"],
            json!({
                "requests": { "cpu": "100m", "memory": "128Mi" },
                "limits": { "cpu": "200m", "memory": "256Mi" },
            }),
        );
    }
    // A list that is not there is made by being looked at.
    pruned(template)
}

/// Adds a container of a name to a list, where it is missing.
fn named(list: &mut Value, name: &str) {
    if items(list, "").all(|container| container["name"] != name) {
        add(list, json!({ "name": name }));
    }
}

fn agent(spec: &mut Value) -> Option<&mut Value> {
    let containers = spec["containers"].as_array_mut()?;
    containers
        .iter_mut()
        .find(|container| container["name"] == AGENT)
}

fn has_variable(template: &Value, name: &str) -> bool {
    let mut containers = items(template, "/spec/containers");
    let agent = containers.find(|container| container["name"] == AGENT);
    agent.is_some_and(|agent| items(agent, "/env").any(|variable| variable["name"] == name))
}

/// Adds an item to a list, which may be absent.
fn add(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        absent => *absent = Value::Array(vec![item]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first controller's default has it.
    fn old() -> Value {
        json!({
            "spec": {
                "containers": [{
                    "name": "foundationdb",
                    "resources": { "limits": { "memory": "1Gi" } },
                    "securityContext": { "runAsUser": 1000 },
                    "volumeMounts": [{ "name": "blob-credentials", "mountPath": "/var/own", "readOnly": true }],
                }],
                "volumes": [{ "name": "blob-credentials", "secret": { "secretName": "own" } }],
            },
        })
    }

    #[test]
    fn agents_of_no_template_have_the_platforms_credentials() {
        let template = with_credentials(filled(Value::Null, false), None, "cozy-backups-creds");
        let spec = &template["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            spec["containers"][0]["env"],
            json!([{ "name": "FDB_BLOB_CREDENTIALS", "value": "/var/fdb-blob-credentials/blob_credentials.json" }])
        );
        assert_eq!(
            spec["containers"][0]["resources"]["requests"]["memory"],
            "128Mi"
        );
        for container in [&spec["containers"][0], &spec["initContainers"][0]] {
            assert_eq!(
                container["securityContext"]["capabilities"]["drop"],
                json!(["ALL"])
            );
        }
        assert_eq!(secrets_of(&template), ["cozy-backups-creds"]);
    }

    #[test]
    fn what_a_template_says_is_left_as_it_is() {
        let template = with_credentials(
            filled(old(), true),
            Some("/var/own/c.json"),
            "cozy-backups-creds",
        );
        let spec = &template["spec"];
        assert!(
            spec.get("initContainers").is_none(),
            "one image has nothing to copy"
        );
        let agent = &spec["containers"][0];
        assert_eq!(agent["securityContext"]["runAsUser"], 1000);
        assert_eq!(
            agent["resources"]["limits"],
            json!({ "cpu": "200m", "memory": "1Gi" })
        );
        assert_eq!(
            agent["env"],
            json!([{ "name": "FDB_BLOB_CREDENTIALS", "value": "/var/own/c.json" }])
        );
        assert_eq!(spec["volumes"], old()["spec"]["volumes"]);
        // One that names the file by itself needs nothing.
        assert_eq!(
            with_credentials(template.clone(), None, "cozy-backups-creds"),
            template
        );
    }

    // TestPodTemplateSpecMissingSecrets_DedupesAndFiltersOptional
    #[test]
    fn secrets_are_told_once_and_without_those_that_may_be_missing() {
        let template = json!({
            "spec": {
                "volumes": [
                    { "name": "a", "secret": { "secretName": "volume" } },
                    { "name": "b", "secret": { "secretName": "maybe", "optional": true } },
                    { "name": "c", "emptyDir": {} },
                ],
                "initContainers": [{ "envFrom": [{ "secretRef": { "name": "whole" } }] }],
                "containers": [{ "env": [
                    { "name": "A", "valueFrom": { "secretKeyRef": { "name": "single", "key": "a" } } },
                    { "name": "B", "valueFrom": { "secretKeyRef": { "name": "volume", "key": "a" } } },
                    { "name": "C", "valueFrom": { "secretKeyRef": { "name": "maybe", "key": "a", "optional": true } } },
                    { "name": "D", "value": "text" },
                ] }],
            },
        });
        assert_eq!(secrets_of(&template), ["volume", "whole", "single"]);
    }
}
