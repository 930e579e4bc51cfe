//! Where the programs of the control plane come from: a folder with ready-made ones, or they are built once for each
//! machine from the Go module beside this crate, which pins every version.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::programs::{Module, Program};

/// The variable that names a folder with ready-made programs, as the tools of the field call it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The variable that names a ready-made kubectl.
const KUBECTL: &str = "KUBECTL";

/// How the name of kubectl's cache folder begins.
const KUBECTL_CACHED_AS: &str = "kubectl-v1.36.3";

/// The version that kube-apiserver tells: that of `k8s.io/kubernetes` in the Go module. Helm and kubectl refuse to
/// work with a server that tells none.
const KUBERNETES: (&str, &str, &str) = ("1", "36", "v1.36.3");

const ETCD: Program = ("etcd", "go.etcd.io/etcd/server/v3");
const API_SERVER: Program = ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver");
const CONTROLLERS: Program = (
    "kube-controller-manager",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
);
const PROGRAMS: [Program; 3] = [ETCD, API_SERVER, CONTROLLERS];

/// The programs of a control plane.
#[derive(Clone, Debug)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Those of `KUBEBUILDER_ASSETS` when it is set; otherwise those of the cache, built when it has none.
    ///
    /// The cache is `CONTROLPLANE_CACHE`, or `backup-host/controlplane` in the user's cache folder. A build takes
    /// some minutes and two gigabytes of memory; of several processes, one builds and the others wait.
    ///
    /// # Errors
    /// When a program is missing where it should be, or cannot be built.
    pub fn find() -> Result<Self> {
        match std::env::var_os(ASSETS).filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::ready_made(PathBuf::from(folder)),
            None => Ok(Self {
                folder: module().built()?,
            }),
        }
    }

    fn ready_made(folder: PathBuf) -> Result<Self> {
        let missing: Vec<_> = module().missing(&folder).collect();
        if !missing.is_empty() {
            bail!(
                "{ASSETS} names {}, which has no {}; put all of etcd, kube-apiserver and kube-controller-manager \
                 there, or unset it to have them built",
                folder.display(),
                missing.join(", ")
            );
        }
        Ok(Self { folder })
    }

    pub(crate) fn etcd(&self) -> PathBuf {
        self.folder.join(ETCD.0)
    }

    pub(crate) fn api_server(&self) -> PathBuf {
        self.folder.join(API_SERVER.0)
    }

    pub(crate) fn controllers(&self) -> PathBuf {
        self.folder.join(CONTROLLERS.0)
    }

    /// The folder that they are in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn module() -> Module {
    Module {
        folder: "go",
        name: KUBERNETES.2,
        programs: &PROGRAMS,
        linker_flags: linker_flags(),
    }
}

/// kubectl at the version of the API server, from a module of its own: a change of that is no reason to build the
/// control plane anew. `KUBECTL` names a ready-made one.
///
/// # Errors
/// When it cannot be built.
pub fn kubectl() -> Result<PathBuf> {
    kubectl_module().program_or_named_by(KUBECTL)
}

fn kubectl_module() -> Module {
    Module {
        folder: "kubectl",
        name: KUBECTL_CACHED_AS,
        programs: &[("kubectl", "k8s.io/kubernetes/cmd/kubectl")],
        linker_flags: linker_flags(),
    }
}

/// Strips symbols, which no test reads, and stamps the version.
fn linker_flags() -> String {
    let (major, minor, version) = KUBERNETES;
    let stamp =
        |name: &str, value: &str| format!("-X k8s.io/component-base/version.{name}={value}");
    [
        "-s -w".to_owned(),
        stamp("gitVersion", version),
        stamp("gitMajor", major),
        stamp("gitMinor", minor),
    ]
    .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_all_programs_is_refused_with_the_names_of_those_that_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("etcd"), "").unwrap();
        let error = Binaries::ready_made(folder.path().to_owned())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no kube-apiserver, kube-controller-manager;"),
            "{error}"
        );
        for name in ["kube-apiserver", "kube-controller-manager"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(Binaries::ready_made(folder.path().to_owned()).is_ok());
    }

    #[test]
    fn the_version_that_is_stamped_is_the_one_that_the_module_pins() {
        let (major, minor, version) = KUBERNETES;
        for module in [module(), kubectl_module()] {
            let text = std::fs::read_to_string(module.path().join("go.mod")).unwrap();
            assert!(
                text.contains(&format!("k8s.io/kubernetes {version}")),
                "{text}"
            );
            assert!(module.name.ends_with(version));
        }
        assert!(version.starts_with(&format!("v{major}.{minor}.")));
    }
}
