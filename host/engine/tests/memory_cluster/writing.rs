//! Creating and merge patching.

use backup_engine::cluster::{ApiReason, Cluster, Part};
use serde_json::{Value, json};

use crate::story::*;

#[tokio::test]
async fn a_new_object_gets_its_identity_from_the_server() {
    let cluster = cluster();
    let asked = with(
        widget("a", json!({"size": 3})),
        json!({"uid": "mine", "creationTimestamp": "2000-01-01T00:00:00Z"}),
    );
    let created = cluster.created(asked).await;
    let metadata = &created["metadata"];
    assert_ne!(metadata["uid"], "mine");
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert_eq!(metadata["creationTimestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["resourceVersion"], cluster.revision().to_string());
    assert!(metadata.get("managedFields").is_none());
}

#[tokio::test]
async fn creating_takes_no_status_and_fills_in_defaults() {
    let cluster = cluster();
    let mut object = widget("a", json!({"size": 3, "parts": [{"name": "x"}]}));
    object["status"] = json!({"phase": "Done"});
    let created = cluster.created(object).await;
    assert_eq!(
        created["spec"],
        json!({"size": 3, "mode": "slow", "parts": [{"name": "x", "grade": "plain"}]})
    );
    assert!(created.get("status").is_none());
}

#[tokio::test]
async fn an_object_with_a_field_that_its_kind_does_not_have_is_not_created() {
    let cluster = cluster();
    let misspelt = widget(
        "a",
        json!({"parts": [{"name": "x", "wieght": {"a": 1}}], "seize": 3}),
    );
    let answer = cluster.create(&host(), ALICE, &misspelt, true).await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::BadRequest));
    assert_eq!(
        message(answer),
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: \
         unknown field \"spec.parts[0].wieght\", unknown field \"spec.seize\""
    );
}

#[tokio::test]
async fn a_patch_with_a_field_that_the_kind_does_not_have_changes_nothing() {
    let cluster = cluster();
    let before = cluster.created(widget("a", json!({"size": 1}))).await;
    let target = the("Widget", "a");
    for (part, patch) in [
        (Part::Main, json!({"metadata": {"lables": {"a": "b"}}})),
        (Part::Status, json!({"status": {"fase": "Done"}})),
    ] {
        let answer = cluster.merge(&host(), ALICE, &target, &patch, part).await;
        assert_eq!(reason(answer.clone()), Some(ApiReason::Invalid));
        let told = message(answer);
        assert!(
            told.contains("strict decoding error: unknown field"),
            "{told}"
        );
    }
    assert_eq!(cluster.found(&target).await, Some(before));
}

#[tokio::test]
async fn what_is_put_loses_the_fields_that_its_kind_does_not_have() {
    let cluster = cluster();
    let put = cluster
        .put(widget("a", json!({"size": 3, "seize": 3})))
        .unwrap();
    assert_eq!(put["spec"], json!({"size": 3, "mode": "slow"}));
}

#[tokio::test]
async fn a_name_can_be_taken_only_once() {
    let cluster = cluster();
    cluster.created(widget("a", json!({}))).await;
    let again = cluster
        .create(&host(), ALICE, &widget("a", json!({})), false)
        .await
        .unwrap_err();
    assert_eq!(again.reason, ApiReason::AlreadyExists);
    assert_eq!(again.message, "widgets.example.com \"a\" already exists");
}

#[tokio::test]
async fn a_dry_run_leaves_no_trace() {
    let cluster = cluster();
    let before = cluster.revision();
    let answer = cluster
        .create(&host(), ALICE, &widget("a", json!({"size": 2})), true)
        .await
        .unwrap();
    assert_eq!(answer["spec"]["mode"], "slow");
    assert_eq!(cluster.revision(), before);
    assert!(cluster.found(&the("Widget", "a")).await.is_none());
    let bad = cluster
        .create(&host(), ALICE, &widget("a", json!({"size": 99})), true)
        .await;
    assert_eq!(reason(bad), Some(ApiReason::Invalid));
}

#[tokio::test]
async fn generated_names_start_as_asked_and_differ() {
    let cluster = cluster();
    let mut object = widget("", json!({}));
    object["metadata"] = json!({"generateName": "job-", "namespace": "team"});
    let names: Vec<Value> = [
        cluster.created(object.clone()).await,
        cluster.created(object).await,
    ]
    .map(|o| o["metadata"]["name"].clone())
    .into();
    assert!(
        names
            .iter()
            .all(|name| name.as_str().unwrap().starts_with("job-"))
    );
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_resource_version_on_a_new_object_is_an_error_of_the_server() {
    let cluster = cluster();
    let object = with(widget("a", json!({})), json!({"resourceVersion": "5"}));
    let answer = cluster.create(&host(), ALICE, &object, false).await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::Unavailable));
    assert_eq!(
        message(answer),
        "resourceVersion should not be set on objects to be created"
    );
}

#[tokio::test]
async fn a_merge_patch_changes_removes_and_adds() {
    let cluster = cluster();
    cluster
        .created(widget(
            "a",
            json!({"size": 3, "map": {"x": "1", "y": "2"}, "list": ["p", "q"]}),
        ))
        .await;
    let patch = json!({"spec": {"size": 4, "map": {"x": null, "z": "3"}, "list": ["r"]}});
    let merged = cluster.merged(ALICE, &the("Widget", "a"), patch).await;
    assert_eq!(
        merged["spec"],
        json!({"size": 4, "mode": "slow", "map": {"y": "2", "z": "3"}, "list": ["r"]})
    );
    assert_eq!(merged["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_change_of_metadata_is_no_new_generation() {
    let cluster = cluster();
    let created = cluster.created(widget("a", json!({"size": 3}))).await;
    let merged = cluster
        .merged(
            ALICE,
            &the("Widget", "a"),
            json!({"metadata": {"labels": {"a": "b"}}}),
        )
        .await;
    assert_eq!(merged["metadata"]["generation"], 1);
    assert_ne!(
        merged["metadata"]["resourceVersion"],
        created["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn without_a_status_part_every_change_of_content_is_a_new_generation() {
    let cluster = cluster();
    cluster.created(note("a", json!("x"))).await;
    let merged = cluster
        .merged(
            ALICE,
            &the("Note", "a"),
            json!({"status": {"phase": "Done"}}),
        )
        .await;
    assert_eq!(merged["status"]["phase"], "Done");
    assert_eq!(merged["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_not_stored() {
    let cluster = cluster();
    cluster.created(widget("a", json!({"size": 3}))).await;
    let before = cluster.revision();
    cluster
        .merged(BOB, &the("Widget", "a"), json!({"spec": {"size": 3}}))
        .await;
    cluster
        .merged(
            BOB,
            &the("Widget", "a"),
            json!({"metadata": {"labels": {}}}),
        )
        .await;
    assert_eq!(cluster.revision(), before);
}

#[tokio::test]
async fn the_main_part_leaves_the_status_and_the_status_part_everything_else() {
    let cluster = cluster();
    cluster.created(widget("a", json!({"size": 3}))).await;
    let target = the("Widget", "a");
    let both = json!({"spec": {"size": 5}, "status": {"phase": "Done"}, "metadata": {"labels": {"l": "m"}}});
    let merged = cluster
        .merge(&host(), BOB, &target, &both, Part::Status)
        .await
        .unwrap();
    assert_eq!(merged["status"], json!({"phase": "Done"}));
    assert_eq!(merged["spec"]["size"], 3);
    assert!(merged["metadata"].get("labels").is_none());
    assert_eq!(merged["metadata"]["generation"], 1);
    let both = json!({"spec": {"size": 5}, "status": {"phase": "Other"}});
    let merged = cluster.merged(BOB, &target, both).await;
    assert_eq!(merged["status"], json!({"phase": "Done"}));
    assert_eq!(merged["spec"]["size"], 5);
}

#[tokio::test]
async fn a_resource_version_in_a_patch_is_a_precondition() {
    let cluster = cluster();
    let created = cluster.created(widget("a", json!({"size": 3}))).await;
    let target = the("Widget", "a");
    let version = created["metadata"]["resourceVersion"].clone();
    let guarded =
        |size: u32| json!({"metadata": {"resourceVersion": version}, "spec": {"size": size}});
    cluster.merged(BOB, &target, guarded(4)).await;
    let late = cluster
        .merge(&host(), BOB, &target, &guarded(5), Part::Main)
        .await;
    assert_eq!(reason(late.clone()), Some(ApiReason::Conflict));
    assert_eq!(
        message(late),
        "Operation cannot be fulfilled on widgets.example.com \"a\": the object has been modified; please apply \
         your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn another_uid_in_a_patch_is_invalid_but_the_status_part_does_not_look_at_it() {
    let cluster = cluster();
    cluster.created(widget("a", json!({"size": 3}))).await;
    let patch =
        json!({"metadata": {"uid": "other"}, "spec": {"size": 4}, "status": {"phase": "X"}});
    let answer = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &patch, Part::Main)
        .await;
    assert_eq!(reason(answer.clone()), Some(ApiReason::Invalid));
    assert_eq!(
        message(answer),
        "Widget.example.com \"a\" is invalid: metadata.uid: Invalid value: \"other\": field is immutable"
    );
    let status = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &patch, Part::Status)
        .await
        .unwrap();
    assert_eq!(status["status"]["phase"], "X");
}

#[tokio::test]
async fn patching_an_absent_object_or_kind_finds_nothing() {
    let cluster = cluster();
    let absent = cluster
        .merge(&host(), BOB, &the("Widget", "a"), &json!({}), Part::Main)
        .await;
    assert_eq!(message(absent), "widgets.example.com \"a\" not found");
    let unknown = cluster
        .merge(&host(), BOB, &the("Gadget", "a"), &json!({}), Part::Main)
        .await;
    assert_eq!(reason(unknown.clone()), Some(ApiReason::NotFound));
    assert_eq!(
        message(unknown),
        "the server could not find the requested resource"
    );
    let no_status = cluster
        .merge(&host(), BOB, &the("Note", "a"), &json!({}), Part::Status)
        .await;
    assert_eq!(message(no_status), "notes.example.com \"a\" not found");
}

#[tokio::test]
async fn a_secrets_text_is_stored_encoded() {
    let cluster = cluster();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "team"},
        "stringData": {"password": "hello"},
    });
    let created = cluster.created(secret).await;
    assert_eq!(created["data"], json!({"password": "aGVsbG8="}));
    assert_eq!(created["type"], "Opaque");
    assert!(created.get("stringData").is_none());
    assert!(created["metadata"].get("generation").is_none());
}

#[tokio::test]
async fn lists_are_sorted_and_selected_by_labels() {
    let cluster = cluster();
    for (name, label) in [("b", "x"), ("a", "x"), ("c", "y")] {
        cluster
            .created(with(
                widget(name, json!({})),
                json!({"labels": {"l": label}}),
            ))
            .await;
    }
    let selector =
        |labels: Vec<backup_sandbox::contract::Entry>| backup_sandbox::contract::Selector {
            api_version: "example.com/v1".to_owned(),
            kind: "Widget".to_owned(),
            namespace: Some("team".to_owned()),
            labels,
        };
    let names = |list: Vec<Value>| -> Vec<String> {
        list.iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(cluster.list(&host(), &selector(vec![])).await.unwrap()),
        ["a", "b", "c"]
    );
    let wanted = backup_sandbox::contract::Entry {
        key: "l".to_owned(),
        value: "x".to_owned(),
    };
    assert_eq!(
        names(
            cluster
                .list(&host(), &selector(vec![wanted]))
                .await
                .unwrap()
        ),
        ["a", "b"]
    );
    let unknown = backup_sandbox::contract::Selector {
        kind: "Gadget".to_owned(),
        ..selector(vec![])
    };
    assert!(cluster.list(&host(), &unknown).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_log_has_its_last_lines() {
    let cluster = cluster();
    let pod =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "team"}});
    cluster.put(pod.clone()).unwrap();
    cluster.set_log("team", "p", "main", false, "one\ntwo\nthree\n");
    let tail = |container: &'static str, lines| {
        let (cluster, pod) = (cluster.clone(), object_ref(&pod));
        async move {
            cluster
                .log_tail(&host(), &pod, container, false, lines)
                .await
                .unwrap()
        }
    };
    assert_eq!(tail("main", 2).await.as_deref(), Some("two\nthree\n"));
    assert_eq!(tail("main", 9).await.as_deref(), Some("one\ntwo\nthree\n"));
    assert_eq!(tail("other", 2).await, None);
}
