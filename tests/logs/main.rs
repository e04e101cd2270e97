//! Stories about the log. They have a process of their own, because a log is a process's.

#[cfg(test)]
mod conversations;
#[cfg(test)]
mod leaks;
#[cfg(test)]
mod operators;
