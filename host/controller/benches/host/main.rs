//! What the host costs, on a real API server: `cargo bench -p backupstrategy-controller --bench host`.
//!
//! | number | how |
//! |---|---|
//! | requests of a job | the API server's audit log: everything that the host asks while one job runs, Events apart |
//! | from the operator's status to the job's end | 20 jobs that wait; for each, from the answer to the operator's write until a watch shows the end |
//! | jobs a second | 1,000 jobs at once over 20 namespaces, operator and API server on the same cores |
//! | memory | resident, after the start, and with 10,000 finished BackupJobs and their Backups |
//! | compiling, loading | all strategies of the bundle, one after the other: with an empty cache, and with their compiled code in it |
//! | memory with plugins | resident, idle, with all strategies of the bundle |
//! | takeover | two replicas: from the leader killed, or told to stop, to the end of a job that waited |
//!
//! Names of numbers as arguments measure those alone: `requests`, `latency`, `throughput`, `memory`, `plugins`,
//! `takeover`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark ends by panicking, and prints what it measured"
)]

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/real/host.rs"]
mod host;
mod platform;
mod plugins;
mod processor;
mod takeover;

use std::time::{Duration, Instant};

use controlplane::ControlPlane;
use platform::Platform;

#[tokio::main]
async fn main() {
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let is_asked = |what: &str| asked.is_empty() || asked.iter().any(|asked| asked == what);
    // It ends with the process.
    let plane = Box::leak(Box::new(
        ControlPlane::start(&platform::definitions()).unwrap(),
    ));
    let platform = Platform::on(plane).await;
    if is_asked("requests") {
        requests(&platform).await;
    }
    if is_asked("latency") {
        latency(&platform).await;
    }
    if is_asked("throughput") {
        throughput(&platform).await;
    }
    if is_asked("takeover") {
        takeover::measure(&platform).await;
    }
    // Behind what needs the one plugin, and before there are objects by the thousand.
    if is_asked("plugins") {
        plugins::measure(&platform).await;
    }
    if is_asked("memory") {
        memory(&platform).await;
    }
}

/// What one job asks for, once two in a row ask for the same: the first make watches begin.
async fn requests(platform: &Platform) {
    const AT_MOST: usize = 20;
    let host = platform.start_host().await;
    let _operator = platform.play();
    let namespace = platform.tenant(AT_MOST).await;
    let mut counts = vec![];
    let mut asked = vec![];
    while counts.len() < AT_MOST && (counts.len() < 2 || !counts.ends_with(&[asked.len(); 2])) {
        let before = platform.requests().len();
        let index = counts.len();
        let job = platform
            .job(&namespace, &format!("db-{index}"), &format!("job-{index}"))
            .await;
        platform.ended(&[job]).await;
        asked = platform.requests().split_off(before);
        counts.push(asked.len());
    }
    println!(
        "requests of a job: {} (of the jobs before: {counts:?})",
        asked.len()
    );
    for request in asked {
        println!("    {request}");
    }
    drop(host);
}

/// How long the end of a job takes once the operator has done its part.
async fn latency(platform: &Platform) {
    const JOBS: usize = 20;
    let host = platform.start_host().await;
    let namespace = platform.tenant(JOBS).await;
    let mut orders = platform.orders();
    let mut jobs = vec![];
    for index in 0..JOBS {
        jobs.push(
            platform
                .job(&namespace, &format!("db-{index}"), &format!("job-{index}"))
                .await,
        );
    }
    let mut waiting = vec![];
    while waiting.len() < JOBS {
        waiting.push(orders.recv().await.unwrap());
    }
    let mut ends = platform.ends();
    let mut times = vec![];
    for order in waiting {
        let job = order.job.clone();
        platform.complete(&order).await;
        let began = Instant::now();
        loop {
            if ends.recv().await.unwrap() == job {
                break;
            }
        }
        times.push(began.elapsed());
    }
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!(
        "from the operator's status to the job's end, {JOBS} jobs: median {:.1} ms, slowest {:.1} ms",
        millis(at(50)),
        millis(at(100))
    );
    drop(host);
}

/// How many jobs end in a second.
async fn throughput(platform: &Platform) {
    const NAMESPACES: usize = 20;
    const EACH: usize = 50;
    let mut namespaces = vec![];
    for _ in 0..NAMESPACES {
        namespaces.push(platform.tenant(EACH).await);
    }
    let host = platform.start_host().await;
    let _operator = platform.play();
    let before = platform.requests().len();
    let used_before = processor::used();
    let began = Instant::now();
    let jobs = platform.jobs(&namespaces, EACH).await;
    platform.ended(&jobs).await;
    let seconds = began.elapsed().as_secs_f64();
    let used = processor::used();
    let asked = platform.requests().len() - before;
    let count = jobs.len();
    println!(
        "{count} jobs over {NAMESPACES} namespaces at once: {seconds:.1} s, {:.0} a second, {:.1} requests each, {:.0} MiB resident",
        f64::from(u32::try_from(count).unwrap()) / seconds,
        f64::from(u32::try_from(asked).unwrap()) / f64::from(u32::try_from(count).unwrap()),
        platform::resident(&host)
    );
    for (name, seconds) in used {
        let seconds = seconds - used_before.get(&name).copied().unwrap_or_default();
        let milliseconds = seconds * 1000.0 / f64::from(u32::try_from(count).unwrap());
        println!("    {name}: {milliseconds:.1} ms of a core for each job");
    }
    drop(host);
}

/// What the host keeps in memory.
async fn memory(platform: &Platform) {
    const FINISHED: usize = 10_000;
    let host = platform.start_host().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    println!(
        "memory after the start: {:.0} MiB resident",
        platform::resident(&host)
    );
    drop(host);
    platform.finished(FINISHED).await;
    let host = platform.start_host().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    println!(
        "memory with {FINISHED} finished BackupJobs and Backups: {:.0} MiB resident",
        platform::resident(&host)
    );
    drop(host);
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
