package evidence

// Serving evidence over HTTP. What is served was captured from elsewhere, so
// nothing of it may run in a reader's browser.

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/gorilla/mux"
	"github.com/sirupsen/logrus"
)

// HandlerOptions say what a Handler serves and to whom.
type HandlerOptions struct {
	Store  *Store
	Signer *Signer // signed links work
	// Authorized lets a request in without a signature, by the authentication
	// that triagebot's other pages have. Nil lets none.
	Authorized func(*http.Request) bool
	Log        logrus.FieldLogger // nil discards
}

// Handler serves the files of bundles and the lists of them.
type Handler struct {
	store      *Store
	signer     *Signer
	authorized func(*http.Request) bool
	log        logrus.FieldLogger
}

// NewHandler returns a Handler.
func NewHandler(o HandlerOptions) (*Handler, error) {
	if err := o.Signer.Validate(); err != nil {
		return nil, err
	}
	h := &Handler{store: o.Store, signer: o.Signer, authorized: o.Authorized, log: o.Log}
	if h.authorized == nil {
		h.authorized = func(*http.Request) bool { return false }
	}
	if h.log == nil {
		l := logrus.New()
		l.SetOutput(io.Discard)
		h.log = l
	}
	return h, nil
}

// Register adds the handler's routes:
//
//	GET, HEAD /evidence/{incident}/        the list of a bundle's files
//	GET, HEAD /evidence/{incident}/{name}  one file
func (h *Handler) Register(r *mux.Router) {
	r.HandleFunc("/evidence/{incident:[1-9][0-9]{0,17}}/{name:.*}", h.serve).Methods(http.MethodGet, http.MethodHead)
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'")
	header.Set("Referrer-Policy", "no-referrer") // a signed address is a credential
	header.Set("Cache-Control", "private, max-age=60")

	vars := mux.Vars(r)
	name := vars["name"]
	incidentID, err := strconv.ParseInt(vars["incident"], 10, 64)
	if err != nil {
		refuse(w, http.StatusNotFound, "There is no such incident.")
		return
	}
	var expires int64
	if !h.authorized(r) {
		expires, err = h.signer.Check(incidentID, name, r.URL.Query())
		switch {
		case errors.Is(err, ErrExpired):
			refuse(w, http.StatusGone, "This link has expired. Newer messages in the incident's thread have links that work; running the playbook again posts new ones. The file itself is still in the incident's bundle.")
			return
		case err != nil:
			refuse(w, http.StatusForbidden, "This link is not one that triagebot signed. Open it from the incident's thread as it stands there, whole and unchanged.")
			return
		}
	}
	if name == "" {
		h.serveIndex(w, r, incidentID, expires)
		return
	}
	h.serveFile(w, r, incidentID, name)
}

func (h *Handler) serveFile(w http.ResponseWriter, r *http.Request, incidentID int64, name string) {
	body, size, err := h.store.Open(r.Context(), incidentID, name)
	if err != nil {
		h.fail(w, r, incidentID, err)
		return
	}
	defer func() { _ = body.Close() }() // it was only read
	mediaType := mediaTypeOf(name)
	header := w.Header()
	header.Set("Content-Type", mediaType)
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	header.Set("Content-Disposition", mime.FormatMediaType(disposition(mediaType), map[string]string{"filename": path.Base(name)}))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := io.Copy(w, body); err != nil && r.Context().Err() == nil {
		h.log.WithError(err).WithField("incident", incidentID).WithField("file", name).Warn("evidence was sent in part only")
	}
}

// fail answers a request whose file cannot be had.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, incidentID int64, err error) {
	switch {
	case errors.Is(err, ErrNotFound):
		refuse(w, http.StatusNotFound, "There is no such file in this incident's bundle.")
	case errors.Is(r.Context().Err(), context.Canceled):
	default:
		h.log.WithError(err).WithField("incident", incidentID).Error("evidence cannot be read")
		refuse(w, http.StatusServiceUnavailable, "The evidence store cannot be read at the moment. Try again in a minute.")
	}
}

func refuse(w http.ResponseWriter, status int, sentence string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, sentence, status)
}

// disposition is whether a browser shows a file or saves it.
func disposition(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch {
	case mediaType == "text/html": // a captured page should not pass for one of ours
		return "attachment"
	case strings.HasPrefix(mediaType, "image/"), strings.HasPrefix(mediaType, "text/"),
		mediaType == "application/json", mediaType == "application/x-ndjson":
		return "inline"
	default:
		return "attachment"
	}
}
