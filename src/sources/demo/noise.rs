//! Noise that is the same everywhere: a counter-based generator keyed by names.

/// Noise for one series or kind of line.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    state: u64,
}

impl Noise {
    /// Noise that depends on the parts of a name and nothing else.
    pub(super) fn of(parts: &[&str]) -> Self {
        // FNV-1a, so that similar names begin far apart.
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        for part in parts {
            for byte in part.bytes().chain([0xff]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Self { state }
    }

    /// The next 64 bits: `SplitMix64` (Steele, Lea and Flood, 2014).
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0 to 1, 1 excluded.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Bell-shaped with mean 0 and standard deviation 1: the sum of four uniform numbers.
    pub(super) fn bell(&mut self) -> f64 {
        let sum: f64 = (0..4).map(|_| self.unit()).sum();
        (sum - 2.0) * 1.732_050_807_568_877_2
    }

    /// A whole number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}
