//! Events on jobs, Backups, Plans and foreign Secrets, as `events.k8s.io/v1` has them.

use backup_api::names::{API_VERSION, short_hash};
use backup_sandbox::{
    Event,
    contract::{JobIdentity, ObjectRef, Severity},
};
use serde_json::{Value, json};

use crate::{
    admit::Case,
    cluster::{ApiError, ApiReason, Caller, Cluster},
    host::Host,
    object,
    stop::Stop,
};

/// Who reports.
const CONTROLLER: &str = "backups.cozystack.io/backupstrategy-controller";

/// An event's note is at most this long, by the API.
const NOTE: usize = 1024;

/// Something that happened to one of the host's objects.
pub(crate) struct Happened {
    /// In one CamelCase word.
    pub reason: String,
    /// Whether somebody should look.
    pub is_warning: bool,
    /// What the host did.
    pub action: &'static str,
    /// What tells it from others of its reason: recorded again, it is the same event.
    pub of: String,
    /// For a person.
    pub note: String,
}

/// What an event is about.
struct Regarding<'a> {
    api_version: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
}

impl<C: Cluster> Host<C> {
    /// Records each event of a strategy once.
    pub(crate) async fn record_events(&self, case: &Case, events: &[Event]) -> Result<(), Stop> {
        for event in events {
            self.record_event(&case.request.job, event).await?;
        }
        Ok(())
    }

    /// Records an event on a job or a Backup once: its name follows from what it says.
    pub(crate) async fn record_event(
        &self,
        on: &JobIdentity,
        event: &Event,
    ) -> Result<(), ApiError> {
        let happened = Happened {
            reason: event.reason.clone(),
            is_warning: event.severity == Severity::Warning,
            action: "Backup",
            of: event.message.clone(),
            note: event.message.clone(),
        };
        let known = format!("{}\0{}", event.reason, event.message);
        if !self.event_is_new(&on.uid, &known) {
            return Ok(());
        }
        let regarding = Regarding {
            api_version: API_VERSION,
            kind: &on.kind,
            namespace: &on.namespace,
            name: &on.name,
            uid: &on.uid,
        };
        self.record(&regarding, &happened).await
    }

    /// Records what happened to an object, once however often it is recorded.
    ///
    /// # Errors
    /// A request that may succeed later. An Event that is refused for good holds nothing up.
    pub(crate) async fn record_on(
        &self,
        object: &Value,
        happened: &Happened,
    ) -> Result<(), ApiError> {
        let target = object::reference(object);
        self.record_about(&target, object::uid(object), happened)
            .await
    }

    /// The same, of an object of the host's group by its name.
    pub(crate) async fn record_about(
        &self,
        target: &ObjectRef,
        uid: &str,
        happened: &Happened,
    ) -> Result<(), ApiError> {
        let regarding = Regarding {
            api_version: &target.api_version,
            kind: &target.kind,
            namespace: target.namespace.as_deref().unwrap_or_default(),
            name: &target.name,
            uid,
        };
        self.record(&regarding, happened).await
    }

    async fn record(&self, on: &Regarding<'_>, happened: &Happened) -> Result<(), ApiError> {
        let hash = short_hash(&format!("{}\0{}\0{}", on.uid, happened.reason, happened.of));
        // A name of an object is at most 253 characters.
        let name: String = on.name.chars().take(230).collect();
        let event = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": format!("{name}.{hash}"), "namespace": on.namespace },
            "eventTime": format!("{:.6}", self.now()),
            "reportingController": CONTROLLER,
            "reportingInstance": CONTROLLER,
            "action": happened.action,
            "type": if happened.is_warning { "Warning" } else { "Normal" },
            "reason": happened.reason,
            "note": happened.note.chars().take(NOTE).collect::<String>(),
            "regarding": {
                "apiVersion": on.api_version,
                "kind": on.kind,
                "namespace": on.namespace,
                "name": on.name,
                "uid": on.uid,
            },
        });
        match self
            .cluster
            .create(&Caller::host(), CONTROLLER, &event, false)
            .await
        {
            Err(error) if error.can_pass() => Err(error),
            Err(error) if error.reason != ApiReason::AlreadyExists => {
                tracing::warn!(%error, reason = happened.reason, "an Event was refused");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
