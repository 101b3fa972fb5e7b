//! What the process says about itself: the log and the access log.

pub mod access;
pub mod log;
pub mod seldom;
