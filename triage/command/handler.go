package command

// The command line's way in: the same commands over HTTP, for whoever holds the
// token, and the audit log.

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/gorilla/mux"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/store"
)

// The paths that the handler serves.
const (
	CommandsPath = "/api/v1/commands"
	AuditPath    = "/api/v1/audit"
)

const (
	maxBody   = 16 << 10
	maxActs   = 500
	usualActs = 50
	maxAs     = 80 // of a name, in bytes
)

// HandlerOptions wire a Handler.
type HandlerOptions struct {
	Do func(ctx context.Context, req triage.Request) triage.Reply
	// Token is what must be shown; "" refuses everybody.
	Token func() string
	Acts  func(ctx context.Context, f store.ActFilter) ([]store.Act, error)
	Log   logrus.FieldLogger
}

// Handler serves commands and the audit log.
type Handler struct{ HandlerOptions }

// Register adds the handler's routes.
func (h Handler) Register(r *mux.Router) {
	r.HandleFunc(CommandsPath, h.guarded(h.serveCommand)).Methods(http.MethodPost)
	r.HandleFunc(AuditPath, h.guarded(h.serveAudit)).Methods(http.MethodGet)
}

// Asked is the body of a request for a command.
type Asked struct {
	// ID makes a request that is sent twice happen once; "" has one made up.
	ID   string `json:"id,omitempty"`
	As   string `json:"as"`   // who asks, for the audit log
	Text string `json:"text"` // "triage ack 7"
}

// guarded asks for the token.
func (h Handler) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token := h.Token()
		if token == "" {
			answer(w, http.StatusForbidden, triage.Reply{Text: "No token is configured, so nobody may: access.ctl_token_file in the configuration names its file.", Outcome: triage.OutcomeRefused})
			return
		}
		shown, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Bearer realm="triagebot"`)
			answer(w, http.StatusUnauthorized, triage.Reply{Text: "Show the token of access.ctl_token_file: --token-file names its file.", Outcome: triage.OutcomeRefused})
			return
		}
		next(w, r)
	}
}

func (h Handler) serveCommand(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		answer(w, http.StatusRequestEntityTooLarge, triage.Reply{Text: "The request is too large, or broke off.", Outcome: triage.OutcomeUnclear})
		return
	}
	var asked Asked
	if err := json.Unmarshal(body, &asked); err != nil {
		answer(w, http.StatusBadRequest, triage.Reply{Text: `The body is not understood; send {"as": "alice", "text": "triage incidents"}.`, Outcome: triage.OutcomeUnclear})
		return
	}
	if asked.As = strings.TrimSpace(asked.As); asked.As == "" || len(asked.As) > maxAs {
		answer(w, http.StatusBadRequest, triage.Reply{Text: "Say who asks (as), for the audit log: at most 80 characters.", Outcome: triage.OutcomeUnclear})
		return
	}
	if asked.ID == "" {
		asked.ID = rand.Text()
	}
	reply := h.Do(r.Context(), triage.Request{ID: asked.ID, Text: asked.Text, Actor: triage.Actor{Via: triage.ViaCtl, ID: asked.As}})
	answer(w, http.StatusOK, reply)
}

func (h Handler) serveAudit(w http.ResponseWriter, r *http.Request) {
	filter := store.ActFilter{Limit: usualActs}
	var err error
	for name, into := range map[string]func(n int64){
		"incident": func(n int64) { filter.IncidentID = n },
		"before":   func(n int64) { filter.Before = n },
		"limit":    func(n int64) { filter.Limit = int(min(n, maxActs)) },
	} {
		text := r.URL.Query().Get(name)
		if text == "" {
			continue
		}
		n, parseErr := strconv.ParseInt(text, 10, 64)
		if parseErr != nil || n < 1 {
			err = errors.Join(err, errors.New(name+" is no number above 0"))
			continue
		}
		into(n)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, triage.Reply{Text: err.Error(), Outcome: triage.OutcomeUnclear})
		return
	}
	acts, err := h.Acts(r.Context(), filter)
	if err != nil {
		h.Log.WithError(err).Error("the audit log could not be read")
		answer(w, http.StatusServiceUnavailable, triage.Reply{Text: "The audit log could not be read; triagebot's log says more.", Outcome: triage.OutcomeFailed})
		return
	}
	if acts == nil {
		acts = []store.Act{}
	}
	answer(w, http.StatusOK, acts)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
