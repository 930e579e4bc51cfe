//! What most settings of a strategy have in common.

use std::time::Duration;

/// A setting that says something: a template that has nothing to set renders to an empty text.
///
/// ```
/// use backup_strategy::set;
///
/// // The strategy's own setting, else the platform's.
/// let (setting, platform) = (Some(String::new()), "eu-1".to_owned());
/// assert_eq!(set(setting).unwrap_or(platform), "eu-1");
/// ```
pub fn set<T: AsRef<str>>(setting: Option<T>) -> Option<T> {
    setting.filter(|text| !text.as_ref().is_empty())
}

/// The seconds that an option asks for; none where it is absent, zero or less, which means that nothing is asked for.
#[must_use]
pub fn asked_for(seconds: Option<i64>) -> Option<Duration> {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

/// Whether this is a URL of an S3 service.
#[must_use]
pub fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|host| !host.is_empty())
    })
}

/// Whether this is a name of a bucket and not a place in one.
#[must_use]
pub fn is_bucket_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', ':'])
}

/// Whether this is a folder of a bucket, such as `tenant-acme/etcd/`, with a slash at either end or without.
#[must_use]
pub fn is_folder(text: &str) -> bool {
    !text.contains("://") && crate::is_path(text.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_seconds_or_less_are_not_asked_for() {
        for nothing in [None, Some(0), Some(-3600)] {
            assert_eq!(asked_for(nothing), None);
        }
        assert_eq!(asked_for(Some(7200)), Some(Duration::from_secs(7200)));
    }

    #[test]
    fn urls_buckets_and_folders_are_told_apart() {
        assert!(
            is_url("http://s3.example.org:8333")
                && !is_url("s3.example.org")
                && !is_url("https://")
        );
        assert!(is_bucket_name("cozy-backups") && !is_bucket_name("s3://cozy-backups"));
        assert!(is_folder("/tenant-acme/etcd/"));
        for text in ["/", "a//b", "../etcd", "s3://bucket/a"] {
            assert!(!is_folder(text), "{text}");
        }
    }
}
