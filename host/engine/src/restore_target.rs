//! A restore into another namespace: which one, and the proof that its author may.
//!
//! Who created a job only the API server knows. A ValidatingAdmissionPolicy of the chart has it ask, whenever a
//! RestoreJob that names another namespace is created or changed, whether its author may create RestoreJobs there as
//! well. The host relies on that where it has proved, for this very job, before anything is touched:
//!
//! | what | how |
//! |---|---|
//! | the policy and its binding are there, and hold for every namespace and job | both are read |
//! | they did when the job was created | neither has changed since some seconds before |
//! | the API server enforces them | a RestoreJob that an account without rights would create is refused, in the policy's words |
//!
//! What was proved is noted when the job starts; from then on its spec cannot change.

use std::time::Duration;

use backup_api::{JobStatus, Reason, RestoreJob, names::API_VERSION};
use backup_sandbox::Manifest;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    cluster::{Account, ApiError, Caller, Cluster},
    host::Host,
    ledger::later,
    object,
    resolve::Binding,
    stop::Stop,
};

/// The name of the policy, and of its binding.
const POLICY: &str = "restore-target.backups.cozystack.io";

/// Of the policy's refusal, what does not depend on the namespace.
const REFUSAL: &str = "needs the right to create RestoreJobs there";

/// Where policies are defined.
const POLICY_API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// So much older than a job a policy must be. An API server takes policies up once a second, and the clocks of several
/// differ by a little.
const TAKEN_UP: Duration = Duration::from_secs(5);

/// Name and target namespace of the RestoreJob that must be refused. It is never created.
const PROBE: &str = "restore-target-probe";

/// The longest name of a namespace.
const LONGEST_NAME: usize = 63;

/// Why it could not be proved that the policy is in force.
enum Unproved {
    /// A request failed that may succeed later.
    Request(ApiError),
    /// It is not, or it cannot be told, in these words.
    Because(String),
}

impl From<ApiError> for Unproved {
    fn from(error: ApiError) -> Self {
        if error.can_pass() {
            return Self::Request(error);
        }
        Self::Because(format!("the API server refused to show it: {error}"))
    }
}

impl<C: Cluster> Host<C> {
    /// The namespace that a job restores into: its own, or the one that its author was allowed to name.
    ///
    /// # Errors
    /// `TargetNamespaceNotAllowed`, final.
    pub(crate) async fn restores_into(
        &self,
        job: &RestoreJob,
        status: &JobStatus,
        binding: &Binding,
        options: &Value,
    ) -> Result<String, Stop> {
        let own = job.metadata.namespace.as_deref().unwrap_or_default();
        if status.started_at.is_some() {
            let noted = status.strategy.as_ref();
            let noted = noted.and_then(|noted| noted.target_namespace.as_deref());
            return Ok(noted.unwrap_or(own).to_owned());
        }
        let manifest = binding.serving.strategy.manifest();
        let Some(other) = named(manifest, options).filter(|other| *other != own) else {
            return Ok(own.to_owned());
        };
        if !is_a_name(other) {
            return Err(not_allowed(&format!(
                "spec.options.targetNamespace is {other:?}, which is no name of a namespace"
            )));
        }
        self.author_may(job, other).await?;
        let system = &binding.serving.grant.system_namespaces;
        let own_namespaces = [
            &self.settings.storage.source_namespace,
            &self.settings.restore_prober.namespace,
        ];
        if system
            .iter()
            .chain(own_namespaces)
            .any(|name| name == other)
        {
            return Err(not_allowed(&format!(
                "namespace {other} is the platform's own"
            )));
        }
        let target = object::target("v1", "Namespace", None, other);
        match self.cluster.get(&Caller::host(), &target).await? {
            Some(found) if !object::is_deleting(&found) => Ok(other.to_owned()),
            Some(_) => Err(not_allowed(&format!("namespace {other} is being deleted"))),
            None => Err(not_allowed(&format!("namespace {other} does not exist"))),
        }
    }

    /// Proves that whoever created a job may create RestoreJobs in another namespace.
    async fn author_may(&self, job: &RestoreJob, other: &str) -> Result<(), Stop> {
        let since = match self.in_force_since().await {
            Ok(since) => since,
            Err(Unproved::Request(error)) => return Err(Stop::Api(error)),
            Err(Unproved::Because(why)) => {
                return Err(not_allowed(&format!(
                    "whether its author may restore into namespace {other} is not known, because the policy {POLICY} is \
                     not in force: {why}; tell the platform's operator"
                )));
            }
        };
        let created = job.metadata.creation_timestamp.as_ref();
        if created.is_none_or(|created| created.0 < later(since, TAKEN_UP)) {
            return Err(not_allowed(&format!(
                "whether its author may restore into namespace {other} was not looked at when the job was created: the \
                 policy {POLICY} is in force since {since}; create the job again"
            )));
        }
        tracing::info!(
            namespace = job.metadata.namespace,
            job = job.metadata.name,
            into = other,
            %since,
            "the policy that limits a restore's target was proved to be in force"
        );
        Ok(())
    }

    /// Since when the policy is in force without a change, proved now.
    async fn in_force_since(&self) -> Result<Timestamp, Unproved> {
        let policy = self.policy_object("ValidatingAdmissionPolicy").await?;
        let binding = self
            .policy_object("ValidatingAdmissionPolicyBinding")
            .await?;
        if let Some(narrowed) = narrowed(&policy, &binding) {
            return Err(Unproved::Because(narrowed.to_owned()));
        }
        let changes = changed_at(&policy).zip(changed_at(&binding));
        let Some((policy_changed, binding_changed)) = changes else {
            return Err(Unproved::Because(
                "it cannot be told when it was changed last".to_owned(),
            ));
        };
        self.probe().await?;
        Ok(policy_changed.max(binding_changed))
    }

    async fn policy_object(&self, kind: &str) -> Result<Value, Unproved> {
        let target = object::target(POLICY_API_VERSION, kind, None, POLICY);
        let found = self.cluster.get(&Caller::host(), &target).await?;
        found.ok_or_else(|| Unproved::Because(format!("there is no {kind} of that name")))
    }

    /// Has the policy refuse a RestoreJob of an account without rights.
    async fn probe(&self) -> Result<(), Unproved> {
        let prober = &self.settings.restore_prober;
        let caller = Caller {
            account: Account::Strategy {
                namespace: prober.namespace.clone(),
                name: prober.name.clone(),
            },
            purpose: PROBE.to_owned(),
        };
        let job = json!({
            "apiVersion": API_VERSION,
            "kind": "RestoreJob",
            "metadata": { "name": PROBE, "namespace": prober.namespace },
            "spec": { "backupRef": { "name": PROBE }, "options": { "targetNamespace": PROBE } },
        });
        let by_policy = format!("ValidatingAdmissionPolicy '{POLICY}'");
        match self.cluster.create(&caller, PROBE, &job, true).await {
            Ok(_) => Err(Unproved::Because(format!(
                "a RestoreJob of ServiceAccount {}/{} into a namespace where it has no rights was not refused",
                prober.namespace, prober.name
            ))),
            Err(error) if error.can_pass() => Err(Unproved::Request(error)),
            Err(error) if error.message.contains(&by_policy) && error.message.contains(REFUSAL) => {
                Ok(())
            }
            Err(error) => Err(Unproved::Because(format!(
                "a trial was refused, but not by it: {error}"
            ))),
        }
    }
}

fn not_allowed(why: &str) -> Stop {
    Stop::fail(format!("{}: {why}", Reason::TargetNamespaceNotAllowed))
}

/// The namespace that options name, where the strategy has such an option.
fn named<'a>(manifest: &Manifest, options: &'a Value) -> Option<&'a str> {
    let schema = manifest.restore_options.as_ref()?;
    schema.pointer("/properties/targetNamespace")?;
    let named = options.get("targetNamespace")?.as_str()?;
    (!named.is_empty()).then_some(named)
}

/// Whether a text can be a namespace's name: it becomes part of a request's path.
fn is_a_name(text: &str) -> bool {
    let is_end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= LONGEST_NAME
        && text.starts_with(is_end)
        && text.ends_with(is_end)
        && text.chars().all(|c| is_end(c) || c == '-')
}

/// The namespace of the application that a job works on: of a restore that has started the one that was noted, of
/// another the one that it names.
pub(crate) fn works_in(job: &Value) -> &str {
    let has_started = !object::text(job, &["status", "startedAt"]).is_empty();
    let other = if has_started {
        object::text(job, &["status", "strategy", "targetNamespace"])
    } else {
        object::text(job, &["spec", "options", "targetNamespace"])
    };
    if other.is_empty() {
        return object::text(job, &["metadata", "namespace"]);
    }
    other
}

/// What makes a policy hold for some requests only, in words: that the probe is refused would say nothing of others.
fn narrowed(policy: &Value, binding: &Value) -> Option<&'static str> {
    let is_set = |object: &Value, pointer: &str| match object.pointer(pointer) {
        None | Some(Value::Null) => false,
        Some(Value::Object(members)) => !members.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    };
    let has = |object: &Value, pointer: &str, wanted: &str| {
        let listed = object.pointer(pointer).and_then(Value::as_array);
        listed.is_some_and(|listed| listed.iter().any(|one| one == wanted || one == "*"))
    };
    if !has(binding, "/spec/validationActions", "Deny") {
        return Some("its binding does not say that it denies");
    }
    let failure = policy.pointer("/spec/failurePolicy");
    if failure.is_some_and(|failure| failure != "Fail") {
        return Some("it lets requests through where it fails itself");
    }
    let matches = [
        "namespaceSelector",
        "objectSelector",
        "excludeResourceRules",
    ];
    if matches.iter().any(|one| {
        is_set(policy, &format!("/spec/matchConstraints/{one}"))
            || is_set(binding, &format!("/spec/matchResources/{one}"))
    }) || is_set(binding, "/spec/matchResources/resourceRules")
    {
        return Some("it, or its binding, leaves out some namespaces or jobs");
    }
    let rules = policy.pointer("/spec/matchConstraints/resourceRules");
    let covers = |rule: &Value| {
        has(rule, "/operations", "CREATE")
            && has(rule, "/operations", "UPDATE")
            && has(rule, "/resources", "restorejobs")
            && !is_set(rule, "/resourceNames")
    };
    let mut rules = rules.and_then(Value::as_array).into_iter().flatten();
    (!rules.any(covers)).then_some("it does not look at RestoreJobs that are created or changed")
}

/// When an object was last changed, its status apart; none where the object does not tell.
fn changed_at(object: &Value) -> Option<Timestamp> {
    let created = object::text(object, &["metadata", "creationTimestamp"]);
    let created: Timestamp = created.parse().ok()?;
    let managers = object.pointer("/metadata/managedFields");
    let managers = managers.and_then(Value::as_array).into_iter().flatten();
    let changes = managers
        .filter(|manager| object::text(manager, &["subresource"]).is_empty())
        // Without a time: somebody has applied what was there already.
        .filter_map(|manager| manager.get("time")?.as_str())
        .map(|time| time.parse().ok())
        .collect::<Option<Vec<Timestamp>>>()?;
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64);
    if changes.is_empty() && generation.is_some_and(|generation| generation > 1) {
        return None;
    }
    changes.into_iter().chain([created]).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy, created at noon, of a generation and with managers.
    fn policy(generation: i64, managers: &Value) -> Value {
        json!({ "metadata": {
            "creationTimestamp": "2026-11-25T12:00:00Z", "generation": generation, "managedFields": managers,
        } })
    }

    fn changed(generation: i64, managers: &Value) -> Option<String> {
        changed_at(&policy(generation, managers)).map(|at| at.to_string())
    }

    #[test]
    fn a_policy_is_as_old_as_its_last_change() {
        let helm = json!({ "manager": "helm", "time": "2026-11-25T12:00:00Z" });
        let person = json!({ "manager": "kubectl", "time": "2026-11-25T15:00:00Z" });
        let at = changed(2, &json!([helm, person]));
        assert_eq!(at.as_deref(), Some("2026-11-25T15:00:00Z"));
        let status = json!({ "manager": "controller", "subresource": "status", "time": "2026-11-25T16:00:00Z" });
        let at = changed(1, &json!([helm, status]));
        assert_eq!(at.as_deref(), Some("2026-11-25T12:00:00Z"));
        let applied_what_was_there = json!({ "manager": "flux" });
        let at = changed(2, &json!([applied_what_was_there, person]));
        assert_eq!(at.as_deref(), Some("2026-11-25T15:00:00Z"));
        assert_eq!(changed(2, &json!([applied_what_was_there])), None);
    }

    #[test]
    fn a_change_that_nothing_tells_of_may_have_been_just_now() {
        let at = changed(1, &json!([]));
        assert_eq!(at.as_deref(), Some("2026-11-25T12:00:00Z"));
        assert_eq!(changed(2, &json!([])), None);
        let unread = json!([{ "manager": "helm", "time": "noon" }]);
        assert_eq!(changed(1, &unread), None);
        assert_eq!(
            changed_at(&json!({ "metadata": { "generation": 1 } })),
            None
        );
    }

    #[test]
    fn a_job_works_where_it_was_allowed_to() {
        let job = |status: Value| {
            json!({
                "metadata": { "namespace": "tenant-acme" },
                "spec": { "options": { "targetNamespace": "tenant-other" } },
                "status": status,
            })
        };
        assert_eq!(works_in(&job(json!({}))), "tenant-other");
        let started = json!({ "startedAt": "2026-11-25T12:00:00Z" });
        assert_eq!(works_in(&job(started.clone())), "tenant-acme");
        let mut noted = started;
        noted["strategy"] = json!({ "targetNamespace": "tenant-other" });
        assert_eq!(works_in(&job(noted)), "tenant-other");
    }
}
