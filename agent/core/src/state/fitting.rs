//! As much of a list as there is room for.

/// The first of them whose sizes together are no more than the room; the first one that does not fit ends it.
pub(super) fn fitting<T>(
    all: impl Iterator<Item = T>,
    room: usize,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = T> {
    let mut left = room;
    all.take_while(move |one| left.checked_sub(size(one)).map(|rest| left = rest).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_that_there_is_room_for_fit() {
        let fit = |room: usize| fitting([3, 4, 9, 1].into_iter(), room, |one| *one).collect::<Vec<_>>();
        for (room, expected) in
            [(0, vec![]), (2, vec![]), (3, vec![3]), (15, vec![3, 4]), (17, vec![3, 4, 9, 1])]
        {
            assert_eq!(fit(room), expected, "{room}");
        }
    }
}
