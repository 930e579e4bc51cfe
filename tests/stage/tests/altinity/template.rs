//! The Pod template of the first controller's strategies.

use super::{backup::text_of, *};

/// As the first controller's default strategy had it, with its program in short.
fn reference() -> Value {
    json!({ "template": { "spec": {
        "restartPolicy": "Never",
        "containers": [{
            "name": "ch-backup-client",
            "image": "registry.example.org/platform-migrations:v1.6.0",
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c"],
            "args": ["mode={{ .Mode }}; prefix=clickhouse-{{ .Release.Name }}-; \
                      source={{ if .Backup }}clickhouse-{{ .Backup.ApplicationRef.Name }}-{{ end }}; keep={{ index .Parameters \"keep\" }}; run"],
            "env": [
                { "name": "API_USERNAME", "valueFrom": { "secretKeyRef": { "name": "clickhouse-{{ .Release.Name }}-backup-api-auth", "key": "username" } } },
                { "name": "API_PASSWORD", "valueFrom": { "secretKeyRef": { "name": "clickhouse-{{ .Release.Name }}-backup-api-auth", "key": "password" } } },
            ],
            "resources": { "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "cpu": "200m", "memory": "128Mi" } },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
                "seccompProfile": { "type": "RuntimeDefault" },
            },
        }],
    } } })
}

/// The same with a program that takes the archive that it is told.
fn telling() -> Value {
    let mut spec = reference();
    spec["template"]["spec"]["containers"][0]["args"] =
        json!(["prefix=clickhouse-{{ .Release.Name }}-; run $BACKUP_ARCHIVE"]);
    spec
}

// TestReconcileAltinity_CreatesBatchJob
#[tokio::test]
async fn the_template_is_rendered_and_hardened() {
    let mut stage = stage();
    strategy(&stage, &reference());
    parameters(&stage, &json!({ "keep": "3" }));
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let made = jobs(&stage);
    assert_eq!(made.len(), 1, "{}", stage.job(TENANT, "ad-hoc"));
    let spec = &made[0]["spec"]["template"]["spec"];
    let container = &spec["containers"][0];
    let args = container["args"][0].as_str().unwrap();
    assert!(
        args.starts_with("mode=backup; prefix=clickhouse-events-; "),
        "{args}"
    );
    assert!(args.ends_with("keep=3; run"), "{args}");
    assert_eq!(
        container["env"][0]["valueFrom"]["secretKeyRef"]["name"],
        "clickhouse-events-backup-api-auth"
    );
    assert_eq!(
        container["image"],
        "registry.example.org/platform-migrations:v1.6.0"
    );
    // Pod Security Standards: what the reference left out.
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["securityContext"]["runAsUser"], 65_532);
}

// Defect 14 of the sheet: labels of the template were dropped.
#[tokio::test]
async fn labels_of_the_template_reach_the_pod() {
    let mut stage = stage();
    let mut spec = reference();
    spec["template"]["metadata"] = json!({ "labels": { "team": "data" } });
    strategy(&stage, &spec);
    stage
        .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
        .unwrap();
    stage.runner.settle().await.unwrap();
    let labels = jobs(&stage)[0]["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(labels["team"], "data");
    assert_eq!(labels[format!("{METADATA}/mode")], "backup");
}

#[tokio::test]
async fn an_archive_that_the_program_names_by_itself_is_found_and_recorded() {
    let mut stage = stage();
    put_archive(
        &stage,
        "tenant-acme/clickhouse-events/clickhouse-events-20261101T000000Z",
    );
    strategy(&stage, &reference());
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let name = archive(&stage, "ad-hoc");
    assert!(name.starts_with("clickhouse-events-20261125T12"), "{name}");
    let backup = stage.read("Backup", TENANT, "ad-hoc");
    assert_eq!(
        backup["status"]["artifact"]["uri"],
        format!("s3://cozy-backups/{FOLDER}/{name}")
    );
    forgotten(&mut stage, &around, "ad-hoc").await;
    assert_eq!(
        archives(&stage, FOLDER),
        ["clickhouse-events-20261101T000000Z"]
    );
}

// TestReconcileAltinityRestore_ExposesSourceApplicationRef
#[tokio::test]
async fn a_program_that_restores_the_newest_archive_may_do_so_for_the_newest_backup() {
    let mut stage = stage();
    strategy(&stage, &reference());
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "ad-hoc").await;
    let said = restored(&mut stage, &around, "back", "ad-hoc", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let all = jobs(&stage);
    let job = all
        .iter()
        .find(|job| text_of(job, "BACKUP_MODE") == "restore")
        .unwrap();
    let args = job["spec"]["template"]["spec"]["containers"][0]["args"][0]
        .as_str()
        .unwrap();
    assert!(
        args.contains("mode=restore; prefix=clickhouse-events-; source=clickhouse-events-;"),
        "{args}"
    );
    assert!(
        around
            .told()
            .last()
            .unwrap()
            .ends_with(&archive(&stage, "ad-hoc"))
    );
}

// Defect 1 of the sheet.
#[tokio::test]
async fn a_program_that_restores_the_newest_archive_is_not_run_for_an_older_backup() {
    let mut stage = stage();
    strategy(&stage, &reference());
    let around = play(&stage, AltinityFate::Completes);
    backed_up(&mut stage, &around, "first").await;
    stage.cluster.advance(3600);
    backed_up(&mut stage, &around, "second").await;
    let said = restored(&mut stage, &around, "back", "first", &json!({})).await;
    assert!(
        said.starts_with("Failed RestoreFailed: TemplateChoosesArchive: "),
        "{said}"
    );
    assert!(
        said.contains("let the program take $BACKUP_ARCHIVE, or leave out its command"),
        "{said}"
    );

    strategy(&stage, &telling());
    let said = restored(&mut stage, &around, "once-more", "first", &json!({})).await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(
        around
            .told()
            .last()
            .unwrap()
            .ends_with(&archive(&stage, "first"))
    );
}

#[tokio::test]
async fn a_program_that_is_told_the_archive_writes_that_one() {
    let mut stage = stage();
    strategy(&stage, &telling());
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    assert_eq!(archives(&stage, FOLDER), [archive(&stage, "ad-hoc")]);
    assert!(archive(&stage, "ad-hoc").starts_with("clickhouse-events-20261125T120000Z-"));
}

// Defect 8 of the sheet: the program's own words stayed in the log.
#[tokio::test]
async fn what_the_program_said_last_is_told_to_the_tenant() {
    let mut stage = stage();
    strategy(&stage, &reference());
    let fate = AltinityFate::CommandFails(
        "create_remote".to_owned(),
        "cannot freeze shop.orders".to_owned(),
    );
    let around = play(&stage, fate);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert_eq!(
        said,
        "Failed BackupFailed: ClientFailed: cannot freeze shop.orders"
    );
}

#[tokio::test]
async fn a_template_that_wants_more_than_a_pod_may_is_refused_by_the_host() {
    for change in [
        json!({ "hostNetwork": true }),
        json!({ "serviceAccountName": "admin" }),
        json!({ "securityContext": { "runAsUser": 0 } }),
        json!({ "volumes": [{ "name": "v", "secret": { "secretName": "clickhouse-events-credentials" } }] }),
    ] {
        let mut stage = stage();
        let mut spec = json!({ "template": { "spec": {} } });
        spec["template"]["spec"] = change.clone();
        strategy(&stage, &spec);
        stage
            .backup_job_of(TENANT, "ad-hoc", "ClickHouse", "events")
            .unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.job(TENANT, "ad-hoc");
        assert!(said.contains("PlanRejected"), "{change}: {said}");
        assert!(jobs(&stage).is_empty());
    }
}

#[tokio::test]
async fn a_template_without_a_program_shapes_the_pod_of_ours() {
    let mut stage = stage();
    let spec = json!({ "template": { "spec": { "nodeSelector": { "disk": "fast" }, "containers": [{ "name": "client" }] } } });
    strategy(&stage, &spec);
    let around = play(&stage, AltinityFate::Completes);
    let said = backed_up(&mut stage, &around, "ad-hoc").await;
    assert!(said.starts_with("Succeeded"), "{said}");
    let job = &jobs(&stage)[0];
    assert_eq!(
        job["spec"]["template"]["spec"]["nodeSelector"]["disk"],
        "fast"
    );
    assert!(text_of(job, "STEPS").contains("create_remote"));
}
