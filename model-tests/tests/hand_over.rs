//! Whatever the order of their steps: every call ends, each answer goes to its caller once, whatever was queued is written, and
//! nobody reads or writes a link while another does.
#![cfg(unix)]

use std::time::Duration;

use model_tests::scenarios::Scenario;
use shuttle::{
    Config, PortfolioRunner,
    scheduler::{PctScheduler, RandomScheduler},
};

/// Runs `scenario` in thousands of orders: for as many seconds as the environment's `MODEL_SECONDS` says, else for as long as
/// a test may take. Half of the time any thread may go on at any step; the other half a thread goes on until a few moments
/// chosen at random. What fails prints how to run the same order again.
fn check(scenario: Scenario) {
    let mut config = Config::new();
    config.silence_warnings = true;
    config.stack_size = 0x2_0000;
    config.max_steps = shuttle::MaxSteps::FailAfter(1_000_000);
    let seconds = std::env::var("MODEL_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    config.max_time = Some(Duration::from_secs(seconds));
    let mut runner = PortfolioRunner::new(true, config);
    runner.add(RandomScheduler::new(usize::MAX));
    runner.add(PctScheduler::new(3, usize::MAX));
    runner.run(move || scenario.run());
}

#[test]
fn callers_read_in_turn() {
    check(Scenario { callers: 3, calls: 2, ..Scenario::default() });
}

#[test]
fn callers_that_are_answered_together_wake_each_other() {
    check(Scenario { callers: 5, calls: 3, hurried: 2, ..Scenario::default() });
}

#[test]
fn a_reader_whose_time_is_over_leaves_nobody_behind() {
    check(Scenario { callers: 3, calls: 2, hurried: 2, ..Scenario::default() });
}

#[test]
fn messages_that_nothing_answers_are_written() {
    check(Scenario { callers: 2, calls: 1, hurried: 1, told: 2, ..Scenario::default() });
}

#[test]
fn new_links_take_the_place_of_cut_ones() {
    check(Scenario { callers: 2, calls: 2, told: 1, cuts: 2, ..Scenario::default() });
}

#[test]
fn everybody_learns_of_the_end() {
    check(Scenario { callers: 3, calls: 2, hurried: 1, told: 1, cuts: 1, closes: true, ..Scenario::default() });
}

#[test]
fn leaders_hand_over_to_each_other_and_to_callers() {
    check(Scenario { callers: 2, calls: 2, pingers: 2, leads: true, ..Scenario::default() });
}

#[test]
fn a_handler_that_lasts_holds_nobody_up() {
    check(Scenario { callers: 1, calls: 1, pingers: 1, leads: true, blocks: true, ..Scenario::default() });
}

#[test]
fn leaders_take_new_links_over() {
    check(Scenario { callers: 2, calls: 1, hurried: 1, pingers: 1, cuts: 2, leads: true, ..Scenario::default() });
}

#[test]
fn tasks_and_threads_wait_for_each_other_s_answers() {
    check(Scenario { callers: 1, calls: 2, tasks: 2, ..Scenario::default() });
}

#[test]
fn tasks_that_leave_keep_nobody_waiting() {
    check(Scenario { callers: 2, calls: 1, hurried: 1, tasks: 3, hurried_tasks: 2, ..Scenario::default() });
}

#[test]
fn tasks_find_the_new_link_and_the_end() {
    check(Scenario { callers: 1, calls: 2, tasks: 2, hurried_tasks: 1, cuts: 2, ..Scenario::default() });
    check(Scenario { callers: 1, calls: 2, tasks: 2, hurried_tasks: 1, cuts: 1, closes: true, ..Scenario::default() });
}

#[test]
fn callers_run_what_handlers_ask_of_them() {
    check(Scenario { callers: 1, calls: 2, lenders: 2, leads: true, ..Scenario::default() });
}

#[test]
fn callers_that_leave_have_run_what_they_were_told_or_have_no_answer() {
    let hurried = Scenario { callers: 1, calls: 1, lenders: 2, hurried_lenders: 2, leads: true, ..Scenario::default() };
    check(hurried);
    check(Scenario { cuts: 1, ..hurried });
}

#[test]
fn callbacks_survive_cuts() {
    check(Scenario { callers: 1, calls: 1, lenders: 2, cuts: 2, leads: true, ..Scenario::default() });
}

#[test]
fn callbacks_learn_of_the_end() {
    check(Scenario {
        lenders: 2,
        hurried: 1,
        callers: 1,
        calls: 1,
        cuts: 1,
        closes: true,
        leads: true,
        ..Scenario::default()
    });
}

#[test]
fn readers_of_streams_wait_among_callers() {
    check(Scenario { callers: 2, calls: 2, hurried: 1, readers: 2, hurried_readers: 1, ..Scenario::default() });
    check(Scenario { callers: 1, calls: 2, readers: 1, reading_tasks: 2, hurried_readers: 1, ..Scenario::default() });
}

#[test]
fn readers_of_streams_find_the_new_link_and_the_end() {
    let both =
        Scenario { readers: 2, reading_tasks: 2, hurried_readers: 1, callers: 1, calls: 1, ..Scenario::default() };
    check(Scenario { cuts: 2, ..both });
    check(Scenario { cuts: 1, closes: true, ..both });
    check(Scenario { cuts: 1, leads: true, ..both });
}

#[test]
fn what_is_given_again_lives_on_and_what_is_returned_is_found() {
    check(Scenario { sharers: 2, calls: 2, callers: 1, ..Scenario::default() });
    check(Scenario { sharers: 2, calls: 2, cuts: 1, leads: true, ..Scenario::default() });
    check(Scenario { sharers: 2, calls: 2, closes: true, ..Scenario::default() });
}

#[test]
fn what_is_withdrawn_was_never_given() {
    check(Scenario { givers: 3, calls: 2, callers: 1, ..Scenario::default() });
    check(Scenario { givers: 2, calls: 2, cuts: 2, leads: true, ..Scenario::default() });
}
