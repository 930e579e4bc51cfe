//! Programs that are built from a Go module beside this crate, once for each machine.
//!
//! The cache has a folder for each module, named after all that decides what is built. A newer Go compiler is no reason
//! to build anything again.

use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, anyhow, bail};
use sha2::{Digest as _, Sha256};

/// The variable that moves the cache.
const CACHE: &str = "CONTROLPLANE_CACHE";

/// How many digits of the digest name a cache folder: enough to tell a few builds apart.
const SHORT_DIGEST: usize = 16;

/// A program: its file name and the Go package that it is built from.
pub(crate) type Program = (&'static str, &'static str);

/// A Go module that pins the versions of some programs.
pub(crate) struct Module {
    /// Its folder in this crate.
    pub folder: &'static str,
    /// How the name of its cache folder begins.
    pub name: &'static str,
    /// What is built from it.
    pub programs: &'static [Program],
    /// What the linker is told.
    pub linker_flags: String,
}

impl Module {
    /// Whether its cache folder is named after the version that it pins of a Go module.
    #[cfg(test)]
    pub(crate) fn is_named_after(&self, go_module: &str) -> bool {
        let pins = std::fs::read_to_string(self.path().join("go.mod")).unwrap_or_default();
        let version = self.name.rsplit('-').next().unwrap_or_default();
        pins.contains(&format!("{go_module} {version}\n"))
            || pins.contains(&format!("{go_module} {version} "))
    }

    /// The folder with its programs, which are built if they are not there. Of several processes, one builds and the
    /// others wait.
    ///
    /// # Errors
    /// When they cannot be built.
    pub(crate) fn built(&self) -> Result<PathBuf> {
        let cache = cache()?;
        let folder = cache.join(self.fingerprint()?);
        if self.missing(&folder).next().is_none() {
            return Ok(folder);
        }
        std::fs::create_dir_all(&cache)
            .with_context(|| format!("could not create {}", cache.display()))?;
        let lock = cache.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("could not lock {}", lock.display()))?;
        // Somebody else may have built them while this process waited.
        if self.missing(&folder).next().is_some() {
            self.build(&cache.join(format!("draft-{}", self.name)), &folder)?;
        }
        drop(lock);
        Ok(folder)
    }

    /// Its first program: the one that a variable names when it is set, otherwise that of the cache.
    ///
    /// # Errors
    /// When it cannot be built.
    pub(crate) fn program_or_named_by(&self, variable: &str) -> Result<PathBuf> {
        if let Some(program) = std::env::var_os(variable).filter(|program| !program.is_empty()) {
            return Ok(PathBuf::from(program));
        }
        let folder = self.built()?;
        let (name, _) = self.programs.first().context("the module has no program")?;
        Ok(folder.join(name))
    }

    /// The programs that a folder lacks.
    pub(crate) fn missing(&self, folder: &Path) -> impl Iterator<Item = &'static str> {
        let names = self.programs.iter().map(|(name, _)| *name);
        names.filter(|name| !folder.join(name).is_file())
    }

    /// The folder with `go.mod`.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(self.folder)
    }

    /// What the programs depend on, as the name of a folder.
    fn fingerprint(&self) -> Result<String> {
        let mut digest = Sha256::new();
        for file in ["go.mod", "go.sum"] {
            let path = self.path().join(file);
            let text = std::fs::read(&path)
                .with_context(|| format!("could not read {}", path.display()))?;
            digest.update(text);
        }
        digest.update(&self.linker_flags);
        let digits: String = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .take(SHORT_DIGEST / 2)
            .collect();
        Ok(format!("{}-{digits}", self.name))
    }

    /// Builds all programs in `draft`, which becomes `folder` when it is whole.
    fn build(&self, draft: &Path, folder: &Path) -> Result<()> {
        for (name, package) in self.programs {
            say(&format!("building {name} into {} (once)", folder.display()));
            let mut command = Command::new("go");
            command
                .current_dir(self.path())
                // Static programs of Go alone: no C compiler, and they run wherever they are copied.
                .envs([
                    ("CGO_ENABLED", "0"),
                    ("GOWORK", "off"),
                    ("GOFLAGS", "-mod=readonly"),
                ])
                .args(["build", "-trimpath", "-ldflags", &self.linker_flags, "-o"])
                .args([draft.join(name).as_os_str(), OsStr::new(package)]);
            let output = command
                .output()
                .context("could not start `go`; install Go 1.26 or newer, or name programs that are there: see tests/README.md")?;
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
}

/// `CONTROLPLANE_CACHE`, or `backup-host/controlplane` in the user's cache folder.
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
            anyhow!(
                "neither {CACHE}, XDG_CACHE_HOME nor HOME says where to keep the programs of the tests"
            )
        })
}

/// Tells the person who waits. Beside the test runner's capture: a build of minutes should not look like a hang.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody listens: nothing to do about it.
    let _ = writeln!(std::io::stderr(), "controlplane: {line}");
}
