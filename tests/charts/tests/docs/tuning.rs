//! The classes and strategies of the page about tuning are in order for the host and for the strategies themselves.

use backup_api::names::{API_VERSION, STRATEGY_API_VERSION};
use serde_json::Value;
use stage::{STRATEGIES, Stage};

use crate::{examples::documents, page::Page};

/// What a class says of itself, and the kinds that it binds.
fn said(stage: &Stage, name: &str) -> (String, usize) {
    let class = stage.cluster.read(API_VERSION, "BackupClass", None, name);
    let class = class.unwrap();
    let ready = &class["status"]["conditions"][0];
    let bindings = class["status"]["strategies"].as_array().unwrap();
    (
        format!("{}: {}", ready["reason"], ready["message"]),
        bindings.len(),
    )
}

#[tokio::test]
async fn every_class_of_the_page_about_tuning_is_in_order() {
    let mut stage = Stage::new().unwrap();
    for plugin in STRATEGIES {
        let component = Stage::bundled(&format!("{plugin}.wasm")).unwrap();
        stage.serve(&component).unwrap();
    }
    stage.defaults(STRATEGIES).unwrap();
    let page = Page::read("charts/backupstrategy-controller/docs/tuning.md");
    let mut classes: Vec<Value> = vec![];
    let mut strategies = 0;
    for (place, object) in documents(&page) {
        strategies += usize::from(object["apiVersion"] == STRATEGY_API_VERSION);
        if object["kind"] == "BackupClass" {
            classes.push(object.clone());
        }
        let put = stage.cluster.put(object);
        put.unwrap_or_else(|error| panic!("{place}: {error}"));
    }
    assert_eq!((classes.len(), strategies), (2, 7));
    stage.runner.settle().await.unwrap();
    for class in &classes {
        let name = class["metadata"]["name"].as_str().unwrap();
        let expected = "\"BindingsReady\": \"every binding is in order\"".to_owned();
        assert_eq!(said(&stage, name), (expected, 7), "{name}");
    }
}
