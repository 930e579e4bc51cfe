//! What lies in the storage for a Backup, where its artifact says where that is.

use backup_api::BackupArtifact;

use crate::{
    admit::Case,
    cluster::Cluster,
    host::Host,
    storage::{StorageError, covers, key_in},
};

/// Objects that are asked for at once: as many as S3 gives.
const PAGE: usize = 1000;

/// So many pages are added up: a backup of ten thousand objects. What is larger goes without a size, for the sake of
/// everybody else's requests.
const PAGES: usize = 10;

impl<C: Cluster> Host<C> {
    /// Fills in an artifact's size where the strategy could not know it. A storage that does not answer is no reason
    /// for a backup to fail: the next check fills it in.
    pub(crate) async fn fill_in_size(&self, case: &Case, artifact: &mut BackupArtifact) {
        if artifact.size_bytes.is_some() {
            return;
        }
        match self.stored_bytes(case, &artifact.uri).await {
            Ok(size) => artifact.size_bytes = size,
            Err(error) => {
                tracing::info!(uri = artifact.uri, %error, "the size of a backup cannot be told");
            }
        }
    }

    /// How many bytes lie at a place; none where that cannot be told.
    async fn stored_bytes(&self, case: &Case, uri: &str) -> Result<Option<i64>, StorageError> {
        let Some(path) = own_place(case, uri) else {
            return Ok(None);
        };
        let mut bytes = 0_u64;
        let mut after: Option<String> = None;
        for _ in 0..PAGES {
            let location = &case.credentials.location;
            let found = self
                .storage
                .objects(location, path, after.as_deref(), PAGE)
                .await?;
            bytes = found
                .iter()
                .fold(bytes, |sum, object| sum.saturating_add(object.size_bytes));
            let is_last = found.len() < PAGE;
            after = found.into_iter().next_back().map(|last| last.key).or(after);
            if is_last {
                return Ok(after.and(i64::try_from(bytes).ok()));
            }
        }
        Ok(None)
    }

    /// Whether anything lies at a place; none where that cannot be told.
    pub(super) async fn is_stored(
        &self,
        case: &Case,
        uri: &str,
    ) -> Result<Option<bool>, StorageError> {
        let Some(path) = own_place(case, uri) else {
            return Ok(None);
        };
        let location = &case.credentials.location;
        let found = self.storage.objects(location, path, None, 1).await?;
        Ok(Some(!found.is_empty()))
    }
}

/// The path of a URI in the platform's bucket that is this Backup's alone: below a granted path, not all of one, which
/// is every backup's of the application.
fn own_place<'a>(case: &Case, uri: &'a str) -> Option<&'a str> {
    let key = key_in(&case.credentials.location.bucket, uri)?;
    let is_path = key
        .split('/')
        .all(|segment| !matches!(segment, "" | "." | ".."));
    let is_below = case
        .request
        .prefixes
        .iter()
        .any(|prefix| covers(prefix, key) && prefix != key);
    (is_path && is_below).then_some(key)
}
