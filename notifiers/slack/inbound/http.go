package inbound

// The way in over HTTP: from Slack, whole, signed, now, and for the first time.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/gorilla/mux"
	slackapi "github.com/slack-go/slack"

	"triagebot/triage"
	"triagebot/triage/safetext"
)

// Where Slack posts to.
const (
	CommandsPath     = "/slack/commands"
	InteractionsPath = "/slack/interactions"
	EventsPath       = "/slack/events"
)

// maxBody bounds a request, in bytes: a click brings the message along that it
// was made on.
const maxBody = 1 << 20

const (
	maxDialogError = 1000 // bytes, which Slack shows as they are

	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// httpReply is the answer to an HTTP request, and how it is counted where no
// worker counts it.
type httpReply struct {
	status int
	text   string // a sentence, for whoever looks at what was refused
	body   any    // JSON for Slack; goes before text
	kind   kind
	result result // "" where a worker counts it
}

// Register adds the handler to the routes; nothing where there is no signing
// secret. The method is the handler's own concern, for mux answers 405 without
// an Allow header.
func (i *Inbound) Register(r *mux.Router) {
	if i.opts.SigningSecret == "" {
		return
	}
	r.Handle(CommandsPath, i.handler(formType, i.serveCommand))
	r.Handle(InteractionsPath, i.handler(formType, i.serveInteraction))
	r.Handle(EventsPath, i.handler(jsonType, i.serveEvent))
}

// handler answers
//
//	200  taken in, or taken in before
//	400  signed, and not what Slack sends
//	401  no signature, a wrong one, or one of more than five minutes ago
//	405  not a POST
//	409  the same signed request came before
//	413  over maxBody
//	415  another content type than Slack's
//	500  a bug, logged with its stack
//	503  busy; Slack sends events again
func (i *Inbound) handler(contentType string, serve func(r *http.Request, body []byte) httpReply) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rep := i.receive(w, r, contentType, serve)
		if rep.result != "" {
			i.metrics.count(viaHTTP, rep.kind, rep.result)
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if rep.body != nil {
			data, err := json.Marshal(rep.body)
			if err == nil {
				w.Header().Set("Content-Type", "application/json; charset=utf-8")
				w.WriteHeader(rep.status)
				_, _ = w.Write(data) // Slack may have given up
				return
			}
			i.log.WithError(err).Error("an answer to Slack cannot be encoded; this is a bug")
			rep.status, rep.text = http.StatusInternalServerError, "the answer cannot be encoded"
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(rep.status)
		_, _ = io.WriteString(w, rep.text)
	})
}

func (i *Inbound) receive(w http.ResponseWriter, r *http.Request, contentType string, serve func(*http.Request, []byte) httpReply) (rep httpReply) {
	defer func() {
		if p := recover(); p != nil {
			i.log.WithField("panic", p).WithField("stack", string(debug.Stack())).Error("taking in a request of Slack panicked; this is a bug")
			rep = httpReply{status: http.StatusInternalServerError, text: "taking in the request failed; triagebot's log says why", kind: kindUnknown, result: result(triage.OutcomeFailed)}
		}
	}()
	invalid := func(status int, text string) httpReply {
		return httpReply{status: status, text: text, kind: kindUnknown, result: resultInvalid}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return invalid(http.StatusMethodNotAllowed, "Slack sends this with POST")
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != contentType {
		return invalid(http.StatusUnsupportedMediaType, "Slack sends this as "+contentType+"; is it the right request URL in the app's settings?")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return invalid(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", maxBody))
	case err != nil:
		return invalid(http.StatusBadRequest, "the body did not arrive whole")
	}
	if refused := i.verify(r.Header, body); refused.status != 0 {
		i.sayRefused.Do(func() {
			i.log.WithField("remote", r.RemoteAddr).WithField("path", r.URL.Path).Warn("a request was refused: " + refused.text)
		})
		return refused
	}
	return serve(r, body)
}

// verify makes sure that Slack sent this, lately, and for the first time. A
// reply with a status says why not.
func (i *Inbound) verify(header http.Header, body []byte) httpReply {
	refuse := func(status int, why result, text string) httpReply {
		return httpReply{status: status, kind: kindUnknown, result: why, text: text}
	}
	verifier, err := slackapi.NewSecretsVerifier(header, i.opts.SigningSecret)
	switch {
	case errors.Is(err, slackapi.ErrExpiredTimestamp):
		return refuse(http.StatusUnauthorized, resultStale, "the request is more than five minutes old, or this machine's clock is wrong")
	case err != nil:
		return refuse(http.StatusUnauthorized, resultUnsigned, "the request has no signature of Slack's")
	}
	_, _ = verifier.Write(body) // into a hash: it cannot fail
	if err := verifier.Ensure(); err != nil {
		return refuse(http.StatusUnauthorized, resultUnsigned, "the signature is wrong; compare the app's signing secret with slack.signing_secret_file")
	}
	if !i.seen.first("signature/"+header.Get("X-Slack-Signature"), i.opts.Now()) {
		return refuse(http.StatusConflict, resultReplayed, "the same request came before")
	}
	return httpReply{}
}

func (i *Inbound) serveCommand(_ *http.Request, body []byte) httpReply {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return malformed(kindCommand, errors.New("the body is no form"))
	}
	if values.Get("ssl_check") == "1" { // Slack looks whether somebody is there
		return httpReply{status: http.StatusOK, kind: kindOther, result: resultIgnored}
	}
	a, err := decodeCommand(values.Get)
	if err != nil {
		return malformed(kindCommand, err)
	}
	j, fresh := i.take(viaHTTP, a)
	if !fresh {
		return httpReply{status: http.StatusOK, kind: a.kind, result: resultDuplicate}
	}
	r, busy := i.wait(j, i.opts.AnswerWithin)
	rep := httpReply{status: http.StatusOK}
	if r.Text != "" { // an empty answer shows nothing; the reply follows
		rep.body = messageOf(&a, r)
	}
	if busy {
		rep.kind, rep.result = a.kind, resultBusy
	}
	return rep
}

func (i *Inbound) serveInteraction(_ *http.Request, body []byte) httpReply {
	payload, err := formPayload(body)
	if err != nil {
		return malformed(kindUnknown, err)
	}
	a, err := decodeInteraction(payload)
	if err != nil {
		return malformed(kindUnknown, err)
	}
	if a.kind == kindOther {
		return httpReply{status: http.StatusOK, kind: a.kind, result: resultIgnored}
	}
	j, fresh := i.take(viaHTTP, a)
	if !fresh {
		return httpReply{status: http.StatusOK, kind: a.kind, result: resultDuplicate}
	}
	if a.kind == kindClick { // what is answered here is not shown
		if !i.submit(j) {
			i.say(j, replyBusy)
			return httpReply{status: http.StatusOK, kind: a.kind, result: resultBusy}
		}
		return httpReply{status: http.StatusOK}
	}
	r, busy := i.wait(j, i.opts.Patience)
	rep := httpReply{status: http.StatusOK, body: dialogAnswer(r)}
	if busy {
		rep.kind, rep.result = a.kind, resultBusy
	}
	return rep
}

func (i *Inbound) serveEvent(_ *http.Request, body []byte) httpReply {
	a, challenge, err := decodeEvent(body)
	if err != nil {
		return malformed(kindUnknown, err)
	}
	switch {
	case challenge != "":
		return httpReply{status: http.StatusOK, body: map[string]string{"challenge": challenge}, kind: a.kind, result: resultIgnored}
	case a.kind == kindOther:
		return httpReply{status: http.StatusOK, kind: a.kind, result: resultIgnored}
	}
	j, fresh := i.take(viaHTTP, a)
	if !fresh {
		return httpReply{status: http.StatusOK, kind: a.kind, result: resultDuplicate}
	}
	if !i.submit(j) {
		i.seen.forget(a.req.ID) // Slack sends it again
		return httpReply{status: http.StatusServiceUnavailable, text: "triagebot is busy; send it again", kind: a.kind, result: resultBusy}
	}
	return httpReply{status: http.StatusOK}
}

func malformed(k kind, err error) httpReply {
	return httpReply{status: http.StatusBadRequest, text: err.Error(), kind: k, result: resultInvalid}
}

// take makes a job of an ask; false when it came before, by whatever way.
func (i *Inbound) take(v via, a ask) (j *job, fresh bool) {
	now := i.opts.Now()
	return &job{ask: a, via: v, at: now}, i.seen.first(a.req.ID, now)
}

// wait gives a job to the workers and returns its reply, or an empty one where it
// takes longer than Slack is to be kept waiting; it then follows by the late way.
func (i *Inbound) wait(j *job, within time.Duration) (r triage.Reply, busy bool) {
	replied := make(chan triage.Reply, 1)
	j.early = func(r triage.Reply) { replied <- r }
	if !i.submit(j) {
		return replyBusy, true
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case r := <-replied:
		return r, false
	case <-timer.C:
	}
	if j.taken.CompareAndSwap(false, true) {
		return triage.Reply{}, false
	}
	return <-replied, false // at the last moment
}

// dialogAnswer closes a dialog, by nil, or says in it why nothing was done.
func dialogAnswer(r triage.Reply) any {
	if !refuses(r) {
		return nil
	}
	return slackapi.NewErrorsViewSubmissionResponse(map[string]string{blockDuration: safetext.Line(r.Text, maxDialogError)})
}
