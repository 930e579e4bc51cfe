//! The line between the host and the API server: the cluster as the host sees it.

use std::future::Future;

use backup_engine::cluster::{
    ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part,
    memory::{Operation, Verb},
};
use backup_sandbox::contract::{ObjectRef, Selector};
use serde_json::{Value, json};

use crate::{
    faults::{Armed, Fault, error},
    ground::{Ground, at_once},
};

/// The cluster, over a line that may fail.
#[derive(Clone)]
pub(crate) struct Line {
    pub ground: Ground,
}

impl Line {
    /// Sends a request, unless something goes wrong.
    async fn through<T>(
        &self,
        request: Operation,
        send: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let off = self.ground.faults().of_request(&request);
        let mut after = None;
        for armed in off {
            match armed {
                Armed::Happening(happening) => happening.happen(&self.ground),
                Armed::Fault(Fault::Interference) => self.interfere(&request),
                Armed::Fault(fault) => {
                    self.ground.note(|| {
                        format!(
                            "  fault: {} at {}",
                            describe_fault(fault),
                            describe(&request)
                        )
                    });
                    after = Some(fault);
                }
            }
        }
        match after {
            Some(Fault::Crash {
                is_sent: false,
                down,
            }) => return self.crash(down).await,
            Some(Fault::Error { reason, is_done }) if !(is_done && request.writes()) => {
                return Err(error(reason));
            }
            _ => {}
        }
        let now = self.ground.cluster.now();
        if self.ground.faults().is_denied(&request, now) {
            return Err(error(ApiReason::Forbidden));
        }
        let before = self.ground.cluster.revision();
        let answer = send.await;
        let revision = self.ground.cluster.revision();
        self.ground.faults().wrote(before + 1..revision + 1);
        if request.writes() {
            self.ground.note(|| {
                let outcome = answer.as_ref().err().map(|error| format!(": {error}"));
                format!("    {}{}", describe(&request), outcome.unwrap_or_default())
            });
        }
        match after {
            Some(Fault::Crash { down, .. }) => self.crash(down).await,
            Some(Fault::Error { reason, .. }) => Err(error(reason)),
            _ => answer,
        }
    }

    /// The process is gone: nothing comes back any more.
    async fn crash<T>(&self, down: u32) -> Result<T, ApiError> {
        self.ground.faults().crash(down);
        std::future::pending().await
    }

    /// Somebody writes to the object that a request is about.
    fn interfere(&self, request: &Operation) {
        let Some(name) = &request.name else { return };
        let target = ObjectRef {
            api_version: request.api_version.clone(),
            kind: request.kind.clone(),
            namespace: request.namespace.clone(),
            name: name.clone(),
        };
        let cluster = &self.ground.cluster;
        let mark = cluster.revision().to_string();
        let patch = json!({ "metadata": { "annotations": { "example.org/touched": mark } } });
        let written =
            at_once(cluster.merge(&Caller::host(), "kubectl", &target, &patch, Part::Main));
        if written.is_ok() {
            self.ground
                .note(|| format!("  somebody writes to {} {name}", request.kind));
        }
    }
}

fn describe_fault(fault: Fault) -> String {
    match fault {
        Fault::Crash { is_sent, .. } => {
            format!(
                "the host crashes {}",
                if is_sent { "after" } else { "before" }
            )
        }
        Fault::Interference => "somebody writes in between".to_owned(),
        Fault::Error { reason, is_done } => format!(
            "{}{}",
            reason.as_str(),
            if is_done { ", though it is done," } else { "" }
        ),
    }
}

/// A request in words.
pub(crate) fn describe(request: &Operation) -> String {
    let part = match request.part {
        Part::Main => "",
        Part::Status => " status of",
    };
    let namespace = request.namespace.as_deref().unwrap_or_default();
    let name = request.name.as_deref().unwrap_or("*");
    format!(
        "{:?}{part} {} {namespace}/{name}",
        request.verb, request.kind
    )
    .to_lowercase()
}

fn operation(caller: &Caller, verb: Verb, target: &ObjectRef) -> Operation {
    Operation {
        account: caller.account.clone(),
        purpose: caller.purpose.clone(),
        verb,
        api_version: target.api_version.clone(),
        kind: target.kind.clone(),
        namespace: target.namespace.clone(),
        name: Some(target.name.clone()).filter(|name| !name.is_empty()),
        part: Part::Main,
        dry_run: false,
    }
}

impl Cluster for Line {
    async fn get(&self, caller: &Caller, target: &ObjectRef) -> Result<Option<Value>, ApiError> {
        let request = operation(caller, Verb::Get, target);
        self.through(request, self.ground.cluster.get(caller, target))
            .await
    }

    async fn list(&self, caller: &Caller, matching: &Selector) -> Result<Vec<Value>, ApiError> {
        let target = ObjectRef {
            api_version: matching.api_version.clone(),
            kind: matching.kind.clone(),
            namespace: matching.namespace.clone(),
            name: String::new(),
        };
        let request = operation(caller, Verb::List, &target);
        self.through(request, self.ground.cluster.list(caller, matching))
            .await
    }

    async fn serves(&self, api_version: &str, kind: &str) -> Result<bool, ApiError> {
        self.ground.cluster.serves(api_version, kind).await
    }

    async fn log_tail(
        &self,
        caller: &Caller,
        pod: &ObjectRef,
        container: &str,
        previous: bool,
        lines: u32,
    ) -> Result<Option<String>, ApiError> {
        let request = operation(caller, Verb::Log, pod);
        let cluster = &self.ground.cluster;
        self.through(
            request,
            cluster.log_tail(caller, pod, container, previous, lines),
        )
        .await
    }

    async fn create(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        dry_run: bool,
    ) -> Result<Value, ApiError> {
        let request = Operation {
            dry_run,
            ..operation(caller, Verb::Create, &backup_engine::reference(object))
        };
        let cluster = &self.ground.cluster;
        self.through(request, cluster.create(caller, manager, object, dry_run))
            .await
    }

    async fn apply(
        &self,
        caller: &Caller,
        manager: &str,
        object: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let request = Operation {
            part,
            ..operation(caller, Verb::Apply, &backup_engine::reference(object))
        };
        let cluster = &self.ground.cluster;
        self.through(request, cluster.apply(caller, manager, object, part))
            .await
    }

    async fn merge(
        &self,
        caller: &Caller,
        manager: &str,
        target: &ObjectRef,
        patch: &Value,
        part: Part,
    ) -> Result<Value, ApiError> {
        let request = Operation {
            part,
            ..operation(caller, Verb::Merge, target)
        };
        let cluster = &self.ground.cluster;
        self.through(request, cluster.merge(caller, manager, target, patch, part))
            .await
    }

    async fn delete(
        &self,
        caller: &Caller,
        target: &ObjectRef,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let request = operation(caller, Verb::Delete, target);
        self.through(request, self.ground.cluster.delete(caller, target, options))
            .await
    }
}
