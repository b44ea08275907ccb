//! A closed enum whose variants have a spelling in the data files.

/// An enum that a data file names by a key. Every implementor is made by `closed_enum!`.
pub trait ClosedEnum: Copy + Eq + 'static {
    /// Every variant, in declaration order.
    const ALL: &'static [Self];
    /// What the enum as a whole is called in messages ("lock mode", "flag_raise", …).
    const WHAT: &'static str;

    /// The variant's spelling in data files and on the command line.
    fn key(self) -> &'static str;

    /// The first paragraph of the variant's documentation.
    fn about(self) -> &'static str;

    /// The variant spelled `key`, if there is one.
    fn from_key(key: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|variant| variant.key() == key)
    }

    /// The variant whose position in [`ClosedEnum::ALL`] is `index`.
    fn from_index(index: u8) -> Option<Self> {
        Self::ALL.get(usize::from(index)).copied()
    }
}

/// Declares a [`ClosedEnum`]: `what, enum Name { Variant = "key": "one sentence", … }`.
macro_rules! closed_enum {
    (
        $what:literal,
        $(#[$meta:meta])*
        pub enum $Name:ident { $( $Variant:ident = $key:literal : $about:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $Name { $( #[doc = $about] $Variant ),+ }

        impl $crate::closed_enum::ClosedEnum for $Name {
            const ALL: &'static [Self] = &[ $( Self::$Variant ),+ ];
            const WHAT: &'static str = $what;
            fn key(self) -> &'static str {
                match self { $( Self::$Variant => $key ),+ }
            }
            fn about(self) -> &'static str {
                match self { $( Self::$Variant => $about ),+ }
            }
        }
    };
}
pub(crate) use closed_enum;
