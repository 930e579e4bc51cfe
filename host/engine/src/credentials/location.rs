//! Velero's BackupStorageLocation, kept in step with the platform's storage.
//!
//! One that somebody else made is left alone, and none is made where Velero is not installed.

use backup_api::names::{CREDENTIALS_SECRET, MANAGED_BY, MANAGED_BY_VALUE};
use backup_sandbox::contract::Selector;
use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{Credentials, ProjectionError, copies::is_race};
use crate::{
    cluster::{ApiError, Caller, Cluster, Part},
    host::Host,
    interest::{Interest, Next, kinds_known},
    object,
    queue::Key,
    settings::VeleroSettings,
};
/// API version and kind of Velero's, and the name by which the default strategies know it.
pub const STORAGE_LOCATION: (&str, &str, &str) =
    ("velero.io/v1", "BackupStorageLocation", "cozy-default");

const API_VERSION: &str = STORAGE_LOCATION.0;
const KIND: &str = STORAGE_LOCATION.1;
const NAME: &str = STORAGE_LOCATION.2;

/// The folder of the bucket that is Velero's.
const PREFIX: &str = "velero";

/// The host's field manager for it.
const MANAGER: &str = "backups.cozystack.io/credentials";

/// Velero's plugin asks the storage for its region where none is given, which storages other than AWS do not answer.
/// This is what they take, and what the host's own client says.
const REGION: &str = "us-east-1";

/// The key of its pass, where the settings want one to be there.
pub(super) fn key(velero: &VeleroSettings) -> Option<Key> {
    velero.has_location.then(|| Key {
        kind: KIND.to_owned(),
        namespace: velero.namespace.clone(),
        name: NAME.to_owned(),
    })
}

/// Whether an object is a BackupStorageLocation that could be ours.
pub(crate) fn is_storage_location(object: &Value) -> bool {
    object::text(object, &["apiVersion"]) == API_VERSION
        && object::text(object, &["kind"]) == KIND
        && object::text(object, &["metadata", "name"]) == NAME
}

impl<C: Cluster> Host<C> {
    /// One pass over the BackupStorageLocation.
    ///
    /// # Errors
    /// A request that failed and may succeed later.
    pub(crate) async fn reconcile_storage_location(&self, key: &Key) -> Result<Next, ApiError> {
        let velero = &self.settings.storage.velero;
        if key.namespace != velero.namespace || key.name != NAME {
            return Ok(Next::gone());
        }
        let target = object::target(API_VERSION, KIND, Some(&key.namespace), NAME);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        if found.is_none() && !velero.has_location {
            return Ok(Next::gone());
        }
        let mut objects = self.settings.storage.secrets();
        objects.push(target);
        // Velero may be installed later.
        let definitions = kinds_known().map(|(api_version, kind)| Selector {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            labels: vec![],
        });
        let interest = Interest::of_all(objects, definitions.collect());
        if let Err(error) = self.keep_in_step(&key.namespace, found.as_ref()).await {
            if error.can_pass() || is_race(&error) {
                return Err(error);
            }
            tracing::warn!(namespace = key.namespace, %error, "the BackupStorageLocation cannot be written");
        }
        Ok(Next::quiet().watching(interest))
    }

    async fn keep_in_step(&self, namespace: &str, found: Option<&Value>) -> Result<(), ApiError> {
        let credentials = match self.credentials().await {
            Ok(credentials) => credentials,
            Err(ProjectionError::ApiError(error)) => return Err(error),
            // Told where it is projected.
            Err(_) => return Ok(()),
        };
        if credentials.location.bucket.is_empty() {
            return Ok(());
        }
        let wanted = spec(&credentials);
        match found {
            Some(found) => self.change_location(found, &wanted).await,
            None => self.create_location(namespace, wanted).await,
        }
    }

    async fn create_location(&self, namespace: &str, mut spec: Value) -> Result<(), ApiError> {
        if !self.cluster.serves(API_VERSION, KIND).await? {
            return Ok(());
        }
        without_nulls(&mut spec);
        let location = json!({
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": { MANAGED_BY: MANAGED_BY_VALUE },
            },
            "spec": spec,
        });
        let host = Caller::host();
        self.cluster
            .create(&host, MANAGER, &location, false)
            .await?;
        tracing::info!(namespace, "the BackupStorageLocation is made");
        Ok(())
    }

    async fn change_location(&self, found: &Value, wanted: &Value) -> Result<(), ApiError> {
        let target = object::reference(found);
        if object::label(found, MANAGED_BY) != Some(MANAGED_BY_VALUE) {
            tracing::debug!(?target, "it is not the platform's and is left as it is");
            return Ok(());
        }
        let mut patch = difference(found.get("spec"), wanted);
        if object::is_deleting(found) || patch.as_object().is_none_or(Map::is_empty) {
            return Ok(());
        }
        patch = json!({
            "metadata": { "resourceVersion": object::resource_version(found) },
            "spec": patch,
        });
        let host = Caller::host();
        self.cluster
            .merge(&host, MANAGER, &target, &patch, Part::Main)
            .await?;
        tracing::info!(?target, "it is brought up to date");
        Ok(())
    }
}

/// What it says of the storage; null where a member must not be there.
fn spec(credentials: &Credentials) -> Value {
    let location = &credentials.location;
    let authority = location
        .authority
        .as_ref()
        .map(|authority| BASE64.encode(authority.as_bytes()));
    let region = match location.region.as_str() {
        "" => REGION,
        region => region,
    };
    json!({
        "provider": "aws",
        "default": false,
        "objectStorage": { "bucket": location.bucket, "prefix": PREFIX, "caCert": authority },
        "credential": { "name": CREDENTIALS_SECRET, "key": "cloud" },
        "config": {
            "region": region,
            "s3ForcePathStyle": credentials.force_path_style.map(|flag| flag.to_string()),
            "s3Url": location.endpoint,
        },
    })
}

/// The members that must change, as a merge patch. What else is there is somebody's choice.
fn difference(found: Option<&Value>, wanted: &Value) -> Value {
    let mut patch = Map::new();
    for (name, wanted) in wanted.as_object().into_iter().flatten() {
        let found = found.and_then(|found| found.get(name));
        if wanted.is_object() {
            let inner = difference(found, wanted);
            if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
                patch.insert(name.clone(), inner);
            }
        } else if found.unwrap_or(&Value::Null) != wanted {
            patch.insert(name.clone(), wanted.clone());
        }
    }
    Value::Object(patch)
}

fn without_nulls(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(without_nulls);
    }
}
