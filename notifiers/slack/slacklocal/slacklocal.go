// Package slacklocal is as much of a Slack workspace, inside the process, as
// triagebot uses: the Web API methods, with Slack's own limits and errors, and a
// page on which a person sees the channels and acts in them: by slash commands,
// mentions, buttons and modals, of which the app hears over signed HTTP or
// Socket Mode. The demo, the browser tests and the crash tests drive the one
// real Slack code path against it.
//
// Where Slack's behaviour is known it is kept, also where it is a nuisance: a
// reply to a deleted parent lands in the channel, a finished upload need not
// be shared, an edit without blocks removes them.
//
// What is where:
//   - slacklocal.go makes a workspace; store.go is its state, journal.go what
//     outlives the process, people.go and identity.go who there is, listen.go
//     who is let in;
//   - api.go is the door of the Web API, limits.go and faults.go stand behind
//     it; the methods are in chat.go, conversations.go, files.go, people.go,
//     identity.go, answers.go and modals.go;
//   - blocks.go, blocks_check.go, ids.go and mrkdwn.go read what messages and
//     modals are made of;
//   - say.go, click.go and modals.go are what people do; events.go, app.go and
//     sockets.go tell the app, tickets.go and answers.go take what it replies;
//   - the page… files show it all to a person in a browser, and inspect.go to
//     tests.
package slacklocal

import (
	"fmt"
	"net/http"
	"slices"
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
	// Scopes are the token's, separated by commas; DefaultScopes by default.
	Scopes string
	// AppToken is the app-level token (xapp-…) that opens Socket Mode
	// connections; "" is an app without Socket Mode.
	AppToken string
	// App is where people's acts are sent over HTTP; nil is over Socket Mode.
	// It can be set later by SetApp.
	App *App
	// Commands are the slash commands that the app has registered, with their
	// slash; /triage and /maintenance by default.
	Commands []string
	// People are who can act; one person called "you" by default.
	People []Person
	// Groups are user groups by ID, with their members' IDs.
	Groups map[string][]string
	// Limits are the rates that are enforced; the zero value enforces none.
	// SlackLimits returns Slack's own.
	Limits Limits
}

// Workspace is one local Slack workspace. It is safe for concurrent use.
type Workspace struct {
	token      string
	appToken   string
	scopes     string
	commands   []string
	people     []Person
	clock      func() time.Time
	limits     *limiter
	faults     faults
	done       chan struct{} // closed by Close: live pages end
	sockets    *sockets
	deliveries *deliveries

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

	app        *App                // nil: Socket Mode
	host       string              // under which the app knows the workspace
	groups     map[string][]string // members by group ID
	triggers   tickets
	hooks      tickets // response URLs
	ephemerals []*Ephemeral
	modals     map[string]*view // by user ID
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
	if o.Scopes == "" {
		o.Scopes = DefaultScopes
	}
	if len(o.Commands) == 0 {
		o.Commands = []string{"/triage", "/maintenance"}
	}
	w := &Workspace{
		token:      o.Token,
		appToken:   o.AppToken,
		scopes:     o.Scopes,
		commands:   slices.Clone(o.Commands),
		clock:      o.Clock,
		limits:     newLimiter(o.Limits),
		done:       make(chan struct{}),
		deliveries: newDeliveries(),
		channels:   make(map[string]*channel),
		files:      make(map[string]*file),
		postCount:  make(map[string]int),
		watchers:   make(map[chan struct{}]struct{}),
		modals:     make(map[string]*view),
	}
	w.sockets = newSockets(&w.faults)
	if err := w.settle(o.People, o.Groups); err != nil {
		return nil, err
	}
	if err := w.SetApp(o.App); err != nil {
		return nil, err
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

// Close ends the live pages, the connections and the events on their way, and
// closes the journal. API calls that come later answer fatal_error.
func (w *Workspace) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.done)
	app := w.app
	w.mu.Unlock()
	w.sockets.end()
	w.deliveries.end()
	if app != nil {
		app.Client.CloseIdleConnections()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.journal == nil {
		return nil
	}
	return w.journal.close()
}

// Handler serves the Web API under /api/, uploads, files, response URLs, Socket
// Mode and the page, to who asks by an address of the loopback.
func (w *Workspace) Handler() http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/api/{method}", w.serveAPI).Methods(http.MethodPost, http.MethodGet)
	r.HandleFunc("/upload/{id}", w.serveUpload).Methods(http.MethodPost)
	r.HandleFunc("/files/{id}/{name}", w.serveFile).Methods(http.MethodGet, http.MethodHead)
	r.HandleFunc("/hook/{id}", w.serveHook).Methods(http.MethodPost)
	r.HandleFunc(socketPath, w.serveSocket).Methods(http.MethodGet)
	w.routePages(r)
	return keepOut(r)
}
