//! Whether a Backup's data is still there: the condition `Available`.
//!
//! | | says |
//! |---|---|
//! | `True` | it was there |
//! | `False`, `Lost` | it is gone, or can be restored no more: a RestoreJob is refused |
//! | `Unknown`, `NotChecked` | it could not be looked: no plugin, no permission, no answer |
//! | `Unknown`, `StorageChanged` | the Backup lies in another storage than the platform's, where nothing is looked at |
//!
//! The strategy is asked. For one that does not answer, the host looks itself whether the artifact's place holds
//! anything; where that says nothing either there is no condition. Nothing is written but the status, no lock is taken,
//! and a loss deletes nothing.

use backup_api::{Backup, BackupArtifact, BackupPhase, BackupStatus, Reason, Time};
use backup_sandbox::{
    Question, Reply,
    contract::{Verdict, Wait},
};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    is_elsewhere, requested_check,
    schedule::{Slots, retry},
};
use crate::{
    admit::Case,
    backup_job::{artifact_of, explain},
    cluster::{ApiError, Cluster},
    host::Host,
    interest::Next,
    job::{answers, words, wrong_answer},
    ledger::Ledger,
    object,
    observe::BackupState,
    stop::Stop,
};

/// The condition that tells of the data.
const AVAILABLE: &str = "Available";

/// What a look at a Backup's data led to.
enum Sight {
    /// It is there, and what is known of it now.
    Seen(Option<BackupArtifact>),
    /// It is gone.
    Lost(String),
    /// The platform's storage is another one now.
    Elsewhere(String),
    /// It could not be looked.
    Hidden(String),
    /// Nobody could tell.
    Nobody,
}

impl<C: Cluster> Host<C> {
    /// A pass over a Backup that lives: looks at its data when its turn has come, or when somebody asks.
    pub(super) async fn look_after(&self, found: &Value) -> Result<Next, ApiError> {
        let now = self.now();
        let uid = object::uid(found);
        let read = serde_json::from_value::<Backup>(found.clone());
        let (backup, mut ledger) = match (read, Ledger::of(found, now)) {
            (Ok(backup), Ok(ledger)) => (backup, ledger),
            (Err(error), _) => return Ok(unreadable(found, &error)),
            (_, Err(error)) => return Ok(unreadable(found, &error)),
        };
        let status = backup.status.clone().unwrap_or_default();
        if status.phase != Some(BackupPhase::Ready) {
            return Ok(Next::gone());
        }
        let slots = Slots::of(uid, self.settings.check_interval);
        let created = backup.metadata.creation_timestamp.as_ref();
        let is_due = slots
            .is_some_and(|slots| slots.is_due(created.map_or(now, |time| time.0), &status, now));
        let is_retried = retry(&status).is_some_and(|at| at <= now);
        let asked = requested_check(found)
            .filter(|asked| status.last_check_request.as_deref() != Some(*asked));
        if !is_due && !is_retried && asked.is_none() {
            return Ok(next(slots, &status, now));
        }
        let sight = match self.look(&backup, &ledger).await {
            Ok(sight) => sight,
            Err(stop) => Sight::Hidden(explain(&stop)),
        };
        // What is kept of a Backup between two looks would be kept of all of them.
        self.forget_job(uid);
        note(&mut ledger, sight, now);
        self.notice_data(found, &ledger.job.conditions).await?;
        let status = ledger.backup().map(|status| {
            if let Some(asked) = asked {
                status.last_check_request = Some(asked.to_owned());
            }
            status.clone()
        });
        ledger.write(&self.cluster).await?;
        Ok(next(slots, &status.unwrap_or_default(), now))
    }

    /// Looks at a Backup's data.
    async fn look(&self, backup: &Backup, ledger: &Ledger) -> Result<Sight, Stop> {
        let credentials = self.platform_storage().await?;
        if let Some(words) = is_elsewhere(backup, &credentials.location) {
            return Ok(Sight::Elsewhere(words));
        }
        let case = self
            .finished_case(backup, ledger, self.now(), credentials)
            .await?;
        let known = backup
            .status
            .as_ref()
            .and_then(|status| status.artifact.clone());
        let mut sight = match answers(&case, Question::Check) {
            true => self.ask(&case, known.as_ref()).await?,
            false => self.look_itself(&case, known.as_ref()).await?,
        };
        if let Sight::Seen(seen) = &mut sight {
            *seen = seen.take().or(known);
            if let Some(artifact) = seen {
                self.fill_in_size(&case, artifact).await;
            }
        }
        Ok(sight)
    }

    /// Asks the strategy.
    async fn ask(&self, case: &Case, known: Option<&BackupArtifact>) -> Result<Sight, Stop> {
        let finished = self.evaluate(case, Question::Check).await?;
        self.guard(case, &finished)?;
        let Reply::Verdict(verdict) = &finished.answer else {
            return Err(wrong_answer());
        };
        Ok(match verdict {
            Verdict::Present(None) => Sight::Seen(None),
            Verdict::Present(Some(artifact)) => {
                Sight::Seen(Some(merged(artifact_of(artifact), known)))
            }
            Verdict::Lost(why) => Sight::Lost(words(why)),
            Verdict::Unknown(why) => Sight::Hidden(words(why)),
            Verdict::Waiting(Wait {
                reason, message, ..
            }) => Sight::Hidden(format!("{reason}: {message}")),
        })
    }

    /// Looks without the strategy.
    async fn look_itself(
        &self,
        case: &Case,
        known: Option<&BackupArtifact>,
    ) -> Result<Sight, Stop> {
        let Some(artifact) = known else {
            return Ok(Sight::Nobody);
        };
        Ok(match self.is_stored(case, &artifact.uri).await? {
            None => Sight::Nobody,
            Some(true) => Sight::Seen(None),
            Some(false) => Sight::Lost(format!("nothing lies at {} any more", artifact.uri)),
        })
    }
}

/// What a strategy sees of an artifact, and what was known of the same one before.
fn merged(seen: BackupArtifact, known: Option<&BackupArtifact>) -> BackupArtifact {
    let known = known.filter(|known| known.uri == seen.uri);
    BackupArtifact {
        size_bytes: seen.size_bytes.or(known.and_then(|known| known.size_bytes)),
        checksum: seen
            .checksum
            .or(known.and_then(|known| known.checksum.clone())),
        uri: seen.uri,
    }
}

/// What a Backup, as it was seen, says of its data.
pub(super) fn state_of_data(seen: &Value) -> BackupState {
    let conditions = seen.pointer("/status/conditions").and_then(Value::as_array);
    let mut conditions = conditions.into_iter().flatten();
    let is_lost =
        |condition: &Value| condition["type"] == AVAILABLE && condition["status"] == "False";
    match conditions.any(is_lost) {
        true => BackupState::Lost,
        false => BackupState::InOrder,
    }
}

/// Notes in the status what a look led to.
fn note(ledger: &mut Ledger, sight: Sight, now: Timestamp) {
    let was_looked = !matches!(sight, Sight::Nobody);
    let mut failed = false;
    let mut artifact = None;
    match sight {
        Sight::Seen(seen) => {
            artifact = seen;
            let message = "the data was there when it was last looked";
            ledger.condition_is(AVAILABLE, "True", Reason::Available.as_str(), message);
        }
        Sight::Lost(why) => ledger.condition_is(AVAILABLE, "False", Reason::Lost.as_str(), &why),
        Sight::Elsewhere(why) => {
            ledger.condition_is(AVAILABLE, "Unknown", Reason::StorageChanged.as_str(), &why);
        }
        Sight::Hidden(why) => {
            failed = true;
            ledger.condition_is(AVAILABLE, "Unknown", Reason::NotChecked.as_str(), &why);
        }
        Sight::Nobody => ledger.without_condition(AVAILABLE),
    }
    if let Some(status) = ledger.backup() {
        if was_looked {
            status.last_check_time = Some(Time(now));
        }
        status.failed_checks = failed.then(|| status.failed_checks.unwrap_or_default() + 1);
        if artifact.is_some() {
            status.artifact = artifact;
        }
    }
}

/// When to look at a Backup again.
fn next(slots: Option<Slots>, status: &BackupStatus, now: Timestamp) -> Next {
    let moment = slots.map(|slots| slots.after(now));
    let retry = retry(status).filter(|at| *at > now);
    moment
        .into_iter()
        .chain(retry)
        .min()
        .map_or_else(Next::gone, Next::at)
}

fn unreadable(found: &Value, error: &dyn std::fmt::Display) -> Next {
    tracing::warn!(backup = object::describe(&object::reference(found)), %error, "a Backup cannot be read");
    Next::gone()
}
