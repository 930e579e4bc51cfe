//! What is an Event of what becomes of a job.

use super::*;

/// The Events of a job, each as `Type Reason: note`, sorted.
fn events(stage: &Stage, name: &str) -> Vec<String> {
    let text = |event: &Value, member: &str| event[member].as_str().unwrap().to_owned();
    let objects = stage.cluster.objects().into_iter();
    let mut events: Vec<String> = objects
        .filter(|object| object["kind"] == "Event" && object["regarding"]["name"] == name)
        .map(|event| {
            format!(
                "{} {}: {}",
                text(&event, "type"),
                text(&event, "reason"),
                text(&event, "note")
            )
        })
        .collect();
    events.sort();
    events
}

#[tokio::test]
async fn a_job_that_succeeds_says_so_once() {
    for (kind, _) in KINDS {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        let said = ordered(&mut stage, kind, "job").await;
        let (reason, note) = match kind {
            "BackupJob" => ("BackupCompleted", "Backup job is complete"),
            _ => ("RestoreCompleted", "Backup ad-hoc is restored"),
        };
        assert!(said.starts_with(&format!("Succeeded {reason}")), "{said}");
        assert_eq!(events(&stage, "job"), [format!("Normal {reason}: {note}")]);
    }
}

// A job that is looked at every thirty seconds for half an hour has one Event for each thing that is wrong with it.
#[tokio::test]
async fn what_somebody_has_to_mend_is_said_once_and_so_is_the_failure() {
    for (kind, failed) in KINDS {
        let mut stage = platform(Guest::default());
        backup(&stage, |_| {});
        stage.strategies.withdraw("Guest");
        ordered(&mut stage, kind, "job").await;
        let waits = "Warning PluginNotReady: no plugin serves strategies of kind Guest";
        assert_eq!(events(&stage, "job"), [waits]);
        stage.restart();
        in_the_end(&mut stage, kind, "job").await;
        let events = events(&stage, "job");
        assert_eq!(events.len(), 2, "{events:?}");
        assert!(events.iter().any(|event| event == waits), "{events:?}");
        let end = format!("Warning {failed}: PluginNotReady: ");
        assert!(
            events.iter().any(|event| event.starts_with(&end)),
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn a_job_that_waits_for_its_turn_says_so_without_a_warning() {
    // It waits, with a reason and a message that begin at 1024, and has started.
    let guest = Guest::default()
        .data("reason", b"BackupRunning")
        .words("waiting", &[0, 0, 1024, 13, 1024, 13, 1, 0, 0, 0, 0, 0])
        .on("backup", "(return @waiting)");
    let mut stage = platform(guest);
    ordered(&mut stage, "BackupJob", "first").await;
    let said = ordered(&mut stage, "BackupJob", "second").await;
    assert!(said.starts_with("Pending ApplicationBusy"), "{said}");
    let events = events(&stage, "second");
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].starts_with("Normal ApplicationBusy: "),
        "{events:?}"
    );
}
