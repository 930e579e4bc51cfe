//! Tells when something in the plugin folder changes, without looking again and again.
//!
//! A folder that is mounted into a container changes by links: a kubelet writes a folder of its own beside the components,
//! and turns the link `..data` to it. So what is watched is the folder and the folders in it, where volumes are mounted,
//! those that the links of all of them lead to, and the name of the folder itself in the one above.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::Errno,
};
use tokio::{
    io::unix::AsyncFd,
    time::{Instant, timeout_at},
};

/// A change is told once nothing has happened for so long: a copy of a component is many writes.
const QUIET: Duration = Duration::from_millis(200);

/// A change is told after so long in any case.
const LONGEST: Duration = Duration::from_secs(2);

/// Bytes of events that are read at once: some hundred of them.
const BUFFER: usize = 16 << 10;

/// Everything by which a file can begin to be another.
const CHANGES: WatchFlags = WatchFlags::ATTRIB
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVE_SELF);

/// A watch over a plugin folder.
pub struct FolderWatch {
    folder: PathBuf,
    events: AsyncFd<OwnedFd>,
    /// By the kernel's numbers: the name that matters in a watched folder, or all of them.
    watched: BTreeMap<i32, Option<Vec<u8>>>,
}

impl FolderWatch {
    /// Watches a folder from now on, whether it is there or not.
    ///
    /// # Errors
    /// The system gives out no more watches. Outside of a tokio runtime that drives I/O it panics.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, since a descriptor may become another; an OwnedFd does not"
        )]
        let events = AsyncFd::new(events)?;
        let mut watch = Self {
            folder: folder.to_owned(),
            events,
            watched: BTreeMap::new(),
        };
        watch.arm()?;
        Ok(watch)
    }

    /// Done when something has changed, and been quiet for a moment since.
    ///
    /// # Errors
    /// The watch has come to an end.
    pub async fn changed(&mut self) -> io::Result<()> {
        while !self.heard().await? {}
        let latest = Instant::now() + LONGEST;
        loop {
            // What has been changed may be a folder that is to be watched.
            self.arm()?;
            let quiet = latest.min(Instant::now() + QUIET);
            match timeout_at(quiet, self.heard()).await {
                Ok(heard) => drop(heard?),
                Err(_) => return Ok(()),
            }
            if Instant::now() >= latest {
                return Ok(());
            }
        }
    }

    /// Waits for events. Gives back whether one of them matters.
    async fn heard(&self) -> io::Result<bool> {
        let mut ready = self.events.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = inotify::Reader::new(self.events.get_ref(), &mut buffer);
        let mut matters = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes().to_vec());
                    // What the kernel lost is a change, too.
                    let wanted = self.watched.get(&event.wd());
                    matters |= match wanted {
                        Some(Some(wanted)) => name.is_none_or(|name| name == *wanted),
                        Some(None) => true,
                        None => event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW),
                    };
                }
                Err(Errno::WOULDBLOCK) => {
                    ready.clear_ready();
                    return Ok(matters);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Watches what there is to watch now, and nothing else.
    fn arm(&mut self) -> io::Result<()> {
        let mut wanted = BTreeMap::new();
        let name = self.folder.file_name().map(OsStr::as_bytes);
        let above = self.folder.parent().map(|above| match above {
            above if above.as_os_str().is_empty() => Path::new("."),
            above => above,
        });
        if let (Some(name), Some(above)) = (name, above) {
            self.add(above, Some(name.to_vec()), &mut wanted)?;
        }
        for folder in folders(&self.folder) {
            self.add(&folder, None, &mut wanted)?;
        }
        for old in self.watched.keys().filter(|old| !wanted.contains_key(old)) {
            // The kernel has ended the watch of what is gone.
            inotify::remove_watch(self.events.get_ref(), *old).ok();
        }
        self.watched = wanted;
        Ok(())
    }

    fn add(
        &self,
        folder: &Path,
        name: Option<Vec<u8>>,
        to: &mut BTreeMap<i32, Option<Vec<u8>>>,
    ) -> io::Result<()> {
        match inotify::add_watch(self.events.get_ref(), folder, CHANGES) {
            Ok(number) => {
                // A folder that is watched for all that is in it is so, whatever else it is watched for.
                let all = to.get(&number).is_some_and(Option::is_none);
                to.insert(number, if all { None } else { name });
                Ok(())
            }
            // It may come: that is a change of the one above.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The plugin folder, those in it, and those that links in any of them lead to.
fn folders(folder: &Path) -> BTreeSet<PathBuf> {
    let mut folders = BTreeSet::from([folder.to_owned()]);
    folders.extend(entries(folder).filter(|path| path.is_dir() && !path.is_symlink()));
    let links = folders.iter().flat_map(|folder| entries(folder));
    let links = links.filter(|path| path.is_symlink());
    let targets: BTreeSet<_> = links.filter_map(|link| lead_to(&link)).collect();
    folders.extend(targets);
    folders
}

/// The paths of what is in a folder.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The folder that a link leads to, or into.
fn lead_to(link: &Path) -> Option<PathBuf> {
    let target = fs::canonicalize(link).ok()?;
    match target.is_dir() {
        true => Some(target),
        false => target.parent().map(Path::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::time::timeout;

    use super::*;

    /// A bound for what hangs, not a measure.
    const BOUND: Duration = Duration::from_secs(20);

    async fn told(watch: &mut FolderWatch) {
        timeout(BOUND, watch.changed()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_written_removed_or_moved_is_told() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("plugins");
        fs::create_dir(&folder).unwrap();
        let mut watch = FolderWatch::new(&folder).unwrap();
        fs::write(folder.join("a.wasm"), "first").unwrap();
        told(&mut watch).await;
        fs::write(folder.join("a.wasm"), "again").unwrap();
        told(&mut watch).await;
        fs::rename(folder.join("a.wasm"), folder.join("b.wasm")).unwrap();
        told(&mut watch).await;
        fs::remove_file(folder.join("b.wasm")).unwrap();
        told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_mounted_volume_that_turns_its_link_is_told_each_time() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("plugins");
        fs::create_dir(&folder).unwrap();
        is_told_of_a_mounted_volume(&folder, &folder).await;
    }

    #[tokio::test]
    async fn a_volume_that_is_mounted_in_the_folder_is_told_of_too() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("plugins");
        let mounted = folder.join("acme");
        fs::create_dir_all(&mounted).unwrap();
        is_told_of_a_mounted_volume(&folder, &mounted).await;
    }

    /// A volume turns its link, as a kubelet does it with a ConfigMap, and each time it is told.
    async fn is_told_of_a_mounted_volume(folder: &Path, volume: &Path) {
        let publish = |version: &str| {
            let own = volume.join(format!("..{version}"));
            fs::create_dir(&own).unwrap();
            fs::write(own.join("a.wasm"), version).unwrap();
            symlink(format!("..{version}"), volume.join("..data_tmp")).unwrap();
            fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
        };
        publish("1");
        symlink("..data/a.wasm", volume.join("a.wasm")).unwrap();
        let mut watch = FolderWatch::new(folder).unwrap();
        for version in ["2", "3"] {
            publish(version);
            told(&mut watch).await;
            assert_eq!(fs::read_to_string(volume.join("a.wasm")).unwrap(), version);
        }
        // A file behind the links, written in place.
        fs::write(volume.join("..3/a.wasm"), "4").unwrap();
        told(&mut watch).await;
    }

    #[tokio::test]
    async fn a_folder_that_comes_late_or_is_another_one_is_told() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("plugins");
        let mut watch = FolderWatch::new(&folder).unwrap();
        for version in ["1", "2"] {
            let own = above.path().join(version);
            fs::create_dir(&own).unwrap();
            symlink(&own, above.path().join("new")).unwrap();
            fs::rename(above.path().join("new"), &folder).unwrap();
            told(&mut watch).await;
            fs::write(own.join("a.wasm"), version).unwrap();
            told(&mut watch).await;
        }
    }

    #[tokio::test]
    async fn what_happens_beside_the_folder_is_not_told() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("plugins");
        fs::create_dir(&folder).unwrap();
        let mut watch = FolderWatch::new(&folder).unwrap();
        fs::write(above.path().join("other"), "").unwrap();
        assert!(!watch.heard().await.unwrap());
        fs::write(folder.join("a.wasm"), "").unwrap();
        told(&mut watch).await;
    }
}
