//! The first stage: from a job to the strategy and the plugin that will do it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use backup_api::{
    ApplicationReference, Backup, BackupClass, BackupClassSpec, BackupJob, DeletionPolicy, Reason,
    StrategyBinding, StrategyReference,
    names::{API_VERSION, STRATEGY_API_VERSION, STRATEGY_GROUP},
};
use backup_sandbox::contract::ApplicationRef;
use serde_json::Value;

use crate::{
    backup::parameters_of,
    cluster::{Caller, Cluster},
    host::Host,
    interest::Interest,
    noted::Begun,
    object, parameters, secrets,
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
    /// How long a job may take in all.
    pub job_deadline: Duration,
    /// What the class says becomes of a new Backup's data, where it says something.
    pub deletion_policy: Option<DeletionPolicy>,
}

impl<C: Cluster> Host<C> {
    /// Finds strategy and plugin for an application by its class.
    ///
    /// The order is the reference's: nothing is asked of storage or credentials before it is known that the
    /// application is ours to back up.
    #[tracing::instrument(skip_all)]
    pub(crate) async fn resolve(
        &self,
        class: &str,
        namespace: &str,
        application: &ApplicationReference,
        begun: Option<&Begun>,
        interest: &mut Interest,
    ) -> Result<Binding, Stop> {
        let Some(found) = self.class(class).await? else {
            return Err(self.configuration_missing(
                Reason::BackupClassNotFound,
                format!(
                    "BackupClass {class} does not exist; name one of `kubectl get backupclasses`"
                ),
            ));
        };
        self.may_use(class, &found, namespace).await?;
        let binding = binding_of(class, &found, application)?;
        let strategy_ref = binding.strategy_ref.clone();
        if strategy_ref.api_group != STRATEGY_GROUP {
            return Err(Stop::Foreign);
        }
        // Before it is looked for: a job that waits for it is woken when it comes.
        interest.strategy(&strategy_ref);
        let (serving, strategy) = self
            .plugin_and_strategy(&strategy_ref, begun, application.group(), &application.kind)
            .await?;
        // What changes while a job runs is for the next one. Credentials are refused in words of their own.
        let problem = match begun {
            None if secrets::in_parameters(&binding.parameters).is_none() => {
                parameters::problem(&serving, &strategy, binding)
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(Stop::fail(format!(
                "{}: BackupClass {class}: {problem}; tell the platform's operator",
                Reason::ParametersInvalid
            )));
        }
        Ok(Binding {
            class: class.to_owned(),
            strategy_ref,
            strategy: Some(strategy),
            serving,
            parameters: binding.parameters.clone(),
            job_deadline: self.job_deadline(Some(&found)),
            deletion_policy: found.deletion_policy,
        })
    }

    /// A BackupClass's spec; none where there is no such class, or no name.
    pub(crate) async fn class(&self, name: &str) -> Result<Option<BackupClassSpec>, Stop> {
        if name.is_empty() {
            return Ok(None);
        }
        let target = object::target(API_VERSION, "BackupClass", None, name);
        let Some(found) = self.cluster.get(&Caller::host(), &target).await? else {
            return Ok(None);
        };
        let parsed: BackupClass = serde_json::from_value(found)
            .map_err(|error| Stop::fail(format!("BackupClass {name} cannot be read: {error}")))?;
        Ok(Some(parsed.spec))
    }

    /// Whether a class may be used in a namespace.
    pub(crate) async fn may_use(
        &self,
        name: &str,
        class: &BackupClassSpec,
        namespace: &str,
    ) -> Result<(), Stop> {
        if class.allowed_namespaces.is_none() {
            return Ok(());
        }
        let target = object::target("v1", "Namespace", None, namespace);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        let labels = found
            .as_ref()
            .and_then(|found| found.pointer("/metadata/labels"))
            .and_then(|labels| serde_json::from_value(labels.clone()).ok())
            .unwrap_or_default();
        match class.allows(&labels) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::fail(format!(
                "{}: BackupClass {name} is not for namespace {namespace}; name another of `kubectl get backupclasses`, or ask the platform's operator",
                Reason::NamespaceNotAllowed
            ))),
            Err(problem) => Err(Stop::Wait {
                reason: Reason::BindingNotReady,
                message: format!("BackupClass {name}: {problem}"),
                give_up_after: Some(self.settings.configuration_deadline),
            }),
        }
    }

    /// The same of a class by its name. A Backup outlives its class, and one that is gone forbids nothing.
    pub(crate) async fn class_allows(&self, name: &str, namespace: &str) -> Result<(), Stop> {
        match self.class(name).await? {
            Some(class) => self.may_use(name, &class, namespace).await,
            None => Ok(()),
        }
    }

    fn job_deadline(&self, class: Option<&BackupClassSpec>) -> Duration {
        class
            .and_then(|class| class.job_timeout_seconds)
            .map_or(self.settings.job_deadline, |seconds| {
                Duration::from_secs(seconds.into())
            })
    }

    /// Finds strategy and plugin for what is to be done with a Backup.
    #[tracing::instrument(name = "resolve", skip_all)]
    pub(crate) async fn resolve_backup(
        &self,
        backup: &Backup,
        application: &ApplicationRef,
        begun: Option<&Begun>,
    ) -> Result<Binding, Stop> {
        let strategy_ref = backup.spec.strategy_ref.clone();
        if strategy_ref.api_group != STRATEGY_GROUP {
            return Err(Stop::fail(format!(
                "the Backup was taken by a strategy of {}, which is another controller's",
                strategy_ref.api_group
            )));
        }
        let name = backup.spec.backup_class_name.clone().unwrap_or_default();
        // A Backup outlives its class.
        let class = self.class(&name).await?;
        if let Some(class) = &class {
            self.may_use(&name, class, &application.namespace).await?;
        }
        let (serving, strategy) = self
            .plugin_and_strategy(&strategy_ref, begun, &application.group, &application.kind)
            .await?;
        Ok(Binding {
            class: name,
            strategy_ref,
            strategy: Some(strategy),
            serving,
            parameters: parameters_of(backup),
            job_deadline: self.job_deadline(class.as_ref()),
            deletion_policy: None,
        })
    }

    /// Finds the plugin for what a job noted when it began. The strategy object may be gone.
    #[tracing::instrument(name = "resolve", skip_all)]
    pub(crate) async fn resolve_noted(
        &self,
        strategy_ref: StrategyReference,
        parameters: BTreeMap<String, String>,
        begun: Option<&Begun>,
    ) -> Result<Binding, Stop> {
        let serving = self.plugin_for(&strategy_ref.kind, begun)?;
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
            job_deadline: self.settings.job_deadline,
            deletion_policy: None,
        })
    }

    /// The parameters of a job's class; none where the class is gone or binds the application no more.
    pub(crate) async fn class_parameters(
        &self,
        job: &BackupJob,
    ) -> Result<BTreeMap<String, String>, Stop> {
        let name = &job.spec.backup_class_name;
        let class = self.class(name).await?;
        let binding = class
            .as_ref()
            .and_then(|class| binding_of(name, class, &job.spec.application_ref).ok());
        Ok(binding
            .map(|binding| binding.parameters.clone())
            .unwrap_or_default())
    }

    /// The plugin that serves a strategy and is granted a kind of application, and the strategy object.
    pub(crate) async fn plugin_and_strategy(
        &self,
        strategy_ref: &StrategyReference,
        begun: Option<&Begun>,
        group: &str,
        kind: &str,
    ) -> Result<(Arc<Serving>, Value), Stop> {
        let serving = self.plugin_for(&strategy_ref.kind, begun)?;
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
fn binding_of<'a>(
    name: &str,
    class: &'a BackupClassSpec,
    application: &ApplicationReference,
) -> Result<&'a StrategyBinding, Stop> {
    class
        .strategies
        .iter()
        .find(|binding| {
            binding.application.group() == application.group()
                && binding.application.kind == application.kind
        })
        .ok_or_else(|| {
            Stop::fail(format!(
                "BackupClass {name} has no strategy for applications of kind {} in {}; name a class that has one",
                application.kind,
                application.group()
            ))
        })
}
