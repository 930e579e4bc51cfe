//! A parameter that a class has and nobody reads is a misspelt one.

use super::*;

#[tokio::test]
async fn a_parameter_that_the_schema_does_not_know_is_refused_by_name() {
    for component in components() {
        let name = &component.name;
        assert!(
            component.strategy.manifest().parameters.is_some(),
            "{name} describes no parameters"
        );
        let mut stage = platform(std::slice::from_ref(&component));
        let class = stage.cluster.read(API, "BackupClass", None, "cozy-default");
        let mut class = class.unwrap();
        for binding in class["spec"]["strategies"].as_array_mut().unwrap() {
            binding["parameters"] = json!({ "no.such-knob": "1" });
        }
        stage.cluster.put(class).unwrap();
        for kind in component.kinds() {
            application(&stage, TENANT, kind, "shared");
            let job = format!("of-{}", kind.1.to_lowercase());
            stage.backup_job_of(TENANT, &job, kind.1, "shared").unwrap();
        }
        stage.runner.settle().await.unwrap();
        let class = stage.cluster.read(API, "BackupClass", None, "cozy-default");
        let class = class.unwrap();
        for binding in class["status"]["strategies"].as_array().unwrap() {
            assert_eq!(binding["reason"], "ParametersInvalid", "{name}: {binding}");
            let message = binding["message"].as_str().unwrap();
            assert!(
                message.contains("no.such-knob is read by nobody"),
                "{name}: {message}"
            );
        }
        for kind in component.kinds() {
            let said = stage.job(TENANT, &format!("of-{}", kind.1.to_lowercase()));
            assert!(
                said.starts_with("Failed BackupFailed: ParametersInvalid: BackupClass cozy-default: parameters/no.such-knob"),
                "{name}: {said}"
            );
        }
    }
}
