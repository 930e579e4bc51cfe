//! Commands of kubectl that a page shows name kinds that there are.

use std::collections::BTreeSet;

use charts::HOST;

use crate::page::{all, docs};

/// Verbs that are followed by a kind.
const VERBS: [&str; 9] = [
    "get", "describe", "delete", "patch", "annotate", "label", "edit", "wait", "explain",
];

/// Kinds of Kubernetes and of others that the pages name.
const OTHERS: [&str; 21] = [
    "backupstoragelocation",
    "bucket",
    "buckets",
    "clusterrole",
    "clusterrolebinding",
    "configmaps",
    "crd",
    "crds",
    "deployment",
    "events",
    "helmreleases",
    "lease",
    "namespace",
    "pods",
    "postgres",
    "pvc",
    "rolebindings",
    "secret",
    "serviceaccounts",
    "validatingadmissionpolicy",
    "vminstance",
];

/// Flags that a word of their own follows.
const WITH_VALUE: [&str; 7] = [
    "-n",
    "--namespace",
    "-o",
    "--output",
    "--filename",
    "--type",
    "--patch",
];

/// The names of the kinds of the chart: plural, singular, short.
fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for definition in HOST.definitions().unwrap() {
        let names = &definition["spec"]["names"];
        let short = names["shortNames"].as_array().into_iter().flatten();
        let short = short.map(|name| name.as_str().unwrap().to_owned());
        known.extend(short);
        for member in ["plural", "singular"] {
            known.insert(names[member].as_str().unwrap().to_owned());
        }
        let categories = names["categories"].as_array().into_iter().flatten();
        known.extend(categories.map(|name| name.as_str().unwrap().to_owned()));
    }
    known.extend(OTHERS.map(ToOwned::to_owned));
    known
}

/// What a command of kubectl is about: of `kubectl -n a get backups,plans` the two kinds.
fn kinds(command: &str) -> Vec<&str> {
    let mut words = vec![];
    let mut is_value = false;
    for word in command.split_whitespace() {
        if !is_value && !word.starts_with('-') {
            words.push(word);
        }
        is_value = WITH_VALUE.contains(&word);
    }
    let Some((_, rest)) = words
        .split_first()
        .and_then(|(_, rest)| rest.split_first())
        .filter(|(verb, _)| VERBS.contains(verb))
    else {
        return vec![];
    };
    let kinds = rest.first().map(|kinds| kinds.split(','));
    let kinds = kinds.into_iter().flatten();
    kinds
        .map(|kind| kind.split(['/', '.']).next().unwrap_or(kind))
        .collect()
}

#[test]
fn every_kind_that_a_command_names_is_there() {
    let known = known();
    let mut count = 0;
    for page in all() {
        for block in page.blocks() {
            let commands = block
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("$ "));
            for command in commands.filter(|command| command.starts_with("kubectl ")) {
                for kind in kinds(command) {
                    count += 1;
                    assert!(known.contains(kind), "{}: {command}: {kind}", page.path);
                }
            }
        }
    }
    assert!(count > 5, "{count} kinds");
}

#[test]
fn a_page_shows_commands_with_a_prompt_and_output_without() {
    for page in docs() {
        let is_console = |block: &crate::page::Block| block.language == "console";
        for block in page.blocks().into_iter().filter(is_console) {
            assert!(
                block.text.starts_with("$ "),
                "{}, line {}: begin a command with `$ `",
                page.path,
                block.line
            );
        }
    }
}

#[test]
fn the_kinds_of_a_command_are_found() {
    assert_eq!(
        kinds("kubectl get backups,plans --output wide"),
        ["backups", "plans"]
    );
    assert_eq!(kinds("kubectl -n tenant-acme get bj ad-hoc"), ["bj"]);
    assert_eq!(kinds("kubectl logs deployment/host"), [""; 0]);
    assert_eq!(
        kinds("kubectl wait backupjob/ad-hoc --for=x"),
        ["backupjob"]
    );
}
