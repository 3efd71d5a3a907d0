//! A desktop where there is none.
