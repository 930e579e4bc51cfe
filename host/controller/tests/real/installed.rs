//! The clusters that tests share, with the chart, and the account that it makes for the host.

use std::path::PathBuf;

use charts::{HOST, VELERO};
use controlplane::{ControlPlane, Helm, resource};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use crate::cluster::{BOUND, definitions};

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

/// Clusters that tests share.
struct Shared {
    alone: Mutex<()>,
    begun: OnceCell<Ground>,
}

impl Shared {
    const fn new() -> Self {
        Self {
            alone: Mutex::const_new(()),
            begun: OnceCell::const_new(),
        }
    }
}

/// A cluster with the chart.
pub struct Ground {
    /// The cluster.
    pub plane: ControlPlane,
    /// The host's account.
    pub host: Installed,
    has_location: OnceCell<()>,
}

/// A cluster for oneself, until it is dropped.
pub struct Alone {
    /// The cluster.
    pub ground: &'static Ground,
    _guard: MutexGuard<'static, ()>,
}

/// One host at a time works on a cluster. There are two, since a test waits more than it works; the second is begun when
/// somebody needs it.
pub async fn exclusively() -> Alone {
    static SHARED: [Shared; 2] = [Shared::new(), Shared::new()];
    let [first, second] = &SHARED;
    let (shared, guard) = tokio::select! {
        biased;
        guard = first.alone.lock() => (first, guard),
        guard = second.alone.lock() => (second, guard),
    };
    Alone {
        ground: shared.begun.get_or_init(Ground::begin).await,
        _guard: guard,
    }
}

impl Ground {
    async fn begin() -> Self {
        let plane = ControlPlane::start(&definitions()).unwrap();
        plane.apply(&namespaces()).await.unwrap();
        let helm = Helm::of(&plane).unwrap();
        HOST.install(&helm, &json!({})).unwrap();
        // Rights beside Velero, whether or not it is there.
        let nowhere = json!({ "configuration": { "backupStorageLocation": [] } });
        VELERO.install(&helm, &nowhere).unwrap();
        let token = plane.token(HOST.namespace, HOST.name).await.unwrap();
        let kubeconfig = plane.folder().join("host.kubeconfig");
        std::fs::write(&kubeconfig, plane.kubeconfig_with(&token)).unwrap();
        let host = Installed {
            user: format!("system:serviceaccount:{}:{}", HOST.namespace, HOST.name),
            kubeconfig,
            token,
        };
        is_bounded(host.client(&plane).await).await;
        Self {
            plane,
            host,
            has_location: OnceCell::new(),
        }
    }

    /// Where Velero keeps backups, put there by the first who asks. Its kind must be there.
    pub async fn has_location(&self) {
        let upgrade = async || {
            let helm = Helm::of(&self.plane).unwrap();
            // An upgrade without values has those of before.
            let values = json!({ "host": { "namespace": HOST.namespace } });
            let upgraded = VELERO.upgrade_to(&VELERO.folder(), &helm, &values);
            upgraded.unwrap();
        };
        self.has_location.get_or_init(upgrade).await;
    }
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
