//! Who used the processor.

use std::{collections::BTreeMap, fs};

/// Ticks of a second in `/proc`: Linux shows every program 100, whatever the kernel counts in.
const TICKS: f64 = 100.0;

/// Seconds that this process and the programs that it started have used since each began, by name.
pub fn used() -> BTreeMap<String, f64> {
    let this = std::process::id();
    let mut used = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap() {
        // A process that ended in between has no file any more.
        let Ok(stat) = fs::read_to_string(entry.unwrap().path().join("stat")) else {
            continue;
        };
        if let Some((name, seconds)) = of_ours(&stat, this) {
            *used.entry(name).or_default() += seconds;
        }
    }
    used
}

/// Name and seconds of a process, where it is this one or was started by it. proc_pid_stat(5) has the fields.
fn of_ours(stat: &str, this: u32) -> Option<(String, f64)> {
    let (id, rest) = stat.split_once(" (")?;
    // The name may hold anything, also brackets.
    let (name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let parent = fields.get(1)?;
    let is_ours = [id, *parent].contains(&this.to_string().as_str());
    let ticks = number(11)? + number(12)?;
    is_ours.then(|| (name.to_owned(), ticks / TICKS))
}
