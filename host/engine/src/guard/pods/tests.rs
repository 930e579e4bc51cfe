//! One Pod that passes, and what breaks it.

use serde_json::json;

use super::*;

/// The Pod of the default strategy for ClickHouse, with what `restricted` demands.
fn job() -> Value {
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "x", "namespace": "ns" },
        "spec": { "backoffLimit": 2, "template": {
            "metadata": { "labels": { "app": "backup" } },
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": false,
                "securityContext": { "runAsNonRoot": true, "runAsUser": 65534 },
                "containers": [{
                    "name": "ch-backup-client",
                    "image": "registry.example/client:1",
                    "command": ["/bin/sh", "-c", "curl"],
                    "env": [{ "name": "API_PASSWORD", "valueFrom": { "secretKeyRef": {
                        "name": "clickhouse-db-backup-api-auth", "key": "password" } } }],
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "capabilities": { "drop": ["ALL"] },
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                }],
            },
        } },
    })
}

fn check(level: PodSecurityLevel, kind: &str, document: &Value, form: Form) -> Result<(), String> {
    let secrets = [
        "clickhouse-db-*".to_owned(),
        "cozy-backups-creds".to_owned(),
    ];
    let pods = Pods {
        level,
        secrets: &secrets,
    };
    pods.check(kind, document, form)
}

fn merged(mut into: Value, patch: &Value) -> Value {
    fn merge(into: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            into.clone_from(patch);
            return;
        };
        if !into.is_object() {
            *into = json!({});
        }
        for (name, value) in patch {
            merge(&mut into[name], value);
        }
    }
    merge(&mut into, patch);
    into
}

/// The Job with another Pod spec.
fn with_spec(patch: &Value) -> Value {
    merged(job(), &json!({ "spec": { "template": { "spec": patch } } }))
}

/// The Job with another container.
fn with_container(patch: &Value) -> Value {
    let mut job = job();
    let container = &mut job["spec"]["template"]["spec"]["containers"][0];
    *container = merged(container.take(), patch);
    job
}

#[test]
fn the_pod_of_a_strategy_can_keep_the_strictest_level() {
    assert_eq!(
        check(PodSecurityLevel::Restricted, "Job", &job(), Form::Whole),
        Ok(())
    );
}

#[test]
fn each_control_of_the_standards_is_kept() {
    use PodSecurityLevel::{Baseline, Privileged, Restricted};
    let context = |patch: Value| with_container(&json!({ "securityContext": patch }));
    let volume = |source: &str| with_spec(&json!({ "volumes": [{ "name": "v", source: {} }] }));
    // What is wrong, and the strictest level that lets it pass.
    let cases = [
        (
            "Host Namespaces, hostNetwork",
            Privileged,
            with_spec(&json!({ "hostNetwork": true })),
        ),
        (
            "Host Namespaces, hostPID",
            Privileged,
            with_spec(&json!({ "hostPID": true })),
        ),
        (
            "Host Namespaces, hostIPC",
            Privileged,
            with_spec(&json!({ "hostIPC": true })),
        ),
        (
            "HostProcess",
            Privileged,
            context(json!({ "windowsOptions": { "hostProcess": true } })),
        ),
        (
            "Privileged Containers",
            Privileged,
            context(json!({ "privileged": true })),
        ),
        (
            "Capabilities",
            Privileged,
            context(json!({ "capabilities": { "add": ["SYS_ADMIN"] } })),
        ),
        (
            "Capabilities",
            Baseline,
            context(json!({ "capabilities": { "add": ["CHOWN"] } })),
        ),
        (
            "Capabilities",
            Baseline,
            context(json!({ "capabilities": { "drop": ["CHOWN"] } })),
        ),
        (
            "HostPath Volumes",
            Privileged,
            with_spec(&json!({ "volumes": [{ "name": "v", "hostPath": { "path": "/" } }] })),
        ),
        (
            "Host Ports",
            Privileged,
            with_container(&json!({ "ports": [{ "containerPort": 1, "hostPort": 1 }] })),
        ),
        (
            "Host Probes",
            Privileged,
            with_container(
                &json!({ "livenessProbe": { "httpGet": { "host": "10.0.0.1", "port": 1 } } }),
            ),
        ),
        (
            "Host Probes",
            Privileged,
            with_container(
                &json!({ "lifecycle": { "preStop": { "tcpSocket": { "host": "x", "port": 1 } } } }),
            ),
        ),
        (
            "AppArmor",
            Privileged,
            context(json!({ "appArmorProfile": { "type": "Unconfined" } })),
        ),
        (
            "AppArmor",
            Privileged,
            merged(
                job(),
                &json!({ "spec": { "template": { "metadata": { "annotations": {
            "container.apparmor.security.beta.kubernetes.io/x": "unconfined" } } } } }),
            ),
        ),
        (
            "SELinux",
            Privileged,
            context(json!({ "seLinuxOptions": { "type": "spc_t" } })),
        ),
        (
            "SELinux",
            Privileged,
            with_spec(&json!({ "securityContext": { "seLinuxOptions": { "user": "root" } } })),
        ),
        (
            "/proc Mount Type",
            Privileged,
            context(json!({ "procMount": "Unmasked" })),
        ),
        (
            "Seccomp",
            Privileged,
            context(json!({ "seccompProfile": { "type": "Unconfined" } })),
        ),
        (
            "Seccomp",
            Baseline,
            context(json!({ "seccompProfile": null })),
        ),
        (
            "Sysctls",
            Privileged,
            with_spec(
                &json!({ "securityContext": { "sysctls": [{ "name": "kernel.msgmax", "value": "1" }] } }),
            ),
        ),
        (
            "Privilege Escalation",
            Baseline,
            context(json!({ "allowPrivilegeEscalation": true })),
        ),
        (
            "Privilege Escalation",
            Baseline,
            context(json!({ "allowPrivilegeEscalation": null })),
        ),
        (
            "Running as Non-root",
            Baseline,
            with_spec(&json!({ "securityContext": { "runAsNonRoot": null } })),
        ),
        (
            "Running as Non-root",
            Baseline,
            context(json!({ "runAsNonRoot": false })),
        ),
        (
            "Running as Non-root user",
            Baseline,
            context(json!({ "runAsUser": 0 })),
        ),
        ("Volume Types", Baseline, volume("nfs")),
        ("Volume Types", Baseline, volume("gitRepo")),
    ];
    for (control, passes, document) in cases {
        for level in [Restricted, Baseline, Privileged] {
            let said = check(level, "Job", &document, Form::Whole);
            if level < passes {
                let said = said.expect_err(control);
                assert!(
                    said.contains(&format!("breaks the level {}: {control}", level.as_str())),
                    "{said}"
                );
            } else {
                assert_eq!(said, Ok(()), "{control} at {level:?}");
            }
        }
    }
}

#[test]
fn what_a_pod_may_have_passes() {
    for document in [
        with_spec(
            &json!({ "volumes": [{ "name": "a", "emptyDir": {} }, { "name": "b", "configMap": { "name": "x" } },
            { "name": "c", "secret": { "secretName": "cozy-backups-creds" } }] }),
        ),
        with_spec(&json!({ "serviceAccountName": "default" })),
        with_spec(&json!({ "imagePullSecrets": [{ "name": "clickhouse-db-registry" }] })),
        with_container(
            &json!({ "securityContext": { "capabilities": { "add": ["NET_BIND_SERVICE"] } } }),
        ),
        with_container(
            &json!({ "envFrom": [{ "secretRef": { "name": "clickhouse-db-x" } }, { "configMapRef": { "name": "x" } }] }),
        ),
    ] {
        assert_eq!(
            check(PodSecurityLevel::Restricted, "Job", &document, Form::Whole),
            Ok(())
        );
    }
}

#[test]
fn secrets_accounts_and_tokens_are_closed_at_every_level() {
    let secret = json!({ "name": "other" });
    let volumes = |volume: Value| with_spec(&json!({ "volumes": [volume] }));
    let cases = [
        (
            "uses Secret \"other\"",
            volumes(json!({ "name": "v", "secret": { "secretName": "other" } })),
        ),
        (
            "uses Secret \"other\"",
            volumes(json!({ "name": "v", "projected": { "sources": [{ "secret": secret }] } })),
        ),
        (
            "uses Secret \"other\"",
            volumes(
                json!({ "name": "v", "csi": { "driver": "x", "nodePublishSecretRef": secret } }),
            ),
        ),
        (
            "uses Secret \"other\"",
            volumes(json!({ "name": "v", "cephfs": { "secretRef": secret } })),
        ),
        (
            "uses Secret \"other\"",
            volumes(json!({ "name": "v", "azureFile": { "secretName": "other" } })),
        ),
        (
            "uses Secret \"other\"",
            with_spec(&json!({ "imagePullSecrets": [secret] })),
        ),
        (
            "uses Secret \"other\"",
            with_container(&json!({ "envFrom": [{ "secretRef": secret }] })),
        ),
        (
            "uses Secret \"other\"",
            with_container(
                &json!({ "env": [{ "name": "X", "valueFrom": { "secretKeyRef": secret } }] }),
            ),
        ),
        (
            "uses Secret \"other\"",
            with_spec(
                &json!({ "initContainers": [{ "name": "i", "env": [{ "name": "X", "valueFrom": { "secretKeyRef": secret } }] }] }),
            ),
        ),
        (
            "runs under ServiceAccount \"admin\"",
            with_spec(&json!({ "serviceAccountName": "admin" })),
        ),
        (
            "runs under ServiceAccount \"admin\"",
            with_spec(&json!({ "serviceAccount": "admin" })),
        ),
        (
            "automountServiceAccountToken is true",
            with_spec(&json!({ "automountServiceAccountToken": true })),
        ),
        (
            "automountServiceAccountToken is not false",
            with_spec(&json!({ "automountServiceAccountToken": null })),
        ),
        (
            "ServiceAccount: serviceAccountToken",
            volumes(
                json!({ "name": "v", "projected": { "sources": [{ "serviceAccountToken": { "path": "x" } }] } }),
            ),
        ),
        (
            "ServiceAccount: podCertificate",
            volumes(
                json!({ "name": "v", "projected": { "sources": [{ "podCertificate": { "keyType": "ED25519" } }] } }),
            ),
        ),
        (
            "Secrets that hold one are not made",
            merged(
                job(),
                &json!({ "metadata": { "annotations": { "kubernetes.io/service-account.name": "default" } } }),
            ),
        ),
    ];
    for (words, document) in cases {
        for level in [PodSecurityLevel::Restricted, PodSecurityLevel::Privileged] {
            let said = check(level, "Job", &document, Form::Whole).expect_err(words);
            if level == PodSecurityLevel::Privileged {
                assert!(said.contains(words), "{said}");
            }
        }
    }
}

#[test]
fn every_container_of_a_pod_is_looked_at() {
    for list in ["initContainers", "ephemeralContainers"] {
        let document = with_spec(&json!({ list: [{ "name": "more", "image": "x" }] }));
        let said = check(PodSecurityLevel::Restricted, "Job", &document, Form::Whole);
        assert!(said.unwrap_err().contains("of container \"more\""));
    }
}

#[test]
fn a_template_is_found_in_the_object_of_an_operator_and_in_a_list() {
    let template = |spec: Value| json!({ "kind": "FoundationDBBackup", "spec": { "podTemplateSpec": { "spec": spec } } });
    let mut spec = job()["spec"]["template"]["spec"].clone();
    let level = PodSecurityLevel::Restricted;
    assert_eq!(
        check(
            level,
            "FoundationDBBackup",
            &template(spec.clone()),
            Form::Whole
        ),
        Ok(())
    );
    spec["containers"][0]["securityContext"] = Value::Null;
    let said = check(
        level,
        "FoundationDBBackup",
        &template(spec.clone()),
        Form::Whole,
    );
    assert!(said.unwrap_err().ends_with("(/spec/podTemplateSpec/spec)"));
    let list = json!({ "spec": { "processes": [{ "podTemplate": { "spec": spec } }] } });
    assert!(check(level, "FoundationDBCluster", &list, Form::Whole).is_err());
}

#[test]
fn fields_of_a_pod_are_judged_where_an_operator_has_them_without_a_pod() {
    for (document, words) in [
        (
            json!({ "spec": { "serviceAccountName": "admin" } }),
            "runs under ServiceAccount",
        ),
        (
            json!({ "spec": { "securityContext": { "privileged": true } } }),
            "Privileged Containers",
        ),
        (
            json!({ "spec": { "podSecurityContext": { "runAsUser": 0 } } }),
            "Running as Non-root user",
        ),
        (
            json!({ "spec": { "storage": { "volume": { "hostPath": { "path": "/" } } } } }),
            "HostPath Volumes",
        ),
        (
            json!({ "spec": { "imagePullSecrets": [{ "name": "other" }] } }),
            "uses Secret",
        ),
    ] {
        let said = check(
            PodSecurityLevel::Restricted,
            "Backup",
            &document,
            Form::Whole,
        );
        assert!(said.unwrap_err().contains(words), "{words}");
    }
    let harmless = json!({ "spec": {
        "storage": { "s3": { "accessKeyIdSecretKeyRef": { "name": "x", "key": "y" } } },
        "podSecurityContext": { "fsGroup": 999 },
    } });
    assert_eq!(
        check(
            PodSecurityLevel::Restricted,
            "Backup",
            &harmless,
            Form::Whole
        ),
        Ok(())
    );
}

#[test]
fn a_patch_is_judged_by_what_it_sets() {
    let level = PodSecurityLevel::Restricted;
    let patch = |spec: Value| {
        check(
            level,
            "Deployment",
            &json!({ "spec": { "template": { "spec": spec } } }),
            Form::Patch,
        )
    };
    assert_eq!(patch(json!({ "terminationGracePeriodSeconds": 1 })), Ok(()));
    for (spec, words) in [
        (json!({ "hostNetwork": true }), "hostNetwork"),
        (
            json!({ "securityContext": null }),
            "the patch removes securityContext",
        ),
        (
            json!({ "automountServiceAccountToken": null }),
            "automountServiceAccountToken is null",
        ),
        (
            json!({ "containers": [{ "name": "x", "image": "y" }] }),
            "Privilege Escalation",
        ),
    ] {
        assert!(patch(spec).unwrap_err().contains(words), "{words}");
    }
    let container = job()["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(patch(json!({ "containers": container })), Ok(()));
}
