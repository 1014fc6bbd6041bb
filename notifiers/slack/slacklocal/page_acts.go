package slacklocal

// What the page sends when a person acts on it.

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"

	"github.com/gorilla/mux"
)

// maxActBody is how many bytes one act may have.
const maxActBody = 256 << 10

// actBody is what the page sends; which fields count depends on the act.
type actBody struct {
	As      string     `json:"as"`      // user ID
	Channel string     `json:"channel"` // ID
	Thread  string     `json:"thread"`
	Text    string     `json:"text"`
	TS      string     `json:"ts"`
	Block   string     `json:"block"`
	Action  string     `json:"action"`
	Option  string     `json:"option"`
	View    string     `json:"view"`
	Values  Submission `json:"values"`
}

// actAnswer is what the page is told.
type actAnswer struct {
	Notice string            `json:"notice,omitempty"` // for the person
	Errors map[string]string `json:"errors,omitempty"` // of a modal, by block_id
}

func (w *Workspace) serveAct(rw http.ResponseWriter, r *http.Request) {
	// No form of another site's can say that its body is JSON.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		http.Error(rw, "the body must be application/json", http.StatusForbidden)
		return
	}
	body, err := readAct(http.MaxBytesReader(rw, r.Body, maxActBody))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	if w.host == "" {
		w.host = r.Host
	}
	w.mu.Unlock()
	var said actAnswer
	switch mux.Vars(r)["act"] {
	case "say":
		err = w.Say(r.Context(), body.As, Place{Channel: body.Channel, Thread: body.Thread}, body.Text)
	case "click":
		err = w.Click(r.Context(), body.As, Click{body.Channel, body.TS, body.Block, body.Action, body.Option})
	case "submit":
		said.Errors, err = w.Submit(r.Context(), body.As, body.View, body.Values)
	case "close":
		err = w.CloseModal(r.Context(), body.As, body.View)
	case "forget":
		w.Forget(body.As, body.TS)
	default:
		http.NotFound(rw, r)
		return
	}
	if err != nil {
		said.Notice = err.Error()
	}
	writeJSON(rw, said)
}

func readAct(r io.Reader) (actBody, error) {
	var body actBody
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return body, err
	}
	if d.More() {
		return body, errors.New("more than one JSON value")
	}
	return body, nil
}
