//! `dyn Trait` is an interface for every lifetime, so that a value that borrows can be lent as one.

use plugin_core::{Interface, Result, plugin_interface};

#[plugin_interface]
pub trait Progress {
    fn step(&self, done: u32) -> Result<()>;
}

struct Borrowing<'a>(&'a str);

impl Progress for Borrowing<'_> {
    fn step(&self, _: u32) -> Result<()> {
        assert_eq!(self.0, "text");
        Ok(())
    }
}

fn name_of<I: ?Sized + Interface>(_: &I) -> &'static str {
    I::DESCRIPTOR.name
}

fn main() {
    let text = String::from("text");
    let progress = Borrowing(&text);
    let lent: &dyn Progress = &progress;
    assert_eq!(name_of(lent), "Progress");
}
