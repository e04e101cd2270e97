//! Options that are right, and those that are refused with a sentence.

use clap::CommandFactory as _;

use super::*;

fn parse(options: &[&str]) -> Result<Args, String> {
    Args::try_parse_from([&["local"], options].concat()).map_err(|error| error.to_string())
}

#[test]
fn every_option_has_a_default_that_works_and_a_help_text() {
    Args::command().debug_assert();
    let args = parse(&[]).unwrap();
    assert_eq!((args.ports.port, args.ports.business_port, args.simulator_port), (3000, 3001, 3002));
    assert_eq!((args.ports.dynamodb_port, args.ports.secrets_port, args.events_port), (8000, 8001, 8002));
    assert_eq!((args.ticket_interval.as_secs(), args.token_lifetime.as_secs()), (600, 7200));
    assert!(args.bind.is_loopback());
    assert!(args.secret.is_none() && !args.no_simulator && !args.sample_webhook);
    assert!(Args::command().get_arguments().all(|argument| argument.get_help().is_some()));
}

#[test]
fn the_real_wechat_needs_a_secret_of_ones_own() {
    assert!(parse(&["--no-simulator"]).unwrap_err().contains("--secret"));
    assert!(parse(&["--no-simulator", "--secret", "my.json"]).unwrap().no_simulator);
}

#[test]
fn further_hosts_are_names_alone() {
    let args = parse(&["--allow-host", "host.docker.internal", "--allow-host", "Sim.Example.com"]).unwrap();
    assert_eq!(args.allow_host, ["host.docker.internal", "sim.example.com"]);
    for bad in ["http://sim.example.com", "sim.example.com:3002", "sim.example.com/", "10.0.0.7", "[::1]", "*", ""] {
        assert!(parse(&["--allow-host", bad]).unwrap_err().contains("--bind takes addresses"), "{bad}");
    }
}

#[test]
fn the_doctor_takes_ports_or_a_stack_and_no_option_that_would_do_nothing() {
    let args = parse(&["doctor", "--port", "4000"]).unwrap();
    let Some(Command::Doctor(options)) = args.command else { panic!("no doctor") };
    assert_eq!((options.ports.port, options.stack), (4000, None));
    assert!(parse(&["doctor", "--stack", "wechat", "--region", "eu-central-1"]).is_ok());
    let useless: [&[&str]; 4] = [
        &["doctor", "--region", "eu-central-1"],
        &["doctor", "--stack", "wechat", "--port", "4000"],
        &["doctor", "--data-dir", "x"],
        &["--data-dir", "x", "doctor"],
    ];
    for options in useless {
        assert!(parse(options).is_err(), "{options:?}");
    }
}

#[test]
fn a_copy_needs_two_tables_and_takes_no_ports() {
    assert!(parse(&["copy-table", "a", "b", "--region", "eu-central-1"]).is_ok());
    assert!(parse(&["copy-table", "a"]).unwrap_err().contains("<TO>"));
    assert!(parse(&["copy-table", "a", "b", "--port", "4000"]).is_err());
}

#[test]
fn a_release_check_takes_the_groups_that_wechat_has() {
    let groups = |options: &[&str]| match parse(&[&["release-check"], options].concat()).map(|args| args.command) {
        Ok(Some(Command::ReleaseCheck(options))) => Some((options.groups(), options.simulator.to_string())),
        _ => None,
    };
    let here = "http://localhost:3002/".to_owned();
    assert_eq!(groups(&[]), Some((vec![1], here.clone())));
    assert_eq!(groups(&["--group", "4", "--group", "2"]), Some((vec![2, 4], here.clone())));
    assert_eq!(groups(&["--all-groups"]), Some((vec![1, 2, 3, 4, 5], here)));
    let useless: [&[&str]; 3] = [&["--group", "0"], &["--group", "6"], &["--group", "1", "--all-groups"]];
    for options in useless {
        assert_eq!(groups(options), None, "{options:?}");
    }
    for port in ["--port", "--business-port", "--dynamodb-port", "--secrets-port", "--events-port"] {
        for options in [["release-check", port, "4000"], [port, "4000", "release-check"]] {
            assert!(parse(&options).is_err(), "{options:?}");
        }
    }
}

#[test]
fn an_address_without_its_scheme_is_told_what_to_begin_with() {
    for bad in ["localhost:3002", "127.0.0.1:3002", "localhost", "file:///tmp"] {
        let told = parse(&["release-check", "--simulator", bad]).unwrap_err();
        assert!(told.contains("begin it with http://"), "{bad}: {told}");
    }
    assert!(parse(&["doctor", "--stack", "wechat", "--api-url", "localhost:3001"]).is_err());
    assert!(parse(&["doctor", "--stack", "wechat", "--api-url", "https://api.example.com"]).is_ok());
}

#[test]
fn an_interval_of_nothing_is_refused() {
    for bad in ["0", "-1", "1.5", "ten"] {
        assert!(parse(&["--ticket-interval", bad]).is_err(), "{bad}");
    }
    assert_eq!(parse(&["--token-lifetime", "120"]).unwrap().token_lifetime.as_secs(), 120);
}
