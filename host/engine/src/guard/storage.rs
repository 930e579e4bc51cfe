//! Places in object storage: each lies inside the granted paths of the platform's bucket.
//!
//! | where | is taken for |
//! |---|---|
//! | a declared pointer, an answer to `paths` | a place, whatever it looks like: a key, or a URI of a scheme below |
//! | any other text, at its beginning or inside | a place, where it holds one of these |
//! | `s3://`, `s3a://`, … | a place in the bucket that it names |
//! | `http://` or `https://` at the storage's own host | a place in the bucket of its first segment, or of its host name |
//! | `blobstore://` | FoundationDB's: the bucket is in the query, the data below `data/` and the index below `backups/` |
//! | any other scheme with the bucket's name behind it | a place in the bucket |
//!
//! Programs differ in how they read `..`, empty segments, `%2e`, `\` and what stands behind `?`. None of these stands in
//! a place that passes.

use serde_json::Value;

use super::Form;
use crate::{admit::Case, object, storage::covers};

/// What ends a URI inside a longer text, such as a script.
const ENDS: [char; 9] = ['"', '\'', '`', '<', '>', '|', ';', '\n', '\t'];

/// What closes a sentence or a bracket behind a URI, and is no part of it.
const CLOSES: [char; 6] = [',', '.', ')', ']', '}', ':'];

/// The bucket that FoundationDB uses where a URI names none.
const BLOBSTORE_BUCKET: &str = "fdb-backups";

/// Where a case may reach in the storage.
pub(super) struct Bounds<'a> {
    /// The platform's bucket first.
    buckets: Vec<&'a str>,
    /// Hosts of the services of these buckets, in lower case.
    hosts: Vec<String>,
    prefixes: &'a [String],
    /// Of the application that is restored from, where it is another.
    sources: &'a [String],
}

impl<'a> Bounds<'a> {
    pub(super) fn of(case: &'a Case) -> Self {
        let location = &case.credentials.location;
        let began = case.began_with.as_ref();
        let endpoints = [
            Some(location.endpoint.as_str()),
            began.map(|began| began.endpoint.as_str()),
        ];
        Self {
            buckets: buckets(case),
            hosts: endpoints.into_iter().flatten().map(host_of).collect(),
            prefixes: &case.request.prefixes,
            sources: &case.source_prefixes,
        }
    }

    /// The places that a document names.
    pub(super) fn document(
        &self,
        document: &Value,
        pointers: &[String],
        form: Form,
    ) -> Result<(), String> {
        for pointer in pointers {
            self.declared(document, pointer)
                .map_err(|rule| format!("{pointer} {rule}"))?;
        }
        let mut outside = Ok(());
        object::visit_strings(document, &mut |pointer, text| {
            if outside.is_ok() && text.contains("://") {
                outside = self
                    .uris_in(text)
                    .map_err(|rule| format!("{pointer} {rule}"));
            }
        });
        outside?;
        let absent = pointers
            .iter()
            .find(|pointer| is_left_out(document, pointer, form));
        absent.map_or(Ok(()), |pointer| {
            Err(format!(
                "{pointer} is absent, which is {}",
                self.all_of_it()
            ))
        })
    }

    /// The place at a declared pointer, and the bucket that is named beside it.
    fn declared(&self, document: &Value, pointer: &str) -> Result<(), String> {
        let parent = parent(document, pointer);
        match document.pointer(pointer) {
            Some(Value::String(place)) => self.place(place)?,
            Some(Value::Null) | None => {}
            Some(other) => return Err(format!("is {other}, which is no text")),
        }
        let named = ["bucket", "bucketName"].map(|name| parent?.get(name)?.as_str());
        match named.into_iter().flatten().find(|name| !self.is_ours(name)) {
            Some(bucket) => Err(format!("is in {}", self.other_bucket(bucket))),
            None => Ok(()),
        }
    }

    /// A place: a URI that names the bucket, or a key.
    pub(super) fn place(&self, place: &str) -> Result<(), String> {
        match Uri::whole(place) {
            None => self.key(place, place),
            Some(uri) if uri.rest.trim_matches('/').is_empty() => {
                Err(format!("is {place}, which is {}", self.all_of_it()))
            }
            Some(uri) if self.is_about_storage(&uri) => self.uri(&uri),
            Some(_) => Err(format!(
                "is {place}, which is no place in bucket {}",
                self.buckets.join(" or ")
            )),
        }
    }

    /// The URIs in a text that are about the storage.
    pub(super) fn uris_in(&self, text: &str) -> Result<(), String> {
        Uri::all(text)
            .filter(|uri| self.is_about_storage(uri))
            .try_for_each(|uri| self.uri(&uri))
    }

    fn is_about_storage(&self, uri: &Uri<'_>) -> bool {
        let host = host_of(uri.authority);
        let mut buckets = self.buckets.iter();
        uri.scheme.starts_with("s3")
            || uri.scheme == "blobstore"
            || buckets.any(|bucket| bucket.eq_ignore_ascii_case(&host))
            || self.bucket_before_host(&host).is_some()
            || self.hosts.contains(&host)
    }

    /// What stands before the storage's host in a host name.
    fn bucket_before_host<'h>(&self, host: &'h str) -> Option<&'h str> {
        let mut hosts = self.hosts.iter().filter(|ours| !ours.is_empty());
        hosts.find_map(|ours| host.strip_suffix(ours.as_str())?.strip_suffix('.'))
    }

    fn uri(&self, uri: &Uri<'_>) -> Result<(), String> {
        let host = host_of(uri.authority);
        if uri.scheme == "blobstore" {
            return self.blobstore(uri);
        }
        let is_http = matches!(uri.scheme.as_str(), "http" | "https");
        if is_http && self.hosts.contains(&host) {
            let rest = uri.rest.strip_prefix('/').unwrap_or(uri.rest);
            if rest.is_empty() {
                // The endpoint itself.
                return Ok(());
            }
            let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
            return self.in_bucket(bucket, key, uri);
        }
        let key = uri.rest.strip_prefix('/').unwrap_or(uri.rest);
        match self.bucket_before_host(&host).filter(|_| is_http) {
            Some(bucket) => self.in_bucket(bucket, key, uri),
            None => self.in_bucket(uri.authority, key, uri),
        }
    }

    fn in_bucket(&self, bucket: &str, key: &str, uri: &Uri<'_>) -> Result<(), String> {
        if !self.is_ours(bucket) {
            return Err(format!("is {}, in {}", uri.text, self.other_bucket(bucket)));
        }
        self.key(key, uri.text)
    }

    /// `blobstore://<account>@<host>/<name>?bucket=<bucket>&…`, or as it stands in artifacts, `blobstore://<bucket>/<name>`.
    fn blobstore(&self, uri: &Uri<'_>) -> Result<(), String> {
        let (path, query) = uri.rest.split_once('?').unwrap_or((uri.rest, ""));
        let parameters = query.split('&').filter_map(|pair| pair.split_once('='));
        let named = |wanted: &str| {
            let found = parameters.clone().filter(|(name, _)| *name == wanted);
            found.map(|(_, value)| value).collect::<Vec<_>>()
        };
        if !named("prefix").is_empty() {
            return Err(format!("is {}, which adds a prefix of its own", uri.text));
        }
        let is_bare = query.is_empty() && self.is_ours(uri.authority);
        let buckets = match named("bucket") {
            named if named.is_empty() && is_bare => vec![uri.authority],
            named if named.is_empty() => vec![BLOBSTORE_BUCKET],
            named => named,
        };
        if let Some(other) = buckets.into_iter().find(|bucket| !self.is_ours(bucket)) {
            return Err(format!("is {}, in {}", uri.text, self.other_bucket(other)));
        }
        let name = path.strip_prefix('/').unwrap_or(path);
        self.key(name, uri.text).or_else(|rule| {
            let parts = ["data", "backups"].map(|part| format!("{part}/{name}"));
            let inside = parts.iter().all(|key| self.key(key, uri.text).is_ok());
            if inside { Ok(()) } else { Err(rule) }
        })
    }

    /// A key of the bucket, which may be a folder.
    fn key(&self, key: &str, shown: &str) -> Result<(), String> {
        let path = key.strip_suffix('/').unwrap_or(key);
        let mut prefixes = self.prefixes.iter().chain(self.sources);
        if is_plain(path) && prefixes.any(|prefix| covers(prefix, path)) {
            return Ok(());
        }
        Err(format!(
            "is {shown}, outside of {}",
            self.prefixes.join(", ")
        ))
    }

    /// A path that is removed with all that lies below it: below a granted one.
    pub(super) fn purge(&self, path: &str) -> Result<(), String> {
        let is_below = |prefix: &String| prefix != path && covers(prefix, path);
        if is_plain(path) && self.prefixes.iter().any(is_below) {
            return Ok(());
        }
        Err(format!(
            "names {path}, which is not below {}",
            self.prefixes.join(", ")
        ))
    }

    fn is_ours(&self, bucket: &str) -> bool {
        self.buckets.contains(&bucket)
    }

    fn other_bucket(&self, bucket: &str) -> String {
        format!(
            "bucket {bucket}, which is not {}",
            self.buckets.join(" or ")
        )
    }

    fn all_of_it(&self) -> String {
        format!(
            "all of bucket {}, outside of {}",
            self.buckets.join(" or "),
            self.prefixes.join(", ")
        )
    }
}

/// Whether all programs read a path alike.
fn is_plain(path: &str) -> bool {
    !path.contains(is_ambiguous)
        && path
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | ".."))
}

/// The buckets that a case may use: the platform's, the one that the job began with and the one of its Backup, where the
/// platform's has moved since, and those that the platform's operator names in the strategy object or in the class.
fn buckets(case: &Case) -> Vec<&str> {
    let mut buckets = vec![case.credentials.location.bucket.as_str()];
    buckets.extend(case.began_with.as_ref().map(|began| began.bucket.as_str()));
    let source = case.request.source.as_ref();
    let artifact = source.and_then(|source| source.artifact.as_ref());
    buckets.extend(artifact.and_then(|artifact| bucket_of(&artifact.uri)));
    let parameters = case.binding.parameters.iter();
    buckets.extend(parameters.filter_map(|(name, value)| {
        bucket_of(value).or(is_bucket_field(name).then_some(value.as_str()))
    }));
    let spec = case
        .binding
        .strategy
        .as_ref()
        .and_then(|strategy| strategy.get("spec"));
    if let Some(spec) = spec {
        object::visit_members(spec, &mut |_, name, value| {
            let text = value.as_str().unwrap_or_default();
            let bucket = bucket_of(text).or(is_bucket_field(name).then_some(text));
            buckets.extend(bucket.filter(|bucket| !bucket.contains("{{")));
        });
    }
    let mut known = Vec::new();
    buckets.retain(|bucket| {
        let is_new = !bucket.is_empty() && !known.contains(bucket);
        known.push(*bucket);
        is_new
    });
    buckets
}

/// A field, or a parameter of a class, which is named after the field's path: `destination.s3.bucket`.
fn is_bucket_field(name: &str) -> bool {
    let field = name.rsplit('.').next().unwrap_or(name);
    matches!(field, "bucket" | "bucketName")
}

/// The bucket of an `s3://` URI.
fn bucket_of(uri: &str) -> Option<&str> {
    uri.strip_prefix("s3://")?.split('/').next()
}

/// What stands around a pointer.
fn parent<'d>(document: &'d Value, pointer: &str) -> Option<&'d serde_json::Map<String, Value>> {
    let (parent, _) = pointer.rsplit_once('/')?;
    document.pointer(parent)?.as_object()
}

/// Whether a place is left out where what stands around it is there: then it is all of the bucket.
fn is_left_out(document: &Value, pointer: &str, form: Form) -> bool {
    match document.pointer(pointer) {
        Some(value) => value.is_null(),
        None => form == Form::Whole && parent(document, pointer).is_some(),
    }
}

/// What programs read differently in a path: escapes, a query, a fragment, another separator.
fn is_ambiguous(c: char) -> bool {
    matches!(c, '%' | '\\' | '?' | '#') || c.is_control() || c.is_whitespace()
}

/// The host of a URL or of an authority, in lower case, without user, port and path.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let host = match host.rsplit_once(':') {
        Some((host, port)) if is_port(port) => host,
        _ => host,
    };
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// A URI with an authority.
struct Uri<'a> {
    text: &'a str,
    /// In lower case.
    scheme: String,
    authority: &'a str,
    /// From the path on.
    rest: &'a str,
}

impl<'a> Uri<'a> {
    /// A text that is a URI from its beginning to its end, but for white space around it.
    fn whole(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (scheme, behind) = text.split_once("://")?;
        let is_scheme = !scheme.is_empty() && scheme.chars().all(is_scheme_character);
        is_scheme.then(|| Self::of(text, scheme, behind))
    }

    fn of(text: &'a str, scheme: &'a str, behind: &'a str) -> Self {
        let end = behind.find(['/', '?', '#', '\\']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        Self {
            text,
            scheme: scheme.to_ascii_lowercase(),
            authority,
            rest,
        }
    }

    /// Every URI in a text. One that stands at its beginning goes to its end: there is no telling what else it is.
    fn all(text: &'a str) -> impl Iterator<Item = Self> {
        let whole = Self::whole(text);
        let inside = text.match_indices("://").filter_map(move |(at, _)| {
            let scheme = text[..at].rsplit(|c| !is_scheme_character(c)).next()?;
            let begin = at - scheme.len();
            let behind = &text[at + "://".len()..];
            let length = behind
                .find(|c: char| ENDS.contains(&c) || c.is_whitespace())
                .unwrap_or(behind.len());
            let behind = behind[..length].trim_end_matches(CLOSES);
            let end = at + "://".len() + behind.len();
            // The whole is looked at as such.
            (!scheme.is_empty() && !text[..begin].trim().is_empty())
                .then(|| Self::of(&text[begin..end], scheme, behind))
        });
        whole.into_iter().chain(inside)
    }
}

fn is_scheme_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check<T>(test: impl FnOnce(&Bounds<'_>) -> T) -> T {
        let prefixes = ["ns/db", "data/fdb/db", "backups/fdb/db"].map(ToOwned::to_owned);
        test(&Bounds {
            buckets: vec!["cozy"],
            hosts: vec!["s3.example".to_owned()],
            prefixes: &prefixes,
            sources: &[],
        })
    }

    #[test]
    fn places_inside_of_what_was_granted_pass() {
        for place in [
            "ns/db",
            "ns/db/",
            "ns/db/2026/base.tar.gz",
            "s3://cozy/ns/db/",
            "S3://cozy/ns/db",
            "s3a://cozy/ns/db/x",
            "https://s3.example/cozy/ns/db/x",
            "https://S3.example:443/cozy/ns/db/x",
            "https://cozy.s3.example/ns/db/x",
            "blobstore://cozy/ns/db",
            "blobstore://key@s3.example:443/fdb/db?bucket=cozy&secure_connection=1",
        ] {
            assert_eq!(check(|bounds| bounds.place(place)), Ok(()), "{place}");
            assert_eq!(check(|bounds| bounds.uris_in(place)), Ok(()), "{place}");
        }
    }

    #[test]
    fn every_trick_with_a_place_fails() {
        for place in [
            "s3://cozy/ns/db-2",
            "s3://cozy/ns",
            "s3://cozy/",
            "s3://cozy",
            "s3://cozy/ns/db/../other",
            "s3://cozy/ns/db/./x",
            "s3://cozy//ns/db",
            "s3://cozy/ns//db",
            "s3://cozy/ns/db//",
            "s3://cozy/ns/db/%2e%2e/other",
            "s3://cozy/ns%2Fdb",
            "s3://cozy/ns/db\\..\\other",
            "s3://cozy\\ns/db",
            "s3://cozy/ns/db?prefix=other",
            "s3://cozy/ns/db#/../other",
            "s3://cozy/ns/db/,/../../other",
            "s3://cozy/ns/db x/../../other",
            "s3://cozy/NS/DB",
            "s3://other/ns/db",
            "s3://COZY/ns/db",
            "s3://user@cozy/ns/db",
            "s3://cozy:1/ns/db",
            " s3://cozy/other",
            "S3://cozy/other",
            "s3a://cozy/other",
            "s3n://cozy/other",
            "gs://cozy/other",
            "https://s3.example/cozy/other",
            "https://s3.example/other/ns/db",
            "https://s3.example/cozy",
            "HTTPS://S3.EXAMPLE/cozy/other",
            "http://s3.example:80/cozy/other",
            "https://user:word@s3.example/cozy/other",
            "https://s3.example./cozy/other",
            "https://cozy.s3.example/other",
            "https://other.s3.example/ns/db",
            "https://s3.example/cozy/ns/db?list-type=2&prefix=other",
            "blobstore://key@s3.example/other/db?bucket=cozy",
            "blobstore://key@s3.example/fdb/db?bucket=other",
            "blobstore://key@s3.example/fdb/db?bucket=cozy&bucket=other",
            "blobstore://key@s3.example/fdb/db?bucket=cozy&prefix=x",
            "blobstore://key@s3.example/fdb/db",
            "blobstore://cozy/other",
        ] {
            for said in [
                check(|bounds| bounds.place(place)),
                check(|bounds| bounds.uris_in(place)),
                check(|bounds| bounds.document(&json!({ "a": [place] }), &[], Form::Whole)),
            ] {
                assert!(said.is_err(), "{place}");
            }
        }
        for key in [
            "",
            "/",
            "https://s3.example",
            "/ns/db",
            "ns/db-2",
            "ns/../ns/db",
            "ns//db",
            "ns/db/..",
            "ns\\db",
            "ns/db/%2e%2e",
            "ns",
            "file:///ns/db",
            "https://elsewhere.example/ns/db",
        ] {
            assert!(check(|bounds| bounds.place(key)).is_err(), "{key}");
        }
    }

    #[test]
    fn a_uri_is_found_inside_a_script() {
        let script = |place: &str| format!("set -e; aws s3 cp \"{place}\" - | (cat, {place}).");
        assert_eq!(
            check(|bounds| bounds.uris_in(&script("s3://cozy/ns/db/x"))),
            Ok(())
        );
        let said = check(|bounds| bounds.uris_in(&script("s3://cozy/ns/db-2/x")));
        assert_eq!(
            said.unwrap_err(),
            "is s3://cozy/ns/db-2/x, outside of ns/db, data/fdb/db, backups/fdb/db"
        );
    }

    #[test]
    fn what_is_not_about_the_storage_is_left_alone() {
        for text in [
            "https://s3.example",
            "https://s3.example/",
            "https://elsewhere.example/anything/../at?all",
            "velero://cozy-velero/ns.job",
            "a :// b",
            "://",
        ] {
            assert_eq!(check(|bounds| bounds.uris_in(text)), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_declared_place_is_there_and_in_the_bucket() {
        let pointers = ["/spec/s3/key".to_owned()];
        let said = |s3: Value, form| {
            let document = json!({ "spec": { "s3": s3 } });
            check(|bounds| bounds.document(&document, &pointers, form))
        };
        let whole = Form::Whole;
        assert!(said(json!({ "key": "ns/db/", "bucket": "cozy" }), whole).is_ok());
        assert!(said(json!({ "key": "ns/db/", "bucket": "other" }), whole).is_err());
        assert!(said(json!({ "bucket": "cozy" }), whole).is_err());
        assert!(said(json!({ "key": null }), whole).is_err());
        assert!(said(json!({ "key": ["ns/db"] }), whole).is_err());
        assert!(said(Value::Null, whole).is_ok(), "there is no place at all");
        assert!(said(json!({ "region": "x" }), Form::Patch).is_ok());
        assert!(said(json!({ "bucket": "other" }), Form::Patch).is_err());
        assert!(said(json!({ "key": null }), Form::Patch).is_err());
    }

    #[test]
    fn a_parameter_is_named_after_its_field() {
        for name in ["bucket", "bucketName", "storage.s3.bucket"] {
            assert!(is_bucket_field(name), "{name}");
        }
        for name in ["storage.bucket.region", "bucket.", "mybucket", ""] {
            assert!(!is_bucket_field(name), "{name}");
        }
    }

    #[test]
    fn a_purge_is_below_a_granted_path() {
        assert!(check(|bounds| bounds.purge("ns/db/a")).is_ok());
        for path in ["ns/db", "ns", "ns/db-2", "ns/db/../x", "ns/db/%2e%2e"] {
            assert!(check(|bounds| bounds.purge(path)).is_err(), "{path}");
        }
    }
}
