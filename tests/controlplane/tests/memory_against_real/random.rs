//! Random rows of requests.

use std::env;

use controlplane::ControlPlane;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::{kinds::definitions, operation::operations, pair::Pair};

/// How many rows: some ten seconds on two cores. `MEMORY_AGAINST_REAL` asks for another number.
const ROWS: u32 = 60;

/// How many requests are in a row at most: two names of a kind meet many times.
const LENGTH: usize = 24;

fn rows() -> u32 {
    env::var("MEMORY_AGAINST_REAL").map_or(ROWS, |rows| rows.parse().unwrap())
}

/// The rows are the same each time, unless `MEMORY_AGAINST_REAL_SEED` is set, and a row that fails is shortened.
#[test]
fn the_same_requests_have_the_same_answers() {
    let plane = ControlPlane::start_without_controllers(&definitions()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let config = Config {
        cases: rows(),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let seed: u8 = env::var("MEMORY_AGAINST_REAL_SEED").map_or(0, |seed| seed.parse().unwrap());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let outcome = TestRunner::new_with_rng(config, random).run(&operations(LENGTH), |row| {
        runtime.block_on(async {
            let pair = Pair::new(&plane, false).await;
            for operation in &row {
                if !pair.ask(operation).await.map_err(TestCaseError::fail)? {
                    break;
                }
            }
            Ok(())
        })
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
