//! The pages, one module each.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod arrivals;
pub(crate) mod audit;
pub(crate) mod browsers;
pub(crate) mod domains;
pub(crate) mod export;
pub(crate) mod keys;
pub(crate) mod links;
pub(crate) mod operators;
pub(crate) mod overview;
pub(crate) mod setup;
