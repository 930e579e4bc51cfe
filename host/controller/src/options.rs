//! Flags and environment. Names are the reference's where it has them.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use backup_engine::{AuthoritySettings, Settings, StorageSettings, VeleroSettings};
use clap::{ArgAction, Parser, ValueEnum};

/// The backup host: carries BackupJobs and RestoreJobs through with strategies that are WebAssembly components
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Options {
    /// Folder with the components that StrategyPlugins name
    #[arg(long, env = "PLUGIN_FOLDER", default_value = "/plugins")]
    pub plugin_folder: PathBuf,
    /// Folder for compiled components, owned by this user alone
    #[arg(
        long,
        env = "COMPILED_CACHE",
        default_value = "/var/cache/backupstrategy-controller"
    )]
    pub compiled_cache: PathBuf,
    /// Address of the health probes /healthz and /readyz
    #[arg(
        long,
        env = "HEALTH_PROBE_BIND_ADDRESS",
        default_value = "0.0.0.0:8081"
    )]
    pub health_probe_bind_address: SocketAddr,
    /// Address of the metrics; `0` for none
    #[arg(long, env = "METRICS_BIND_ADDRESS", default_value = "0")]
    pub metrics_bind_address: String,
    /// How many passes are made at the same time
    #[arg(long, env = "WORKERS", default_value_t = 32)]
    pub workers: usize,
    /// Namespace of the source Secret with the platform's storage
    #[arg(
        long,
        env = "BACKUP_STORAGE_SECRET_NAMESPACE",
        default_value = "cozy-backup-controller"
    )]
    pub storage_secret_namespace: String,
    /// Name of that Secret
    #[arg(
        long,
        env = "BACKUP_STORAGE_SECRET_NAME",
        default_value = "cozy-backups-system-credentials"
    )]
    pub storage_secret_name: String,
    /// URL of the storage, where the Secret does not say
    #[arg(long, env = "BACKUP_STORAGE_ENDPOINT", default_value = "")]
    pub storage_endpoint: String,
    /// Region of the storage, where the Secret does not say
    #[arg(long, env = "BACKUP_STORAGE_REGION", default_value = "")]
    pub storage_region: String,
    /// Bucket, where the Secret does not say
    #[arg(long, env = "BACKUP_STORAGE_BUCKET_NAME", default_value = "")]
    pub storage_bucket_name: String,
    /// Whether the bucket stands in the path: true, false, or nothing to leave it to the clients
    #[arg(long, env = "BACKUP_STORAGE_FORCE_PATH_STYLE", default_value = "true", value_parser = path_style)]
    pub storage_force_path_style: PathStyle,
    /// Namespace of the Secret with the storage's certificate authority; nothing for that of the storage's Secret
    #[arg(long, env = "BACKUP_STORAGE_CA_SECRET_NAMESPACE", default_value = "")]
    pub storage_ca_secret_namespace: String,
    /// Name of the Secret with the storage's certificate authority; nothing where its certificate is signed by a public
    /// one
    #[arg(long, env = "BACKUP_STORAGE_CA_SECRET_NAME", default_value = "")]
    pub storage_ca_secret_name: String,
    /// Key of that Secret
    #[arg(long, env = "BACKUP_STORAGE_CA_SECRET_KEY", default_value = "ca.crt")]
    pub storage_ca_secret_key: String,
    /// Namespaces that have a copy of the credentials at all times, separated by commas
    #[arg(
        long,
        env = "BACKUP_STORAGE_SYSTEM_NAMESPACES",
        value_delimiter = ',',
        default_value = ""
    )]
    pub backup_storage_system_namespaces: Vec<String>,
    /// Whether Velero's BackupStorageLocation cozy-default is made; one that was made is kept in step in any case
    #[arg(
        long,
        env = "BACKUP_STORAGE_LOCATION",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = false,
        default_missing_value = "true"
    )]
    pub backup_storage_location: bool,
    /// Velero's namespace
    #[arg(long, env = "VELERO_NAMESPACE", default_value = "cozy-velero")]
    pub velero_namespace: String,
    /// How often it is looked whether a Backup's data is still there, in seconds; 0 for on request only
    #[arg(long, env = "BACKUP_CHECK_INTERVAL_SECONDS", default_value_t = 86_400)]
    pub backup_check_interval_seconds: u64,
    /// Namespace of this host, where it stores the components of its plugins
    #[arg(long, env = "POD_NAMESPACE", default_value = "cozy-backup-controller")]
    pub pod_namespace: String,
    /// How log lines are written
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which log lines are written, as `tracing` filters say it
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Whether the bucket stands in the path of a URL; none leaves it to each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathStyle(pub Option<bool>);

fn path_style(text: &str) -> Result<PathStyle, String> {
    match text {
        "" => Ok(PathStyle(None)),
        "true" => Ok(PathStyle(Some(true))),
        "false" => Ok(PathStyle(Some(false))),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Readable on a terminal, JSON elsewhere
    #[default]
    Auto,
    /// One JSON object a line
    Json,
    /// For people
    Text,
}

impl Options {
    /// The engine's settings.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            storage: StorageSettings {
                source_namespace: self.storage_secret_namespace.clone(),
                source_name: self.storage_secret_name.clone(),
                endpoint: self.storage_endpoint.clone(),
                region: self.storage_region.clone(),
                bucket_name: self.storage_bucket_name.clone(),
                force_path_style: self.storage_force_path_style.0,
                authority: self.authority(),
                system_namespaces: self.system_namespaces(),
                velero: VeleroSettings {
                    namespace: self.velero_namespace.trim().to_owned(),
                    has_location: self.backup_storage_location,
                },
            },
            check_interval: Duration::from_secs(self.backup_check_interval_seconds),
            ..Settings::default()
        }
    }

    fn authority(&self) -> Option<AuthoritySettings> {
        let namespace = match self.storage_ca_secret_namespace.trim() {
            "" => &self.storage_secret_namespace,
            namespace => namespace,
        };
        let name = self.storage_ca_secret_name.trim();
        (!name.is_empty()).then(|| AuthoritySettings {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: self.storage_ca_secret_key.trim().to_owned(),
        })
    }

    /// As a chart writes a list: with blanks, a comma too many, a name twice.
    fn system_namespaces(&self) -> Vec<String> {
        let names = self.backup_storage_system_namespaces.iter();
        let names: BTreeSet<&str> = names.map(|name| name.trim()).collect();
        let names = names.into_iter().filter(|name| !name.is_empty());
        names.map(ToOwned::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_makes_sense() {
        Options::command().debug_assert();
    }

    #[test]
    fn a_list_of_namespaces_is_read_as_charts_write_it() {
        let of = |list: &str| {
            let arguments = ["host", "--backup-storage-system-namespaces", list];
            let options = Options::try_parse_from(arguments).unwrap();
            options.settings().storage.system_namespaces
        };
        assert_eq!(
            of(" cozy-velero, ,cozy-fdb,cozy-velero,"),
            ["cozy-fdb", "cozy-velero"]
        );
        assert!(of("").is_empty());
    }

    #[test]
    fn a_certificate_authority_lies_beside_the_source_unless_it_is_said_where() {
        let of = |arguments: &[&str]| {
            let options = Options::try_parse_from([&["host"], arguments].concat()).unwrap();
            options.settings().storage.authority
        };
        assert_eq!(of(&[]), None);
        let named = of(&["--storage-ca-secret-name", "storage-ca"]).unwrap();
        assert_eq!(named.namespace, "cozy-backup-controller");
        assert_eq!(named.key, "ca.crt");
        let elsewhere = [
            "--storage-ca-secret-name",
            "ca",
            "--storage-ca-secret-namespace",
            "tenant-root",
        ];
        assert_eq!(of(&elsewhere).unwrap().namespace, "tenant-root");
    }

    #[test]
    fn a_storage_location_is_made_where_that_is_said() {
        let of = |arguments: &[&str]| {
            let options = Options::try_parse_from([&["host"], arguments].concat()).unwrap();
            options.settings().storage.velero.has_location
        };
        assert!(!of(&[]));
        assert!(of(&["--backup-storage-location"]));
        assert!(of(&["--backup-storage-location=true"]));
        assert!(!of(&["--backup-storage-location", "false"]));
    }

    #[test]
    fn path_style_can_be_left_to_the_clients() {
        assert_eq!(path_style(""), Ok(PathStyle(None)));
        assert_eq!(path_style("false"), Ok(PathStyle(Some(false))));
        assert!(path_style("maybe").is_err());
    }
}
