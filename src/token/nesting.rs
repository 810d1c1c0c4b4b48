//! A bound on nesting.

use memchr::memchr2_iter;

/// Whether no value lies deeper than `max` objects and arrays. `json` need not be well-formed.
///
/// serde_json bounds the nesting of what it parses, but skips values of any depth. A value that is skipped here is
/// parsed later by somebody else.
pub(super) fn is_nested_within(json: &[u8], max: usize) -> bool {
    // Counting brackets is much cheaper than the scan below, and almost every token has too few to nest deeply.
    if memchr2_iter(b'{', b'[', json).nth(max).is_none() {
        return true;
    }
    let mut depth = 0usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            // Brackets inside a string are text.
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_nested_within;

    // Security requirement 9.
    #[test]
    fn levels_are_counted_outside_of_strings() {
        assert!(is_nested_within(br#"{"a":[1],"b":[[]]}"#, 3));
        assert!(!is_nested_within(br#"{"a":[1],"b":[[]]}"#, 2));
        assert!(is_nested_within(br#"{"a":"[[[[\"[[","b":"\\"}"#, 1));
        assert!(!is_nested_within(&[b'['; 101], 100));
        for unfinished in ["", "]]]", "\"", "\"\\", "{\"a"] {
            assert!(is_nested_within(unfinished.as_bytes(), 1), "{unfinished}");
        }
    }
}
