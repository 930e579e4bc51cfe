//! The folder of compiled code.
//!
//! ```text
//! <cache>/<digest of the component>-<hash of the engine's settings>-<checksum of this file>.cwasm
//! ```
//!
//! A file says in its own name what it must contain, so one that was cut short or damaged is never mapped: it is
//! removed and compiled anew. A checksum that anybody can forge is enough: whoever can write to the folder can also
//! write the name, and the folder is the host's alone. Files appear whole, by rename. A new version of the host has another hash of
//! settings, compiles anew, and leaves the old files for [`Cache::discard`] and for the old version.

use std::{
    fs::{self, DirBuilder, File},
    hash::{Hash, Hasher},
    io::{self, Read, Seek},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;

const EXTENSION: &str = "cwasm";

/// What the files are read with: large enough that the checksum is the cost, not the calls.
const CHUNK: usize = 256 << 10;

pub(crate) struct Cache {
    folder: PathBuf,
    compatibility: String,
}

impl Cache {
    /// Opens the folder, or creates it for this user alone.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let metadata = fs::metadata(folder)?;
        let user = rustix::process::geteuid().as_raw();
        if metadata.uid() != user {
            return Err(denied(format!(
                "{} belongs to user {}, not to {user}",
                folder.display(),
                metadata.uid()
            )));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(denied(format!(
                "{} can be written to by other users: chmod 0700",
                folder.display()
            )));
        }
        Ok(Self {
            folder: folder.to_owned(),
            compatibility: compatibility(engine),
        })
    }

    /// The compiled code of a component, if it is there and is what it was.
    pub(crate) fn find(&self, digest: &str) -> io::Result<Option<PathBuf>> {
        let prefix = format!("{digest}-{}-", self.compatibility);
        for file in self.files(&prefix)? {
            let expected = file
                .file_stem()
                .and_then(|stem| stem.to_str())
                .and_then(|stem| stem.strip_prefix(&prefix));
            let found = match File::open(&file).and_then(checksum) {
                Ok(found) => found,
                // Discarded by another thread in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if expected == Some(found.as_str()) {
                return Ok(Some(file));
            }
            remove(&file)?;
        }
        Ok(None)
    }

    /// A file for the compiler to write to, which vanishes unless it is stored.
    pub(crate) fn temporary(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(".compiling-")
            .tempfile_in(&self.folder)
    }

    /// Gives what the compiler wrote its name.
    pub(crate) fn store(&self, digest: &str, mut compiled: NamedTempFile) -> io::Result<PathBuf> {
        compiled.as_file_mut().rewind()?;
        let found = checksum(compiled.as_file().try_clone()?)?;
        compiled.as_file().sync_data()?;
        let file = self.folder.join(format!(
            "{digest}-{}-{found}.{EXTENSION}",
            self.compatibility
        ));
        compiled.persist(&file).map_err(|error| error.error)?;
        Ok(file)
    }

    /// Removes the compiled code of a component, also that of other versions of the host. What runs stays
    /// mapped.
    pub(crate) fn discard(&self, digest: &str) -> io::Result<()> {
        self.files(&format!("{digest}-"))?
            .iter()
            .try_for_each(|file| remove(file))
    }

    fn files(&self, prefix: &str) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let named = name.to_str().is_some_and(|name| name.starts_with(prefix));
            if named
                && Path::new(&name)
                    .extension()
                    .is_some_and(|extension| extension == EXTENSION)
            {
                files.push(entry.path());
            }
        }
        Ok(files)
    }
}

fn denied(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// SHA-256 in hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// CRC-32 in hex. It is asked for at each load, and SHA-256 was nearly half of what a load cost.
fn checksum(mut file: File) -> io::Result<String> {
    let mut hasher = crc32fast::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(format!("{:08x}", hasher.finalize())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Everything that compiled code depends on: wasmtime's version, the processor, the settings.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex(&hasher.0.finalize()[..16])
}

/// A hasher whose result is the same in every process, which the standard one does not promise.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.clone().finalize();
        hash.iter()
            .take(8)
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
