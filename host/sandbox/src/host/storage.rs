//! `storage`: the platform's object storage, from the snapshot.

use super::{Host, argument, wrong_shape};
use crate::{
    Answer, Read, Request, check,
    contract::{Bucket, StoredObject, cozystack::backup_strategy::storage as contract},
};

impl contract::Host for Host {
    fn target(&mut self) -> wasmtime::Result<Bucket> {
        const NAME: &str = "storage.target";
        self.reading(NAME)?;
        match self.read(NAME, Read::Bucket)? {
            Answer::Bucket(bucket) => Ok(bucket.clone()),
            _ => Err(wrong_shape(NAME).into()),
        }
    }

    fn ca_key(&mut self) -> wasmtime::Result<Option<String>> {
        self.reading("storage.ca-key")?;
        Ok(self.read_text("storage.ca-key", Read::CaKey)?)
    }

    fn prefixes(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.reading("storage.prefixes")?.prefixes.clone())
    }

    fn objects(
        &mut self,
        path: String,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Vec<StoredObject>> {
        const NAME: &str = "storage.objects";
        let request = self.reading(NAME)?;
        argument(NAME, check::path(&path))?;
        argument(NAME, granted(request, &path))?;
        argument(NAME, after.as_deref().map_or(Ok(()), check::key))?;
        argument(NAME, check::within("limit", limit, check::STORED_OBJECTS))?;
        match self.read(NAME, Read::StoredObjects { path, after, limit })? {
            Answer::Stored(objects) => Ok(objects.clone()),
            _ => Err(wrong_shape(NAME).into()),
        }
    }
}

/// A path may be listed inside what the administrator granted, and inside the backup that this is about.
fn granted(request: &Request, path: &str) -> Result<(), String> {
    let artifact = request
        .source
        .as_ref()
        .and_then(|source| source.artifact.as_ref())
        .and_then(|artifact| artifact_path(&artifact.uri));
    let prefixes = request.prefixes.iter().map(String::as_str);
    if prefixes.chain(artifact).any(|place| covers(place, path)) {
        return Ok(());
    }
    let mut places = request.prefixes.join("`, `");
    if let Some(artifact) = artifact {
        places = if places.is_empty() {
            artifact.to_owned()
        } else {
            format!("{places}`, `{artifact}")
        };
    }
    Err(format!("`{path}` lies outside of `{places}`"))
}

/// `a/b` covers `a/b` and `a/b/c`, not `a/bc`. Nothing covers everything.
fn covers(place: &str, path: &str) -> bool {
    !place.is_empty()
        && path
            .strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path of an artifact's URI, `s3://bucket/path/`; none where it would not be a path of ours. What an operator means
/// by another scheme is not known here.
fn artifact_path(uri: &str) -> Option<&str> {
    let place = uri.strip_prefix("s3://")?;
    let (_, path) = place.split_once('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    check::path(path).ok().map(|()| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_covers_what_lies_at_or_below_it() {
        assert!(covers("a/b", "a/b"));
        assert!(covers("a/b", "a/b/c"));
        assert!(!covers("a/b", "a/bc"));
        assert!(!covers("a/b", "a"));
        assert!(!covers("", "a"));
    }

    #[test]
    fn an_artifact_without_a_path_covers_nothing() {
        assert_eq!(artifact_path("s3://bucket/tenant/db/"), Some("tenant/db"));
        for uri in [
            "s3://bucket",
            "s3://bucket/",
            "s3://bucket//",
            "bucket/a",
            "velero://cozy-velero/tenant.job",
            "s3://bucket/a/../b",
        ] {
            assert_eq!(artifact_path(uri), None, "{uri}");
        }
    }
}
