//! A plugin that counts its own allocations.

use plugin_core::Result;
use process_tests::{
    Counter,
    allocations::{self, Counting},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Real;

impl Counter for Real {
    fn allocations(&self) -> Result<u64> {
        Ok(allocations::of_process())
    }

    fn live_bytes(&self) -> Result<i64> {
        Ok(allocations::live_bytes())
    }

    fn measure(&self, text: &str) -> Result<usize> {
        Ok(text.len())
    }

    fn ignore(&self, _text: &str, _number: u64) -> Result<()> {
        Ok(())
    }

    fn greet(&self, name: &str) -> Result<String> {
        Ok(name.to_owned())
    }

    fn echo(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Ok(bytes.to_vec())
    }
}

fn main() -> Result<()> {
    plugin_core::serve::<dyn Counter>(Real)
}
