//! Hashing the numbers of calls. The other side gives them, and may give any: so the hash is one of many, chosen at random.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Multiplies by a random odd number. Any two numbers collide in few of all those hashes, however they were chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0_u8) | 1)
    }
}

impl BuildHasher for Numbers {
    type Hasher = Number;

    fn build_hasher(&self) -> Number {
        Number { factor: self.0, hash: 0 }
    }
}

pub(super) struct Number {
    factor: u64,
    hash: u64,
}

impl Hasher for Number {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The higher bits of a product are those that depend on all of the number; a table looks at the lowest, too.
        self.hash = (self.hash ^ u64::from(number)).wrapping_mul(self.factor).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_have_much_in_common_spread_over_all_places() {
        let numbers = Numbers::new();
        for shift in [0, 7, 16, 22] {
            let mut count = [0_u32; 64];
            for number in 0..1024_u32 {
                count[usize::try_from(numbers.hash_one(number << shift) % 64).unwrap()] += 1;
            }
            assert!(count.iter().all(|count| *count < 256), "{count:?}");
        }
    }
}
