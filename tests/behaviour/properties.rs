//! The fuzz targets without an engine: every seed, everything that an engine ever found, and thousands of mutations
//! of them, the same ones at each run. Security requirement 49.

use std::fs;
use std::path::Path;

use crate::support::fuzz_targets::{ALL, signed_token};

const MUTATIONS: usize = 15_000;

#[test]
fn seeds_and_mutations() {
    for (name, target) in ALL {
        let seeds = seeds(name);
        assert!(seeds.len() >= 5, "{name} has lost its seeds");
        for seed in &seeds {
            target(seed);
        }
        let mut random = Random(0x5eed);
        for _ in 0..MUTATIONS {
            let mut bytes = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                mutate(&mut bytes, &seeds, &mut random);
            }
            target(&bytes);
        }
    }
}

// Each prefix, each character left out or replaced: none of them is the token.
#[test]
fn no_neighbour_of_a_token_is_accepted() {
    let (_, target) = ALL[0];
    let token = signed_token().as_bytes();
    target(token);
    for at in 0..token.len() {
        target(&token[..at]);
        let mut other = token.to_vec();
        other.remove(at);
        target(&other);
        for byte in [b'A', b'_', b'.', b'=', b' ', 0, 0xff] {
            other = token.to_vec();
            other[at] = byte;
            target(&other);
            other.insert(at, byte);
            target(&other);
        }
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz");
    let mut paths: Vec<_> = fs::read_dir(directory.join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut seeds: Vec<_> = paths
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    if target == "token" {
        seeds.push(signed_token().into());
    }
    seeds
}

fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let until = at + random.below(bytes.len() - at + 1);
    match random.below(7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => bytes[at] = random.next() as u8,
        2 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
        3 => drop(bytes.drain(at..until)),
        4 => {
            let part = bytes[at..until].to_vec();
            for _ in 0..random.below(8) {
                bytes.splice(at..at, part.iter().copied());
                if bytes.len() > 100_000 {
                    break;
                }
            }
        }
        5 => bytes.truncate(at),
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            bytes.splice(at..until, other[from..].iter().copied());
        }
    }
}

/// Bytes that mean something to one of the parsers.
const TELLING: &[u8] = b"\"\\{}[]:,.;= \t\r\n\0-09eAZ_\xff";

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
