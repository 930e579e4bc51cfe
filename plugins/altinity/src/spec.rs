//! What may be set.

use std::time::Duration;

use backup_strategy::{Parsed, Problem, Templated, Value, schema::*};
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
    /// were handed out or changed: it reads them only when it starts. `Never` when absent.
    #[serde(default)]
    pub restart_sidecar: Option<Templated<RestartSidecar>>,
    /// How many seconds a backup may take, and a restore that does not ask for more: 43200 when absent.
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

/// What a BackupClass may set besides; it wins over the strategy's own setting.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Parameters {
    /// Image of the Job, by digest.
    #[serde(default)]
    #[schemars(regex(pattern = "@sha256:[0-9a-f]{64}$"))]
    pub image: Option<String>,
    /// What becomes of a clickhouse-backup whose credentials the storage refuses.
    #[serde(default)]
    pub restart_sidecar: Option<RestartSidecar>,
    /// How many seconds a run may take.
    #[serde(default)]
    pub deadline_seconds: Option<Parsed<u32>>,
}

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

/// The settings of one run: the class's before the strategy's.
pub struct Settings {
    pub image: Option<String>,
    pub restarts_sidecar: bool,
    pub deadline: Duration,
    pub template: Option<Value>,
}

impl Settings {
    pub fn of(spec: Spec, parameters: Parameters) -> backup_strategy::Outcome<Self> {
        let restart = match &spec.restart_sidecar {
            Some(restart) => restart.value()?.copied(),
            None => None,
        };
        let restart = parameters.restart_sidecar.or(restart);
        let seconds = parameters.deadline_seconds.map(|seconds| seconds.0);
        let seconds = seconds.or(spec.deadline_seconds).unwrap_or(DEADLINE);
        Ok(Self {
            image: backup_strategy::set(parameters.image).or(backup_strategy::set(spec.image)),
            restarts_sidecar: restart == Some(RestartSidecar::WhenOutdated),
            deadline: Duration::from_secs(seconds.max(SHORTEST).into()),
            template: spec.template,
        })
    }
}

impl Options {
    /// How long the restore may take, where it asks for a time of its own.
    pub fn deadline(&self) -> Option<Duration> {
        let seconds = self
            .restore_timeout_seconds
            .filter(|seconds| *seconds > 0)?;
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        Some(Duration::from_secs(seconds.max(SHORTEST).into()))
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

/// What a schema cannot say, because any text may be a template until it is rendered.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let pinned = "is pinned by a digest, such as registry.example.org/clickhouse-backup@sha256: and 64 digits";
    let mut problems: Vec<Problem> = [
        Problem::unless(is_pinned, "/spec/image", spec.image.as_ref(), pinned),
        Problem::unless(
            is_pinned,
            "/parameters/image",
            parameters.image.as_ref(),
            pinned,
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    let seconds = parameters.deadline_seconds.map(|seconds| seconds.0);
    for (pointer, seconds) in [
        ("/spec/deadlineSeconds", spec.deadline_seconds),
        ("/parameters/deadlineSeconds", seconds),
    ] {
        if seconds.is_some_and(|seconds| seconds < SHORTEST) {
            problems.push(Problem::at(pointer, format!("is at least {SHORTEST}")));
        }
    }
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

    fn pointers(spec: &Spec, parameters: &Parameters) -> Vec<String> {
        problems(spec, parameters)
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    }

    #[test]
    fn an_image_is_pinned_by_its_digest() {
        let pinned = format!("registry.example.org/a@sha256:{}", "0f".repeat(32));
        for (image, is_fine) in [
            (pinned.as_str(), true),
            ("{{ .Parameters.image }}", true),
            ("", true),
            ("registry.example.org/a:2.7.4", false),
            ("registry.example.org/a@sha256:0f", false),
        ] {
            let spec = Spec {
                image: Some(image.into()),
                ..Spec::default()
            };
            assert_eq!(
                pointers(&spec, &Parameters::default()).is_empty(),
                is_fine,
                "{image}"
            );
        }
    }

    #[test]
    fn problems_name_the_setting() {
        let spec = Spec {
            deadline_seconds: Some(1),
            template: Some(json!({ "metadata": { "labels": [] }, "spec": { "containers": [] } })),
            ..Spec::default()
        };
        let parameters = Parameters {
            image: Some("a:1".into()),
            deadline_seconds: Some(Parsed(59)),
            ..Parameters::default()
        };
        assert_eq!(
            pointers(&spec, &parameters),
            [
                "/parameters/image",
                "/spec/deadlineSeconds",
                "/parameters/deadlineSeconds",
                "/spec/template/metadata/labels",
                "/spec/template/spec/containers",
            ]
        );
        assert!(pointers(&Spec::default(), &Parameters::default()).is_empty());
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

    #[test]
    fn the_class_wins_over_the_strategy() {
        let spec = || Spec {
            image: Some("a".into()),
            deadline_seconds: Some(100),
            restart_sidecar: Some(Templated::Value(RestartSidecar::WhenOutdated)),
            ..Spec::default()
        };
        let own = Settings::of(spec(), Parameters::default()).unwrap();
        assert_eq!(
            (own.image.as_deref(), own.deadline.as_secs()),
            (Some("a"), 100)
        );
        assert!(own.restarts_sidecar);
        let parameters = Parameters {
            image: Some("b".into()),
            deadline_seconds: Some(Parsed(200)),
            restart_sidecar: Some(RestartSidecar::Never),
        };
        let set = Settings::of(spec(), parameters).unwrap();
        assert_eq!(
            (set.image.as_deref(), set.deadline.as_secs()),
            (Some("b"), 200)
        );
        assert!(!set.restarts_sidecar);
    }
}
