//! The reasons of the host's own `Ready` condition.

use std::fmt;

/// Why a job, Backup, Plan or BackupClass is not ready, or what made it so. The list is closed: reasons are also labels of metrics.
/// A strategy's own reason stands in the condition's message and in the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The BackupClass does not exist (yet).
    BackupClassNotFound,
    /// The strategy object does not exist (yet).
    StrategyNotReady,
    /// No loaded plugin serves the strategy's kind (yet).
    PluginNotReady,
    /// The platform's credentials cannot be projected (yet).
    CredentialsProjectionPending,
    /// Another job works on the application.
    ApplicationBusy,
    /// The strategy's account may not do what the strategy asks for.
    PermissionMissing,
    /// The plan, or what the strategy asked to read, left its walls.
    PlanRejected,
    /// The strategy trapped, hit a limit or gave an answer that makes no sense.
    PluginError,
    /// A template of the strategy object cannot be rendered for this application.
    TemplateFailed,
    /// The strategy waits for a precondition, or the job for the end of a Backup that has its name.
    Waiting,
    /// The strategy's work is under way.
    Running,
    /// An action was refused and will be tried again.
    ActionRefused,
    /// The work failed or was called off; what it left behind is being undone.
    Aborting,
    /// The backup failed for good.
    BackupFailed,
    /// The backup is done.
    BackupCompleted,
    /// The restore failed for good.
    RestoreFailed,
    /// The restore is done.
    RestoreCompleted,
    /// The object storage does not answer.
    StorageUnreachable,
    /// The current storage is not the one that the Backup was written to.
    StorageChanged,
    /// The BackupClass does not allow its use in this namespace.
    NamespaceNotAllowed,
    /// The Backup's data was there when it was last looked at.
    Available,
    /// The Backup's data is gone, or can be restored no more.
    Lost,
    /// It could not be looked whether the Backup's data is there.
    NotChecked,
    /// The Backup is deleted, and its objects and data are being removed.
    Forgetting,
    /// The Backup's objects and data could not be removed, and are left where they are.
    LeftBehind,
    /// The Backup's objects and data were not to be removed, and are left where they are.
    Retained,
    /// The Plan makes jobs at its times.
    Scheduled,
    /// The Plan makes no jobs while it is suspended.
    Suspended,
    /// The Plan's schedule, time zone or retention cannot be read.
    PlanInvalid,
    /// Every binding of the BackupClass is in order.
    BindingsReady,
    /// A binding of the BackupClass is not in order.
    BindingNotReady,
    /// The parameters of a binding hold credentials, or are not what the strategy takes.
    ParametersInvalid,
    /// The plugin works on as many jobs as its StrategyPlugin allows.
    PluginBusy,
    /// It is not proved that the author of a RestoreJob may restore into the namespace that it names.
    TargetNamespaceNotAllowed,
}

impl Reason {
    /// As it stands in conditions, events and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackupClassNotFound => "BackupClassNotFound",
            Self::StrategyNotReady => "StrategyNotReady",
            Self::PluginNotReady => "PluginNotReady",
            Self::CredentialsProjectionPending => "CredentialsProjectionPending",
            Self::ApplicationBusy => "ApplicationBusy",
            Self::PermissionMissing => "PermissionMissing",
            Self::PlanRejected => "PlanRejected",
            Self::PluginError => "PluginError",
            Self::TemplateFailed => "TemplateFailed",
            Self::Waiting => "Waiting",
            Self::Running => "Running",
            Self::ActionRefused => "ActionRefused",
            Self::Aborting => "Aborting",
            Self::BackupFailed => "BackupFailed",
            Self::BackupCompleted => "BackupCompleted",
            Self::RestoreFailed => "RestoreFailed",
            Self::RestoreCompleted => "RestoreCompleted",
            Self::StorageUnreachable => "StorageUnreachable",
            Self::StorageChanged => "StorageChanged",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
            Self::Available => "Available",
            Self::Lost => "Lost",
            Self::NotChecked => "NotChecked",
            Self::Forgetting => "Forgetting",
            Self::LeftBehind => "LeftBehind",
            Self::Retained => "Retained",
            Self::Scheduled => "Scheduled",
            Self::Suspended => "Suspended",
            Self::PlanInvalid => "PlanInvalid",
            Self::BindingsReady => "BindingsReady",
            Self::BindingNotReady => "BindingNotReady",
            Self::ParametersInvalid => "ParametersInvalid",
            Self::PluginBusy => "PluginBusy",
            Self::TargetNamespaceNotAllowed => "TargetNamespaceNotAllowed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
