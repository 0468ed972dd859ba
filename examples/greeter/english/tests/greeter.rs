//! The walk-through works, and the README shows it as it is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use greeter_api::{GreetError, Greeter};

#[test]
fn the_plugin_greets() {
    let greeter = plugin_core::connect::<dyn Greeter>(env!("CARGO_BIN_EXE_english")).unwrap();
    assert_eq!(greeter.greet("Ada").unwrap(), "Hello, Ada!");
    assert!(matches!(greeter.greet(""), Err(GreetError::Nameless)));
    assert_eq!(greeter.add(2, 3).unwrap(), 5);
    assert_eq!(greeter.add(i64::MAX, 1).unwrap_err().to_string(), "the sum is too large");
    assert_eq!(greeter.farewell("Ada").unwrap(), "Goodbye, Ada.");
}

#[test]
fn the_readme_shows_the_files_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    for path in ["api/src/lib.rs", "english/src/main.rs", "host/src/main.rs"] {
        let path = format!("examples/greeter/{path}");
        let file = fs::read_to_string(root.join(&path)).unwrap();
        let block = format!("```rust\n// {path}\n{file}```\n");
        assert!(readme.contains(&block), "the README does not show {path} as it is");
    }
}
