//! Restores into another namespace on a real API server, which evaluates the chart's policy.

use std::sync::Arc;

use backup_engine::{
    Evaluator, Host, Key, MemoryStorage, Serving, Settings, Strategies,
    cluster::{ApiError, ApiReason, Caller, Cluster as _, DeleteOptions, Part},
    proposed_grant,
};
use backup_sandbox::contract::ObjectRef;
use backupstrategy_controller::RealCluster;
use jiff::Timestamp;
use serde_json::{Value, json};
use stage::{RESTORE_POLICY, Stage, restore_policy};
use strategyctl::{HostAccount, installation};

use crate::{
    cluster::{API, BOUND, Scene},
    guest::Guest,
    installed::{Alone, exclusively},
};

const POLICY_API: &str = "admissionregistration.k8s.io/v1";
const POLICY: &str = "ValidatingAdmissionPolicy";
const BINDING: &str = "ValidatingAdmissionPolicyBinding";
const HOST_NAMESPACE: &str = "cozy-backup-controller";

/// What the guest says of itself.
const MANIFEST: &str = r#"{
    "name": "copier", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Copier", "plural": "copiers", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }],
    "writes": [{ "apiVersion": "v1", "kind": "ConfigMap", "actions": ["create"] }],
    "restoreOptions": { "type": "object", "properties": { "targetNamespace": { "type": "string" } } }
}"#;

/// May create RestoreJobs in both namespaces.
const ALICE: &str = "alice";
/// May create and change them in the first only.
const BOB: &str = "bob";

/// Two tenants, and a host in the test's process, under the host's account, whose strategy writes a ConfigMap into the second one's namespace.
struct Copies {
    scene: Scene,
    cluster: RealCluster,
    host: Host<RealCluster>,
    other: String,
}

impl Copies {
    async fn new(alone: &Alone) -> Self {
        let scene = Scene::with_storage(alone).await;
        let other = scene.other_namespace().await;
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "restored", "namespace": other } });
        let body = format!("(call $plan.create '{map}' (i32.const 1))");
        let component = Guest::restoring(&body).manifest(MANIFEST).build();
        let strategy = Stage::component(&component).unwrap();
        let account = HostAccount::default();
        for object in installation(&strategy, "copier.wasm", &account).unwrap() {
            // The host of this test has the component already, and others have nothing to do with it.
            if object["kind"] != "StrategyPlugin" {
                scene.put(object).await;
            }
        }
        let strategies = Arc::new(Strategies::default());
        strategies.serve(Serving {
            name: "copier".to_owned(),
            grant: proposed_grant(strategy.manifest(), "copier.wasm", HOST_NAMESPACE),
            strategy,
        });
        let host = Host::new(
            RealCluster::new(scene.host_client().await),
            Settings::default(),
            strategies,
            Arc::new(MemoryStorage::default()),
            Arc::new(Timestamp::now),
            Evaluator::Blocking,
        );
        let copies = Self {
            cluster: RealCluster::new(scene.client()),
            scene,
            host,
            other,
        };
        copies.furnish().await;
        copies
    }

    /// The strategy object, a Backup, and who may what.
    async fn furnish(&self) {
        let own = self.scene.namespace();
        self.scene
            .put(json!({
                "apiVersion": "strategy.backups.cozystack.io/v1alpha1", "kind": "Copier",
                "metadata": { "name": "copier" }, "spec": {},
            }))
            .await;
        let backup = json!({
            "apiVersion": API, "kind": "Backup",
            "metadata": { "name": "ad-hoc", "namespace": own },
            "spec": {
                "applicationRef": { "apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders-db" },
                "strategyRef": { "apiGroup": "strategy.backups.cozystack.io", "kind": "Copier", "name": "copier" },
                "takenAt": "2026-01-01T00:00:00Z",
            },
            "status": { "phase": "Ready" },
        });
        self.scene.put_with_status(vec![backup]).await;
        for (namespace, users) in [(own, &[ALICE, BOB][..]), (&self.other, &[ALICE][..])] {
            let metadata = json!({ "name": "restores", "namespace": namespace });
            let rbac = "rbac.authorization.k8s.io";
            let subjects = users
                .iter()
                .map(|user| json!({ "kind": "User", "apiGroup": rbac, "name": user }));
            let subjects: Vec<Value> = subjects.collect();
            self.scene
                .put(json!({
                    "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": metadata,
                    "rules": [{
                        "apiGroups": ["backups.cozystack.io"], "resources": ["restorejobs"],
                        "verbs": ["create", "get", "patch"],
                    }],
                }))
                .await;
            self.scene
                .put(json!({
                    "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding", "metadata": metadata,
                    "roleRef": { "apiGroup": rbac, "kind": "Role", "name": "restores" },
                    "subjects": subjects,
                }))
                .await;
        }
    }

    /// Somebody creates a restore into the other namespace.
    async fn ordered(&self, user: &str, name: &str) -> Result<Value, ApiError> {
        self.ordered_with(user, name, &json!({ "targetNamespace": self.other }))
            .await
    }

    async fn ordered_with(
        &self,
        user: &str,
        name: &str,
        options: &Value,
    ) -> Result<Value, ApiError> {
        let job = self.job(name, options);
        let cluster = self.of(user).await;
        cluster.create(&Caller::host(), "test", &job, false).await
    }

    fn job(&self, name: &str, options: &Value) -> Value {
        json!({
            "apiVersion": API, "kind": "RestoreJob",
            "metadata": { "name": name, "namespace": self.scene.namespace() },
            "spec": { "backupRef": { "name": "ad-hoc" }, "options": options },
        })
    }

    /// Somebody changes a RestoreJob.
    async fn changed(&self, user: &str, name: &str, patch: &Value) -> Result<Value, ApiError> {
        let target = ObjectRef {
            api_version: API.to_owned(),
            kind: "RestoreJob".to_owned(),
            namespace: Some(self.scene.namespace().to_owned()),
            name: name.to_owned(),
        };
        self.of(user)
            .await
            .merge(&Caller::host(), "test", &target, patch, Part::Main)
            .await
    }

    /// The cluster as a user sees it.
    async fn of(&self, user: &str) -> RealCluster {
        RealCluster::new(self.scene.client_as(user).await)
    }

    /// What a job says once the host has looked at it: `Phase: message`.
    async fn looked_at(&self, name: &str) -> String {
        let key = Key {
            kind: "RestoreJob".to_owned(),
            namespace: self.scene.namespace().to_owned(),
            name: name.to_owned(),
        };
        self.host.reconcile(&key).await.unwrap();
        let job = self.scene.read(API, "RestoreJob", name).await.unwrap();
        let text = |field: &str| job["status"][field].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("phase"), text("message"))
    }

    /// The policy and its binding come; gives back once the API server heeds them.
    async fn policy_comes(&self) {
        for object in restore_policy().unwrap() {
            self.scene.put(object).await;
        }
        self.is_heeded(true).await;
    }

    /// The policy and its binding, which the chart has brought, go.
    async fn policy_goes(&self) {
        self.goes(BINDING).await;
        self.goes(POLICY).await;
        self.is_heeded(false).await;
    }

    /// Done once the API server has taken up that the policy is there, or is not.
    async fn is_heeded(&self, heeded: bool) {
        let trial = self.job("trial", &json!({ "targetNamespace": self.other }));
        let cluster = self.of(BOB).await;
        let tried = async || cluster.create(&Caller::host(), "test", &trial, true).await;
        let taken_up = async { while tried().await.is_err() != heeded {} };
        let waited = tokio::time::timeout(BOUND, taken_up).await;
        assert!(
            waited.is_ok(),
            "the policy is never taken up, or never given up"
        );
    }

    /// A restore that is created long enough after the policy: earlier ones are refused.
    async fn restored(&self, name: &str) -> String {
        for number in 0.. {
            let name = format!("{name}-{number}");
            self.ordered(ALICE, &name).await.unwrap();
            let said = self.looked_at(&name).await;
            if !said.contains("create the job again") {
                return said;
            }
        }
        unreachable!("numbers do not end")
    }

    /// The policy, or its binding, is deleted.
    async fn goes(&self, kind: &str) {
        let target = ObjectRef {
            api_version: POLICY_API.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: RESTORE_POLICY.to_owned(),
        };
        let options = DeleteOptions::default();
        self.cluster
            .delete(&Caller::host(), &target, &options)
            .await
            .unwrap();
    }

    /// The other namespace is as it was.
    async fn nothing_is_written(&self) {
        for kind in ["ConfigMap", "Secret"] {
            let target = ObjectRef {
                api_version: "v1".to_owned(),
                kind: kind.to_owned(),
                namespace: Some(self.other.clone()),
                name: if kind == "Secret" {
                    "cozy-backups-creds"
                } else {
                    "restored"
                }
                .to_owned(),
            };
            let found = self.cluster.get(&Caller::host(), &target).await.unwrap();
            assert_eq!(found, None);
        }
    }
}

const NOT_ALLOWED: &str = "Failed: TargetNamespaceNotAllowed: ";

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_goes_only_where_its_author_may_create_restores() {
    let alone = exclusively().await;
    let copies = Copies::new(&alone).await;

    // Without the policy anybody can write such a job, and the host carries none of them out.
    copies.policy_goes().await;
    copies.ordered(BOB, "without").await.unwrap();
    copies.ordered(ALICE, "early").await.unwrap();
    let said = copies.looked_at("without").await;
    assert!(
        said.starts_with(NOT_ALLOWED) && said.contains("there is no ValidatingAdmissionPolicy"),
        "{said}"
    );

    copies.policy_comes().await;
    let said = copies.looked_at("early").await;
    assert!(
        said.starts_with(NOT_ALLOWED) && said.contains("create the job again"),
        "{said}"
    );
    copies.nothing_is_written().await;

    // With it, who has no right there gets no such job, by no way.
    let refused = copies.ordered(BOB, "nightly").await.unwrap_err();
    assert_eq!(refused.reason, ApiReason::Forbidden);
    let words = format!(
        "a restore into namespace {} needs the right to create RestoreJobs there",
        copies.other
    );
    assert!(refused.message.ends_with(&words), "{refused}");
    let odd = json!({ "targetNamespace": { "name": copies.other } });
    let refused = copies.ordered_with(BOB, "odd", &odd).await.unwrap_err();
    assert_eq!(refused.reason, ApiReason::Forbidden, "{refused}");
    copies
        .ordered_with(BOB, "in-place", &json!({}))
        .await
        .unwrap();
    let changed = json!({ "spec": { "options": { "targetNamespace": copies.other } } });
    let refused = copies.changed(BOB, "in-place", &changed).await.unwrap_err();
    assert!(refused.message.ends_with(&words), "{refused}");

    // Nor changes one that somebody else may have.
    copies.ordered(ALICE, "hers").await.unwrap();
    let changed =
        json!({ "spec": { "targetApplicationRef": { "kind": "Postgres", "name": "another" } } });
    let refused = copies.changed(BOB, "hers", &changed).await.unwrap_err();
    assert!(refused.message.ends_with(&words), "{refused}");
    let labelled = json!({ "metadata": { "labels": { "seen": "yes" } } });
    copies.changed(BOB, "hers", &labelled).await.unwrap();
    copies.changed(ALICE, "hers", &changed).await.unwrap();

    let said = copies.restored("across").await;
    assert_eq!(said, "Succeeded: Backup ad-hoc is restored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_away_is_not_relied_on() {
    let alone = exclusively().await;
    let copies = Copies::new(&alone).await;
    copies.policy_comes().await;
    for kind in [POLICY, BINDING] {
        for name in ["gone", "anew"] {
            copies
                .ordered(ALICE, &format!("{name}-{}", kind.len()))
                .await
                .unwrap();
        }
        copies.goes(kind).await;
        let said = copies.looked_at(&format!("gone-{}", kind.len())).await;
        assert!(
            said.starts_with(NOT_ALLOWED)
                && said.contains(&format!("there is no {kind} of that name")),
            "{said}"
        );
        copies.policy_comes().await;
        let said = copies.looked_at(&format!("anew-{}", kind.len())).await;
        assert!(
            said.starts_with(NOT_ALLOWED) && said.contains("create the job again"),
            "{said}"
        );
    }
    copies.nothing_is_written().await;
}
