//! What a component asks of its host, compared with what a strategy is given.

use std::collections::BTreeMap;

use semver::Version;
use wasmparser::{Parser, Payload};
use wasmtime::{
    Engine,
    component::{Component, types::ComponentItem},
};

use crate::LoadError;

/// The contract that this host speaks.
pub const CONTRACT: &str = "1.0.0";

/// The contract's package, with the `/` before its interfaces.
const PACKAGE: &str = "cozystack:backup-strategy/";

/// The exported interface.
const STRATEGY: &str = "strategy";

/// The imported interfaces and their functions. A test compares this with the WIT text.
pub(crate) const FUNCTIONS: [(&str, &[&str]); 6] = [
    ("types", &[]),
    (
        "context",
        &[
            "now",
            "job",
            "options",
            "subject",
            "application",
            "release",
            "spec",
            "child-name",
            "parameters",
            "source",
            "state",
            "refused",
        ],
    ),
    ("cluster", &["get", "find", "serves", "log-tail"]),
    ("storage", &["target", "ca-key", "prefixes", "objects"]),
    (
        "plan",
        &[
            "create",
            "dry-run",
            "apply",
            "merge",
            "delete",
            "delete-all",
            "suspend",
            "resume",
            "purge",
            "condition",
            "event",
            "remember",
        ],
    ),
    ("log", &["write"]),
];

/// The functions that a component imports and exports, as `strategyctl inspect` shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Surface {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// An interface of the contract's package, as an import or export names it.
struct Interface<'a> {
    name: &'a str,
    version: Version,
}

impl<'a> Interface<'a> {
    /// `cozystack:backup-strategy/context@1.0.0`
    fn parse(text: &'a str) -> Option<Self> {
        let (name, version) = text.strip_prefix(PACKAGE)?.split_once('@')?;
        Some(Self {
            name,
            version: Version::parse(version).ok()?,
        })
    }
}

/// The version of [`CONTRACT`].
pub(crate) fn offered() -> Version {
    Version::parse(CONTRACT).unwrap_or_else(|_| Version::new(0, 0, 0))
}

/// Whether a host of `host` may have what a strategy of `version` asks for: the rule of semver, by which below
/// 1.0 only patch versions add without breaking.
pub(crate) fn is_compatible(host: &Version, version: &Version) -> bool {
    host.major == version.major && (host.major > 0 || host.minor == version.minor)
}

/// Refuses by the names of imports and exports alone, which takes no compiler: a large component that was
/// built against WASI should not have to be compiled before its author hears of it.
pub(crate) fn check_names(bytes: &[u8]) -> Result<(), LoadError> {
    if bytes.starts_with(b"\0asm\x01\0\0\0") {
        let hint = "it is a core module; a component is made of it with `wasm-tools component new`";
        return Err(LoadError::NotAComponent(hint.to_owned()));
    }
    let (imports, exports) =
        names(bytes).map_err(|error| LoadError::NotAComponent(error.to_string()))?;
    let foreign: Vec<String> = imports
        .iter()
        .filter(|name| !name.starts_with(PACKAGE))
        .cloned()
        .collect();
    if !foreign.is_empty() {
        return Err(LoadError::ForeignImport(foreign));
    }
    let exported = exports
        .iter()
        .filter_map(|name| Interface::parse(name))
        .filter(|one| one.name == STRATEGY);
    let imported = imports.iter().filter_map(|name| Interface::parse(name));
    let host = offered();
    if let Some(other) = imported
        .chain(exported.clone())
        .find(|one| !is_compatible(&host, &one.version))
    {
        return Err(other_contract(&other.version));
    }
    if exported.count() == 0 {
        return Err(LoadError::MissingExport(format!(
            "{PACKAGE}{STRATEGY}@{CONTRACT}"
        )));
    }
    Ok(())
}

/// The names of the outermost component's imports and exports.
fn names(bytes: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn other_contract(version: &Version) -> LoadError {
    if *version > offered() {
        LoadError::NewerContract {
            missing: vec![format!("contract {version}")],
            offered: CONTRACT,
        }
    } else {
        let build = "build it again with a newer SDK";
        LoadError::Mismatch(format!(
            "it speaks contract {version}, this host {CONTRACT}: {build}"
        ))
    }
}

/// Lists a compiled component's functions, and refuses what this host's contract lacks.
pub(crate) fn check_functions(
    engine: &Engine,
    component: &Component,
) -> Result<Surface, LoadError> {
    let known: BTreeMap<_, _> = FUNCTIONS.into_iter().collect();
    let ty = component.component_type();
    let mut surface = Surface::default();
    let mut missing = Vec::new();
    for (name, import) in ty.imports(engine) {
        let interface = Interface::parse(name);
        let functions = functions(engine, &import.ty);
        if let Some(Interface { name, version }) = interface {
            let offered = known.get(name).copied();
            if offered.is_none() && functions.is_empty() {
                missing.push(format!("{name} (contract {version})"));
            }
            let lacks =
                |function: &&String| !offered.unwrap_or_default().contains(&function.as_str());
            missing.extend(
                functions
                    .iter()
                    .filter(lacks)
                    .map(|f| format!("{name}.{f} (contract {version})")),
            );
        }
        surface.imports.extend(listed(name, functions));
    }
    for (name, export) in ty.exports(engine) {
        surface
            .exports
            .extend(listed(name, functions(engine, &export.ty)));
    }
    if missing.is_empty() {
        Ok(surface)
    } else {
        Err(LoadError::NewerContract {
            missing,
            offered: CONTRACT,
        })
    }
}

fn functions(engine: &Engine, item: &ComponentItem) -> Vec<String> {
    match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
            .map(|(name, _)| name.to_owned())
            .collect(),
        _ => Vec::new(),
    }
}

/// `interface#function` for each, or the interface alone when it only has types.
fn listed(interface: &str, functions: Vec<String>) -> Vec<String> {
    if functions.is_empty() {
        return vec![interface.to_owned()];
    }
    functions
        .into_iter()
        .map(|function| format!("{interface}#{function}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_functions_are_those_of_the_contract() {
        let mut resolve = wit_parser::Resolve::default();
        let package = resolve
            .push_str(
                Path::new("strategy.wit"),
                include_str!("../../../wit/strategy.wit"),
            )
            .unwrap();
        let package = &resolve.packages[package];
        assert_eq!(
            package.name.to_string(),
            format!("{}@{CONTRACT}", PACKAGE.trim_end_matches('/'))
        );
        let found: BTreeMap<&str, Vec<&str>> = package
            .interfaces
            .iter()
            .filter(|(name, _)| *name != STRATEGY)
            .map(|(name, id)| {
                (
                    name.as_str(),
                    resolve.interfaces[*id]
                        .functions
                        .keys()
                        .map(String::as_str)
                        .collect(),
                )
            })
            .collect();
        let listed = FUNCTIONS
            .into_iter()
            .map(|(name, functions)| (name, functions.to_vec()))
            .collect();
        assert_eq!(found, listed);
    }

    #[test]
    fn only_patch_versions_are_compatible_below_one() {
        let compatible = |host: &str, version: &str| {
            is_compatible(
                &Version::parse(host).unwrap(),
                &Version::parse(version).unwrap(),
            )
        };
        assert!(compatible("0.1.0", "0.1.7") && compatible("0.1.7", "0.1.0"));
        assert!(!compatible("0.1.0", "0.2.0") && !compatible("0.1.0", "1.1.0"));
        assert!(compatible("1.0.0", "1.3.0") && !compatible("1.0.0", "2.0.0"));
    }
}
