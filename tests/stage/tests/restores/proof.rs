//! The proof that the policy is in force, and was when the job was created.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backup_engine::cluster::{
    Account, ApiError, ApiReason, Caller, Cluster as _, Part,
    memory::{Operation, Verdict},
};
use backup_sandbox::contract::ObjectRef;
use stage::{RESTORE_POLICY, by_restore_policy};

use super::*;

const POLICY_API: &str = "admissionregistration.k8s.io/v1";
const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";

fn is_probe(operation: &Operation) -> bool {
    operation.dry_run && operation.kind == "RestoreJob"
}

#[tokio::test]
async fn a_restore_into_another_namespace_is_carried_out_where_the_policy_is_in_force() {
    let mut stage = platform(writing());
    let said = restored_into(&mut stage, OTHER).await;
    assert_eq!(
        said,
        "Succeeded RestoreCompleted: Backup ad-hoc is restored"
    );
    assert!(map(&stage, "restored").is_some());
    let job = stage.read("RestoreJob", TENANT, "across");
    assert_eq!(job["status"]["strategy"]["targetNamespace"], OTHER);
    let probes: Vec<Operation> = stage.cluster.requests();
    let probe = probes.iter().find(|operation| is_probe(operation)).unwrap();
    let prober = Account::Strategy {
        namespace: "cozy-backup-controller".to_owned(),
        name: "restore-prober".to_owned(),
    };
    assert_eq!(probe.account, prober);
    assert_eq!(
        probe.namespace.as_deref(),
        Some("cozy-backup-controller"),
        "the only namespace where that account may"
    );
}

#[tokio::test]
async fn a_restore_in_place_needs_no_policy() {
    for options in [
        json!({}),
        json!({ "targetNamespace": "" }),
        json!({ "targetNamespace": TENANT }),
    ] {
        let mut stage = without_policy(restoring(""));
        let said = ordered(&mut stage, "across", &options).await;
        assert!(said.starts_with("Succeeded"), "{said}");
        assert!(!stage.cluster.requests().iter().any(is_probe));
        let job = stage.read("RestoreJob", TENANT, "across");
        assert!(job["status"]["strategy"]["targetNamespace"].is_null());
    }
}

/// A platform where the policy or its binding was put with a change.
async fn with(kind: &str, change: impl FnOnce(&mut Value)) -> Stage {
    let stage = without_policy(writing());
    stage.restore_policy().unwrap();
    let mut object = stage
        .cluster
        .read(POLICY_API, kind, None, RESTORE_POLICY)
        .unwrap();
    change(&mut object);
    stage
        .delete_cluster_scoped(POLICY_API, kind, RESTORE_POLICY)
        .await
        .unwrap();
    object["metadata"] = json!({ "name": RESTORE_POLICY });
    stage.cluster.put(object).unwrap();
    stage.cluster.advance(60);
    stage
}

#[tokio::test]
async fn a_policy_that_does_not_hold_for_every_job_is_not_relied_on() {
    let narrow = json!({ "matchLabels": { "tenant": "acme" } });
    let rule = "/spec/matchConstraints/resourceRules/0";
    let cases: [(&str, &str, Value, &str); 10] = [
        (
            POLICY,
            "/spec/failurePolicy",
            json!("Ignore"),
            "lets requests through",
        ),
        (
            POLICY,
            "/spec/matchConstraints/namespaceSelector",
            narrow.clone(),
            "leaves out some",
        ),
        (
            POLICY,
            "/spec/matchConstraints/objectSelector",
            narrow.clone(),
            "leaves out some",
        ),
        (
            POLICY,
            "/spec/matchConstraints/excludeResourceRules",
            json!([{}]),
            "leaves out some",
        ),
        (
            POLICY,
            &format!("{rule}/operations"),
            json!(["CREATE"]),
            "does not look at",
        ),
        (
            POLICY,
            &format!("{rule}/resources"),
            json!(["backupjobs"]),
            "does not look at",
        ),
        (
            POLICY,
            &format!("{rule}/resourceNames"),
            json!(["nightly"]),
            "does not look at",
        ),
        (
            BINDING,
            "/spec/validationActions",
            json!(["Audit"]),
            "does not say that it denies",
        ),
        (
            BINDING,
            "/spec/matchResources",
            json!({ "namespaceSelector": narrow }),
            "leaves out some",
        ),
        (
            BINDING,
            "/spec/matchResources",
            json!({ "resourceRules": [{}] }),
            "leaves out some",
        ),
    ];
    for (kind, pointer, value, words) in cases {
        let mut stage = with(kind, |object| set(object, pointer, value)).await;
        let said = restored_into(&mut stage, OTHER).await;
        assert!(is_untouched(&stage), "{said}");
        let refused = "Failed RestoreFailed: TargetNamespaceNotAllowed: whether its author may restore into namespace \
                       tenant-other is not known";
        assert!(
            said.starts_with(refused) && said.contains(words),
            "{pointer}: {said}"
        );
    }
}

/// Sets what a JSON pointer names, the last member also where it is absent.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[member] = value;
}

#[tokio::test]
async fn what_the_api_server_fills_in_narrows_nothing() {
    let mut stage = with(POLICY, |policy| {
        set(
            policy,
            "/spec/matchConstraints/namespaceSelector",
            json!({}),
        );
        set(policy, "/spec/matchConstraints/objectSelector", json!({}));
        set(
            policy,
            "/spec/matchConstraints/matchPolicy",
            json!("Equivalent"),
        );
    })
    .await;
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn without_the_policy_or_its_binding_nothing_is_touched() {
    let mut stage = without_policy(writing());
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.starts_with("Failed RestoreFailed: TargetNamespaceNotAllowed")
            && said.contains("there is no ValidatingAdmissionPolicy"),
        "{said}"
    );
    assert!(is_untouched(&stage));
    for kind in [POLICY, BINDING] {
        let mut stage = platform(writing());
        stage
            .delete_cluster_scoped(POLICY_API, kind, RESTORE_POLICY)
            .await
            .unwrap();
        let said = restored_into(&mut stage, OTHER).await;
        assert!(
            said.contains(&format!("there is no {kind} of that name")),
            "{said}"
        );
        assert!(is_untouched(&stage));
    }
}

/// What a job says where the trial ends otherwise; and that nothing was done for it.
async fn tried(verdict: Verdict) -> String {
    let mut stage = platform(writing());
    stage
        .cluster
        .set_interceptor(move |operation| match is_probe(operation) {
            true => verdict.clone(),
            false => Verdict::Pass,
        });
    let said = restored_into(&mut stage, OTHER).await;
    assert!(is_untouched(&stage), "{said}");
    said
}

#[tokio::test]
async fn a_trial_that_the_policy_does_not_refuse_proves_nothing() {
    let said = tried(Verdict::Pass).await;
    assert!(
        said.contains("of ServiceAccount cozy-backup-controller/restore-prober into a namespace where it has no rights was not refused"),
        "{said}"
    );
    for message in [
        "restorejobs.backups.cozystack.io is forbidden: User \"system:serviceaccount:cozy-backup-controller:restore-prober\" cannot create resource",
        "restorejobs.backups.cozystack.io is forbidden: ValidatingAdmissionPolicy 'another' with binding 'another' denied request: a restore into \
         namespace x needs the right to create RestoreJobs there",
        "restorejobs.backups.cozystack.io is forbidden: ValidatingAdmissionPolicy 'restore-target.backups.cozystack.io' with binding \
         'restore-target.backups.cozystack.io' denied request: expression failed",
    ] {
        let said = tried(Verdict::Fail(ApiError::new(ApiReason::Forbidden, message))).await;
        assert!(
            said.contains("a trial was refused, but not by it"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_policy_that_may_not_be_read_proves_nothing() {
    let mut stage = platform(writing());
    stage
        .cluster
        .set_policy(|operation| operation.api_version != POLICY_API);
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.contains("the API server refused to show it"), "{said}");
    assert!(is_untouched(&stage));
}

#[tokio::test]
async fn a_job_that_was_created_without_the_policy_is_refused() {
    let mut stage = without_policy(writing());
    let options = json!({ "targetNamespace": OTHER });
    // Created while no host ran, before the policy, and within the seconds that an API server takes to heed it.
    stage
        .restore_job(TENANT, "before", "ad-hoc", &options)
        .unwrap();
    stage.cluster.advance(60);
    stage.restore_policy().unwrap();
    stage.cluster.advance(4);
    stage
        .restore_job(TENANT, "with-it", "ad-hoc", &options)
        .unwrap();
    stage.cluster.advance(1);
    stage
        .restore_job(TENANT, "behind", "ad-hoc", &options)
        .unwrap();
    stage.runner.settle().await.unwrap();
    for name in ["before", "with-it"] {
        let said = stage.said("RestoreJob", TENANT, name);
        assert!(
            said.contains("was not looked at when the job was created")
                && said.contains("create the job again"),
            "{name}: {said}"
        );
    }
    let said = stage.said("RestoreJob", TENANT, "behind");
    assert!(said.starts_with("Succeeded"), "{said}");
}

#[tokio::test]
async fn a_job_is_refused_where_the_policy_was_made_anew_or_changed_after_it() {
    for kind in [POLICY, BINDING] {
        let mut stage = platform(writing());
        let options = json!({ "targetNamespace": OTHER });
        stage
            .restore_job(TENANT, "across", "ad-hoc", &options)
            .unwrap();
        stage.cluster.advance(60);
        stage
            .delete_cluster_scoped(POLICY_API, kind, RESTORE_POLICY)
            .await
            .unwrap();
        stage.restore_policy().unwrap();
        stage.runner.settle().await.unwrap();
        let said = stage.said("RestoreJob", TENANT, "across");
        assert!(said.contains("create the job again"), "{said}");
        assert!(is_untouched(&stage));
    }
    // Where nothing says when it was changed, it may have been changed just now.
    let mut stage = platform(writing());
    let target = ObjectRef {
        api_version: POLICY_API.to_owned(),
        kind: POLICY.to_owned(),
        namespace: None,
        name: RESTORE_POLICY.to_owned(),
    };
    let patch =
        json!({ "spec": { "auditAnnotations": [{ "key": "seen", "valueExpression": "'yes'" }] } });
    stage
        .cluster
        .merge(&Caller::host(), "admin", &target, &patch, Part::Main)
        .await
        .unwrap();
    stage.cluster.advance(60);
    let said = restored_into(&mut stage, OTHER).await;
    assert!(
        said.contains("it cannot be told when it was changed last"),
        "{said}"
    );
    assert!(is_untouched(&stage));
}

#[tokio::test]
async fn a_request_of_the_proof_that_fails_is_made_again() {
    let is_of_the_proof: [fn(&Operation) -> bool; 3] = [
        |operation| operation.kind == POLICY,
        |operation| operation.kind == BINDING,
        is_probe,
    ];
    for is_it in is_of_the_proof {
        let mut stage = platform(writing());
        let failures = Arc::new(AtomicUsize::new(0));
        let (counter, cluster) = (Arc::clone(&failures), stage.cluster.clone());
        stage.cluster.set_interceptor(move |operation| {
            if is_it(operation) && counter.fetch_add(1, Ordering::Relaxed) < 2 {
                return Verdict::Fail(ApiError::new(ApiReason::Unavailable, "try again later"));
            }
            by_restore_policy(&cluster, operation)
        });
        restored_into(&mut stage, OTHER).await;
        while let Some(at) = stage
            .runner
            .next_at()
            .filter(|_| failures.load(Ordering::Relaxed) < 3)
        {
            stage.cluster.set_now(at.as_second() + 1);
            stage.runner.settle().await.unwrap();
        }
        let said = stage.said("RestoreJob", TENANT, "across");
        assert!(said.starts_with("Succeeded"), "{said}");
    }
}

#[tokio::test]
async fn what_was_proved_holds_until_the_job_ends() {
    let mut stage = platform(restoring(
        &[until_done(OTHER), create(OTHER, "restored")].concat(),
    ));
    let said = restored_into(&mut stage, OTHER).await;
    assert!(said.starts_with("Running Running: Busy"), "{said}");
    stage
        .delete_cluster_scoped(POLICY_API, POLICY, RESTORE_POLICY)
        .await
        .unwrap();
    let probes = |stage: &Stage| {
        stage
            .cluster
            .requests()
            .iter()
            .filter(|one| is_probe(one))
            .count()
    };
    let before = probes(&stage);
    stage.restart();
    put_map(&mut stage, OTHER, "done").await;
    let said = stage.said("RestoreJob", TENANT, "across");
    assert!(said.starts_with("Succeeded"), "{said}");
    assert!(map(&stage, "restored").is_some());
    assert_eq!(probes(&stage), before);
}
