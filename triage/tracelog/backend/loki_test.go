package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"triagebot/triage/tracelog"
)

// ours are the tests' lines that match, by the same measure.
func ours(match func(line logLine) bool) []string {
	var lines []string
	for _, line := range lokiLines() {
		if match(line) {
			lines = append(lines, fmt.Sprintf("%s %s", line.at.Sub(began), line.text))
		}
	}
	return lines
}

func TestLokiFindsTheLinesOfARequest(t *testing.T) {
	home := newLoki(t, loki(t, "request"))
	found := find(t, home, tracelog.Query{ID: "req_1"})

	// Of a key that stands twice Loki looks at the first, which is another's.
	want := ours(func(line logLine) bool {
		if strings.Contains(line.text, "the last of two counts") {
			return false
		}
		for _, sign := range []string{`"req_id":"req_1",`, `"req_id" : "req_1"`, `"ctx":{"req_id":"req_1"}`, `"ctx.req_id":"req_1"`, `"retry_of":"req_1"`} {
			if strings.Contains(line.text, sign) && !strings.HasSuffix(line.text, "torn") {
				return true
			}
		}
		return false
	})
	if diff := cmp.Diff(want, allTold(found)); diff != "" || len(want) != 6 {
		t.Errorf("the lines, by the line's time or else Loki's (-want +got):\n%s", diff)
	}
	part := onlyPart(t, found.Coverage)
	if !part.Complete || part.How != tracelog.HowQuery || part.Note != "" || part.Torn != 1 || part.Bytes == 0 {
		t.Errorf("part %+v", part)
	}
	if from, to := found.Coverage.From, found.Coverage.To; !from.Equal(noon.Add(-4*time.Hour)) || !to.Equal(noon.Add(ahead)) {
		t.Errorf("searched %s to %s", from, to)
	}
	for _, r := range found.Records {
		switch {
		case strings.Contains(string(r.Raw), "retry_of"):
			if r.ID != "req_2" || !cmp.Equal(r.Links, []string{"req_2"}) {
				t.Errorf("the retry is of %q and names %q", r.ID, r.Links)
			}
		case strings.Contains(string(r.Raw), "its own"):
			if r.Fields["labels"] != "its own" {
				t.Errorf("labels in place of the line's field: %v", r.Fields["labels"])
			}
		case strings.Contains(string(r.Raw), "tokens"):
			labels, _ := r.Fields["labels"].(map[string]any)
			if labels["log"] != "usage" || labels["app"] != "codex" || labels["req_id"] != "a label of the stream" {
				t.Errorf("labels %v", labels)
			}
			for name := range labels {
				if strings.HasPrefix(name, extracted) || strings.HasPrefix(name, "__") {
					t.Errorf("label %q is the query's, not the stream's", name)
				}
			}
		}
	}
}

func TestLokiTakesNumbersAsIDs(t *testing.T) {
	home := newLoki(t, loki(t, "number"))
	if found := find(t, home, tracelog.Query{ID: "12345"}); len(found.Records) != 1 {
		t.Errorf("got %q", allTold(found))
	}
}

func TestLokiHasNothingOfAnUnknownRequest(t *testing.T) {
	home := newLoki(t, loki(t, "unknown"))
	found := find(t, home, tracelog.Query{ID: "req_0", Partial: func(*tracelog.Found) { t.Error("told of nothing") }})
	if part := onlyPart(t, found.Coverage); len(found.Records) != 0 || !part.Complete {
		t.Errorf("got %q, %+v", allTold(found), part)
	}
}

func TestLokiIDsStayInTheirString(t *testing.T) {
	home := newLoki(t, loki(t, "hostile"))
	for i, id := range hostileIDs() {
		want := ours(func(line logLine) bool {
			return strings.HasSuffix(line.text, fmt.Sprintf(`,"n":%d}`, i)) || id == "a/b" && strings.HasSuffix(line.text, `"n":100}`)
		})
		if diff := cmp.Diff(want, allTold(find(t, home, tracelog.Query{ID: id}))); diff != "" {
			t.Errorf("id %q (-want +got):\n%s", id, diff)
		}
	}
}

func TestLokiReadsPageAfterPage(t *testing.T) {
	for _, page := range []int{4, 7, 10, 25, 26} {
		t.Run(fmt.Sprint(page), func(t *testing.T) {
			home := newLoki(t, loki(t, fmt.Sprintf("pages-%d", page)), func(o *LokiOptions) { o.Page = page })
			told := 0
			found := find(t, home, tracelog.Query{ID: "req_paged", Partial: func(f *tracelog.Found) {
				if told++; f.Coverage.Complete {
					t.Error("part of it is called complete")
				}
			}})
			want := ours(func(line logLine) bool { return strings.Contains(line.text, "req_paged") })
			if diff := cmp.Diff(want, allTold(found)); diff != "" || !found.Coverage.Complete {
				t.Errorf("complete %v (-want +got):\n%s", found.Coverage.Complete, diff)
			}
			if page < 25 && told == 0 {
				t.Error("nothing was told before the end")
			}
		})
	}
}

func TestLokiStopsAtItsBound(t *testing.T) {
	home := newLoki(t, loki(t, "bound"), func(o *LokiOptions) { o.MaxRecords = 3 })
	found := find(t, home, tracelog.Query{ID: "req_paged"})
	part := onlyPart(t, found.Coverage)
	if len(found.Records) != 3 || part.Complete || !strings.Contains(part.Note, "stopped at 3 records") {
		t.Errorf("%d records, %+v", len(found.Records), part)
	}
}

func TestLokiLooksAroundTheHintFirst(t *testing.T) {
	home := newLoki(t, loki(t, "hint"))
	hint := tracelog.Query{ID: "req_1", At: began.Add(40 * time.Second), Slack: 2 * time.Second, Near: true}
	near := find(t, home, hint)
	part := onlyPart(t, near.Coverage)
	if got := allTold(near); len(got) != 2 || part.Complete || !strings.Contains(part.Note, "only around") {
		t.Errorf("near the hint %q, %+v", got, part)
	}

	hint.Near = false
	var partial []int
	hint.Partial = func(f *tracelog.Found) { partial = append(partial, len(f.Records)) }
	all := find(t, home, hint)
	if len(all.Records) != 6 || !all.Coverage.Complete || len(partial) == 0 || partial[0] != 2 {
		t.Errorf("%d records, told of %d, %+v", len(all.Records), partial, all.Coverage)
	}

	elsewhere := find(t, home, tracelog.Query{ID: "req_1", At: noon.Add(-3 * time.Hour), Near: true})
	if len(elsewhere.Records) != 6 || !elsewhere.Coverage.Complete {
		t.Errorf("with nothing near the hint: %d records, %+v", len(elsewhere.Records), elsewhere.Coverage)
	}
}

func TestLokiPicks(t *testing.T) {
	tests := map[string]struct {
		pick tracelog.Pick
		want []string
	}{
		"slowest":            {tracelog.Pick{By: tracelog.PickSlowest, N: 4}, []string{"req_1", "pick_29", "pick_28", "pick_27"}},
		"slowest-all":        {tracelog.Pick{By: tracelog.PickSlowest, N: 34, Route: "/v1/chat/completions"}, []string{"req_1", "req_2", "req_10"}},
		"slowest-in-minutes": {tracelog.Pick{By: tracelog.PickSlowest, N: 2, Within: 55 * time.Minute}, []string{"pick_29", "pick_28"}},
		"failing":            {tracelog.Pick{By: tracelog.PickFailing, N: 20}, []string{"pick_24", "pick_23", "pick_14", "pick_13", "pick_04", "pick_03", "req_1"}},
		"failing-of-route":   {tracelog.Pick{By: tracelog.PickFailing, N: 20, Route: "/v1/chat/completions"}, []string{"req_1"}},
		"tool-call":          {tracelog.Pick{By: tracelog.PickToolCall, N: 3}, []string{"pick_25", "pick_15", "pick_05"}},
		"no-such-route":      {tracelog.Pick{By: tracelog.PickToolCall, N: 3, Route: `"} or {`}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			picked := pick(t, newLoki(t, loki(t, "pick-"+name)), test.pick)
			wantPicked(t, picked, test.want)
			if len(picked.Candidates) > 0 && picked.Candidates[0].ID == "req_1" {
				want := tracelog.Candidate{
					ID: "req_1", Source: "logs", Time: began.Add(44 * time.Second), Duration: 41200 * time.Millisecond,
					Status: 502, Error: "backend gone", Route: "/v1/chat/completions",
				}
				if diff := cmp.Diff(want, picked.Candidates[0]); diff != "" {
					t.Errorf("candidate (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestLokiSaysWhatItRefuses(t *testing.T) {
	home := newLoki(t, loki(t, "refused"), func(o *LokiOptions) { o.Selector = `{app=}` })
	_, err := home.Find(context.Background(), tracelog.Query{ID: "req_1"})
	var failure *Error
	if !errors.As(err, &failure) || failure.Reason != ReasonBadQuery || failure.Transient || failure.Status != 400 {
		t.Fatalf("got %#v", err)
	}
	if !strings.Contains(err.Error(), "parse error at line 1") {
		t.Errorf("the error does not say what Loki says: %v", err)
	}
}

func TestLokiGivesAllLinesOfAWindow(t *testing.T) {
	for name, test := range map[string]struct {
		from, to time.Duration // after began
		page     int
		older    bool
	}{
		"of-all-streams": {0, 50 * time.Second, 1000, false},
		"in-pages":       {5 * time.Minute, 5*time.Minute + 24*time.Millisecond, 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			home := newLoki(t, loki(t, "lines-"+name), func(o *LokiOptions) { o.Page = test.page })
			var got []string
			lines, err := home.Between(t.Context(), tracelog.LineQuery{
				Source: home.LineSources()[0], From: began.Add(test.from), To: began.Add(test.to),
			}, func(r *tracelog.Record) bool {
				got = append(got, told(r))
				return true
			})
			if err != nil || !lines.Coverage.Complete || lines.Older != test.older {
				t.Fatalf("%v, %+v", err, lines)
			}
			want := ours(func(line logLine) bool {
				return !line.at.Before(began.Add(test.from)) && !line.at.After(began.Add(test.to))
			})
			if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
