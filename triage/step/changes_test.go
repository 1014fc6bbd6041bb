package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage"
	"triagebot/triage/grafana"
	"triagebot/triage/playbook"
	"triagebot/triage/promapi"
	"triagebot/triage/promapi/promtest"
	"triagebot/triage/tracelog"
)

// onset is when the tests' series end and the alert fires: two hours after 1970.
var onset = time.Unix(2*3600, 0).UTC()

// changesOf runs a changes step at the onset.
func changesOf(t *testing.T, d Deps, kind string) (string, *playbook.Outcome, error) {
	t.Helper()
	s := mustLoad(t, d, kind)
	e := newExecution(nil)
	e.env.At, e.env.Data.Alert.StartsAt = onset.Add(3*time.Minute), onset
	out, err := e.run(t.Context(), s)
	if err != nil {
		return "", nil, err
	}
	return told(t, s, e, out), out, nil
}

const (
	deploys = "changes: {series: [{expr: app_build_info, labels: [version, revision], what: deploy}]}\nabnormal: count > 0"
	flags   = "changes: {series: [{expr: app_flag, labels: [flag], what: flag, value: true}]}\nabnormal: count > 0"
)

func TestWhatSeriesTellOfChanges(t *testing.T) {
	// One point a minute for two hours and three minutes; the onset is the 120th.
	for _, tt := range []struct{ name, kind, series, want string }{
		{
			"a deploy", deploys, `
  app_build_info{version="0.9.4",revision="aa",instance="a"} 1x117 stale
  app_build_info{version="0.9.5",revision="bb",instance="a"} _x118 1x10`,
			`abnormal: A deploy 2m before the onset (02:00:00 UTC): version 0.9.4 → 0.9.5, revision aa → bb (app_build_info).
  deploy: version 0.9.4 → 0.9.5, revision aa → bb (app_build_info) | 2m before
`,
		},
		{
			"a deploy over three instances is one", deploys, `
  app_build_info{version="1",instance="a"} 1x99 stale
  app_build_info{version="2",instance="a"} _x100 1x30
  app_build_info{version="1",instance="b"} 1x101 stale
  app_build_info{version="2",instance="b"} _x102 1x30
  app_build_info{version="1",instance="c"} 1x103 stale
  app_build_info{version="2",instance="c"} _x104 1x30`,
			`abnormal: A deploy 20m before the onset (02:00:00 UTC): version 1 → 2 (app_build_info, 3 instances until 01:44:00 UTC).
  deploy: version 1 → 2 (app_build_info, 3 instances until 01:44:00 UTC) | 20m before
`,
		},
		{
			"a deploy to new instances", deploys, `
  app_build_info{version="1",instance="a"} 1x120
  app_build_info{version="2",instance="b"} _x110 1x30`,
			`abnormal: A deploy 10m before the onset (02:00:00 UTC): version 1 → 2 (app_build_info).
  deploy: version 1 → 2 (app_build_info) | 10m before
`,
		},
		{
			"a deploy and its rollback", deploys, `
  app_build_info{version="1",instance="a"} 1x99 stale _x9 1x20
  app_build_info{version="2",instance="a"} _x100 1x9 stale`,
			`abnormal: A deploy 10m before the onset (02:00:00 UTC): version 2 → 1 (app_build_info). 1 more change in the 1h before it.
  deploy: version 2 → 1 (app_build_info) | 10m before
  deploy: version 1 → 2 (app_build_info) | 20m before
`,
		},
		{
			"one more instance of the same", deploys, `
  app_build_info{version="1",instance="a"} 1x130
  app_build_info{version="1",instance="b"} _x110 1x30`,
			"normal: Nothing changed in the 1h before the onset at 02:00:00 UTC.\n",
		},
		{
			"an instance that goes", deploys, `
  app_build_info{version="1",instance="a"} 1x130
  app_build_info{version="2",instance="b"} 1x110 stale`,
			"normal: Nothing changed in the 1h before the onset at 02:00:00 UTC.\n",
		},
		{
			"a gap in scraping", deploys, `
  app_build_info{version="1",instance="a"} 1x79 stale _x19 1x30`,
			"normal: Nothing changed in the 1h before the onset at 02:00:00 UTC.\n",
		},
		{
			"a deploy in a gap", deploys, `
  app_build_info{version="1",instance="a"} 1x79 stale
  app_build_info{version="2",instance="a"} _x100 1x30`,
			`abnormal: A deploy 20m before the onset (02:00:00 UTC): version 1 → 2 (app_build_info).
  deploy: version 1 → 2 (app_build_info) | 20m before
`,
		},
		{
			"a change after the onset", deploys, `
  app_build_info{version="1",instance="a"} 1x120 stale
  app_build_info{version="2",instance="a"} _x121 1x30`,
			"normal: Nothing changed in the 1h before the onset at 02:00:00 UTC.\n",
		},
		{
			"a history that begins in the window", deploys, `
  app_build_info{version="2",instance="a"} _x100 1x30`,
			`unknown: No change is known of in the 1h before the onset at 02:00:00 UTC. There may be others: app_build_info has no history before 01:40:00 UTC, 20m before the onset, so that what it was before is not known.
Next: Ask who deploys and who flips flags; see what changed in the 1h before 02:00:00 UTC.
`,
		},
		{
			"no series", deploys, `
  other{version="2"} 1x130`,
			`unknown: No change is known of in the 1h before the onset at 02:00:00 UTC. There may be others: app_build_info has no series in the 1h before 02:00:00 UTC.
Next: Ask who deploys and who flips flags; see what changed in the 1h before 02:00:00 UTC.
`,
		},
		{
			"a flag", flags, `
  app_flag{flag="fast",instance="a"} 0x115 1x20
  app_flag{flag="slow",instance="a"} 1x130`,
			`abnormal: A flag 4m before the onset (02:00:00 UTC): flag fast 0 → 1 (app_flag).
  flag: flag fast 0 → 1 (app_flag) | 4m before
`,
		},
		{
			"a flag that comes and one that goes", flags, `
  app_flag{flag="old",instance="a"} 1x109 stale
  app_flag{flag="new",instance="a"} _x110 1x20
  app_flag{flag="other",instance="a"} 1x130`,
			`abnormal: A flag 10m before the onset (02:00:00 UTC): flag new appeared (app_flag). 1 more change in the 1h before it.
  flag: flag new appeared (app_flag) | 10m before
  flag: flag old is gone (app_flag) | 10m before
`,
		},
		{
			"a setting without labels", `changes: {series: [{expr: 'max(app_workers)', value: true}]}` + "\nabnormal: count > 0", `
  app_workers 4x110 8x20`,
			`abnormal: A change 9m before the onset (02:00:00 UTC): max(app_workers) 4 → 8 (max(app_workers)).
  change: max(app_workers) 4 → 8 (max(app_workers)) | 9m before
`,
		},
		{
			"a counter and its reset", `changes: {series: [{expr: app_restarts_total, labels: [worker], value: true}]}` + "\nabnormal: count > 0", `
  app_restarts_total{worker="a"} 5x110 0x20`,
			`unknown: No change is known of in the 1h before the onset at 02:00:00 UTC. There may be others: app_restarts_total is a counter, whose values tell of no change.
Next: Ask who deploys and who flips flags; see what changed in the 1h before 02:00:00 UTC.
`,
		},
		{
			"a measurement", `changes: {series: [{expr: app_load, labels: [worker], value: true}]}` + "\nabnormal: count > 0", `
  app_load{worker="a"} 0+1x130`,
			`unknown: No change is known of in the 1h before the onset at 02:00:00 UTC. There may be others: app_load changes too often to be a setting (60 times).
Next: Ask who deploys and who flips flags; see what changed in the 1h before 02:00:00 UTC.
`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := changesOf(t, withProm(promtest.New(t, "load 1m"+tt.series+"\n")), tt.kind)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// notes are annotations, or why there are none.
type notes struct {
	all  []grafana.Annotation
	err  error
	tags []string
}

func (n *notes) Annotations(_ context.Context, _, _ time.Time, tags []string) ([]grafana.Annotation, bool, error) {
	n.tags = tags
	return n.all, false, n.err
}

// changeLogOf makes a home of a log of changes.
func changeLogOf(t *testing.T, lines ...string) *tracelog.Files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "changes.ndjson")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return tracelog.NewFiles(tracelog.FilesOptions{Name: "logs", Sources: []tracelog.Source{{Name: "changes", Files: []string{path}, Roles: tracelog.Roles{Time: "ts"}}}})
}

const fromAll = `changes:
  within: 30m
  series: [{expr: app_build_info, labels: [version], what: deploy}]
  grafana: {tags: [deploy, flag]}
  logs: [changes]
abnormal: nearest_s >= 0.0 && nearest_s < 600.0`

func TestChangesOfAllSourcesAreOrderedByClosenessToTheOnset(t *testing.T) {
	d := withProm(promtest.New(t, `load 1m
  app_build_info{version="1",instance="a"} 1x99 stale
  app_build_info{version="2",instance="a"} _x100 1x30
`))
	note := &notes{all: []grafana.Annotation{
		{Time: onset.Add(-15 * time.Minute), Text: "<b>scheduler</b> on\u202e", Tags: []string{"codex", "flag"}, Who: "ann"},
		{Time: onset.Add(time.Minute), Text: "rollback", Tags: []string{"deploy"}},
	}}
	d.Annotations = note
	d.Traces = []tracelog.Home{changeLogOf(t,
		`{"ts":"1970-01-01T01:57:50Z","what":"migration","detail":"users table","who":"bob"}`,
		`{"ts":"1970-01-01T01:10:00Z","what":"flag","detail":"too long ago"}`,
		`{"ts":"1970-01-01T01:45:30Z","what":"flag"}`,
		`torn`,
		`{"ts":"1970-01-01T02:00:10Z","what":"deploy","detail":"after the onset"}`,
	)}
	got, out, err := changesOf(t, d, fromAll)
	if err != nil {
		t.Fatal(err)
	}
	want := `abnormal: A migration 2m10s before the onset (02:00:00 UTC): users table (changes, bob). 3 more changes in the 30m before it.
  migration: users table (changes, bob) | 2m10s before
  flag: without a detail (changes) | 14m30s before
  flag: scheduler on\u202e (Grafana, ann) | 15m before
  deploy: version 1 → 2 (app_build_info) | 20m before
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]any{
		"count": int64(4), "nearest_s": 130.0, "nearest": "users table (changes, bob)", "what": "migration",
		"deploys": int64(1), "deploy_s": 1200.0, "deploy": "version 1 → 2 (app_build_info), 20m before",
		"flags": int64(2), "flag_s": 870.0, "flag": "without a detail (changes), 14m30s before",
	}, out.Rows[0].Vars); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"deploy", "flag"}, note.tags); diff != "" {
		t.Error(diff)
	}
	var first changeJSON
	if err := json.Unmarshal([]byte(strings.SplitN(string(out.Artifacts[0].Data), "\n", 2)[0]), &first); err != nil || first.BeforeS != 130 {
		t.Error(err, first)
	}
	for name := range (&changesAction{}).Vars() {
		if _, ok := out.Rows[0].Vars[name]; !ok {
			t.Errorf("%s is declared and not given", name)
		}
	}
}

func TestASourceThatFailsCostsOnlyItsOwnChanges(t *testing.T) {
	d := withProm(promtest.New(t, `load 1m
  app_build_info{version="1",instance="a"} 1x130
`))
	d.Annotations = &notes{err: errors.New("grafana (http://g) was not reached: refused")}
	d.Traces = []tracelog.Home{changeLogOf(t)}
	got, _, err := changesOf(t, d, fromAll)
	if err != nil || !strings.HasPrefix(got, "unknown: No change is known of in the 30m before the onset at 02:00:00 UTC. There may be others: grafana (http://g) was not reached") {
		t.Error(got, err)
	}
	t.Run("and all of them are an error", func(t *testing.T) {
		_, _, err := changesOf(t, Deps{Annotations: d.Annotations}, fromAll)
		var failed *playbook.StepError
		if !errors.As(err, &failed) || failed.NextStep == "" || !strings.Contains(err.Error(), "no Prometheus is configured; no log called changes is configured under traces; grafana") {
			t.Error(err)
		}
	})
	t.Run("and a Grafana that is not configured is no failure", func(t *testing.T) {
		d.Annotations = nil
		if got, _, err := changesOf(t, d, fromAll); err != nil || !strings.HasPrefix(got, "normal: Nothing changed") {
			t.Error(got, err)
		}
	})
	t.Run("and a log that is not there is told", func(t *testing.T) {
		if err := os.Remove(d.Traces[0].(*tracelog.Files).Sources[0].Files[0]); err != nil {
			t.Fatal(err)
		}
		if got, _, err := changesOf(t, d, fromAll); err != nil || !strings.Contains(got, "it does not exist") || !strings.HasPrefix(got, "unknown") {
			t.Error(got, err)
		}
	})
}

// Whatever is scraped when, changes are within the window, before the onset,
// and of something that two instants of one place bear out, or of a place that
// is new.
func TestNoChangeIsMadeUp(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 300 {
		versions := 1 + random.IntN(2)
		var r promapi.Result
		changing := false
		for i := range 3 {
			version := random.IntN(versions)
			points := map[int][]promapi.Point{}
			for m := range 60 {
				if versions > 1 && random.IntN(40) == 0 {
					version, changing = 1-version, true
				}
				if random.IntN(4) == 0 { // a gap
					continue
				}
				points[version] = append(points[version], promapi.Point{T: onset.Add(time.Duration(m-60) * time.Minute), V: random.Float64()})
			}
			for v, p := range points {
				r.Series = append(r.Series, promapi.Series{Labels: triage.Labels{"version": fmt.Sprint(v), "instance": fmt.Sprint(i)}, Points: p})
			}
		}
		c := &comparison{changedSeries: &changedSeries{labels: []string{"version"}, what: "deploy"}, source: "x", step: time.Minute, from: onset.Add(-time.Hour), onset: onset}
		c.read(r.Series)
		c.compare()
		found := c.merged()
		if versions == 1 && len(found) > 0 {
			t.Fatalf("one version all along, and yet %+v", found)
		}
		for _, f := range found {
			if f.at.Before(c.from) || f.at.After(onset) || !changing && !strings.Contains(f.detail, "version") || f.places < 1 || f.places > 3 {
				t.Fatalf("%+v", f)
			}
		}
	}
}

func TestHostileLabelsOfChangesAreBoundedAndQuoted(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, version := range []string{long, "a → b", "", "\x00\x1b[31m", "\xff", `"`, "line\nbreak", "\u202e"} {
		c := &comparison{changedSeries: &changedSeries{labels: []string{"version"}}}
		said := c.became(thing{labels: triage.Labels{"version": "1"}}, thing{labels: triage.Labels{"version": version}})
		if len(said) > 600 || !utf8.ValidString(said) || strings.ContainsAny(said, "\x00\x1b\n\u202e") || strings.Count(said, " → ") > 2 {
			t.Errorf("%.40q: %q", version, said)
		}
	}
}

func FuzzAnnotationText(f *testing.F) {
	for _, s := range []string{"<b>x</b>", "a < b > c", "<", "<<<>>>", "</", "<\xff>", "1 <2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := noted(withoutMarkup(s)); len(got) > 4<<10 || strings.ContainsAny(got, "\x00\n\x1b") {
			t.Errorf("%q: %q", s, got)
		}
	})
}

func TestChangesStepsThatCannotWorkAreExplained(t *testing.T) {
	d := withProm(newFake(nil, nil))
	d.Traces = []tracelog.Home{changeLogOf(t)}
	for _, tt := range []struct{ kind, want string }{
		{`changes: {}`, "names nothing that could have changed; write series:"},
		{`changes: {series: [{labels: [version]}]}`, "series[0].expr: is missing"},
		{`changes: {series: [{expr: x}]}`, "series[0].labels: is missing; write the labels that tell of the change"},
		{`changes: {series: [{expr: 'x{', labels: [a]}]}`, "series[0].expr"},
		{`changes: {series: [{expr: x, labels: [a], datasource: y}]}`, `series[0].datasource: unknown datasource "y"`},
		{`changes: {series: [{expr: x, labels: ['']}]}`, "series[0].labels: must be at most 10 labels, none of them empty"},
		{`changes: {logs: [change]}`, `logs[0]: no log "change" is configured under traces; did you mean "changes"?`},
		{`changes: {grafana: {tags: ['']}}`, "grafana.tags: must be at most 20 tags"},
		{`changes: {logs: [changes], within: 30s}`, "within: 30s is out of bounds"},
		{`changes: {logs: [changes], tags: [x]}`, "unknown key"},
	} {
		if got := problemsOf(t, d, tt.kind+"\nabnormal: count > 0"); !strings.Contains(got, tt.want) {
			t.Errorf("%s:\n%s\nwant %s", tt.kind, got, tt.want)
		}
	}
}
