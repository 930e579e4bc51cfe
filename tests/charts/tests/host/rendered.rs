//! What the chart makes of its values.

use std::collections::BTreeSet;

use backupstrategy_controller::Options;
use charts::HOST;
use clap::CommandFactory as _;
use serde_json::{Value, json};

use crate::{helm, render};

/// The texts in a list.
fn texts(list: &Value) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// The names of the objects of a kind.
fn names(objects: &[Value], kind: &str) -> BTreeSet<String> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// What a rule must not give, whoever has it.
fn objection(kind: &str, rule: &Value) -> Option<&'static str> {
    let (groups, resources) = (texts(&rule["apiGroups"]), texts(&rule["resources"]));
    let verbs = texts(&rule["verbs"]);
    let has_names = !texts(&rule["resourceNames"]).is_empty();
    let has = |wanted: &str| resources.contains(&wanted);
    if [&groups, &resources, &verbs]
        .into_iter()
        .flatten()
        .any(|word| word.contains('*'))
    {
        return Some("a wildcard");
    }
    if verbs.contains(&"escalate") || verbs.contains(&"bind") {
        return Some("rights that lead to others");
    }
    if groups.contains(&"rbac.authorization.k8s.io") {
        return Some("rights over rights");
    }
    if has("serviceaccounts/token") || has("pods/exec") || has("pods/attach") {
        return Some("another account");
    }
    let is_limited = kind == "Role" && has_names && resources == ["serviceaccounts"];
    if verbs.contains(&"impersonate") && !is_limited {
        return Some("accounts that are not named, or are of any namespace");
    }
    if groups.contains(&"") && has("secrets") && !has_names && verbs != ["create"] {
        return Some("Secrets that are not named");
    }
    None
}

#[test]
fn helm_finds_nothing_to_complain_about() {
    let folder = HOST.folder().to_string_lossy().into_owned();
    let cozystack = format!("{folder}/values-cozystack.yaml");
    helm().run(&["lint", "--strict", &folder]).unwrap();
    helm()
        .run(&["lint", "--strict", &folder, "--values", &cozystack])
        .unwrap();
}

#[test]
fn no_right_is_a_wildcard_or_leads_to_more() {
    let roles = render(&json!({ "backupStorage": { "caSecret": { "name": "private-ca" } } }));
    let roles: Vec<_> = roles
        .iter()
        .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
        .collect();
    assert!(roles.len() >= 10, "{roles:?}");
    for role in roles {
        for rule in role["rules"].as_array().unwrap() {
            let objection = objection(role["kind"].as_str().unwrap(), rule);
            assert_eq!(objection, None, "{}: {rule}", role["metadata"]["name"]);
        }
    }
}

#[test]
fn the_rule_against_wildcards_and_secrets_can_object() {
    let rule = |group: &str, resource: &str, verb: &str| json!({ "apiGroups": [group], "resources": [resource], "verbs": [verb] });
    for (kind, rule) in [
        ("ClusterRole", rule("apps", "*", "get")),
        ("ClusterRole", rule("", "secrets", "get")),
        ("Role", rule("", "serviceaccounts", "impersonate")),
        ("ClusterRole", rule("", "users", "impersonate")),
        ("Role", rule("rbac.authorization.k8s.io", "roles", "patch")),
    ] {
        assert!(objection(kind, &rule).is_some(), "{rule}");
    }
    assert_eq!(objection("Role", &rule("", "secrets", "create")), None);
}

#[test]
fn each_plugin_has_its_account_its_rights_and_its_definition() {
    let objects = render(&json!({}));
    let plugins: Vec<_> = objects
        .iter()
        .filter(|object| object["kind"] == "StrategyPlugin")
        .collect();
    assert_eq!(names(&objects, "StrategyPlugin").len(), plugins.len());
    assert!(plugins.len() >= 2, "{plugins:?}");
    for plugin in plugins {
        let account = &plugin["spec"]["serviceAccount"];
        assert_eq!(account["namespace"], HOST.namespace, "{plugin}");
        let account = account["name"].as_str().unwrap();
        assert!(names(&objects, "ServiceAccount").contains(account));
        assert!(names(&objects, "Role").contains(&format!("{account}-impersonation")));
        let role = format!("backups.cozystack.io:{account}");
        assert!(names(&objects, "ClusterRole").contains(&role), "{role}");
        assert!(names(&objects, "ClusterRole").contains(&format!("{role}-host")));
        let definitions = HOST.definitions().unwrap();
        assert!(definitions.iter().any(
            |definition| definition["spec"]["names"]["kind"] == plugin["spec"]["strategyKind"]
        ));
    }
}

#[test]
fn each_policy_fails_closed_and_is_bound() {
    let objects = render(&json!({}));
    let policies = names(&objects, "ValidatingAdmissionPolicy");
    assert!(policies.len() >= 5, "{policies:?}");
    assert_eq!(
        names(&objects, "ValidatingAdmissionPolicyBinding"),
        policies
    );
    let is_policy = |object: &&Value| object["kind"] == "ValidatingAdmissionPolicy";
    for policy in objects.iter().filter(is_policy) {
        let name = policy["metadata"]["name"].as_str().unwrap();
        assert_eq!(policy["spec"]["failurePolicy"], "Fail", "{name}");
        let condition = &policy["spec"]["matchConditions"][0]["expression"];
        let is_about_the_host = condition.as_str().is_some_and(|condition| {
            condition.ends_with(
                "== 'system:serviceaccount:cozy-backup-controller:backupstrategy-controller'",
            )
        });
        assert_eq!(is_about_the_host, name.starts_with("host-"), "{name}");
    }
}

#[test]
fn the_host_knows_each_flag_and_variable_that_the_deployment_sets() {
    let objects = render(&json!({
        "backupStorage": { "caSecret": { "name": "private-ca" } },
        "monitoring": { "traces": { "endpoint": "http://collector:4318" } },
    }));
    let deployment = objects
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let command = Options::command();
    // The C library reads this one.
    let mut known = BTreeSet::from(["MALLOC_ARENA_MAX".to_owned()]);
    for argument in command.get_arguments() {
        known.extend(argument.get_long().map(|long| format!("--{long}")));
        let variable = argument.get_env().and_then(|name| name.to_str());
        known.extend(variable.map(ToOwned::to_owned));
    }
    let flags = texts(&container["args"]).into_iter();
    let flags = flags.map(|flag| flag.split('=').next().unwrap());
    let variables = container["env"].as_array().unwrap().iter();
    let variables = variables.map(|variable| variable["name"].as_str().unwrap());
    let set: Vec<_> = flags.chain(variables).collect();
    assert!(set.len() > 10, "{set:?}");
    for name in set {
        assert!(known.contains(name), "the host does not know {name}");
    }
}

#[test]
fn what_is_switched_off_is_left_out() {
    let values = json!({
        "backupStrategyController": { "metrics": { "enabled": false } },
        "velero": { "bslEnabled": false },
    });
    let (whole, less) = (render(&json!({})), render(&values));
    assert!(names(&whole, "Service").contains("backupstrategy-controller-metrics"));
    assert!(names(&less, "Service").is_empty());
    assert!(names(&whole, "Role").contains("backupstrategy-controller-velero"));
    assert!(!names(&less, "Role").contains("backupstrategy-controller-velero"));
    assert!(!names(&whole, "Role").contains("backupstrategy-controller-ca"));
}

#[test]
fn a_value_that_makes_no_sense_is_refused_with_its_name() {
    for (values, named) in [
        (
            json!({ "backupStrategyController": { "replicas": "two" } }),
            "replicas",
        ),
        (
            json!({ "backupStorage": { "systemNamespaces": "cozy-velero" } }),
            "systemNamespaces",
        ),
        (
            json!({ "backupStorage": { "endpoint": "s3.example" } }),
            "endpoint",
        ),
        (
            json!({ "backupStorage": { "bukcetName": "b" } }),
            "bukcetName",
        ),
        (
            json!({ "extraPlugins": [{ "name": "acme" }] }),
            "extraPlugins",
        ),
        (
            json!({ "extraPlugins": [{ "name": "../acme", "configMap": "acme" }] }),
            "extraPlugins/0/name",
        ),
        (
            json!({ "extraPlugins": [{ "name": "a", "configMap": "a", "persistentVolumeClaim": "a" }] }),
            "extraPlugins",
        ),
    ] {
        let error = HOST.render(helm(), &values).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn a_release_of_another_name_leaves_the_definitions_to_the_administrator() {
    let another = charts::Chart {
        release: "backups",
        ..HOST
    };
    let definitions = |objects: &[Value]| names(objects, "CustomResourceDefinition").len();
    assert!(definitions(&render(&json!({}))) >= 6 + 2);
    let rendered = another.render(helm(), &json!({})).unwrap();
    assert_eq!(definitions(&rendered), 0);
}
