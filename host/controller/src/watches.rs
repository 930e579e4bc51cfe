//! What changes in the cluster: wake-up calls for the queue, and what [`sight`](crate::sight) keeps.
//!
//! One watch for each account and kind, however many jobs depend on it. The host's own kinds, those that a manifest
//! calls small, and objects that strategies made are watched whole; of the rest the metadata: such a watch says that
//! something changed, and the pass that it leads to reads what it needs. A kind that nothing depends on is not watched;
//! one that the cluster does not know yet is looked for again when a definition or an API service changes.

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use backup_api::names::{API_VERSION, OWNED_BY_UID};
use backup_engine::cluster::Account;
use futures::StreamExt as _;
use kube::{
    Api, Client, Resource,
    core::{ApiResource, DynamicObject, DynamicResourceScope, GroupVersionKind, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _, watcher,
        watcher::{Config, Event},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender},
    task::JoinSet,
    time::{Duration, sleep},
};

use crate::{
    real::RealCluster,
    sight::{Keeps, KindOf, Scope, Seen, View},
};

/// A live job is one whose phase is not an end: the API server tells them from the thousands that are finished.
const LIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// How long to wait at most before a kind that the cluster does not know is looked for again. What makes kinds known
/// is watched; this is for what is not.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What a watch is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Watched {
    /// Whose rights it uses.
    pub account: Account,
    /// `group/version`, or `v1`.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// Where; everywhere when absent.
    pub namespace: Option<String>,
    /// Which objects of the kind.
    pub scope: Scope,
    /// Whether the API server sends the objects, or their metadata only.
    pub is_whole: bool,
}

impl Watched {
    /// The metadata of all objects of a kind, under an account.
    pub(crate) fn metadata(account: &Account, api_version: &str, kind: &str) -> Self {
        Self {
            account: account.clone(),
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            scope: Scope::All,
            is_whole: false,
        }
    }

    /// The same in one namespace.
    pub(crate) fn in_namespace(self, namespace: &str) -> Self {
        Self {
            namespace: Some(namespace.to_owned()),
            ..self
        }
    }

    /// The same in each of the system namespaces where it is bound to them; otherwise everywhere.
    pub(crate) fn within(self, is_bound: bool, system_namespaces: &[String]) -> Vec<Self> {
        if !is_bound {
            return vec![self];
        }
        let each = system_namespaces.iter();
        each.map(|namespace| self.clone().in_namespace(namespace))
            .collect()
    }

    /// The objects of a kind that are in a scope, under an account.
    pub(crate) fn whole(account: &Account, api_version: &str, kind: &str, scope: Scope) -> Self {
        Self {
            scope,
            is_whole: true,
            ..Self::metadata(account, api_version, kind)
        }
    }

    fn of(&self) -> KindOf {
        KindOf::new(&self.account, &self.api_version, &self.kind)
    }

    fn view(&self) -> View {
        View {
            namespace: self.namespace.clone(),
            scope: self.scope.clone(),
            keeps: self.keeps(),
        }
    }

    /// What is kept of what it shows. Of Backups, of which there are thousands, the names, as of metadata.
    fn keeps(&self) -> Keeps {
        match (self.is_whole, self.kind.as_str()) {
            (false, _) => Keeps::Names,
            (true, "Backup") if self.api_version == API_VERSION => Keeps::Names,
            (true, _) => Keeps::Objects,
        }
    }

    fn config(&self) -> Config {
        let config = Config::default();
        match &self.scope {
            Scope::All => config,
            Scope::Named(name) => config.fields(&format!("metadata.name={name}")),
            Scope::Live => config.fields(LIVE),
            Scope::Labelled => config.labels(OWNED_BY_UID),
        }
    }

    /// The objects, or their metadata, where they are watched.
    fn api<K>(&self, client: Client, resource: &ApiResource) -> Api<K>
    where
        K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind, self.api_version)?;
        if let Some(namespace) = &self.namespace {
            write!(f, " in {namespace}")?;
        }
        match &self.account {
            Account::Host => Ok(()),
            Account::Strategy { name, .. } => write!(f, ", as {name}"),
        }
    }
}

/// What the API server says, or what went wrong on the way to it.
fn words(error: &watcher::Error) -> String {
    use kube::Error::Api;
    match error {
        watcher::Error::InitialListFailed(Api(status))
        | watcher::Error::WatchStartFailed(Api(status)) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Something changed.
#[derive(Debug)]
pub(crate) struct Changed {
    /// API version, kind and metadata of the object; all of it where the watch shows all.
    pub object: Value,
    /// How.
    pub change: Change,
}

/// How something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is there.
    There,
    /// It is gone, or has left what is watched.
    Gone,
    /// Of the kind nothing was told for a while, and what went meanwhile never will be. The object says which kind.
    Missed,
    /// All that there is of the kind is told from now on. The object says which kind.
    Begins,
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
        self.cluster.sight().begin(&watched.of(), &watched.view());
        let watch = Watch {
            cluster: self.cluster.clone(),
            watched,
            seen,
            told: Arc::clone(&self.seen),
            changes: self.changes.clone(),
        };
        self.tasks.spawn(watch.run());
        false
    }

    /// Whether a watch runs, and then whether it has seen the cluster.
    pub(crate) fn has_seen(&self, watched: &Watched) -> Option<bool> {
        let seen = self.running.get(watched)?;
        Some(seen.load(Ordering::Acquire))
    }

    /// Whether all of these have seen the cluster.
    pub(crate) fn have_seen(&self, watched: &[Watched]) -> bool {
        watched
            .iter()
            .all(|watched| self.has_seen(watched) == Some(true))
    }
}

/// One watch.
struct Watch {
    cluster: RealCluster,
    watched: Watched,
    seen: Arc<AtomicBool>,
    told: Arc<Notify>,
    changes: UnboundedSender<Changed>,
}

impl Watch {
    async fn run(self) {
        let watched = &self.watched;
        let plural = self.kind_is_known().await;
        let (group, version) = watched
            .api_version
            .split_once('/')
            .unwrap_or(("", &watched.api_version));
        let kind = GroupVersionKind::gvk(group, version, &watched.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, &plural);
        let client = self.cluster.client_as(&watched.account);
        if watched.is_whole {
            self.follow(watched.api::<DynamicObject>(client, &resource))
                .await;
        } else {
            self.follow(watched.api::<PartialObjectMeta<DynamicObject>>(client, &resource))
                .await;
        }
    }

    /// Done once the cluster knows the kind: with its plural.
    async fn kind_is_known(&self) -> String {
        let watched = &self.watched;
        let mut news = self.cluster.kinds_changed();
        loop {
            match self
                .cluster
                .resource(&watched.api_version, &watched.kind)
                .await
            {
                Ok(Some(resource)) => return resource.plural,
                Ok(None) => {}
                Err(error) => tracing::warn!(%watched, %error, "a kind cannot be looked up"),
            }
            // The sender lives as long as the cluster, which this watch holds.
            tokio::select! {
                _ = news.changed() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    async fn follow<K>(&self, api: Api<K>)
    where
        K: Resource<DynamicType = ApiResource>
            + Clone
            + DeserializeOwned
            + Serialize
            + Debug
            + Send
            + 'static,
    {
        let (sight, watched) = (self.cluster.sight(), &self.watched);
        let (of, view) = (watched.of(), watched.view());
        let mut events = std::pin::pin!(watcher(api, watched.config()).default_backoff());
        let mut has_listed = false;
        let mut has_failed = false;
        while let Some(event) = events.next().await {
            let (object, change) = match event {
                Ok(Event::Apply(object) | Event::InitApply(object)) => (object, Change::There),
                Ok(Event::Delete(object)) => (object, Change::Gone),
                Ok(Event::Init) => {
                    sight.lists(&of, &view);
                    if !self.tell(json!({}), Change::Begins) {
                        return;
                    }
                    continue;
                }
                Ok(Event::InitDone) => {
                    sight.listed(&of, &view);
                    self.seen.store(true, Ordering::Release);
                    self.told.notify_one();
                    let nothing = self.shown(json!({}));
                    if has_listed && !self.tell(nothing, Change::Missed) {
                        return;
                    }
                    has_listed = true;
                    has_failed = false;
                    continue;
                }
                Err(error) => {
                    self.failed(&error, has_failed);
                    has_failed = true;
                    continue;
                }
            };
            let object = serde_json::to_value(&object).unwrap_or_default();
            let object = self.shown(object);
            let seen = Seen {
                object: &object,
                is_gone: change == Change::Gone,
            };
            // Older than what this process wrote since: whoever wrote it knows, and the newer one comes.
            let is_old = !sight.saw(&of, &view, seen);
            if is_old && change == Change::There {
                continue;
            }
            if !self.tell(object, change) {
                return;
            }
        }
    }

    /// Tells of a change. Gives back whether anybody listens.
    fn tell(&self, object: Value, change: Change) -> bool {
        self.changes.send(Changed { object, change }).is_ok()
    }

    /// A watch that fails goes on by itself, with pauses. Until it has seen the cluster again nobody relies on it. That it
    /// fails is told once: a plugin that was not given a right may go without it for years.
    fn failed(&self, error: &watcher::Error, was_told: bool) {
        // A watch that the API server ends in its ordinary way is no failure.
        if !matches!(error, watcher::Error::WatchError(_)) {
            let watched = &self.watched;
            self.seen.store(false, Ordering::Release);
            self.cluster.sight().lost(&watched.of(), &watched.view());
            let error = words(error);
            match was_told {
                false => tracing::warn!(%watched, error, "a watch failed and is begun anew"),
                true => tracing::debug!(%watched, error, "a watch failed again"),
            }
        }
    }

    /// An object as the engine has them: items of a list do not say what they are.
    fn shown(&self, mut object: Value) -> Value {
        object["apiVersion"] = json!(self.watched.api_version);
        object["kind"] = json!(self.watched.kind);
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        object
    }
}
