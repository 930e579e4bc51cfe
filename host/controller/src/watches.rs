//! What changes in the cluster, as wake-up calls for the queue.
//!
//! One watch for each account and kind, however many jobs depend on it, and metadata only: a watch says that
//! something changed, and the pass that it leads to reads what it needs. A kind that no job depends on is not
//! watched; one that the cluster does not know yet is looked for again until it does.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use backup_engine::cluster::Account;
use futures::StreamExt as _;
use kube::{
    Api, ResourceExt as _,
    core::{ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _, watcher,
        watcher::{Config, Event},
    },
};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    task::JoinSet,
    time::{Duration, sleep},
};

use crate::real::RealCluster;

/// How long to wait before a kind that the cluster does not know is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What a watch is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Watched {
    /// Whose rights it uses.
    pub account: Account,
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// A field selector; empty for all objects.
    pub fields: String,
}

impl Watched {
    /// All objects of a kind, under an account.
    pub(crate) fn all(account: Account, api_version: &str, kind: &str) -> Self {
        Self {
            account,
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            fields: String::new(),
        }
    }
}

/// Something changed.
#[derive(Debug)]
pub(crate) struct Changed {
    /// API version, kind and metadata of the object.
    pub object: Value,
    /// Whether it is gone, or has left what is watched.
    pub is_gone: bool,
}

/// The watches that run.
pub(crate) struct Watches {
    cluster: RealCluster,
    changes: UnboundedSender<Changed>,
    /// Each with whether it has seen the cluster.
    running: HashMap<Watched, Arc<AtomicBool>>,
    /// Told whenever one of them has.
    pub(crate) seen: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Watches {
    pub(crate) fn new(cluster: RealCluster, changes: UnboundedSender<Changed>) -> Self {
        Self {
            cluster,
            changes,
            running: HashMap::new(),
            seen: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    /// Watches a kind from now on. Gives back whether the watch has seen the cluster: until then a change can be
    /// missed, and whoever depends on it must look again by itself.
    pub(crate) fn ensure(&mut self, watched: Watched) -> bool {
        if let Some(seen) = self.running.get(&watched) {
            return seen.load(Ordering::Acquire);
        }
        let seen = Arc::new(AtomicBool::new(false));
        self.running.insert(watched.clone(), Arc::clone(&seen));
        let told = Arc::clone(&self.seen);
        self.tasks.spawn(watch(
            self.cluster.clone(),
            watched,
            (seen, told),
            self.changes.clone(),
        ));
        false
    }

    /// Whether all of these have seen the cluster.
    pub(crate) fn have_seen(&self, watched: &[Watched]) -> bool {
        watched.iter().all(|watched| {
            self.running
                .get(watched)
                .is_some_and(|seen| seen.load(Ordering::Acquire))
        })
    }
}

async fn watch(
    cluster: RealCluster,
    watched: Watched,
    (seen, told): (Arc<AtomicBool>, Arc<Notify>),
    changes: UnboundedSender<Changed>,
) {
    let resource = loop {
        match cluster.resource(&watched.api_version, &watched.kind).await {
            Ok(Some(resource)) => break resource,
            Ok(None) => {}
            Err(error) => tracing::warn!(?watched, %error, "a kind cannot be looked up"),
        }
        sleep(LOOK_AGAIN).await;
    };
    let (group, version) = watched
        .api_version
        .split_once('/')
        .unwrap_or(("", &watched.api_version));
    let kind = GroupVersionKind::gvk(group, version, &watched.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &resource.plural);
    let api: Api<PartialObjectMeta<DynamicObject>> =
        Api::all_with(cluster.client_as(&watched.account), &resource);
    let mut config = Config::default();
    if !watched.fields.is_empty() {
        config = config.fields(&watched.fields);
    }
    let mut events = std::pin::pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        let (object, is_gone) = match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => (object, false),
            Ok(Event::Delete(object)) => (object, true),
            Ok(Event::Init) => continue,
            Ok(Event::InitDone) => {
                seen.store(true, Ordering::Release);
                told.notify_one();
                continue;
            }
            Err(error) => {
                failed(&watched, &seen, &error);
                continue;
            }
        };
        let changed = Changed {
            object: stripped(&watched, &object),
            is_gone,
        };
        if changes.send(changed).is_err() {
            return;
        }
    }
}

/// A watch that fails goes on by itself, with pauses. Until it has seen the cluster again nobody relies on it.
fn failed(watched: &Watched, seen: &AtomicBool, error: &watcher::Error) {
    // A watch that the API server ends in its ordinary way is no failure.
    if !matches!(error, watcher::Error::WatchError(_)) {
        seen.store(false, Ordering::Release);
        tracing::warn!(?watched, %error, "a watch failed and is begun anew");
    }
}

/// What the queue looks at.
fn stripped(watched: &Watched, object: &PartialObjectMeta<DynamicObject>) -> Value {
    let mut metadata = json!({ "name": object.name_any(), "labels": object.labels() });
    if let Some(namespace) = object.namespace() {
        metadata["namespace"] = json!(namespace);
    }
    json!({ "apiVersion": watched.api_version, "kind": watched.kind, "metadata": metadata })
}
