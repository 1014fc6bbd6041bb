package tracelog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHomesAreAskedAtOnce(t *testing.T) {
	all := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Add(3)
	go func() { waiting.Wait(); close(all) }()
	var homes []Home
	for i := range 3 {
		h := newFake(t, fmt.Sprintf("h%d", i), fmt.Sprintf(`proto@h%d {"ts":"2026-01-02T03:04:0%dZ","req_id":"a"}`, i, 9-i))
		h.ask = func(ctx context.Context, _ Query) {
			waiting.Done()
			select {
			case <-all: // nobody is answered before all are asked
			case <-ctx.Done():
			}
		}
		homes = append(homes, h)
	}
	trace, err := Stitch(t.Context(), homes, Query{ID: "a"}, StitchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("h2:0\nh1:0\nh0:0\n", brief(trace)); diff != "" {
		t.Errorf("records are not in the order of time:\n%s", diff)
	}
	if !trace.Complete() {
		t.Errorf("not complete: %+v", trace.Coverage)
	}
}

func TestLinksAreFollowed(t *testing.T) {
	trace := stitched(
		t, "c",
		`access {"ts":"2026-01-02T03:04:01Z","req_id":"a","status":502}`,
		`access {"ts":"2026-01-02T03:04:02Z","req_id":"b","retry_of":"a","status":502}`,
		`access {"ts":"2026-01-02T03:04:03Z","req_id":"c","retry_of":"b","trace_id":"00000000000000000000000000000000","status":200}`,
		`access {"ts":"2026-01-02T03:04:04Z","req_id":"other","trace_id":"00000000000000000000000000000000"}`,
		`proto {"ts":"2026-01-02T03:04:00Z","req_id":"a","trace_id":"T"}`,
		`usage {"ts":"2026-01-02T03:04:05Z","req_id":"d","trace_id":"T"}`,
	)
	want := "proto:4 by a\naccess:0 by a\naccess:1 by b\naccess:2\nusage:5 by T\n"
	if diff := cmp.Diff(want, brief(trace)); diff != "" {
		t.Error(diff)
	}
	wantPath := []Link{
		{From: "c", To: "b", Source: "access", Field: "retry_of"},
		{From: "b", To: "a", Source: "access", Field: "retry_of"},
		{From: "a", To: "T", Source: "proto", Field: "trace_id"},
	}
	if diff := cmp.Diff(wantPath, trace.Path("T")); diff != "" {
		t.Error(diff)
	}
	if trace.Unfollowed != 1 || trace.Complete() {
		t.Errorf("%d ids not followed, complete: %t; d lies beyond the last round", trace.Unfollowed, trace.Complete())
	}
}

func TestLinkedLookupsAreHintedByTheLine(t *testing.T) {
	h := newFake(t, "access", `access {"ts":"2026-01-02T03:04:02Z","req_id":"b","retry_of":"a"}`)
	var mu sync.Mutex
	at := map[string]time.Time{}
	h.ask = func(_ context.Context, q Query) { mu.Lock(); at[q.ID] = q.At; mu.Unlock() }
	if _, err := Stitch(t.Context(), []Home{h}, Query{ID: "b"}, StitchOptions{}); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 1, 2, 3, 4, 2, 0, time.UTC); !at["b"].IsZero() || !at["a"].Equal(want) {
		t.Errorf("hints: %v", at)
	}
}

func TestASessionOfManyRequestsIsNotFollowedToItsEnd(t *testing.T) {
	lines := []string{`access {"ts":"2026-01-02T03:04:00Z","req_id":"a","trace_id":"T"}`}
	for i := range 50 {
		lines = append(lines, fmt.Sprintf(`access {"ts":"2026-01-02T03:05:%02dZ","req_id":"r%d","trace_id":"T"}`, i, i))
	}
	h := newFake(t, "logs", lines...)
	var mu sync.Mutex
	asked := 0
	h.ask = func(context.Context, Query) { mu.Lock(); asked++; mu.Unlock() }
	trace, err := Stitch(t.Context(), []Home{h}, Query{ID: "a"}, StitchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if asked != maxIDs || trace.Unfollowed != 52-maxIDs || len(trace.Records) != 51 {
		t.Errorf("asked for %d ids, %d not followed, %d records", asked, trace.Unfollowed, len(trace.Records))
	}
}

func TestCopiedLinesAreShownOnceAndCounted(t *testing.T) {
	const chunk = `{"ts":"2026-01-02T03:04:01Z","req_id":"a","seq":1}`
	trace := stitched(
		t, "a",
		`proto@new `+chunk,
		`proto@new `+chunk, // written twice: a duplicated chunk is a finding
		`proto@old `+chunk,
		`proto@old `+chunk,
		`usage@old `+chunk, // another source's
	)
	if diff := cmp.Diff("new:0\nnew:1\nold:4\n", brief(trace)); diff != "" {
		t.Error(diff)
	}

	h := newFake(t, "proto", `proto@p {"req_id":"a"}`, `proto@p.1 {"req_id":"a"}`)
	h.part.Name = "p.1"
	trace, err := Stitch(t.Context(), []Home{h}, Query{ID: "a"}, StitchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := trace.Coverage.Parts[0].Duplicates; got != 1 || len(trace.Records) != 1 {
		t.Errorf("%d duplicates, %d records", got, len(trace.Records))
	}
}

func TestALineOfTwoAskedIDsIsThereOnce(t *testing.T) {
	trace := stitched(t, "a", `access {"ts":"2026-01-02T03:04:01Z","req_id":"b","retry_of":"a"}`)
	if len(trace.Records) != 1 || trace.Records[0].about() != "b" {
		t.Errorf("%+v", trace.Records)
	}
}

func TestAHomeThatFailsCostsItsOwnRecords(t *testing.T) {
	down := newFake(t, "tempo", `tempo {"ts":"2026-01-02T03:04:01Z","req_id":"a"}`)
	down.err = errors.New("connect to tempo: refused")
	up := newFake(t, "access", `access {"ts":"2026-01-02T03:04:02Z","req_id":"a"}`)
	trace, err := Stitch(t.Context(), []Home{down, up}, Query{ID: "a"}, StitchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := Part{Source: "tempo", Name: "tempo", How: HowSkipped, Note: "connect to tempo: refused"}
	if diff := cmp.Diff(want, trace.Coverage.Parts[0]); diff != "" {
		t.Error(diff)
	}
	if len(trace.Records) != 1 || trace.Complete() {
		t.Errorf("%d records, complete: %t", len(trace.Records), trace.Complete())
	}

	down.early = true // what it had found before stays
	trace, err = Stitch(t.Context(), []Home{down, up}, Query{ID: "a"}, StitchOptions{})
	if err != nil || len(trace.Records) != 2 || trace.Complete() {
		t.Errorf("%v, %+v", err, trace)
	}

	down.early = false
	if _, err = Stitch(t.Context(), []Home{down}, Query{ID: "a"}, StitchOptions{}); !errors.Is(err, down.err) {
		t.Errorf("no home could be searched: %v", err)
	}
}

func TestLookupsThatAskNothing(t *testing.T) {
	if _, err := Stitch(t.Context(), nil, Query{ID: "a"}, StitchOptions{}); err == nil {
		t.Error("searched nothing, found nothing, and said it was well")
	}
	if _, err := Stitch(t.Context(), []Home{newFake(t, "x")}, Query{}, StitchOptions{}); err == nil {
		t.Error("looked up no id")
	}
}

func TestPartialTraces(t *testing.T) {
	release := make(chan struct{})
	fast := newFake(t, "proto", `proto {"ts":"2026-01-02T03:04:01Z","req_id":"a","direction":"send"}`)
	fast.early = true
	slow := newFake(t, "access", `access {"ts":"2026-01-02T03:04:02Z","req_id":"a"}`)
	slow.ask = func(context.Context, Query) { <-release }
	var got []string
	var once sync.Once
	trace, err := Stitch(t.Context(), []Home{fast, slow}, Query{ID: "a"}, StitchOptions{Partial: func(p *Trace) {
		if p.Complete() {
			t.Errorf("complete with %d records, before links are followed", len(p.Records))
		}
		got = append(got, brief(p))
		once.Do(func() { close(release) })
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got[0] != "proto:0\n" || got[len(got)-1] != brief(trace) || len(trace.Records) != 2 || !trace.Complete() {
		t.Errorf("%q, then %q", got, brief(trace))
	}
}

func TestAPartialTraceStaysWhatItWas(t *testing.T) {
	var partial *Trace
	h := newFake(t, "proto")
	h.ask = func(_ context.Context, q Query) {
		r, _, _ := testSource("proto").Read([]byte(`{"req_id":"a"}`), "a")
		found := &Found{Records: []Record{r}, Coverage: Coverage{Parts: []Part{h.part}}}
		q.Partial(found)
		found.Records[0].Source, found.Coverage.Parts[0].Note = "changed", "changed"
		copy(r.Raw, "the home's buffer, used anew")
	}
	_, err := Stitch(t.Context(), []Home{h}, Query{ID: "a"}, StitchOptions{Partial: func(p *Trace) { partial = p }})
	if err != nil {
		t.Fatal(err)
	}
	r := partial.Records[0]
	if r.Source != "proto" || string(r.Raw) != `{"req_id":"a"}` || partial.Coverage.Parts[0].Note != "" {
		t.Errorf("%+v %s %+v", r, r.Raw, partial.Coverage)
	}
}

func TestAWindowIsAllThatContextNeeds(t *testing.T) {
	h := fakeEngine{newFake(t, "engine", `engine {"ts":"2026-01-02T03:04:01Z","worker":"w1","event":"worker_exited"}`)}
	h.part.How, h.part.Complete = HowWindow, false
	access := newFake(t, "access", `access {"ts":"2026-01-02T03:04:01Z","req_id":"a","worker":"w1"}`)
	s := &stitcher{homes: []Home{access, h}, query: Query{ID: "a"}}
	s.askAll(t.Context(), []ask{{id: "a"}})
	s.answers = s.answers[:1] // the engine's log has no key to search
	s.askAround(t.Context())
	if got := s.trace(); !got.Complete() || !got.Coverage.Parts[1].Complete || len(got.Records) != 2 {
		t.Errorf("%+v", got)
	}
	h.err = errors.New("read engine.ndjson: permission denied")
	s.askAround(t.Context())
	if got := s.trace(); got.Complete() {
		t.Error("complete, though the worker's events could not be read")
	}
}

func TestWorkersEventsAreContext(t *testing.T) {
	trace := stitched(
		t, "a",
		`proto {"ts":"2026-01-02T03:04:01Z","req_id":"a","worker":"w3","direction":"send","method":"turn/start"}`,
		`access {"ts":"2026-01-02T03:04:31Z","req_id":"a","latency_ms":31000}`,
		`engine {"ts":"2026-01-02T03:04:20Z","worker":"w3","event":"worker_exited"}`,
		`engine {"ts":"2026-01-02T03:04:20Z","worker":"w1","event":"worker_exited"}`,
		`engine {"ts":"2026-01-02T03:04:33Z","worker":"w3","event":"worker_exited"}`,
	)
	if diff := cmp.Diff("proto:0\nengine:2 by context\naccess:1\n", brief(trace)); diff != "" {
		t.Error(diff)
	}
}

func TestATraceIsBounded(t *testing.T) {
	trace := &Trace{ID: "a", Links: []Link{{From: "a", To: "b"}}}
	var records []Traced
	for i := range maxRecords {
		records = append(records, Traced{Record: Record{Offset: int64(2 * i)}, FoundBy: "b"})
		if i < 10 {
			records = append(records, Traced{Record: Record{Offset: int64(2*i + 1)}, FoundBy: "a"})
		}
	}
	kept, leftOut := trace.bounded(records)
	if len(kept) != maxRecords || leftOut != 10 {
		t.Fatalf("%d kept, %d left out", len(kept), leftOut)
	}
	own := 0
	for _, r := range kept {
		if r.FoundBy == "a" {
			own++
		}
	}
	if own != 10 || kept[0].Offset != 0 || kept[maxRecords-1].Offset != 2*maxRecords-2 {
		t.Errorf("%d own records; from %d to %d", own, kept[0].Offset, kept[maxRecords-1].Offset)
	}

	big := make([]byte, maxRecordBytes/4)
	records = records[:0]
	for range 6 {
		records = append(records, Traced{Record: Record{Raw: big}, FoundBy: "a"})
	}
	if kept, leftOut = trace.bounded(records); len(kept) != 4 || leftOut != 2 {
		t.Errorf("by size: %d kept, %d left out", len(kept), leftOut)
	}
}

func TestTheWindowIsWhatAllHomesSearched(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 1, 2, 3, 4, s, 0, time.UTC) }
	var c Coverage
	c.narrow(Coverage{})
	c.narrow(Coverage{From: at(10), To: at(50)})
	c.narrow(Coverage{From: at(5), To: at(40)})
	if !c.From.Equal(at(10)) || !c.To.Equal(at(40)) {
		t.Errorf("from %s to %s", c.From, c.To)
	}
}
