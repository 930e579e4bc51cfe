//! What an observer is told of Backups.

use std::sync::Mutex;

use backup_engine::{BackupOf, BackupState, Observer, Removed};

use super::*;

/// Writes down what it is told, each once.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl Recorder {
    fn note(&self, backup: &BackupOf<'_>, what: &str) {
        let line = format!("{} {}: {what}", backup.strategy_kind, backup.name);
        let mut lines = self.0.lock().unwrap();
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }

    fn said(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Recorder {
    fn backup_seen(&self, backup: &BackupOf<'_>, state: BackupState) {
        let what = match state {
            BackupState::InOrder => "in order",
            BackupState::Lost => "lost",
            BackupState::Removing(_) => "removing",
        };
        self.note(backup, what);
    }

    fn backup_removed(&self, backup: &BackupOf<'_>, removed: Removed) {
        self.note(backup, removed.as_str());
    }
}

fn observed(mut stage: Stage) -> (Stage, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    stage.observed_by(recorder.clone());
    (stage, recorder)
}

#[tokio::test]
async fn a_loss_is_told_as_long_as_it_lasts_and_so_is_a_removal() {
    let (mut stage, recorder) = observed(etcd().await);
    ask(&mut stage, "ad-hoc", "now").await;
    let key = stage.storage.keys()[0].clone();
    stage.storage.remove(&key);
    ask(&mut stage, "ad-hoc", "again").await;
    delete(&mut stage, "ad-hoc").await;
    until_gone(&mut stage, "ad-hoc").await;
    assert_eq!(
        recorder.said(),
        [
            "Etcd ad-hoc: in order",
            "Etcd ad-hoc: lost",
            "Etcd ad-hoc: removing",
            "Etcd ad-hoc: Done"
        ]
    );
}

#[tokio::test]
async fn a_host_that_has_just_begun_knows_what_was_found_before() {
    let mut stage = etcd().await;
    let key = stage.storage.keys()[0].clone();
    stage.storage.remove(&key);
    ask(&mut stage, "ad-hoc", "now").await;
    let (_stage, recorder) = observed(stage);
    assert_eq!(recorder.said(), ["Etcd ad-hoc: lost"]);
}

#[tokio::test]
async fn data_that_stays_though_it_should_not_is_told_apart() {
    let (mut stage, recorder) = observed(guest(answering().on("forget", "(return @failed)")));
    delete(&mut stage, "mine").await;
    until_gone(&mut stage, "mine").await;
    let said = recorder.said();
    assert_eq!(said.last().unwrap(), "Guest mine: LeftBehind");
    let (mut stage, recorder) = observed(guest_with(Guest::default(), SILENT));
    put(&stage, "kept", |backup| {
        backup["spec"]["deletionPolicy"] = json!("Retain");
    });
    delete(&mut stage, "kept").await;
    let said = recorder.said();
    assert_eq!(said.last().unwrap(), "Guest kept: Retained");
}
