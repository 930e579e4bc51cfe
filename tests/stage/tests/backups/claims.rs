//! A purge never covers what another Backup claims.

use super::*;

fn purging(path: &str) -> Guest {
    Guest::default().on("forget", &format!("(call $plan.purge '{path}')"))
}

#[tokio::test]
async fn the_data_of_another_backup_is_not_purged() {
    // The other's own place, and the folder of both.
    for path in ["tenant-acme/orders-db/other", "tenant-acme/orders-db/all"] {
        let mut stage = guest(purging(path));
        put(&stage, "other", |backup| {
            let folder = path.replace("/all", "/all/other");
            backup["status"]["artifact"]["uri"] = json!(format!("s3://cozy-backups/{folder}/"));
        });
        stage.storage.put(&format!("{path}/data"), 1, 1);
        delete(&mut stage, "mine").await;
        let said = ready(&stage, "mine");
        assert!(
            said.starts_with(&format!(
                "False PlanRejected: plugin guest: a purge names {path}, where the data of Backup other lies"
            )),
            "{said}"
        );
        until_gone(&mut stage, "mine").await;
        assert!(stage.storage.keys().contains(&format!("{path}/data")));
        assert_eq!(events(&stage, "LeftBehind").len(), 1);
    }
}

// Defect 17 of the reference: applications of two kinds share a folder where they share a name. The layout is kept, and
// who removes a Backup of the one cannot take those of the other along.
#[tokio::test]
async fn applications_of_two_kinds_with_one_name_do_not_purge_each_others_data() {
    let mut stage = guest(purging("tenant-acme/orders-db/shared"));
    put(&stage, "of-etcd", |backup| {
        backup["spec"]["applicationRef"]["kind"] = json!("Etcd");
        backup["status"]["artifact"]["uri"] =
            json!("s3://cozy-backups/tenant-acme/orders-db/shared/snapshot.db");
    });
    let key = "tenant-acme/orders-db/shared/snapshot.db";
    stage.storage.put(key, 1, 1);
    delete(&mut stage, "mine").await;
    let said = ready(&stage, "mine");
    assert!(
        said.contains("where the data of Backup of-etcd lies"),
        "{said}"
    );
    until_gone(&mut stage, "mine").await;
    assert!(stage.storage.keys().contains(&key.to_owned()));
}

#[tokio::test]
async fn nothing_of_a_plan_that_purges_too_much_is_carried_out() {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x", "namespace": TENANT } });
    let forget = format!(
        "(call $plan.create '{map}' (i32.const 1)) (call $plan.purge 'tenant-acme/orders-db/other')"
    );
    let mut stage = guest(Guest::default().on("forget", &forget));
    put(&stage, "other", |_| {});
    delete(&mut stage, "mine").await;
    assert_eq!(
        stage.cluster.read("v1", "ConfigMap", Some(TENANT), "x"),
        None
    );
    let status = backup(&stage, "mine")["status"]["strategy"].clone();
    assert_eq!(status.get("plugin"), None, "it has not begun");
}

#[tokio::test]
async fn a_backup_that_goes_itself_claims_nothing_but_one_whose_data_stays_does() {
    for (policy, is_left) in [("Delete", false), ("Retain", true)] {
        let mut stage = guest(purging("tenant-acme/orders-db/other"));
        put(&stage, "other", |backup| {
            backup["metadata"]["finalizers"] = json!(["somebody/else"]);
            backup["spec"]["deletionPolicy"] = json!(policy);
        });
        stage.delete("Backup", TENANT, "other").await.unwrap();
        delete(&mut stage, "mine").await;
        assert_eq!(backup(&stage, "mine") != Value::Null, is_left, "{policy}");
    }
}

#[tokio::test]
async fn a_plan_that_does_not_purge_asks_for_no_backups() {
    let mut stage = guest(Guest::default());
    drop(requests(&stage));
    delete(&mut stage, "mine").await;
    assert!(!requests(&stage).contains(&"List Backup ".to_owned()));
}
