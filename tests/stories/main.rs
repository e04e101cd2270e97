//! End-to-end stories: the platform's functions against WeChat's simulator, with moved time.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod merchant_faults;
#[cfg(test)]
mod merchants;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod tickets;
