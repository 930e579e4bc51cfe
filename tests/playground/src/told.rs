//! What a person reads: where everything is, and what to type next.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use crate::{
    first,
    tenants::{APPLICATIONS, TENANTS},
};

/// Prints a line. Whoever has stopped listening, as `head` does, has not asked for an end of what is started.
pub(crate) fn say(line: &str) {
    // Nobody listens: nothing to do about it.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// The administrator's kubeconfig.
pub(crate) fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("kubeconfig")
}

/// A tenant's kubeconfig.
pub(crate) fn kubeconfig_of(folder: &Path, tenant: &str) -> PathBuf {
    folder.join(format!("{tenant}.kubeconfig"))
}

/// What to type next.
pub(crate) fn next(folder: &Path) -> String {
    let tenant = TENANTS[0];
    let (admin, theirs) = (kubeconfig(folder), kubeconfig_of(folder, tenant));
    let (admin, theirs) = (admin.display(), theirs.display());
    let first = first::NAME;
    let kubectl = kubectl();
    format!(
        "\
What you have
  {tenants}, each with {applications}
  logs and files in {folder}, the objects of the bucket in storage/cozy-backups there
{kubectl}
As the administrator
  export KUBECONFIG={admin}
  kubectl get backupclasses
  kubectl get backupclass cozy-default -o yaml
  kubectl -n cozy-backup-controller get bucket cozy-backups
  kubectl -n cozy-backup-controller get secret cozy-backups-system-credentials
  kubectl -n cozy-velero get backupstoragelocation cozy-default
  kubectl get strategyplugins
  kubectl get cozystack --all-namespaces

As the tenant, with nothing but the chart's roles for tenants
  export KUBECONFIG={theirs}
  kubectl get backupclasses
  kubectl get backupjobs,backups
  kubectl apply -f - <<END
apiVersion: backups.cozystack.io/v1alpha1
kind: BackupJob
metadata:
  name: shop-before-sale
spec:
  backupClassName: cozy-default
  applicationRef:
    apiGroup: apps.cozystack.io
    kind: MariaDB
    name: shop
END
  kubectl wait --for=condition=Ready backupjob/shop-before-sale
  kubectl apply -f - <<END
apiVersion: backups.cozystack.io/v1alpha1
kind: RestoreJob
metadata:
  name: orders-db-back
spec:
  backupRef:
    name: {first}
END
  kubectl wait --for=condition=Ready restorejob/orders-db-back
  kubectl get backup {first} -o yaml

The end
  cargo xtask down
",
        tenants = TENANTS.join(" and "),
        applications = APPLICATIONS
            .map(|(kind, name)| format!("{kind} {name}"))
            .join(", "),
        folder = folder.display(),
    )
}

/// What to type instead, for who has no kubectl.
fn kubectl() -> &'static str {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|folder| folder.join("kubectl").is_file());
    if is_there {
        ""
    } else {
        "  no kubectl is in PATH: type `cargo xtask kubectl` where it says `kubectl`, as a tenant with `--tenant NAME` behind it\n"
    }
}
