//! Where components come from: the files of one plugin folder.
//!
//! The folder is opened once, as a capability. Whatever a StrategyPlugin names is read inside of it and nowhere
//! else: not above it, not through a link that points out of it. [`FolderWatch`] tells when something in it changes.

mod watch;

use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use cap_std::{ambient_authority, fs::Dir};

pub use watch::FolderWatch;

/// A component is not larger than this: Python's, the largest kind known, is 19 MB.
const LARGEST: u64 = 64 << 20;

/// Why a component cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The folder itself.
    #[error("the plugin folder {} cannot be opened: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file that is absent, unreadable, or outside.
    #[error("{file} in the plugin folder {} cannot be read: {source}", folder.display())]
    File {
        /// The folder.
        folder: PathBuf,
        /// The file's name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A name that is not one file's name.
    #[error(
        "{0:?} is not the name of a component in the plugin folder: a file name that ends in .wasm"
    )]
    Name(String),
    /// Too large to be a component.
    #[error("{file} is larger than {LARGEST} bytes")]
    TooLarge {
        /// The file's name.
        file: String,
    },
}

/// A folder of components.
pub struct PluginFolder {
    path: PathBuf,
    folder: Dir,
}

impl PluginFolder {
    /// Opens the folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, FetchError> {
        let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(|source| {
            FetchError::Folder {
                path: path.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            folder,
        })
    }

    /// The names of the components in it, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read any more.
    pub fn files(&self) -> Result<Vec<String>, FetchError> {
        let failed = |source| FetchError::Folder {
            path: self.path.clone(),
            source,
        };
        let mut names = vec![];
        for entry in self.folder.entries().map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_component(name)) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The bytes of a component.
    ///
    /// # Errors
    /// When there is no such file in the folder, or it is too large.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, FetchError> {
        if !is_component(file) {
            return Err(FetchError::Name(file.to_owned()));
        }
        let failed = |source| FetchError::File {
            folder: self.path.clone(),
            file: file.to_owned(),
            source,
        };
        let mut bytes = vec![];
        self.folder
            .open(file)
            .map_err(failed)?
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(FetchError::TooLarge {
                file: file.to_owned(),
            });
        }
        Ok(bytes)
    }
}

/// One file's name, not a path.
fn is_component(name: &str) -> bool {
    name.len() > ".wasm".len()
        && name.ends_with(".wasm")
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As a kubelet lays out a ConfigMap or an image that is mounted.
    #[test]
    fn a_component_is_read_through_the_links_of_a_mounted_volume() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("..2026_01_01")).unwrap();
        fs::write(folder.path().join("..2026_01_01/a.wasm"), "first").unwrap();
        std::os::unix::fs::symlink("..2026_01_01", folder.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.wasm", folder.path().join("a.wasm")).unwrap();
        let folder = PluginFolder::open(folder.path()).unwrap();
        assert_eq!(folder.files().unwrap(), ["a.wasm"]);
        assert_eq!(folder.read("a.wasm").unwrap(), b"first");
    }

    #[test]
    fn components_are_read_inside_the_folder_and_nowhere_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.wasm"), "outside").unwrap();
        let inside = tempfile::tempdir().unwrap();
        fs::write(inside.path().join("a.wasm"), "inside").unwrap();
        fs::write(inside.path().join("notes.txt"), "").unwrap();
        std::os::unix::fs::symlink(
            outside.path().join("secret.wasm"),
            inside.path().join("link.wasm"),
        )
        .unwrap();
        let folder = PluginFolder::open(inside.path()).unwrap();
        assert_eq!(folder.files().unwrap(), ["a.wasm", "link.wasm"]);
        assert_eq!(folder.read("a.wasm").unwrap(), b"inside");
        assert!(
            matches!(folder.read("link.wasm"), Err(FetchError::File { .. })),
            "a link that points out"
        );
        assert!(matches!(folder.read("../a.wasm"), Err(FetchError::Name(_))));
        assert!(matches!(
            folder.read("absent.wasm"),
            Err(FetchError::File { .. })
        ));
    }
}
