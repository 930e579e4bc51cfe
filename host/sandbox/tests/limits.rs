//! Every limit is hit, and says which it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also in a function that several tests use"
)]

mod guest;
#[path = "guest/host.rs"]
mod host;

use std::time::{Duration, Instant};

use backup_sandbox::{
    Answer, Compiler, EvaluationError, Limits, Question, Read, Round, Sandbox, Settings,
    contract::Level,
};
use guest::{Guest, forever, times};
use host::{evaluation, limited, load, restore, run};

#[test]
fn a_loop_ends_at_its_deadline() {
    let deadline = Duration::from_millis(50);
    let strategy = limited(
        Guest::restoring(&forever("")),
        Limits {
            deadline,
            fuel: u64::MAX,
            ..Limits::default()
        },
    );
    let began = Instant::now();
    let error = run(evaluation(&strategy, Question::Restore), |_| unreachable!()).unwrap_err();
    assert!(
        matches!(error, EvaluationError::Deadline { limit, .. } if limit == deadline),
        "{error}"
    );
    assert!(began.elapsed() >= deadline);
}

#[test]
fn a_loop_ends_when_its_fuel_is_used_up() {
    let strategy = limited(
        Guest::restoring(&forever("")),
        Limits {
            fuel: 100_000,
            ..Limits::default()
        },
    );
    let mut evaluation = evaluation(&strategy, Question::Restore);
    let error = evaluation.round().unwrap_err();
    assert!(
        matches!(error, EvaluationError::Fuel { limit: 100_000, .. }),
        "{error}"
    );
    assert_eq!(evaluation.cost().fuel, 100_000);
}

#[test]
fn fuel_and_time_are_for_all_rounds_together() {
    let reads = "(call $context.application (i32.const 512)) (call $context.spec (i32.const 0) (i32.const 512))";
    let body = format!("{} {reads}", times(1_000, ""));
    let mut once = evaluation(&load(Guest::restoring(&body)).unwrap(), Question::Restore);
    once.round().unwrap();
    // Enough for two rounds, which end at one read each, and for half of the third.
    let fuel = once.cost().fuel * 5 / 2;
    let mut evaluation = evaluation(
        &limited(
            Guest::restoring(&body),
            Limits {
                fuel,
                ..Limits::default()
            },
        ),
        Question::Restore,
    );
    for _ in 0..2 {
        let Round::Needs(read) = evaluation.round().unwrap() else {
            panic!("it finished")
        };
        evaluation.supply(read, Answer::Text(None));
    }
    assert!(matches!(
        evaluation.round().unwrap_err(),
        EvaluationError::Fuel { .. }
    ));
    assert_eq!(
        (evaluation.cost().fuel, evaluation.cost().rounds),
        (fuel, 3)
    );
}

#[test]
fn growing_past_the_memory_limit_is_named() {
    let error = restore(Guest::restoring(&forever(
        "(drop (memory.grow (i32.const 16)))",
    )))
    .unwrap_err();
    let EvaluationError::Memory { wanted, limit, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(limit, 64 << 20);
    assert!(wanted > limit);
}

#[test]
fn growing_past_its_own_maximum_only_fails() {
    let grow = "(if (i32.ne (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))";
    let finished = restore(Guest::restoring(grow).memory("2 4")).unwrap();
    assert_eq!(finished.cost.memory_bytes, 2 << 16);
}

#[test]
fn a_component_that_begins_too_large_is_refused_when_it_is_loaded() {
    let error = load(Guest::default().memory("1100")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("it does not describe itself: `describe` wanted"),
        "{error}"
    );
    let error = load(Guest::default().memory("8000")).unwrap_err();
    assert!(error.to_string().contains("minimum byte size"), "{error}");
}

#[test]
fn growing_past_the_table_limit_is_named() {
    let guest = Guest::restoring(&forever(
        "(drop (table.grow $t (ref.null func) (i32.const 1000)))",
    ))
    .module("(table $t 1 funcref)");
    let error = restore(guest).unwrap_err();
    assert!(
        matches!(error, EvaluationError::Table { limit: 20_000, .. }),
        "{error}"
    );
}

#[test]
fn an_argument_that_is_too_large_is_named() {
    let guest =
        Guest::restoring("(call $log.write (i32.const 1) (i32.const 0) (i32.const 1200000))")
            .memory("32");
    let error = restore(guest).unwrap_err();
    let EvaluationError::Bytes { what, limit, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (what.as_str(), limit),
        ("what it handed to a function", 1 << 20)
    );
}

#[test]
fn an_answer_that_is_too_large_is_named() {
    let guest = Guest::default()
        .on("describe", "(return @long)")
        .words("long", &[0, 1_200_000])
        .memory("32");
    let error = load(guest).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its answer is larger than 1048576 bytes"),
        "{error}"
    );
}

/// A naive copy of 30,000 strings of 1 MiB that share one buffer would take 30 GiB.
#[test]
fn strings_that_share_a_buffer_count_each() {
    let fill = "(local.set $i (i32.const 2000000))
        (loop $again
            (i32.store (local.get $i) (i32.const 0)) (i32.store offset=4 (local.get $i) (i32.const 1000000))
            (i32.store offset=8 (local.get $i) (i32.const 0)) (i32.store offset=12 (local.get $i) (i32.const 1))
            (local.set $i (i32.add (local.get $i) (i32.const 16)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const 2480000))))
        (return @many)";
    let guest = Guest::default()
        .on("validate", fill)
        .words("many", &[2_000_000, 30_000])
        .memory("48");
    let error = load(guest).unwrap().validate("{}", &[]).unwrap_err();
    assert!(
        matches!(&error, EvaluationError::Bytes { what, .. } if what == "its answer"),
        "{error}"
    );
}

#[test]
fn a_plan_has_a_number_of_actions() {
    let error = restore(Guest::restoring(&forever("(call $plan.purge 'a')"))).unwrap_err();
    assert!(
        matches!(error, EvaluationError::Actions { limit: 256, .. }),
        "{error}"
    );
    let events = forever("(call $plan.event (i32.const 0) 'Reason' 'text') (call $plan.purge 'a')");
    let error = restore(Guest::restoring(&events)).unwrap_err();
    assert!(
        matches!(error, EvaluationError::Actions { limit: 256, .. }),
        "{error}"
    );
}

#[test]
fn a_plan_has_a_number_of_bytes() {
    let long = "x".repeat(30_000);
    let error = restore(Guest::restoring(&forever(&format!(
        "(call $plan.event (i32.const 0) 'Reason' '{long}')"
    ))));
    let error = error.unwrap_err();
    assert!(
        matches!(&error, EvaluationError::Bytes { what, .. } if what == "the plan"),
        "{error}"
    );
}

#[test]
fn a_state_has_a_number_of_bytes() {
    let guest =
        Guest::restoring("(call $plan.remember (i32.const 1) (i32.const 65536) (i32.const 65537))")
            .memory("4");
    let error = restore(guest).unwrap_err();
    assert!(
        matches!(&error, EvaluationError::Bytes { what, limit: 65_536, .. } if what.contains("state")),
        "{error}"
    );
}

#[test]
fn an_answer_to_a_read_has_a_number_of_bytes() {
    let strategy = load(Guest::restoring(
        "(call $context.application (i32.const 512))",
    ))
    .unwrap();
    let large = |_: &Read| Answer::Text(Some("x".repeat(9 << 20).into()));
    let error = run(evaluation(&strategy, Question::Restore), large).unwrap_err();
    let EvaluationError::Bytes { what, limit, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (what.as_str(), limit),
        ("the answer to `context.application`", 8 << 20)
    );
}

#[test]
fn reads_end_after_so_many_rounds() {
    // A new name each time: one that the round before has not asked for.
    let body = "(local.set $i (i32.const 97))
        (loop $again
            (i32.store8 @name (local.get $i))
            (call $cluster.serves 'v1' @name (i32.const 1)) drop
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $again))";
    let strategy = load(Guest::restoring(body).data("name", b"a")).unwrap();
    let mut rounds = 0;
    let mut evaluation = evaluation(&strategy, Question::Restore);
    let error = loop {
        match evaluation.round() {
            Ok(Round::Needs(read)) => evaluation.supply(read, Answer::Flag(false)),
            Ok(Round::Finished(_)) => panic!("it finished"),
            Err(error) => break error,
        }
        rounds += 1;
    };
    assert_eq!(rounds, 15);
    let EvaluationError::Rounds {
        limit: 16,
        last: Read::Serves { kind, .. },
        ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(kind, "p");
}

#[test]
fn a_log_has_a_number_of_lines() {
    let error = restore(Guest::restoring(&forever(
        "(call $log.write (i32.const 1) 'again')",
    )))
    .unwrap_err();
    assert!(
        matches!(error, EvaluationError::LogLines { limit: 1_000, .. }),
        "{error}"
    );
}

#[test]
fn a_panic_is_told_by_its_last_error() {
    let body = "(call $log.write (i32.const 3) 'an earlier error')
        (call $log.write (i32.const 3) 'panicked at src/lib.rs:12:5: no such thing')
        (call $log.write (i32.const 0) 'a later remark') unreachable";
    let error = restore(Guest::restoring(body)).unwrap_err();
    let EvaluationError::Trap {
        message,
        log,
        question,
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(message, "panicked at src/lib.rs:12:5: no such thing");
    assert_eq!(question, Question::Restore);
    assert_eq!(log.last().map(|line| line.level), Some(Level::Debug));
}

#[test]
fn a_trap_without_a_log_is_told_in_wasmtimes_words() {
    let error = restore(Guest::restoring("unreachable"))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "`restore` trapped: wasm trap: wasm `unreachable` instruction executed"
    );
}

#[test]
fn a_recursion_that_never_ends_traps() {
    let error = restore(
        Guest::restoring("(call $deeper)").module("(func $deeper (call $deeper) (call $deeper))"),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "`restore` trapped: wasm trap: call stack exhausted"
    );
    // What a language with a stack in linear memory does: it runs out of that stack first.
    let deeper = "(func $deeper (param $sp i32)
        (i32.store (local.get $sp) (i32.const 1)) (call $deeper (i32.sub (local.get $sp) (i32.const 4096))))";
    let error = restore(Guest::restoring("(call $deeper (i32.const 65536))").module(deeper))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a recursion that never ends also looks like this"),
        "{error}"
    );
}

#[test]
fn more_rounds_than_instances_wait_for_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        instances: 1,
        ..Settings::new(folder.path().join("cache"), Compiler::InProcess)
    };
    let sandbox = Sandbox::new(settings).unwrap();
    let strategy = sandbox
        .load(
            &Guest::restoring(&times(100_000, "")).build(),
            Limits::default(),
        )
        .unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                run(evaluation(&strategy, Question::Restore), |_| unreachable!()).unwrap()
            });
        }
    });
}

#[test]
fn limits_above_what_the_host_was_set_up_for_are_refused() {
    let wide = Limits {
        memory_bytes: 1 << 30,
        ..Limits::default()
    };
    let error = host::sandbox()
        .load(&Guest::default().build(), wide)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "its limits: 1073741824 bytes of memory; this host allows 268435456"
    );
}
