//! What tenants can do.

use serde_json::{Value, json};

use crate::render;

const WRITES: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];

/// The roles that are for tenants.
fn roles(objects: &[Value]) -> Vec<&Value> {
    let is_tenants = |object: &&Value| {
        let name = object["metadata"]["name"].as_str().unwrap();
        object["kind"] == "ClusterRole" && name.starts_with("cozy:backups:")
    };
    objects.iter().filter(is_tenants).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// Which roles give a verb on a resource.
fn who<'a>(roles: &[&'a Value], verb: &str, resource: &str) -> Vec<&'a str> {
    let gives = |rule: &Value| {
        texts(&rule["verbs"]).contains(&verb) && texts(&rule["resources"]).contains(&resource)
    };
    let roles = roles
        .iter()
        .filter(|role| role["rules"].as_array().unwrap().iter().any(gives));
    roles
        .map(|role| role["metadata"]["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_tenant_orders_and_sees_and_writes_nothing_else() {
    let objects = render(&json!({}));
    let roles = roles(&objects);
    for role in &roles {
        for rule in role["rules"].as_array().unwrap() {
            assert_eq!(
                rule["apiGroups"],
                json!(["backups.cozystack.io"]),
                "no strategies: {role}"
            );
            for resource in texts(&rule["resources"]) {
                assert!(!resource.contains('/'), "no status: {role}");
                assert_ne!(resource, "strategyplugins", "{role}");
            }
        }
    }
    for verb in WRITES {
        assert!(who(&roles, verb, "backupclasses").is_empty(), "{verb}");
    }
    for verb in ["create", "update", "patch", "delete"] {
        for resource in ["backupjobs", "plans", "restorejobs"] {
            assert_eq!(who(&roles, verb, resource), ["cozy:backups:admin"]);
        }
    }
}

#[test]
fn who_deletes_backups_has_a_role_for_it_that_no_other_takes_up() {
    let objects = render(&json!({}));
    let roles = roles(&objects);
    assert_eq!(who(&roles, "delete", "backups"), ["cozy:backups:delete"]);
    for verb in ["create", "update", "patch", "deletecollection"] {
        assert!(who(&roles, verb, "backups").is_empty(), "{verb}");
    }
    let role = roles
        .iter()
        .find(|role| role["metadata"]["name"] == "cozy:backups:delete");
    assert_eq!(role.unwrap()["metadata"].get("labels"), None);
    let is_bound = |object: &Value| object["roleRef"]["name"] == "cozy:backups:delete";
    assert!(!objects.iter().any(is_bound));
}

#[test]
fn classes_are_listed_in_the_whole_cluster_by_whom_the_values_say() {
    let binding = |values: &Value| {
        let objects = render(values);
        let mut bindings = objects
            .into_iter()
            .filter(|object| object["kind"] == "ClusterRoleBinding");
        bindings.find(|binding| binding["roleRef"]["name"] == "cozy:backups:classes")
    };
    let subjects = binding(&json!({})).unwrap()["subjects"].clone();
    assert_eq!(subjects[0]["name"], "system:authenticated");
    assert_eq!(binding(&json!({ "tenants": { "classReaders": [] } })), None);
}
