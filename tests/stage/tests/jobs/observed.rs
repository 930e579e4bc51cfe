//! What an observer of the host is told.

use std::sync::{Arc, Mutex};

use backup_api::Reason;
use backup_engine::{Evaluated, JobEnd, Observer, PluginOf};

use super::*;

/// Writes down what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn write(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Recorder {
    fn evaluated(&self, evaluation: &Evaluated<'_>) {
        let Evaluated {
            plugin,
            question,
            outcome,
            cost,
            ..
        } = evaluation;
        assert!(cost.fuel > 0 && cost.memory_bytes > 0, "{cost:?}");
        self.write(format!(
            "{} {} was asked {question}: {outcome}, rounds {}",
            plugin.strategy_kind, plugin.name, cost.rounds
        ));
    }

    fn setback(&self, plugin: &PluginOf<'_>, reason: Reason) {
        self.write(format!("{} {}", plugin.name, reason));
    }

    fn job_ended(&self, end: &JobEnd<'_>) {
        let JobEnd {
            kind,
            phase,
            reason,
            class,
            strategy_kind,
            took,
        } = end;
        self.write(format!(
            "{kind} {phase} {reason}, class {class:?}, strategy {strategy_kind:?}, {took:?}"
        ));
    }
}

fn observed(guest: Guest) -> (Stage, Arc<Recorder>) {
    let mut stage = platform(guest);
    let recorder = Arc::new(Recorder::default());
    stage.observed_by(recorder.clone());
    (stage, recorder)
}

#[tokio::test]
async fn an_observer_hears_what_was_asked_and_how_the_job_ended() {
    let (mut stage, recorder) = observed(Guest::default());
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert_eq!(
        recorder.said(),
        [
            "Guest guest was asked backup: Answered, rounds 1",
            "BackupJob Succeeded BackupCompleted, class \"cozy-default\", strategy \"Guest\", Some(0ns)",
        ]
    );
    ordered(&mut stage, "RestoreJob", "back").await;
    let said = recorder.said();
    let end = "RestoreJob Succeeded RestoreCompleted, class \"\", strategy \"Guest\", Some(0ns)";
    assert_eq!(said.last().unwrap(), end);
    // Asking again after the end says nothing.
    stage.restart();
    stage.runner.settle().await.unwrap();
    assert_eq!(recorder.said(), [] as [&str; 0]);
}

#[tokio::test]
async fn an_observer_hears_why_an_answer_came_to_nothing() {
    let (mut stage, recorder) = observed(Guest::default().on("backup", "unreachable"));
    ordered(&mut stage, "BackupJob", "ad-hoc").await;
    assert_eq!(
        recorder.said(),
        [
            "Guest guest was asked backup: Trap, rounds 1",
            "guest PluginError",
        ]
    );
    in_the_end(&mut stage, "BackupJob", "ad-hoc").await;
    let said = recorder.said();
    let end = "BackupJob Failed BackupFailed, class \"\", strategy \"\", None";
    assert_eq!(said.last().unwrap(), end);
}

// Labels are bounded by what administrators made, not by what tenants write.
#[tokio::test]
async fn the_name_of_a_class_that_does_not_exist_is_no_label() {
    let (mut stage, recorder) = observed(Guest::default());
    let job = json!({
        "apiVersion": API, "kind": "BackupJob", "metadata": { "name": "ad-hoc", "namespace": TENANT },
        "spec": {
            "backupClassName": "whatever-a-tenant-writes",
            "applicationRef": { "kind": "Postgres", "name": "orders-db" },
        },
    });
    stage.cluster.put(job).unwrap();
    stage.runner.settle().await.unwrap();
    in_the_end(&mut stage, "BackupJob", "ad-hoc").await;
    let end = "BackupJob Failed BackupFailed, class \"\", strategy \"\", None";
    assert_eq!(recorder.said(), [end]);
}
