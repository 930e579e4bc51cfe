//! What would make another pass over a job worth while.

use std::collections::BTreeSet;

use backup_api::{
    StrategyReference,
    names::{API_VERSION, CREDENTIALS_SECRET, STRATEGY_API_VERSION},
};
use backup_sandbox::{
    Read,
    contract::{ObjectRef, Selector},
};
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    admit::Case, cluster::Account, commit::HELM_RELEASE, job::Job, object,
    settings::StorageSettings,
};

/// A kind that a strategy read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindRead {
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Where alone the strategy's account can be trusted to see it; none where that is everywhere.
    pub namespace: Option<String>,
}

/// The objects that a pass depended on. A change to any of them is a reason for another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    objects: Vec<ObjectRef>,
    selectors: Vec<Selector>,
    /// What the strategy read, as whom: kinds to be watched under that account.
    read_as: Option<(Account, BTreeSet<KindRead>)>,
}

impl KindRead {
    fn everywhere(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
        }
    }
}

impl Interest {
    /// An object and nothing else.
    pub(crate) fn of(target: ObjectRef) -> Self {
        Self {
            objects: vec![target],
            ..Self::default()
        }
    }

    /// Objects, and groups of objects.
    pub(crate) fn of_all(objects: Vec<ObjectRef>, selectors: Vec<Selector>) -> Self {
        Self {
            objects,
            selectors,
            ..Self::default()
        }
    }

    pub(crate) fn of_job(target: &ObjectRef, job: &Job, storage: &StorageSettings) -> Self {
        let namespace = target.namespace.as_deref();
        let source = match job {
            Job::Backup(job) => object::target(
                API_VERSION,
                "BackupClass",
                None,
                &job.spec.backup_class_name,
            ),
            Job::Restore(job) => {
                object::target(API_VERSION, "Backup", namespace, &job.spec.backup_ref.name)
            }
        };
        let secret = object::target("v1", "Secret", namespace, CREDENTIALS_SECRET);
        let mut objects = vec![target.clone(), source, secret];
        objects.extend(storage.secrets());
        Self::of_all(objects, vec![])
    }

    /// One more object.
    pub(crate) fn watch(&mut self, target: ObjectRef) {
        self.objects.push(target);
    }

    /// One more object, of a kind to be watched under an account.
    pub(crate) fn watch_as(&mut self, account: Account, target: ObjectRef) {
        let kind = KindRead::everywhere(&target.api_version, &target.kind);
        self.read_as = Some((account, BTreeSet::from([kind])));
        self.objects.push(target);
    }

    /// Every job that may work in a namespace, and every Backup there, which may be removed: one that ends gives up its
    /// application. A RestoreJob of another namespace may work there too.
    pub(crate) fn other_jobs(&mut self, namespace: Option<&str>) {
        for (kind, of) in [
            ("BackupJob", namespace),
            ("RestoreJob", None),
            ("Backup", namespace),
        ] {
            self.selectors.push(Selector {
                api_version: API_VERSION.to_owned(),
                kind: kind.to_owned(),
                namespace: of.map(ToOwned::to_owned),
                labels: vec![],
            });
        }
    }

    /// The credentials in a namespace.
    pub(crate) fn credentials(&mut self, namespace: &str) {
        self.objects.push(object::target(
            "v1",
            "Secret",
            Some(namespace),
            CREDENTIALS_SECRET,
        ));
    }

    pub(crate) fn strategy(&mut self, reference: &StrategyReference) {
        self.objects.push(object::target(
            STRATEGY_API_VERSION,
            &reference.kind,
            None,
            &reference.name,
        ));
    }

    /// What the strategy read.
    pub(crate) fn reads(&mut self, case: &Case, reads: &[Read]) {
        let account = case.caller.account.clone();
        let manifest = case.binding.serving.strategy.manifest();
        let kind_of = |api_version: &str, kind: &str, namespace: &Option<String>| KindRead {
            namespace: namespace
                .clone()
                .filter(|_| manifest.is_in_system_namespaces(api_version, kind)),
            ..KindRead::everywhere(api_version, kind)
        };
        let (_, kinds) = self
            .read_as
            .get_or_insert_with(|| (account, BTreeSet::new()));
        for read in reads {
            match read {
                Read::Object(target) => {
                    kinds.insert(kind_of(
                        &target.api_version,
                        &target.kind,
                        &target.namespace,
                    ));
                    self.objects.push(target.clone());
                }
                Read::Objects(matching) => {
                    kinds.insert(kind_of(
                        &matching.api_version,
                        &matching.kind,
                        &matching.namespace,
                    ));
                    self.selectors.push(matching.clone());
                }
                Read::Application | Read::Spec(_) => {
                    let target = object::application_target(&case.request.subject);
                    kinds.insert(KindRead::everywhere(&target.api_version, &target.kind));
                    self.objects.push(target);
                }
                Read::Serves { .. } => {
                    self.selectors
                        .extend(kinds_known().map(|(version, kind)| Selector {
                            api_version: version.to_owned(),
                            kind: kind.to_owned(),
                            namespace: None,
                            labels: vec![],
                        }))
                }
                // Nobody waits for a release. Its kind is watched, so that it need not be looked for again.
                Read::Release(_) => {
                    let (api_version, kind) = HELM_RELEASE;
                    kinds.insert(KindRead::everywhere(api_version, kind));
                }
                // Logs and stored objects cannot be watched.
                Read::LogTail { .. } | Read::Bucket | Read::CaKey | Read::StoredObjects { .. } => {}
            }
        }
    }

    /// The kinds that the strategy read, and as whom: to be watched under that account.
    pub fn read_as(&self) -> Option<(&Account, &BTreeSet<KindRead>)> {
        self.read_as
            .as_ref()
            .map(|(account, kinds)| (account, kinds))
    }

    /// Whether a change of an object is a reason for another pass.
    pub(crate) fn concerns(&self, changed: &Value) -> bool {
        self.objects.contains(&object::reference(changed))
            || self
                .selectors
                .iter()
                .any(|matching| selects(matching, changed))
    }

    /// The single objects.
    pub(crate) fn objects(&self) -> &[ObjectRef] {
        &self.objects
    }

    /// The groups of objects.
    pub(crate) fn selectors(&self) -> &[Selector] {
        &self.selectors
    }
}

/// The kinds whose objects make kinds known: definitions, and API services behind the API server.
pub fn kinds_known() -> impl Iterator<Item = (&'static str, &'static str)> {
    [
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("apiregistration.k8s.io/v1", "APIService"),
    ]
    .into_iter()
}

/// Whether an object is one of those that a selector names.
pub(crate) fn selects(matching: &Selector, object: &Value) -> bool {
    let target = object::reference(object);
    matching.api_version == target.api_version
        && matching.kind == target.kind
        && (matching.namespace.is_none() || matching.namespace == target.namespace)
        && matching
            .labels
            .iter()
            .all(|label| object::label(object, &label.key) == Some(label.value.as_str()))
}

/// When to look at an object again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// When one of these changes; nothing where the object needs no more passes.
    pub interest: Option<Interest>,
    /// At this time at the latest.
    pub at: Option<Timestamp>,
    /// The UID of an object that has ended for good: what changes about it needs no pass.
    pub over: Option<String>,
}

impl Next {
    /// No more passes.
    pub(crate) fn gone() -> Self {
        Self::default()
    }

    /// The object with this UID has ended.
    pub(crate) fn over(uid: &str) -> Self {
        Self {
            over: Some(uid.to_owned()),
            ..Self::default()
        }
    }

    /// Only when something changes.
    pub(crate) fn quiet() -> Self {
        Self {
            interest: Some(Interest::default()),
            ..Self::default()
        }
    }

    /// At a time.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self {
            interest: Some(Interest::default()),
            at: Some(time),
            ..Self::default()
        }
    }

    pub(crate) fn watching(mut self, interest: Interest) -> Self {
        if self.interest.is_some() {
            self.interest = Some(interest);
        }
        self
    }
}
