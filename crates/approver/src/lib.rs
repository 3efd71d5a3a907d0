//! What an approver's program does, without any desktop.
