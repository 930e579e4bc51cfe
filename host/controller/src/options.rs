//! Flags and environment. Names are the reference's where it has them.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use backup_api::PluginAccount;
use backup_engine::{Settings, StorageSettings};
use clap::{Parser, ValueEnum};

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
    /// How often it is looked whether a Backup's data is still there, in seconds; 0 for on request only
    #[arg(long, env = "BACKUP_CHECK_INTERVAL_SECONDS", default_value_t = 86_400)]
    pub backup_check_interval_seconds: u64,
    /// ServiceAccount that may do nothing but create RestoreJobs in its own namespace: what is refused to it proves that the
    /// policy of restores into other namespaces is in force
    #[arg(long, env = "RESTORE_PROBER", default_value = "cozy-backup-controller/restore-prober", value_name = "NAMESPACE/NAME", value_parser = account)]
    pub restore_prober: PluginAccount,
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

fn account(text: &str) -> Result<PluginAccount, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(PluginAccount {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }),
        _ => Err(format!(
            "{text:?} is not a ServiceAccount as NAMESPACE/NAME"
        )),
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
            },
            check_interval: Duration::from_secs(self.backup_check_interval_seconds),
            restore_prober: self.restore_prober.clone(),
            ..Settings::default()
        }
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
    fn an_account_is_named_with_its_namespace() {
        let prober = account("platform/restore-prober").unwrap();
        assert_eq!(
            (prober.namespace.as_str(), prober.name.as_str()),
            ("platform", "restore-prober")
        );
        assert!(account("restore-prober").is_err());
        assert!(account("/restore-prober").is_err());
    }

    #[test]
    fn path_style_can_be_left_to_the_clients() {
        assert_eq!(path_style(""), Ok(PathStyle(None)));
        assert_eq!(path_style("false"), Ok(PathStyle(Some(false))));
        assert!(path_style("maybe").is_err());
    }
}
