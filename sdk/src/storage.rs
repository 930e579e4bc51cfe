//! The platform's object storage.

use std::collections::VecDeque;

use crate::{
    Context, Strategy, Timestamp,
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

impl Bucket {
    /// Whether these name this bucket: another service may have one of the same name.
    #[must_use]
    pub fn is(&self, name: &str, endpoint: &str) -> bool {
        self.name == name && self.is_at(endpoint)
    }

    /// Whether this is the endpoint of the service that has this bucket. Operators write it with or without its scheme.
    ///
    /// ```
    /// # use backup_strategy::Bucket;
    /// # let bucket = Bucket { name: "b".into(), endpoint: "https://s3.example.org".into(), region: "eu-1".into(), force_path_style: true, credentials_secret: "s".into() };
    /// assert!(bucket.is_at("https://s3.example.org/"));
    /// assert!(bucket.is_at("s3.example.org"));
    /// assert!(!bucket.is_at("http://s3.example.org"));
    /// ```
    #[must_use]
    pub fn is_at(&self, endpoint: &str) -> bool {
        let (own, other) = (parts(&self.endpoint), parts(endpoint));
        own.1.eq_ignore_ascii_case(other.1)
            && (own.0 == other.0 || own.0.is_empty() || other.0.is_empty())
    }
}

/// Scheme, empty where there is none, and host of an endpoint.
fn parts(endpoint: &str) -> (&str, &str) {
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("", endpoint));
    (scheme, host.trim_end_matches('/'))
}

impl<S: Strategy> Context<S> {
    /// The path of what lies in a bucket, if it can be looked at: in the platform's bucket, at one of
    /// [`prefixes`](Self::prefixes) or inside the artifact of [`source`](Self::source). A key that is no path, which old
    /// settings could lead to, is out of sight.
    #[must_use]
    pub fn in_sight<'a>(&self, bucket: &str, endpoint: &str, key: &'a str) -> Option<&'a str> {
        let is_granted = || self.prefixes().iter().any(|prefix| covers(prefix, key));
        let is_sources = || {
            let artifact = self.source().and_then(|source| source.artifact);
            let place = artifact
                .as_ref()
                .and_then(|artifact| bucket_and_key(&artifact.uri));
            place.is_some_and(|place| place.0 == bucket && covers(place.1, key))
        };
        let is_visible =
            is_path(key) && self.bucket().is(bucket, endpoint) && (is_granted() || is_sources());
        is_visible.then_some(key)
    }

    /// The same, if it can be removed, too: below one of [`prefixes`](Self::prefixes), and not the whole of one.
    #[must_use]
    pub fn in_reach<'a>(&self, bucket: &str, endpoint: &str, key: &'a str) -> Option<&'a str> {
        let is_below = |prefix: &String| covers(prefix, key) && prefix.trim_end_matches('/') != key;
        self.in_sight(bucket, endpoint, key)
            .filter(|_| self.prefixes().iter().any(is_below))
    }

    /// The Secret, and its key, that hold the certificate authority of an endpoint: if it is the platform's, and has an
    /// authority of its own. An operator that cannot be given one cannot use the endpoint.
    #[must_use]
    pub fn authority_of(&self, endpoint: &str) -> Option<(String, String)> {
        let bucket = self.bucket();
        let key = self.ca_key().filter(|_| bucket.is_at(endpoint))?;
        Some((bucket.credentials_secret, key))
    }
}

/// Bucket and key of a URI such as `s3://bucket/folder/file`; none where it names no key.
///
/// ```
/// use backup_strategy::bucket_and_key;
///
/// assert_eq!(bucket_and_key("s3://b/a/f.db"), Some(("b", "a/f.db")));
/// assert_eq!(bucket_and_key("s3://b/"), None);
/// assert_eq!(bucket_and_key("file:///b/f.db"), None);
/// ```
#[must_use]
pub fn bucket_and_key(uri: &str) -> Option<(&str, &str)> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    (!bucket.is_empty() && !key.is_empty()).then_some((bucket, key))
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
