//! The strategies of the simulation: one file for each says what is its own, and everything else goes over the table.
//!
//! A history has two or three of them: what jobs of one strategy do to each other is found as well, and it costs no more
//! than it did with two.

mod altinity;
mod cnpg;
mod etcd;
mod foundationdb;
mod mariadb;
mod velero;

use std::{fmt, ops::Deref};

use backup_engine::{
    Settings,
    cluster::{ApiError, memory::MemoryCluster},
};
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{Operator, Workplace};

use crate::{
    ground::{text, unless_crashed},
    vault::Place,
};

/// All of them.
static TABLE: [&dyn Simulated; 6] = [
    &altinity::Altinity,
    &cnpg::Cnpg,
    &etcd::Etcd,
    &foundationdb::FoundationDb,
    &mariadb::MariaDb,
    &velero::Velero,
];

/// An application as users name it, in whichever namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Application {
    pub kind: &'static str,
    pub name: &'static str,
}

impl Application {
    /// As it stands in the spec of a job.
    pub(crate) fn reference(self) -> Value {
        json!({ "apiGroup": "apps.cozystack.io", "kind": self.kind, "name": self.name })
    }
}

impl fmt::Display for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// A kind of operator's objects that a job asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub api_version: &'static str,
    pub kind: &'static str,
    /// So many of them one job makes.
    pub most: i32,
    /// Whether the Backup needs it as long as it is there.
    pub is_kept: bool,
}

/// What an application shows since a restore.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shown {
    pub namespace: String,
    pub kind: &'static str,
    pub name: String,
    /// The data that was brought back. Without a bucket where the operator does not tell: the one that holds it.
    pub from: Place,
}

/// What has come of an operator's turn.
pub(crate) struct Turn {
    /// What it did, in words.
    pub steps: Result<Vec<String>, ApiError>,
    /// What it brought back, where no object tells.
    pub shown: Vec<Shown>,
}

impl Turn {
    /// The turn of an operator whose objects tell what it brought back. None where it has crashed.
    fn of(operator: &impl Operator, cluster: &MemoryCluster, now: Timestamp) -> Option<Self> {
        let steps = unless_crashed(operator.step(cluster, now))?;
        Some(Self {
            steps,
            shown: vec![],
        })
    }
}

/// An operator that takes turns: how it goes, where, and when.
pub(crate) type Player =
    Box<dyn FnMut(usize, Workplace, &MemoryCluster, Timestamp) -> Option<Turn> + Send>;

/// What the simulation has to know of a strategy.
pub(crate) trait Simulated: Sync {
    /// The strategy kind.
    fn kind(&self) -> &'static str;

    /// The plugin's name.
    fn plugin(&self) -> &'static str;

    /// What the host is told of the platform where this strategy is.
    fn set_up(&self, _settings: &mut Settings) {}

    /// What has to be on the cluster beside the operator's own kinds.
    fn surroundings(&self) -> Vec<Value> {
        vec![]
    }

    /// Whether the player takes another bucket when the platform's storage moves.
    fn follows_storage(&self) -> bool {
        true
    }

    /// Makes a strategy object one that cannot work.
    fn spoil(&self, settings: &mut Value);

    /// The applications that each tenant may have.
    fn applications(&self) -> &'static [Application];

    /// The Helm release of an application.
    fn release(&self, name: &str) -> String {
        name.to_owned()
    }

    /// An application with what its chart makes of it. The operator does the rest.
    ///
    /// # Errors
    /// When the stage is not in order.
    fn objects(&self, namespace: &str, application: Application) -> anyhow::Result<Vec<Value>>;

    /// Options that a user may give a restore, not all of them good.
    fn options(&self) -> Vec<Value>;

    /// The API group that comes and goes with the operator.
    fn group(&self) -> &'static str;

    /// Kinds of that group that stay when the operator goes: what is held by its finalizers would hold up their
    /// definition for ever.
    fn stays(&self, _kind: &str) -> bool {
        false
    }

    /// Kinds that its account touches.
    fn touches(&self) -> &'static [&'static str];

    /// In which ways it may go with the operator, in words. The first is how it should.
    fn fates(&self) -> Vec<String>;

    /// The operator of one history.
    fn player(&self) -> Player;

    /// What jobs ask the operator for.
    fn orders(&self) -> &'static [Order];

    /// Whether the operator says that it has done what an object asks for.
    fn is_complete(&self, order: &Value) -> bool;

    /// Where a Backup's data lies; none where it does not say so yet.
    fn place(&self, backup: &Value) -> Option<Place>;

    /// What an object of the operator's has to itself as long as it is there: two of one would spoil each other's work.
    fn claims(&self, _object: &Value) -> Option<String> {
        None
    }

    /// What applications show, where an object of the operator tells that something was restored.
    fn shown(&self, _object: &Value) -> Vec<Shown> {
        vec![]
    }
}

/// A strategy of the table.
#[derive(Clone, Copy)]
pub(crate) struct Strategy(&'static dyn Simulated);

impl Strategy {
    /// All of them.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TABLE.into_iter().map(Self)
    }

    /// Those of one history.
    pub(crate) fn draw(rng: &mut Rng) -> Vec<Self> {
        let mut drawn: Vec<Self> = Self::all().collect();
        rng.shuffle(&mut drawn);
        drawn.truncate(rng.usize(2..=3));
        drawn
    }

    /// The one of a strategy kind.
    pub(crate) fn of_kind(kind: &str) -> Option<Self> {
        Self::all().find(|strategy| strategy.kind() == kind)
    }

    /// The one that has made a Backup.
    pub(crate) fn of_backup(backup: &Value) -> Option<Self> {
        Self::of_kind(text(backup, "/spec/strategyRef/kind"))
    }

    /// The one whose jobs ask for objects of this kind, and what is known of the kind.
    pub(crate) fn of_order(object: &Value) -> Option<(Self, Order)> {
        let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        let of = |strategy: Self| {
            let mut orders = strategy.orders().iter();
            let order = orders.find(|order| order.api_version == api_version && order.kind == kind);
            order.map(|order| (strategy, *order))
        };
        Self::all().find_map(of)
    }
}

impl Deref for Strategy {
    type Target = dyn Simulated;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Strategy {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind()
    }
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

/// The place that an `s3://` URI names.
fn place_of(uri: &str) -> Option<Place> {
    let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/')?;
    let key = key.trim_matches('/');
    (!key.is_empty()).then(|| (bucket.to_owned(), key.to_owned()))
}
