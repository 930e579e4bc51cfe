//! Two clusters that are asked the same.

use backup_engine::cluster::{
    ApiError, Caller, Cluster, DeleteOptions, Part, memory::MemoryCluster,
};
use backup_sandbox::contract::{Entry, ObjectRef, Propagation, Selector};
use backupstrategy_controller::RealCluster;
use controlplane::ControlPlane;
use serde_json::{Value, json};

use crate::{
    differences::{self, Verdict},
    kinds::{Kind, definitions},
    operation::{Operation, Preconditions, Which},
};

/// Tells a story to both clusters of a pair, which must come to the same, and gives what they came to.
macro_rules! both {
    ($pair:expr, |$cluster:ident| $story:expr) => {{
        let memory = {
            let $cluster = &$pair.memory;
            $story
        };
        let real = {
            let $cluster = &$pair.real;
            $story
        };
        assert_eq!(memory, real, "left is memory, right is real");
        real
    }};
}
pub(crate) use both;

/// A UID that no object has.
const NO_UID: &str = "00000000-1111-2222-3333-444444444444";

/// A version that no object has: both clusters are past it.
const NO_VERSION: &str = "1";

/// What a request came to, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The object or the objects, without what is each cluster's own.
    Is(Value),
    /// The reason, and the message.
    No(&'static str, String),
}

/// The cluster in memory and the real one, with an empty namespace of the same name.
pub(crate) struct Pair {
    pub(crate) memory: MemoryCluster,
    pub(crate) real: RealCluster,
    pub(crate) namespace: String,
}

impl Pair {
    /// Two clusters with a namespace of their own. With `controllers`, garbage is collected in memory too.
    pub(crate) async fn new(plane: &ControlPlane, controllers: bool) -> Self {
        let namespace = plane.namespace("pair").await.unwrap();
        let memory = MemoryCluster::new();
        memory.defer_gc(!controllers);
        for definition in definitions() {
            memory.install_crd(&definition).unwrap();
        }
        memory
            .put(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }))
            .unwrap();
        let real = RealCluster::new(plane.client().await.unwrap());
        Self {
            memory,
            real,
            namespace,
        }
    }

    pub(crate) fn the(&self, kind: Kind, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: kind.api_version().to_owned(),
            kind: kind.name().to_owned(),
            namespace: Some(self.namespace.clone()),
            name: name.to_owned(),
        }
    }

    /// Asks both, and both for the object afterwards. Returns whether they are still the same.
    ///
    /// # Errors
    /// What they answered, when that differs in a way that is not known.
    pub(crate) async fn ask(&self, operation: &Operation) -> Result<bool, String> {
        let memory = ask(&self.memory, &self.namespace, operation).await;
        let real = ask(&self.real, &self.namespace, operation).await;
        match differences::verdict(operation, &memory, &real) {
            Verdict::Same => {}
            Verdict::Parted => return Ok(false),
            Verdict::Different => {
                return Err(format!(
                    "{operation:#?}\nmemory: {memory:#?}\nreal: {real:#?}"
                ));
            }
        }
        if let Some((kind, name)) = operation.target() {
            let target = self.the(kind, name);
            let memory = get(&self.memory, &target).await;
            let real = get(&self.real, &target).await;
            if memory != real {
                return Err(format!(
                    "after {operation:#?}\nmemory has: {memory:#?}\nreal has: {real:#?}"
                ));
            }
        }
        Ok(true)
    }

    /// What both have, which must be the same. Null when it is absent.
    pub(crate) async fn get_both(&self, kind: Kind, name: &str) -> Value {
        let target = self.the(kind, name);
        both!(self, |cluster| get(cluster, &target).await)
    }
}

impl Operation {
    /// What it is about; of a list, nothing in particular.
    pub(crate) fn target(&self) -> Option<(Kind, &'static str)> {
        match self {
            Self::Create { kind, name, .. }
            | Self::Apply { kind, name, .. }
            | Self::Merge { kind, name, .. }
            | Self::Delete { kind, name, .. } => Some((*kind, name)),
            Self::List { .. } => None,
        }
    }
}

/// What a cluster answers to a request.
async fn ask(cluster: &impl Cluster, namespace: &str, operation: &Operation) -> Answer {
    let caller = Caller::host();
    let full = |kind: Kind, name: &str, body: &Value| {
        let mut object = body.clone();
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.name().into();
        object["metadata"]["namespace"] = namespace.into();
        object["metadata"]["name"] = name.into();
        object
    };
    let the = |kind: Kind, name: &str| ObjectRef {
        api_version: kind.api_version().to_owned(),
        kind: kind.name().to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    match operation {
        Operation::Create {
            kind,
            name,
            body,
            dry_run,
        } => {
            let object = full(*kind, name, body);
            answer(cluster.create(&caller, "alice", &object, *dry_run).await)
        }
        Operation::Apply {
            kind,
            name,
            manager,
            body,
            part,
            only,
        } => {
            let mut object = full(*kind, name, body);
            only.found(cluster, &the(*kind, name))
                .await
                .lay_over(&mut object);
            answer(cluster.apply(&caller, manager, &object, *part).await)
        }
        Operation::Merge {
            kind,
            name,
            manager,
            patch,
            part,
            only,
        } => {
            let mut patch = patch.clone();
            let target = the(*kind, name);
            only.found(cluster, &target).await.lay_over(&mut patch);
            answer(
                cluster
                    .merge(&caller, manager, &target, &patch, *part)
                    .await,
            )
        }
        Operation::Delete {
            kind,
            name,
            propagation,
            only,
        } => {
            let target = the(*kind, name);
            let Found { uid, version } = only.found(cluster, &target).await;
            let options = DeleteOptions {
                uid,
                resource_version: version,
                propagation: *propagation,
            };
            answer(
                cluster
                    .delete(&caller, &target, &options)
                    .await
                    .map(|()| Value::Null),
            )
        }
        Operation::List { kind, team } => {
            let matching = Selector {
                api_version: kind.api_version().to_owned(),
                kind: kind.name().to_owned(),
                namespace: Some(namespace.to_owned()),
                labels: team
                    .map(|team| Entry {
                        key: "team".to_owned(),
                        value: team.to_owned(),
                    })
                    .into_iter()
                    .collect(),
            };
            answer(cluster.list(&caller, &matching).await.map(Value::from))
        }
    }
}

/// Preconditions in the words of one cluster.
struct Found {
    uid: Option<String>,
    version: Option<String>,
}

impl Preconditions {
    async fn found(&self, cluster: &impl Cluster, target: &ObjectRef) -> Found {
        let there = match self.uid.or(self.version) {
            Some(_) => cluster
                .get(&Caller::host(), target)
                .await
                .unwrap()
                .unwrap_or_default(),
            None => Value::Null,
        };
        let of = |which: Option<Which>, field: &str, none: &str| {
            which.map(|which| {
                let current = there["metadata"][field]
                    .as_str()
                    .filter(|_| which == Which::Current);
                current.unwrap_or(none).to_owned()
            })
        };
        Found {
            uid: of(self.uid, "uid", NO_UID),
            version: of(self.version, "resourceVersion", NO_VERSION),
        }
    }
}

impl Found {
    fn lay_over(self, object: &mut Value) {
        for (field, value) in [("uid", self.uid), ("resourceVersion", self.version)] {
            if let Some(value) = value {
                object["metadata"][field] = value.into();
            }
        }
    }
}

fn answer(answer: Result<Value, ApiError>) -> Answer {
    match answer {
        Ok(Value::Array(objects)) => Answer::Is(objects.into_iter().map(plain).collect()),
        Ok(object) => Answer::Is(plain(object)),
        Err(error) => Answer::No(error.reason.as_str(), plain_message(&error.message)),
    }
}

/// A message, however far apart its words are, without what a cluster has made up: a UID or version in the record of an
/// object, and the whole object that a merge patch would have made.
pub(crate) fn plain_message(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let without = |from: &str, to: &str| {
        let (before, behind) = words.split_once(from)?;
        let (_, behind) = behind.split_once(to)?;
        Some(format!("{before}{from}made up{to}{behind}"))
    };
    without("in record (", ")")
        .or_else(|| without("patch: Invalid value: ", ": strict decoding error"))
        .unwrap_or(words)
}

/// An object, or null, without what each cluster makes up: UIDs, versions, times, who owns which field.
pub(crate) async fn get(cluster: &impl Cluster, target: &ObjectRef) -> Value {
    let found = cluster.get(&Caller::host(), target).await.unwrap();
    found.map(plain).unwrap_or_default()
}

pub(crate) fn plain(mut object: Value) -> Value {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return object;
    };
    metadata.remove("managedFields");
    for made_up in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        if let Some(value) = metadata.get_mut(made_up) {
            *value = "made up".into();
        }
    }
    for owner in metadata
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(uid) = owner.get_mut("uid") {
            *uid = "made up".into();
        }
    }
    object
}

/// Short forms for tests that tell a story: everything as the host and as the manager `alice`.
pub(crate) trait Story: Cluster {
    async fn creates(&self, object: &Value) -> Value {
        self.create(&Caller::host(), "alice", object, false)
            .await
            .unwrap()
    }

    async fn applies(&self, object: &Value) -> Result<Value, ApiError> {
        self.apply(&Caller::host(), "alice", object, Part::Main)
            .await
    }

    async fn merges(&self, target: &ObjectRef, patch: Value) -> Value {
        self.merge(&Caller::host(), "alice", target, &patch, Part::Main)
            .await
            .unwrap()
    }

    async fn deletes(&self, target: &ObjectRef, propagation: Option<Propagation>) {
        let options = DeleteOptions {
            propagation,
            ..DeleteOptions::default()
        };
        self.delete(&Caller::host(), target, &options)
            .await
            .unwrap();
    }
}

impl<C: Cluster> Story for C {}
