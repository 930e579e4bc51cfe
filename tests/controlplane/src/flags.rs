//! The command lines of the three programs: as little as a control plane without nodes needs.

use std::{path::Path, process::Command};

use crate::{binaries::Binaries, folder, server::Life};

/// What the controllers do here: collect garbage, end namespaces, let go of volume claims, run Jobs, and give the
/// roles `view`, `edit` and `admin` their rules. The others need nodes, a cloud or certificates to sign.
const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,\
                           persistentvolumeclaim-protection-controller,job-controller,\
                           clusterrole-aggregation-controller";

/// Every request is logged once, without its body: enough to count them by user, user agent, verb and resource.
pub(crate) const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// etcd, on a socket in the run's folder: no port that another process could have taken, nobody else's data.
pub(crate) fn etcd(binaries: &Binaries, folder: &Path) -> Command {
    let mut command = Command::new(binaries.etcd());
    command.current_dir(folder).args([
        "--name=test",
        "--data-dir=etcd",
        &format!("--listen-client-urls={ETCD_CLIENTS}"),
        &format!("--advertise-client-urls={ETCD_CLIENTS}"),
        &format!("--listen-peer-urls={ETCD_PEERS}"),
        &format!("--initial-advertise-peer-urls={ETCD_PEERS}"),
        &format!("--initial-cluster=test={ETCD_PEERS}"),
        // What is written need not survive a power failure.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]);
    command
}

/// Where etcd listens. Relative to the folder, since the path of a socket may have no more than 107 bytes.
pub(crate) const ETCD_SOCKET: &str = "etcd.socket:0";
const ETCD_CLIENTS: &str = "unix://etcd.socket:0";
const ETCD_PEERS: &str = "unix://peer.socket:0";

/// kube-apiserver, on `port` of the loopback interface.
pub(crate) fn api_server(binaries: &Binaries, folder: &Path, port: u16, life: Life) -> Command {
    let mut command = Command::new(binaries.api_server());
    if life == Life::Bound {
        // Its garbage collector takes a quarter of what it computes. Tests have memory, and too few cores; one that
        // goes on beside other work has the memory of a real one.
        command.env("GOGC", "800");
    }
    command.current_dir(folder).args([
        &format!("--etcd-servers={ETCD_CLIENTS}"),
        "--bind-address=127.0.0.1",
        &format!("--secure-port={port}"),
        &format!("--tls-cert-file={}", folder::SERVER_CERTIFICATE),
        &format!("--tls-private-key-file={}", folder::SERVER_KEY),
        &format!("--client-ca-file={}", folder::AUTHORITY),
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        &format!("--service-account-key-file={}", folder::TOKEN_PUBLIC_KEY),
        &format!("--service-account-signing-key-file={}", folder::TOKEN_KEY),
        // Pods need no token: nothing runs them.
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.0.0.0/24",
        // Otherwise it looks for a network interface to tell others of, and there need not be one.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        &format!("--audit-policy-file={}", folder::AUDIT_POLICY),
        &format!("--audit-log-path={}", folder::AUDIT_LOG),
        // In megabytes: the log is read as one file.
        "--audit-log-maxsize=100000",
        "--profiling=false",
    ]);
    command
}

/// kube-controller-manager.
pub(crate) fn controllers(binaries: &Binaries, folder: &Path) -> Command {
    let mut command = Command::new(binaries.controllers());
    command.current_dir(folder).args([
        &format!("--kubeconfig={}", folder::CONTROLLERS_KUBECONFIG),
        &format!("--controllers={CONTROLLERS}"),
        "--leader-elect=false",
        "--use-service-account-credentials=false",
        // No port of its own: that it works is seen in the audit log.
        "--secure-port=0",
        "--profiling=false",
    ]);
    command
}
