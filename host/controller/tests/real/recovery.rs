//! What befalls a platform in the course of years, and what the chart's pages `docs/recovery.md` and `docs/storage.md` tell to
//! type then. Each command is read out of its page, so that the page and what is tried here cannot part.

mod backups;
mod lost;
mod platform;
mod storage;

use crate::{
    page::TENANT,
    typed::{Page, desk},
};
use backups::{NEIGHBOUR, Operators, ROTATED, TAKEN, are_taken};
use platform::Platform;
use storage::Storage;

#[tokio::test(flavor = "multi_thread")]
async fn backups_outlive_their_key_their_namespace_their_bucket_and_their_cluster() {
    let mut storage = Storage::first();
    let desk = desk();
    let mut platform = Platform::new(desk.path(), &storage).await;
    storage::is_there(&mut platform).await;
    backups::namespaces(&platform.site, &[TENANT, NEIGHBOUR]).await;
    backups::applications(&platform.site).await;
    let operators = Operators::play(&platform.site, &storage);
    backups::plan_is_applied(&platform.site);
    let (neighbours, others) = TAKEN.split_at(1);
    are_taken(&platform.site, neighbours).await;

    let page = Page::of("recovery.md");
    let [keep] = page.section("Keep the catalogue").commands();
    platform.types(&keep).await;
    lost::namespace(&mut platform).await;
    are_taken(&platform.site, others).await;
    storage::key_is_rotated(&mut platform, &mut storage).await;
    drop(operators);
    let operators = Operators::play(&platform.site, &storage);
    are_taken(&platform.site, &[ROTATED]).await;
    lost::namespace_is_back(&mut platform).await;
    drop(operators);

    let (storage, mut operators) = storage::moves(&mut platform, &storage).await;
    lost::by_mistake(&mut platform, &mut operators, &storage).await;
    let unfinished = backups::is_being_written(&platform.site, &storage).await;
    lost::could_not_be_looked_at(&platform).await;
    platform.types(&keep).await;
    drop(operators);
    lost::cluster(&mut platform, &unfinished, &storage).await;
}

#[test]
fn no_command_of_the_pages_is_left_out() {
    let recovery = [
        "Keep the catalogue",
        "The cluster is lost",
        "A namespace was deleted",
        "A Backup was deleted by mistake",
    ];
    assert_eq!(Page::of("recovery.md").titles(), recovery);
    let storage = [
        "The storage",
        "The platform's own bucket",
        "An external S3",
        "With a private certificate authority",
        "Rotating the key",
        "Moving the Backups",
    ];
    assert_eq!(Page::of("storage.md").titles(), storage);
}
