//! `strategyctl` as a user meets it: what it prints, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

fn strategyctl(arguments: &[&str]) -> Output {
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    Command::new(env!("CARGO_BIN_EXE_strategyctl"))
        .args(arguments)
        .current_dir(files)
        .output()
        .unwrap()
}

/// The CNPG strategy, as `cargo xtask bundle` leaves it.
fn cnpg() -> String {
    built("bundle/cnpg.wasm")
}

/// A component below `target`.
fn built(file: &str) -> String {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let path = target.join(file);
    assert!(
        path.exists(),
        "the strategies are not built; run `cargo xtask bundle`"
    );
    path.to_str().unwrap().to_owned()
}

fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn inspect_tells_what_a_component_is() {
    let document = json(&strategyctl(&["inspect", &cnpg(), "-o", "json"]))[0].clone();
    assert_eq!(document["manifest"]["name"], "cnpg");
    assert!(document["digest"].as_str().unwrap().starts_with("sha256:"));
    assert!(
        document["sizeBytes"].as_u64().unwrap() < 300 << 10,
        "a component is at most 300 KiB"
    );
    let imports = document["imports"].as_array().unwrap();
    assert!(imports.iter().all(|import| {
        import
            .as_str()
            .unwrap()
            .starts_with("cozystack:backup-strategy/")
    }));
    assert_eq!(
        document["manifest"]["strategyKind"].get("schema"),
        None,
        "schemas are shown when asked for"
    );
}

#[test]
fn inspect_says_what_is_wrong_with_a_file() {
    let output = strategyctl(&["inspect", "job.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.starts_with("strategyctl: job.yaml cannot be used: not a WebAssembly component"),
        "{stderr}"
    );
    assert_eq!(
        strategyctl(&["inspect", "absent.wasm"]).status.code(),
        Some(1)
    );
    assert_eq!(
        strategyctl(&["inspect"]).status.code(),
        Some(2),
        "a command line that makes no sense"
    );
}

#[test]
fn render_shows_step_by_step_what_a_job_would_lead_to() {
    let cnpg = cnpg();
    let mut arguments = vec![
        "render",
        "--plugin",
        &cnpg,
        "--now",
        "2026-11-25T12:00:00Z",
        "-o",
        "json",
    ];
    arguments.extend([
        "-f",
        "job.yaml",
        "-f",
        "class.yaml",
        "-f",
        "database.yaml",
        "--then",
        "then.yaml",
    ]);
    let output = strategyctl(&arguments);
    let steps = json(&output);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("is made up"),
        "what was made up is said"
    );
    assert_eq!(steps.as_array().unwrap().len(), 2);
    let job = &steps[0]["jobs"][0];
    assert_eq!(job["name"], "tenant-acme/ad-hoc");
    assert_eq!(
        job["paths"][0]["uri"],
        "s3://cozy-backups/tenant-acme/orders-db/postgres-orders-db/"
    );
    assert_eq!(job["status"]["phase"], "Running");
    let kinds: Vec<&str> = steps[0]["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ObjectStore", "Cluster", "Secret"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("made-up-secret-key"));
    let second = steps[1]["jobs"][0]["status"]["message"].as_str().unwrap();
    assert!(second.contains("restarts its Pods"), "{second}");
    // The same input gives the same output.
    assert_eq!(output.stdout.len(), strategyctl(&arguments).stdout.len());
}

#[test]
fn render_says_what_is_missing() {
    let cnpg = cnpg();
    let output = strategyctl(&["render", "--plugin", &cnpg, "-f", "class.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no BackupJob in the files"));
    let steps = json(&strategyctl(&[
        "render", "--plugin", &cnpg, "-f", "job.yaml", "-o", "json",
    ]));
    let message = steps[0]["jobs"][0]["status"]["message"].as_str().unwrap();
    assert!(
        message.contains("BackupClass cozy-default does not exist"),
        "{message}"
    );
}

#[test]
fn manifests_grant_what_the_manifest_asks_for_and_no_more() {
    let documents = json(&strategyctl(&["manifests", &cnpg(), "-o", "json"]));
    let of_kind = |kind: &str| {
        let mut found = documents
            .as_array()
            .unwrap()
            .iter()
            .filter(|document| document["kind"] == kind);
        found.next().cloned().unwrap_or_default()
    };
    assert_eq!(of_kind("StrategyPlugin")["spec"]["strategyKind"], "CNPG");
    assert_eq!(
        of_kind("CustomResourceDefinition")["metadata"]["name"],
        "cnpgs.strategy.backups.cozystack.io"
    );
    let role = of_kind("ClusterRole");
    let rules = role["rules"].as_array().unwrap();
    let text = role.to_string();
    assert!(!text.contains('*'), "no wildcard");
    assert!(!text.contains("secrets"), "no Secret");
    let backups = rules
        .iter()
        .find(|rule| rule["resources"][0] == "backups")
        .unwrap();
    assert_eq!(
        backups["verbs"],
        serde_json::json!(["create", "delete", "get", "list", "watch"])
    );
    let impersonation = of_kind("Role");
    assert_eq!(
        impersonation["rules"][0]["resourceNames"],
        serde_json::json!(["strategy-cnpg"])
    );
}

#[test]
fn manifests_grant_what_is_in_system_namespaces_there_and_nowhere_else() {
    let documents = json(&strategyctl(&[
        "manifests",
        &built("bundle/velero.wasm"),
        "-o",
        "json",
    ]));
    let named = |kind: &str| {
        let mut found = documents.as_array().unwrap().iter().filter(|document| {
            document["kind"] == kind
                && document["metadata"]["name"] == "backups.cozystack.io:strategy-velero"
        });
        (found.next().unwrap(), found.count())
    };
    let (everywhere, _) = named("ClusterRole");
    let everywhere = everywhere.to_string();
    for absent in ["configmaps", "velero.io"] {
        assert!(!everywhere.contains(absent), "{everywhere}");
    }
    assert!(everywhere.contains("persistentvolumeclaims"));
    let (role, others) = named("Role");
    assert_eq!(
        (&role["metadata"]["namespace"], others),
        (&"cozy-velero".into(), 0)
    );
    let maps = &role["rules"][0];
    assert_eq!(maps["resources"], serde_json::json!(["configmaps"]));
    assert_eq!(
        maps["verbs"],
        serde_json::json!(["create", "delete", "get", "list", "watch"])
    );
    let (binding, _) = named("RoleBinding");
    assert_eq!(binding["subjects"][0]["name"], "strategy-velero");
    assert_eq!(binding["roleRef"]["kind"], "Role");
}

#[test]
fn manifests_let_the_host_read_the_kind_that_it_has_not_heard_of() {
    let documents = json(&strategyctl(&["manifests", &cnpg(), "-o", "json"]));
    let named = |kind: &str| {
        let mut found = documents.as_array().unwrap().iter().filter(|document| {
            document["kind"] == kind
                && document["metadata"]["name"] == "backups.cozystack.io:strategy-cnpg-host"
        });
        found.next().cloned().unwrap()
    };
    assert_eq!(
        named("ClusterRole")["rules"],
        serde_json::json!([{
            "apiGroups": ["strategy.backups.cozystack.io"], "resources": ["cnpgs"], "verbs": ["get", "list", "watch"],
        }])
    );
    let subject = &named("ClusterRoleBinding")["subjects"][0];
    assert_eq!(subject["name"], "backupstrategy-controller");
}

#[test]
fn crds_are_those_of_the_group() {
    let definitions = json(&strategyctl(&["crds", "-o", "json"]));
    let names: Vec<&str> = definitions
        .as_array()
        .unwrap()
        .iter()
        .map(|crd| crd["spec"]["names"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "BackupClass",
            "BackupJob",
            "Backup",
            "Plan",
            "RestoreJob",
            "StrategyPlugin"
        ]
    );
}

#[test]
fn check_finds_nothing_in_a_strategy_that_keeps_its_promises() {
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    let read = |file: &str| std::fs::read_to_string(files.join(file)).unwrap();
    let case = format!("{}\n---\n{}", read("class.yaml"), read("database.yaml"));
    let cases = tempfile::tempdir().unwrap();
    std::fs::write(cases.path().join("orders.yaml"), case).unwrap();
    let folder = cases.path().to_str().unwrap();
    let output = strategyctl(&["check", &cnpg(), "--cases", folder]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
}

#[test]
fn check_ends_with_1_where_it_finds_something() {
    let output = strategyctl(&["check", &built("fixtures/hostile.wasm")]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let begin = "made up: advice: answers: Postgres.apps.cozystack.io, paths of a BackupJob: ";
    assert!(stdout.starts_with(begin), "{stdout}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr, "strategyctl: there is a finding\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn check_of_a_folder_without_cases_is_an_error() {
    let empty = tempfile::tempdir().unwrap();
    let folder = empty.path().to_str().unwrap();
    let output = strategyctl(&["check", &cnpg(), "--cases", folder]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("holds no .yaml file"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}
