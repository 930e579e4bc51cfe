//! Components that were published against an earlier contract go on working: they are kept as they were built, with the
//! stories that they told then.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use backup_strategy_kit::Kit;
use stage::Stage;
use wit_parser::{PackageId, Resolve, UnresolvedPackageGroup, WorldItem};

/// What is kept of a version of the contract.
struct Released {
    version: String,
    folder: PathBuf,
}

fn root() -> PathBuf {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    kit.join("../..").canonicalize().unwrap()
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// All versions that were released.
fn released() -> Vec<Released> {
    folders(&root().join("tests/released"))
        .into_iter()
        .map(|folder| Released {
            version: name(&folder),
            folder,
        })
        .collect()
}

/// A text of the contract.
fn parsed(text: &str) -> (Resolve, PackageId) {
    let mut resolve = Resolve::default();
    let group = UnresolvedPackageGroup::parse("strategy.wit", text).unwrap();
    let package = resolve.push_group(group).unwrap();
    (resolve, package)
}

/// The functions that a text of the contract has, by interface, and how each is written in full, types and all.
fn functions(text: &str) -> BTreeMap<String, String> {
    let (resolve, package) = parsed(text);
    let mut found = BTreeMap::new();
    for (interface, id) in &resolve.packages[package].interfaces {
        for (function, it) in &resolve.interfaces[*id].functions {
            let params = it.params.iter().map(|param| shape(&resolve, param.ty));
            let params: Vec<String> = params.collect();
            let result = it.result.map(|result| shape(&resolve, result));
            found.insert(
                format!("{interface}#{function}"),
                format!("{params:?} -> {result:?}"),
            );
        }
    }
    found
}

/// A type with all that it is made of.
fn shape(resolve: &Resolve, of: wit_parser::Type) -> String {
    use wit_parser::{Type, TypeDefKind};
    let Type::Id(id) = of else {
        return format!("{of:?}");
    };
    let definition = &resolve.types[id];
    let part = |of: Option<Type>| of.map_or_else(String::new, |of| shape(resolve, of));
    match &definition.kind {
        TypeDefKind::Record(record) => {
            let fields = record.fields.iter();
            let fields = fields.map(|field| format!("{}: {}", field.name, part(Some(field.ty))));
            format!("record {:?}", fields.collect::<Vec<_>>())
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            let cases = cases.map(|case| format!("{}({})", case.name, part(case.ty)));
            format!("variant {:?}", cases.collect::<Vec<_>>())
        }
        TypeDefKind::Enum(of) => {
            let cases: Vec<&str> = of.cases.iter().map(|case| case.name.as_str()).collect();
            format!("enum {cases:?}")
        }
        TypeDefKind::Option(of) => format!("option<{}>", part(Some(*of))),
        TypeDefKind::List(of) => format!("list<{}>", part(Some(*of))),
        TypeDefKind::Type(of) => part(Some(*of)),
        TypeDefKind::Result(of) => format!("result<{}, {}>", part(of.ok), part(of.err)),
        TypeDefKind::Tuple(of) => {
            let types = of.types.iter().map(|of| part(Some(*of)));
            format!("tuple {:?}", types.collect::<Vec<_>>())
        }
        other => panic!("the contract has no type like this yet: {other:?}"),
    }
}

/// The interfaces that a world exports.
fn exports(text: &str) -> BTreeSet<String> {
    let (resolve, package) = parsed(text);
    let world = resolve.packages[package].worlds["backup-strategy"];
    let items = resolve.worlds[world].exports.values();
    items
        .filter_map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone(),
            _ => None,
        })
        .collect()
}

#[test]
fn every_component_that_was_kept_tells_its_stories_as_it_did() {
    let mut told = 0;
    for version in released() {
        for kept in folders(&version.folder) {
            let strategy = Stage::from_folder(&kept, "component.wasm").unwrap();
            assert_eq!(strategy.manifest().contract.to_string(), version.version);
            let report = Kit::of(&strategy).run(kept.join("cases")).unwrap();
            assert!(report.passed(), "{}: {report}", kept.display());
            told += 1;
        }
    }
    assert!(told > 0);
}

#[test]
fn what_is_kept_of_a_version_uses_all_of_its_contract() {
    for version in released() {
        let text = fs::read_to_string(version.folder.join("strategy.wit")).unwrap();
        let mut unused: BTreeSet<String> = functions(&text).into_keys().collect();
        for kept in folders(&version.folder) {
            let strategy = Stage::from_folder(&kept, "component.wasm").unwrap();
            for import in strategy.imports() {
                let (interface, function) = import.split_once('#').unwrap_or((import, ""));
                let interface = interface.rsplit('/').next().unwrap();
                let interface = interface.split('@').next().unwrap();
                unused.remove(&format!("{interface}#{function}"));
            }
        }
        // What the host calls, every component has.
        unused.retain(|function| !function.starts_with("strategy#"));
        assert!(unused.is_empty(), "{}: {unused:?}", version.version);
    }
}

#[test]
fn the_contract_keeps_every_function_of_the_versions_before_it() {
    let present = fs::read_to_string(root().join("wit/strategy.wit")).unwrap();
    let (now, exported) = (functions(&present), exports(&present));
    let major = |version: &str| version.split('.').next().unwrap().to_owned();
    let of_now = backup_sandbox::CONTRACT;
    for version in released() {
        if major(&version.version) != major(of_now) {
            continue;
        }
        let text = fs::read_to_string(version.folder.join("strategy.wit")).unwrap();
        for (function, shape) in functions(&text) {
            assert_eq!(now.get(&function), Some(&shape), "{function}");
        }
        assert_eq!(exports(&text), exported, "a new export refuses components");
    }
}

#[test]
fn the_present_contract_is_one_of_those_that_are_kept() {
    let versions: Vec<String> = released().into_iter().map(|kept| kept.version).collect();
    assert!(
        versions
            .iter()
            .any(|version| version == backup_sandbox::CONTRACT),
        "keep a component and the text of {} in tests/released: {versions:?}",
        backup_sandbox::CONTRACT
    );
}
