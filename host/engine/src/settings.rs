//! What the platform operator sets.

use std::time::Duration;

use backup_api::PluginAccount;
use backup_sandbox::contract::ObjectRef;

use crate::object;

/// Settings of the host. Their names on the command line and in the environment are the controller's business.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The platform's storage.
    pub storage: StorageSettings,
    /// How long a job may take in all: 24 hours.
    pub job_deadline: Duration,
    /// How long a job waits for its class, its strategy object or a plugin: 30 minutes, as the reference has it.
    pub configuration_deadline: Duration,
    /// How long a job waits before the host looks again for what it cannot watch: 30 seconds, as the reference has
    /// it.
    pub look_again: Duration,
    /// How often it is looked whether a Backup's data is still there: every 24 hours. Zero for never, but on request.
    pub check_interval: Duration,
    /// The ServiceAccount that may create RestoreJobs in its own namespace and do nothing else: what is refused to it
    /// proves that the policy of restores into other namespaces is in force.
    pub restore_prober: PluginAccount,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            storage: StorageSettings::default(),
            job_deadline: Duration::from_secs(24 * 60 * 60),
            configuration_deadline: Duration::from_secs(30 * 60),
            look_again: Duration::from_secs(30),
            check_interval: Duration::from_secs(24 * 60 * 60),
            restore_prober: PluginAccount {
                namespace: "cozy-backup-controller".to_owned(),
                name: "restore-prober".to_owned(),
            },
        }
    }
}

/// Where the platform's storage is described. The seed's names are the defaults.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// Namespace of the source Secret.
    pub source_namespace: String,
    /// Name of the source Secret.
    pub source_name: String,
    /// Where the Secret gives no endpoint: URL of the storage service.
    pub endpoint: String,
    /// Where the Secret gives no region.
    pub region: String,
    /// Where the Secret gives no bucket.
    pub bucket_name: String,
    /// Whether the bucket stands in the path rather than in the host name.
    pub force_path_style: Option<bool>,
    /// Where the certificate authority of the storage is; none where its certificate is signed by a public one.
    pub authority: Option<AuthoritySettings>,
    /// Namespaces of the platform's own that have a copy of the credentials at all times.
    pub system_namespaces: Vec<String>,
    /// Velero, which has a description of the storage of its own.
    pub velero: VeleroSettings,
}

/// A Secret with the certificate authority of the platform's storage, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthoritySettings {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub name: String,
    /// The key in it: `ca.crt`, as cert-manager writes it.
    pub key: String,
}

/// Velero's BackupStorageLocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VeleroSettings {
    /// Velero's namespace.
    pub namespace: String,
    /// Whether the BackupStorageLocation is made where it is not there. One that was made is kept in step in any case.
    pub has_location: bool,
}

impl StorageSettings {
    /// The namespaces that have a copy of the credentials at all times: the system namespaces, and Velero's where its
    /// BackupStorageLocation is to be there, which needs one.
    pub(crate) fn always_projected(&self) -> impl Iterator<Item = &str> {
        let velero = self.velero.has_location.then_some(&self.velero.namespace);
        let velero = velero.filter(|velero| !self.system_namespaces.contains(velero));
        let system = self.system_namespaces.iter().chain(velero);
        system.map(String::as_str)
    }

    /// The Secrets that the storage is described by.
    #[must_use]
    pub fn secrets(&self) -> Vec<ObjectRef> {
        let secret =
            |namespace: &str, name: &str| object::target("v1", "Secret", Some(namespace), name);
        let source = secret(&self.source_namespace, &self.source_name);
        let authority = self.authority.as_ref();
        let authority = authority.map(|authority| secret(&authority.namespace, &authority.name));
        [source].into_iter().chain(authority).collect()
    }
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self {
            source_namespace: "cozy-backup-controller".to_owned(),
            source_name: "cozy-backups-system-credentials".to_owned(),
            endpoint: String::new(),
            region: String::new(),
            bucket_name: String::new(),
            force_path_style: Some(true),
            authority: None,
            system_namespaces: vec![],
            velero: VeleroSettings::default(),
        }
    }
}

impl Default for VeleroSettings {
    fn default() -> Self {
        Self {
            namespace: "cozy-velero".to_owned(),
            has_location: false,
        }
    }
}
