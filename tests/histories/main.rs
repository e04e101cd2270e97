//! Random histories: faults happen at random, and in the end every invariant must hold.
//!
//! `docs/architecture.md`, "Random histories", says how to run one history again, and how to run thousands.

#[cfg(test)]
mod event_service;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod held;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod labels;
#[cfg(test)]
mod model;
#[cfg(test)]
mod play;
#[cfg(test)]
mod search;
#[cfg(test)]
mod settle;
#[cfg(test)]
mod sick;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod step;
#[cfg(test)]
mod trouble;
