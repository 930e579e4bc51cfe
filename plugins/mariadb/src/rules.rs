//! What a schema cannot say of the settings, because any text may be a template until it is rendered.

use backup_strategy::{Problem, is_bucket_name, is_folder};

use crate::spec::{Parameters, S3, Spec, Storage};

const BUCKET: &str = "is the name of a bucket; the folder is `prefix`";
const FOLDER: &str = "is a folder of the bucket, such as tenant-acme/orders/, without a dot in it: the operator takes \
    the names of dumps apart at their dots";
const HOST: &str =
    "is a host, with its port if it has one of its own; whether TLS is used says tls.enabled";
const RETENTION: &str = "is a duration of more than nothing, such as 720h";
const DATABASE: &str =
    "is made of letters, digits, `_`, `-` and `.`: the operator hands it to a shell";

/// The kinds of volumes that the operator knows, and that outlive a Pod.
const VOLUMES: [&str; 4] = ["csi", "hostPath", "nfs", "persistentVolumeClaim"];

/// What is wrong with the settings.
pub fn problems(spec: &Spec, parameters: &Parameters) -> Vec<Problem> {
    let template = &spec.template;
    let none = S3::default();
    let s3 = template.storage.s3.as_ref().unwrap_or(&none);
    let mut problems: Vec<Problem> = misplaced(&template.storage).into_iter().collect();
    let mut judge =
        |fits: fn(&str) -> bool, pointer: &str, setting: &Option<String>, rule: &str| {
            problems.extend(Problem::unless(fits, pointer, setting.as_ref(), rule));
        };
    for (bucket, pointer) in [
        (&s3.bucket, "/spec/template/storage/s3/bucket"),
        (&parameters.bucket, "/parameters/storage.s3.bucket"),
    ] {
        judge(is_bucket_name, pointer, bucket, BUCKET);
    }
    for (endpoint, pointer) in [
        (&s3.endpoint, "/spec/template/storage/s3/endpoint"),
        (&parameters.endpoint, "/parameters/storage.s3.endpoint"),
    ] {
        judge(is_host, pointer, endpoint, HOST);
    }
    for (prefix, pointer) in [
        (&s3.prefix, "/spec/template/storage/s3/prefix"),
        (&parameters.prefix, "/parameters/storage.s3.prefix"),
    ] {
        judge(is_prefix, pointer, prefix, FOLDER);
    }
    for (retention, pointer) in [
        (&template.max_retention, "/spec/template/maxRetention"),
        (&parameters.max_retention, "/parameters/maxRetention"),
    ] {
        judge(is_retention, pointer, retention, RETENTION);
    }
    judge(
        are_databases,
        "/parameters/databases",
        &parameters.databases,
        DATABASE,
    );
    for (index, database) in template.databases.iter().enumerate() {
        let pointer = format!("/spec/template/databases/{index}");
        problems.extend(Problem::unless(
            are_databases,
            &pointer,
            Some(database),
            DATABASE,
        ));
    }
    problems
}

/// Whether there is one place, and only one.
fn misplaced(storage: &Storage) -> Option<Problem> {
    let at = "/spec/template/storage";
    let places = [
        storage.s3.is_some(),
        storage.persistent_volume_claim.is_some(),
        storage.volume.is_some(),
    ];
    if places.iter().filter(|is_set| **is_set).count() != 1 {
        let rule = "exactly one of s3, persistentVolumeClaim and volume is set";
        return Some(Problem::at(at, rule));
    }
    let volume = storage.volume.as_ref()?;
    let is_known = |source: &str| VOLUMES.contains(&source);
    let is_one = volume
        .as_object()
        .is_some_and(|volume| volume.len() == 1 && volume.keys().all(|source| is_known(source)));
    let rule = "exactly one of csi, hostPath, nfs and persistentVolumeClaim is set: the operator knows no others, and an \
        emptyDir would go with its Pod";
    (!is_one).then(|| Problem::at(&format!("{at}/volume"), rule))
}

/// The operator adds the scheme.
pub fn is_host(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', ' '])
}

/// The operator looks for the time of a dump between the first two dots of its key, folder and all.
pub fn is_prefix(text: &str) -> bool {
    is_folder(text) && !text.contains('.')
}

/// Databases, with commas between them.
pub fn are_databases(text: &str) -> bool {
    databases(text).all(is_database)
}

/// What a shell and `mariadb-dump` take for one name, and for nothing else.
fn is_database(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(allowed)
}

/// Names of databases out of a text with commas.
pub fn databases(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// Units of Go's durations in nanoseconds, the longer words first.
const UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Whether Go takes it for a duration. What it does not take the operator cannot read, and then it reads no Backup at
/// all. Zero is the operator's 30 days.
pub fn is_retention(text: &str) -> bool {
    nanoseconds(text)
        .is_some_and(|nanoseconds| (1..=i64::MAX.unsigned_abs()).contains(&nanoseconds))
}

/// A duration in Go's words; a part of a unit counts as a whole one.
fn nanoseconds(mut text: &str) -> Option<u64> {
    let mut sum = 0_u64;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let (unit, length) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let has_part = part.parse::<u64>().ok()? > 0;
        let count = whole.parse::<u64>().ok()?.checked_add(has_part.into())?;
        sum = sum.checked_add(count.checked_mul(*length)?)?;
        text = &rest[unit.len()..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Template;
    use backup_strategy::json;

    fn pointers(template: Template, parameters: &Parameters) -> Vec<String> {
        let problems = problems(&Spec { template }, parameters).into_iter();
        problems.map(|problem| problem.path).collect()
    }

    fn in_bucket(bucket: &str, endpoint: &str, prefix: &str) -> Template {
        let s3 = S3 {
            bucket: Some(bucket.into()),
            endpoint: Some(endpoint.into()),
            prefix: Some(prefix.into()),
            ..S3::default()
        };
        Template {
            storage: Storage {
                s3: Some(s3),
                ..Storage::default()
            },
            ..Template::default()
        }
    }

    #[test]
    fn templates_and_what_is_empty_are_not_judged() {
        let none = Parameters::default();
        assert!(pointers(in_bucket("", "", ""), &none).is_empty());
        let templated = in_bucket(
            "{{ .Parameters.bucket }}",
            "{{ .Storage.host }}",
            "{{ .Application.metadata.namespace }}/{{ .Application.metadata.name }}/",
        );
        assert!(pointers(templated, &none).is_empty());
        let literal = in_bucket("b", "s3.example.org:9000", "tenant-acme/orders/");
        assert!(pointers(literal, &none).is_empty());
    }

    #[test]
    fn problems_name_the_setting() {
        let parameters = Parameters {
            prefix: Some("a//b".into()),
            databases: Some("orders, $(reboot)".into()),
            max_retention: Some("30d".into()),
            ..Parameters::default()
        };
        let mut template = in_bucket("s3://b", "https://s3.example.org", "tenant.acme/orders");
        template.databases = vec!["orders".into(), "a b".into()];
        template.max_retention = Some("0s".into());
        let expected = [
            "/spec/template/storage/s3/bucket",
            "/spec/template/storage/s3/endpoint",
            "/spec/template/storage/s3/prefix",
            "/parameters/storage.s3.prefix",
            "/spec/template/maxRetention",
            "/parameters/maxRetention",
            "/parameters/databases",
            "/spec/template/databases/1",
        ];
        assert_eq!(pointers(template, &parameters), expected);
    }

    #[test]
    fn there_is_one_place_for_dumps() {
        let none = Parameters::default();
        assert_eq!(
            pointers(Template::default(), &none),
            ["/spec/template/storage"]
        );
        let mut two = in_bucket("", "", "");
        two.storage.persistent_volume_claim = Some(json!({}));
        assert_eq!(pointers(two, &none), ["/spec/template/storage"]);
        let on = |source| {
            let mut volume = Template::default();
            volume.storage.volume = Some(source);
            pointers(volume, &none)
        };
        assert!(on(json!({ "nfs": { "server": "nas", "path": "/" } })).is_empty());
        for other in [
            json!({}),
            json!({ "emptyDir": {} }),
            json!({ "nfs": {}, "csi": {} }),
        ] {
            assert_eq!(on(other), ["/spec/template/storage/volume"]);
        }
    }

    #[test]
    fn a_duration_is_one_that_go_reads() {
        for text in ["720h", "1h30m", "1.5h", "90s", "500ms", "2562047h"] {
            assert!(is_retention(text), "{text}");
        }
        for text in [
            "",
            "30d",
            "720",
            "h",
            "-1h",
            "0s",
            "1..5h",
            "2562048h",
            "99999999999999999999h",
        ] {
            assert!(!is_retention(text), "{text}");
        }
    }
}
