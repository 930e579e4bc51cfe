//! The platform's object storage.

use std::collections::VecDeque;

use crate::{
    Timestamp,
    bindings::cozystack::backup_strategy::{storage, types::Artifact},
};

pub use crate::bindings::cozystack::backup_strategy::storage::Bucket;

/// Objects are asked for in pages of this many, which is what S3 itself gives at a time. Each page is a read of
/// its own, so an evaluation gets through some 15,000 objects before it runs out of rounds.
const PAGE: u32 = 1000;

/// S3: a key has at most so many bytes.
const KEY_BYTES: usize = 1024;

/// An object in the platform's bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredObject {
    /// Relative to the bucket.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was written.
    pub modified_at: Timestamp,
}

/// Objects below a path, sorted by key; further pages are asked for on the way.
#[derive(Debug)]
pub struct StoredObjects {
    path: String,
    after: Option<String>,
    page: VecDeque<StoredObject>,
    complete: bool,
}

impl StoredObjects {
    pub(crate) fn below(path: &str) -> Self {
        Self {
            path: path.into(),
            after: None,
            page: VecDeque::new(),
            complete: false,
        }
    }

    /// Begins behind a key instead of at the first one.
    #[must_use]
    pub fn after(mut self, key: &str) -> Self {
        self.after = Some(key.into());
        self
    }

    /// The object written last, if it was written at `since` or later.
    #[must_use]
    pub fn newest_since(self, since: Timestamp) -> Option<StoredObject> {
        self.filter(|object| object.modified_at >= since)
            .max_by_key(|object| object.modified_at)
    }

    fn turn(&mut self) {
        let page = storage::objects(&self.path, self.after.as_deref(), PAGE);
        self.complete = page.len() < PAGE as usize;
        self.after = page.last().map(|object| object.key.clone());
        self.page = page
            .into_iter()
            .map(|object| StoredObject {
                key: object.key,
                size_bytes: object.size_bytes,
                modified_at: Timestamp(object.modified_at),
            })
            .collect();
    }
}

impl Iterator for StoredObjects {
    type Item = StoredObject;

    fn next(&mut self) -> Option<StoredObject> {
        if self.page.is_empty() && !self.complete {
            self.turn();
        }
        self.page.pop_front()
    }
}

impl Artifact {
    /// An artifact of which the size is not known.
    #[must_use]
    pub fn at(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            size_bytes: None,
            checksum: None,
        }
    }

    /// An object of the platform's bucket, with its size.
    #[must_use]
    pub fn of(bucket: &Bucket, object: &StoredObject) -> Self {
        Self::at(format!("s3://{}/{}", bucket.name, object.key)).with_size(object.size_bytes)
    }

    /// Its size in bytes.
    #[must_use]
    pub fn with_size(mut self, size_bytes: u64) -> Self {
        self.size_bytes = Some(size_bytes);
        self
    }

    /// Its checksum, such as `sha256:<hex>`.
    #[must_use]
    pub fn with_checksum(mut self, checksum: impl Into<String>) -> Self {
        self.checksum = Some(checksum.into());
        self
    }
}

/// Whether this is a path that storage can be asked for: segments with `/` between them, none of them empty, `.` or
/// `..`. What was put together of a Backup's metadata or of settings may be none.
///
/// ```
/// assert!(backup_strategy::is_path("a/b.db"));
/// assert!(!backup_strategy::is_path("a/../b.db"));
/// assert!(!backup_strategy::is_path("a/b/"));
/// ```
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.len() <= KEY_BYTES
        && !text.chars().any(char::is_control)
        && text
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Whether a storage path covers what lies at another: `a/b` covers `a/b` and `a/b/c`, not `a/bc`.
///
/// ```
/// assert!(backup_strategy::covers("a/b", "a/b/c"));
/// assert!(!backup_strategy::covers("a/b", "a/bc"));
/// ```
#[must_use]
pub fn covers(path: &str, other: &str) -> bool {
    match other.strip_prefix(path.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}
