//! One run of the Job, from the first look to its end.
//!
//! What the Job is to do is decided once, and remembered before the Job is ordered: a host that stops in between goes on
//! with the same archive, and what is undone is what was begun.

use backup_strategy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    Altinity,
    archive::Archive,
    job::{self, Order, Stand},
    operator::{BatchJob, Completion, Sidecars},
    sidecar::{self, Outdated},
    spec::Spec,
    steps::Steps,
};

/// The host's label with the UID of whose an object is.
const OWNER: &str = "backups.cozystack.io/owned-by.UID";

/// How many seconds it may take to stop what was begun: it is only told, and its copies are removed.
const UNDOING: u32 = 10 * 60;

/// What a job remembers.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Run {
    pub archive: Archive,
    /// What the Job tells clickhouse-backup; nothing where the template has a program of its own.
    pub steps: String,
    /// The Pods that are restarted before the Job is tried once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outdated: Vec<Outdated>,
}

/// What a run is for.
pub struct Purpose {
    /// `backup`, `restore` or `delete`: the mode of the Job, and a part of its name.
    pub mode: &'static str,
    /// Why the job waits while the Job runs.
    pub reason: &'static str,
    pub doing: &'static str,
}

impl Run {
    /// Orders the Job and waits for it. `decide` is asked when nothing was begun yet.
    pub fn to_its_end(
        cx: &Context<Altinity>,
        purpose: &Purpose,
        settings: &Spec,
        decide: impl FnOnce(&Sidecars) -> Outcome<Self>,
    ) -> Outcome<(Self, BatchJob)> {
        let known = cx.state()?;
        let tries_again = known
            .as_ref()
            .is_some_and(|run: &Self| !run.outdated.is_empty());
        let name = job_name(cx, purpose.mode, tries_again);
        let (mut run, job) = match (known, cx.get::<BatchJob>(&name)?) {
            (Some(run), Some(job)) => {
                is_believed(cx, &job)?;
                (run, job)
            }
            (known, _) => {
                if let Some(run) = &known {
                    sidecar::restarted(cx, &run.outdated)?;
                }
                let sidecars = Sidecars::of(cx)?;
                let run = known.map_or_else(|| decide(&sidecars), Ok)?;
                cx.remember(&run)?;
                let job = run.order(cx, name, purpose.mode, settings, &sidecars)?;
                (run, job)
            }
        };
        match job::ended(cx, &job, settings.deadline(), purpose.reason, purpose.doing)? {
            Stand::Done => Ok((run, job)),
            Stand::Failed(report) if report.is_about_keys() => {
                let sidecars = Sidecars::of(cx)?;
                if tries_again || !settings.restarts_sidecar()? {
                    return fail("SidecarOutdated", sidecar::advice(&sidecars, &report));
                }
                run.outdated = sidecar::outdated(&sidecars);
                cx.remember(&run)?;
                let message = "the storage refuses the credentials of clickhouse-backup; its Pods are restarted to read them anew";
                cx.event(Severity::Warning, "SidecarOutdated", message);
                sidecar::restarted(cx, &run.outdated)?;
                wait("SidecarRestarting", message)
            }
            Stand::Failed(report) => fail(report.reason.as_str(), report.to_string()),
        }
    }

    fn order(
        &self,
        cx: &Context<Altinity>,
        name: String,
        mode: &str,
        settings: &Spec,
        sidecars: &Sidecars,
    ) -> Outcome<BatchJob> {
        let order = Order {
            name,
            mode,
            run: &cx.job().uid,
            archive: &self.archive.name,
            steps: &self.steps,
            image: settings.image.as_deref().or(sidecars.image()),
            deadline: settings.deadline(),
            template: settings.template.as_ref(),
        };
        order.ensure(cx)
    }
}

fn is_ours(cx: &Context<Altinity>, job: &BatchJob) -> bool {
    job.metadata.labels.get(OWNER) == Some(&cx.job().uid)
}

/// Whoever may create Jobs could put one under the name that says it is done.
fn is_believed(cx: &Context<Altinity>, job: &BatchJob) -> Outcome<()> {
    if is_ours(cx, job) {
        return Ok(());
    }
    let name = &job.metadata.name;
    fail!(
        "ForeignJob",
        "Job {name} is there already, and is not this job's; delete it, and order the job anew"
    )
}

/// The name of the Job: the same for every evaluation of a job, and another where it is tried once more.
fn job_name(cx: &Context<Altinity>, mode: &str, again: bool) -> String {
    if again {
        cx.child_name(&format!("{mode}-again"))
    } else {
        cx.child_name(mode)
    }
}

/// Steps of this job, about an archive.
pub fn steps(cx: &Context<Altinity>, archive: &Archive, sidecars: &Sidecars) -> Outcome<Steps> {
    let own = sidecars.path()?;
    Ok(Steps::new(&cx.job().uid, archive, &cx.bucket(), Some(&own)))
}

/// The chart gives clickhouse-backup a certificate authority, where it is told which.
pub fn trusts_storage(cx: &Context<Altinity>, sidecars: &Sidecars) -> Outcome<()> {
    let Some(key) = cx.ca_key().filter(|_| !sidecars.have_authority()) else {
        return Ok(());
    };
    let secret = cx.bucket().credentials_secret;
    fail!(
        "PrivateCAUnsupported",
        "the storage has a certificate of a private authority, which the clickhouse-backup beside ClickHouse was not told \
         of; set spec.backup.endpointCA of ClickHouse {} to name {secret} and key {key}",
        cx.subject().name
    )
}

/// Removes what a job has left that came to nothing: the Job, what it has begun in clickhouse-backup, and with `data` the
/// archives.
pub fn undo(cx: &Context<Altinity>, mode: &'static str, data: bool) -> Outcome<()> {
    let Some(run) = cx.state()? else {
        return Ok(());
    };
    for name in [job_name(cx, mode, false), job_name(cx, mode, true)] {
        without_job(cx, &name)?;
    }
    // What does not answer any more goes on with nothing. Settings that cannot be read are why the job came to nothing.
    let sidecars = Sidecars::of(cx);
    if let (Ok(sidecars), Ok(settings), false) = (sidecars, cx.spec(), run.steps.is_empty()) {
        let name = cx.child_name("undo");
        let job = match cx.get::<BatchJob>(&name)? {
            Some(job) => job,
            None => {
                let remote = data && run.archive.bucket.is_none();
                let steps = steps(cx, &run.archive, &sidecars)?.undo(
                    &run.steps,
                    &run.archive,
                    &sidecars,
                    remote,
                );
                let settings = Spec {
                    deadline_seconds: Some(UNDOING),
                    ..settings
                };
                let run = Run {
                    steps,
                    ..run.clone()
                };
                run.order(cx, name.clone(), "undo", &settings, &sidecars)?
            }
        };
        // However it ends, and also where it never does: what it was for can be removed no other way.
        let begun = job.metadata.creation_timestamp;
        let is_overdue = begun.is_some_and(|begun| cx.now().since(begun) >= UNDOING.seconds());
        if job.completion() == Completion::Running && !is_overdue {
            return wait!(
                "Undoing",
                "what was begun in clickhouse-backup is being stopped (Job {name})"
            )
            .ask_again_after(2.minutes());
        }
        if cx.subject().namespace != cx.job().namespace {
            without_job(cx, &name)?;
        }
    }
    if data {
        run.archive.purge(cx);
    }
    Ok(())
}

/// Deletes a Job and waits until it is gone with its Pod: only then nothing is told to clickhouse-backup any more.
pub fn without_job(cx: &Context<Altinity>, name: &str) -> Outcome<()> {
    let ours = cx.get::<BatchJob>(name)?.filter(|job| is_ours(cx, job));
    if ours.is_none() || !cx.is_going::<BatchJob>(name, Propagation::Foreground)? {
        return Ok(());
    }
    wait!("ClientRemoving", "Job {name} is being deleted").at_most(10.minutes())
}
