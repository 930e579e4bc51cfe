//! What all played operators have in common.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use backup_engine::cluster::{ApiError, Cluster};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    Bucket,
    play::{all, text},
};

/// An operator that is played: it looks at the cluster and does its part, one step at a time.
pub trait Operator: Send + Sync {
    /// The kinds that it looks at, as version and kind: a change of one is a reason to make a step.
    const WATCHES: &[(&str, &str)];

    /// One step of each object that has one to make, in words.
    ///
    /// # Errors
    /// What the cluster refuses.
    fn step<C: Cluster>(
        &self,
        cluster: &C,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<String>, ApiError>> + Send;
}

/// Where an operator is at work, and where it keeps its data.
#[derive(Clone)]
pub struct Workplace {
    bucket: Arc<dyn Bucket>,
    /// Buckets that have a storage of their own, by name.
    others: BTreeMap<String, Arc<dyn Bucket>>,
    /// Where it looks; everywhere when none.
    namespace: Option<String>,
}

impl Workplace {
    /// Everywhere, with one storage for whatever bucket.
    #[must_use]
    pub fn new(bucket: Arc<impl Bucket + 'static>) -> Self {
        Self {
            bucket,
            others: BTreeMap::new(),
            namespace: None,
        }
    }

    /// The same in one namespace only.
    #[must_use]
    pub fn of_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// The same with a storage of its own for this bucket.
    #[must_use]
    pub fn with_bucket(mut self, name: &str, bucket: Arc<impl Bucket + 'static>) -> Self {
        self.others.insert(name.to_owned(), bucket);
        self
    }

    /// The storage of a bucket.
    #[must_use]
    pub fn bucket(&self, name: &str) -> &dyn Bucket {
        self.others.get(name).unwrap_or(&self.bucket).as_ref()
    }

    /// Whether it looks at an object.
    #[must_use]
    pub fn covers(&self, object: &Value) -> bool {
        let namespace = text(object, "/metadata/namespace");
        self.namespace
            .as_deref()
            .is_none_or(|looked_at| looked_at == namespace)
    }

    /// The objects of a kind where it looks.
    ///
    /// # Errors
    /// A request that failed.
    pub(crate) async fn all<C: Cluster>(
        &self,
        cluster: &C,
        (api_version, kind): (&str, &str),
    ) -> Result<Vec<Value>, ApiError> {
        let mut found = all(cluster, api_version, kind).await?;
        found.retain(|object| self.covers(object));
        Ok(found)
    }
}
