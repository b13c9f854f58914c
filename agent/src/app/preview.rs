//! A small picture of a picture that is sent: receivers see it before they fetch the file.
//!
//! It is made of the sender's own bytes, and it is drawn anew: nothing of what cameras write beside a picture (where it was taken, by
//! which device) is in it. A picture that cannot be read, or that says of itself that it is very large, has none, which is no error.

use std::io::Cursor;

use cipher_api::view::PreviewView;
use cipher_broker::limit;
use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

/// Largest file of which one is made, bytes: it is held in memory.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Most pixels of a picture that is read: what cameras make. It is looked at before anything is unpacked.
const PIXELS: u64 = 24_000_000;
/// Bytes that an unpacked picture may take.
const UNPACKED: u64 = 96 * 1024 * 1024;
/// How large it is drawn, its longer side in pixels, and how well, from 1 to 100: the first that is small enough.
const DRAWN: [(u16, u8); 5] = [
    (limit::PREVIEW_SIDE, 75),
    (limit::PREVIEW_SIDE, 50),
    (limit::PREVIEW_SIDE, 25),
    (limit::PREVIEW_SIDE / 2, 50),
    (limit::PREVIEW_SIDE / 2, 20),
];

/// Whether a preview may be made of a file of this size that begins so.
pub(super) fn may_be_made(head: &[u8], size: u64) -> bool {
    size <= LARGEST && format(head).is_some()
}

/// The kinds of pictures that are read.
fn format(head: &[u8]) -> Option<ImageFormat> {
    let format = image::guess_format(head).ok()?;
    let known = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP];
    known.contains(&format).then_some(format)
}

/// The preview of a picture, on a thread of its own; `None` if there can be none.
pub(super) async fn made(picture: Vec<u8>) -> Option<PreviewView> {
    // Were a decoder to panic, the file would be sent all the same.
    tokio::task::spawn_blocking(move || of(&picture)).await.ok().flatten()
}

fn of(picture: &[u8]) -> Option<PreviewView> {
    let mut reader = ImageReader::with_format(Cursor::new(picture), format(picture)?);
    let mut limits = Limits::default();
    limits.max_alloc = Some(UNPACKED);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > PIXELS || decoder.total_bytes() > UNPACKED {
        return None;
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut small = within(DynamicImage::from_decoder(decoder).ok()?, limit::PREVIEW_SIDE);
    small.apply_orientation(orientation);
    let small = DynamicImage::ImageRgb8(on_white(&small));
    DRAWN.iter().find_map(|(side, quality)| {
        let drawn = within(small.clone(), *side).into_rgb8();
        let (width, height) = (u16::try_from(drawn.width()).ok()?, u16::try_from(drawn.height()).ok()?);
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, *quality).encode_image(&drawn).ok()?;
        let mime = "image/jpeg".to_owned();
        (bytes.len() <= limit::PREVIEW_BYTES).then_some(PreviewView { mime, width, height, bytes })
    })
}

/// A picture no side of which is longer; a smaller one stays as it is.
fn within(picture: DynamicImage, side: u16) -> DynamicImage {
    let side = u32::from(side);
    if picture.width().max(picture.height()) > side { picture.thumbnail(side, side) } else { picture }
}

/// What is seen through shows white.
fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    let mut drawn = RgbImage::new(picture.width(), picture.height());
    for (drawn, pixel) in drawn.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = pixel.0;
        let over = |colour: u8| {
            let mixed = (u16::from(colour) * u16::from(alpha) + 255 * (255 - u16::from(alpha))) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        *drawn = Rgb([over(red), over(green), over(blue)]);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use image::{ImageEncoder as _, Rgba, RgbaImage};

    use super::*;

    /// Noise, which nothing packs well.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 7_u32;
        DynamicImage::ImageRgba8(RgbaImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [_, a, b, c] = state.to_le_bytes();
            Rgba([a, b, c, 255])
        }))
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn sides(picture: &[u8]) -> Option<(u16, u16)> {
        let made = of(picture)?;
        assert!(made.bytes.len() <= limit::PREVIEW_BYTES && made.mime == "image/jpeg");
        let read = image::load_from_memory_with_format(&made.bytes, ImageFormat::Jpeg).unwrap();
        assert_eq!((read.width(), read.height()), (made.width.into(), made.height.into()));
        Some((made.width, made.height))
    }

    #[test]
    fn every_kind_of_picture_has_a_preview_of_its_shape_that_is_small_enough() {
        for (width, height, small) in [
            (640, 480, (160, 120)),
            (480, 640, (120, 160)),
            (90, 20, (90, 20)),
            (1, 1, (1, 1)),
            (3000, 2, (160, 1)),
        ] {
            for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
                let picture = encoded(&noise(width, height), format);
                assert!(may_be_made(&picture[..picture.len().min(8192)], 1));
                assert_eq!(sides(&picture), Some(small), "{format:?} {width}x{height}");
            }
            let rgb = DynamicImage::ImageRgb8(noise(width, height).to_rgb8());
            assert_eq!(sides(&encoded(&rgb, ImageFormat::Jpeg)), Some(small), "JPEG {width}x{height}");
        }
    }

    #[test]
    fn what_does_not_pack_well_is_drawn_smaller() {
        let (width, height) = sides(&encoded(&noise(160, 160), ImageFormat::Png)).unwrap();
        assert!(width == height && [80, 160].contains(&width), "{width}");
    }

    #[test]
    fn what_is_seen_through_shows_white() {
        let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(8, 8, Rgba([0, 0, 0, 0])));
        let made = of(&encoded(&clear, ImageFormat::Png)).unwrap();
        let read = image::load_from_memory(&made.bytes).unwrap().to_rgb8();
        assert!(read.pixels().all(|pixel| pixel.0.iter().all(|colour| *colour > 250)));
    }

    /// The camera was held upright, and wrote where it was.
    #[test]
    fn a_preview_stands_upright_and_nothing_that_a_camera_wrote_is_in_it() {
        let rgb = DynamicImage::ImageRgb8(noise(200, 100).to_rgb8());
        let mut exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        exif.extend_from_slice(b"GPS 52.5 N 13.4 E");
        let mut bytes = Vec::new();
        let mut encoder = JpegEncoder::new(&mut bytes);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.encode_image(&rgb).unwrap();
        assert!(bytes.windows(3).any(|part| part == b"GPS"));
        let made = of(&bytes).unwrap();
        assert_eq!((made.width, made.height), (80, 160));
        for told in [b"Exif".as_slice(), b"GPS", b"II*\0"] {
            assert!(!made.bytes.windows(told.len()).any(|part| part == told), "{told:?}");
        }
    }

    /// A PNG of one grey pixel whose header says that it is larger, with a right sum.
    fn says_it_is(width: u32, height: u32) -> Vec<u8> {
        let mut png = encoded(&DynamicImage::new_luma8(1, 1), ImageFormat::Png);
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = png[12..29].iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
            })
        });
        png[29..33].copy_from_slice(&(!sum).to_be_bytes());
        png
    }

    #[test]
    fn what_is_no_whole_picture_of_a_usual_size_has_no_preview() {
        let png = encoded(&noise(64, 64), ImageFormat::Png);
        assert_eq!(sides(&says_it_is(1, 1)), Some((1, 1)), "the sum is right");
        for (what, bytes) in [
            ("nothing", Vec::new()),
            ("text in a file named .png", b"hello".to_vec()),
            ("a beginning alone", b"\x89PNG\r\n\x1a\n".to_vec()),
            ("a picture without its end", png[..png.len() / 2].to_vec()),
            ("no pixels", says_it_is(0, 0)),
            ("no lines", says_it_is(5, 0)),
            ("a bomb", says_it_is(60_000, 60_000)),
            ("a bomb of one line", says_it_is(u32::MAX >> 1, 1)),
            ("more than cameras make", says_it_is(6_001, 4_000)),
            ("a drawing", b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec()),
            (
                "a bitmap",
                b"BM\x1e\0\0\0\0\0\0\0\x1a\0\0\0\x0c\0\0\0\x01\0\x01\0\x01\0\x18\0\0\0\xff\0".to_vec(),
            ),
        ] {
            assert_eq!(sides(&bytes), None, "{what}");
        }
        assert!(!may_be_made(&png, LARGEST + 1) && !may_be_made(b"hello", 5) && may_be_made(&png, LARGEST));
    }

    #[test]
    fn whatever_bytes_of_a_picture_are_other_ones_nothing_panics() {
        for format in [ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP, ImageFormat::Jpeg] {
            let picture = encoded(&DynamicImage::ImageRgb8(noise(20, 20).to_rgb8()), format);
            for at in 0..picture.len().min(400) {
                let mut torn = picture.clone();
                torn[at] ^= 0x5a;
                drop(of(&torn));
                drop(of(&picture[..at]));
            }
        }
    }
}
