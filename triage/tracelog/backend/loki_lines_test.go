package backend

import (
	"encoding/json"
	"fmt"
	"time"
)

// noon is the time of the tests; the lines are of the hours before.
var noon = time.Date(2025, time.June, 1, 12, 0, 0, 0, time.UTC)

// began is when the first line was written.
var began = noon.Add(-time.Hour)

// logLine is a line of a log, as the tests' Loki keeps it.
type logLine struct {
	file string
	at   time.Time
	text string
}

// hostileIDs are ids that try to get out of a query, or that encoders escape.
func hostileIDs() []string {
	return []string{
		`"} |= "`,
		`" or triagebot_0!="`,
		`\`,
		`\"`,
		"`",
		"back`tick` | line_format `x",
		"two\nlines",
		"{{.x}}",
		"}",
		`a/b`,
		"<&>",
		"naïve-日本-🦜",
		"nul\x00inside",
		"'single'",
		"#comment",
		"%27%22",
		"   ",
	}
}

// lokiLines are what the tests' Loki keeps.
func lokiLines() []logLine {
	var lines []logLine
	add := func(file string, after time.Duration, format string, args ...any) {
		lines = append(lines, logLine{file, began.Add(after), fmt.Sprintf(format, args...)})
	}
	stamp := func(after time.Duration) string { return began.Add(after).Format(time.RFC3339Nano) }

	// One request, and what may be taken for it.
	add("proto", 1*time.Second, `{"ts":%q,"req_id":"req_1","direction":"send","method":"turn/start"}`, stamp(time.Second))
	add("proto", 40*time.Second, `{"ts":%q,"req_id" : "req_1","direction":"recv","method":"chunk","seq":1}`, stamp(40*time.Second))
	add("proto", 41*time.Second, `{"ts":%q,"ctx":{"req_id":"req_1"},"direction":"recv","method":"chunk","seq":2}`, stamp(41*time.Second))
	add("usage", 42*time.Second, `{"ctx.req_id":"req_1","tokens":17}`)
	add("usage", 43*time.Second, `{"req_id":"other","req_id":"req_1","note":"the last of two counts"}`)
	add("access", 44*time.Second, `{"ts":%q,"req_id":"req_1","route":"/v1/chat/completions","latency_ms":41200,"status":502,"error":"backend gone","labels":"its own"}`, stamp(44*time.Second))
	add("access", 45*time.Second, `{"ts":%q,"req_id":"req_2","retry_of":"req_1","route":"/v1/chat/completions","latency_ms":800,"status":200,"tool_call":true}`, stamp(45*time.Second))
	add("access", 46*time.Second, `{"ts":%q,"req_id":"req_10","route":"/v1/chat/completions","latency_ms":30,"status":200}`, stamp(46*time.Second))
	add("access", 47*time.Second, `{"ts":%q,"req_id":"req_3","msg":"after req_1","latency_ms":20,"status":200}`, stamp(47*time.Second))
	add("proto", 48*time.Second, `{"req_id":"req_1","msg":"torn`)
	add("proto", 49*time.Second, `req_1 in plain words`)
	add("proto", 50*time.Second, `{"list":["req_1"],"deep":{"req_id":"req_1"}}`)
	add("access", 51*time.Second, `{"ts":%q,"req_id":12345,"latency_ms":"1500","status":"200"}`, stamp(51*time.Second))

	// Ids that must be escaped.
	for i, id := range hostileIDs() {
		text, err := json.Marshal(id)
		if err != nil {
			panic(err)
		}
		add("hostile", time.Minute+time.Duration(i)*time.Second, `{"req_id":%s,"n":%d}`, text, i)
	}
	add("hostile", 2*time.Minute, `{"req_id":"a\/b","n":100}`)

	// Many lines of one request, seven of them at one instant.
	for i := range 25 {
		after := 5*time.Minute + time.Duration(i)*time.Millisecond
		if i >= 10 && i < 17 {
			after = 5*time.Minute + 10*time.Millisecond
		}
		add("proto", after, `{"req_id":"req_paged","seq":%d}`, i)
	}

	// Requests to pick from.
	for i := range 30 {
		status, why, tool := 200, "", "false"
		switch i % 10 {
		case 3:
			status = 503
		case 4:
			why = `"error":"stream cut",`
		case 5:
			tool = "true"
		}
		after := 10*time.Minute + time.Duration(i)*time.Second
		add("access", after, `{"ts":%q,"req_id":"pick_%02d","route":"/v1/models",%s"tool_call":%s,"latency_ms":%d,"status":%d}`,
			stamp(after), i, why, tool, 100+i*i*7, status)
	}
	add("access", 11*time.Minute, `{"req_id":"not_a_number","latency_ms":"long","status":"bad"}`)
	return lines
}
