//! Ids, codes and secrets, all from the operating system's generator.

use aws_lc_rs::rand;

use super::error::ApiError;

const ALPHANUMERIC: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], ApiError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| ApiError::internal("no randomness"))?;
    Ok(bytes)
}

/// `length` letters and digits, almost 6 bits each.
pub(crate) fn alphanumeric(length: usize) -> Result<String, ApiError> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // 4 * 62 = 248: the bytes above would favour the first characters, so they are thrown away.
        text.extend(
            bytes::<64>()?
                .into_iter()
                .filter(|byte| *byte < 248)
                .map(|byte| char::from(ALPHANUMERIC[usize::from(byte % 62)]))
                .take(length - text.len()),
        );
    }
    Ok(text)
}

/// An id as Descope writes them: a letter or two, and 27 letters and digits.
pub(crate) fn id(prefix: &str) -> Result<String, ApiError> {
    Ok(format!("{prefix}{}", alphanumeric(27)?))
}

/// Six decimal digits, each code equally likely.
pub(crate) fn six_digits() -> Result<String, ApiError> {
    const CODES: u32 = 1_000_000;
    // The largest multiple of a million below 2^32; what lies above would favour the small codes.
    const LIMIT: u32 = u32::MAX - u32::MAX % CODES;
    loop {
        let number = u32::from_be_bytes(bytes()?);
        if number < LIMIT {
            return Ok(format!("{:06}", number % CODES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_six_digits_with_leading_zeros() {
        let codes: Vec<_> = (0..2_000).map(|_| six_digits().unwrap()).collect();
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()))
        );
        // 200 expected; a generator that forgets leading zeros has none.
        let with_leading_zero = codes.iter().filter(|code| code.starts_with('0')).count();
        assert!((100..=320).contains(&with_leading_zero));
    }

    #[test]
    fn ids_have_the_shape_of_descope() {
        let id = id("U").unwrap();
        assert_eq!(id.len(), 28);
        assert!(id.starts_with('U') && id.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(alphanumeric(100).unwrap().len(), 100);
    }
}
