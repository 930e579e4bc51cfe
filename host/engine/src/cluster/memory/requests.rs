//! The trait: every request is logged, may be made to fail, is authorized, carried out and settled.

use backup_sandbox::contract::{ObjectRef, Selector};
use serde_json::Value;

use super::{
    super::{Account, ApiError, Caller, Cluster, DeleteOptions, Part},
    deletion, errors,
    faults::{Operation, Policy, Verb, Verdict},
    kinds::Kind,
    seeding::{MemoryCluster, settle},
    store::{Key, State, shown},
    writes::{self, Write},
};

/// The user that the host's own account is in messages.
const HOST_USER: &str = "system:serviceaccount:cozy-backup-controller:backupstrategy-controller";

fn user(account: &Account) -> String {
    match account {
        Account::Host => HOST_USER.to_owned(),
        Account::Strategy { namespace, name } => {
            format!("system:serviceaccount:{namespace}:{name}")
        }
    }
}

/// # Errors
/// Forbidden, in the words of the API server's authorizer.
fn authorize(policy: Option<&Policy>, kind: &Kind, operation: &Operation) -> Result<(), ApiError> {
    if policy.is_none_or(|policy| policy(operation)) {
        return Ok(());
    }
    let subresource = match (operation.verb, operation.part) {
        (Verb::Log, _) => "/log",
        (_, Part::Status) => "/status",
        _ => "",
    };
    let place = match &operation.namespace {
        Some(namespace) => format!("in the namespace {namespace:?}"),
        None => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User {:?} cannot {} resource \"{}{subresource}\" in API group {:?} {place}",
        user(&operation.account),
        operation.verb.as_rbac(),
        kind.plural,
        kind.group,
    );
    // A create names nothing yet.
    let name = operation
        .name
        .as_deref()
        .filter(|_| operation.verb != Verb::Create);
    Err(errors::forbidden(kind, name, &why))
}

impl MemoryCluster {
    /// Carries a request out. `work` runs under the lock; its last argument says whether the account may also
    /// create, which only an apply has to know.
    fn serve<T>(
        &self,
        operation: Operation,
        unknown: impl FnOnce() -> Result<T, ApiError>,
        work: impl FnOnce(&mut State, &Kind, Result<(), ApiError>) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (interceptor, policy) = {
            let mut state = self.lock();
            state.requests.push(operation.clone());
            (state.interceptor.clone(), state.policy.clone())
        };
        let verdict = interceptor.map_or(Verdict::Pass, |intercept| intercept(&operation));
        if let Verdict::Fail(error) = verdict {
            return Err(error);
        }
        let kind = self
            .lock()
            .kinds
            .find(&operation.api_version, &operation.kind);
        let answer = match kind {
            None => unknown(),
            Some(kind) => authorize(policy.as_ref(), &kind, &operation).and_then(|()| {
                let may_create = match operation.verb {
                    Verb::Apply => authorize(
                        policy.as_ref(),
                        &kind,
                        &Operation {
                            verb: Verb::Create,
                            ..operation.clone()
                        },
                    ),
                    _ => Ok(()),
                };
                let mut state = self.lock();
                let answer = work(&mut state, &kind, may_create);
                if operation.writes() {
                    settle(&mut state);
                }
                answer
            }),
        };
        match verdict {
            Verdict::PassThenFail(error) => Err(error),
            _ => answer,
        }
    }
}

impl MemoryCluster {
    /// Carries out a write that leaves an object, and tells the listener of it.
    fn write(
        &self,
        operation: Operation,
        work: impl FnOnce(&mut State, &Kind, Result<(), ApiError>) -> Result<Value, ApiError>,
    ) -> Result<Value, ApiError> {
        let listener = self.lock().listener.clone();
        let told = listener.map(|listener| (listener, operation.clone()));
        let written = self.serve(operation, || Err(errors::no_such_resource()), work)?;
        if let Some((listener, operation)) = told {
            listener(&operation, &written);
        }
        Ok(written)
    }
}

/// The request for one object.
fn on_object(caller: &Caller, verb: Verb, target: &ObjectRef) -> Operation {
    Operation {
        namespace: target.namespace.clone(),
        name: Some(target.name.clone()),
        ..Operation::new(caller, verb, &target.api_version, &target.kind)
    }
}

/// The request that an object is the body of.
fn of_object(caller: &Caller, verb: Verb, body: &Value) -> Operation {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = |field: &str| Some(text(&body["metadata"][field])).filter(|text| !text.is_empty());
    Operation {
        namespace: named("namespace"),
        name: named("name"),
        ..Operation::new(
            caller,
            verb,
            &text(&body["apiVersion"]),
            &text(&body["kind"]),
        )
    }
}

/// Where an object is, unless the path to it could not exist: a namespace too many or too few.
fn key(kind: &Kind, target: &ObjectRef) -> Option<Key> {
    let namespace = target.namespace.as_deref().unwrap_or_default();
    (kind.namespaced != namespace.is_empty()).then(|| Key::new(kind, namespace, &target.name))
}

fn carries(object: &Value, matching: &Selector) -> bool {
    let labels = &object["metadata"]["labels"];
    matching
        .labels
        .iter()
        .all(|label| labels[&label.key].as_str() == Some(label.value.as_str()))
}

/// A status part that the kind does not have: the handler of custom resources answers for the object, the router
/// for the API server's own kinds.
fn need_part(kind: &Kind, name: &str, part: Part) -> Result<(), ApiError> {
    match part {
        Part::Status if kind.has_status() => Ok(()),
        Part::Status if kind.native => Err(errors::no_such_resource()),
        Part::Status => Err(errors::not_found(kind, name)),
        Part::Main => Ok(()),
    }
}

impl Cluster for MemoryCluster {
    async fn get(&self, caller: &Caller, target: &ObjectRef) -> Result<Option<Value>, ApiError> {
        self.serve(
            on_object(caller, Verb::Get, target),
            || Ok(None),
            |state, kind, _| {
                let stored = key(kind, target).and_then(|key| state.objects.get(&key));
                Ok(stored.map(|stored| shown(kind, &stored.object)))
            },
        )
    }

    async fn list(&self, caller: &Caller, matching: &Selector) -> Result<Vec<Value>, ApiError> {
        let operation = Operation {
            namespace: matching.namespace.clone(),
            ..Operation::new(caller, Verb::List, &matching.api_version, &matching.kind)
        };
        self.serve(
            operation,
            || Ok(Vec::new()),
            |state, kind, _| {
                let namespace = matching.namespace.as_deref();
                if namespace.is_some() && !kind.namespaced {
                    return Ok(Vec::new());
                }
                let found = state
                    .of_kind(kind, namespace)
                    .filter(|(_, stored)| carries(&stored.object, matching));
                Ok(found
                    .map(|(_, stored)| shown(kind, &stored.object))
                    .collect())
            },
        )
    }

    async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, ApiError> {
        Ok(self.lock().kinds.find(api_version, kind).is_some())
    }

    async fn log_tail(
        &self,
        caller: &Caller,
        pod: &ObjectRef,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<Option<String>, ApiError> {
        self.serve(
            on_object(caller, Verb::Log, pod),
            || Ok(None),
            |state, kind, _| {
                let Some(key) = key(kind, pod).filter(|key| state.objects.contains_key(key)) else {
                    return Ok(None);
                };
                let log =
                    state
                        .logs
                        .get(&(key.namespace, key.name, container.to_owned(), previous));
                Ok(log.map(|text| tail(text, lines)))
            },
        )
    }

    async fn create(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let operation = Operation {
            dry_run,
            ..of_object(caller, Verb::Create, object)
        };
        let write = Write {
            manager,
            part: Part::Main,
            dry_run,
        };
        self.write(operation, |state, kind, _| {
            writes::create(state, kind, object, &write)
        })
    }

    async fn apply(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let operation = Operation {
            part,
            ..of_object(caller, Verb::Apply, object)
        };
        let write = Write {
            manager,
            part,
            dry_run: false,
        };
        self.write(operation, |state, kind, may_create| {
            need_part(kind, super::object::text(object, "name"), part)?;
            writes::apply(state, kind, object, &write, may_create)
        })
    }

    async fn merge(
        &self,
        caller: &Caller,
        manager: &str,
        target: &ObjectRef,
        patch: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let operation = Operation {
            part,
            ..on_object(caller, Verb::Merge, target)
        };
        let write = Write {
            manager,
            part,
            dry_run: false,
        };
        self.write(operation, |state, kind, _| {
            need_part(kind, &target.name, part)?;
            let key = key(kind, target).ok_or_else(errors::no_such_resource)?;
            writes::merge(state, kind, key, patch, &write)
        })
    }

    async fn delete(
        &self,
        caller: &Caller,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        self.serve(
            on_object(caller, Verb::Delete, target),
            || Err(errors::no_such_resource()),
            |state, kind, _| {
                let key = key(kind, target).ok_or_else(errors::no_such_resource)?;
                deletion::delete(state, kind, &key, options)
            },
        )
    }
}

/// The last lines, each with its end.
fn tail(text: &str, lines: u32) -> String {
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let from = all
        .len()
        .saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    all[from..].concat()
}
