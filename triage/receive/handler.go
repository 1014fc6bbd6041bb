package receive

// The way of one request: who is it, is there room, what does it say, is it on
// disk; and the answer to each.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"triagebot/triage"
)

// Path is where Alertmanager's webhook posts to.
const Path = "/api/v1/alerts"

// Options are what a Handler is made of.
type Options struct {
	Ingester Ingester
	// Auth returns what senders must show now; it is asked at every request,
	// so that a reload takes effect. nil: anybody may send.
	Auth func() Credentials
	// MaxBody bounds a body, in bytes. 3 MiB when 0.
	MaxBody int64
	// MaxAlertnames bounds the alertnames of one notification, for each becomes an
	// incident with a thread and a run of its own. 1000 when 0.
	MaxAlertnames int
	// MaxConcurrent bounds the notifications that are received at once. 256
	// when 0.
	MaxConcurrent int
	// BodyTimeout bounds the arrival of a body. 10 s when 0.
	BodyTimeout time.Duration
	Log         logrus.FieldLogger    // nil: silent
	Registerer  prometheus.Registerer // nil: no metrics
	Now         func() time.Time      // nil: time.Now
}

// Handler receives notifications at Path.
//
//	200  on disk
//	400  no notification, with a sentence that says what it is instead
//	401  no credentials; 403 wrong ones
//	405  not a POST
//	408  the body took longer than BodyTimeout
//	413  over MaxBody or MaxAlertnames
//	415  compressed
//	503  too many at once, the backlog is full, or storage failed: try again
//	500  a bug, logged with its stack: try again
type Handler struct {
	opts    Options
	log     logrus.FieldLogger
	metrics handlerMetrics
	slots   chan struct{}
	// Refusals come as fast as senders send; the log need not say each, for
	// the metrics count them.
	sayRefused, sayPutOff rate.Sometimes
}

// NewHandler makes a Handler.
func NewHandler(opts Options) *Handler {
	setDefault(&opts.MaxBody, 3<<20)
	setDefault(&opts.MaxAlertnames, 1000)
	setDefault(&opts.MaxConcurrent, 256)
	setDefault(&opts.BodyTimeout, 10*time.Second)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Auth == nil {
		opts.Auth = func() Credentials { return Credentials{} }
	}
	return &Handler{
		opts:    opts,
		log:     orSilent(opts.Log),
		metrics: newHandlerMetrics(opts.Registerer),
		slots:   make(chan struct{}, opts.MaxConcurrent),

		sayRefused: rate.Sometimes{First: 10, Interval: time.Second},
		sayPutOff:  rate.Sometimes{First: 10, Interval: time.Second},
	}
}

// Register adds the handler to the routes. The method is the handler's own
// concern, for mux answers 405 without an Allow header.
func (h *Handler) Register(r *mux.Router) { r.Handle(Path, h) }

// reply is the answer to a request, and how it is counted.
type reply struct {
	code   int
	result result
	text   string
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	rep := h.receive(w, r)
	h.metrics.notifications.WithLabelValues(string(rep.result)).Inc()
	if rep.result == resultAccepted {
		h.metrics.ackSeconds.Observe(time.Since(start).Seconds())
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(rep.code)
	_, _ = io.WriteString(w, rep.text+"\n") // the sender may be gone; it will send again
}

// receive does everything up to the answer. It turns a panic into one, so that
// the sender tries again and the other requests go on.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (rep reply) {
	defer func() {
		if p := recover(); p != nil {
			h.log.WithField("panic", p).WithField("stack", string(debug.Stack())).Error("receiving a notification panicked; this is a bug")
			rep = reply{http.StatusInternalServerError, resultPanic, "receiving the notification failed; triagebot's log says why"}
		}
	}()
	// It stands until the body has been read whole: of a body that was refused
	// net/http reads the rest itself before it answers. Not every
	// ResponseWriter knows deadlines; those of a server do.
	deadline := http.NewResponseController(w)
	_ = deadline.SetReadDeadline(time.Now().Add(h.opts.BodyTimeout))
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return reply{http.StatusMethodNotAllowed, resultMethod, "notifications are sent with POST"}
	}
	credentials := h.opts.Auth()
	switch credentials.check(r) {
	case allowed:
	case missing:
		w.Header()["Www-Authenticate"] = credentials.challenge()
		return h.refuse(r, reply{http.StatusUnauthorized, resultUnauthorized, "credentials are missing; set authorization or basic_auth in the http_config of Alertmanager's webhook_configs"})
	case wrong:
		return h.refuse(r, reply{http.StatusForbidden, resultUnauthorized, "the credentials are wrong; compare the http_config of Alertmanager's webhook_configs with triagebot's server.auth"})
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return reply{http.StatusServiceUnavailable, resultOverloaded, "too many notifications at once; try again"}
	}
	h.metrics.inFlight.Inc()
	defer h.metrics.inFlight.Dec()

	body, failed := h.readBody(w, r)
	if failed.code != 0 {
		return h.refuse(r, failed)
	}
	// A deadline left standing would end the request's context while it waits
	// for the disk.
	_ = deadline.SetReadDeadline(time.Time{})
	receivedAt := h.opts.Now()
	note, err := Decode(body, receivedAt)
	if err != nil {
		return h.refuse(r, reply{http.StatusBadRequest, resultInvalid, err.Error()})
	}
	if n := alertnames(note); n > h.opts.MaxAlertnames {
		return h.refuse(r, reply{
			http.StatusRequestEntityTooLarge, resultTooManyNames,
			fmt.Sprintf("the notification has %d alertnames and each becomes an incident, of which %d are taken at once; add alertname to group_by in Alertmanager's route, or raise server.max_alertnames", n, h.opts.MaxAlertnames),
		})
	}
	if err := h.opts.Ingester.Ingest(r.Context(), body, receivedAt); err != nil {
		return h.notIngested(r, err)
	}
	h.metrics.bodyBytes.Observe(float64(len(body)))
	return reply{http.StatusOK, resultAccepted, "accepted"}
}

func alertnames(note triage.Notification) int {
	names := map[string]bool{}
	for _, a := range note.Alerts {
		names[a.Name()] = true
	}
	return len(names)
}

// readBody reads the body whole, within its bounds of size and time. A reply
// with a code says why it could not.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, reply) {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, reply{http.StatusUnsupportedMediaType, resultEncoded, "the body is compressed; Alertmanager sends plain JSON, so look at the proxy between"}
	}
	tooLarge := reply{
		http.StatusRequestEntityTooLarge, resultTooLarge,
		fmt.Sprintf("the body is over %d bytes; set max_alerts in Alertmanager's webhook_configs, or raise server.max_body", h.opts.MaxBody),
	}
	if r.ContentLength > h.opts.MaxBody {
		w.Header().Set("Connection", "close") // rather than read the rest of it
		return nil, tooLarge
	}

	// The declared length is believed only so far: memory follows what arrives.
	buf := bytes.NewBuffer(make([]byte, 0, min(max(r.ContentLength, 0), 64<<10)+bytes.MinRead))
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, h.opts.MaxBody))
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return buf.Bytes(), reply{}
	case errors.As(err, new(*http.MaxBytesError)):
		return nil, tooLarge
	case errors.As(err, &timeout) && timeout.Timeout():
		w.Header().Set("Connection", "close")
		return nil, reply{http.StatusRequestTimeout, resultUnreadable, fmt.Sprintf("the body did not arrive within %s", h.opts.BodyTimeout)}
	default:
		w.Header().Set("Connection", "close")
		return nil, reply{http.StatusBadRequest, resultUnreadable, "the body broke off"}
	}
}

// notIngested is the answer when a notification may not be on disk. What went
// wrong inside stays in the log.
func (h *Handler) notIngested(r *http.Request, err error) reply {
	switch {
	case errors.Is(err, ErrBacklogFull):
		h.sayPutOff.Do(func() {
			h.log.WithField("remote", r.RemoteAddr).WithError(err).Warn("a notification was put off: Alertmanager tries again")
		})
		return reply{http.StatusServiceUnavailable, resultBacklogFull, "the backlog is full; try again"}
	case errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		return reply{http.StatusServiceUnavailable, resultClientGone, "the sender left"}
	default:
		h.sayPutOff.Do(func() {
			h.log.WithField("remote", r.RemoteAddr).WithError(err).Error("a notification could not be written: Alertmanager tries again")
		})
		return reply{http.StatusServiceUnavailable, resultStorageError, "the notification could not be written; try again"}
	}
}

// refuse logs a request that will not be accepted however often it is sent.
func (h *Handler) refuse(r *http.Request, rep reply) reply {
	h.sayRefused.Do(func() {
		h.log.WithFields(logrus.Fields{"remote": r.RemoteAddr, "status": rep.code}).Warn("a notification was refused: " + rep.text)
	})
	return rep
}
