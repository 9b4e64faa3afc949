//! [`look`]: a moment of looking, for a thread with other things to do.

use std::cell::Cell;

use crate::spin;

/// How many times in a row it is in vain before some are left out: the first time whoever is to
/// bring it may have to be woken.
const TRIES: u32 = 4;
/// How many are left out at the most.
const LEFT_OUT: u32 = 1024;

thread_local! {
    static SELDOM: Cell<Seldom> = const { Cell::new(Seldom::new()) };
}

/// Whether a thread looks.
#[derive(Clone, Copy)]
struct Seldom {
    /// How many times it is yet not to.
    left: u32,
    /// How many times that will be when it was in vain again.
    next: u32,
    /// How many times it may yet be in vain before that.
    tries: u32,
}

impl Seldom {
    const fn new() -> Self {
        Self { left: 0, next: 1, tries: TRIES }
    }

    /// It has looked.
    fn note(&mut self, found: bool) {
        if found {
            *self = Self::new();
        } else if self.tries > 1 {
            self.tries -= 1;
        } else {
            *self = Self { left: self.next, next: LEFT_OUT.min(2 * self.next), tries: TRIES };
        }
    }
}

/// Waits a moment for what may be there very soon. The more often that is in vain the more often
/// it is left out, so it costs next to nothing where it does not help.
pub(crate) fn look(mut is_there: impl FnMut() -> bool) {
    let mut seldom = SELDOM.get();
    if is_there() {
        seldom.note(true);
    } else if seldom.left > 0 {
        seldom.left -= 1;
    } else {
        let mut looks = spin::short().map(|()| is_there()).peekable();
        // A thread that is to sleep at once has not looked.
        if looks.peek().is_some() {
            seldom.note(looks.any(|found| found));
        }
    }
    SELDOM.set(seldom);
}

#[cfg(test)]
mod tests {
    use super::{LEFT_OUT, Seldom, TRIES, look};

    #[test]
    fn the_more_often_it_is_in_vain_the_less_often_a_thread_looks() {
        let mut seldom = Seldom::new();
        let mut looked = 0;
        for _ in 0..10 * LEFT_OUT {
            if seldom.left == 0 {
                looked += 1;
                seldom.note(false);
            } else {
                seldom.left -= 1;
            }
        }
        assert!(looked < 100, "{looked} times");
        seldom.note(true);
        assert_eq!((seldom.left, seldom.next, seldom.tries), (0, 1, TRIES), "it is tried again");
    }

    #[test]
    fn a_look_ends_when_it_is_there_and_else_after_a_moment() {
        look(|| false);
        let mut looks = 0;
        look(|| {
            looks += 1;
            looks == 3
        });
        // Fewer where others keep the core.
        assert!(looks <= 3);
    }
}
