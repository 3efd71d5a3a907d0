//! Cedar policies: allow, deny, or allowed once approved; and who may vote.
