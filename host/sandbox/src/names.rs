//! Names of the objects that a job makes.

use sha2::{Digest, Sha256};

use crate::{check, contract::JobIdentity};

/// The shortest `max-length` that leaves room to tell two children apart and to read what they are.
const SHORTEST: u32 = 20;
/// A DNS label.
const LONGEST: usize = 63;
/// Bytes of the hash. Job and role stand before it, so 40 bits only have to tell apart what was cut alike.
const HASH: usize = 5;

/// `<job>-<role>-<hash>`: the same for one job and role, another for any other role, job or uid. Where that is
/// too long the job's name is cut, then the role; the hash, which covers both whole, never is.
pub(crate) fn child(job: &JobIdentity, role: &str, max_length: u32) -> Result<String, String> {
    check::role(role)?;
    if max_length < SHORTEST {
        return Err(format!(
            "`max-length` is {max_length}; a name needs {SHORTEST} characters"
        ));
    }
    let longest = usize::try_from(max_length).map_or(LONGEST, |max| max.min(LONGEST));
    let hash = hash(job, role);
    let room = longest - hash.len() - 1;
    let role = cut(role, room);
    let owner: String = job
        .name
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    // One character for the dash between.
    let owner = cut(owner.trim_matches('-'), room.saturating_sub(role.len() + 1));
    Ok(if owner.is_empty() {
        format!("{role}-{hash}")
    } else {
        format!("{owner}-{role}-{hash}")
    })
}

fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

/// At most so many characters, not ending with a dash. `text` is ASCII.
fn cut(text: &str, length: usize) -> &str {
    text.get(..length).unwrap_or(text).trim_end_matches('-')
}

fn hash(job: &JobIdentity, role: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [&job.name, &job.uid, role] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .take(HASH)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, uid: &str) -> JobIdentity {
        JobIdentity {
            kind: "BackupJob".into(),
            namespace: "tenant".into(),
            name: name.into(),
            uid: uid.into(),
            started_at: 0,
        }
    }

    fn named(name: &str, role: &str, max: u32) -> String {
        child(&job(name, "u1"), role, max).unwrap()
    }

    #[test]
    fn a_name_never_changes() {
        // A golden value: names written down by one version of the host are found by the next.
        assert_eq!(named("nightly", "backup", 63), "nightly-backup-d83aa98c4e");
    }

    #[test]
    fn a_job_created_anew_gets_other_names() {
        let first = child(&job("nightly", "u1"), "backup", 63).unwrap();
        let second = child(&job("nightly", "u2"), "backup", 63).unwrap();
        assert_ne!(first, second);
        assert_ne!(first, named("nightly", "restore", 63));
        assert_ne!(
            named("a-b", "c", 63),
            named("a", "b-c", 63),
            "the dash is no separator"
        );
    }

    #[test]
    fn every_name_is_a_label_of_the_length_asked_for() {
        for max in [20, 21, 30, 52, 63, 64, 300, u32::MAX] {
            for role in [
                "b",
                "backup",
                "a-very-long-role-that-does-not-leave-room-for-anything-else-now",
            ] {
                for owner in ["j", "nightly-", "with.dots.in.it", &"long-".repeat(40)] {
                    let name = named(owner, role, max);
                    assert!(check::role(&name).is_ok(), "{name}");
                    assert!(name.len() <= max as usize, "{name} is longer than {max}");
                    assert_eq!(name, named(owner, role, max));
                }
            }
        }
    }

    #[test]
    fn a_cut_name_still_tells_roles_apart() {
        assert_ne!(
            named("nightly", "write-ahead-log-one", 20),
            named("nightly", "write-ahead-log-two", 20)
        );
    }

    #[test]
    fn what_is_no_label_is_refused() {
        for role in ["", "-a", "a-", "A", "a.b", "a/b", "a_b", "é"] {
            assert!(child(&job("nightly", "u1"), role, 63).is_err(), "{role:?}");
        }
        assert!(child(&job("nightly", "u1"), "backup", 19).is_err());
    }
}
