//! `plan`: what should happen, written down.

use serde_json::Value;

use super::{Host, Stop, argument};
use crate::{
    Action, Condition, EvaluationError, Event, check,
    contract::{
        Lifetime, ObjectRef, Propagation, Selector, Severity,
        cozystack::backup_strategy::plan as contract,
    },
};

/// Bytes of a reference in a plan, roughly: what its parts have.
fn size(target: &ObjectRef) -> usize {
    let ObjectRef {
        api_version,
        kind,
        namespace,
        name,
    } = target;
    api_version.len() + kind.len() + namespace.as_deref().map_or(0, str::len) + name.len()
}

impl Host {
    /// The checks of every action that carries a whole object.
    fn object(&mut self, function: &'static str, text: &str) -> Result<Value, Stop> {
        self.planning(function)?;
        self.write_down(text.len())?;
        argument(function, check::object(text))
    }

    /// The checks of every action that names an object.
    fn target(
        &mut self,
        function: &'static str,
        target: &ObjectRef,
        more: Option<&str>,
    ) -> Result<(), Stop> {
        self.planning(function)?;
        argument(function, check::object_ref(target))?;
        self.write_down(size(target) + more.map_or(0, str::len))
    }

    fn helm_release(
        &mut self,
        function: &'static str,
        namespace: &str,
        release: &str,
    ) -> Result<(), Stop> {
        self.planning(function)?;
        argument(function, check::namespace(namespace))?;
        argument(function, check::name(release))?;
        self.write_down(namespace.len() + release.len())
    }
}

impl contract::Host for Host {
    fn create(&mut self, object: String, lifetime: Lifetime) -> wasmtime::Result<()> {
        let object = self.object("plan.create", &object)?;
        self.plan.actions.push(Action::Create { object, lifetime });
        Ok(())
    }

    fn dry_run(&mut self, object: String) -> wasmtime::Result<()> {
        let object = self.object("plan.dry-run", &object)?;
        self.plan.actions.push(Action::DryRun { object });
        Ok(())
    }

    fn apply(&mut self, object: String) -> wasmtime::Result<()> {
        let object = self.object("plan.apply", &object)?;
        self.plan.actions.push(Action::Apply { object });
        Ok(())
    }

    fn merge(&mut self, target: ObjectRef, patch: String) -> wasmtime::Result<()> {
        const NAME: &str = "plan.merge";
        self.target(NAME, &target, Some(&patch))?;
        let patch = argument(NAME, check::json_object("the patch", &patch))?;
        self.plan.actions.push(Action::Merge {
            target,
            patch: Value::Object(patch),
        });
        Ok(())
    }

    fn delete(
        &mut self,
        target: ObjectRef,
        uid: Option<String>,
        propagation: Propagation,
    ) -> wasmtime::Result<()> {
        const NAME: &str = "plan.delete";
        self.target(NAME, &target, uid.as_deref())?;
        argument(NAME, uid.as_deref().map_or(Ok(()), check::uid))?;
        self.plan.actions.push(Action::Delete {
            target,
            uid,
            propagation,
        });
        Ok(())
    }

    fn delete_all(&mut self, matching: Selector, propagation: Propagation) -> wasmtime::Result<()> {
        const NAME: &str = "plan.delete-all";
        self.planning(NAME)?;
        argument(NAME, check::selector(&matching))?;
        argument(NAME, check::labelled(&matching))?;
        let labels: usize = matching
            .labels
            .iter()
            .map(|label| label.key.len() + label.value.len())
            .sum();
        self.write_down(matching.api_version.len() + matching.kind.len() + labels)?;
        self.plan.actions.push(Action::DeleteAll {
            matching,
            propagation,
        });
        Ok(())
    }

    fn suspend(&mut self, namespace: String, release: String) -> wasmtime::Result<()> {
        self.helm_release("plan.suspend", &namespace, &release)?;
        self.plan
            .actions
            .push(Action::Suspend { namespace, release });
        Ok(())
    }

    fn resume(&mut self, namespace: String, release: String) -> wasmtime::Result<()> {
        self.helm_release("plan.resume", &namespace, &release)?;
        self.plan
            .actions
            .push(Action::Resume { namespace, release });
        Ok(())
    }

    fn purge(&mut self, path: String) -> wasmtime::Result<()> {
        const NAME: &str = "plan.purge";
        self.planning(NAME)?;
        argument(NAME, check::path(&path))?;
        self.write_down(path.len())?;
        self.plan.actions.push(Action::Purge { path });
        Ok(())
    }

    fn condition(
        &mut self,
        condition_type: String,
        status: bool,
        reason: String,
        message: String,
    ) -> wasmtime::Result<()> {
        const NAME: &str = "plan.condition";
        self.planning(NAME)?;
        argument(NAME, check::condition_type(&condition_type))?;
        argument(NAME, check::reason(&reason))?;
        argument(NAME, check::message(&message))?;
        self.write_down(condition_type.len() + reason.len() + message.len())?;
        self.plan.conditions.push(Condition {
            type_: condition_type,
            status,
            reason,
            message,
        });
        Ok(())
    }

    fn event(
        &mut self,
        severity: Severity,
        reason: String,
        message: String,
    ) -> wasmtime::Result<()> {
        const NAME: &str = "plan.event";
        self.planning(NAME)?;
        argument(NAME, check::reason(&reason))?;
        argument(NAME, check::message(&message))?;
        self.write_down(reason.len() + message.len())?;
        self.plan.events.push(Event {
            severity,
            reason,
            message,
        });
        Ok(())
    }

    fn remember(&mut self, state: Option<String>) -> wasmtime::Result<()> {
        const NAME: &str = "plan.remember";
        self.planning(NAME)?;
        if let Some(state) = &state {
            let limit = self.limits.state_bytes;
            if state.len() > limit {
                let what = "the state of `plan.remember`".to_owned();
                return Err(Stop::Failed(EvaluationError::Bytes {
                    question: self.question,
                    what,
                    limit,
                })
                .into());
            }
            argument(NAME, check::json("the state", state))?;
        }
        self.plan.remember = Some(state);
        Ok(())
    }
}
