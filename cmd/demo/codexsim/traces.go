// What triagebot has to know of the App's logs.

package codexsim

import "strings"

// TracesConfig is the traces section of triagebot's configuration for the logs
// of an App whose LogDir is dir, absolute or as seen from the configuration.
func TracesConfig(dir string) string {
	return strings.ReplaceAll(`traces:
  logs:
    - name: access
      files: ["DIR/access.ndjson*"]
      links: [retry_of]
      fields: {duration: latency_ms, status: status, error: error, route: route, tool_call: tool_call, worker: worker, retry_of: retry_of}
    - name: proto
      files: ["DIR/proto.ndjson*"]
      fields: {event: method, direction: direction, seq: seq, text: text, error: error, worker: worker}
    - name: usage
      files: ["DIR/usage.ndjson*"]
      fields: {duration: latency_ms}
    - name: engine
      files: ["DIR/engine.ndjson*"]
      keys: []
      fields: {event: event, detail: detail, worker: worker}
    - name: changes
      files: ["DIR/changes.ndjson*"]
      keys: []
      fields: {event: what, detail: detail}
`, "DIR", dir)
}
