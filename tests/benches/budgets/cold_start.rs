//! ticket-push from the start of its process to its first answer; and what a push costs once it is warm.

use crate::build;
use crate::lambda::Function;
use crate::platform::{Aws, ticket_event};
use crate::report::{Report, median};

/// Starts of each program, by turns, so that whatever else the machine does meets both.
const STARTS: u32 = 60;

/// Pushes to a function that is warm.
const PUSHES: u32 = 20;

pub(crate) fn measure(report: &mut Report) {
    let (nothing, ticket_push) = (build::nothing(), build::function("ticket-push"));
    let aws = Aws::start(|_, _| "{}".to_owned());
    let (variables, event) = (aws.variables(), ticket_event());

    let (mut bare, mut ours, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        for (program, times) in [(&nothing, &mut bare), (&ticket_push, &mut ours)] {
            let function = Function::start(program, &[], &variables);
            let (answered, answer) = function.invoke(&event);
            times.push((answered - function.started()).as_secs_f64() * 1e3);
            if program == &ticket_push {
                assert!(answer.contains("\"body\":\"success\""), "{answer}");
                memory.push(function.peak_memory());
            }
        }
    }
    let (bare, ours) = (median(bare), median(ours));
    let note = format!("{ours:.2} ms to {bare:.2} ms of a function that does nothing");
    report.at_most("cold start of ticket-push", 3.0, ours / bare, "x", &note);
    report.at_most("peak memory of ticket-push", 12.0, median(memory), "MiB", "");

    let function = Function::start(&ticket_push, &[], &variables);
    function.invoke(&event);
    aws.counts.clear();
    for _ in 0..PUSHES {
        function.invoke(&event);
    }
    let per_push = |operations: &[&str]| {
        operations.iter().map(|operation| aws.counts.get(operation)).sum::<f64>() / f64::from(PUSHES)
    };
    let writes = per_push(&["UpdateItem", "PutItem", "TransactWriteItems"]);
    assert!(writes > 0.0, "a push is stored");
    report.at_most("one ticket push: writes", 1.0, writes, "", "");
    report.at_most("one ticket push: reads", 0.0, per_push(&["GetItem", "Query", "GetSecretValue"]), "", "");
}
