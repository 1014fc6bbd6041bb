package slacklocal

// The page on which a person sees the channels, and how it stays current.

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/mux"
)

//go:embed page
var pageFiles embed.FS

// pageTemplates are parsed once; a test holds them to be right.
func (w *Workspace) pageTemplates() *template.Template {
	functions := template.FuncMap{"signed": signed, "named": w.mentionName}
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
	Live     bool           // an app listens
	Modal    *modalView     // nil for none
}

type pageView struct {
	Title    string
	Me       Person
	Others   []Person // whom one can be instead
	As       string   // the query that keeps who one is, "" where there is one person only
	Channels []channelView
	Channel  *channelView
}

func (w *Workspace) routePages(all *mux.Router) {
	r := all.NewRoute().Subrouter()
	r.Use(localOnly)
	p := pages{w: w, templates: w.pageTemplates()}
	r.HandleFunc("/", p.index).Methods(http.MethodGet)
	r.HandleFunc("/c/{channel}", p.channel).Methods(http.MethodGet)
	r.HandleFunc("/live", w.serveLive).Methods(http.MethodGet)
	r.HandleFunc("/act/{act}", w.serveAct).Methods(http.MethodPost)
	assets := map[string]string{
		"style.css": "text/css; charset=utf-8",
		"live.js":   "text/javascript; charset=utf-8",
		"act.js":    "text/javascript; charset=utf-8",
		"icon.svg":  "image/svg+xml",
	}
	for _, sign := range signs {
		assets["signs/"+sign.image+".svg"] = "image/svg+xml"
	}
	for name, mediaType := range assets {
		r.HandleFunc("/"+name, asset(name, mediaType)).Methods(http.MethodGet)
	}
}

// localOnly refuses a page to whoever asks by a name of somebody else's.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !local(r) {
			http.Error(rw, "open the page by its address, such as 127.0.0.1", http.StatusForbidden)
			return
		}
		next.ServeHTTP(rw, r)
	})
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

// of begins a page for whom the query names, or the first person there is.
func (p pages) of(r *http.Request, title string) pageView {
	v := pageView{Title: title, Me: p.w.people[0]}
	if me, ok := p.w.person(r.URL.Query().Get("as")); ok {
		v.Me = me
	}
	if len(p.w.people) > 1 {
		v.As = "?as=" + url.QueryEscape(v.Me.ID)
	}
	for _, other := range p.w.people {
		if other != v.Me {
			v.Others = append(v.Others, other)
		}
	}
	return v
}

func (p pages) index(rw http.ResponseWriter, r *http.Request) {
	v := p.of(r, "Channels")
	v.Channels = p.w.channelList()
	p.serve(rw, v)
}

func (p pages) channel(rw http.ResponseWriter, r *http.Request) {
	v := p.of(r, "No such channel")
	c := p.w.channelPage(mux.Vars(r)["channel"], r.URL.Query().Get("before"), v.Me.ID)
	if c == nil {
		rw.WriteHeader(http.StatusNotFound)
		v.Channels = p.w.channelList()
		p.serve(rw, v)
		return
	}
	v.Title, v.Channel = "#"+c.Name, c
	p.serve(rw, v)
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

// channelPage is the channel's newest threads, or those before a ts, as one
// person sees them. It is nil when there is no such channel, by name or ID.
func (w *Workspace) channelPage(name, before, me string) *channelView {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, err := w.channelFor(name, true)
	if err != nil {
		return nil
	}
	v := &channelView{
		ID: c.ID, Name: c.Name, Archived: c.Archived, Messages: len(c.messages), Paged: before != "",
		Live: w.listens(), Modal: w.modalView(me),
	}
	threads := c.threads()
	hidden := w.weave(threads, c.ID, me)
	if before == "" {
		threads = append(threads, hidden...)
		slices.SortStableFunc(threads, func(a, b Thread) int { return strings.Compare(a.TS, b.TS) })
	}
	for _, t := range slices.Backward(threads) {
		if before != "" && t.TS >= before {
			continue
		}
		if len(v.Threads) == threadsPerPage {
			v.Older = v.Threads[len(v.Threads)-1].TS
			break
		}
		m := w.showTo(me, &t.Message)
		for i := range t.Replies {
			m.Replies = append(m.Replies, w.showTo(me, &t.Replies[i]))
		}
		v.Threads = append(v.Threads, m)
	}
	return v
}

// weave puts what one person alone sees into the threads where it was said,
// and returns what stands in the channel itself. Call with mu held.
func (w *Workspace) weave(threads []Thread, channelID, me string) (top []Thread) {
	for _, e := range w.ephemerals {
		if e.For != me || e.Channel != channelID {
			continue
		}
		i := slices.IndexFunc(threads, func(t Thread) bool { return t.TS == e.ThreadTS })
		if i < 0 {
			top = append(top, Thread{Message: e.Message})
			continue
		}
		threads[i].Replies = append(threads[i].Replies, e.Message)
		slices.SortStableFunc(threads[i].Replies, func(a, b Message) int { return strings.Compare(a.TS, b.TS) })
	}
	return top
}

func (w *Workspace) showTo(me string, m *Message) shownMessage {
	s := w.show(m)
	s.Hidden = w.ephemeral(me, m.TS) != nil
	return s
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
