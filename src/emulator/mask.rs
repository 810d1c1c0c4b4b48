//! Addresses as the start calls show them.

/// `t***@example.com`: the first character and the domain. The number of stars tells nothing.
pub(crate) fn email(address: &str) -> String {
    let (local, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let first = local.chars().next().map(String::from).unwrap_or_default();
    if domain.is_empty() {
        format!("{first}***")
    } else {
        format!("{first}***@{domain}")
    }
}

/// `+1*******67`: two characters at either end, if that leaves enough hidden.
pub(crate) fn phone(number: &str) -> String {
    let length = number.chars().count();
    let shown = if length >= 8 { 2 } else { 0 };
    number
        .chars()
        .enumerate()
        .map(|(index, c)| {
            if index < shown || index + shown >= length {
                c
            } else {
                '*'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_hidden() {
        assert_eq!(email("test@email.com"), "t***@email.com");
        assert_eq!(email("a@b.c"), "a***@b.c");
        assert_eq!(email("ann"), "a***");
        assert_eq!(email(""), "***");
        assert_eq!(phone("+15555550167"), "+1********67");
        assert_eq!(phone("+15555"), "******");
    }
}
