//! Which reasons of the host's conditions are Events as well: what somebody should notice who does not read statuses.
//!
//! | on | warns | says |
//! |---|---|---|
//! | a job | whatever it waits for that somebody has to mend, what was refused, its failure | that it waits for its turn; its success |
//! | a Plan | a schedule that cannot be read, jobs that cannot be made, a class that does not exist | |
//! | a Backup | data that is lost, or lies in another storage | |
//!
//! An Event is recorded when its reason becomes the condition's, before the status says so, and once for each object and
//! reason as long as the API server keeps it: nobody is flooded by a job that is tried again and again. The beginning of
//! a job is none: its phase tells it, and most begin at once.

use backup_api::{Condition, Reason};
use backup_sandbox::contract::ObjectRef;
use serde_json::Value;

use crate::{
    cluster::{ApiError, Cluster},
    events::Happened,
    host::Host,
    ledger::Ledger,
};

/// What a job's condition `Ready` is worth as an Event: whether it warns.
fn of_job(reason: &str) -> Option<bool> {
    const WARN: [Reason; 16] = [
        Reason::BackupClassNotFound,
        Reason::StrategyNotReady,
        Reason::PluginNotReady,
        Reason::CredentialsProjectionPending,
        Reason::PermissionMissing,
        Reason::PlanRejected,
        Reason::PluginError,
        Reason::TemplateFailed,
        Reason::ActionRefused,
        Reason::Aborting,
        Reason::BackupFailed,
        Reason::RestoreFailed,
        Reason::StorageUnreachable,
        Reason::StorageChanged,
        Reason::NamespaceNotAllowed,
        Reason::BindingNotReady,
    ];
    const SAY: [Reason; 3] = [
        Reason::ApplicationBusy,
        Reason::BackupCompleted,
        Reason::RestoreCompleted,
    ];
    let is_one_of = |reasons: &[Reason]| reasons.iter().any(|known| known.as_str() == reason);
    match (is_one_of(&WARN), is_one_of(&SAY)) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The same of a Plan.
fn of_plan(reason: &str) -> Option<bool> {
    const WARN: [Reason; 3] = [
        Reason::PlanInvalid,
        Reason::ActionRefused,
        Reason::BackupClassNotFound,
    ];
    let warns = WARN.iter().any(|known| known.as_str() == reason);
    warns.then_some(true)
}

/// The same of a Backup's condition `Available`.
fn of_data(reason: &str) -> Option<bool> {
    const WARN: [Reason; 2] = [Reason::Lost, Reason::StorageChanged];
    let warns = WARN.iter().any(|known| known.as_str() == reason);
    warns.then_some(true)
}

fn happened(condition: &Condition, is_warning: bool, action: &'static str) -> Happened {
    Happened {
        reason: condition.reason.clone(),
        is_warning,
        action,
        of: condition.reason.clone(),
        note: condition.message.clone(),
    }
}

/// A condition of an object as it was read.
fn reason_before<'a>(found: &'a Value, type_: &str) -> &'a str {
    let conditions = found
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let condition = conditions.find(|condition| condition["type"] == type_);
    condition
        .and_then(|condition| condition["reason"].as_str())
        .unwrap_or_default()
}

impl<C: Cluster> Host<C> {
    /// Records what has become of a job in this pass.
    pub(crate) async fn notice(
        &self,
        target: &ObjectRef,
        uid: &str,
        before: &str,
        ledger: &Ledger,
    ) -> Result<(), ApiError> {
        let Some(ready) = ledger
            .ready_condition()
            .filter(|ready| ready.reason != before)
        else {
            return Ok(());
        };
        let Some(is_warning) = of_job(&ready.reason) else {
            return Ok(());
        };
        let action = match target.kind.as_str() {
            "RestoreJob" => "Restore",
            _ => "Backup",
        };
        let happened = happened(ready, is_warning, action);
        self.record_about(target, uid, &happened).await
    }

    /// Records what has become of a Plan in this pass.
    pub(crate) async fn notice_plan(
        &self,
        found: &Value,
        conditions: &[Condition],
    ) -> Result<(), ApiError> {
        self.notice_of(found, conditions, "Ready", of_plan, "Schedule")
            .await
    }

    /// Records what has become of a Backup's data.
    pub(crate) async fn notice_data(
        &self,
        found: &Value,
        conditions: &[Condition],
    ) -> Result<(), ApiError> {
        self.notice_of(found, conditions, "Available", of_data, "Check")
            .await
    }

    async fn notice_of(
        &self,
        found: &Value,
        conditions: &[Condition],
        type_: &str,
        worth: fn(&str) -> Option<bool>,
        action: &'static str,
    ) -> Result<(), ApiError> {
        let before = reason_before(found, type_);
        let mut conditions = conditions.iter();
        let changed = conditions
            .find(|condition| condition.type_ == type_)
            .filter(|condition| condition.reason != before);
        match changed.and_then(|condition| Some((condition, worth(&condition.reason)?))) {
            Some((condition, is_warning)) => {
                self.record_on(found, &happened(condition, is_warning, action))
                    .await
            }
            None => Ok(()),
        }
    }
}
