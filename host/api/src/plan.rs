//! Plan: backups of one application on a schedule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{condition::Condition, reference::ApplicationReference};

/// What to back up, by which class and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, CustomResource, JsonSchema)]
#[kube(
    group = "backups.cozystack.io",
    version = "v1alpha1",
    kind = "Plan",
    plural = "plans",
    namespaced,
    status = "PlanStatus",
    derive = "PartialEq",
    derive = "Default",
    category = "cozystack-backups",
    doc = "Makes BackupJobs of one application on a schedule. A Plan that is deleted leaves its jobs and Backups as they are.",
    selectable = ".spec.applicationRef.apiGroup",
    selectable = ".spec.applicationRef.kind",
    selectable = ".spec.applicationRef.name",
    printcolumn = r#"{"name":"Application","type":"string","jsonPath":".spec.applicationRef.name"}"#,
    printcolumn = r#"{"name":"Class","type":"string","jsonPath":".spec.backupClassName"}"#,
    printcolumn = r#"{"name":"Schedule","type":"string","jsonPath":".spec.schedule.cron"}"#,
    printcolumn = r#"{"name":"Suspended","type":"boolean","jsonPath":".spec.suspend"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Last Success","type":"date","jsonPath":".status.lastSuccessfulTime"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Next","type":"string","priority":1,"jsonPath":".status.nextScheduleTime"}"#,
    printcolumn = r#"{"name":"Missed","type":"integer","priority":1,"jsonPath":".status.missedSlots"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// The application to back up, in the Plan's namespace.
    pub application_ref: ApplicationReference,
    /// The BackupClass that says how.
    #[schemars(length(min = 1, max = 253))]
    pub backup_class_name: String,
    /// When.
    pub schedule: Schedule,
    /// No new jobs while true.
    #[serde(default)]
    pub suspend: bool,
    /// What to do when a job of this Plan is still under way.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// How late a job may be made, in seconds; 300 when absent. After a time without the host, the last slot is made up
    /// for if it is no older than this; all others are counted in `status.missedSlots`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub starting_deadline_seconds: Option<i64>,
    /// Which Backups to keep; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_policy: Option<RetentionPolicy>,
    /// How many succeeded jobs to keep; 3 when absent. Their Backups stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub successful_jobs_history_limit: Option<i32>,
    /// How many failed jobs to keep; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub failed_jobs_history_limit: Option<i32>,
}

/// When a Plan makes jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.timeZone) || self.timeZone == '' || !has(self.cron) || !(self.cron.startsWith('TZ=') || self.cron.startsWith('CRON_TZ='))").message("name the time zone in timeZone or in cron, not in both"))]
#[x_kube(validation = Rule::new("!has(self.type) || self.type in ['', 'cron']").message("the only type of schedule is cron"))]
pub struct Schedule {
    /// `cron`, the only kind of schedule.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub type_: Option<String>,
    /// Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`,
    /// `@every <duration>`, which counts from the Plan's creation and is at least a minute. A time zone can stand
    /// before it: `TZ=Europe/Berlin 0 3 * * *`. A time that daylight saving leaves out is no slot on that day; one that
    /// the clock shows twice is two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub cron: Option<String>,
    /// IANA name of the time zone; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub time_zone: Option<String>,
    /// Makes each job up to so many seconds after its slot, always the same time for the same Plan, so that many Plans
    /// of one minute do not all begin at once; at the slot when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub spread_seconds: Option<u32>,
}

/// What to do when a job of the same Plan is still under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Make the next job all the same; it waits until the application is free.
    #[default]
    Allow,
    /// Skip the slot, and count it as missed.
    Forbid,
    /// Delete the job that is under way, which undoes what it began, and make the next one.
    Replace,
}

/// Which Backups a Plan keeps: those that any rule keeps. The last good one always stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionPolicy {
    /// The newest so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_last: Option<u32>,
    /// The newest of each of the last so many hours that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_hourly: Option<u32>,
    /// The newest of each of the last so many days that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_daily: Option<u32>,
    /// The newest of each of the last so many weeks that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_weekly: Option<u32>,
    /// The newest of each of the last so many months that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_monthly: Option<u32>,
    /// The newest of each of the last so many years that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep_yearly: Option<u32>,
    /// None older than this, for example `720h`, but for what another rule keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9]+(s|m|h|d|w))+$"))]
    pub max_age: Option<String>,
}

/// What a Plan did and will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// The slot of the last job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// The first slot that was not dealt with yet; none while suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// When a job of this Plan last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_successful_time: Option<Time>,
    /// How many slots passed without a job since the Plan was created. Those of a suspension do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed_slots: Option<i64>,
    /// The jobs that are under way, oldest first; the first hundred of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub active: Vec<String>,
    /// What the retention policy removes next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_removal: Option<NextRemoval>,
    /// The schedule that `nextScheduleTime` belongs to. Another begins with its first slot from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_schedule: Option<String>,
    /// The generation that this was observed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, and `Error` as old clients know it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a retention policy removes next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextRemoval {
    /// The Backups, oldest first; the first hundred of them.
    pub backups: Vec<String>,
    /// When they are too old; absent where they go after the next backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
}

#[cfg(test)]
mod tests {
    use kube::CustomResourceExt as _;

    use super::*;

    fn schema(path: &str) -> serde_json::Value {
        let definition = serde_json::to_value(Plan::crd()).unwrap();
        let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/{path}");
        definition.pointer(&path).cloned().unwrap_or_default()
    }

    #[test]
    fn a_time_zone_that_is_named_twice_is_refused_before_anybody_looks_at_it() {
        let rules = schema("spec/properties/schedule/x-kubernetes-validations").to_string();
        assert!(rules.contains("not in both"), "{rules}");
        assert!(
            rules.contains("the only type of schedule is cron"),
            "{rules}"
        );
    }

    #[test]
    fn every_field_of_a_plan_says_what_it_is() {
        for part in [
            "spec",
            "spec/properties/schedule",
            "spec/properties/retentionPolicy",
            "status",
        ] {
            let fields = schema(&format!("{part}/properties"));
            for (name, field) in fields.as_object().unwrap() {
                assert!(field["description"].is_string(), "{part}: {name}");
            }
        }
    }

    // Defect 30 of the reference: no column told what a Plan does.
    #[test]
    fn a_list_of_plans_tells_what_they_do() {
        let definition = serde_json::to_value(Plan::crd()).unwrap();
        let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].clone();
        let names: Vec<&str> = columns
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|column| column["name"].as_str())
            .collect();
        for name in [
            "Application",
            "Class",
            "Schedule",
            "Suspended",
            "Ready",
            "Last Success",
            "Age",
            "Next",
            "Missed",
        ] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
