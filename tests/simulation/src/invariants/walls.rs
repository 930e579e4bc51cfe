//! What is asked of the API server, and as whom.

use std::collections::{BTreeMap, BTreeSet};

use backup_api::names::{CREDENTIALS_SECRET, GROUP, STRATEGY_GROUP};
use backup_engine::cluster::{
    Account, Part,
    memory::{Operation, Verb},
};

use super::{Invariant, Seen, Verdict, broken};
use crate::{
    components::loaded,
    ground::{HOST_NAMESPACE, text},
    line::describe,
    record::is_job,
    strategies::Strategy,
};

#[derive(Default)]
pub(crate) struct Walls {
    /// What RestoreJobs name as the namespace to restore into, by their own namespace and name.
    targets: BTreeMap<(String, String), BTreeSet<String>>,
}

impl Invariant for Walls {
    fn changed(&mut self, seen: &Seen<'_>) -> Verdict {
        let job = &seen.change.object;
        let target = text(job, "/spec/options/targetNamespace");
        if is_job(job) && !target.is_empty() {
            let of = ["/metadata/namespace", "/metadata/name"];
            let [namespace, name] = of.map(|member| text(job, member).to_owned());
            let targets = self.targets.entry((namespace, name)).or_default();
            targets.insert(target.to_owned());
        }
        Ok(())
    }

    fn requested(&mut self, request: &Operation) -> Verdict {
        match &request.account {
            Account::Host if is_the_hosts(request) => Ok(()),
            Account::Host => broken("the host keeps to its own kinds", describe(request)),
            Account::Strategy { namespace, name } => {
                let is_its = is_a_trial(request, name) || self.is_a_strategys(request, name);
                if namespace == HOST_NAMESPACE && is_its {
                    return Ok(());
                }
                let seen = format!("{} for {}", describe(request), request.purpose);
                broken("a strategy stays where it is granted to be", seen)
            }
        }
    }
}

/// What the host does under its own account.
fn is_the_hosts(request: &Operation) -> bool {
    let (group, _) = request.api_version.split_once('/').unwrap_or_default();
    match (group, request.kind.as_str()) {
        (GROUP, "BackupClass") => !request.writes() || request.part == Part::Status,
        // Whether the definition of its kinds is being deleted.
        ("apiextensions.k8s.io", "CustomResourceDefinition") => !request.writes(),
        // Whether the policy of restores into other namespaces is in force.
        ("admissionregistration.k8s.io", _) => !request.writes(),
        (STRATEGY_GROUP, _) | ("", "Namespace") => !request.writes(),
        (GROUP, _) => true,
        ("", "Secret") => {
            let is_copy = request.name.as_deref() == Some(CREDENTIALS_SECRET);
            is_copy || (!request.writes() && request.namespace.as_deref() == Some(HOST_NAMESPACE))
        }
        ("velero.io", "BackupStorageLocation") => true,
        ("helm.toolkit.fluxcd.io", "HelmRelease") => {
            matches!(request.verb, Verb::Get | Verb::Merge)
        }
        ("events.k8s.io", "Event") => request.verb == Verb::Create,
        _ => false,
    }
}

/// The host tries whether the API server refuses a restore into another namespace.
fn is_a_trial(request: &Operation, account: &str) -> bool {
    account == "restore-prober" && request.kind == "RestoreJob" && request.dry_run
}

impl Walls {
    /// What is done for a strategy: in the namespace of the job that it is done for, in the one that the job restores
    /// into, or in a system namespace of its grant; and never with a Secret or an object of the host's groups. Beside
    /// jobs it is looked whether an application is there that uses a copy of the credentials.
    fn is_a_strategys(&self, request: &Operation, account: &str) -> bool {
        let (group, _) = request.api_version.split_once('/').unwrap_or_default();
        let mut purpose = request.purpose.split(['/', ' ']);
        let [kind, namespace, name] = [(); 3].map(|()| purpose.next().unwrap_or_default());
        let is_secret = group.is_empty() && request.kind == "Secret";
        let is_the_hosts = group == GROUP || group.ends_with(&format!(".{GROUP}"));
        let is_of_a_job = matches!(kind, "BackupJob" | "RestoreJob" | "Backup");
        let is_of_a_copy = kind == "Secret" && request.verb == Verb::List;
        let at = request.namespace.as_deref();
        let targets = self.targets.get(&(namespace.to_owned(), name.to_owned()));
        let is_target = || {
            let mut targets = targets.into_iter().flatten();
            kind == "RestoreJob" && targets.any(|target| at == Some(target))
        };
        (is_of_a_job || is_of_a_copy)
            && !namespace.is_empty()
            && (at == Some(namespace) || is_target() || is_granted(request, account))
            && !is_secret
            && !is_the_hosts
    }
}

/// Whether a strategy is granted the system namespace that a request is about. A volume has no namespace, but belongs to
/// one.
fn is_granted(request: &Operation, account: &str) -> bool {
    let strategy = Strategy::all().find(|is| account == format!("strategy-{}", is.plugin()));
    let grant = strategy.and_then(|strategy| loaded(strategy).ok());
    let system = grant.map_or(&[][..], |loaded| &loaded.grant.system_namespaces);
    match &request.namespace {
        Some(namespace) => system.contains(namespace),
        None => request.kind == "PersistentVolume" && !system.is_empty(),
    }
}
