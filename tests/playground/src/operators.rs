//! How an operator reacts, for ever: it makes a step whenever one of its objects changes.

use std::time::Duration;

use backupstrategy_controller::RealCluster;
use futures::{FutureExt as _, StreamExt as _, stream::select_all};
use jiff::Timestamp;
use kube::Client;
use stage::Operator;
use tokio::sync::Mutex;

use crate::watching;

/// How long an operator rests when a request of it has failed. Somebody else has changed the object in between, as a rule,
/// and that change has woken it already.
const REST: Duration = Duration::from_secs(1);

/// What all operators have in common.
pub(crate) struct Ground {
    client: Client,
    /// The steps of all of them are made one after the other, so that none sees what another has done by half.
    turns: Mutex<()>,
}

impl Ground {
    /// Operators that ask as this client.
    pub(crate) fn of(client: Client) -> Self {
        let turns = Mutex::new(());
        Self { client, turns }
    }

    /// Lets an operator play. What it does is told in the log.
    pub(crate) async fn play<O: Operator>(&self, name: &str, operator: O) {
        let cluster = RealCluster::new(self.client.clone());
        let watches = O::WATCHES.iter();
        let watches = watches.map(|kind| Box::pin(watching::changes(&self.client, *kind)));
        let mut changes = select_all(watches);
        let mut has_failed = false;
        loop {
            let changed = changes.next();
            if has_failed {
                // Looked at again also where nothing changes.
                tokio::time::timeout(REST, changed).await.ok();
            } else {
                changed.await;
            }
            let _turn = self.turns.lock().await;
            // One step is enough for all that has changed by now.
            while let Some(Some(())) = changes.next().now_or_never() {}
            let stepped = operator.step(&cluster, Timestamp::now()).await;
            has_failed = stepped.is_err();
            match stepped {
                Ok(steps) => steps.iter().for_each(|step| eprintln!("{name}: {step}")),
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
    }
}
