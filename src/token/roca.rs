//! The ROCA fingerprint (CVE-2017-15361): RSA keys of a flawed generator, whose factors can be computed.
//!
//! Such a modulus is, modulo each small prime, a power of 65537. A sound key has that property with a probability
//! below one in a hundred million.

/// Whether the modulus, big-endian, shows the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|prime| is_power_of_65537(remainder(modulus, *prime), *prime))
}

fn remainder(modulus: &[u8], prime: u32) -> u32 {
    modulus
        .iter()
        .fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % prime)
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    let mut power = 1;
    loop {
        if power == value {
            return true;
        }
        power = power * (65537 % prime) % prime;
        if power == 1 {
            return false;
        }
    }
}

/// The primes modulo which 65537 does not generate everything, among the first 39 primes. Those make up the modulus of
/// the flawed generator for keys of up to 960 bits; the modulus for larger keys includes them.
const PRIMES: &[u32] = &[
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers() {
        // 65537 is 10 modulo 11, hence of order two.
        assert!(is_power_of_65537(1, 11) && is_power_of_65537(10, 11));
        assert!(!is_power_of_65537(2, 11) && !is_power_of_65537(0, 11));
        assert_eq!(remainder(&[1, 0, 1], 11), 65537 % 11);
    }

    #[test]
    fn every_prime_tells_something() {
        for prime in PRIMES {
            let powers = (0..*prime).filter(|value| is_power_of_65537(*value, *prime));
            assert!(powers.count() < *prime as usize - 1, "{prime}");
        }
    }

    #[test]
    fn fingerprints() {
        // 65537 itself has the fingerprint. The number in the second check is no power of 65537 modulo one of the
        // primes.
        assert!(has_fingerprint(&[1, 0, 1]));
        assert!(!has_fingerprint(&[1, 0, 3]));
        assert!(!has_fingerprint(&[0xff; 256]));
    }
}
