//! The playground as a person has it: started, tried by a tenant, ended.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use controlplane::Processes;
use futures::future::join_all;
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

/// The tenant for whom nothing was done yet.
const TENANT: &str = "tenant-umbrella";

/// The applications of a tenant, one of each kind.
const APPLICATIONS: [(&str, &str); 7] = [
    ("Postgres", "orders-db"),
    ("MariaDB", "shop"),
    ("ClickHouse", "events"),
    ("Etcd", "etcd"),
    ("FoundationDB", "ledger"),
    ("VMInstance", "web"),
    ("VMDisk", "archive"),
];

/// A playground in a folder of its own. It is ended when dropped.
struct Playground(PathBuf);

impl Playground {
    fn run(&self, word: &str, arguments: &[&Path]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_playground"))
            .args([word, "--folder"])
            .arg(&self.0)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// What `up` says.
    fn up(&self) -> String {
        let bundle = stage::bundle().unwrap();
        let output = self.run("up", &["--plugins".as_ref(), &bundle]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{why}");
        said
    }

    /// A tenant's client.
    async fn client(&self, tenant: &str) -> Client {
        let kubeconfig = self.0.join(format!("{tenant}.kubeconfig"));
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.unwrap()).unwrap()
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        self.run("down", &[]);
    }
}

fn kind(name: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "backups.cozystack.io",
        "v1alpha1",
        name,
    ))
}

fn jobs(client: &Client, namespace: &str, name: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &kind(name))
}

/// Orders a job, and waits until it has succeeded.
async fn succeeds(client: &Client, kind: &str, name: &str, spec: &Value) {
    let api = jobs(client, TENANT, kind);
    let job = json!({
        "apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind,
        "metadata": { "name": name }, "spec": spec,
    });
    let job = serde_json::from_value(job).unwrap();
    api.create(&PostParams::default(), &job).await.unwrap();
    let has_ended = |job: &Value| {
        matches!(
            job["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        )
    };
    let job = controlplane::until(api, name, has_ended).await.unwrap();
    assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
}

#[tokio::test]
async fn a_tenant_backs_up_and_restores_each_kind_and_nothing_is_left_behind() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let playground = Playground(folder.path().join("playground"));
    let said = playground.up();
    assert!(said.contains("to the first Backup Ready"), "{said}");
    let processes = Processes::of(&playground.0).all().unwrap();
    let names: Vec<&str> = processes.iter().map(|process| &*process.name).collect();
    assert_eq!(
        names,
        [
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "operators",
            "host"
        ]
    );
    assert!(playground.up().starts_with("the playground runs already"));
    assert_eq!(Processes::of(&playground.0).all().unwrap(), processes);

    let client = playground.client(TENANT).await;
    join_all(APPLICATIONS.map(async |(kind, application)| {
        let name = kind.to_lowercase();
        let application = json!({ "kind": kind, "name": application });
        let spec = json!({ "backupClassName": "cozy-default", "applicationRef": application });
        succeeds(&client, "BackupJob", &name, &spec).await;
        let spec = json!({ "backupRef": { "name": name } });
        succeeds(&client, "RestoreJob", &name, &spec).await;
    }))
    .await;
    let classes: Api<DynamicObject> = Api::all_with(client.clone(), &kind("BackupClass"));
    let classes = classes.list(&ListParams::default()).await.unwrap();
    assert_eq!(classes.items.len(), 1);
    let others = jobs(&client, "tenant-acme", "BackupJob");
    let refused = others.list(&ListParams::default()).await.unwrap_err();
    assert!(matches!(refused, kube::Error::Api(status) if status.code == 403));

    let output = playground.run("down", &[]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ended\n");
    let left: Vec<_> = processes.iter().filter(|process| process.runs()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!playground.0.exists());
}
