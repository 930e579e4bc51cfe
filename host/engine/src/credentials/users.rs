//! Who could use the copy in a namespace.

use backup_api::names::{API_VERSION, STRATEGY_GROUP};
use backup_sandbox::contract::{ObjectRef, Selector};
use serde_json::Value;

use super::copies::{caller, purpose};
use crate::{
    cluster::{Account, ApiError, Cluster},
    host::Host,
    object,
    restore_target::works_in,
};

/// Who could use a copy.
pub(super) enum User {
    /// This object. As long as it is there nothing else is looked at.
    Object(ObjectRef),
    /// This application, of a kind that uses the credentials between jobs, as a strategy's account sees it.
    Application(Account, ObjectRef),
    /// It cannot be told, for this reason.
    Unknown(String),
    /// Nobody.
    Nobody,
}

impl<C: Cluster> Host<C> {
    /// Who could use the copy in a namespace, with the least requests: what is known without one comes first.
    pub(super) async fn user_of(&self, namespace: &str) -> User {
        let user = async {
            if let Some(found) = self.object_that_uses(namespace).await? {
                return Ok(User::Object(found));
            }
            if let Some((account, found)) = self.application_that_uses(namespace).await? {
                return Ok(User::Application(account, found));
            }
            let missing = self.strategy_that_is_not_known(namespace).await?;
            Ok(missing.map_or(User::Nobody, User::Unknown))
        };
        let user: Result<User, ApiError> = user.await;
        user.unwrap_or_else(|error| User::Unknown(error.to_string()))
    }

    /// A Plan, a job that has not ended, or a Backup, which may be restored.
    async fn object_that_uses(&self, namespace: &str) -> Result<Option<ObjectRef>, ApiError> {
        let host = caller(namespace);
        let plan = of_kind(API_VERSION, "Plan", Some(namespace));
        if let Some(found) = self.cluster.first(&host, &plan).await? {
            return Ok(Some(found));
        }
        // A RestoreJob of any namespace may work in this one.
        for (kind, of) in [("BackupJob", Some(namespace)), ("RestoreJob", None)] {
            let jobs = self.cluster.live_jobs(kind, of).await?;
            let uses = |job: &Value| {
                object::text(job, &["metadata", "namespace"]) == namespace
                    || works_in(job) == namespace
            };
            if let Some(job) = jobs.iter().find(|job| uses(job)) {
                return Ok(Some(object::reference(job)));
            }
        }
        let backup = of_kind(API_VERSION, "Backup", Some(namespace));
        self.cluster.first(&host, &backup).await
    }

    /// An application of a kind whose strategy says that it uses the credentials between jobs.
    async fn application_that_uses(
        &self,
        namespace: &str,
    ) -> Result<Option<(Account, ObjectRef)>, ApiError> {
        for serving in self.strategies.all() {
            if !serving.strategy.manifest().uses_credentials_between_jobs {
                continue;
            }
            let caller = serving.caller(&purpose(namespace));
            for granted in &serving.grant.applications {
                let api_version = object::application_version(&granted.group);
                let applications = of_kind(&api_version, &granted.kind, Some(namespace));
                if let Some(found) = self.cluster.first(&caller, &applications).await? {
                    return Ok(Some((caller.account, found)));
                }
            }
        }
        Ok(None)
    }

    /// A strategy that somebody relies on and that no plugin serves: what its applications use is not known.
    async fn strategy_that_is_not_known(
        &self,
        namespace: &str,
    ) -> Result<Option<String>, ApiError> {
        let host = caller(namespace);
        let plugins = of_kind(API_VERSION, "StrategyPlugin", None);
        for plugin in self.cluster.list(&host, &plugins).await? {
            let kind = object::text(&plugin, &["spec", "strategyKind"]);
            if self.strategies.serving(kind).is_none() {
                let name = object::reference(&plugin).name;
                return Ok(Some(format!("StrategyPlugin {name} does not serve")));
            }
        }
        let classes = of_kind(API_VERSION, "BackupClass", None);
        for class in self.cluster.list(&host, &classes).await? {
            if let Some(kind) = self.unserved_kind(&class) {
                let name = object::reference(&class).name;
                return Ok(Some(format!(
                    "BackupClass {name} names a strategy of kind {kind}, which no plugin serves"
                )));
            }
        }
        Ok(None)
    }

    fn unserved_kind(&self, class: &Value) -> Option<String> {
        let bindings = class.pointer("/spec/strategies").and_then(Value::as_array);
        let strategies = bindings.into_iter().flatten();
        let mut ours = strategies.filter(|binding| {
            object::text(binding, &["strategyRef", "apiGroup"]) == STRATEGY_GROUP
        });
        ours.find_map(|binding| {
            let kind = object::text(binding, &["strategyRef", "kind"]);
            let is_served = self.strategies.serving(kind).is_some();
            (!is_served).then(|| kind.to_owned())
        })
    }
}

fn of_kind(api_version: &str, kind: &str, namespace: Option<&str>) -> Selector {
    Selector {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        labels: vec![],
    }
}
