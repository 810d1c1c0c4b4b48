//! QR codes as the API returns them: a PNG in standard base64, without a `data:` prefix.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use qrcode::{Color, QrCode};

use super::error::ApiError;

/// Pixels per module.
const SCALE: usize = 6;
/// The quiet zone that the standard asks for, in modules.
const MARGIN: usize = 4;

pub(crate) fn png_base64(text: &str) -> Result<String, ApiError> {
    let code = QrCode::new(text)
        .map_err(|_| ApiError::invalid("The login id is too long for a QR code"))?;
    let width = code.width();
    let side = (width + 2 * MARGIN) * SCALE;
    // One bit per pixel, 1 is white; a row begins on a byte.
    let row_bytes = side.div_ceil(8);
    let mut pixels = vec![0xff_u8; row_bytes * side];
    for (index, _) in code
        .to_colors()
        .into_iter()
        .enumerate()
        .filter(|(_, color)| *color == Color::Dark)
    {
        let (left, top) = (
            (index % width + MARGIN) * SCALE,
            (index / width + MARGIN) * SCALE,
        );
        for y in top..top + SCALE {
            for x in left..left + SCALE {
                pixels[y * row_bytes + x / 8] &= !(0x80 >> (x % 8));
            }
        }
    }

    let unwritable = |_| ApiError::internal("the QR code could not be drawn");
    let side = u32::try_from(side).map_err(|_| ApiError::internal("the QR code is too large"))?;
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .map_err(unwritable)?;
    Ok(BASE64_STANDARD.encode(png))
}
