//! What a strategy is.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Context, Holds, Knob, Outcome, Reads, Timestamp, Value, Writes,
    bindings::cozystack::backup_strategy::types::Entry, fail,
};

pub use crate::bindings::{
    cozystack::backup_strategy::types::{Artifact, Success},
    exports::cozystack::backup_strategy::strategy::{Path, Problem},
};

/// A backup strategy: what it is called, what may be set, and how a backup is taken, restored, checked and
/// removed.
///
/// Each function is asked again and again until its work is done, and describes the work from top to bottom as
/// if everything happened at once: waiting and failing are early returns. See the crate's page for an example.
pub trait Strategy: Sized + 'static {
    /// Short name, a DNS label: the name of its field manager and of its log lines.
    const NAME: &'static str;
    /// The kind in `strategy.backups.cozystack.io/v1alpha1` whose objects configure it.
    const KIND: &'static str;
    /// The plural of the kind, in small letters.
    const PLURAL: &'static str;
    /// The application kinds that it can work on, as `group/Kind`.
    const APPLICATIONS: &'static [&'static str];
    /// One sentence for an administrator.
    const DESCRIPTION: &'static str = "";
    /// The questions that it answers by itself. The others have the answers of this trait.
    const QUESTIONS: &'static [Question];
    /// The kinds that it reads.
    const READS: &'static [Reads] = &[];
    /// The kinds that it writes.
    const WRITES: &'static [Writes] = &[];
    /// Applications that a job works on beside its own: no other job works on them at the same time.
    const HOLDS: &'static [Holds] = &[];
    /// Where its backups lie in the platform's bucket, the usual place first: what it asks an administrator to grant,
    /// in the words of a StrategyPlugin.
    const STORAGE_PATHS: &'static [&'static str] = &["{namespace}/{application}"];
    /// Namespaces of the platform that it asks to work in, such as Velero's.
    const SYSTEM_NAMESPACES: &'static [&'static str] = &[];
    /// Patterns of the Secrets that its Pods use, which it asks to be granted.
    const POD_SECRETS: &'static [&'static str] = &[];
    /// Whether it suspends the application's HelmRelease.
    const SUSPENDS_RELEASES: bool = false;
    /// Whether applications go on using the projected credentials when no job runs, as WAL archiving does.
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = false;
    /// Versions of a Backup's metadata that it can read.
    const METADATA_VERSIONS: &'static [u32] = &[];
    /// Versions of the state that it can read; the newest is the one that it writes.
    const STATE_VERSIONS: &'static [u32] = &[];

    /// The settings that a BackupClass may set, too.
    const KNOBS: &'static [Knob] = &[];

    /// What an administrator sets in the strategy's object.
    type Spec: DeserializeOwned;
    /// What a BackupClass may set besides knobs, all of it strings; [`Nothing`] when there is nothing.
    type Parameters: DeserializeOwned;
    /// What a tenant may ask for in a RestoreJob; [`Nothing`] when there is nothing to ask for.
    type Options: DeserializeOwned;
    /// What the strategy remembers from one evaluation to the next; [`Nothing`] when it needs no memory.
    type State: Serialize + DeserializeOwned;

    /// What is wrong with the settings, before any job uses them and before templates are rendered. That they fit their
    /// types, and knobs their rules, is known already; here is what holds between several. Settings that were rendered
    /// are held to it once more, by [`Context::spec`].
    fn validate(_spec: &Self::Spec, _parameters: &Self::Parameters) -> Vec<Problem> {
        Vec::new()
    }

    /// Every place in object storage that a backup of this application writes to.
    ///
    /// # Errors
    ///
    /// When that cannot be told.
    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>>;

    /// Takes a backup.
    ///
    /// # Errors
    ///
    /// While it is not finished, and when it cannot be.
    fn backup(_cx: &Context<Self>) -> Outcome<Success> {
        unsupported("take backups")
    }

    /// Restores a backup.
    ///
    /// # Errors
    ///
    /// While it is not finished, and when it cannot be.
    fn restore(_cx: &Context<Self>) -> Outcome<()> {
        unsupported("restore backups")
    }

    /// Undoes what a job has left behind that failed, gave up or was deleted before it was finished.
    ///
    /// # Errors
    ///
    /// While it is not finished, and when it cannot be.
    fn abort(_cx: &Context<Self>) -> Outcome<()> {
        Ok(())
    }

    /// Removes a backup: its objects and its data.
    ///
    /// # Errors
    ///
    /// While it is not finished, and when it cannot be.
    fn forget(_cx: &Context<Self>) -> Outcome<()> {
        Ok(())
    }

    /// Whether a finished backup is still there to be restored.
    ///
    /// # Errors
    ///
    /// While it cannot be told yet; a failure counts as [`Verdict::Unknown`].
    fn check(_cx: &Context<Self>) -> Outcome<Verdict> {
        unsupported("look after finished backups")
    }
}

fn unsupported<T>(what: &str) -> Outcome<T> {
    fail("Unsupported", format!("this strategy does not {what}"))
}

/// A question that a strategy can answer by itself, for [`Strategy::QUESTIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// [`Strategy::backup`]
    Backup,
    /// [`Strategy::restore`]
    Restore,
    /// [`Strategy::abort`]
    Abort,
    /// [`Strategy::forget`]
    Forget,
    /// [`Strategy::check`]
    Check,
}

impl Question {
    /// Every question.
    pub const ALL: &'static [Self] = &[
        Self::Backup,
        Self::Restore,
        Self::Abort,
        Self::Forget,
        Self::Check,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Abort => "abort",
            Self::Forget => "forget",
            Self::Check => "check",
        }
    }
}

/// No settings, no parameters, no options, no state: whatever is there is passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "build", derive(schemars::JsonSchema))]
pub struct Nothing {}

/// What is left of a finished backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// There to be restored.
    Present,
    /// There to be restored, and more is known of it than the Backup says.
    PresentAs(Artifact),
    /// Gone, or no longer restorable: reason and message.
    Lost(String, String),
    /// Could not be looked at: reason and message.
    Unknown(String, String),
}

impl Verdict {
    /// Gone, or no longer restorable.
    #[must_use]
    pub fn lost(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Lost(reason.into(), message.into())
    }

    /// Could not be looked at.
    #[must_use]
    pub fn unknown(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Unknown(reason.into(), message.into())
    }

    /// Whether what was found is as large as the Backup says: storage tells no checksum, so the size has to do. A Backup
    /// that does not know the size learns it here; no backup has 0 bytes.
    ///
    /// ```
    /// use backup_strategy::prelude::*;
    ///
    /// let said = Artifact::at("s3://b/a.db").with_size(7);
    /// let found = Artifact::at("s3://b/a.db").with_size(4);
    /// let verdict = Verdict::compared(Some(&said), found, "DumpChanged", "dump");
    /// assert!(matches!(verdict, Verdict::Lost(reason, _) if reason == "DumpChanged"));
    /// ```
    #[must_use]
    pub fn compared(said: Option<&Artifact>, found: Artifact, reason: &str, what: &str) -> Self {
        let known = said.and_then(|said| said.size_bytes);
        match (known.filter(|known| *known > 0), found.size_bytes) {
            (Some(known), Some(size)) if known != size => Self::lost(
                reason,
                format!(
                    "{} has {size} bytes, and the {what} that was taken had {known}: it was cut off or overwritten",
                    found.uri
                ),
            ),
            (Some(_), _) => Self::Present,
            (None, _) => Self::PresentAs(found),
        }
    }
}

impl Success {
    /// A backup that lies here; `None` where the operator does not say where.
    #[must_use]
    pub fn of(artifact: impl Into<Option<Artifact>>) -> Self {
        Self {
            taken_at: None,
            artifact: artifact.into(),
            metadata: Vec::new(),
            resources: None,
        }
    }

    /// When the state that it holds was taken; now, unless said otherwise.
    #[must_use]
    pub fn taken_at(mut self, moment: Option<Timestamp>) -> Self {
        self.taken_at = moment.map(|moment| moment.0);
        self
    }

    /// Kept on the Backup and given back on restore; nothing is kept of what is not there. Readable by the tenant.
    #[must_use]
    pub fn metadata(mut self, key: &str, value: impl Into<Option<String>>) -> Self {
        self.keep(key, value.into());
        self
    }

    /// Several at once; what is absent or empty is not kept.
    #[must_use]
    pub fn metadata_of(mut self, entries: &[(&str, Option<&str>)]) -> Self {
        for (key, value) in entries {
            self.keep(key, crate::set(*value).map(Into::into));
        }
        self
    }

    #[inline(never)]
    fn keep(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.metadata.push(Entry {
                key: key.into(),
                value,
            });
        }
    }

    /// Kept as the Backup's underlying resources. Readable by the tenant.
    #[must_use]
    pub fn resources(mut self, resources: &Value) -> Self {
        self.resources = Some(resources.to_string());
        self
    }
}

impl Path {
    /// A place, such as `s3://bucket/tenant-acme/orders-db/`, and what it is for.
    #[must_use]
    pub fn new(uri: impl Into<String>, purpose: &str) -> Self {
        Self {
            uri: uri.into(),
            purpose: purpose.into(),
        }
    }
}

impl Problem {
    /// What is wrong at a JSON pointer that begins with `/spec` or `/parameters`.
    #[must_use]
    pub fn at(pointer: &str, message: impl Into<String>) -> Self {
        Self {
            path: pointer.into(),
            message: message.into(),
        }
    }
}
