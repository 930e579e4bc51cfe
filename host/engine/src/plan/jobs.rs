//! The BackupJobs of a Plan: their names, what is known of them, and which of them are history.

use backup_api::{
    ApplicationReference, BackupJob, BackupJobSpec, JobPhase, LocalReference, Plan, Time,
    names::{PLAN, label_value, short_hash},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::object;

/// How many finished jobs stay, of those that succeeded and of those that failed.
const HISTORY: i32 = 3;

/// A name of an object is at most this long.
const NAME: usize = 253;

/// The name of the job of a slot: the Plan's, and the slot in minutes since 1970, as the reference has it, so that an
/// old and a new controller cannot both make a job for one slot.
pub(crate) fn job_name(plan: &str, slot: Timestamp) -> String {
    let minutes = slot.as_second().div_euclid(60);
    let whole = format!("{plan}-{minutes}");
    if whole.len() <= NAME {
        return whole;
    }
    let hash = short_hash(plan);
    let end = format!("-{hash}-{minutes}");
    let beginning: String = plan.chars().take(NAME - end.len()).collect();
    // A part of a name ends with a letter or digit.
    let beginning = beginning.trim_end_matches(['-', '.']);
    format!("{beginning}{end}")
}

/// The job of a slot. The Plan does not own it: a Plan that is deleted leaves its jobs alone.
pub(crate) fn job_of(plan: &Plan, slot: Timestamp) -> BackupJob {
    let plan_name = plan.metadata.name.clone().unwrap_or_default();
    let application = &plan.spec.application_ref;
    let mut job = BackupJob::new(
        &job_name(&plan_name, slot),
        BackupJobSpec {
            application_ref: ApplicationReference {
                // Written out, so that field selectors find the job.
                api_group: application.group().to_owned(),
                ..application.clone()
            },
            backup_class_name: plan.spec.backup_class_name.clone(),
            plan_ref: Some(LocalReference {
                name: plan_name.clone(),
            }),
        },
    );
    job.metadata.namespace = plan.metadata.namespace.clone();
    let label = (PLAN.to_owned(), label_value(&plan_name));
    job.metadata.labels = Some([label].into());
    job
}

/// Whether an object belongs to the Plan of a name: labels can be shortened names, and are anybody's to set.
pub(crate) fn is_of(object: &Value, plan: &str) -> bool {
    object::text(object, &["spec", "planRef", "name"]) == plan
}

/// What is known of a job of a Plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// How it ended, if it has.
    pub end: Option<JobPhase>,
    /// When it ended, as far as is known; before that, when it was created.
    pub at: Option<Timestamp>,
    /// Whether it is being deleted.
    pub is_leaving: bool,
}

impl Made {
    /// Reads a job.
    pub(crate) fn of(job: &Value) -> Self {
        let time = |path: &[&str]| object::text(job, path).parse::<Timestamp>().ok();
        let end = match object::text(job, &["status", "phase"]) {
            "Succeeded" => Some(JobPhase::Succeeded),
            "Failed" => Some(JobPhase::Failed),
            _ => None,
        };
        Self {
            name: object::text(job, &["metadata", "name"]).to_owned(),
            uid: object::uid(job).to_owned(),
            end,
            at: time(&["status", "completedAt"])
                .or_else(|| time(&["metadata", "creationTimestamp"])),
            is_leaving: object::is_deleting(job),
        }
    }

    /// Whether it is under way.
    pub(crate) fn is_live(&self) -> bool {
        self.end.is_none()
    }
}

/// The names of the jobs under way, oldest first.
pub(crate) fn live(jobs: &[Made]) -> Vec<&Made> {
    let mut live: Vec<&Made> = jobs.iter().filter(|job| job.is_live()).collect();
    live.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    live
}

/// When a job last succeeded, by the jobs that are left and by what was known before.
pub(crate) fn last_success(jobs: &[Made], known: Option<&Time>) -> Option<Time> {
    jobs.iter()
        .filter(|job| job.end == Some(JobPhase::Succeeded))
        .filter_map(|job| job.at)
        .chain(known.map(|time| time.0))
        .max()
        .map(Time)
}

/// The finished jobs beyond a Plan's limits, oldest first. One that is under way is never among them.
pub(crate) fn history<'a>(plan: &Plan, jobs: &'a [Made]) -> Vec<&'a Made> {
    let limits = [
        (JobPhase::Succeeded, plan.spec.successful_jobs_history_limit),
        (JobPhase::Failed, plan.spec.failed_jobs_history_limit),
    ];
    let mut beyond = vec![];
    for (end, limit) in limits {
        let limit = usize::try_from(limit.unwrap_or(HISTORY)).unwrap_or_default();
        let mut ended: Vec<&Made> = jobs
            .iter()
            .filter(|job| job.end == Some(end) && !job.is_leaving)
            .collect();
        ended.sort_by(|a, b| (b.at, &b.name).cmp(&(a.at, &a.name)));
        beyond.extend(ended.into_iter().skip(limit));
    }
    beyond.sort_by(|a, b| (a.at, &a.name).cmp(&(b.at, &b.name)));
    beyond
}

#[cfg(test)]
mod tests {
    use backup_api::PlanSpec;

    use super::*;

    fn plan(name: &str, api_group: &str) -> Plan {
        let mut plan = Plan::new(
            name,
            PlanSpec {
                application_ref: ApplicationReference {
                    api_group: api_group.to_owned(),
                    kind: "Postgres".to_owned(),
                    name: "orders-db".to_owned(),
                },
                backup_class_name: "cozy-default".to_owned(),
                ..PlanSpec::default()
            },
        );
        plan.metadata.namespace = Some("tenant-acme".to_owned());
        plan
    }

    fn slot(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60 + 59).unwrap()
    }

    #[test]
    fn a_job_takes_what_its_plan_says() {
        let job = job_of(&plan("nightly", ""), slot(29_700_000));
        assert_eq!(job.metadata.name.as_deref(), Some("nightly-29700000"));
        assert_eq!(job.metadata.namespace.as_deref(), Some("tenant-acme"));
        assert_eq!(job.spec.backup_class_name, "cozy-default");
        assert_eq!(job.spec.plan_ref.unwrap().name, "nightly");
        assert_eq!(job.spec.application_ref.api_group, "apps.cozystack.io");
        assert_eq!(job.spec.application_ref.name, "orders-db");
        assert_eq!(job.metadata.labels.unwrap()[PLAN], "nightly");
        let explicit = job_of(&plan("nightly", "example.org"), slot(1));
        assert_eq!(explicit.spec.application_ref.api_group, "example.org");
    }

    // Defect 7 of the reference.
    #[test]
    fn a_plan_does_not_own_its_jobs() {
        let job = job_of(&plan("nightly", ""), slot(1));
        assert_eq!(job.metadata.owner_references, None);
    }

    // Defect 6 of the reference.
    #[test]
    fn a_plan_with_a_long_name_has_jobs_with_names_that_fit() {
        let long = format!("{}.{}", "a".repeat(226), "b".repeat(26));
        let other = format!("{}.{}", "a".repeat(226), "c".repeat(26));
        let name = job_name(&long, slot(29_700_000));
        assert!(name.len() <= 253, "{}", name.len());
        assert!(name.ends_with("-29700000"));
        assert!(!name.contains(".-") && !name.contains("--"), "{name}");
        assert_eq!(name, job_name(&long, slot(29_700_000)));
        assert_ne!(name, job_name(&other, slot(29_700_000)));
        assert_ne!(name, job_name(&long, slot(29_700_001)));
        let label = &job_of(&plan(&long, ""), slot(1)).metadata.labels.unwrap()[PLAN];
        assert!(label.len() <= 63);
    }

    fn made(name: &str, end: Option<JobPhase>, at: i64) -> Made {
        Made {
            name: name.to_owned(),
            uid: name.to_owned(),
            end,
            at: Timestamp::from_second(at).ok(),
            is_leaving: false,
        }
    }

    #[test]
    fn the_oldest_finished_jobs_beyond_the_limits_are_history() {
        let mut plan = plan("nightly", "");
        plan.spec.successful_jobs_history_limit = Some(1);
        plan.spec.failed_jobs_history_limit = Some(0);
        let jobs = [
            made("s-1", Some(JobPhase::Succeeded), 10),
            made("s-3", Some(JobPhase::Succeeded), 30),
            made("s-2", Some(JobPhase::Succeeded), 20),
            made("f-1", Some(JobPhase::Failed), 15),
            made("r-1", None, 1),
        ];
        let names: Vec<&str> = history(&plan, &jobs)
            .iter()
            .map(|job| job.name.as_str())
            .collect();
        assert_eq!(names, ["s-1", "f-1", "s-2"]);
        plan.spec.successful_jobs_history_limit = None;
        plan.spec.failed_jobs_history_limit = None;
        assert!(history(&plan, &jobs).is_empty());
    }

    #[test]
    fn the_last_success_outlives_its_job() {
        let jobs = [
            made("s-1", Some(JobPhase::Succeeded), 10),
            made("f-1", Some(JobPhase::Failed), 90),
        ];
        let at = |seconds| Some(Time(Timestamp::from_second(seconds).unwrap()));
        assert_eq!(last_success(&jobs, None), at(10));
        assert_eq!(last_success(&jobs, at(40).as_ref()), at(40));
        assert_eq!(last_success(&[], at(40).as_ref()), at(40));
    }
}
