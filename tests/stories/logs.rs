//! Stories about the log: what the operator gets to see, and that nothing private is in it.

mod conversations;
mod leaks;
mod operators;
