//! Who may ask.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use s3s::{
    S3Result,
    auth::{S3Auth, SecretKey},
    s3_error,
};

/// The pairs of keys that a server knows, which can change while it serves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Arc<RwLock<Vec<(String, String)>>>);

impl Keys {
    /// Lets a pair in.
    pub(crate) fn admit(&self, access_key: &str, secret_key: &str) {
        let pair = (access_key.to_owned(), secret_key.to_owned());
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.push(pair);
    }

    /// Lets a pair in no longer.
    pub(crate) fn withdraw(&self, access_key: &str) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(known, _)| known != access_key);
    }

    fn secret_key(&self, access_key: &str) -> Option<SecretKey> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(known, _)| known == access_key)?;
        Some(found.1.as_str().into())
    }
}

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        self.secret_key(access_key)
            .ok_or_else(|| s3_error!(InvalidAccessKeyId))
    }
}
