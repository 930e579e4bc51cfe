//! The chart on the shared control plane, and the account that it makes for the host.

use std::path::PathBuf;

use charts::{HOST, VELERO};
use controlplane::{ControlPlane, Helm, resource};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::cluster::BOUND;

/// The host's account.
pub struct Installed {
    /// As the API server names it.
    pub user: String,
    /// The file with its kubeconfig.
    pub kubeconfig: PathBuf,
    token: String,
}

impl Installed {
    /// A client of the account.
    pub async fn client(&self, plane: &ControlPlane) -> Client {
        plane.client_with(&self.token).await.unwrap()
    }
}

/// The namespaces that must be there before the chart.
pub fn namespaces() -> Vec<Value> {
    let namespace = |name: &str| json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    vec![namespace(HOST.namespace), namespace("cozy-velero")]
}

/// The chart, installed by the first who asks and for all who share the control plane.
pub async fn installed(plane: &'static ControlPlane) -> &'static Installed {
    static INSTALLED: OnceCell<Installed> = OnceCell::const_new();
    INSTALLED
        .get_or_init(async || {
            plane.apply(&namespaces()).await.unwrap();
            tokio::task::spawn_blocking(|| {
                HOST.install(&Helm::of(plane).unwrap(), &json!({})).unwrap();
            })
            .await
            .unwrap();
            let token = plane.token(HOST.namespace, HOST.name).await.unwrap();
            let kubeconfig = plane.folder().join("host.kubeconfig");
            std::fs::write(&kubeconfig, plane.kubeconfig_with(&token)).unwrap();
            let host = Installed {
                user: format!("system:serviceaccount:{}:{}", HOST.namespace, HOST.name),
                kubeconfig,
                token,
            };
            is_bounded(host.client(plane).await).await;
            host
        })
        .await
}

/// The chart of what the host needs beside Velero, installed by the first who asks. The kind of Velero's location must be
/// there.
pub async fn beside_velero(plane: &'static ControlPlane) {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    INSTALLED
        .get_or_init(async || {
            tokio::task::spawn_blocking(|| {
                VELERO
                    .install(&Helm::of(plane).unwrap(), &json!({}))
                    .unwrap();
            })
            .await
            .unwrap();
        })
        .await;
}

/// Done once the API server has heard of rights and policies.
async fn is_bounded(host: Client) {
    let secrets: Api<DynamicObject> =
        Api::namespaced_with(host, HOST.namespace, &resource("v1", "Secret"));
    let other = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "other" } });
    let other: DynamicObject = serde_json::from_value(other).unwrap();
    let tried = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let refused = async {
        loop {
            let answer = secrets.create(&tried, &other).await;
            if answer.is_err_and(|error| error.to_string().contains("ValidatingAdmissionPolicy")) {
                break;
            }
        }
    };
    tokio::time::timeout(BOUND, refused).await.unwrap();
}
