//! A control plane for work by hand: it outlives the command that starts it, until another command ends it.

use std::{path::Path, path::PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    folder::{ADMIN_KUBECONFIG, AUTHORITY, Folder},
    plane::{ControlPlane, Extent},
    processes::{Process, Processes},
    server::Life,
};

/// Starts one in `folder`, unless one runs there. Returns the path of the administrator's kubeconfig.
///
/// # Errors
/// As [`ControlPlane::start`]; when the folder cannot be written.
pub fn up(folder: &Path, definitions: &[Value]) -> Result<PathBuf> {
    let folder = absolute(folder)?;
    let before = Processes::of(&folder).all()?;
    if before.is_empty() || !before.iter().all(Process::runs) {
        // One of which a part has ended, or files of one that has.
        down(&folder)?;
        start(&folder, definitions)?.release();
    }
    Ok(folder.join(ADMIN_KUBECONFIG))
}

/// Starts one in `folder`, which has none. It goes on when it is [released](ControlPlane::release), and ends when it is
/// dropped. [`Processes`] of the folder lists what was started.
///
/// # Errors
/// As [`up`].
pub fn start(folder: &Path, definitions: &[Value]) -> Result<ControlPlane> {
    let place = Folder::lasting(&absolute(folder)?)?;
    ControlPlane::start_in(place, Life::Free, Extent::Whole, definitions)
}

/// Ends what [`Processes`] of `folder` lists and removes the folder. Returns whether there was one.
///
/// # Errors
/// When a process does not end, the folder cannot be removed, or has other files than those of a control plane.
pub fn down(folder: &Path) -> Result<bool> {
    let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !folder.join(AUTHORITY).exists() && !is_empty() {
        bail!(
            "{} is not the folder of a control plane; it is left as it is",
            folder.display()
        );
    }
    Processes::of(folder).end()?;
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error).with_context(|| format!("could not remove {}", folder.display())),
    }
}

fn absolute(folder: &Path) -> Result<PathBuf> {
    std::path::absolute(folder).with_context(|| format!("{} is no path", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_somebody_elses_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "").unwrap();
        assert!(down(folder.path()).is_err());
        assert!(folder.path().join("notes").exists());
    }

    #[test]
    fn there_is_nothing_to_end_where_nothing_was_started() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!down(&folder.path().join("absent")).unwrap());
    }
}
