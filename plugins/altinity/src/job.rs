//! The Job that talks to clickhouse-backup: its object, and what has become of it.

use std::time::Duration;

use backup_strategy::{fill, prelude::*};

use crate::{
    Altinity,
    operator::{BatchJob, Completion, Pod, api_secret},
};

/// The program: it says itself what it is given and what it leaves.
const PROGRAM: &str = include_str!("client.sh");
/// Its container, as the first controller called it.
const CONTAINER: &str = "ch-backup-client";
/// Somebody who is not root.
const USER: u32 = 65532;
/// The label of the Job and of its Pods, as the first controller had it.
const MODE: &str = "altinity.strategy.backups.cozystack.io/mode";
/// The program's exit code for what another Pod would meet as well.
const FINAL: i32 = 10;
/// How often a Pod is replaced, as the first controller had it.
const BACKOFF_LIMIT: i32 = 2;

/// What a Job is made for.
pub struct Order<'a> {
    pub name: String,
    /// `backup`, `restore` or `delete`.
    pub mode: &'a str,
    /// What every command of the run is marked with.
    pub run: &'a str,
    pub archive: &'a str,
    pub steps: &'a str,
    pub image: Option<&'a str>,
    pub deadline: Duration,
    pub template: Option<&'a Value>,
}

impl Order<'_> {
    /// The Job, once it is there; the first look orders it.
    pub fn ensure(&self, cx: &Context<Altinity>) -> Outcome<BatchJob> {
        let application = cx.subject();
        // An owner has to be in the namespace of what it owns.
        let lifetime = if application.namespace == cx.job().namespace {
            Lifetime::Job
        } else {
            Lifetime::Kept
        };
        cx.ensure(lifetime, &self.object(&application))
    }

    fn object(&self, application: &ApplicationRef) -> Value {
        let mut template = self.template.cloned().unwrap_or_else(|| json!({}));
        let is_ours = runs_program(self.template);
        template["metadata"]["labels"][MODE] = self.mode.into();
        self.complete(&mut template["spec"], application, is_ours);
        let spec = json!({ "backoffLimit": BACKOFF_LIMIT, "activeDeadlineSeconds": self.deadline.as_secs() });
        let mut job = BatchJob::object(&application.namespace, &self.name, spec);
        job["metadata"]["labels"][MODE] = self.mode.into();
        if is_ours && template["spec"]["restartPolicy"] == "Never" {
            let container = &template["spec"]["containers"][0]["name"];
            job["spec"]["podFailurePolicy"] = json!({ "rules": [
                // A Pod that was sent away says nothing of the backup.
                { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
                { "action": "FailJob", "onExitCodes": { "containerName": container, "operator": "In", "values": [FINAL] } },
            ] });
        }
        job["spec"]["template"] = template;
        job
    }

    /// Fills in what the template leaves out: the program, and what Pod Security Standards ask of any Pod.
    fn complete(&self, spec: &mut Value, application: &ApplicationRef, is_ours: bool) {
        let restricted = json!({
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
        });
        fill(spec, restricted);
        if spec["containers"].as_array().is_none_or(Vec::is_empty) {
            spec["containers"] = json!([{ "name": CONTAINER }]);
        }
        for list in ["initContainers", "containers"] {
            for container in spec[list].as_array_mut().into_iter().flatten() {
                harden(container);
                if let Some(image) = self.image {
                    fill(container, json!({ "image": image }));
                }
            }
            if spec[list].is_null() {
                spec.as_object_mut().map(|spec| spec.remove(list));
            }
        }
        let first = &mut spec["containers"][0];
        if is_ours {
            first["command"] = json!(["/bin/sh", "-c", PROGRAM]);
            let resources = json!({
                "requests": { "cpu": "10m", "memory": "32Mi" },
                "limits": { "cpu": "200m", "memory": "128Mi" },
            });
            fill(first, json!({ "imagePullPolicy": "IfNotPresent" }));
            // As a whole: a limit beside a request of the template's could be below it.
            if first["resources"].is_null() {
                first["resources"] = resources;
            }
        }
        let mut env = first["env"].as_array().cloned().unwrap_or_default();
        for variable in self.environment(application, is_ours) {
            if env.iter().all(|set| set["name"] != variable["name"]) {
                env.push(variable);
            }
        }
        first["env"] = env.into();
    }

    fn environment(&self, application: &ApplicationRef, is_ours: bool) -> Vec<Value> {
        let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
        let mut all = vec![
            variable("BACKUP_MODE", self.mode),
            variable("BACKUP_ARCHIVE", self.archive),
        ];
        if is_ours {
            let secret = api_secret(application);
            for (name, key) in [("API_USERNAME", "username"), ("API_PASSWORD", "password")] {
                all.push(json!({ "name": name, "valueFrom": { "secretKeyRef": { "name": secret, "key": key } } }));
            }
            all.push(variable("RUN", self.run));
            all.push(variable("STEPS", self.steps));
        }
        all
    }
}

/// Whether the Job runs this strategy's program, and not one that the template brings.
pub fn runs_program(template: Option<&Value>) -> bool {
    let first = template.map_or(&Value::Null, |template| &template["spec"]["containers"][0]);
    first["command"].is_null() && first["args"].is_null()
}

fn harden(container: &mut Value) {
    let hardened = json!({
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
    });
    fill(container, hardened);
}

/// Why a Job has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub reason: String,
    /// The API of clickhouse-backup that was talked to, where the program says so.
    pub address: Option<String>,
    /// What was being done there.
    pub verb: String,
    pub text: String,
}

/// What an answer of the storage's says of keys that it does not take, and the AWS SDK of such that it does not have.
const KEYS_REFUSED: &[&str] = &[
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AccessDenied",
    "InvalidToken",
    "StatusCode: 401",
    "StatusCode: 403",
    "no EC2 IMDS role found",
    "static credentials are empty",
];

impl Report {
    /// What the last Pod of a Job that has failed left, or what Kubernetes says of the Job.
    fn of(pods: &[Pod], words: &str) -> Self {
        let told = pods
            .iter()
            .filter_map(Pod::report)
            .max_by_key(|(at, _)| *at)
            .map(|(_, text)| text);
        let text = told.unwrap_or(words);
        let text = if text.is_empty() {
            "the Job has failed, and nothing says why"
        } else {
            text
        };
        Self::read(text).unwrap_or_else(|| Self {
            reason: "ClientFailed".into(),
            address: None,
            verb: String::new(),
            text: text.into(),
        })
    }

    /// The program's: `<reason>|<address>|<verb>|<text>`.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '|');
        let reason = parts
            .next()
            .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic()))?;
        let (address, verb, text) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            reason: reason.into(),
            address: Some(address.into()),
            verb: verb.into(),
            text: without_key(text).into(),
        })
    }

    /// Whether the storage does not take the keys that clickhouse-backup has.
    pub fn is_about_keys(&self) -> bool {
        self.reason == "OperationFailed" && KEYS_REFUSED.iter().any(|said| self.text.contains(said))
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(address) = &self.address {
            let host = address.split('.').next().unwrap_or_default();
            write!(f, "{} at {host}: ", self.verb)?;
        }
        f.write_str(&self.text)
    }
}

/// An answer of the storage as far as its code: some services repeat the key itself behind it.
fn without_key(text: &str) -> &str {
    const BEFORE: &str = "api error ";
    let Some(at) = text.find(BEFORE) else {
        return text;
    };
    let code = at + BEFORE.len();
    let end = text[code..]
        .find(|c: char| !c.is_ascii_alphanumeric())
        .map_or(text.len(), |length| code + length);
    &text[..end]
}

/// How a run stands.
pub enum Stand {
    Done,
    Failed(Report),
}

/// Waits for the end of a Job, and tells it. Nobody waits longer than the Job itself may take.
pub fn ended(
    cx: &Context<Altinity>,
    job: &BatchJob,
    deadline: Duration,
    reason: &str,
    doing: &str,
) -> Outcome<Stand> {
    let name = job.metadata.name.as_str();
    match job.completion() {
        Completion::Done => Ok(Stand::Done),
        Completion::Failed(words) => {
            let pods = cx.find::<Pod>(&[("batch.kubernetes.io/job-name", name)])?;
            Ok(Stand::Failed(Report::of(&pods, &words)))
        }
        Completion::Running => {
            if let Some(obstacle) = cx.obstacle_of_job(name)? {
                return wait!(
                    "ClientStuck",
                    "the Pod of Job {name} cannot start: {obstacle}"
                )
                .at_most(10.minutes());
            }
            wait!(reason, "{doing} (Job {name})").at_most(deadline + 5.minutes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> ApplicationRef {
        ApplicationRef {
            group: "apps.cozystack.io".into(),
            kind: "ClickHouse".into(),
            namespace: "tenant-acme".into(),
            name: "events".into(),
        }
    }

    fn job(template: Option<&Value>) -> Value {
        let order = Order {
            name: "ad-hoc-backup".into(),
            mode: "backup",
            run: "1",
            archive: "a",
            steps: "host:7171|list remote",
            image: Some("client@sha256:0f"),
            deadline: Duration::from_secs(60),
            template,
        };
        order.object(&events())
    }

    #[test]
    fn without_a_template_the_pod_has_what_it_needs_and_no_more() {
        let job = job(None);
        let spec = &job["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        assert_eq!(container["image"], "client@sha256:0f");
        assert_eq!(container["command"][2], PROGRAM);
        assert_eq!(
            container["env"][2]["valueFrom"]["secretKeyRef"]["name"],
            "clickhouse-events-backup-api-auth"
        );
        assert_eq!(spec["automountServiceAccountToken"], false);
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            container["securityContext"]["capabilities"]["drop"],
            json!(["ALL"])
        );
        assert_eq!(
            job["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["containerName"],
            CONTAINER
        );
        assert!(spec.get("initContainers").is_none());
    }

    #[test]
    fn a_template_keeps_what_it_says() {
        let template = json!({
            "metadata": { "labels": { "team": "data", "altinity.strategy.backups.cozystack.io/mode": "mine" } },
            "spec": {
                "restartPolicy": "OnFailure",
                "nodeSelector": { "disk": "fast" },
                "securityContext": { "runAsUser": 1000 },
                "containers": [{ "name": "client", "image": "own:1", "env": [{ "name": "PAUSE", "value": "1" }] }],
            },
        });
        let job = job(Some(&template));
        let spec = &job["spec"]["template"]["spec"];
        assert_eq!(
            job["spec"]["template"]["metadata"]["labels"],
            json!({ "team": "data", "altinity.strategy.backups.cozystack.io/mode": "backup" })
        );
        assert_eq!(spec["nodeSelector"]["disk"], "fast");
        assert_eq!(spec["securityContext"]["runAsUser"], 1000);
        assert_eq!(spec["containers"][0]["image"], "own:1");
        assert_eq!(spec["containers"][0]["env"][0]["name"], "PAUSE");
        // Kubernetes takes a policy of failures with Never only.
        assert!(job["spec"].get("podFailurePolicy").is_none());
    }

    #[test]
    fn a_template_with_a_program_of_its_own_is_told_the_archive_and_given_no_other() {
        let template = json!({ "spec": { "containers": [{ "name": "c", "command": ["/bin/sh"], "args": ["-c", "true"] }] } });
        assert!(!runs_program(Some(&template)));
        let job = job(Some(&template));
        let container = &job["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["command"], json!(["/bin/sh"]));
        assert_eq!(
            container["env"],
            json!([{ "name": "BACKUP_MODE", "value": "backup" }, { "name": "BACKUP_ARCHIVE", "value": "a" }])
        );
        assert_eq!(
            container["terminationMessagePolicy"],
            "FallbackToLogsOnError"
        );
    }

    #[test]
    fn what_the_program_left_is_told_without_the_key_that_was_refused() {
        let said = "OperationFailed|chi-a-clickhouse-0-0.ns.svc:7171|list|operation error S3: ListObjectsV2, https response error \
             StatusCode: 403, api error InvalidAccessKeyId: the key SECRETKEYID does not exist";
        let report = Report::read(said).unwrap();
        assert!(report.is_about_keys());
        assert_eq!(
            report.to_string(),
            "list at chi-a-clickhouse-0-0: operation error S3: ListObjectsV2, https response error StatusCode: 403, api error \
             InvalidAccessKeyId"
        );
        let other =
            Report::read("OperationFailed|h|restore|code: 57, message: Table already exists")
                .unwrap();
        assert!(!other.is_about_keys());
        assert_eq!(
            Report::of(&[], "Job has reached the specified backoff limit").reason,
            "ClientFailed"
        );
        assert!(!Report::of(&[], "").text.is_empty());
    }
}
