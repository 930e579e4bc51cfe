//! The `backups.cozystack.io/v1alpha1` API: what tenants, platform operators and the host say to each other.
//!
//! ```text
//!  platform operator                      tenant                          host
//!  BackupClass ◄──────────── names ───── BackupJob ──── leads to ───────► Backup
//!  StrategyPlugin, strategies            Plan (makes BackupJobs)            ▲
//!                                        RestoreJob ─────── names ──────────┘
//! ```
//!
//! Fields are compatible with Cozystack's own controllers of this group; what is new is additive. Types only:
//! nothing here does I/O.

mod backup;
mod backup_class;
mod backup_job;
mod condition;
mod job;
pub mod names;
mod plan;
mod reason;
mod reference;
mod restore_job;
mod strategy_plugin;

pub use backup::{
    Backup, BackupArtifact, BackupPhase, BackupSpec, BackupStatus, DeletionPolicy, StorageLocation,
};
pub use backup_class::{
    ApplicationSelector, BackupClass, BackupClassSpec, BackupClassStatus, BindingStatus,
    StrategyBinding,
};
pub use backup_job::{BackupJob, BackupJobSpec, BackupJobStatus};
pub use condition::{Condition, set_condition};
pub use job::{
    Failing, JobPhase, JobStatus, PluginIdentity, RefusedAction, Setback, StrategyProgress,
    SuspendedRelease, Waiting,
};
pub use plan::{
    ConcurrencyPolicy, NextRemoval, Plan, PlanSpec, PlanStatus, RetentionPolicy, Schedule,
};
pub use reason::Reason;
pub use reference::{ApplicationReference, LocalReference, StrategyReference};
pub use restore_job::{RestoreJob, RestoreJobSpec, RestoreJobStatus};
pub use strategy_plugin::{
    GrantedApplication, PluginAccount, PluginLimits, PluginPods, PluginSource, PodSecurityLevel,
    StrategyPlugin, StrategyPluginSpec, StrategyPluginStatus,
};

pub use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, Time},
};
use kube::CustomResourceExt as _;

/// Which drop-down list of the dashboard feeds a field, by the field's path below `spec`. The dashboard reads it
/// from annotations of the definition.
const OPTIONS: [(&str, &[(&str, &str)]); 4] = [
    (
        "BackupJob",
        &[
            ("applicationRef.kind", "appkind"),
            ("planRef.name", "plan"),
            ("backupClassName", "backupclass"),
        ],
    ),
    ("Backup", &[("applicationRef.kind", "appkind")]),
    (
        "Plan",
        &[
            ("applicationRef.kind", "appkind"),
            ("backupClassName", "backupclass"),
        ],
    ),
    (
        "RestoreJob",
        &[
            ("backupRef.name", "backup"),
            ("targetApplicationRef.kind", "appkind"),
        ],
    ),
];

/// The definitions of every kind of this group, in the order in which a reader meets them.
#[must_use]
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![
        BackupClass::crd(),
        BackupJob::crd(),
        Backup::crd(),
        Plan::crd(),
        RestoreJob::crd(),
        StrategyPlugin::crd(),
    ];
    for definition in &mut definitions {
        let kind = definition.spec.names.kind.as_str();
        let options = OPTIONS
            .iter()
            .find(|(of, _)| *of == kind)
            .map_or(&[][..], |(_, options)| options);
        let annotations = definition.metadata.annotations.get_or_insert_default();
        for (field, source) in options {
            annotations.insert(
                format!("options.cozystack.io/source.{field}"),
                (*source).to_owned(),
            );
        }
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema that the API server gets, at a path of members below `spec.versions[0].schema`.
    fn schema(definition: &CustomResourceDefinition, path: &str) -> serde_json::Value {
        let value = serde_json::to_value(definition).unwrap();
        value
            .pointer(&format!("/spec/versions/0/schema/openAPIV3Schema{path}"))
            .cloned()
            .unwrap_or_default()
    }

    // Defect 30 of the reference: one writer's conditions took away another's.
    #[test]
    fn conditions_merge_by_type_in_every_kind() {
        for definition in definitions() {
            let conditions = schema(&definition, "/properties/status/properties/conditions");
            assert_eq!(
                conditions["x-kubernetes-list-type"], "map",
                "{}",
                definition.spec.names.kind
            );
            assert_eq!(
                conditions["x-kubernetes-list-map-keys"][0], "type",
                "{}",
                definition.spec.names.kind
            );
        }
    }

    // Defects 12 and 30 of the reference: a Backup had no status of its own, and no kind had such a column.
    #[test]
    fn every_kind_has_a_status_subresource_and_an_age_column() {
        for definition in definitions() {
            let version = &definition.spec.versions[0];
            assert!(version.subresources.as_ref().unwrap().status.is_some());
            let columns = version.additional_printer_columns.as_ref().unwrap();
            assert!(
                columns.iter().any(|column| column.name == "Age"),
                "{}",
                definition.spec.names.kind
            );
        }
    }

    // Defect 12 of the reference: specs could be changed while a job ran.
    #[test]
    fn a_job_that_has_started_cannot_be_changed() {
        for definition in [BackupJob::crd(), RestoreJob::crd()] {
            let rules = schema(&definition, "/x-kubernetes-validations");
            assert_eq!(
                rules[0]["rule"],
                "!has(oldSelf.status) || !has(oldSelf.status.startedAt) || self.spec == oldSelf.spec"
            );
        }
    }

    // Defect 30 of the reference: no column told what a job does.
    #[test]
    fn a_list_of_jobs_tells_what_they_do() {
        let columns = |definition: CustomResourceDefinition| {
            let columns = definition.spec.versions[0]
                .additional_printer_columns
                .clone();
            let names = columns.unwrap().into_iter().map(|column| column.name);
            names.collect::<Vec<_>>()
        };
        assert_eq!(
            columns(BackupJob::crd()),
            [
                "Application",
                "Class",
                "Phase",
                "Reason",
                "Age",
                "Backup",
                "Message"
            ]
        );
        assert_eq!(
            columns(RestoreJob::crd()),
            ["Backup", "Target", "Phase", "Reason", "Age", "Message"]
        );
    }

    // The reference's tests of its option sources.
    #[test]
    fn the_dashboard_finds_its_options_on_the_definition() {
        for (kind, options) in OPTIONS {
            let definitions = definitions();
            let definition = definitions
                .iter()
                .find(|definition| definition.spec.names.kind == kind)
                .unwrap();
            let annotations = definition.metadata.annotations.clone().unwrap_or_default();
            for (field, source) in options {
                assert_eq!(
                    annotations[&format!("options.cozystack.io/source.{field}")],
                    *source,
                    "{kind}"
                );
                let path = field.replace('.', "/properties/");
                let described = schema(definition, &format!("/properties/spec/properties/{path}"));
                assert_ne!(described, serde_json::Value::Null, "{kind} has no {field}");
            }
            let text = serde_json::to_string(definition).unwrap();
            assert!(!text.contains("x-cozystack-options"), "{kind}");
        }
    }

    #[test]
    fn no_category_shadows_a_resource() {
        let definitions = definitions();
        let plurals: Vec<_> = definitions
            .iter()
            .map(|d| d.spec.names.plural.clone())
            .collect();
        for definition in &definitions {
            for category in definition.spec.names.categories.iter().flatten() {
                assert!(!plurals.contains(category));
            }
        }
    }

    // Defect 30 of the reference: selectors missed jobs that were written without the group.
    #[test]
    fn an_application_without_a_group_is_one_of_cozystack() {
        let group = schema(
            &BackupJob::crd(),
            "/properties/spec/properties/applicationRef/properties/apiGroup",
        );
        assert_eq!(group["default"], "apps.cozystack.io");
    }

    #[test]
    fn the_fields_of_the_reference_are_all_there() {
        let fields = [
            (
                BackupJob::crd(),
                "/properties/status/properties",
                "phase backupRef startedAt completedAt message conditions",
            ),
            (
                BackupJob::crd(),
                "/properties/spec/properties",
                "applicationRef backupClassName planRef",
            ),
            (
                Backup::crd(),
                "/properties/spec/properties",
                "applicationRef strategyRef takenAt planRef driverMetadata",
            ),
            (
                Backup::crd(),
                "/properties/status/properties",
                "phase artifact underlyingResources conditions",
            ),
            (
                RestoreJob::crd(),
                "/properties/spec/properties",
                "backupRef targetApplicationRef options",
            ),
            (
                RestoreJob::crd(),
                "/properties/status/properties",
                "phase startedAt completedAt message conditions",
            ),
            (
                Plan::crd(),
                "/properties/spec/properties",
                "applicationRef backupClassName schedule",
            ),
            (
                BackupClass::crd(),
                "/properties/spec/properties/strategies/items/properties",
                "application strategyRef parameters",
            ),
        ];
        for (definition, path, names) in fields {
            let schema = schema(&definition, path);
            for name in names.split(' ') {
                assert!(
                    schema.get(name).is_some(),
                    "{} {path}/{name}",
                    definition.spec.names.kind
                );
            }
        }
    }
}
