//! Flags and environment. Names are the reference's where it has them.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use backup_api::PluginAccount;
use backup_engine::{AuthoritySettings, Settings, StorageSettings, VeleroSettings};
use clap::{ArgAction, Parser, ValueEnum};
use jiff::SignedDuration;

use crate::{address::BindAddress, leader::Terms};

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
    /// Address of the health probes /healthz and /readyz: `:8081`, `10.0.0.1:8081`, or `0` for none
    #[arg(long, env = "HEALTH_PROBE_BIND_ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: BindAddress,
    /// Address of the metrics at /metrics, in the same forms
    #[arg(long, env = "METRICS_BIND_ADDRESS", default_value = "0")]
    pub metrics_bind_address: BindAddress,
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
    /// The host's own namespace: its Lease is there, and the components of its plugins are stored there
    #[arg(long, env = "POD_NAMESPACE", default_value = "cozy-backup-controller")]
    pub pod_namespace: String,
    /// ServiceAccount that may do nothing but create RestoreJobs in its own namespace: what is refused to it proves that the
    /// policy of restores into other namespaces is in force
    #[arg(long, env = "RESTORE_PROBER", default_value = "cozy-backup-controller/restore-prober", value_name = "NAMESPACE/NAME", value_parser = account)]
    pub restore_prober: PluginAccount,
    /// How log lines are written
    #[arg(
        long,
        visible_alias = "zap-encoder",
        env = "LOG_FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
    /// Which log lines are written: error, warn, info, debug, trace, or a filter such as `info,kube=debug`
    #[arg(
        long,
        visible_alias = "zap-log-level",
        env = "LOG_LEVEL",
        default_value = "info"
    )]
    pub log_level: String,
    /// Of several replicas one works: the one that holds the Lease
    #[arg(long, env = "LEADER_ELECT", default_value_t, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// For how long nobody takes the Lease over from a leader that has fallen silent, in whole seconds
    #[arg(
        long,
        env = "LEADER_ELECT_LEASE_DURATION",
        default_value = "15s",
        value_parser = duration
    )]
    pub leader_elect_lease_duration: Duration,
    /// For how long a leader works on that cannot renew the Lease
    #[arg(
        long,
        env = "LEADER_ELECT_RENEW_DEADLINE",
        default_value = "10s",
        value_parser = duration
    )]
    pub leader_elect_renew_deadline: Duration,
    /// The pause between two renewals of the Lease, and between two looks at it
    #[arg(
        long,
        env = "LEADER_ELECT_RETRY_PERIOD",
        default_value = "2s",
        value_parser = duration
    )]
    pub leader_elect_retry_period: Duration,
    /// The host's Pod, by which it is known in the Lease; the machine's name where this is empty
    #[arg(long, env = "POD_NAME", default_value = "")]
    pub pod_name: String,
    /// File that says where the API server is; without it $KUBECONFIG, or the Pod's own account
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// URL of an OpenTelemetry collector that takes traces by HTTP, such as `http://collector:4318`; none are sent
    /// without it
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", default_value = "")]
    pub otlp_endpoint: String,
}

/// A duration as Go programs take it: `15s`, `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>();
    let parsed = parsed.map_err(|error| error.to_string())?;
    Duration::try_from(parsed).map_err(|_| format!("{text:?} is less than nothing"))
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
    #[value(alias = "console")]
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
            restore_prober: self.restore_prober.clone(),
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

    /// The terms of the election.
    ///
    /// # Errors
    /// Under which two hosts could write at the same time.
    pub(crate) fn terms(&self) -> anyhow::Result<Terms> {
        let terms = Terms {
            lease: self.leader_elect_lease_duration,
            renew_deadline: self.leader_elect_renew_deadline,
            retry: self.leader_elect_retry_period,
        };
        terms.checked()
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

    // The flags of the reference's Deployment.
    #[test]
    fn flags_are_taken_as_the_reference_takes_them() {
        let given = |flags: &[&str]| Options::try_parse_from([&["host"], flags].concat());
        let flags = [
            "--leader-elect",
            "--metrics-bind-address=:8080",
            "--health-probe-bind-address=:8081",
            "--zap-log-level=debug",
            "--zap-encoder=console",
        ];
        let options = given(&flags).unwrap();
        assert!(options.leader_elect);
        assert_eq!(options.metrics_bind_address, BindAddress::All(8080));
        assert_eq!(options.health_probe_bind_address, BindAddress::All(8081));
        assert_eq!(options.log_level, "debug");
        assert_eq!(options.log_format, LogFormat::Text);
        let off = given(&["--leader-elect=false", "--health-probe-bind-address=0"]).unwrap();
        assert!(!off.leader_elect);
        assert_eq!(off.health_probe_bind_address, BindAddress::Off);
        assert!(given(&["--metrics-bind-address=8080"]).is_err());
    }

    #[test]
    fn every_flag_is_in_the_readme_with_its_environment() {
        let page = include_str!("../README.md");
        let row = |flag: &str| {
            page.lines()
                .find(|line| line.starts_with(&format!("| `--{flag}`")))
        };
        let command = Options::command();
        let flags = command.get_arguments().filter_map(|flag| {
            let name = flag.get_long()?;
            (!matches!(name, "help" | "version")).then_some((name, flag.get_env()))
        });
        let mut known = 0;
        for (name, environment) in flags {
            let row = row(name);
            assert!(row.is_some(), "--{name} is not in the README");
            if let Some(environment) = environment {
                let environment = format!("| `{}` |", environment.to_string_lossy());
                assert!(
                    row.unwrap().contains(&environment),
                    "--{name}: {environment}"
                );
            }
            known += 1;
        }
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `--"))
            .count();
        assert_eq!(rows, known, "the README has flags that are not there");
    }

    #[test]
    fn durations_are_written_as_for_go_programs() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert!(duration("-1s").is_err());
        assert!(duration("soon").is_err());
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
