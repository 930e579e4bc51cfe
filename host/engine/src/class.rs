//! The reconciler of BackupClasses: tells for every binding whether jobs of its kind can be carried out, before a
//! tenant finds out.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::{
    BackupClass, BackupClassStatus, BindingStatus, Condition, Reason, StrategyBinding,
    names::{API_VERSION, STRATEGY_GROUP},
    set_condition,
};
use serde_json::{Value, json};

use crate::{
    admit::entries,
    cluster::{ApiError, Caller, Cluster},
    host::{Evaluator, Host},
    interest::{Interest, Next},
    object, parameters,
    queue::Key,
    secrets,
    stop::Stop,
    strategies::Serving,
    upkeep,
};

impl<C: Cluster> Host<C> {
    /// One pass over a BackupClass.
    pub(crate) async fn reconcile_class(&self, key: &Key) -> Result<Next, ApiError> {
        let target = object::target(API_VERSION, "BackupClass", None, &key.name);
        let Some(found) = self.cluster.get(&Caller::host(), &target).await? else {
            return Ok(Next::gone());
        };
        let class: BackupClass = match serde_json::from_value(found.clone()) {
            Ok(class) => class,
            Err(error) => {
                // Only a definition older than the host lets such an object in.
                tracing::warn!(class = key.name, %error, "a BackupClass cannot be read");
                return Ok(Next::quiet().watching(Interest::of(target)));
            }
        };
        let mut interest = Interest::of(target);
        // Parameters are held against the platform's keys, which may become others.
        for secret in self.settings.storage.secrets() {
            interest.watch(secret);
        }
        let mut strategies = vec![];
        let mut bound = BTreeSet::new();
        for binding in &class.spec.strategies {
            interest.strategy(&binding.strategy_ref);
            let is_first = bound.insert((binding.application.group(), &binding.application.kind));
            strategies.push(self.binding_status(binding, is_first).await?);
        }
        let status = self.class_status(&class, strategies);
        upkeep::write_status(&self.cluster, &found, &status).await?;
        Ok(Next::quiet().watching(interest))
    }

    fn class_status(
        &self,
        class: &BackupClass,
        strategies: Vec<BindingStatus>,
    ) -> BackupClassStatus {
        let mut status = class.status.clone().unwrap_or_default();
        let selector = class.spec.allows(&BTreeMap::new()).err();
        let (reason, message) = ready(&strategies, selector);
        let is_ready = reason == Reason::BindingsReady;
        let mut condition = Condition::new("Ready", is_ready, reason.as_str(), message, self.now());
        condition.observed_generation = class.metadata.generation;
        set_condition(&mut status.conditions, condition);
        status.observed_generation = class.metadata.generation;
        let kinds: BTreeSet<&str> = strategies.iter().map(|bound| bound.kind.as_str()).collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(",");
        status.kinds = Some(kinds).filter(|kinds| !kinds.is_empty());
        status.strategies = strategies;
        status
    }

    async fn binding_status(
        &self,
        binding: &StrategyBinding,
        is_first: bool,
    ) -> Result<BindingStatus, ApiError> {
        let mut status = BindingStatus {
            kind: binding.application.kind.clone(),
            ready: true,
            ..BindingStatus::default()
        };
        if !is_first {
            status.message = Some("never used: an earlier binding is for the same kind".to_owned());
            return Ok(status);
        }
        if binding.strategy_ref.api_group != STRATEGY_GROUP {
            let group = &binding.strategy_ref.api_group;
            status.message = Some(format!("left to the controller of {group}"));
            return Ok(status);
        }
        let (reason, message) = match self.check_binding(binding).await {
            Ok(()) => return Ok(status),
            Err(Stop::Api(error)) => return Err(error),
            Err(
                Stop::Wait {
                    reason, message, ..
                }
                | Stop::Setback {
                    reason, message, ..
                },
            ) => (reason, message),
            Err(Stop::Fail(message)) => (Reason::BindingNotReady, message),
            Err(Stop::Foreign | Stop::NotYet(_)) => return Ok(status),
        };
        status.ready = false;
        status.reason = Some(reason.as_str().to_owned());
        status.message = Some(message);
        Ok(status)
    }

    /// Everything about a binding that can be known before there is a job.
    async fn check_binding(&self, binding: &StrategyBinding) -> Result<(), Stop> {
        let application = &binding.application;
        let (serving, strategy) = self
            .plugin_and_strategy(
                &binding.strategy_ref,
                None,
                application.group(),
                &application.kind,
            )
            .await?;
        if let Some(problem) = self.credentials_in_parameters(binding).await {
            return Err(Stop::setback(Reason::ParametersInvalid, problem));
        }
        if let Some(problem) = parameters::problem(&serving, &strategy, binding) {
            return Err(Stop::setback(Reason::ParametersInvalid, problem));
        }
        self.documents.compiled(&strategy)?;
        self.validate(&serving, &strategy, binding).await
    }

    /// Why the parameters of a binding are no secret's place, where one stands in them.
    async fn credentials_in_parameters(&self, binding: &StrategyBinding) -> Option<String> {
        let parameters = &binding.parameters;
        if parameters.is_empty() {
            return None;
        }
        if let Some(problem) = secrets::in_parameters(parameters) {
            return Some(problem);
        }
        // Where there are no keys there is nothing to look for. Jobs say that they are missing.
        let credentials = self.credentials().await.ok()?;
        secrets::platform_keys_in_parameters(&self.platform_keys(&credentials), parameters)
    }

    /// Asks the strategy itself.
    async fn validate(
        &self,
        serving: &Serving,
        strategy: &Value,
        binding: &StrategyBinding,
    ) -> Result<(), Stop> {
        let spec = strategy.get("spec").cloned().unwrap_or_else(|| json!({}));
        let parameters = entries(&binding.parameters);
        let guest = serving.strategy.clone();
        let ask = move || guest.validate(&spec.to_string(), &parameters);
        let answer = match self.evaluator {
            Evaluator::Inline => ask(),
            Evaluator::Blocking => tokio::task::spawn_blocking(ask).await.map_err(|error| {
                Stop::setback(
                    Reason::PluginError,
                    format!("the evaluation was lost: {error}"),
                )
            })?,
        };
        let problems = answer.map_err(|error| {
            Stop::setback(
                Reason::PluginError,
                format!("plugin {} failed: {error}", serving.name),
            )
        })?;
        let problems: Vec<String> = problems
            .iter()
            .map(|problem| format!("{} {}", problem.path, problem.message))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        let strategy = object::describe(&object::reference(strategy));
        Err(Stop::setback(
            Reason::BindingNotReady,
            format!("{strategy}: {}", problems.join("; ")),
        ))
    }
}

/// What a class says of itself as a whole.
fn ready(strategies: &[BindingStatus], selector: Option<String>) -> (Reason, String) {
    let broken: Vec<String> = strategies
        .iter()
        .filter(|binding| !binding.ready)
        .map(|binding| {
            let message = binding.message.as_deref().unwrap_or_default();
            format!("{}: {message}", binding.kind)
        })
        .chain(selector)
        .collect();
    if broken.is_empty() {
        let message = "every binding is in order".to_owned();
        return (Reason::BindingsReady, message);
    }
    (Reason::BindingNotReady, broken.join("; "))
}
