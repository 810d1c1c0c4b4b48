//! The key of the test kit, whose private half everybody can read here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Its kid.
#[cfg(feature = "testing")]
pub(crate) const KID: &str = "test-kit";
/// SHA-256 of `tower-descope test key, known to everybody`, as a number: the private key of P-256.
#[cfg(feature = "testing")]
const PRIVATE: [u8; 32] = [
    0x00, 0xe2, 0x97, 0x16, 0xd8, 0x67, 0x30, 0x19, 0x77, 0xa5, 0x7d, 0xa3, 0x5d, 0x78, 0xbf, 0x3b,
    0xf0, 0xf6, 0x56, 0x80, 0x52, 0x16, 0xf7, 0x68, 0xb9, 0x13, 0x78, 0x4f, 0x90, 0x55, 0x30, 0x15,
];
/// The coordinates of its public key. Every build knows `x`, because a handle without the test kit must refuse that key
/// too.
const X: &str = "pkGD1zskkJNW-VcbwG6Yyuj5GjmByUsF_tTAc02OyPc";
#[cfg(feature = "testing")]
const Y: &str = "WZv_MktI8gaj4WNiUL2tOXtKcSHvbxLJCWWfew30wTg";

/// Whether this is the public key of the test kit. Its mirror image has the same `x`, and a private key that is as well
/// known.
pub(crate) fn is(x: &[u8]) -> bool {
    URL_SAFE_NO_PAD.encode(x) == X
}

/// The coordinates of the public key.
#[cfg(feature = "testing")]
pub(crate) fn public() -> [Vec<u8>; 2] {
    // Constants that a test reads.
    [X, Y].map(|text| URL_SAFE_NO_PAD.decode(text).unwrap_or_default())
}

/// Signs claims with it.
#[cfg(feature = "testing")]
pub(crate) fn sign(claims: &serde_json::Map<String, serde_json::Value>) -> Option<String> {
    let header = format!(r#"{{"alg":"ES256","kid":"{KID}","typ":"JWT"}}"#);
    let claims = serde_json::to_vec(claims).ok()?;
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let [x, y] = public();
    let signature = super::crypto::sign_p256(&PRIVATE, &x, &y, input.as_bytes())?;
    Some(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
