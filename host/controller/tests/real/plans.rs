//! A Plan over simulated weeks: the engine's own passes on the real API server, with a clock that is set.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use backup_engine::{
    Evaluator, Host, Key, MemoryStorage, Settings, Strategies,
    cluster::{Caller, Cluster as _, Part},
};
use backupstrategy_controller::RealCluster;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{cluster::Scene, installed::exclusively};

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// A host whose clock the test sets.
struct Simulated {
    host: Host<RealCluster>,
    now: Arc<AtomicI64>,
    scene: Scene,
}

impl Simulated {
    async fn new(scene: Scene) -> Self {
        let now = Arc::new(AtomicI64::new(Timestamp::now().as_second()));
        let clock = Arc::clone(&now);
        let host = Host::new(
            RealCluster::new(scene.host_client().await),
            Settings::default(),
            Arc::new(Strategies::default()),
            Arc::new(MemoryStorage::default()),
            Arc::new(move || Timestamp::from_second(clock.load(Ordering::Acquire)).unwrap()),
            Evaluator::Inline,
        );
        Self { host, now, scene }
    }

    fn now(&self) -> i64 {
        self.now.load(Ordering::Acquire)
    }

    /// A pass over the Plan. Gives back when it asks for the next.
    async fn pass(&self) -> Timestamp {
        let key = Key {
            kind: "Plan".to_owned(),
            namespace: self.scene.namespace().to_owned(),
            name: "nightly".to_owned(),
        };
        let next = self.host.reconcile(&key).await.unwrap();
        // A Plan with a schedule asks for another.
        next.at.unwrap()
    }

    /// The jobs that are there succeed, and each leaves a Backup.
    async fn jobs_succeed(&self) {
        for job in self
            .scene
            .list(backup_api::names::API_VERSION, "BackupJob")
            .await
        {
            if job["status"]["phase"] == "Succeeded" {
                continue;
            }
            let at = Timestamp::from_second(self.now()).unwrap().to_string();
            let status =
                json!({ "status": { "phase": "Succeeded", "startedAt": at, "completedAt": at } });
            self.merge_status(&job, &status).await;
            let backup = json!({
                "apiVersion": backup_api::names::API_VERSION, "kind": "Backup",
                "metadata": {
                    "name": job["metadata"]["name"], "namespace": job["metadata"]["namespace"],
                    "labels": job["metadata"]["labels"],
                },
                "spec": {
                    "applicationRef": job["spec"]["applicationRef"], "planRef": job["spec"]["planRef"],
                    "strategyRef": { "kind": "CNPG", "name": "cozy-default-cnpg" }, "takenAt": at,
                },
            });
            let backup = self
                .host
                .cluster()
                .create(&Caller::host(), "test", &backup, false)
                .await
                .unwrap();
            self.merge_status(&backup, &json!({ "status": { "phase": "Ready" } }))
                .await;
        }
    }

    async fn merge_status(&self, object: &Value, status: &Value) {
        let target = backup_engine::reference(object);
        let cluster = self.host.cluster();
        cluster
            .merge(&Caller::host(), "test", &target, status, Part::Status)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_what_its_policy_says_over_simulated_weeks() {
    let alone = exclusively().await;
    let scene = Scene::new(&alone).await;
    let first = scene.requests();
    scene
        .put(json!({
            "apiVersion": backup_api::names::API_VERSION, "kind": "Plan",
            "metadata": { "name": "nightly", "namespace": scene.namespace() },
            "spec": {
                "applicationRef": { "kind": "Postgres", "name": "orders-db" },
                "backupClassName": "cozy-default",
                "schedule": { "cron": "0 3 * * *", "timeZone": "Europe/Berlin" },
                "retentionPolicy": { "keepDaily": 3, "keepWeekly": 2 },
            },
        }))
        .await;
    let simulated = Simulated::new(scene).await;
    let end = simulated.now() + 35 * DAY;
    while simulated.now() < end {
        let next = simulated.pass().await;
        simulated.jobs_succeed().await;
        // What the jobs changed is a reason for another pass; the next after that is a matter of time.
        simulated.pass().await;
        let next = next
            .as_second()
            .clamp(simulated.now() + 1, simulated.now() + DAY);
        simulated.now.store(next, Ordering::Release);
    }
    let api = backup_api::names::API_VERSION;
    let backups = simulated.scene.list(api, "Backup").await;
    let taken: Vec<&str> = backups
        .iter()
        .map(|backup| backup["spec"]["takenAt"].as_str().unwrap())
        .collect();
    // Three days; of the two weeks one has its newest among them, or both have when the third day ends a week.
    assert!((4..=5).contains(&taken.len()), "{taken:?}");
    let jobs = simulated.scene.list(api, "BackupJob").await;
    assert_eq!(jobs.len(), 3, "the history of succeeded jobs");
    let plan = simulated.scene.read(api, "Plan", "nightly").await.unwrap();
    let status = &plan["status"];
    assert_eq!(status.get("missedSlots"), None, "{status}");
    assert!(status["nextScheduleTime"].is_string(), "{status}");
    assert!(status["lastSuccessfulTime"].is_string(), "{status}");
    let last: Timestamp = status["lastScheduleTime"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let berlin = last.in_tz("Europe/Berlin").unwrap();
    assert_eq!((berlin.hour(), berlin.minute()), (3, 0), "{status}");
    let refusals = simulated.scene.refusals_since(first);
    assert!(
        refusals.is_empty(),
        "the host may do what a Plan needs: {refusals:#?}"
    );
}
