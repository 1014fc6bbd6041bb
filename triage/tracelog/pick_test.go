package tracelog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

var accessRoles = Roles{
	Time: "ts", Duration: "latency_ms", Status: "status", Error: "error",
	Route: "route", ToolCall: "tool_call",
}

func accessSource() *Source {
	return &Source{Name: "access", Keys: []string{"req_id", "trace_id"}, Roles: accessRoles}
}

var pickAt = time.Date(2026, 1, 2, 15, 0, 0, 0, time.UTC)

// pickLog is a log to pick from.
type pickLog struct {
	source *Source
	file   string
	text   string
}

// naivePick is what picking must equal: it parses every line, and sorts.
func naivePick(p Pick, logs ...pickLog) (candidates []Candidate, tooLong int) {
	type entry struct {
		Candidate
		failing bool
		file    string
		offset  int
	}
	var entries []entry
	for _, l := range logs {
		roles, offset := &l.source.Roles, 0
		for _, line := range strings.SplitAfter(l.text, "\n") {
			start := offset
			offset += len(line)
			line = strings.TrimSuffix(line, "\n")
			if len(line) > l.source.Cap() {
				tooLong++
				continue
			}
			dec := json.NewDecoder(strings.NewReader(strings.Trim(line, "\x00 \t\r\n")))
			dec.UseNumber()
			var fields map[string]any
			if dec.Decode(&fields) != nil || fields == nil {
				continue
			}
			if _, err := dec.Token(); !errors.Is(err, io.EOF) {
				continue
			}
			value := func(name string) any { v, _ := Field(fields, name); return v }
			var id string
			for _, key := range l.source.Keys {
				if v := text(value(key)); id == "" && len(v) <= 1024 {
					id = v
				}
			}
			if id == "" {
				continue
			}
			e := entry{file: l.file, offset: start}
			e.ID, e.Source, e.Route = id, l.source.Name, text(value(roles.Route))
			if p.Route != "" && p.Route != e.Route {
				continue
			}
			e.Time, _ = ParseTime(text(value(roles.Time)))
			if p.Within > 0 && (e.Time.IsZero() || e.Time.Before(p.At.Add(-p.Within))) || e.Time.After(p.At) {
				continue
			}
			latency, err := strconv.ParseFloat(text(value(roles.Duration)), 64)
			latency *= map[string]float64{"ns": 1, "us": 1e3, "": 1e6, "ms": 1e6, "s": 1e9}[roles.Unit]
			timed := err == nil && latency >= 0 && latency < 1<<63
			if timed {
				e.Duration = time.Duration(latency)
			}
			if status, err := strconv.ParseFloat(text(value(roles.Status)), 64); err == nil && status >= 100 && status < 1000 {
				e.Status = int(status)
			}
			says := func(v any) bool {
				data, _ := json.Marshal(v)
				said := strings.Trim(string(data), `"`)
				number, err := strconv.ParseFloat(said, 64)
				return !slices.Contains([]string{``, `null`, `false`, `{}`, `[]`}, said) && !(err == nil && number == 0)
			}
			if failure := value(roles.Error); says(failure) {
				e.Error, e.failing = errorText(failure), true // see TestAllReadersOfAValueAgree
			}
			e.Error, e.Route = kept(e.Error), kept(e.Route)
			e.failing = e.failing || e.Status >= 500
			if p.By == PickSlowest && timed || p.By == PickFailing && e.failing || p.By == PickToolCall && says(value(roles.ToolCall)) {
				entries = append(entries, e)
			}
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		first := 0
		switch {
		case p.By == PickSlowest:
			first = cmp.Compare(b.Duration, a.Duration)
		case p.By == PickToolCall && a.failing != b.failing:
			first = 1
			if a.failing {
				first = -1
			}
		}
		return cmp.Or(first, b.Time.Compare(a.Time), cmp.Compare(a.Source, b.Source), cmp.Compare(a.file, b.file), cmp.Compare(a.offset, b.offset))
	})
	for _, e := range entries {
		if len(candidates) < p.N && !slices.ContainsFunc(candidates, func(c Candidate) bool { return c.ID == e.ID }) {
			candidates = append(candidates, e.Candidate)
		}
	}
	return candidates, tooLong
}

// pickFrom picks from logs as files, and as streams that come in odd pieces.
func pickFrom(t testing.TB, p Pick, logs ...pickLog) (candidates []Candidate, tally pickTally) {
	t.Helper()
	files, streams := newPicker(p), newPicker(p)
	var streamed pickTally
	for _, l := range logs {
		got, err := files.file(t.Context(), pickInput{
			Source: l.source, File: l.file, At: strings.NewReader(l.text), Size: int64(len(l.text)),
		})
		if err != nil {
			t.Fatal(err)
		}
		tally.add(got)
		got, err = streams.file(t.Context(), pickInput{
			Source: l.source, File: l.file, Stream: iotest.HalfReader(strings.NewReader(l.text)),
		})
		if err != nil {
			t.Fatal(err)
		}
		streamed.add(got)
	}
	if diff := gocmp.Diff(files.picked(), streams.picked()); diff != "" {
		t.Errorf("a stream gives something else than the file (-file +stream):\n%s", diff)
	}
	if tally.Bytes != streamed.Bytes || tally.TooLong != streamed.TooLong {
		t.Errorf("a stream gives another tally: %+v, the file %+v", streamed, tally)
	}
	return files.picked(), tally
}

func checkPick(t testing.TB, p Pick, logs ...pickLog) {
	t.Helper()
	got, tally := pickFrom(t, p, logs...)
	want, tooLong := naivePick(p, logs...)
	if diff := gocmp.Diff(want, got, gocmp.Transformer("none", func(c []Candidate) []Candidate { return c[:len(c):len(c)] }),
		gocmp.FilterValues(func(a, b []Candidate) bool { return len(a) == 0 && len(b) == 0 }, gocmp.Ignore())); diff != "" {
		t.Fatalf("%+v\n(-parsing every line +got):\n%s", p, diff)
	}
	size := 0
	for _, l := range logs {
		size += len(l.text)
	}
	if tally.Bytes != int64(size) || tally.TooLong != tooLong || tally.Short {
		t.Fatalf("tally %+v; want %d bytes and %d lines too long", tally, size, tooLong)
	}
}

func TestWhatIsPickedAndInWhichOrder(t *testing.T) {
	log := strings.Join([]string{
		`{"ts":"2026-01-02T14:50:00Z","req_id":"quick","status":200,"latency_ms":12.5,"route":"/a"}`,
		`{"ts":"2026-01-02T14:51:00Z","req_id":"slow","status":200,"latency_ms":41200,"route":"/a"}`,
		`{"ts":"2026-01-02T14:52:00Z","req_id":"broken","status":502,"latency_ms":3,"route":"/b","error":"backend"}`,
		`{"ts":"2026-01-02T14:53:00Z","req_id":"tool","status":200,"latency_ms":7,"route":"/a","tool_call":true}`,
		`{"ts":"2026-01-02T14:54:00Z","req_id":"tool-broken","status":200,"latency_ms":8,"route":"/b","tool_call":"get_weather","error":{"code":7}}`,
		`{"ts":"2026-01-02T14:55:00Z","req_id":"tool-late","status":200,"latency_ms":9,"route":"/a","tool_call":true,"error":null}`,
		`{"ts":"2026-01-02T14:56:00Z","status":500,"latency_ms":99999,"tool_call":true}`,
		`{"ts":"2026-01-02T15:30:00Z","req_id":"future","status":500,"latency_ms":99999,"tool_call":true,"route":"/a"}`,
		`{"req_id":"timeless","status":500,"latency_ms":20000,"tool_call":true,"route":"/a"}`,
		`{"ts":"2026-01-02T14:57:00Z","req_id":"slow","status":200,"latency_ms":1,"route":"/a"}`,
		`{"ts":"2026-01-02T14:58:00Z","req_id":"torn","status":503,"latency_ms":999`,
	}, "\n")
	tests := []struct {
		name string
		pick Pick
		want string
	}{
		{"slowest, the longest first, an id once", Pick{By: PickSlowest, N: 4}, "slow timeless quick tool-late"},
		{"slowest in a window", Pick{By: PickSlowest, N: 3, Within: 9 * time.Minute}, "slow tool-late tool-broken"},
		{"slowest of a route", Pick{By: PickSlowest, N: 2, Route: "/b"}, "tool-broken broken"},
		{"failing, the latest first", Pick{By: PickFailing, N: 9}, "tool-broken broken timeless"},
		{"failing within a window has no line without a time", Pick{By: PickFailing, N: 9, Within: time.Hour}, "tool-broken broken"},
		{"tool calls, failing ones first", Pick{By: PickToolCall, N: 9, Within: time.Hour}, "tool-broken tool-late tool"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.pick.At = pickAt
			got, tally := pickFrom(t, test.pick, pickLog{accessSource(), "access.ndjson", log})
			var ids []string
			for _, c := range got {
				ids = append(ids, c.ID)
			}
			if strings.Join(ids, " ") != test.want {
				t.Errorf("got %v, want %s", ids, test.want)
			}
			if tally.Bytes != int64(len(log)) || tally.Short || tally.TooLong != 0 {
				t.Errorf("tally %+v", tally)
			}
			checkPick(t, test.pick, pickLog{accessSource(), "access.ndjson", log})
		})
	}
	got, _ := pickFrom(t, Pick{By: PickFailing, At: pickAt, N: 1}, pickLog{accessSource(), "access.ndjson", log})
	want := []Candidate{{
		ID: "tool-broken", Source: "access", Time: pickAt.Add(-6 * time.Minute), Duration: 8 * time.Millisecond,
		Status: 200, Error: `{"code":7}`, Route: "/b",
	}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the candidate (-want +got):\n%s", diff)
	}
}

// Each line below would be picked wrongly by looking for keys alone.
func TestLinesThatMustBeParsedArePicked(t *testing.T) {
	usual := `{"ts":"2026-01-02T14:00:00Z","req_id":"usual","status":200,"latency_ms":50,"route":"/a"}`
	for name, line := range map[string]string{
		"spaces":                     `{ "ts" : "2026-01-02T14:50:00Z" , "req_id" : "x" , "status" :  500, "latency_ms" :	9000 , "route" : "/a" }`,
		"escapes in keys":            `{"t\u0073":"2026-01-02T14:50:00Z","req\u005fid":"x","\u0073tatus":500,"latency\u005fms":9000,"\u0072oute":"/a"}`,
		"escapes in values":          `{"ts":"2026-01-02T14:50:00\u005a","req_id":"\u0078","status":"5\u00300","latency_ms":"9\u003000","route":"\/a"}`,
		"an escape in the error key": `{"ts":"2026-01-02T14:50:00Z","req_id":"x","latency_ms":1,"\u0065rror":"boom","route":"/a"}`,
		"duplicate keys, last slow":  `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":200,"latency_ms":1,"latency_ms":9000,"status":500,"route":"/b","route":"/a"}`,
		"duplicate keys, last quick": `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"latency_ms":9000,"latency_ms":1,"status":200,"route":"/a"}`,
		"duplicate times":            `{"ts":"2027-01-02T14:50:00Z","ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"latency_ms":9000,"route":"/a"}`,
		"nested, not the field":      `{"ts":"2026-01-02T14:50:00Z","req_id":"x","inner":{"latency_ms":9000,"status":500,"error":"e"},"route":"/a"}`,
		"a nested time only":         `{"inner":{"ts":"2027-01-02T14:50:00Z"},"req_id":"x","status":500,"latency_ms":9000,"route":"/a"}`,
		"in a message":               `{"ts":"2026-01-02T14:50:00Z","req_id":"x","msg":"\"latency_ms\":9000,\"status\":500","route":"/a"}`,
		"numbers as strings":         `{"ts":"1767365400","req_id":"x","status":"503","latency_ms":"9000.5","route":"/a"}`,
		"an exponent":                `{"ts":1767365400.5,"req_id":"x","status":5.03e2,"latency_ms":1.5e4,"route":"/a"}`,
		"a hexadecimal string":       `{"ts":1767365400,"req_id":"x","status":"0x1f7","latency_ms":"0x1p14","route":"/a"}`,
		"nines that round up":        `{"ts":1767365400,"req_id":"x","status":499.99999999999999999,"latency_ms":49.99999999999999999999,"route":"/a"}`,
		"too long a number":          `{"ts":1767365400,"req_id":"x","status":500,"latency_ms":00000000000000000000000000009000}`,
		"many digits":                `{"ts":1767365400,"req_id":"x","status":500,"latency_ms":900000000000.000000000000000000,"route":"/a"}`,
		"negative":                   `{"ts":1767365400,"req_id":"x","status":-500,"latency_ms":-9000,"route":"/a"}`,
		"no number":                  `{"ts":"yesterday","req_id":"x","status":"bad","latency_ms":"inf","error":"false","route":"/a"}`,
		"longer than 292 years":      `{"ts":1767365400,"req_id":"x","status":1e300,"latency_ms":1e300,"error":0,"route":"/a"}`,
		"CRLF":                       `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"route":"/a","latency_ms":9000}` + "\r",
		"NUL around":                 "\x00\x00" + `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"latency_ms":9000,"route":"/a"}` + "\x00",
		"no time":                    `{"req_id":"x","status":500,"latency_ms":9000,"route":"/a"}`,
		"an id as a number":          `{"ts":"2026-01-02T14:50:00Z","req_id":17,"status":500,"latency_ms":9000,"route":"/a"}`,
		"the second key":             `{"ts":"2026-01-02T14:50:00Z","req_id":null,"trace_id":"y","status":500,"latency_ms":9000,"route":"/a"}`,
		"an id too long":             `{"ts":"2026-01-02T14:50:00Z","req_id":"` + strings.Repeat("x", 1025) + `","status":500,"latency_ms":9000,"route":"/a"}`,
		"a long error":               `{"ts":"2026-01-02T14:50:00Z","req_id":"x","error":"` + strings.Repeat("ü", 1000) + `","latency_ms":9000,"route":"/a"}`,
		"two objects":                `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"latency_ms":9000,"route":"/a"}{}`,
		"a brace too many":           `{"ts":"2026-01-02T14:50:00Z","req_id":"x","status":500,"latency_ms":9000,"route":"/a"}}`,
		"no JSON":                    `"req_id":"x","status":500,"latency_ms":9000`,
		"a list":                     `[{"req_id":"x","status":500,"latency_ms":9000}]`,
		"null":                       `null`,
		"blank":                      " \t\r",
	} {
		t.Run(name, func(t *testing.T) {
			everyPick(func(p Pick) {
				checkPick(t, p, pickLog{accessSource(), "access.ndjson", usual + "\n" + line + "\n" + usual + "\n"})
				checkPick(t, p, pickLog{accessSource(), "access.ndjson", line})
			})
		})
	}
}

// everyPick asks in all ways that take different paths.
func everyPick(do func(Pick)) {
	for _, by := range []PickBy{PickSlowest, PickFailing, PickToolCall} {
		for _, route := range []string{"", "/a", "/ü\""} {
			for _, within := range []time.Duration{0, time.Hour} {
				for _, n := range []int{1, 4} {
					do(Pick{By: by, Route: route, At: pickAt, Within: within, N: n})
				}
			}
		}
	}
}

// Names that are written in other ways than they are searched for.
func TestNamesOfFieldsThatAreNotPlain(t *testing.T) {
	tests := []struct {
		name  string
		roles Roles
		lines string
	}{
		{
			"nested",
			Roles{Time: "at.ts", Duration: "http.latency", Status: "http.response.status", Error: "e.x", Route: "http.route", ToolCall: "t.c", Unit: "s"},
			`{"at":{"ts":1767365400},"req_id":"a","http":{"latency":3,"response":{"status":502},"route":"/a"},"t":{"c":1}}
{"at.ts":1767365400,"req_id":"b","http":{"latency":5,"response.status":502,"route":"/a"},"e.x":"boom"}
{"at.ts":1767365400,"req_id":"c","http.latency":4,"http.response.status":502,"http":{"latency":9},"latency":99}
{"at.ts":1767365400,"req_id":"d","http.latency":"x","http":{"latency":9,"response":{"status":[]}},"e":"x"}
`,
		},
		{
			"with a slash, a quote and umlauts",
			Roles{Time: "zeit/ü", Duration: `lat"ency`, Status: "http/status", Error: "é", Route: "r/r", ToolCall: "ä"},
			`{"zeit\/ü":1767365400,"req_id":"a","lat\"ency":3,"http\/status":502,"r\/r":"\/a","ä":true}
{"zeit\/\u00fc":1767365400,"req_id":"b","lat\u0022ency":5,"http/status":503,"r/r":"/a","\u00e4":true,"\u00e9":1}
`,
		},
		{
			"ending with a dot",
			Roles{Time: "ts.", Duration: "d.", Status: "s.", ToolCall: ".t", Unit: "us"},
			`{"ts.":1767365400,"req_id":"a","d.":3,"s.":502,".t":{"x":1}}` + "\n" + `{"ts":{"":1767365400},"req_id":"b","d":{"":5},"s":{"":502},"":{"t":"y"}}`,
		},
		{
			"one field for two roles",
			Roles{Time: "ts", Duration: "n", Status: "n", Error: "n", ToolCall: "n", Unit: "ns"},
			`{"ts":1767365400,"req_id":"a","n":3}` + "\n" + `{"ts":1767365401,"req_id":"b","n":503}` + "\n" + `{"ts":1767365402,"req_id":"c","n":0}`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source := &Source{Name: "odd", Keys: []string{"req_id"}, Roles: test.roles}
			everyPick(func(p Pick) {
				if err := newPicker(p).canPick(source); err == nil {
					checkPick(t, p, pickLog{source, "odd.ndjson", strings.Repeat(test.lines, 3)})
				}
			})
		})
	}
}

func TestCannotPickWhatHasNoField(t *testing.T) {
	source := &Source{Name: "engine", Keys: []string{"req_id"}, Roles: Roles{Duration: "ms"}}
	for _, p := range []Pick{
		{By: PickFailing},
		{By: PickToolCall},
		{By: PickSlowest, Route: "/a"},
		{By: PickSlowest, Within: time.Minute},
	} {
		if err := newPicker(p).canPick(source); !errors.Is(err, ErrCannotPick) || !strings.Contains(err.Error(), "engine") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if err := newPicker(Pick{By: PickSlowest}).canPick(&Source{Name: "keyless", Roles: Roles{Duration: "ms"}}); !errors.Is(err, ErrCannotPick) {
		t.Errorf("without keys: %v", err)
	}
	if err := newPicker(Pick{By: PickSlowest}).canPick(source); err != nil {
		t.Error(err)
	}
}

// randomLine writes a line with every pitfall now and then.
func randomLine(r *rand.Rand, at time.Time) string {
	one := func(values ...string) string { return values[r.IntN(len(values))] }
	key := func(name string) string {
		switch r.IntN(60) {
		case 0:
			i := r.IntN(len(name))
			return fmt.Sprintf(`"%s\u%04x%s"`, name[:i], name[i], name[i+1:])
		case 1:
			return `"` + name + `" `
		default:
			return `"` + name + `"`
		}
	}
	var ts string
	switch r.IntN(20) {
	case 0:
		ts = strconv.FormatInt(at.UnixMilli(), 10)
	case 1:
		ts = `"` + at.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano) + `"`
	case 2:
		ts = one(`null`, `""`, `"soon"`, `[]`, `"2026-01-02T14:59:5\u0039Z"`)
	default:
		ts = `"` + at.Format("2006-01-02T15:04:05.000Z") + `"`
	}
	latency := strconv.FormatFloat(r.ExpFloat64()*300, 'f', r.IntN(4), 64)
	switch r.IntN(30) {
	case 0:
		latency = `"` + latency + `"`
	case 1:
		latency = one(`1e3`, `"1E4"`, `null`, `-1`, `true`, `"slow"`, `"12\u0030"`, `30000`, `30000`, `30000.5`, `{"ms":1}`)
	}
	fields := []string{
		key("ts") + ":" + ts,
		key("req_id") + ":" + one(`"req_`+strconv.Itoa(r.IntN(5000))+`"`, `"req_`+strconv.Itoa(r.IntN(5000))+`"`, strconv.Itoa(r.IntN(50))),
		key("status") + ":" + one(`200`, `200`, `200`, `200`, `200`, `404`, `499`, `499.5`, `500`, `"503"`, `null`, ` 502`),
		key("latency_ms") + ":" + latency,
		key("route") + ":" + one(`"/a"`, `"\/a"`, `"/b"`, `"/\u0061"`, `"/ü\""`),
		`"msg":` + one(`"ok"`, `"a \"latency_ms\":99999, \"status\":500"`, `"\u003cb\u003e"`, `"\\"`, `"\u0073"`),
	}
	for range r.IntN(3) {
		fields = append(fields, one(
			key("error")+`:"boom"`, key("error")+`:""`, key("error")+`:null`, key("tool_call")+`:true`, key("tool_call")+`:false`,
			`"inner":{"ts":"2030-01-01T00:00:00Z","latency_ms":88888,"status":500,"error":"x","tool_call":true}`,
			key("latency_ms")+`:5`, key("status")+`:200`, key("ts")+`:"2026-01-02T14:30:00Z"`, `"trace_id":"t1"`,
			`"pad":"`+strings.Repeat("x", r.IntN(400))+`"`,
		))
	}
	if r.IntN(10) == 0 {
		r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	if r.IntN(50) == 0 {
		fields = slices.Delete(fields, 1, 2)
	}
	line := "{" + strings.Join(fields, ",") + "}" + one("", "", "", "\r")
	switch r.IntN(100) {
	case 0:
		line = line[:r.IntN(len(line))]
	case 1:
		line += line
	case 2:
		line = ""
	case 3:
		line = strings.Repeat(line, 20) // over some caps
	}
	return line + "\n"
}

func randomLog(r *rand.Rand, lines int) string {
	var b strings.Builder
	for i := range lines {
		at := pickAt.Add(time.Duration(i-lines)*time.Second + time.Duration(r.IntN(20))*time.Second)
		b.WriteString(randomLine(r, at))
	}
	if r.IntN(2) == 0 {
		return strings.TrimSuffix(b.String(), "\n")
	}
	return b.String()
}

func TestPickIsWhatParsingEveryLineGives(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 1))
		logs := make([]pickLog, 3)
		for i := range logs {
			source := accessSource()
			source.Name = []string{"access", "proto"}[i%2]
			source.MaxLine = []int{0, 700, 300}[r.IntN(3)]
			logs[i] = pickLog{source, fmt.Sprintf("log.%d", i), randomLog(r, 50+r.IntN(800))}
		}
		everyPick(func(p Pick) {
			p.N = 1 + r.IntN(MaxPick)
			checkPick(t, p, logs...)
		})
	}
}

// A line may start, end and be over the cap anywhere around a piece's edge.
func TestLinesAcrossTheEdgesOfPieces(t *testing.T) {
	const slow = `{"req_id":"slow","latency_ms":777}` + "\n"
	for _, limit := range []int{0, pieceSize / 2, 3 * pieceSize} {
		source := accessSource()
		source.MaxLine = limit
		p := Pick{By: PickSlowest, At: pickAt, N: 3}
		pad := func(n int) string {
			return `{"req_id":"pad` + strconv.Itoa(n) + `","x":"` + strings.Repeat("y", n) + "\"}\n"
		}
		for shift := -len(slow) - 2; shift <= 2; shift++ {
			at := pieceSize + shift
			before := pad(at - len(pad(100000)) + 100000)
			checkPick(t, p, pickLog{source, "f", before[len(before)-at:] + slow + pad(10)})
			checkPick(t, p, pickLog{source, "f", before + slow[:len(slow)-1]})

			// The pieces of a file are cut from its end.
			after := pad(pieceSize)
			after = after[len(after)-pieceSize-shift:]
			checkPick(t, p, pickLog{source, "f", pad(10) + slow + after})
			checkPick(t, p, pickLog{source, "f", pad(10) + slow + after[:len(after)-1]})
			checkPick(t, p, pickLog{source, "f", slow + pad(pieceSize+shift) + slow})
		}
		for shift := -2; shift <= 2; shift++ { // a line too long, perhaps, that starts at an edge
			long := pad(pieceSize * 3 / 4)
			checkPick(t, p, pickLog{source, "f", slow + long + strings.Repeat("\n", pieceSize+shift-len(long))})
		}
		for _, long := range []int{pieceSize - 100, pieceSize + beyondPiece, 2*pieceSize + 17, 3 * pieceSize, 5 * pieceSize} {
			body := `{"req_id":"long","latency_ms":999,"x":"` + strings.Repeat("z", long) + `"}`
			checkPick(t, p, pickLog{source, "f", slow + body + "\n" + slow})
			checkPick(t, p, pickLog{source, "f", slow + body})
			checkPick(t, p, pickLog{source, "f", body + "\n" + slow + body + "\n"})
		}
	}
}

func TestALineAsLongAsTheCapIsRead(t *testing.T) {
	line := `{"req_id":"x","latency_ms":1}`
	for limit, want := range map[int]int{len(line): 1, len(line) - 1: 0} {
		source := accessSource()
		source.MaxLine = limit
		p := Pick{By: PickSlowest, At: pickAt, N: 5}
		got, tally := pickFrom(t, p, pickLog{source, "f", "{}\n" + line + "\n{}"})
		if len(got) != want || tally.TooLong != 1-want {
			t.Errorf("cap %d for a line of %d: %d picked, %+v", limit, len(line), len(got), tally)
		}
	}
}

// An index names blocks; lines belong to the block that they start in.
func TestRangesTogetherGiveWhatTheWholeFileGives(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	text := randomLog(r, 1500)
	source := accessSource()
	everyPick(func(p Pick) {
		var ranges []pickRange
		for off := 0; off < len(text); {
			n := 1 + r.IntN(100_000)
			ranges = append(ranges, pickRange{Off: int64(off), Len: int64(n)}) // the last one reaches beyond the end
			off += n
		}
		r.Shuffle(len(ranges), func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
		picker := newPicker(p)
		tally, err := picker.file(t.Context(), pickInput{Source: source, File: "f", At: strings.NewReader(text), Size: int64(len(text)), Ranges: ranges})
		if err != nil || tally.Bytes != int64(len(text)) {
			t.Fatalf("%+v, %v", tally, err)
		}
		want, _ := naivePick(p, pickLog{source, "f", text})
		if diff := gocmp.Diff(want, picker.picked()); len(want) > 0 && diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", p, diff)
		}
	})
}

func TestRangesThatHaveNothingBetterAreNotRead(t *testing.T) {
	best := `{"ts":1767365400,"req_id":"best","latency_ms":900,"status":500}` + "\n"
	rest := `{"ts":1767365300,"req_id":"rest","latency_ms":800,"status":500}` + "\n"
	file := &countingReaderAt{r: strings.NewReader(best + rest)}
	for _, p := range []Pick{{By: PickSlowest, At: pickAt, N: 1}, {By: PickFailing, At: pickAt, N: 1}} {
		file.reads = nil
		picker := newPicker(p)
		in := pickInput{Source: accessSource(), File: "f", At: file, Size: int64(len(best + rest)), Ranges: []pickRange{
			{Off: 0, Len: int64(len(best)), Slowest: 900 * time.Millisecond, Latest: time.Unix(1767365400, 0)},
		}}
		rest := pickRange{Off: int64(len(best)), Len: int64(len(rest)), Slowest: 800 * time.Millisecond, Latest: time.Unix(1767365300, 0)}
		tally, err := picker.file(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		in.Ranges = []pickRange{rest}
		left, err := picker.file(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if tally.add(left); tally.Bytes != in.Size || len(file.reads) != 1 || len(picker.picked()) != 1 || picker.picked()[0].ID != "best" {
			t.Errorf("%s: tally %+v, reads at %v, picked %+v", p.By, tally, file.reads, picker.picked())
		}
	}
}

type countingReaderAt struct {
	r     io.ReaderAt
	reads []int64
}

func (c *countingReaderAt) ReadAt(b []byte, off int64) (int, error) {
	c.reads = append(c.reads, off)
	return c.r.ReadAt(b, off)
}

func TestAFileThatShrankMeanwhileIsSaidToBeShort(t *testing.T) {
	text := `{"req_id":"x","latency_ms":1}` + "\n"
	picker := newPicker(Pick{By: PickSlowest, At: pickAt, N: 1})
	tally, err := picker.file(t.Context(), pickInput{Source: accessSource(), File: "f", At: strings.NewReader(text), Size: 3 * pieceSize})
	if err != nil || !tally.Short || tally.Bytes != int64(len(text)) || len(picker.picked()) != 1 {
		t.Errorf("%+v, %v, %v", tally, err, picker.picked())
	}
}

func TestWhatWasReadBeforeAnErrorIsPicked(t *testing.T) {
	text := `{"req_id":"x","latency_ms":1}` + "\n"
	broken := errors.New("checksum mismatch")
	picker := newPicker(Pick{By: PickSlowest, At: pickAt, N: 1})
	tally, err := picker.file(t.Context(), pickInput{
		Source: accessSource(), File: "f.zst", Stream: io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)),
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "f.zst") || tally.Bytes != int64(len(text)) || len(picker.picked()) != 1 {
		t.Errorf("stream: %+v, %v, %v", tally, err, picker.picked())
	}
	_, err = picker.file(t.Context(), pickInput{Source: accessSource(), File: "f", At: brokenReaderAt{broken}, Size: 10})
	if !errors.Is(err, broken) {
		t.Errorf("file: %v", err)
	}
}

type brokenReaderAt struct{ err error }

func (b brokenReaderAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestPickingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	picker := newPicker(Pick{By: PickSlowest, At: pickAt, N: 1})
	for _, in := range []pickInput{{At: strings.NewReader("{}"), Size: 2}, {Stream: strings.NewReader("{}")}} {
		in.Source = accessSource()
		if _, err := picker.file(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

// A hostile line repeats the key; parsing it for each would take minutes.
func TestALineOfManyHitsIsParsedOnce(t *testing.T) {
	line := `{"req_id":"x"` + strings.Repeat(`,"latency_ms":9e9`, 40_000) + "}\n"
	checkPick(t, Pick{By: PickSlowest, At: pickAt, N: 5}, pickLog{accessSource(), "f", line + line})
}

func FuzzPick(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 20 {
		f.Add([]byte(randomLine(r, pickAt)+randomLine(r, pickAt)), uint8(r.UintN(256)), uint8(40))
	}
	f.Add([]byte("{\"req_id\":1,\"latency_ms\":\"1e5\"}\n{\"req_id\":2,\"latenc\\u0079_ms\":12345}\r\n\x00"), uint8(3), uint8(255))
	f.Fuzz(func(t *testing.T, text []byte, how, limit uint8) {
		source := accessSource()
		source.MaxLine = int(limit) * 4
		// Filler first, so that there is something to beat.
		filled := bytes.Repeat([]byte("{\"ts\":1767365300,\"req_id\":7,\"latency_ms\":50,\"status\":500,\"tool_call\":1}\n"), int(how>>6))
		p := Pick{
			By: []PickBy{PickSlowest, PickFailing, PickToolCall}[how%3], At: pickAt, N: 1 + int(how>>2&3),
			Within: []time.Duration{0, time.Hour}[how>>4&1], Route: []string{"", "/a"}[how>>5&1],
		}
		checkPick(t, p, pickLog{source, "f", string(filled) + string(text)})
	})
}
