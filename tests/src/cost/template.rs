//! What template.yaml makes that is charged by the hour or by the piece.

use serde_json::Value;

use crate::template::deployed;

pub(super) struct Stack {
    /// Metrics that alarms look at: CloudWatch charges for each.
    pub(super) alarm_metrics: u32,
    pub(super) dashboards: u32,
    pub(super) nat_gateways: u32,
    /// Public addresses: one hour of each is charged.
    pub(super) addresses: u32,
    pub(super) functions: u32,
    /// Memory of a function, in GB.
    pub(super) memory: f64,
}

impl Stack {
    pub(super) fn read() -> Self {
        let template = deployed(&[("Egress", "vpc")]);
        let resources = template["Resources"].as_object().unwrap();
        let of = |kind: &'static str| resources.values().filter(move |resource| resource["Type"] == kind);
        let count = |kind| u32::try_from(of(kind).count()).unwrap();
        // An alarm over an expression has a list of metrics, in which the expression itself is none.
        let metrics_of = |alarm: &Value| match alarm["Properties"]["Metrics"].as_array() {
            Some(metrics) => metrics.iter().filter(|metric| metric["MetricStat"].is_object()).count(),
            None => 1,
        };
        let alarm_metrics: usize = of("AWS::CloudWatch::Alarm").map(metrics_of).sum();
        let megabytes = template["Globals"]["Function"]["MemorySize"].as_f64().unwrap();
        Self {
            alarm_metrics: u32::try_from(alarm_metrics).unwrap(),
            dashboards: count("AWS::CloudWatch::Dashboard"),
            nat_gateways: count("AWS::EC2::NatGateway"),
            addresses: count("AWS::EC2::EIP"),
            functions: count("AWS::Serverless::Function"),
            memory: megabytes / 1024.0,
        }
    }
}
