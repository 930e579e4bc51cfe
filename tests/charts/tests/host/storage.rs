//! The platform's bucket.

use charts::HOST;
use serde_json::{Value, json};

use crate::render;

fn buckets(values: &Value) -> Vec<Value> {
    let mut objects = render(values);
    objects.retain(|object| object["kind"] == "Bucket");
    objects
}

#[test]
fn the_bucket_is_the_one_of_the_page_and_nothing_of_the_release_removes_it() {
    let found = buckets(&json!({}));
    let [bucket] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(bucket["apiVersion"], "apps.cozystack.io/v1alpha1");
    assert_eq!(bucket["metadata"]["name"], "cozy-backups");
    assert_eq!(bucket["metadata"]["namespace"], HOST.namespace);
    let policy = &bucket["metadata"]["annotations"]["helm.sh/resource-policy"];
    assert_eq!(policy, "keep");
    assert_eq!(
        bucket["spec"],
        json!({ "users": { "system": { "readonly": false } } })
    );
}

#[test]
fn an_external_storage_needs_no_bucket_of_the_platforms() {
    let external = json!({ "backupStorage": { "provisionBucket": false } });
    assert_eq!(buckets(&external), Vec::<Value>::new());
}

// The reference's default objects waited for a lookup, and were rendered again until it found something.
#[test]
fn nothing_is_looked_up_in_the_cluster() {
    let mut folders = vec![HOST.folder().join("templates")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("lookup "), "{}", path.display());
        }
    }
}
