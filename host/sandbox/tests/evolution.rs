//! The contract grows: a component that was built against 1.0.0 runs on a host of 1.1.0, which has one more
//! function in every interface. The other direction is in `loading.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a function that several tests use"
)]

mod guest;

use guest::{Guest, later};
use wasmtime::{
    Config, Engine, Result, Store,
    component::{Component, HasSelf, Linker},
};

mod contract {
    #![allow(missing_docs, unused_qualifications, clippy::all)]

    wasmtime::component::bindgen!({
        path: "tests/evolution",
        world: "backup-strategy",
        imports: { default: trappable },
    });
}

use contract::{
    BackupStrategy,
    cozystack::backup_strategy::{cluster, context, log, plan, storage, types},
};

/// The later contract is the present one and what `later` adds; nobody has to write it by hand.
#[test]
fn the_later_contract_is_the_present_one_with_more_functions() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evolution/strategy.wit");
    let expected = later("1.1.0");
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(file).unwrap();
    assert!(
        found == expected,
        "wit/strategy.wit has changed: run this test once with UPDATE_FIXTURES=1"
    );
}

#[test]
fn a_component_built_against_the_first_version_runs_on_a_later_host() {
    let body = "(drop (call $context.now)) (drop (call $cluster.serves 'v1' 'Pod'))
        (call $storage.prefixes (i32.const 512)) (call $plan.purge 'a') (call $log.write (i32.const 1) 'hello')";
    let (answer, calls) = run(&Guest::restoring(body).build()).unwrap();
    assert!(matches!(answer, types::Step::Done));
    assert_eq!(calls, ["now", "serves", "prefixes", "purge", "write"]);
}

#[test]
fn a_component_that_uses_the_new_functions_runs_on_the_later_host() {
    let body = "(call $context.attempt) (call $cluster.attempt) (call $storage.attempt) (call $plan.attempt)
        (call $log.attempt) (call $plan.purge 'a')";
    let guest = Guest::restoring(body).against(&later("1.1.0"), "backup-strategy", "1.1.0");
    let (_, calls) = run(&guest.build()).unwrap();
    assert_eq!(
        calls,
        [
            "attempt", "attempt", "attempt", "attempt", "attempt", "purge"
        ]
    );
}

fn run(component: &[u8]) -> Result<(types::Step, Vec<&'static str>)> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    BackupStrategy::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    let mut store = Store::new(&engine, Later::default());
    let instance = BackupStrategy::instantiate(&mut store, &component, &linker)?;
    let answer = instance
        .cozystack_backup_strategy_strategy()
        .call_restore(&mut store)?;
    Ok((answer, store.into_data().0))
}

/// A host of the later contract. It only keeps what was called.
#[derive(Default)]
struct Later(Vec<&'static str>);

impl Later {
    fn called<T>(&mut self, name: &'static str, answer: T) -> Result<T> {
        self.0.push(name);
        Ok(answer)
    }

    fn unexpected<T>(&mut self, name: &'static str) -> Result<T> {
        Err(wasmtime::format_err!("`{name}` was called"))
    }
}

impl types::Host for Later {}

impl context::Host for Later {
    fn attempt(&mut self) -> Result<()> {
        self.called("attempt", ())
    }

    fn now(&mut self) -> Result<u64> {
        self.called("now", 1_700_000_000)
    }

    fn job(&mut self) -> Result<context::JobIdentity> {
        self.unexpected("job")
    }

    fn options(&mut self) -> Result<String> {
        self.unexpected("options")
    }

    fn subject(&mut self) -> Result<types::ApplicationRef> {
        self.unexpected("subject")
    }

    fn application(&mut self) -> Result<Option<String>> {
        self.unexpected("application")
    }

    fn release(&mut self, _: types::ApplicationRef) -> Result<Option<String>> {
        self.unexpected("release")
    }

    fn spec(&mut self, _: context::View) -> Result<String> {
        self.unexpected("spec")
    }

    fn child_name(&mut self, _: String, _: u32) -> Result<String> {
        self.unexpected("child-name")
    }

    fn parameters(&mut self) -> Result<Vec<types::Entry>> {
        self.unexpected("parameters")
    }

    fn source(&mut self) -> Result<Option<context::FinishedBackup>> {
        self.unexpected("source")
    }

    fn state(&mut self) -> Result<Option<String>> {
        self.unexpected("state")
    }

    fn refused(&mut self) -> Result<Option<context::Refusal>> {
        self.unexpected("refused")
    }
}

impl cluster::Host for Later {
    fn attempt(&mut self) -> Result<()> {
        self.called("attempt", ())
    }

    fn get(&mut self, _: types::ObjectRef) -> Result<Option<String>> {
        self.unexpected("get")
    }

    fn find(&mut self, _: types::Selector) -> Result<Vec<String>> {
        self.unexpected("find")
    }

    fn serves(&mut self, _: String, _: String) -> Result<bool> {
        self.called("serves", true)
    }

    fn log_tail(
        &mut self,
        _: String,
        _: String,
        _: String,
        _: bool,
        _: u32,
    ) -> Result<Option<String>> {
        self.unexpected("log-tail")
    }
}

impl storage::Host for Later {
    fn attempt(&mut self) -> Result<()> {
        self.called("attempt", ())
    }

    fn target(&mut self) -> Result<storage::Bucket> {
        self.unexpected("target")
    }

    fn ca_key(&mut self) -> Result<Option<String>> {
        self.unexpected("ca-key")
    }

    fn prefixes(&mut self) -> Result<Vec<String>> {
        self.called("prefixes", vec!["tenant-acme/orders".into()])
    }

    fn objects(
        &mut self,
        _: String,
        _: Option<String>,
        _: u32,
    ) -> Result<Vec<storage::StoredObject>> {
        self.unexpected("objects")
    }
}

impl plan::Host for Later {
    fn attempt(&mut self) -> Result<()> {
        self.called("attempt", ())
    }

    fn create(&mut self, _: String, _: plan::Lifetime) -> Result<()> {
        self.unexpected("create")
    }

    fn dry_run(&mut self, _: String) -> Result<()> {
        self.unexpected("dry-run")
    }

    fn apply(&mut self, _: String) -> Result<()> {
        self.unexpected("apply")
    }

    fn merge(&mut self, _: types::ObjectRef, _: String) -> Result<()> {
        self.unexpected("merge")
    }

    fn delete(
        &mut self,
        _: types::ObjectRef,
        _: Option<String>,
        _: plan::Propagation,
    ) -> Result<()> {
        self.unexpected("delete")
    }

    fn delete_all(&mut self, _: types::Selector, _: plan::Propagation) -> Result<()> {
        self.unexpected("delete-all")
    }

    fn suspend(&mut self, _: String, _: String) -> Result<()> {
        self.unexpected("suspend")
    }

    fn resume(&mut self, _: String, _: String) -> Result<()> {
        self.unexpected("resume")
    }

    fn purge(&mut self, _: String) -> Result<()> {
        self.called("purge", ())
    }

    fn condition(&mut self, _: String, _: bool, _: String, _: String) -> Result<()> {
        self.unexpected("condition")
    }

    fn event(&mut self, _: plan::Severity, _: String, _: String) -> Result<()> {
        self.unexpected("event")
    }

    fn remember(&mut self, _: Option<String>) -> Result<()> {
        self.unexpected("remember")
    }
}

impl log::Host for Later {
    fn attempt(&mut self) -> Result<()> {
        self.called("attempt", ())
    }

    fn write(&mut self, _: log::Level, _: String) -> Result<()> {
        self.called("write", ())
    }
}
