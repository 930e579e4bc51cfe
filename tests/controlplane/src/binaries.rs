//! Where the programs come from.
//!
//! They are built from the Go module beside this crate, which pins every version, once for each machine: the cache
//! folder is named after all that decides what is built.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};
use sha2::{Digest as _, Sha256};

/// The variable that names a folder with ready-made programs, as the tools of the field call it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// The variable that moves the cache.
const CACHE: &str = "CONTROLPLANE_CACHE";

/// The version that kube-apiserver tells: that of `k8s.io/kubernetes` in the Go module. Helm and kubectl refuse to
/// work with a server that tells none.
const KUBERNETES: (&str, &str, &str) = ("1", "36", "v1.36.3");

/// How many digits of the digest name a cache folder: enough to tell a few builds apart.
const SHORT_DIGEST: usize = 16;

/// A program: its file name and the Go package that it is built from.
type Program = (&'static str, &'static str);

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
            None => Self::built(&cache()?),
        }
    }

    fn ready_made(folder: PathBuf) -> Result<Self> {
        let found = Self { folder };
        let missing: Vec<_> = found.missing().collect();
        if !missing.is_empty() {
            bail!(
                "{ASSETS} names {}, which has no {}; put all of etcd, kube-apiserver and kube-controller-manager \
                 there, or unset it to have them built",
                found.folder.display(),
                missing.join(", ")
            );
        }
        Ok(found)
    }

    fn built(cache: &Path) -> Result<Self> {
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("go");
        let folder = cache.join(fingerprint(&module)?);
        let found = Self { folder };
        if found.missing().next().is_none() {
            return Ok(found);
        }
        std::fs::create_dir_all(cache)
            .with_context(|| format!("could not create {}", cache.display()))?;
        let lock = cache.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("could not lock {}", lock.display()))?;
        // Somebody else may have built them while this process waited.
        if found.missing().next().is_some() {
            build(&module, &cache.join("draft"), &found.folder)?;
        }
        drop(lock);
        Ok(found)
    }

    fn missing(&self) -> impl Iterator<Item = &'static str> {
        PROGRAMS
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !self.folder.join(name).is_file())
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

fn cache() -> Result<PathBuf> {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set(CACHE)
        .or_else(|| {
            set("XDG_CACHE_HOME")
                .or_else(|| set("HOME").map(|home| home.join(".cache")))
                .map(|caches| caches.join("backup-host").join("controlplane"))
        })
        .ok_or_else(|| {
            anyhow!("neither {CACHE}, XDG_CACHE_HOME nor HOME says where to keep the control plane")
        })
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

/// What the programs depend on, as the name of a folder. A newer Go compiler is no reason to build them again.
fn fingerprint(module: &Path) -> Result<String> {
    let mut digest = Sha256::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        let text =
            std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
        digest.update(text);
    }
    digest.update(linker_flags());
    let digits: String = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .take(SHORT_DIGEST / 2)
        .collect();
    Ok(format!("{}-{digits}", KUBERNETES.2))
}

/// Builds all programs in `draft`, which becomes `folder` when it is whole.
fn build(module: &Path, draft: &Path, folder: &Path) -> Result<()> {
    for (name, package) in PROGRAMS {
        say(&format!("building {name} into {} (once)", folder.display()));
        let flags = linker_flags();
        let mut command = Command::new("go");
        command
            .current_dir(module)
            // Static programs of Go alone: no C compiler, and they run wherever they are copied.
            .envs([
                ("CGO_ENABLED", "0"),
                ("GOWORK", "off"),
                ("GOFLAGS", "-mod=readonly"),
            ])
            .args(["build", "-trimpath", "-ldflags", &flags, "-o"])
            .args([draft.join(name).as_os_str(), OsStr::new(package)]);
        let output = command
            .output()
            .context("could not start `go`; install Go 1.26 or newer, or set KUBEBUILDER_ASSETS")?;
        if !output.status.success() {
            bail!(
                "could not build {name}: {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
    }
    std::fs::rename(draft, folder).with_context(|| {
        format!(
            "could not rename {} to {}",
            draft.display(),
            folder.display()
        )
    })
}

/// Tells the person who waits. Beside the test runner's capture: a build of minutes should not look like a hang.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody listens: nothing to do about it.
    let _ = writeln!(std::io::stderr(), "controlplane: {line}");
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
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("go/go.mod");
        let text = std::fs::read_to_string(module).unwrap();
        let (major, minor, version) = KUBERNETES;
        assert!(
            text.contains(&format!("k8s.io/kubernetes {version}")),
            "{text}"
        );
        assert!(version.starts_with(&format!("v{major}.{minor}.")));
    }
}
