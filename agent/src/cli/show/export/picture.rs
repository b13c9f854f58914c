//! Which files are shown as pictures: those of which no viewer does anything but draw them.

/// Largest picture that a page holds; a larger one is named only.
pub const LARGEST: u64 = 8 * 1024 * 1024;

/// The media type of a picture by the beginning of its content, whatever its sender calls it; `None` for everything else, as for
/// drawings that can hold programs.
pub fn is_picture(content: &[u8]) -> Option<&'static str> {
    let kind = infer::get(content)?.mime_type();
    ["image/png", "image/jpeg", "image/gif", "image/webp"].into_iter().find(|known| *known == kind)
}
