//! Where components come from: the files of one plugin folder, and of the folders that are mounted in it.
//!
//! ```text
//! /plugins/cnpg.wasm          the image's own
//! /plugins/acme/acme.wasm     a vendor's, in a volume that is mounted there
//! ```
//!
//! A StrategyPlugin gives a file's name and not its folder, so it does not matter how a component has come. Two files of
//! one name are an error that names both: no volume takes the place of another's component.
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
    /// The same name in more than one folder.
    #[error("{file} is in the plugin folder {} more than once: {}", folder.display(), places.join(", "))]
    Twice {
        /// The folder.
        folder: PathBuf,
        /// The file's name.
        file: String,
        /// Where it is, as paths in the folder.
        places: Vec<String>,
    },
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

    /// The paths in the folder of the components in it, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read any more.
    pub fn files(&self) -> Result<Vec<String>, FetchError> {
        let mut files = components(&self.folder).map_err(|source| self.unreadable(source))?;
        for name in self.mounted()? {
            // One that cannot be read keeps no other from being found.
            let inside = self.folder.open_dir(&name);
            let inside = inside.and_then(|inside| components(&inside));
            let inside = inside.unwrap_or_default().into_iter();
            files.extend(inside.map(|file| format!("{name}/{file}")));
        }
        files.sort();
        Ok(files)
    }

    /// The names of the folders in it, but for those in which a kubelet keeps what its links lead to.
    fn mounted(&self) -> Result<Vec<String>, FetchError> {
        let entries = self.folder.entries();
        let mut names = vec![];
        for entry in entries.map_err(|source| self.unreadable(source))? {
            let entry = entry.map_err(|source| self.unreadable(source))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| is_folder && !name.starts_with('.')));
        }
        Ok(names)
    }

    /// Where a component is: a path in the folder. One that is nowhere would be in the folder itself.
    fn place(&self, file: &str) -> Result<String, FetchError> {
        let mut places = self.files()?;
        places.retain(|place| place.rsplit('/').next() == Some(file));
        if places.len() > 1 {
            return Err(FetchError::Twice {
                folder: self.path.clone(),
                file: file.to_owned(),
                places,
            });
        }
        Ok(places.pop().unwrap_or_else(|| file.to_owned()))
    }

    fn unreadable(&self, source: io::Error) -> FetchError {
        FetchError::Folder {
            path: self.path.clone(),
            source,
        }
    }

    /// The bytes of a component, by its file's name.
    ///
    /// # Errors
    /// When there is no such file in the folder, or more than one, or it is too large.
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
            .open(self.place(file)?)
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

/// The names of the components right in a folder.
fn components(folder: &Dir) -> io::Result<Vec<String>> {
    let mut names = vec![];
    for entry in folder.entries()? {
        let name = entry?.file_name().into_string().ok();
        names.extend(name.filter(|name| is_component(name)));
    }
    Ok(names)
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

    /// As a kubelet lays out a ConfigMap that is mounted.
    fn mount(folder: &Path, text: &str) {
        fs::create_dir_all(folder.join("..2026_01_01")).unwrap();
        fs::write(folder.join("..2026_01_01/a.wasm"), text).unwrap();
        std::os::unix::fs::symlink("..2026_01_01", folder.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/a.wasm", folder.join("a.wasm")).unwrap();
    }

    #[test]
    fn a_component_is_read_through_the_links_of_a_mounted_volume() {
        let folder = tempfile::tempdir().unwrap();
        mount(folder.path(), "first");
        let folder = PluginFolder::open(folder.path()).unwrap();
        assert_eq!(folder.files().unwrap(), ["a.wasm"]);
        assert_eq!(folder.read("a.wasm").unwrap(), b"first");
    }

    #[test]
    fn a_component_is_found_by_its_name_in_a_volume_that_is_mounted_in_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("own.wasm"), "own").unwrap();
        mount(&folder.path().join("acme"), "a vendor's");
        let folder = PluginFolder::open(folder.path()).unwrap();
        assert_eq!(folder.files().unwrap(), ["acme/a.wasm", "own.wasm"]);
        assert_eq!(folder.read("a.wasm").unwrap(), b"a vendor's");
        assert_eq!(folder.read("own.wasm").unwrap(), b"own");
    }

    #[test]
    fn no_volume_takes_the_place_of_anothers_component() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.wasm"), "own").unwrap();
        mount(&folder.path().join("acme"), "a vendor's");
        let folder = PluginFolder::open(folder.path()).unwrap();
        let error = folder.read("a.wasm").unwrap_err().to_string();
        assert!(
            error.ends_with("more than once: a.wasm, acme/a.wasm"),
            "{error}"
        );
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
