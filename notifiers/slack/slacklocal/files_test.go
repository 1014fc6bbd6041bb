package slacklocal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// ask asks for an upload.
func (f *fixture) ask(t *testing.T, name string, size int, args ...string) reply {
	t.Helper()
	return f.call(t, "files.getUploadURLExternal", append([]string{"filename", name, "length", fmt.Sprint(size)}, args...)...)
}

func (f *fixture) put(t *testing.T, to, mediaType string, body io.Reader) int {
	t.Helper()
	resp, err := http.Post(to, mediaType, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (f *fixture) complete(t *testing.T, id string, args ...string) reply {
	t.Helper()
	return f.call(t, "files.completeUploadExternal", append([]string{"files", `[{"id":"` + id + `","title":"A title"}]`}, args...)...)
}

// uploadFile uploads and shares a file in #incidents.
func (f *fixture) uploadFile(t *testing.T, name, content string, args ...string) (id string) {
	t.Helper()
	r := f.ask(t, name, len(content), "alt_txt", "the alternative")
	if !r.ok() {
		t.Fatalf("getUploadURLExternal: %v", r)
	}
	if status := f.put(t, r.str("upload_url"), "application/octet-stream", strings.NewReader(content)); status != http.StatusOK {
		t.Fatalf("upload: %d", status)
	}
	id = r.str("file_id")
	if r := f.complete(t, id, append([]string{"channel_id", f.id()}, args...)...); !r.ok() {
		t.Fatalf("completeUploadExternal: %v", r)
	}
	return id
}

// file is a file's content.
func (f *fixture) file(t *testing.T, id string) string {
	t.Helper()
	info := f.call(t, "files.info", "file", id)
	if !info.ok() {
		t.Fatalf("files.info: %v", info)
	}
	resp, err := http.Get(info["file"].(map[string]any)["url_private"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAnUploadTakesThreeCalls(t *testing.T) {
	f := setUp(t, Options{})
	parent := f.post(t, "parent")
	id := f.uploadFile(t, "../../p95.png", "picture", "thread_ts", parent, "initial_comment", "a comment")
	threads := f.Channel("incidents")
	if len(threads) != 1 || len(threads[0].Replies) != 1 || threads[0].Replies[0].Files[0] != id || threads[0].Replies[0].Text != "a comment" {
		t.Fatalf("the channel shows %+v", threads)
	}
	info, err := json.Marshal(f.call(t, "files.info", "file", id)["file"])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"p95.png"`, `"title":"A title"`, `"alt_txt":"the alternative"`, `"mimetype":"image/png"`, `"thread_ts":"` + parent + `"`, `"ts":"` + threads[0].Replies[0].TS + `"`} {
		if !strings.Contains(string(info), want) {
			t.Errorf("files.info %s lacks %s", info, want)
		}
	}
	f.call(t, "chat.delete", "channel", f.id(), "ts", threads[0].Replies[0].TS)
	if info := f.call(t, "files.info", "file", id); strings.Contains(fmt.Sprint(info["file"]), parent) {
		t.Errorf("a deleted share is still told: %v", info)
	}
}

func TestAnUploadThatDoesNotHoldTogether(t *testing.T) {
	f := setUp(t, Options{})
	for _, c := range []struct {
		r    reply
		want string
	}{
		{f.ask(t, "", 1), "missing_argument"},
		{f.ask(t, "a", 0), "invalid_arguments"},
		{f.ask(t, "a", maxFileSize), ""},
		{f.ask(t, "a", maxFileSize+1), "file_upload_size_restricted"},
		{f.ask(t, "a", 1, "alt_txt", strings.Repeat("é", maxAlt)), ""},
		{f.ask(t, "a", 1, "alt_txt", strings.Repeat("é", maxAlt+1)), "alt_txt_too_large"},
		{f.complete(t, "F0LOCAL999999"), "file_not_found"},
		{f.call(t, "files.completeUploadExternal", "files", "[]"), "invalid_arguments"},
		{f.call(t, "files.info", "file", "F0LOCAL999999"), "file_not_found"},
	} {
		if c.r.err() != c.want {
			t.Errorf("answer %v, want %q", c.r, c.want)
		}
	}
	r := f.ask(t, "a.txt", 4)
	id, to := r.str("file_id"), r.str("upload_url")
	if r := f.complete(t, id, "channel_id", f.id()); r.err() != "file_not_found" {
		t.Errorf("completed without bytes: %v", r)
	}
	if status := f.put(t, to, "text/plain", strings.NewReader("12345")); status == http.StatusOK {
		t.Error("five bytes pass for four")
	}
	if status := f.put(t, to+"0", "text/plain", strings.NewReader("1234")); status == http.StatusOK {
		t.Error("bytes that nobody announced are taken")
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreateFormFile("file", "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(part, "1234")
	_ = w.Close()
	if status := f.put(t, to, w.FormDataContentType(), &form); status != http.StatusOK {
		t.Errorf("a form: %d", status)
	}
	if r := f.complete(t, id, "channel_id", "nowhere"); r.err() != "channel_not_found" {
		t.Errorf("shared nowhere: %v", r)
	}
	if r := f.complete(t, id, "channel_id", f.id(), "blocks", `[{"type":"x"}]`); r.err() != "invalid_blocks" {
		t.Errorf("shared with odd blocks: %v", r)
	}
	if r := f.complete(t, id); !r.ok() || len(f.Channel("incidents")) != 0 {
		t.Errorf("completed without a channel: %v", r)
	}
	if f.file(t, id) != "1234" {
		t.Error("the file lost its bytes")
	}
}

func TestFilesDoNotRunInABrowser(t *testing.T) {
	f := setUp(t, Options{})
	for _, name := range []string{"a.html", "a.svg", "a", "a.js", "a.json"} {
		id := f.uploadFile(t, name, "<script>alert(1)</script>")
		resp, err := http.Get(f.url + "/files/" + id + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		kind := resp.Header.Get("Content-Type")
		if strings.Contains(kind, "html") || strings.Contains(kind, "svg") || strings.Contains(kind, "javascript") {
			t.Errorf("%s is served as %s", name, kind)
		}
		if resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s is served with %v", name, resp.Header)
		}
	}
}

func TestFilesAreBounded(t *testing.T) {
	f := setUp(t, Options{})
	first := f.uploadFile(t, "first.txt", "x")
	for range maxFiles - 1 {
		f.ask(t, "a", 1)
	}
	if r := f.call(t, "files.info", "file", first); !r.ok() {
		t.Errorf("the first of %d files: %v", maxFiles, r)
	}
	f.ask(t, "a", 1)
	if r := f.call(t, "files.info", "file", first); r.err() != "file_not_found" {
		t.Errorf("the first of %d files: %v", maxFiles+1, r)
	}
}
