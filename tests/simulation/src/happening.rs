//! What can happen: one file for each kind of event.

use std::fmt;

use crate::{
    events::{
        applications::ApplicationEvent, backups::BackupEvent, configuration::ConfigurationEvent,
        faults::FaultEvent, jobs::JobEvent, namespaces::NamespaceEvent, operators::OperatorEvent,
        permissions::PermissionEvent, plans::PlanEvent, plugins::PluginEvent,
        surroundings::SurroundingsEvent,
    },
    ground::Ground,
};

/// Something that somebody does, or that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happening {
    Namespace(NamespaceEvent),
    Application(ApplicationEvent),
    Job(JobEvent),
    Plan(PlanEvent),
    Backup(BackupEvent),
    Configuration(ConfigurationEvent),
    Plugin(PluginEvent),
    Permission(PermissionEvent),
    Operator(OperatorEvent),
    Fault(FaultEvent),
    Surroundings(SurroundingsEvent),
}

impl Happening {
    /// Lets it happen.
    pub(crate) fn happen(&self, ground: &Ground) {
        ground.note(|| self.to_string());
        match self {
            Self::Namespace(event) => event.happen(ground),
            Self::Application(event) => event.happen(ground),
            Self::Job(event) => event.happen(ground),
            Self::Plan(event) => event.happen(ground),
            Self::Backup(event) => event.happen(ground),
            Self::Configuration(event) => event.happen(ground),
            Self::Plugin(event) => event.happen(ground),
            Self::Permission(event) => event.happen(ground),
            Self::Operator(event) => event.happen(ground),
            Self::Fault(event) => event.happen(ground),
            Self::Surroundings(event) => event.happen(ground),
        }
    }
}

impl fmt::Display for Happening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(event) => event.fmt(f),
            Self::Application(event) => event.fmt(f),
            Self::Job(event) => event.fmt(f),
            Self::Plan(event) => event.fmt(f),
            Self::Backup(event) => event.fmt(f),
            Self::Configuration(event) => event.fmt(f),
            Self::Plugin(event) => event.fmt(f),
            Self::Permission(event) => event.fmt(f),
            Self::Operator(event) => event.fmt(f),
            Self::Fault(event) => event.fmt(f),
            Self::Surroundings(event) => event.fmt(f),
        }
    }
}
