//! What a schema cannot say of the settings, because any text may be a template until it is rendered.

use backup_strategy::{Problem, is_folder};

use crate::spec::Storage;

/// The kinds of volumes that the operator knows, and that outlive a Pod.
const VOLUMES: [&str; 4] = ["csi", "hostPath", "nfs", "persistentVolumeClaim"];

/// Whether there is one place, and only one.
pub fn misplaced(storage: &Storage) -> Option<Problem> {
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

/// What a shell and `mariadb-dump` take for one name, and for nothing else.
pub fn is_database(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    !text.is_empty() && !text.starts_with(['-', '.']) && text.bytes().all(allowed)
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
    use crate::spec::S3;
    use backup_strategy::json;

    #[test]
    fn there_is_one_place_for_dumps() {
        let at = |storage: &Storage| misplaced(storage).map(|problem| problem.path);
        let there = Some("/spec/template/storage".to_owned());
        assert_eq!(at(&Storage::default()), there);
        let bucket = Storage {
            s3: Some(S3::default()),
            ..Storage::default()
        };
        assert_eq!(at(&bucket), None);
        let two = Storage {
            persistent_volume_claim: Some(json!({})),
            ..bucket
        };
        assert_eq!(at(&two), there);
        let on = |source| {
            at(&Storage {
                volume: Some(source),
                ..Storage::default()
            })
        };
        assert_eq!(on(json!({ "nfs": { "server": "nas", "path": "/" } })), None);
        for other in [
            json!({}),
            json!({ "emptyDir": {} }),
            json!({ "nfs": {}, "csi": {} }),
        ] {
            assert_eq!(on(other).as_deref(), Some("/spec/template/storage/volume"));
        }
    }

    #[test]
    fn hosts_folders_and_databases_are_told_apart() {
        assert!(is_host("s3.example.org:9000") && !is_host("https://s3.example.org"));
        assert!(is_prefix("tenant-acme/orders/") && !is_prefix("tenant.acme/orders"));
        assert!(is_database("orders_1.a-b"));
        for text in ["", "a b", "$(reboot)", "-a", ".a", "a,b"] {
            assert!(!is_database(text), "{text}");
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
