//! Where the base backups and the WAL of a Cluster lie.

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Cnpg,
    operator::{Cluster, ObjectStore},
    spec::BarmanObjectStore,
};

/// An archive, as a job first saw it: what is set anew while the job runs is for the next one.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archive {
    /// Folder of base backups and WAL below the destination.
    pub server_name: String,
    /// The `spec` of its ObjectStore.
    store: Value,
    /// Whether this job has told the Cluster to use it.
    pub attached: bool,
}

impl Archive {
    /// The archive that the settings ask for. A Cluster that archives already keeps its folder.
    pub fn of(cx: &Context<Cnpg>, cluster: &Cluster) -> Outcome<Self> {
        let template = cx.spec()?.template;
        let wanted = text(template.server_name.as_ref()).unwrap_or(&cluster.metadata.name);
        Ok(Self {
            server_name: cluster.server_name().unwrap_or(wanted).into(),
            store: store(cx, &template.barman_object_store)?,
            attached: false,
        })
    }

    pub fn destination_path(&self) -> Option<&str> {
        self.store["configuration"]["destinationPath"].as_str()
    }

    pub fn endpoint_url(&self) -> Option<&str> {
        self.store["configuration"]["endpointURL"].as_str()
    }

    pub fn credentials_secret(&self) -> Option<&str> {
        self.store["configuration"]["s3Credentials"]["accessKeyId"]["name"].as_str()
    }

    /// The ObjectStore. It goes when its Cluster goes.
    pub fn object_store(&self, cluster: &Cluster, namespace: &str) -> Value {
        json!({
            "apiVersion": ObjectStore::API_VERSION,
            "kind": ObjectStore::KIND,
            "metadata": {
                "name": cluster.metadata.name,
                "namespace": namespace,
                "ownerReferences": [{
                    "apiVersion": Cluster::API_VERSION,
                    "kind": Cluster::KIND,
                    "name": cluster.metadata.name,
                    "uid": cluster.metadata.uid,
                    "controller": true,
                }],
            },
            "spec": self.store,
        })
    }
}

/// The `spec` of an ObjectStore. What the settings leave out follows the BackupClass, then the platform's storage.
fn store(cx: &Context<Cnpg>, settings: &BarmanObjectStore) -> Outcome<Value> {
    let parameters = cx.parameters()?;
    // Settings with credentials of their own are about a storage of their own.
    let platform = settings.s3_credentials.is_none().then(|| cx.bucket());

    let endpoint = text(settings.endpoint_url.as_ref());
    let endpoint_of_platform = platform.as_ref().filter(|_| endpoint.is_none());
    let ca = settings
        .endpoint_ca
        .as_ref()
        .filter(|ca| !ca.secret_ref.name.is_empty());
    let ca = match (ca, endpoint_of_platform) {
        (Some(ca), _) => Some(key(
            &ca.secret_ref.name,
            text(ca.key.as_ref()).unwrap_or("ca.crt"),
        )),
        (None, Some(platform)) => cx.ca_key().map(|ca| key(&platform.credentials_secret, &ca)),
        (None, None) => None,
    };

    let credentials = settings.s3_credentials.as_ref();
    let secret = credentials
        .map(|credentials| &credentials.secret_ref.name)
        .or(platform
            .as_ref()
            .map(|platform| &platform.credentials_secret))
        .map_or("", String::as_str);
    let key_id = credentials.and_then(|credentials| text(credentials.access_key_id_key.as_ref()));
    let secret_key =
        credentials.and_then(|credentials| text(credentials.secret_access_key_key.as_ref()));

    let wal_compression = parameters
        .wal_compression
        .or(value(settings.wal.compression.as_ref())?);
    let data_compression = parameters
        .data_compression
        .or(value(settings.data.compression.as_ref())?);
    Ok(pruned(json!({
        "configuration": {
            "destinationPath": settings.destination_path,
            "endpointURL": endpoint.or(endpoint_of_platform.map(|platform| platform.endpoint.as_str())),
            "endpointCA": ca,
            "s3Credentials": {
                "accessKeyId": key(secret, key_id.unwrap_or("AWS_ACCESS_KEY_ID")),
                "secretAccessKey": key(secret, secret_key.unwrap_or("AWS_SECRET_ACCESS_KEY")),
            },
            "wal": {
                "compression": wal_compression,
                "encryption": value(settings.wal.encryption.as_ref())?,
            },
            "data": {
                "compression": data_compression,
                "encryption": value(settings.data.encryption.as_ref())?,
                "jobs": settings.data.jobs,
            },
        },
        "retentionPolicy": text(parameters.retention_policy.as_ref()).or(text(settings.retention_policy.as_ref())),
        "instanceSidecarConfiguration": {
            // S3 services other than Amazon's refuse the checksums that newer clients add unasked.
            "env": [{ "name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required" }],
        },
    })))
}

fn key(secret: &str, key: &str) -> Value {
    json!({ "name": secret, "key": key })
}

/// A template that has nothing to set renders to an empty text.
pub fn text(setting: Option<&String>) -> Option<&str> {
    setting.map(String::as_str).filter(|text| !text.is_empty())
}

fn value<T: Copy>(setting: Option<&backup_strategy::Templated<T>>) -> Outcome<Option<T>> {
    setting.map_or(Ok(None), |setting| Ok(setting.value()?.copied()))
}
