package slacklocal

// The page on which a person sees the channels, and how it stays current.

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"
)

//go:embed page
var pageFiles embed.FS

// pageTemplates are parsed once; a test holds them to be right.
func pageTemplates() *template.Template {
	functions := template.FuncMap{"signed": signed}
	return template.Must(template.New("").Funcs(functions).ParseFS(pageFiles, "page/*.html"))
}

// contentPolicy lets a page load nothing but its own style, script and
// pictures: whatever a message holds, it stays text.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// threadsPerPage bounds a page; older threads are a link away.
const threadsPerPage = 50

// heartbeat keeps a quiet live connection from being taken for dead.
const heartbeat = 20 * time.Second

type channelView struct {
	ID       string
	Name     string
	Archived bool
	Messages int
	Threads  []shownMessage // the newest first
	Older    string         // ts to go on from, "" at the end
	Paged    bool           // not the newest page
}

type pageView struct {
	Title    string
	Channels []channelView
	Channel  *channelView
}

func (w *Workspace) routePages(r *mux.Router) {
	p := pages{w: w, templates: pageTemplates()}
	r.HandleFunc("/", p.index).Methods(http.MethodGet)
	r.HandleFunc("/c/{channel}", p.channel).Methods(http.MethodGet)
	r.HandleFunc("/live", w.serveLive).Methods(http.MethodGet)
	assets := map[string]string{
		"style.css": "text/css; charset=utf-8",
		"live.js":   "text/javascript; charset=utf-8",
		"icon.svg":  "image/svg+xml",
	}
	for _, sign := range signs {
		assets["signs/"+sign.image+".svg"] = "image/svg+xml"
	}
	for name, mediaType := range assets {
		r.HandleFunc("/"+name, asset(name, mediaType)).Methods(http.MethodGet)
	}
}

// asset serves one of the page's own files.
func asset(name, mediaType string) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		data, err := pageFiles.ReadFile("page/" + name)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		rw.Header().Set("Content-Type", mediaType)
		rw.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = rw.Write(data)
	}
}

type pages struct {
	w         *Workspace
	templates *template.Template
}

func (p pages) index(rw http.ResponseWriter, _ *http.Request) {
	p.serve(rw, pageView{Title: "Channels", Channels: p.w.channelList()})
}

func (p pages) channel(rw http.ResponseWriter, r *http.Request) {
	c := p.w.channelPage(mux.Vars(r)["channel"], r.URL.Query().Get("before"))
	if c == nil {
		rw.WriteHeader(http.StatusNotFound)
		p.serve(rw, pageView{Title: "No such channel", Channels: p.w.channelList()})
		return
	}
	p.serve(rw, pageView{Title: "#" + c.Name, Channel: c})
}

func (p pages) serve(rw http.ResponseWriter, v pageView) {
	var b bytes.Buffer
	if err := p.templates.ExecuteTemplate(&b, "page.html", v); err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	h := rw.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	_, _ = b.WriteTo(rw)
}

func (w *Workspace) channelList() []channelView {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []channelView
	for _, id := range w.order {
		c := w.channels[id]
		list = append(list, channelView{ID: id, Name: c.Name, Archived: c.Archived, Messages: len(c.messages)})
	}
	return list
}

// channelPage is the channel's newest threads, or those before a ts. It is nil
// when there is no such channel, by name or ID.
func (w *Workspace) channelPage(name, before string) *channelView {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.channelFor(name, true)
	if err != nil {
		return nil
	}
	v := &channelView{ID: c.ID, Name: c.Name, Archived: c.Archived, Messages: len(c.messages), Paged: before != ""}
	for _, t := range slices.Backward(c.threads()) {
		if before != "" && t.TS >= before {
			continue
		}
		if len(v.Threads) == threadsPerPage {
			v.Older = v.Threads[len(v.Threads)-1].TS
			break
		}
		m := w.show(&t.Message)
		for i := range t.Replies {
			m.Replies = append(m.Replies, w.show(&t.Replies[i]))
		}
		v.Threads = append(v.Threads, m)
	}
	return v
}

// serveLive tells a page, by server-sent events, that something has changed.
func (w *Workspace) serveLive(rw http.ResponseWriter, r *http.Request) {
	changed := make(chan struct{}, 1)
	if !w.watch(changed) {
		http.Error(rw, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer w.unwatch(changed)
	rw.Header().Set("Content-Type", "text/event-stream")
	rw.Header().Set("Cache-Control", "no-store")
	out := http.NewResponseController(rw)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for said := "retry: 1000\n: hello\n\n"; ; {
		if _, err := io.WriteString(rw, said); err != nil {
			return
		}
		if err := out.Flush(); err != nil {
			return
		}
		select {
		case <-changed:
			said = "data: changed\n\n"
		case <-beat.C:
			said = ": still here\n\n"
		case <-r.Context().Done():
			return
		case <-w.done:
			return
		}
	}
}

func (w *Workspace) watch(changed chan struct{}) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.watchers) >= maxWatchers {
		return false
	}
	w.watchers[changed] = struct{}{}
	return true
}

func (w *Workspace) unwatch(changed chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watchers, changed)
}
