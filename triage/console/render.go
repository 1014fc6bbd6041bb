// Rendering: whole pages only, each with a mark by which a reader who has it
// already is told so.

package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"triagebot/triage"
)

// render answers with a page. A request whose If-None-Match has the same page
// is told that nothing changed; r is nil where that is of no use.
func (h *Handler) render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, name, data); err != nil {
		h.Log.WithError(err).Error("a page of the console cannot be rendered")
		http.Error(w, "The page cannot be rendered; triagebot's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r != nil {
		sum := sha256.Sum256(page.Bytes())
		tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // a reader that has gone cannot be told
}

// instant is how pages write a time in full.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// clock is a time of a day that is clear.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// sign is a verdict's or state's sign, beside which its word always stands.
func sign(s triage.StepState) string {
	switch s {
	case triage.StepNormal:
		return "✓"
	case triage.StepAbnormal:
		return "▲"
	case triage.StepUnknown:
		return "?"
	case triage.StepSkipped:
		return "–"
	case triage.StepRunning:
		return "…"
	case triage.StepWaiting:
	}
	return "·"
}

// short is the beginning of a hash.
func short(hash string) string { return hash[:min(len(hash), 12)] }

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
