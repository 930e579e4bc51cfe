//! What most settings of a strategy have in common.

use crate::Problem;

/// A setting that says something: a template that has nothing to set renders to an empty text.
///
/// ```
/// use backup_strategy::set;
///
/// // A parameter of the class, else the strategy's own setting, else the platform's.
/// let (parameter, setting) = (Some(String::new()), Some("eu-1".to_owned()));
/// assert_eq!(set(parameter).or(set(setting)).unwrap_or("us-east-1".into()), "eu-1");
/// ```
pub fn set<T: AsRef<str>>(setting: Option<T>) -> Option<T> {
    setting.filter(|text| !text.as_ref().is_empty())
}

impl Problem {
    /// A setting that does not fit. One that is absent, empty, or still a template is not judged.
    ///
    /// ```
    /// use backup_strategy::{Problem, is_url};
    ///
    /// let setting = Some("s3.example.org".to_owned());
    /// let problem = Problem::unless(is_url, "/spec/endpoint", setting.as_ref(), "begins with https:// or http://");
    /// assert!(problem.is_some_and(|problem| problem.path == "/spec/endpoint"));
    /// ```
    #[must_use]
    pub fn unless(
        fits: fn(&str) -> bool,
        pointer: &str,
        setting: Option<&String>,
        rule: &str,
    ) -> Option<Self> {
        set(setting)
            .filter(|text| !text.contains("{{") && !fits(text))
            .map(|_| Self::at(pointer, rule))
    }
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
    fn templates_and_what_is_empty_are_not_judged() {
        let judged =
            |text: &str| Problem::unless(|_| false, "/spec/a", Some(&text.into()), "no").is_some();
        assert!(judged("a"));
        assert!(!judged(""));
        assert!(!judged("{{ .Parameters.a }}"));
        assert!(Problem::unless(|_| false, "/spec/a", None, "no").is_none());
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
