//! What happens, in the order in which it happens.

use std::path::Path;

use anyhow::bail;
use backup_engine::cluster::{
    Account,
    memory::{MemoryCluster, Operation, Verb},
};
use backup_sandbox::Manifest;
use jiff::Timestamp;
use serde_json::Value;
use stage::{Cnpg, DOCUMENTED_JOB, Fate, Operator as _, Stage};

/// More turns than the job needs; beyond, something is wrong.
const TURNS: usize = 20;

/// A password of the application, which must not turn up where it does not belong.
const PASSWORD: &str = "not-for-a-backup";

/// Tells the story.
pub(crate) async fn tell(bundle: &Path) -> anyhow::Result<()> {
    let mut world = Stage::new()?;
    let strategy = Stage::from_folder(bundle, "cnpg.wasm")?;
    world.serve(&strategy)?;
    world.platform()?;
    world.namespace("tenant-acme")?;
    world.postgres("tenant-acme", "orders-db", PASSWORD)?;

    chapter("The platform");
    let manifest = strategy.manifest();
    println!(
        "loaded {} {} from {}",
        manifest.name,
        manifest.version,
        bundle.join("cnpg.wasm").display()
    );
    println!("  digest   {}", strategy.digest());
    println!(
        "  size     {} bytes of WebAssembly, run in a sandbox: no files, no network, no clock",
        strategy.size()
    );
    println!(
        "  serves   strategies of kind {}, for applications of kind {}",
        manifest.strategy_kind.kind,
        kinds(manifest)
    );
    println!(
        "  account  strategy-cnpg: it can do what RBAC lets that ServiceAccount do, and no more"
    );
    println!(
        "BackupClass cozy-default binds Postgres to CNPG cozy-default-cnpg; the bucket is cozy-backups"
    );

    chapter("A tenant asks for a backup: kubectl apply");
    print_indented(DOCUMENTED_JOB);
    drop(world.cluster.take_requests());
    world.cluster.put(serde_saphyr::from_str(DOCUMENTED_JOB)?)?;
    let phase = play(&mut world).await?;

    chapter("What the tenant sees now: kubectl -n tenant-acme get backupjob,backup -o yaml");
    print_indented(&yaml(&shown(&read(&world, "BackupJob")))?);
    println!("    ---");
    print_indented(&yaml(&shown(&read(&world, "Backup")))?);

    chapter("What lies in the bucket");
    for key in world.storage.keys() {
        println!("    s3://cozy-backups/{key}");
    }
    check(&world, &phase)?;
    chapter("Where to go next");
    println!(
        "    strategyctl inspect {}     what a plugin is and may do",
        bundle.join("cnpg.wasm").display()
    );
    println!(
        "    strategyctl render --help                what a job of your own would lead to, offline"
    );
    println!(
        "    sdk/README.md                            write a strategy; plugins/cnpg is the one you have just seen"
    );
    Ok(())
}

/// The host and the operator take turns until the job ends.
async fn play(world: &mut Stage) -> anyhow::Result<String> {
    let operator = Cnpg::new(std::sync::Arc::clone(&world.storage), Fate::Completes);
    let mut told = String::new();
    for _ in 0..TURNS {
        world.runner.settle().await?;
        let requests = world.cluster.take_requests();
        told = host_turn(&requests, &read(world, "BackupJob"), &told);
        let phase = status(&read(world, "BackupJob"), "phase").to_owned();
        if matches!(phase.as_str(), "Succeeded" | "Failed") {
            return Ok(phase);
        }
        world.cluster.advance(20);
        let now = Timestamp::from_second(world.cluster.now())?;
        let steps = operator.step(&world.cluster, now).await?;
        drop(world.cluster.take_requests());
        if !steps.is_empty() {
            println!("\n  the operator, {}", clock(&world.cluster));
            for step in steps {
                println!("    {step}");
            }
        }
    }
    bail!("the job did not end")
}

/// Prints what the host wrote and what it says; gives back what it said.
fn host_turn(requests: &[Operation], job: &Value, told: &str) -> String {
    let said = format!("{}: {}", status(job, "phase"), status(job, "message"));
    let writes: Vec<String> = requests
        .iter()
        .filter(|request| request.writes())
        .filter_map(written)
        .collect();
    if writes.is_empty() && said == told {
        return said;
    }
    println!("\n  the host");
    for write in writes {
        println!("    {write}");
    }
    println!("    the job is {said}");
    said
}

/// A write in words; none for the host's own statuses, which are told as a whole.
fn written(request: &Operation) -> Option<String> {
    let who = match &request.account {
        Account::Host if request.part == backup_engine::cluster::Part::Status => return None,
        Account::Host => "itself".to_owned(),
        Account::Strategy { name, .. } => format!("as {name}"),
    };
    let verb = match request.verb {
        Verb::Create => "creates",
        Verb::Apply => "applies",
        Verb::Merge => "patches",
        _ => "deletes",
    };
    let name = request.name.as_deref().unwrap_or_default();
    Some(format!("{who} {verb} {} {name}", request.kind))
}

/// The promises of the story, checked: a demo that lies is worse than none.
fn check(world: &Stage, phase: &str) -> anyhow::Result<()> {
    let backup = read(world, "Backup");
    if phase != "Succeeded" || status(&backup, "phase") != "Ready" {
        bail!("the job did not succeed");
    }
    let readable = format!("{}{}", read(world, "BackupJob"), backup);
    if readable.contains(PASSWORD) || readable.contains(&world.access_key) {
        bail!("a secret stands where the tenant reads");
    }
    Ok(())
}

fn kinds(manifest: &Manifest) -> String {
    let kinds = manifest
        .applications
        .iter()
        .map(|application| format!("{}/{}", application.group, application.kind));
    kinds.collect::<Vec<_>>().join(", ")
}

fn read(world: &Stage, kind: &str) -> Value {
    world.read(kind, "tenant-acme", "ad-hoc")
}

fn status<'a>(object: &'a Value, member: &str) -> &'a str {
    object
        .pointer(&format!("/status/{member}"))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// An object without what only machines read.
fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for member in [
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ] {
            metadata.remove(member);
        }
    }
    object
}

fn yaml(value: &Value) -> anyhow::Result<String> {
    Ok(serde_saphyr::to_string(value)?)
}

fn print_indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

fn chapter(title: &str) {
    println!("\n{title}\n");
}

fn clock(cluster: &MemoryCluster) -> String {
    Timestamp::from_second(cluster.now())
        .map(|now| now.strftime("%H:%M:%S").to_string())
        .unwrap_or_default()
}
