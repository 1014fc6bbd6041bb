// Package slacklocal is a small Slack workspace inside the process: the Web
// API methods that triagebot uses, with Slack's own limits and errors, and a
// page that shows the channels to a person. The demo, the browser tests and
// the crash tests drive the one real Slack code path against it.
//
// Where Slack's behaviour is known it is kept, also where it is a nuisance: a
// reply to a deleted parent lands in the channel, a finished upload need not
// be shared, an edit without blocks removes them.
package slacklocal

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/mux"
)

// Bounds of what a workspace keeps; the oldest goes first.
const (
	maxMessages    = 10_000    // per channel, with replies
	maxChannels    = 200       // New and CreateChannel refuse more
	maxFiles       = 1_000     // uploads, shared or not
	maxFileSize    = 16 << 20  // bytes of one upload
	maxFileBytes   = 256 << 20 // bytes of all uploads
	maxRequestBody = 4 << 20   // bytes of one API call
	maxWatchers    = 64        // pages that are open at once
)

// The workspace's own identity, as auth.test tells it.
const (
	TeamID = "T0LOCAL01"
	BotID  = "B0LOCAL01"
	UserID = "U0LOCAL01"
)

// DefaultToken is the bot token that is accepted when Options names none.
const DefaultToken = "xoxb-local-channel"

// Options are what a workspace is made from. The zero value is a workspace
// with one channel, #incidents, that keeps nothing over a restart and limits
// no rates.
type Options struct {
	// Journal is the path of the file that lets the workspace survive a
	// restart; "" keeps everything in memory only.
	Journal string
	// Channels are the names of the channels there are, without '#'.
	Channels []string
	// Token is the bot token that callers must show.
	Token string
	// Clock tells the time; time.Now by default.
	Clock func() time.Time
	// Limits are the rates that are enforced; the zero value enforces none.
	// SlackLimits returns Slack's own.
	Limits Limits
}

// Workspace is one local Slack workspace. It is safe for concurrent use.
type Workspace struct {
	token  string
	clock  func() time.Time
	limits *limiter
	faults faults
	done   chan struct{} // closed by Close: live pages end

	mu        sync.Mutex
	closed    bool
	channels  map[string]*channel // by ID
	order     []string            // channel IDs in order of creation
	files     map[string]*file    // by ID
	fileOrder []string
	fileBytes int64
	fileSeq   int64
	lastTS    int64 // microseconds; a ts is never given twice
	postCount map[string]int
	postOrder []string // nonces in order of first post, to bound postCount
	journal   *journal // nil without one
	watchers  map[chan struct{}]struct{}
}

// New opens a workspace, reading back its journal where it has one. An error
// names the journal and what is wrong with it.
func New(o Options) (*Workspace, error) {
	if o.Token == "" {
		o.Token = DefaultToken
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if len(o.Channels) == 0 {
		o.Channels = []string{"incidents"}
	}
	w := &Workspace{
		token:     o.Token,
		clock:     o.Clock,
		limits:    newLimiter(o.Limits),
		done:      make(chan struct{}),
		channels:  make(map[string]*channel),
		files:     make(map[string]*file),
		postCount: make(map[string]int),
		watchers:  make(map[chan struct{}]struct{}),
	}
	if o.Journal != "" {
		if err := w.openJournal(o.Journal); err != nil {
			return nil, fmt.Errorf("local channel's journal %s: %w", o.Journal, err)
		}
	}
	for _, name := range o.Channels {
		if _, err := w.CreateChannel(name); err != nil {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}

// Close ends the live pages and closes the journal. API calls that come later
// answer fatal_error.
func (w *Workspace) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	close(w.done)
	if w.journal == nil {
		return nil
	}
	return w.journal.close()
}

// Handler serves the Web API under /api/, uploads, files and the page.
func (w *Workspace) Handler() http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/api/{method}", w.serveAPI).Methods(http.MethodPost, http.MethodGet)
	r.HandleFunc("/upload/{id}", w.serveUpload).Methods(http.MethodPost)
	r.HandleFunc("/files/{id}/{name}", w.serveFile).Methods(http.MethodGet, http.MethodHead)
	w.routePages(r)
	return r
}
