//! End-to-end stories: the platform's functions against WeChat's simulator, with moved time.

#[cfg(test)]
mod account_events;
#[cfg(test)]
mod account_states;
#[cfg(test)]
mod accounts;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod arrivals;
#[cfg(test)]
mod asking_again;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bad_requests;
#[cfg(test)]
mod bound_links;
#[cfg(test)]
mod calls_on_behalf;
#[cfg(test)]
mod cancelled_links;
#[cfg(test)]
mod check_files;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod console;
#[cfg(test)]
mod copy_table;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod demo_events;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod documented_calls;
#[cfg(test)]
mod earlier_rows;
#[cfg(test)]
mod event_schema;
#[cfg(test)]
mod event_webhook;
#[cfg(test)]
mod false_words;
#[cfg(test)]
mod files_for_calls;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod grants_told;
#[cfg(test)]
mod health;
#[cfg(test)]
mod incomplete_pushes;
#[cfg(test)]
mod key_door;
#[cfg(test)]
mod late_pushes;
#[cfg(test)]
mod links;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod long_runs;
#[cfg(test)]
mod lost_exchanges;
#[cfg(test)]
mod merchant_faults;
#[cfg(test)]
mod merchant_pages;
#[cfg(test)]
mod merchants;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod one_pre_auth_code;
#[cfg(test)]
mod one_sick;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod operator_store;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod operators_invitations;
#[cfg(test)]
mod operators_keys;
#[cfg(test)]
mod operators_release_check;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod page_tickets;
#[cfg(test)]
mod pages_and_sessions;
#[cfg(test)]
mod parts;
#[cfg(test)]
mod problems;
mod promises;
#[cfg(test)]
mod refresher_faults;
#[cfg(test)]
mod release_check;
#[cfg(test)]
mod renewals;
#[cfg(test)]
mod requested_runs;
#[cfg(test)]
mod sdks;
#[cfg(test)]
mod stale_reads;
#[cfg(test)]
mod table_faults;
#[cfg(test)]
mod template;
#[cfg(test)]
mod tickets;
#[cfg(test)]
mod tokens_for_services;
#[cfg(test)]
mod unchanged_libraries;
#[cfg(test)]
mod web_logins;
#[cfg(test)]
mod wechat_json;
