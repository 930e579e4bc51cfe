//! Events on jobs and Backups, as `events.k8s.io/v1` has them.

use backup_sandbox::{
    Event,
    contract::{JobIdentity, Severity},
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{
    admit::Case,
    cluster::{ApiError, ApiReason, Caller, Cluster},
    host::Host,
    stop::Stop,
};

/// Who reports.
const CONTROLLER: &str = "backups.cozystack.io/backupstrategy-controller";

/// An event's note is at most this long, by the API.
const NOTE: usize = 1024;

impl<C: Cluster> Host<C> {
    /// Records each event of a strategy once.
    pub(crate) async fn record_events(&self, case: &Case, events: &[Event]) -> Result<(), Stop> {
        for event in events {
            self.record_event(&case.request.job, event).await?;
        }
        Ok(())
    }

    /// Records an event on an object once: its name follows from what it says.
    pub(crate) async fn record_event(
        &self,
        on: &JobIdentity,
        event: &Event,
    ) -> Result<(), ApiError> {
        let hash = Sha256::digest(format!("{}\0{}\0{}", on.uid, event.reason, event.message));
        let hash: String = hash
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if !self.event_is_new(&on.uid, &hash) {
            return Ok(());
        }
        // A name of an object is at most 253 characters.
        let name: String = on.name.chars().take(230).collect();
        let object = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.{hash}"), "namespace": on.namespace },
            "eventTime": format!("{:.6}", self.now()),
            "reportingController": CONTROLLER,
            "reportingInstance": CONTROLLER,
            "action": "Backup",
            "type": if event.severity == Severity::Warning { "Warning" } else { "Normal" },
            "reason": event.reason,
            "note": event.message.chars().take(NOTE).collect::<String>(),
            "regarding": {
                "apiVersion": backup_api::names::API_VERSION,
                "kind": on.kind,
                "namespace": on.namespace,
                "name": on.name,
                "uid": on.uid,
            },
        });
        match self
            .cluster
            .create(&Caller::host(), CONTROLLER, &object, false)
            .await
        {
            Err(error) if error.reason == ApiReason::AlreadyExists => Ok(()),
            created => created.map(drop),
        }
    }
}
