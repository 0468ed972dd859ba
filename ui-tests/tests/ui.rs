//! What `#[plugin_interface]` accepts, and what it says where it does not.

/// Each case proves one rule. After a change of wording: `TRYBUILD=overwrite cargo test -p ui-tests`, then read the diff.
#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
