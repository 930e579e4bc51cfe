//! What the settings ask for, with what they leave out.

use backup_strategy::{prelude::*, rendered, set};

use crate::{Cnpg, spec::Template};

/// The settings of this evaluation.
pub fn settings(cx: &Context<Cnpg>) -> Outcome<Template> {
    Ok(cx.spec()?.template)
}

/// How a storage is reached: the names of Secrets and of keys in them.
pub struct Access {
    /// URL of the S3 service; none for Amazon's.
    pub endpoint: Option<String>,
    pub secret: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Secret and key of the certificate authority; none for a public one.
    pub authority: Option<(String, String)>,
}

impl Access {
    /// Of the storage of new backups.
    pub fn of(cx: &Context<Cnpg>, settings: &Template) -> Self {
        Self::to(cx, settings, None)
    }

    /// Of an endpoint that a Backup was written to, which is none for Amazon's.
    pub fn of_endpoint(cx: &Context<Cnpg>, settings: &Template, endpoint: &str) -> Self {
        Self::to(cx, settings, Some(endpoint))
    }

    fn to(cx: &Context<Cnpg>, settings: &Template, endpoint: Option<&str>) -> Self {
        let store = &settings.barman_object_store;
        let platform = cx.bucket();
        let credentials = store.s3_credentials.as_ref();
        let named = credentials.map(|credentials| credentials.secret_ref.name.as_str());
        let named = set(named).unwrap_or(&platform.credentials_secret);
        let wanted = match endpoint {
            Some(endpoint) => set(Some(endpoint)),
            // Settings with credentials of their own are about a storage of their own.
            None => set(store.endpoint_url.as_deref())
                .or((named == platform.credentials_secret).then_some(platform.endpoint.as_str())),
        };
        let key = |key: Option<&String>, otherwise: &str| {
            set(key).map_or_else(|| otherwise.to_owned(), Clone::clone)
        };
        let ca = store
            .endpoint_ca
            .as_ref()
            .filter(|ca| !ca.secret_ref.name.is_empty());
        let authority = match ca {
            Some(ca) => Some((ca.secret_ref.name.clone(), key(ca.key.as_ref(), "ca.crt"))),
            None => wanted.and_then(|endpoint| cx.authority_of(endpoint)),
        };
        Self {
            endpoint: wanted.map(Into::into),
            secret: named.into(),
            access_key_id: key(
                credentials.and_then(|keys| keys.access_key_id_key.as_ref()),
                "AWS_ACCESS_KEY_ID",
            ),
            secret_access_key: key(
                credentials.and_then(|keys| keys.secret_access_key_key.as_ref()),
                "AWS_SECRET_ACCESS_KEY",
            ),
            authority,
        }
    }

    /// The `spec` of an ObjectStore that just reads.
    pub fn store(&self, destination: &str) -> Value {
        let key = |key: &str| json!({ "name": self.secret, "key": key });
        let authority = self.authority.as_ref();
        let authority = authority.map(|(name, key)| json!({ "name": name, "key": key }));
        json!({
            "configuration": {
                "destinationPath": destination,
                "endpointURL": self.endpoint,
                "endpointCA": authority,
                "s3Credentials": {
                    "accessKeyId": key(&self.access_key_id),
                    "secretAccessKey": key(&self.secret_access_key),
                },
            },
            "instanceSidecarConfiguration": {
                // S3 services other than Amazon's refuse the checksums that newer clients add unasked.
                "env": [{ "name": "AWS_REQUEST_CHECKSUM_CALCULATION", "value": "when_required" }],
            },
        })
    }
}

/// The `spec` of the ObjectStore that a Cluster archives to.
pub fn archiving_store(cx: &Context<Cnpg>, settings: &Template) -> Outcome<Value> {
    let store = &settings.barman_object_store;
    let mut spec = Access::of(cx, settings).store(&store.destination_path);
    spec["configuration"]["wal"] = json!({
        "compression": rendered(store.wal.compression.as_ref())?,
        "encryption": rendered(store.wal.encryption.as_ref())?,
    });
    spec["configuration"]["data"] = json!({
        "compression": rendered(store.data.compression.as_ref())?,
        "encryption": rendered(store.data.encryption.as_ref())?,
        "jobs": store.data.jobs,
    });
    spec["retentionPolicy"] = json!(set(store.retention_policy.as_ref()));
    Ok(pruned(spec))
}
