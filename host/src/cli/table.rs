//! Endpoints as a table, for people.

use serde::Deserialize;

const HEADINGS: [&str; 9] = [
    "CLUSTER",
    "ENDPOINT",
    "STATE",
    "WEIGHT",
    "REQUESTS",
    "MAX",
    "QUEUE",
    "CONNECTIONS",
    "REASON",
];
/// Columns that are numbers, at the right edge of their column.
const NUMBERS: std::ops::RangeInclusive<usize> = 3..=7;

/// As the admin API reports it; what it has besides is of no interest here.
#[derive(Debug, Deserialize)]
pub(super) struct ClusterRow {
    cluster: String,
    queue: u64,
    panic: bool,
    endpoints: Vec<EndpointRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EndpointRow {
    endpoint: String,
    state: String,
    reason: Option<String>,
    weight: u64,
    requests: u64,
    requests_max: Option<u64>,
    queue: u64,
    connections: u64,
}

/// The table, and below it what concerns whole clusters.
pub(super) fn table(clusters: &[ClusterRow]) -> String {
    let rows = clusters.iter().flat_map(|cluster| {
        let endpoints = cluster.endpoints.iter();
        endpoints.map(|endpoint| endpoint.cells(&cluster.cluster))
    });
    let headings = HEADINGS.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(headings).chain(rows).collect();
    let notes = clusters.iter().map(ClusterRow::notes);
    aligned(&rows) + &notes.collect::<String>()
}

impl ClusterRow {
    fn notes(&self) -> String {
        let name = printable(&self.cluster);
        let mut notes = String::new();
        if self.endpoints.is_empty() {
            notes += &format!("{name}: no endpoint\n");
        }
        if self.queue > 0 {
            notes += &format!("{name}: {} in the queue for any endpoint\n", self.queue);
        }
        if self.panic {
            notes += &format!("{name}: health is ignored, since too few endpoints are healthy\n");
        }
        notes
    }
}

impl EndpointRow {
    /// One line about the endpoint after a change.
    pub(super) fn line(&self, cluster: &str) -> String {
        let count = match self.requests {
            1 => "1 request".to_owned(),
            count => format!("{count} requests"),
        };
        let line = format!(
            "{cluster}/{}: {}, weight {}, {count}",
            self.endpoint, self.state, self.weight
        );
        format!("{}\n", printable(&line))
    }

    fn cells(&self, cluster: &str) -> [String; 9] {
        let max = self.requests_max.map(|max| max.to_string());
        [
            printable(cluster),
            printable(&self.endpoint),
            printable(&self.state),
            self.weight.to_string(),
            self.requests.to_string(),
            max.unwrap_or_else(|| "-".to_owned()),
            self.queue.to_string(),
            self.connections.to_string(),
            printable(self.reason.as_deref().unwrap_or("-")),
        ]
    }
}

/// `text` without what a terminal would obey: a reason can hold what an endpoint answered.
pub(super) fn printable(text: &str) -> String {
    let printable = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    text.chars().map(printable).collect()
}

fn aligned(rows: &[[String; 9]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: [usize; 9] = std::array::from_fn(width);
    let line = |row: &[String; 9]| {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match NUMBERS.contains(&column) {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows(value: serde_json::Value) -> Vec<ClusterRow> {
        serde_json::from_value(value).expect("it is a report")
    }

    #[test]
    fn columns_stand_below_each_other() {
        let clusters = rows(json!([
            { "cluster": "api", "queue": 2, "panic": true, "endpoints": [
                { "endpoint": "127.0.0.1:9001", "state": "up", "reason": null, "weight": 1, "requests": 12, "requests-max": 100, "queue": 0,
                  "connections": 14 },
                { "endpoint": "b:1", "state": "maintenance", "reason": "admin\n\u{1b}[31m", "weight": 256, "requests": 0, "requests-max": null,
                  "queue": 3, "connections": 0 },
            ] },
            { "cluster": "empty", "queue": 0, "panic": false, "endpoints": [] },
        ]));
        let expected = "\
CLUSTER  ENDPOINT        STATE        WEIGHT  REQUESTS  MAX  QUEUE  CONNECTIONS  REASON
api      127.0.0.1:9001  up                1        12  100      0           14  -
api      b:1             maintenance     256         0    -      3            0  admin\u{fffd}\u{fffd}[31m
api: 2 in the queue for any endpoint
api: health is ignored, since too few endpoints are healthy
empty: no endpoint
";
        assert_eq!(table(&clusters), expected);
    }

    #[test]
    fn a_change_is_told_in_a_line() {
        let mut clusters = rows(
            json!([{ "cluster": "api", "queue": 0, "panic": false, "endpoints": [
            { "endpoint": "a:1", "state": "draining", "reason": null, "weight": 5, "requests": 3, "requests-max": null, "queue": 0,
              "connections": 3, "history": [] },
        ] }]),
        );
        let endpoint = &mut clusters[0].endpoints[0];
        assert_eq!(
            endpoint.line("api"),
            "api/a:1: draining, weight 5, 3 requests\n"
        );
        endpoint.requests = 1;
        assert_eq!(
            endpoint.line("api"),
            "api/a:1: draining, weight 5, 1 request\n"
        );
    }
}
