//! End-to-end stories: the platform's functions against WeChat's simulator, with moved time.

#[cfg(test)]
mod demo_events;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod tickets;
