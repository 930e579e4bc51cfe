//! The first stage: from a job to the strategy and the plugin that will do it.

use std::{collections::BTreeMap, sync::Arc};

use backup_api::{
    ApplicationReference, Backup, BackupClass, BackupJob, Reason, StrategyBinding,
    StrategyReference,
    names::{API_VERSION, APPLICATION_GROUP, STRATEGY_API_VERSION, STRATEGY_GROUP},
};
use backup_sandbox::contract::ApplicationRef;
use serde_json::Value;

use crate::{
    cluster::{Caller, Cluster},
    host::Host,
    object,
    stop::Stop,
    strategies::Serving,
};

/// What a class binds an application to.
pub(crate) struct Binding {
    /// The BackupClass's name.
    pub class: String,
    /// The strategy object's name and kind.
    pub strategy_ref: StrategyReference,
    /// The strategy object; none when a Backup outlives it.
    pub strategy: Option<Value>,
    /// The plugin that serves the kind.
    pub serving: Arc<Serving>,
    /// The class's parameters.
    pub parameters: BTreeMap<String, String>,
}

impl<C: Cluster> Host<C> {
    /// Finds strategy and plugin for an application by its class.
    ///
    /// The order is the reference's: nothing is asked of storage or credentials before it is known that the
    /// application is ours to back up.
    pub(crate) async fn resolve(
        &self,
        class: &str,
        application: &ApplicationReference,
    ) -> Result<Binding, Stop> {
        let host = Caller::host();
        let target = object::target(API_VERSION, "BackupClass", None, class);
        let Some(found) = self.cluster.get(&host, &target).await? else {
            return Err(self.configuration_missing(
                Reason::BackupClassNotFound,
                format!(
                    "BackupClass {class} does not exist; name one of `kubectl get backupclasses`"
                ),
            ));
        };
        let binding = binding_of(class, &found, application)?;
        let strategy_ref = binding.strategy_ref;
        if strategy_ref.api_group != STRATEGY_GROUP {
            return Err(Stop::Foreign);
        }
        let (serving, strategy) = self
            .plugin_and_strategy(&strategy_ref, application.group(), &application.kind)
            .await?;
        Ok(Binding {
            class: class.to_owned(),
            strategy_ref,
            strategy: Some(strategy),
            serving,
            parameters: binding.parameters,
        })
    }

    /// Finds strategy and plugin for what is to be done with a Backup.
    pub(crate) async fn resolve_backup(
        &self,
        backup: &Backup,
        application: &ApplicationRef,
    ) -> Result<Binding, Stop> {
        let strategy_ref = backup.spec.strategy_ref.clone();
        if strategy_ref.api_group != STRATEGY_GROUP {
            return Err(Stop::fail(format!(
                "the Backup was taken by a strategy of {}, which is another controller's",
                strategy_ref.api_group
            )));
        }
        let (serving, strategy) = self
            .plugin_and_strategy(&strategy_ref, &application.group, &application.kind)
            .await?;
        Ok(Binding {
            class: backup.spec.backup_class_name.clone().unwrap_or_default(),
            strategy_ref,
            strategy: Some(strategy),
            serving,
            parameters: backup.spec.parameters.clone(),
        })
    }

    /// Finds the plugin for what a job noted when it began. The strategy object may be gone.
    pub(crate) async fn resolve_noted(
        &self,
        strategy_ref: StrategyReference,
        parameters: BTreeMap<String, String>,
    ) -> Result<Binding, Stop> {
        let Some(serving) = self.strategies.serving(&strategy_ref.kind) else {
            return Err(self.configuration_missing(
                Reason::PluginNotReady,
                format!("no plugin serves strategies of kind {}", strategy_ref.kind),
            ));
        };
        let target = object::target(
            STRATEGY_API_VERSION,
            &strategy_ref.kind,
            None,
            &strategy_ref.name,
        );
        let strategy = self.cluster.get(&Caller::host(), &target).await?;
        Ok(Binding {
            class: String::new(),
            strategy_ref,
            strategy,
            serving,
            parameters,
        })
    }

    /// The parameters of a job's class; none where the class is gone or binds the application no more.
    pub(crate) async fn class_parameters(
        &self,
        job: &BackupJob,
    ) -> Result<BTreeMap<String, String>, Stop> {
        let class = &job.spec.backup_class_name;
        let target = object::target(API_VERSION, "BackupClass", None, class);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        let binding =
            found.and_then(|found| binding_of(class, &found, &job.spec.application_ref).ok());
        Ok(binding
            .map(|binding| binding.parameters)
            .unwrap_or_default())
    }

    async fn plugin_and_strategy(
        &self,
        strategy_ref: &StrategyReference,
        group: &str,
        kind: &str,
    ) -> Result<(Arc<Serving>, Value), Stop> {
        let Some(serving) = self.strategies.serving(&strategy_ref.kind) else {
            return Err(self.configuration_missing(
                Reason::PluginNotReady,
                format!(
                    "no plugin serves strategies of kind {}; see `kubectl get strategyplugins`",
                    strategy_ref.kind
                ),
            ));
        };
        if !serving.may_work_on(group, kind) {
            return Err(Stop::fail(format!(
                "StrategyPlugin {} is not granted applications of kind {kind} in {group}",
                serving.name
            )));
        }
        let target = object::target(
            STRATEGY_API_VERSION,
            &strategy_ref.kind,
            None,
            &strategy_ref.name,
        );
        let found = self.cluster.get(&Caller::host(), &target).await?;
        let strategy = found.ok_or_else(|| {
            self.configuration_missing(
                Reason::StrategyNotReady,
                format!("{} {} does not exist", strategy_ref.kind, strategy_ref.name),
            )
        })?;
        Ok((serving, strategy))
    }

    fn configuration_missing(&self, reason: Reason, message: String) -> Stop {
        Stop::Wait {
            reason,
            message,
            give_up_after: Some(self.settings.configuration_deadline),
        }
    }
}

/// The first binding of the class that fits the application's group and kind.
fn binding_of(
    class: &str,
    found: &Value,
    application: &ApplicationReference,
) -> Result<StrategyBinding, Stop> {
    let parsed: BackupClass = serde_json::from_value(found.clone())
        .map_err(|error| Stop::fail(format!("BackupClass {class} cannot be read: {error}")))?;
    parsed
        .spec
        .strategies
        .into_iter()
        .find(|binding| {
            let group = binding.application.api_group.as_deref().unwrap_or_default();
            let group = if group.is_empty() { APPLICATION_GROUP } else { group };
            group == application.group() && binding.application.kind == application.kind
        })
        .ok_or_else(|| {
            Stop::fail(format!(
                "BackupClass {class} has no strategy for applications of kind {} in {}; name a class that has one",
                application.kind,
                application.group()
            ))
        })
}
