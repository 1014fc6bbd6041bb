package slacklocal

// Uploads, in Slack's three movements: ask for a URL, send the bytes, complete
// and share. Sharing is a matter of its own: a completed file may be shared
// later than complete says ok, or never.

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"
)

// file is an upload.
type file struct {
	ID        string  `json:"id"`
	Name      string  `json:"name"`
	Title     string  `json:"title,omitempty"`
	Alt       string  `json:"alt,omitempty"`
	Size      int64   `json:"size"` // announced; the data must have it
	Data      []byte  `json:"data,omitempty"`
	Completed bool    `json:"completed,omitempty"`
	Shares    []share `json:"shares,omitempty"`
	Pending   *share  `json:"pending,omitempty"` // owed by ReleaseShares
}

// share is where a file is shown.
type share struct {
	Channel  string          `json:"channel"`
	TS       string          `json:"ts,omitempty"` // of the message that shows it
	ThreadTS string          `json:"thread_ts,omitempty"`
	Text     string          `json:"text,omitempty"`
	Blocks   json.RawMessage `json:"blocks,omitempty"`
}

// lateShare is the argument by which a fault reaches completeUpload; no caller
// can name an argument with a space in front by accident.
const lateShare = " late_share"

// maxAlt is the length of a picture's alternative text, in characters.
const maxAlt = 2000

// keepFile stores a file's state, within the bounds. Call with mu held.
func (w *Workspace) keepFile(f *file) {
	if old := w.files[f.ID]; old != nil {
		w.fileBytes -= int64(len(old.Data))
	} else {
		w.fileOrder = append(w.fileOrder, f.ID)
		if n, err := strconv.ParseInt(strings.TrimPrefix(f.ID, "F0LOCAL"), 10, 64); err == nil {
			w.fileSeq = max(w.fileSeq, n)
		}
	}
	w.files[f.ID] = f
	w.fileBytes += int64(len(f.Data))
	for len(w.fileOrder) > 1 && (len(w.fileOrder) > maxFiles || w.fileBytes > maxFileBytes) {
		oldest := w.fileOrder[0]
		w.fileBytes -= int64(len(w.files[oldest].Data))
		delete(w.files, oldest)
		w.fileOrder = w.fileOrder[1:]
	}
}

func (w *Workspace) uploadURL(c *call) (answer, error) {
	size, err := strconv.ParseInt(c.str("length"), 10, 64)
	switch {
	case c.str("filename") == "":
		return nil, fail("missing_argument", "filename")
	case err != nil || size < 1:
		return nil, fail("invalid_arguments", "length must be the file's size in bytes")
	case size > maxFileSize:
		return nil, fail("file_upload_size_restricted")
	case len([]rune(c.str("alt_txt"))) > maxAlt:
		return nil, fail("alt_txt_too_large")
	}
	f := &file{
		ID:   fmt.Sprintf("F0LOCAL%06d", w.fileSeq+1),
		Name: path.Base(c.str("filename")), Alt: c.str("alt_txt"), Size: size,
	}
	if err := w.apply(event{Op: opFile, File: f}); err != nil {
		return nil, err
	}
	return answer{"file_id": f.ID, "upload_url": "http://" + c.host + "/upload/" + f.ID}, nil
}

// serveUpload takes a file's bytes, as a multipart form or as they are.
func (w *Workspace) serveUpload(rw http.ResponseWriter, r *http.Request) {
	fault := w.faults.of("upload")
	if !fault.Accept && fault.answer(rw) {
		return
	}
	r.Body = http.MaxBytesReader(rw, r.Body, maxFileSize+64<<10)
	data, err := uploaded(r)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	if err := w.keepData(mux.Vars(r)["id"], data); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	if fault.answer(rw) {
		return
	}
	_, _ = fmt.Fprintf(rw, "OK - %d", len(data))
}

func uploaded(r *http.Request) ([]byte, error) {
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "multipart/form-data" {
		return io.ReadAll(r.Body)
	}
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := parts.NextPart()
		if err != nil {
			return nil, fmt.Errorf("no file in the form: %w", err)
		}
		if part.FileName() != "" {
			return io.ReadAll(part)
		}
	}
}

func (w *Workspace) keepData(id string, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.files[id]
	switch {
	case f == nil:
		return fmt.Errorf("no upload %s was announced", id)
	case f.Completed:
		return fmt.Errorf("upload %s is complete", id)
	case int64(len(data)) != f.Size:
		return fmt.Errorf("%d bytes were announced and %d came", f.Size, len(data))
	}
	next := *f
	next.Data = data
	return w.apply(event{Op: opFile, File: &next})
}

func (w *Workspace) completeUpload(c *call) (answer, error) {
	var wanted []struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	if err := json.Unmarshal([]byte(c.str("files")), &wanted); err != nil || len(wanted) != 1 {
		return nil, fail("invalid_arguments", "files must list one file")
	}
	f := w.files[wanted[0].ID]
	if f == nil || f.Data == nil {
		return nil, fail("file_not_found")
	}
	next := *f
	next.Completed, next.Title = true, wanted[0].Title
	if c.str("channel_id") == "" {
		return completed(&next), w.apply(event{Op: opFile, File: &next})
	}
	ch, err := w.channelFor(c.str("channel_id"), false)
	if err != nil {
		return nil, err
	}
	if err := ch.writable(); err != nil {
		return nil, err
	}
	s := share{Channel: ch.ID, ThreadTS: c.str("thread_ts"), Text: c.str("initial_comment")}
	if raw := c.str("blocks"); raw != "" && s.Text == "" {
		blocks, err := parseBlocks([]byte(raw))
		if err != nil {
			return nil, fail("invalid_blocks_format", err.Error())
		}
		if err := check(blocks); err != nil {
			return nil, err
		}
		s.Blocks = json.RawMessage(raw)
	}
	if c.flag(lateShare) {
		next.Pending = &s
		return completed(&next), w.apply(event{Op: opFile, File: &next})
	}
	return completed(&next), w.share(&next, s)
}

func completed(f *file) answer {
	return answer{"files": []answer{{"id": f.ID, "title": f.Title}}}
}

// share shows a file in a channel or thread. Call with mu held.
func (w *Workspace) share(f *file, s share) error {
	ch := w.channels[s.Channel]
	m := &Message{
		BotID: BotID, User: UserID, Text: s.Text, Blocks: s.Blocks,
		ThreadTS: ch.threadFor(s.ThreadTS), Files: []string{f.ID}, Subtype: "file_share",
	}
	if err := w.post(ch, m); err != nil {
		return err
	}
	next := *f
	next.Pending = nil
	next.Shares = append(slices.Clone(f.Shares), share{Channel: ch.ID, TS: m.TS, ThreadTS: m.ThreadTS})
	return w.apply(event{Op: opFile, File: &next})
}

// ReleaseShares shares the files that a LateShare fault held back, and tells
// how many.
func (w *Workspace) ReleaseShares() (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, id := range slices.Clone(w.fileOrder) {
		f := w.files[id]
		if f == nil || f.Pending == nil {
			continue
		}
		if err := w.share(f, *f.Pending); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (w *Workspace) fileInfo(c *call) (answer, error) {
	f := w.files[c.str("file")]
	if f == nil || !f.Completed {
		return nil, fail("file_not_found")
	}
	return answer{"file": w.fileWire(f, c.host)}, nil
}

func (w *Workspace) fileWire(f *file, host string) answer {
	public := make(map[string][]answer)
	channels := []string{}
	for _, s := range f.Shares {
		ch := w.channels[s.Channel]
		if ch.find(s.TS) == nil {
			continue // deleted
		}
		entry := answer{"ts": s.TS, "channel_name": ch.Name, "team_id": TeamID}
		if s.ThreadTS != "" {
			entry["thread_ts"] = s.ThreadTS
		}
		public[s.Channel] = append(public[s.Channel], entry)
		channels = append(channels, s.Channel)
	}
	a := answer{
		"id": f.ID, "name": f.Name, "title": f.Title, "mimetype": f.mediaType(), "size": f.Size,
		"user": UserID, "alt_txt": f.Alt, "channels": channels, "shares": answer{"public": public},
	}
	if host != "" {
		a["url_private"] = "http://" + host + f.path()
	}
	return a
}

func (f *file) path() string { return "/files/" + f.ID + "/" + url.PathEscape(f.Name) }

// mediaType is what the file is served as: pictures as such, all else as text
// to read or bytes to keep, never as something that runs in a browser.
func (f *file) mediaType() string {
	switch strings.ToLower(path.Ext(f.Name)) {
	case ".png":
		return "image/png"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".gif":
		return "image/gif"
	case ".txt", ".md", ".json", ".ndjson", ".log", ".csv", ".yaml", ".yml":
		return "text/plain; charset=utf-8"
	}
	return "application/octet-stream"
}

func (f *file) isPicture() bool { return strings.HasPrefix(f.mediaType(), "image/") }

func (w *Workspace) serveFile(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	f := w.files[mux.Vars(r)["id"]]
	w.mu.Unlock()
	if f == nil || !f.Completed {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", f.mediaType())
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	rw.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	rw.Header().Set("Content-Length", strconv.Itoa(len(f.Data)))
	if r.Method != http.MethodHead {
		_, _ = rw.Write(f.Data)
	}
}
