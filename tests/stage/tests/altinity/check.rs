//! Whether a finished backup is there to be restored.

use super::*;

/// Asks for a look, and gives back what the Backup says then: `<status> <reason>: <message>`.
pub(crate) async fn checked(stage: &mut Stage, backup: &str) -> String {
    stage.cluster.advance(60);
    let mut object = stage.read("Backup", TENANT, backup);
    let now = stage.cluster.now().to_string();
    object["metadata"]["annotations"]["backups.cozystack.io/check-requested"] = json!(now);
    stage.cluster.put(object).unwrap();
    stage.runner.settle().await.unwrap();
    let object = stage.read("Backup", TENANT, backup);
    let conditions = object["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let available = conditions
        .iter()
        .find(|condition| condition["type"] == "Available");
    let available = available.cloned().unwrap_or_default();
    let text = |member: &str| available[member].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}", text("status"), text("reason"), text("message"))
}

#[tokio::test]
async fn an_archive_is_there_as_long_as_it_is_whole() {
    let mut stage = stage_of((2, 1));
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = checked(&mut stage, "ad-hoc").await;
    assert!(said.starts_with("True Available"), "{said}");
    let folder = format!("{FOLDER}/{}-shard1", archive(&stage, "ad-hoc"));
    stage.storage.remove(&format!("{folder}/metadata.json"));
    let said = checked(&mut stage, "ad-hoc").await;
    assert_eq!(
        said,
        format!("False Lost: ArchiveGone: {folder} is no longer a whole archive")
    );
}

#[tokio::test]
async fn an_archive_that_has_lost_a_part_is_lost() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let name = archive(&stage, "ad-hoc");
    stage.storage.remove(&format!(
        "{FOLDER}/{name}/shadow/shop/orders/default_all_1_1_0.tar"
    ));
    let said = checked(&mut stage, "ad-hoc").await;
    assert!(said.starts_with("False Lost: ArchiveChanged: "), "{said}");
    assert!(
        said.contains("has 1536 bytes, and the archive that was taken had 5632"),
        "{said}"
    );
}

#[tokio::test]
async fn an_archive_of_very_many_objects_is_there_without_being_counted() {
    let mut stage = stage();
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let name = archive(&stage, "ad-hoc");
    for part in 0..20_000 {
        stage.storage.put(
            &format!("{FOLDER}/{name}/shadow/shop/orders/part_{part}.tar"),
            1,
            1,
        );
    }
    let said = checked(&mut stage, "ad-hoc").await;
    assert!(said.starts_with("True Available"), "{said}");
}

#[tokio::test]
async fn what_lies_in_a_storage_of_the_applications_own_cannot_be_told() {
    let mut stage = stage();
    own_storage(&stage, "events").await;
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = checked(&mut stage, "ad-hoc").await;
    assert!(
        said.starts_with("Unknown") && said.contains("ArchiveOutOfSight"),
        "{said}"
    );
}
