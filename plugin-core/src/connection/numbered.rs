//! Things by numbers that this side gives itself, one after the other.
//!
//! A number's lowest bits are its place. One whose place is taken is left out, so nothing is ever moved but where the table grows,
//! and none is given again before all others have been: whoever comes late with an old one finds nothing, or what it belongs to.

/// How many places there are at first.
const FIRST: usize = 16;

/// More are not kept when none is taken.
const MANY: usize = 1024;

#[derive(Debug)]
pub(super) struct Numbered<T> {
    /// A power of two of them, or none; at least twice as many as are taken.
    places: Vec<Option<(u32, T)>>,
    count: usize,
    /// The number that was given last; 0 is none.
    last: u32,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { places: Vec::new(), count: 0, last: 0 }
    }
}

impl<T> Numbered<T> {
    /// Keeps `value`; its number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if self.count == 0 && self.places.len() > MANY {
            // They were many once, and who looks at all of them looks at all places.
            self.places = Vec::new();
        }
        if self.places.len() <= 2 * self.count {
            self.grow();
        }
        loop {
            self.last = self.last.wrapping_add(1);
            let place = self.place(self.last);
            // Every second one is free.
            if let (place @ None, true) = (&mut self.places[place], self.last != 0) {
                *place = Some((self.last, value));
                self.count += 1;
                return self.last;
            }
        }
    }

    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let (found, value) = self.places.get(self.place(number))?.as_ref()?;
        Some(value).filter(|_| *found == number)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = self.place(number);
        let (found, value) = self.places.get_mut(place)?.as_mut()?;
        Some(value).filter(|_| *found == number)
    }

    pub(super) fn remove(&mut self, number: u32) -> Option<T> {
        let place = self.place(number);
        let (_, value) = self.places.get_mut(place)?.take_if(|(found, _)| *found == number)?;
        self.count -= 1;
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.places.iter().flatten().map(|(_, value)| value)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.places.into_iter().flatten().map(|(_, value)| value)
    }

    fn place(&self, number: u32) -> usize {
        number as usize & self.places.len().wrapping_sub(1)
    }

    /// Those in different places stay so: they differ in the same bits, and one more is looked at.
    fn grow(&mut self) {
        let count = FIRST.max(2 * self.places.len());
        let before = std::mem::replace(&mut self.places, std::iter::repeat_with(|| None).take(count).collect());
        for (number, value) in before.into_iter().flatten() {
            let place = self.place(number);
            self.places[place] = Some((number, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_of_many_are_given_back_when_none_is_taken() {
        let mut numbered = Numbered::default();
        for _ in 0..3 {
            let numbers: Vec<u32> = (0..10_000).map(|value| numbered.insert(value)).collect();
            for (value, number) in (0..).zip(numbers) {
                assert_eq!(numbered.remove(number), Some(value));
            }
            let number = numbered.insert(0);
            assert!(numbered.places.len() <= MANY && numbered.get(number) == Some(&0));
            numbered.remove(number);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_found_under_its_number_and_nothing_else_is(
            last in prop_oneof![Just(0), u32::MAX - 40..=u32::MAX],
            steps in proptest::collection::vec(any::<Option<u8>>(), 1..300),
        ) {
            let (mut numbered, mut expected) = (Numbered { last, ..Numbered::default() }, HashMap::new());
            let mut given = vec![0];
            for (step, value) in steps.into_iter().zip(0..) {
                if let Some(which) = step {
                    let number = given[usize::from(which) % given.len()];
                    prop_assert_eq!(numbered.get(number), expected.get(&number));
                    prop_assert_eq!(numbered.remove(number), expected.remove(&number));
                } else {
                    let number = numbered.insert(value);
                    prop_assert!(number != 0 && expected.insert(number, value).is_none());
                    given.push(number);
                }
                prop_assert_eq!(numbered.len(), expected.len());
            }
            for (number, value) in &mut expected {
                prop_assert_eq!(numbered.get_mut(*number), Some(value));
            }
            let mut values: Vec<_> = numbered.values().copied().collect();
            values.sort_unstable();
            let mut all: Vec<_> = expected.into_values().collect();
            all.sort_unstable();
            prop_assert_eq!(values, all);
        }
    }
}
