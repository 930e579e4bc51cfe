//! What a strategy can ask: about the job, the cluster and the storage.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::de::DeserializeOwned;

use crate::{
    OrStop, Outcome, Stop, Strategy, Timestamp, Value,
    bindings::cozystack::backup_strategy::{cluster, context, log, storage, types},
    fail,
    knob::{self, Form, Knobs},
    object::{self, Object},
    storage::{Bucket, StoredObjects},
    text,
    unstructured::text as text_of,
};

pub use crate::bindings::cozystack::backup_strategy::{
    context::{Refusal, View},
    log::Level,
    types::ApplicationRef,
};

/// Characters of a value that are shown where it cannot be used: a name of an object, and some more.
const SHOWN: usize = 300;

/// One evaluation: what it is about, what can be read, and the plan that it writes.
///
/// Reads answer from one snapshot of the cluster, so asking twice is cheap and gives the same answer. Nothing
/// that is written down takes effect before the strategy has returned.
#[derive(Debug)]
pub struct Context<S> {
    strategy: PhantomData<S>,
    /// Of the strategy's knobs.
    forms: &'static [Form],
}

/// What is being worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// `BackupJob`, `RestoreJob` or `Backup`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Changes when a job of the same name is created anew.
    pub uid: String,
    /// When the work began.
    pub started_at: Timestamp,
}

/// A finished backup: the one to restore, to check or to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedBackup {
    /// Name of the Backup.
    pub name: String,
    /// When the state that it holds was taken.
    pub taken_at: Timestamp,
    /// The application that it was taken from.
    pub application: ApplicationRef,
    /// Where it lies, and how large it was.
    pub artifact: Option<types::Artifact>,
    metadata: Vec<types::Entry>,
    resources: Option<String>,
}

impl FinishedBackup {
    /// What the strategy said of the backup when it had succeeded.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    }

    /// The same where it names an object, so that it can be asked for; an empty one counts as absent.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidMetadata` when it is no name: the host would take it for a mistake of the strategy's, and
    /// it is one of whoever wrote the Backup.
    pub fn metadata_name(&self, key: &str) -> Outcome<Option<&str>> {
        let Some(name) = self.metadata(key).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        if object::is_name(name) {
            return Ok(Some(name));
        }
        let start: String = name.chars().take(SHOWN).collect();
        fail(
            "InvalidMetadata",
            format!(
                "spec.driverMetadata of Backup {} says {start:?} for {key}, which cannot be the name of an object",
                self.name
            ),
        )
    }

    /// The document that the strategy kept with the backup, which is of this API version and kind. None where there is
    /// none, and where it cannot be read: the metadata of old Backups says the same.
    ///
    /// # Errors
    ///
    /// With a failure `UnrecognisedSnapshot` when it is another document, which is not guessed at.
    pub fn document(&self, (api_version, kind): (&str, &str)) -> Outcome<Option<Value>> {
        let kept = self.resources::<Value>().ok().flatten();
        let Some(kept) = kept.filter(Value::is_object) else {
            return Ok(None);
        };
        let (found, of) = (text_of(&kept, "/kind"), text_of(&kept, "/apiVersion"));
        if (of, found) == (api_version, kind) {
            return Ok(Some(kept));
        }
        fail(
            "UnrecognisedSnapshot",
            format!(
                "Backup {} keeps a {found} of {of}, which this strategy does not know; take the backup anew, or clear \
                 status.underlyingResources to go by its driverMetadata",
                self.name
            ),
        )
    }

    /// The same as it is, whatever it is.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidResources` when it is no such document.
    pub fn resources<T: DeserializeOwned>(&self) -> Outcome<Option<T>> {
        self.resources
            .as_deref()
            .map(|text| {
                read(
                    "InvalidResources",
                    format_args!("the Backup's resources"),
                    text,
                )
            })
            .transpose()
    }
}

impl<S: Strategy> Context<S> {
    pub(crate) const fn new(forms: &'static [Form]) -> Self {
        Self {
            strategy: PhantomData,
            forms,
        }
    }

    /// The only clock that a strategy has.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(context::now())
    }

    /// What is being worked on.
    #[must_use]
    pub fn job(&self) -> Job {
        let job = context::job();
        Job {
            kind: job.kind,
            namespace: job.namespace,
            name: job.name,
            uid: job.uid,
            started_at: Timestamp(job.started_at),
        }
    }

    /// The application acted on: the source of a backup, the target of a restore.
    #[must_use]
    pub fn subject(&self) -> ApplicationRef {
        context::subject()
    }

    /// That application as the cluster shows it; none when it does not exist. `T` may be a struct with the
    /// fields that are used, or a [`Value`].
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` when it does not fit `T`.
    pub fn application<T: DeserializeOwned>(&self) -> Outcome<Option<T>> {
        context::application()
            .map(|text| read("UnexpectedObject", format_args!("the application"), &text))
            .transpose()
    }

    /// The name of the Helm release of the application acted on; none when it has none.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        context::release(&context::subject())
    }

    /// The name of another application's Helm release; none when it has none.
    #[must_use]
    pub fn release_of(&self, application: &ApplicationRef) -> Option<String> {
        context::release(application)
    }

    /// The strategy's settings, rendered for the application acted on, with those of the BackupClass before them: see
    /// [`Knob`](crate::Knob).
    ///
    /// # Errors
    ///
    /// With a failure `InvalidSpec` or `InvalidParameters` that names the field when they do not fit.
    pub fn spec(&self) -> Outcome<S::Spec> {
        self.spec_for(View::Subject)
    }

    /// The same, rendered for the application acted on or for the one that the backup was taken from.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidSpec` or `InvalidParameters` that names the field when they do not fit.
    pub fn spec_for(&self, view: View) -> Outcome<S::Spec> {
        let knobs = Knobs {
            all: S::KNOBS,
            forms: self.forms,
        };
        let parameters = context::parameters();
        let settings = knobs.settings(&context::spec(view), &parameters)?;
        let spec = text::read_value(&settings)
            .or_else(|misfit| knobs.unreadable(&misfit, &settings, &parameters))?;
        // What templates made of themselves nobody has seen before.
        match S::validate(&spec, &self.parameters()?).first() {
            Some(problem) => knob::invalid(problem),
            None => Ok(spec),
        }
    }

    /// The same, none when the backup has outlived its strategy: `check` and `forget` meet that.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidSpec` or `InvalidParameters` that names the field when they do not fit.
    pub fn spec_if_any(&self, view: View) -> Outcome<Option<S::Spec>> {
        match context::spec(view).as_str() {
            "{}" => Ok(None),
            _ => self.spec_for(view).map(Some),
        }
    }

    /// The BackupClass's parameters; for a finished backup those that it was taken with. What of them are knobs is in
    /// [`spec`](Self::spec) already.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidParameters` that names the parameter when they do not fit.
    pub fn parameters(&self) -> Outcome<S::Parameters> {
        let text = object_of_strings(&context::parameters());
        read(
            "InvalidParameters",
            format_args!("the BackupClass's parameters"),
            &text,
        )
    }

    /// The same as they are, all of them.
    #[must_use]
    pub fn all_parameters(&self) -> BTreeMap<String, String> {
        let mut parameters = BTreeMap::new();
        for entry in context::parameters() {
            parameters.insert(entry.key, entry.value);
        }
        parameters
    }

    /// The RestoreJob's options.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidOptions` that names the option when they do not fit.
    pub fn options(&self) -> Outcome<S::Options> {
        read(
            "InvalidOptions",
            format_args!("the RestoreJob's options"),
            &context::options(),
        )
    }

    /// A name for an object of this job: the same for the same role, another for another job, also for one
    /// created anew under an old name. At most 63 characters long, so that it can be a label's value, too.
    #[must_use]
    pub fn child_name(&self, role: &str) -> String {
        self.child_name_within(role, 63)
    }

    /// The same with another limit, where the operator adds to the name.
    #[must_use]
    pub fn child_name_within(&self, role: &str, max_length: u32) -> String {
        context::child_name(role, max_length)
    }

    /// The backup to restore, to check or to forget; none while one is being taken.
    #[must_use]
    pub fn source(&self) -> Option<FinishedBackup> {
        context::source().map(|backup| FinishedBackup {
            name: backup.name,
            taken_at: Timestamp(backup.taken_at),
            application: backup.application,
            artifact: backup.artifact,
            metadata: backup.metadata,
            resources: backup.resources,
        })
    }

    /// The same in the questions that are about one.
    ///
    /// # Errors
    ///
    /// With a failure `NoBackup` in a question that is about none.
    pub fn finished_backup(&self) -> Outcome<FinishedBackup> {
        self.source()
            .or_fail("NoBackup", "there is no finished backup that this is about")
    }

    /// Whether the application acted on is of the kind that a backup was taken from.
    ///
    /// # Errors
    ///
    /// With a failure `UnsupportedTarget` where it is not.
    pub fn is_of_kind(&self, source: &ApplicationRef) -> Outcome<()> {
        let target = self.subject();
        let (from, into) = (kind_of(source), kind_of(&target));
        if from == into {
            return Ok(());
        }
        fail(
            "UnsupportedTarget",
            format!(
                "a backup of {from} cannot be restored into {into}; name a {} in spec.targetApplicationRef",
                source.kind
            ),
        )
    }

    /// What the last evaluation for this job asked to [`remember`](Self::remember).
    ///
    /// # Errors
    ///
    /// With a failure `InvalidState` when it does not fit: another version of the strategy wrote it.
    pub fn state(&self) -> Outcome<Option<S::State>> {
        context::state()
            .map(|text| {
                read(
                    "InvalidState",
                    format_args!("what the job remembers"),
                    &text,
                )
            })
            .transpose()
    }

    /// The action that ended the run of the last plan; none when all of them succeeded.
    #[must_use]
    pub fn refused(&self) -> Option<Refusal> {
        context::refused()
    }

    /// An object of the application's namespace, or of the cluster; none when it, or its kind, does not exist.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` that names the field when it does not fit `K`.
    pub fn get<K: Object>(&self, name: &str) -> Outcome<Option<K>> {
        self.get_in(&context::subject().namespace, name)
    }

    /// An object of another namespace; none when it, or its kind, does not exist.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` that names the field when it does not fit `K`.
    pub fn get_in<K: Object>(&self, namespace: &str, name: &str) -> Outcome<Option<K>> {
        let target = object::reference::<K>(namespace.into(), name);
        cluster::get(&target)
            .map(|text| {
                read(
                    "UnexpectedObject",
                    format_args!("{} {name}", K::KIND),
                    &text,
                )
            })
            .transpose()
    }

    /// The objects of the application's namespace, or of the cluster, that carry all of these labels, sorted by
    /// name; without labels all of them.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` that names the field when one of them does not fit `K`.
    pub fn find<K: Object>(&self, labels: &[(&str, &str)]) -> Outcome<Vec<K>> {
        self.find_in(&context::subject().namespace, labels)
    }

    /// The same in another namespace.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` that names the field when one of them does not fit `K`.
    pub fn find_in<K: Object>(&self, namespace: &str, labels: &[(&str, &str)]) -> Outcome<Vec<K>> {
        let found = cluster::find(&selector::<K>(namespace, labels));
        found
            .iter()
            .map(|text| read("UnexpectedObject", format_args!("a {}", K::KIND), text))
            .collect()
    }

    /// Whether the cluster knows this kind: false where its operator is not installed.
    #[must_use]
    pub fn serves<K: Object>(&self) -> bool {
        cluster::serves(K::API_VERSION, K::KIND)
    }

    /// The last lines of a container's log in the application's namespace, with `previous` of the run before
    /// its last restart; none when there is no such log, or no permission to read it.
    #[must_use]
    pub fn log_tail(
        &self,
        pod: &str,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Option<String> {
        cluster::log_tail(
            &context::subject().namespace,
            pod,
            container,
            previous,
            lines,
        )
    }

    /// The platform's bucket. The job waits while the platform has none.
    #[must_use]
    pub fn bucket(&self) -> Bucket {
        storage::target()
    }

    /// The key of the bucket's Secret that holds the certificate authority of its endpoint; none for a public
    /// one.
    #[must_use]
    pub fn ca_key(&self) -> Option<String> {
        storage::ca_key()
    }

    /// Where this application's backups may lie, as paths of the platform's bucket. The first is the usual
    /// place.
    #[must_use]
    pub fn prefixes(&self) -> Vec<String> {
        storage::prefixes()
    }

    /// What lies at or below a path of the platform's bucket, which is inside one of
    /// [`prefixes`](Self::prefixes) or inside the artifact of [`source`](Self::source).
    #[must_use]
    pub fn stored_below(&self, path: &str) -> StoredObjects {
        StoredObjects::below(path)
    }

    /// A line for the author and the administrator.
    pub fn log(&self, level: Level, message: &str) {
        log::write(level, message);
    }
}

fn kind_of(application: &ApplicationRef) -> String {
    format!("{}/{}", application.group, application.kind)
}

pub(crate) fn selector<K: Object>(namespace: &str, labels: &[(&str, &str)]) -> types::Selector {
    let entry = |(key, value): &(&str, &str)| types::Entry {
        key: (*key).into(),
        value: (*value).into(),
    };
    types::Selector {
        api_version: K::API_VERSION.into(),
        kind: K::KIND.into(),
        namespace: (!K::CLUSTER_SCOPED).then(|| namespace.into()),
        labels: labels.iter().map(entry).collect(),
    }
}

/// Reads a document of which an error is told with a reason and with what the document is.
pub(crate) fn read<T: DeserializeOwned>(
    reason: &str,
    document: fmt::Arguments<'_>,
    text: &str,
) -> Outcome<T> {
    text::read(text).map_err(|misfit| unreadable(reason, document, &misfit))
}

#[inline(never)]
fn unreadable(reason: &str, document: fmt::Arguments<'_>, misfit: &text::Misfit) -> Stop {
    Stop::Fail(types::Failure {
        reason: reason.into(),
        message: format!("{document}: {misfit}"),
    })
}

pub(crate) fn object_of_strings(entries: &[types::Entry]) -> String {
    let mut object = serde_json::Map::new();
    for entry in entries {
        object.insert(entry.key.clone(), Value::from(entry.value.as_str()));
    }
    Value::Object(object).to_string()
}
