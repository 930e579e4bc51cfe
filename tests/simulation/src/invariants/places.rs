//! What is stored lies in the places of an application that a job was about.

use serde_json::Value;

use super::{Invariant, Verdict, broken};
use crate::{
    ground::text,
    places::Owner,
    record::{Record, has_started, works_in},
    strategies::Application,
    vault::Written,
};

pub(crate) struct Places;

impl Invariant for Places {
    fn written(&mut self, written: &Written, of: &[Owner], record: &Record) -> Verdict {
        let mut jobs = record.jobs().map(|job| &job.object);
        let is_its = |owner: &Owner, job: &Value| match owner {
            Owner::Everybody => true,
            Owner::Application(tenant, application) => {
                has_started(job) && is_about(job, tenant, *application)
            }
        };
        if jobs.any(|job| of.iter().any(|owner| is_its(owner, job))) {
            return Ok(());
        }
        let (bucket, key) = &written.at;
        broken(
            "what is stored lies in a place of its application's",
            format!("{:?} wrote s3://{bucket}/{key}", written.strategy),
        )
    }
}

/// Whether a job that has begun is about an application.
fn is_about(job: &Value, tenant: &str, application: Application) -> bool {
    let noted = &job["status"]["strategy"];
    works_in(job) == tenant
        && text(noted, "/applicationRef/kind") == application.kind
        && text(noted, "/applicationRef/name") == application.name
}
