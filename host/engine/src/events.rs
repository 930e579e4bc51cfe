//! Events on a job, as `events.k8s.io/v1` has them.

use backup_sandbox::{Event, contract::Severity};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    admit::Case,
    cluster::{ApiReason, Caller, Cluster},
    host::Host,
    stop::Stop,
};

/// Who reports.
const CONTROLLER: &str = "backups.cozystack.io/backupstrategy-controller";

/// An event's note is at most this long, by the API.
const NOTE: usize = 1024;

impl<C: Cluster> Host<C> {
    /// Records each event once: its name follows from what it says.
    pub(crate) async fn record_events(&self, case: &Case, events: &[Event]) -> Result<(), Stop> {
        for event in events {
            let job = &case.request.job;
            let hash = Sha256::digest(format!("{}\0{}\0{}", job.uid, event.reason, event.message));
            let hash: String = hash
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if !self.event_is_new(&job.uid, &hash) {
                continue;
            }
            // A name of an object is at most 253 characters.
            let name: String = job.name.chars().take(230).collect();
            let object = json!({
                "apiVersion": "events.k8s.io/v1",
                "kind": "Event",
                "metadata": { "name": format!("{name}.{hash}"), "namespace": job.namespace },
                "eventTime": format!("{:.6}", self.now()),
                "reportingController": CONTROLLER,
                "reportingInstance": CONTROLLER,
                "action": "Backup",
                "type": if event.severity == Severity::Warning { "Warning" } else { "Normal" },
                "reason": event.reason,
                "note": event.message.chars().take(NOTE).collect::<String>(),
                "regarding": {
                    "apiVersion": backup_api::names::API_VERSION,
                    "kind": job.kind,
                    "namespace": job.namespace,
                    "name": job.name,
                    "uid": job.uid,
                },
            });
            match self
                .cluster
                .create(&Caller::host(), CONTROLLER, &object, false)
                .await
            {
                Err(error) if error.reason == ApiReason::AlreadyExists => {}
                created => drop(created?),
            }
        }
        Ok(())
    }
}
