// Package console is triagebot's own pages: one for each incident, where the
// links of its messages lead, and the list of incidents above them. They are
// rendered on the server, live while an incident runs, and open to whoever has a
// signed link or shows the server's credentials.
package console

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/sirupsen/logrus"

	"triagebot/triage"
	"triagebot/triage/evidence"
	"triagebot/triage/incident"
	"triagebot/triage/store"
)

// Store is what the pages are read from; *store.DB is one.
type Store interface {
	Incident(ctx context.Context, id int64) (triage.Incident, error)
	FindIncidents(ctx context.Context, f store.IncidentFilter) ([]triage.Incident, error)
	RunsOf(ctx context.Context, incidentID int64) ([]triage.Run, error)
	StepsOf(ctx context.Context, runID int64) ([]triage.StepMark, error)
	Findings(ctx context.Context, runID int64) ([]triage.Finding, error)
	Timeline(ctx context.Context, incidentID int64) ([]triage.TimelineEntry, error)
	Evidence(ctx context.Context, incidentID int64) ([]triage.Evidence, error)
	Acts(ctx context.Context, f store.ActFilter) ([]store.Act, error)
	SealedHead(ctx context.Context, incidentID int64) (string, error)
}

// Bundles are the files of the evidence; *evidence.Store is one.
type Bundles interface {
	Open(ctx context.Context, incidentID int64, name string) (body io.ReadCloser, size int64, err error)
	Verify(ctx context.Context, incidentID int64, head string) (evidence.Report, error)
}

// Options wire the pages.
type Options struct {
	Store   Store
	Bundles Bundles
	Signer  *evidence.Signer
	// Authorized lets a request in without a signed link; Challenge, when it is
	// not "", is the WWW-Authenticate by which a browser asks its user.
	Authorized func(*http.Request) bool
	Challenge  func() string
	// Parent says of an incident what its parent message says: a page is that
	// message with all that it rests on.
	Parent incident.Parent
	Log    logrus.FieldLogger
}

// Handler serves the pages.
type Handler struct{ Options }

// New prepares a Handler.
func New(o Options) *Handler { return &Handler{o} }

// listing is what a signed link to the list of incidents signs for, in place of
// an incident's number.
const listing = 0

// Register adds the pages:
//
//	GET, HEAD /incidents          the list
//	GET, HEAD /incidents/{id}     one incident
//	GET, HEAD /audit              what people asked for
//	GET, HEAD /incidents/-/{file} the pages' own style and script
func (h *Handler) Register(r *mux.Router) {
	methods := []string{http.MethodGet, http.MethodHead}
	r.HandleFunc("/incidents", h.serveList).Methods(methods...)
	r.HandleFunc("/audit", h.serveAudit).Methods(methods...)
	r.HandleFunc("/incidents/{id:[1-9][0-9]{0,17}}", h.serveIncident).Methods(methods...)
	own, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the folder is embedded
	}
	r.PathPrefix("/incidents/-/").Handler(http.StripPrefix("/incidents/-/", asset(own))).Methods(methods...)
}

// IncidentURL is a link to an incident's page that works until the instant.
func IncidentURL(s *evidence.Signer, incidentID int64, until time.Time) string {
	return strings.TrimSuffix(s.BaseURL, "/") + "/incidents/" + strconv.FormatInt(incidentID, 10) + "?" + s.Query(incidentID, "", until.Unix())
}

// ListURL is a link to the list of all incidents that works until the instant.
func ListURL(s *evidence.Signer, until time.Time) string {
	return strings.TrimSuffix(s.BaseURL, "/") + "/incidents?" + s.Query(listing, "", until.Unix())
}

//go:embed page
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"instant": instant, "clock": clock, "sign": sign, "upper": strings.ToUpper, "short": short, "size": size,
}).ParseFS(files, "page/*.html"))

// asset serves what stands beside the pages.
func asset(own fs.FS) http.Handler {
	server := http.FileServerFS(own)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "style.css" && r.URL.Path != "live.js" && r.URL.Path != "icon.svg" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "max-age=300")
		server.ServeHTTP(w, r)
	})
}

// pass is by what a request was let in.
type pass struct{ expires int64 } // of the signed link, in Unix seconds; 0 for credentials

// admit lets a request in by its signature for the incident, by one for the
// list, which is for all, or by the server's credentials. It answers those that
// it does not let in.
func (h *Handler) admit(w http.ResponseWriter, r *http.Request, incidentID int64) (pass, bool) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer") // a signed address is a credential
	header.Set("Cache-Control", "private, no-cache")
	if h.Authorized != nil && h.Authorized(r) {
		return pass{}, true
	}
	expires, err := h.Signer.Check(incidentID, "", r.URL.Query())
	switch {
	case err == nil:
		return pass{expires}, true
	case errors.Is(err, evidence.ErrExpired):
		h.refuse(w, http.StatusGone, "This link has expired", "Newer messages in the incident's thread have links that work; running the playbook again posts new ones.")
	case incidentID == listing:
		h.challenge(w, "The list of incidents is for those who show triagebot's credentials", "They are those under server.auth in its configuration. An incident by itself opens with the link in its thread.")
	default:
		h.challenge(w, "This link is not one that triagebot signed", "Open it from the incident's thread as it stands there, whole and unchanged, or show the credentials under server.auth in triagebot's configuration.")
	}
	return pass{}, false
}

func (h *Handler) challenge(w http.ResponseWriter, title, text string) {
	if h.Challenge != nil {
		if asks := h.Challenge(); asks != "" {
			w.Header().Set("WWW-Authenticate", asks)
			h.refuse(w, http.StatusUnauthorized, title, text)
			return
		}
	}
	h.refuse(w, http.StatusForbidden, title, text)
}

func (h *Handler) refuse(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Cache-Control", "no-store")
	h.render(w, nil, status, "refused.html", map[string]string{"Title": title, "Text": text})
}

// fail answers a request for what cannot be read.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the reader has gone
	}
	if errors.Is(err, store.ErrNotFound) {
		h.refuse(w, http.StatusNotFound, "There is no such incident", "It may have been forgotten: closed incidents are kept as long as retention.incidents in triagebot's configuration says. The files of its evidence are still there.")
		return
	}
	h.Log.WithError(err).Error("a page of the console cannot be read")
	h.refuse(w, http.StatusServiceUnavailable, "The database cannot be read at the moment", "Try again in a minute.")
}

// link is a page's address for whoever was let in by p: signed like the one
// they came by, until the same instant.
func (p pass) link(s *evidence.Signer, path string, incidentID int64, name string, more url.Values) string {
	query := more.Encode()
	if p.expires != 0 {
		query = strings.Trim(query+"&"+s.Query(incidentID, name, p.expires), "&")
	}
	if query == "" {
		return path
	}
	return path + "?" + query
}
