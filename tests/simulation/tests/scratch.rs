#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
use simulation::{Schedule, run};
#[test]
fn time() {
    run(&Schedule { seed: 0, events: vec![], ending: simulation::Ending::InOrder }, None, false).unwrap();
    let t = std::time::Instant::now();
    for seed in 0..50 { run(&Schedule { seed, events: vec![], ending: simulation::Ending::InOrder }, None, false).unwrap(); }
    println!("empty: {:?}", t.elapsed() / 50);
    let t = std::time::Instant::now();
    for seed in 0..50 { run(&Schedule::of(seed), None, false).unwrap(); }
    println!("full: {:?}", t.elapsed() / 50);
}
