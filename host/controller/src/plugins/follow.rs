//! When the StrategyPlugins are looked at.

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use backup_api::StrategyPlugin;
use backup_engine::{Look, Plugins, Strategies};
use backup_registry::FolderWatch;
use futures::StreamExt as _;
use jiff::Timestamp;
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use tokio::{
    sync::{Notify, mpsc::UnboundedSender, watch},
    time::{Instant, sleep_until},
};

use super::News;
use crate::{real::RealCluster, work::until};

/// The net below the watch of the folder: where that fails, or a file system tells nothing, a change is found all the
/// same.
const SLOW_LOOK: Duration = Duration::from_secs(5 * 60);

/// How long changes of the counts of Backups and jobs are gathered before they are written: a thousand jobs are a few
/// writes.
const GATHERED: Duration = Duration::from_secs(5);

/// The pauses after a pass that failed: doubled each time, from and up to this.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Follows the StrategyPlugins for as long as the host runs.
pub(crate) struct Follower {
    pub client: Client,
    pub plugins: Plugins<RealCluster>,
    pub strategies: Arc<Strategies>,
    /// The plugin folder.
    pub folder: PathBuf,
    /// Whether this host writes: the others only load, so that they can take over at once.
    pub leads: watch::Receiver<bool>,
    pub news: UnboundedSender<News>,
}

/// When the next pass is due, and what it is to do.
struct Due {
    at: Instant,
    sources: bool,
}

impl Due {
    fn not_later_than(&mut self, at: Instant) {
        self.at = self.at.min(at);
    }

    fn now(&mut self) {
        self.at = Instant::now();
    }
}

/// Which spec each StrategyPlugin was seen with last, by UID: its generation. A status that this host wrote is no news.
#[derive(Default)]
struct Specs(HashMap<String, i64>);

impl Specs {
    fn is_news(&mut self, plugin: &PartialObjectMeta<StrategyPlugin>) -> bool {
        let metadata = &plugin.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let generation = metadata.generation.unwrap_or_default();
        self.0.insert(uid, generation) != Some(generation)
    }
}

impl Follower {
    /// Makes passes as they are due. Never ends.
    pub(crate) async fn run(mut self) {
        let folder = watched(self.folder.clone());
        let api: Api<PartialObjectMeta<StrategyPlugin>> = Api::all(self.client.clone());
        let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        let uses_of = Arc::clone(&self.strategies);
        let mut seen = Specs::default();
        let (mut was_listed, mut were_complete, mut failures) = (false, false, 0);
        let mut slow_look = Instant::now() + SLOW_LOOK;
        let mut due = Due {
            at: slow_look,
            sources: true,
        };
        loop {
            tokio::select! {
                Some(event) = events.next() => match event {
                    Ok(Event::Init) => {}
                    Ok(Event::InitApply(plugin)) => drop(seen.is_news(&plugin)),
                    Ok(Event::Apply(plugin)) => {
                        if seen.is_news(&plugin) {
                            due.now();
                        }
                    }
                    Ok(Event::InitDone | Event::Delete(_)) => due.now(),
                    Err(error) => {
                        tracing::warn!(%error, "the watch of StrategyPlugins failed and is begun anew");
                    }
                },
                () = folder.notified() => {
                    due.sources = true;
                    due.now();
                }
                Ok(()) = self.leads.changed() => due.now(),
                () = uses_of.uses().news() => {
                    let are_complete = uses_of.uses().are_complete();
                    match were_complete || !are_complete {
                        // Jobs may wait for the components that they began with.
                        false => due.now(),
                        true => due.not_later_than(Instant::now() + GATHERED),
                    }
                    were_complete = are_complete;
                }
                () = sleep_until(due.at) => {
                    due.sources |= Instant::now() >= slow_look;
                    if due.sources {
                        slow_look = Instant::now() + SLOW_LOOK;
                    }
                    let (again, went_well) = self.pass(due.sources, &mut was_listed).await;
                    failures = if went_well { 0 } else { failures + 1 };
                    due = Due { at: slow_look, sources: !went_well && due.sources };
                    if let Some(at) = again {
                        due.not_later_than(Instant::now() + until(at));
                    }
                    if !went_well {
                        let pause = PAUSE.0.saturating_mul(1 << failures.min(6)).min(PAUSE.1);
                        due.not_later_than(Instant::now() + pause);
                    }
                }
            }
        }
    }

    /// One pass. Gives back when another is due, and whether nothing failed.
    async fn pass(&self, sources: bool, was_listed: &mut bool) -> (Option<Timestamp>, bool) {
        let look = Look {
            sources,
            writes: *self.leads.borrow(),
        };
        // Nobody listens once the host stops.
        let tell = |news| drop(self.news.send(news));
        let serves = |kind: &str| tell(News::Looked(kind.to_owned()));
        let looked = match self.plugins.pass(look, &serves).await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::warn!(%error, "the StrategyPlugins cannot be listed");
                return (None, false);
            }
        };
        if looked.sought {
            tell(News::Sought);
        }
        if !std::mem::replace(was_listed, true) {
            tell(News::AllLooked);
        }
        if let Some(error) = &looked.failed {
            tracing::warn!(%error, "a StrategyPlugin is looked at again");
        }
        (looked.again, looked.failed.is_none())
    }
}

/// Told whenever something in the plugin folder has changed.
fn watched(folder: PathBuf) -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    let teller = Arc::clone(&told);
    tokio::spawn(async move {
        let cannot = |error: std::io::Error| {
            let slow_look = SLOW_LOOK;
            tracing::warn!(%error, ?slow_look, "the plugin folder cannot be watched; it is looked at now and then");
        };
        let mut watch = match FolderWatch::new(&folder) {
            Ok(watch) => watch,
            Err(error) => return cannot(error),
        };
        loop {
            match watch.changed().await {
                Ok(()) => teller.notify_one(),
                Err(error) => return cannot(error),
            }
        }
    });
    told
}
