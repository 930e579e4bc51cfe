//! What may be set.

use std::time::Duration;

use backup_strategy::{Knob, Problem, Rule, Templated, Value, knob, rendered, schema::*};
use serde::{Deserialize, Serialize};

/// How long a run may take: one of several terabytes takes some hours, and the host ends any job after a day.
const DEADLINE: u32 = 12 * 60 * 60;
/// The shortest that can be asked for: the Job's image may have to be pulled.
const SHORTEST: u32 = 60;

/// How ClickHouse applications are backed up: a Job drives the clickhouse-backup that runs beside each ClickHouse.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Image of the Job, by digest. It needs `sh`, `sed`, `grep` and `curl`. When absent: that of the clickhouse-backup
    /// beside ClickHouse, which has them, by the digest that runs there.
    #[serde(default)]
    pub image: Option<String>,
    /// What becomes of a clickhouse-backup whose credentials the storage refuses, because it was started before they
    /// were handed out or changed: it reads them only when it starts. When absent: `Never`.
    #[serde(default)]
    pub restart_sidecar: Option<Templated<RestartSidecar>>,
    /// How many seconds a backup may take, and a restore that does not ask for more. When absent: 43200.
    #[serde(default)]
    #[schemars(range(min = 60))]
    pub deadline_seconds: Option<u32>,
    /// The Job's Pod, where it is to have more than it needs: a `PodTemplateSpec`. What it leaves out is filled in. A
    /// first container without `command` and `args` is given the program of this strategy; one that has its own finds
    /// the archive's name in `BACKUP_ARCHIVE`, and `backup` or `restore` in `BACKUP_MODE`.
    #[serde(default)]
    #[schemars(extend("type" = "object", "x-kubernetes-preserve-unknown-fields" = true))]
    pub template: Option<Value>,
}

/// Whether a Pod of ClickHouse may be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum RestartSidecar {
    /// The job fails, and says which Pods are to be restarted.
    Never,
    /// The job deletes these Pods one after the other, each when the one before is ready again, and tries once more.
    WhenOutdated,
}

/// What a BackupClass may set, too.
pub const KNOBS: &[Knob] = &[
    knob("image").below("").ruled(PINNED),
    knob("restartSidecar").below(""),
    knob("deadlineSeconds").below("").ruled(LONG_ENOUGH),
];

const PINNED: Rule = Rule::new(
    is_pinned,
    "is pinned by a digest, such as registry.example.org/clickhouse-backup@sha256: and 64 digits",
)
.pattern("@sha256:[0-9a-f]{64}$");
/// Of [`SHORTEST`].
const LONG_ENOUGH: Rule = Rule::new(
    |text| text.parse().is_ok_and(|seconds: u32| seconds >= SHORTEST),
    "is at least 60",
);

/// What a RestoreJob may ask for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// How many seconds the restore may take. As the strategy has it when absent, zero or less.
    #[serde(default)]
    pub restore_timeout_seconds: Option<i64>,
    /// Namespace of the target application, where that is another one than the Backup's. Whoever asks for it needs the
    /// right to create RestoreJobs there.
    #[serde(default)]
    #[allow(dead_code, reason = "the host reads it")]
    pub target_namespace: Option<String>,
    /// Tables to restore, as patterns with commas between them: `shop.*,web.visits`. All tables when absent.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.*?,-]+$"))]
    pub tables: Option<String>,
}

impl Spec {
    /// Whether the job may restart Pods of ClickHouse.
    pub fn restarts_sidecar(&self) -> backup_strategy::Outcome<bool> {
        let restart = rendered(self.restart_sidecar.as_ref())?;
        Ok(restart == Some(RestartSidecar::WhenOutdated))
    }

    /// How long a run may take that does not ask for more.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.deadline_seconds.unwrap_or(DEADLINE).into())
    }
}

impl Options {
    /// How many seconds the restore may take, where it asks for a time of its own.
    pub fn seconds(&self) -> Option<u32> {
        let seconds = self
            .restore_timeout_seconds
            .filter(|seconds| *seconds > 0)?;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Some(seconds.max(SHORTEST))
    }

    /// The patterns of tables. They become words of a command, so what else a command can hold is refused.
    pub fn tables(&self) -> backup_strategy::Outcome<Option<&str>> {
        let tables = backup_strategy::set(self.tables.as_deref());
        if tables.is_some_and(|tables| !tables.chars().all(is_of_pattern)) {
            return backup_strategy::fail(
                "InvalidOptions",
                "tables: names patterns such as shop.*,web.visits: letters, digits and _ . * ? - with commas between them",
            );
        }
        Ok(tables)
    }
}

fn is_of_pattern(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.*?,-".contains(c)
}

/// What is wrong with the template of the Pod.
pub fn problems(spec: &Spec) -> Vec<Problem> {
    let mut problems = Vec::new();
    for part in [
        "/metadata",
        "/metadata/labels",
        "/spec",
        "/spec/securityContext",
    ] {
        let part_of =
            |template: &Value| template.pointer(part).is_some_and(|part| !part.is_object());
        if spec.template.as_ref().is_some_and(part_of) {
            problems.push(Problem::at(
                &format!("/spec/template{part}"),
                "is an object",
            ));
        }
    }
    let containers = spec
        .template
        .as_ref()
        .map(|template| &template["spec"]["containers"]);
    if containers.is_some_and(|containers| !containers.is_null() && !has_objects(containers)) {
        problems.push(Problem::at(
            "/spec/template/spec/containers",
            "is a list of at least one container",
        ));
    }
    problems
}

fn is_pinned(image: &str) -> bool {
    let digest = image.split_once("@sha256:").map(|(_, digest)| digest);
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn has_objects(list: &Value) -> bool {
    list.as_array()
        .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object))
}

#[cfg(test)]
mod tests {
    use backup_strategy::json;

    use super::*;

    #[test]
    fn an_image_is_pinned_by_its_digest() {
        let pinned = format!("registry.example.org/a@sha256:{}", "0f".repeat(32));
        assert!(PINNED.fits(&pinned));
        for image in [
            "registry.example.org/a:2.7.4",
            "registry.example.org/a@sha256:0f",
        ] {
            assert!(!PINNED.fits(image), "{image}");
        }
        assert!(LONG_ENOUGH.fits("60") && !LONG_ENOUGH.fits("59"));
    }

    #[test]
    fn a_template_is_one_of_a_pod() {
        let spec = Spec {
            template: Some(json!({ "metadata": { "labels": [] }, "spec": { "containers": [] } })),
            ..Spec::default()
        };
        let pointers: Vec<String> = problems(&spec)
            .into_iter()
            .map(|problem| problem.path)
            .collect();
        assert_eq!(
            pointers,
            [
                "/spec/template/metadata/labels",
                "/spec/template/spec/containers"
            ]
        );
        assert!(problems(&Spec::default()).is_empty());
    }

    #[test]
    fn a_pattern_of_tables_holds_no_other_words() {
        let tables = |text: &str| {
            Options {
                tables: Some(text.into()),
                ..Options::default()
            }
            .tables()
            .is_ok()
        };
        assert!(tables("shop.*,web.visits"));
        assert!(tables(""));
        for text in ["a b", "a\" --rm", "a\n", "a|b", "a;b", "a=b"] {
            assert!(!tables(text), "{text}");
        }
    }
}
