//! Stories about the log: what the operator sees, and that nothing private is in it.

mod conversations;
mod leaks;
mod operators;
