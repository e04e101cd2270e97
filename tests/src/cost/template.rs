//! The resources of template.yaml that are charged by the hour or by the piece.

use serde_json::Value;

use crate::template::{accepted_line, deployed};

/// A stack with a network of its own in two zones and no dashboard.
pub(super) struct Stack {
    template: Value,
    /// Metrics that alarms evaluate: CloudWatch charges for each.
    pub(super) alarm_metrics: f64,
    /// The additional one of a reply webhook.
    pub(super) webhook_alarm_metrics: f64,
    /// NAT gateways of the first zone and of both.
    pub(super) nat_gateways: [f64; 2],
    /// Public addresses of the first zone and of both: one hour of each is charged.
    pub(super) addresses: [f64; 2],
    /// Bytes of the gateway's access log for a message.
    pub(super) access_log: f64,
    /// Reads or writes of the table or its index that follow the load, if capacity is provisioned.
    pub(super) scaled: f64,
    /// The least capacity of each, and the share of it that is used.
    pub(super) least_capacity: f64,
    pub(super) capacity_used: f64,
}

impl Stack {
    pub(super) fn read() -> Self {
        let zones = ["1", "2"].map(|zones| deployed(&[("Egress", "vpc"), ("Zones", zones)]));
        let [one, template] = &zones;
        let with_webhook = deployed(&[("ReplyWebhookUrl", "https://reply.example.com")]);
        let provisioned = deployed(&[("TableCapacity", "provisioned")]);
        let target = of(&provisioned, "AWS::ApplicationAutoScaling::ScalableTarget").next().unwrap();
        let policy = of(&provisioned, "AWS::ApplicationAutoScaling::ScalingPolicy").next().unwrap();
        let alarm_metrics = alarm_metrics(template);
        let both = |kind| [count(one, kind), count(template, kind)];
        Self {
            alarm_metrics,
            webhook_alarm_metrics: self::alarm_metrics(&with_webhook) - alarm_metrics,
            nat_gateways: both("AWS::EC2::NatGateway"),
            addresses: both("AWS::EC2::EIP"),
            access_log: number(accepted_line(template).len()),
            scaled: count(&provisioned, "AWS::ApplicationAutoScaling::ScalableTarget"),
            least_capacity: target["MinCapacity"].as_f64().unwrap(),
            capacity_used: policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"].as_f64().unwrap() / 100.0,
            template: template.clone(),
        }
    }

    /// Memory of a function, in GB.
    pub(super) fn memory(&self, function: &str) -> f64 {
        let own = &self.template["Resources"][function]["Properties"]["MemorySize"];
        let common = &self.template["Globals"]["Function"]["MemorySize"];
        own.as_f64().or(common.as_f64()).expect("a function has a size") / 1024.0
    }
}

/// The properties of the resources of a type.
fn of<'a>(template: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let resources = template["Resources"].as_object().unwrap().values();
    resources.filter(move |resource| resource["Type"] == kind).map(|resource| &resource["Properties"])
}

fn count(template: &Value, kind: &str) -> f64 {
    number(of(template, kind).count())
}

/// An alarm on an expression has a list of metrics, in which the expression itself is not one.
fn alarm_metrics(template: &Value) -> f64 {
    let metrics_of = |alarm: &Value| match alarm["Metrics"].as_array() {
        Some(metrics) => metrics.iter().filter(|metric| metric["MetricStat"].is_object()).count(),
        None => 1,
    };
    number(of(template, "AWS::CloudWatch::Alarm").map(metrics_of).sum())
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap())
}
