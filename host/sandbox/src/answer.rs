//! What a strategy's answers must look like.

use std::collections::BTreeSet;

use crate::{
    Reply, check,
    contract::{Artifact, Failure, Path, Problem, Progress, Step, Success, Verdict, Wait},
};

/// Bytes of a Backup's metadata, keys and values: what Kubernetes allows for all annotations of an object.
const METADATA: usize = 256 << 10;
/// A metadata key: as long as a label's key can be, with its prefix and `/`.
const METADATA_KEY: usize = 253 + 1 + 63;
/// Bytes of the resources, which share the Backup's status with everything else.
const RESOURCES: usize = 256 << 10;
/// An artifact's URI: a scheme, a bucket and a key, of which S3 allows 1,024 bytes.
const URI: usize = 2_048;
/// An artifact's checksum: an algorithm and, at most, 512 bits in hex.
const CHECKSUM: usize = 256;

type Checked = Result<(), String>;

pub(crate) fn check(reply: &Reply) -> Checked {
    match reply {
        // Has a check of its own, when it is loaded.
        Reply::Manifest(_) => Ok(()),
        Reply::Problems(problems) => problems.iter().try_for_each(problem),
        Reply::Paths(Ok(paths)) => paths.iter().try_for_each(path),
        Reply::Progress(Progress::Succeeded(done)) => success(done),
        Reply::Progress(Progress::Waiting(why)) | Reply::Step(Step::Waiting(why)) => wait(why),
        Reply::Verdict(Verdict::Waiting(why)) => wait(why),
        Reply::Paths(Err(why))
        | Reply::Progress(Progress::Failed(why))
        | Reply::Step(Step::Failed(why))
        | Reply::Verdict(Verdict::Lost(why) | Verdict::Unknown(why)) => failure(why),
        Reply::Step(Step::Done) => Ok(()),
        Reply::Verdict(Verdict::Present(there)) => there.as_ref().map_or(Ok(()), artifact),
    }
}

fn wait(why: &Wait) -> Checked {
    check::reason(&why.reason)?;
    check::message(&why.message)
}

fn failure(why: &Failure) -> Checked {
    check::reason(&why.reason)?;
    check::message(&why.message)
}

fn success(done: &Success) -> Checked {
    done.artifact.as_ref().map_or(Ok(()), artifact)?;
    let mut keys = BTreeSet::new();
    let mut bytes = 0;
    for entry in &done.metadata {
        let key = &entry.key;
        text("a metadata key", key, METADATA_KEY)?;
        if !keys.insert(key) {
            return Err(format!("the metadata key {key:?} is given twice"));
        }
        bytes += key.len() + entry.value.len();
    }
    if bytes > METADATA {
        return Err(format!(
            "metadata of {bytes} bytes; a Backup holds {METADATA}"
        ));
    }
    let Some(resources) = &done.resources else {
        return Ok(());
    };
    if resources.len() > RESOURCES {
        return Err(format!(
            "resources of {} bytes; a Backup holds {RESOURCES}",
            resources.len()
        ));
    }
    check::json_object("`resources`", resources).map(drop)
}

fn artifact(artifact: &Artifact) -> Checked {
    text("the artifact's uri", &artifact.uri, URI)?;
    artifact.checksum.as_ref().map_or(Ok(()), |checksum| {
        text("the artifact's checksum", checksum, CHECKSUM)
    })
}

fn path(path: &Path) -> Checked {
    text("a path's uri", &path.uri, URI)?;
    check::message(&path.purpose)
}

fn problem(problem: &Problem) -> Checked {
    let place = &problem.path;
    let inside = |root: &str| {
        place
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !inside("/spec") && !inside("/parameters") {
        return Err(format!(
            "{place:?} is not a JSON pointer into `/spec` or `/parameters`"
        ));
    }
    check::message(&problem.message)
}

fn text(what: &str, text: &str, longest: usize) -> Checked {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.len() > longest {
        return Err(format!(
            "{what} has {} bytes; {longest} are allowed",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Entry;

    fn finished(metadata: &[(&str, &str)], resources: Option<&str>, uri: Option<&str>) -> Reply {
        let entry = |(key, value): &(&str, &str)| Entry {
            key: (*key).into(),
            value: (*value).into(),
        };
        Reply::Progress(Progress::Succeeded(Success {
            taken_at: None,
            artifact: uri.map(|uri| Artifact {
                uri: uri.into(),
                size_bytes: None,
                checksum: None,
            }),
            metadata: metadata.iter().map(entry).collect(),
            resources: resources.map(str::to_owned),
        }))
    }

    fn failed(reason: &str, message: &str) -> Reply {
        Reply::Step(Step::Failed(Failure {
            reason: reason.into(),
            message: message.into(),
        }))
    }

    fn refused(reply: &Reply, with: &str) {
        let problem = check(reply).unwrap_err();
        assert!(problem.contains(with), "{problem}");
    }

    #[test]
    fn a_success_fits_into_a_backup() {
        assert_eq!(
            check(&finished(&[("a", "b")], Some("{}"), Some("s3://bucket/a"))),
            Ok(())
        );
        refused(&finished(&[("", "b")], None, None), "is empty");
        refused(
            &finished(&[("a", "b"), ("a", "c")], None, None),
            "given twice",
        );
        refused(
            &finished(&[("a", &"b".repeat(METADATA))], None, None),
            "a Backup holds",
        );
        refused(&finished(&[], Some("[]"), None), "not a JSON object");
        refused(&finished(&[], Some("{"), None), "not JSON");
        refused(&finished(&[], None, Some("")), "uri is empty");
        refused(&finished(&[], None, Some("s3://a\n")), "control character");
    }

    #[test]
    fn a_reason_is_one_that_kubernetes_takes() {
        assert_eq!(check(&failed("BackupFailed", "")), Ok(()));
        refused(&failed("", ""), "not a reason");
        refused(&failed("backup failed", ""), "not a reason");
        refused(&failed("BackupFailed", &"x".repeat(40_000)), "40000 bytes");
    }

    #[test]
    fn a_problem_points_into_what_was_validated() {
        let problem = |path: &str| {
            Reply::Problems(vec![Problem {
                path: path.into(),
                message: "no".into(),
            }])
        };
        for path in ["/spec", "/spec/a/0", "/parameters/b"] {
            assert_eq!(check(&problem(path)), Ok(()), "{path}");
        }
        for path in ["", "spec", "/specs", "/metadata"] {
            refused(&problem(path), "JSON pointer");
        }
    }
}
