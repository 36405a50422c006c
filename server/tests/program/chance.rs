//! Chance that repeats itself: the seed is printed, and `ROLLCALL_SEED` brings a run back.

use std::ops::Range;

pub struct Chance(u64);

impl Chance {
    /// From `ROLLCALL_SEED`, else from the usual seed, so that `make test` always does the same.
    pub fn from_environment(what: &str) -> Self {
        let seed = seed();
        println!("{what}: ROLLCALL_SEED={seed} repeats this run");
        Self(seed)
    }

    /// The next of SplitMix64's numbers.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn within(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.within(0..100) < percent
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0..items.len() as u64) as usize]
    }
}

pub fn seed() -> u64 {
    std::env::var("ROLLCALL_SEED").map_or(20_261_127, |text| text.parse().unwrap())
}

/// Whether `make soak` asks for the whole length.
pub fn in_full() -> bool {
    std::env::var_os("ROLLCALL_SOAK").is_some()
}
