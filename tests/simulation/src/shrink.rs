//! The shortest history: what is left of a schedule when everything is taken away without which the same promise is
//! still broken.

use crate::{
    bugs::Bug,
    invariants::Violation,
    run::run,
    schedule::{Event, Schedule},
};

/// Not more runs than this: a few seconds.
const RUNS: usize = 600;

/// Takes events away from a schedule, in ever smaller parts, as long as it breaks the same promise.
///
/// # Errors
/// As [`run`].
pub fn shrink(
    schedule: &Schedule,
    bug: Option<Bug>,
    violation: &Violation,
) -> anyhow::Result<Schedule> {
    let mut runs = 0;
    let mut breaks = |events: &[Event]| -> anyhow::Result<bool> {
        runs += 1;
        if runs > RUNS {
            return Ok(false);
        }
        let less = schedule.with(events.to_vec());
        let found = run(&less, bug, false)?.violation;
        Ok(found.is_some_and(|found| found.promise == violation.promise))
    };
    let mut events = schedule.events.clone();
    let mut part = events.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < events.len() {
            let mut less = events.clone();
            less.drain(at..(at + part).min(events.len()));
            if breaks(&less)? {
                events = less;
                is_shorter = true;
            } else {
                at += part;
            }
        }
        if part == 1 && !is_shorter {
            break;
        }
        if !is_shorter {
            part = part.div_ceil(2);
        } else {
            part = part.min(events.len().max(1));
        }
    }
    for at in 0..events.len() {
        // What need not happen in the middle of a pass is easier to follow between two.
        let mut simpler = events.clone();
        simpler[at].within = None;
        if simpler[at] != events[at] && breaks(&simpler)? {
            events = simpler;
        }
    }
    Ok(schedule.with(events))
}
