// The waterfall of a trace: its records as bars over the time they took, from
// the evidence that the trace step kept.

package console

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"time"

	"triagebot/triage/tracelog"
)

// Bounds of a waterfall that is drawn.
const (
	maxWaterfall = 2 << 20 // bytes of evidence that are read
	maxBars      = 60
)

// waterfall is a request from log to log.
type waterfall struct {
	Took string
	Bars []bar
	More int // records that are not shown
}

// bar is one record. Its places are in thousandths of the whole.
type bar struct {
	Offset, Took, Source, What, Error string
	X, W                              int
	Failed                            bool
	Context                           bool // an event of a worker, not of the request
}

// traced is a line of a trace's NDJSON, as far as bars need it.
type traced struct {
	Source  string    `json:"source"`
	Time    time.Time `json:"time"`
	TookMS  float64   `json:"took_ms"`
	What    string    `json:"what"`
	Error   string    `json:"error"`
	Failed  bool      `json:"failed"`
	Context bool      `json:"context"`
}

func (t *traced) took() time.Duration { return time.Duration(t.TookMS * float64(time.Millisecond)) }

// waterfall reads one; nil where the evidence cannot be read, which the page's
// links tell by themselves.
func (h *Handler) waterfall(ctx context.Context, incidentID int64, name string) *waterfall {
	body, _, err := h.Bundles.Open(ctx, incidentID, name)
	if err != nil {
		return nil
	}
	defer body.Close() //nolint:errcheck // it was only read
	var records []traced
	lines := bufio.NewReader(io.LimitReader(body, maxWaterfall))
	for {
		line, err := lines.ReadBytes('\n')
		var r traced
		if len(line) > 0 && json.Unmarshal(line, &r) == nil && !r.Time.IsZero() {
			records = append(records, r)
		}
		if err != nil {
			break
		}
	}
	return drawWaterfall(records)
}

// drawWaterfall lays the records out: a record ends at its time, and began its
// duration before.
func drawWaterfall(records []traced) *waterfall {
	if len(records) == 0 {
		return nil
	}
	began, ended := records[0].Time, records[0].Time
	for _, r := range records {
		if at := r.Time.Add(-r.took()); at.Before(began) && !r.Context {
			began = at
		}
		if r.Time.After(ended) {
			ended = r.Time
		}
	}
	whole := max(ended.Sub(began), time.Millisecond)
	at := func(t time.Time) int { return int(min(max(t.Sub(began), 0), whole) * 1000 / whole) }
	w := &waterfall{Took: tracelog.InWords(whole)}
	for _, r := range records {
		if len(w.Bars) == maxBars {
			w.More = len(records) - maxBars
			break
		}
		took := r.took()
		b := bar{
			Offset: "+" + tracelog.InWords(r.Time.Add(-took).Sub(began)), Source: tracelog.Harmless(r.Source),
			What: tracelog.Harmless(r.What), Error: tracelog.Harmless(r.Error), Failed: r.Failed, Context: r.Context,
			X: at(r.Time.Add(-took)),
		}
		b.W = max(at(r.Time)-b.X, 4)
		b.X = min(b.X, 1000-b.W)
		if took > 0 {
			b.Took = tracelog.InWords(took)
		}
		w.Bars = append(w.Bars, b)
	}
	return w
}
