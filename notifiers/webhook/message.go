// The JSON body, and how it is kept within bounds.

package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"triagebot/triage"
)

// Version is the body's version: see the package's documentation.
const Version = "1"

// Message is the JSON body of a POST.
type Message struct {
	Version  string `json:"version"`
	Kind     string `json:"kind"`              // parent, finding, conclusion, note, file, escalation or window: which field of post is set
	Key      string `json:"key"`               // what it says, unique: incident/7/run/9/step/p95
	Nonce    string `json:"nonce"`             // the message's identity
	Revision int64  `json:"revision"`          // grows with every edit
	Incident int64  `json:"incident"`          // 0 for what is about none
	Window   int64  `json:"window,omitempty"`  // the maintenance window that it is about
	Channel  string `json:"channel,omitempty"` // as routed, where routes name channels for this notifier
	Thread   string `json:"thread,omitempty"`  // nonce of the parent message that it hangs under; absent in that itself, in an escalation and in an announcement
	Post     any    `json:"post"`              // a triage.Post, with its text cut
}

// idempotencyKey is the same for the same post of the same message only.
func idempotencyKey(d *triage.Delivery) string {
	return d.Nonce + "-" + strconv.FormatInt(d.Version, 10)
}

// maxBody bounds the body of a POST.
const maxBody = 256 << 10

// limit is how long a text and a list may be, in runes and items.
type limit struct{ text, items int }

// encode makes the body, cutting harder until it is within maxBody.
func encode(d *triage.Delivery) ([]byte, error) {
	post := d.Body
	m := Message{
		Version: Version, Key: d.Key, Nonce: d.Nonce, Revision: d.Version,
		Incident: d.IncidentID, Window: d.WindowID, Channel: d.Channel, Thread: d.Thread.ID,
	}
	switch {
	case post.Parent != nil:
		m.Kind = "parent"
	case post.Finding != nil:
		m.Kind = "finding"
		// For later steps' conditions and for debugging a playbook; not part of
		// what a channel shows.
		finding := *post.Finding
		finding.Finding.Vars, finding.Finding.Debug = nil, nil
		post.Finding = &finding
	case post.Conclusion != nil:
		m.Kind = "conclusion"
	case post.Note != nil:
		m.Kind = "note"
	case post.File != nil:
		m.Kind = "file"
	case post.Escalation != nil:
		m.Kind = "escalation"
	case post.Window != nil:
		m.Kind = "window"
	default:
		return nil, fmt.Errorf("%s says nothing", d.Key)
	}
	whole, err := json.Marshal(post)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", d.Key, err)
	}
	for _, l := range []limit{{4000, 100}, {1000, 50}, {250, 20}} {
		if m.Post, err = cut(whole, l); err != nil {
			return nil, fmt.Errorf("encode %s: %w", d.Key, err)
		}
		body, err := json.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", d.Key, err)
		}
		if len(body) <= maxBody {
			return body, nil
		}
	}
	return nil, fmt.Errorf("%s is longer than %d bytes even with its text cut", d.Key, maxBody)
}

// cut decodes JSON with every text and list of it cut to the limit.
func cut(whole []byte, l limit) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(whole))
	dec.UseNumber() // a float64 does not hold every id
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	return l.apply(v), nil
}

func (l limit) apply(v any) any {
	switch v := v.(type) {
	case string:
		return cutText(v, l.text)
	case []any:
		if len(v) > l.items {
			v = v[:l.items]
		}
		for i := range v {
			v[i] = l.apply(v[i])
		}
		return v
	case map[string]any:
		for name := range v {
			v[name] = l.apply(v[name])
		}
		return v
	default:
		return v
	}
}

// cutText cuts s to at most n runes, the last of them an ellipsis.
func cutText(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	runes := 0
	for i := range s {
		if runes++; runes == n {
			return s[:i] + "…"
		}
	}
	return s
}
