//! The queue and the passes under way.

use std::{sync::Arc, time::Instant};

use backup_api::names::{API_VERSION, CREDENTIALS_SECRET, STRATEGY_API_VERSION};
use backup_engine::{
    Host, Key, Next, Queue, Settings,
    cluster::{Account, ApiError},
};
use jiff::Timestamp;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinSet,
    time::{Duration, sleep},
};

use crate::{
    metrics::Metrics,
    plugins::News,
    probes::Readiness,
    real::RealCluster,
    watches::{Changed, Watched, Watches},
};

/// A live job is one whose phase is not an end: the API server tells them from the thousands that are finished.
const LIVE: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// How long passes under way may go on once the host is told to stop.
const GRACE: Duration = Duration::from_secs(15);

/// What the host itself depends on.
pub(crate) fn own_watches() -> Vec<Watched> {
    let all = |api_version: &str, kind: &str| Watched::all(Account::Host, api_version, kind);
    let selected = |watched: Watched, fields: String| Watched { fields, ..watched };
    vec![
        selected(all(API_VERSION, "BackupJob"), LIVE.to_owned()),
        selected(all(API_VERSION, "RestoreJob"), LIVE.to_owned()),
        all(API_VERSION, "BackupClass"),
        selected(
            all("v1", "Secret"),
            format!("metadata.name={CREDENTIALS_SECRET}"),
        ),
    ]
}

/// Makes passes as changes come, until told to stop.
pub(crate) struct Work {
    pub host: Arc<Host<RealCluster>>,
    pub settings: Settings,
    pub watches: Watches,
    pub changes: UnboundedReceiver<Changed>,
    pub plugin_news: UnboundedReceiver<News>,
    /// Whether every StrategyPlugin that there was at the start has been looked at.
    pub plugins_looked_at: bool,
    pub metrics: Metrics,
    pub readiness: Readiness,
    pub workers: usize,
}

/// A pass that ended.
struct Passed {
    key: Key,
    result: Result<Next, ApiError>,
    seconds: f64,
}

impl Work {
    /// Runs until `stop` is done and the passes under way have ended.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let own = own_watches();
        for watched in &own {
            self.watches.ensure(watched.clone());
        }
        let mut queue = Queue::default();
        let mut passes: JoinSet<()> = JoinSet::new();
        let (done, mut ended) = unbounded_channel();
        let mut stop = std::pin::pin!(stop);
        let seen = Arc::clone(&self.watches.seen);
        loop {
            while passes.len() < self.workers
                && let Some(key) = queue.take(Timestamp::now())
            {
                let (host, done) = (Arc::clone(&self.host), done.clone());
                passes.spawn(async move {
                    let began = Instant::now();
                    let result = host.reconcile(&key).await;
                    // The receiver lives as long as this loop.
                    done.send(Passed {
                        key,
                        result,
                        seconds: began.elapsed().as_secs_f64(),
                    })
                    .ok();
                });
            }
            self.metrics
                .tracked
                .set(i64::try_from(queue.len()).unwrap_or(i64::MAX));
            self.metrics
                .active
                .set(i64::try_from(passes.len()).unwrap_or(i64::MAX));
            self.readiness
                .set(self.plugins_looked_at && self.watches.have_seen(&own));
            let next = queue.next_at().map_or(Duration::from_secs(3600), until);
            tokio::select! {
                () = &mut stop => break,
                Some(changed) = self.changes.recv() => self.changed(&mut queue, &changed),
                Some(news) = self.plugin_news.recv() => self.heard(&mut queue, news),
                Some(passed) = ended.recv() => self.passed(&mut queue, passed),
                Some(_) = passes.join_next() => {}
                () = seen.notified() => {}
                () = sleep(next) => {}
            }
        }
        tracing::info!(
            passes = passes.len(),
            "stopping once the passes under way have ended"
        );
        let all_ended = async { while passes.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_ended).await.is_err() {
            tracing::warn!(
                "passes under way took too long and are cut off; they are done again at the next start"
            );
        }
    }

    fn heard(&mut self, queue: &mut Queue, news: News) {
        match news {
            News::Looked(kind) => {
                self.watches
                    .ensure(Watched::all(Account::Host, STRATEGY_API_VERSION, &kind));
                // Whoever waited for this plugin need wait no longer.
                queue.wake_all();
            }
            News::AllLooked => self.plugins_looked_at = true,
        }
    }

    fn changed(&self, queue: &mut Queue, changed: &Changed) {
        queue.changed(&changed.object);
        let key = Key::of(&changed.object);
        let is_job = changed.object["apiVersion"] == API_VERSION
            && matches!(key.kind.as_str(), "BackupJob" | "RestoreJob");
        if is_job && !changed.is_gone {
            queue.enqueue(key);
        }
    }

    fn passed(&mut self, queue: &mut Queue, passed: Passed) {
        let Passed {
            key,
            result,
            seconds,
        } = passed;
        self.metrics.passed(&key.kind, seconds, result.is_ok());
        match result {
            Ok(mut next) => {
                if !self.are_watched(&next) {
                    // Nothing would tell of a change yet.
                    let look_again = Timestamp::now() + self.settings.look_again;
                    next.at = Some(next.at.map_or(look_again, |at| at.min(look_again)));
                }
                queue.passed(&key, next);
            }
            Err(error) => {
                tracing::info!(?key, %error, "a pass is made again");
                queue.failed(&key, Timestamp::now());
            }
        }
    }

    /// Watches what a pass depended on.
    fn are_watched(&mut self, next: &Next) -> bool {
        let Some((account, kinds)) = next
            .interest
            .as_ref()
            .and_then(|interest| interest.read_as())
        else {
            return true;
        };
        let mut all = true;
        for (api_version, kind) in kinds {
            all &= self
                .watches
                .ensure(Watched::all(account.clone(), api_version, kind));
        }
        all
    }
}

fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default()
}
