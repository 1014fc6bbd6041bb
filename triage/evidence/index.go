package evidence

// The list of a bundle's files, as a page.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

// maxIndex bounds how many files are listed.
const maxIndex = 2000

// indexFile is one line of the list.
type indexFile struct {
	Name, URL, SHA256, Source string
	Size                      int64
}

var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evidence of incident {{.Incident}}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; max-width: 70rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td.n { text-align: right; white-space: nowrap }
code { font-size: 12px; word-break: break-all }
</style>
<h1>Evidence of incident {{.Incident}}</h1>
<p>{{if .Published}}Start with <a href="{{.Report}}">report.md</a>; <a href="{{.Manifest}}">manifest.json</a> lists what was kept, with its hashes.{{else}}The report is written when the first run has ended.{{end}}</p>
<table>
<tr><th>file</th><th>bytes</th><th>source</th><th>SHA-256</th></tr>
{{range .Files}}<tr><td><a href="{{.URL}}">{{.Name}}</a></td><td class="n">{{.Size}}</td><td>{{.Source}}</td><td><code>{{.SHA256}}</code></td></tr>
{{end}}</table>
{{if .More}}<p>There are more files than these.</p>{{end}}
</html>
`))

func (h *Handler) serveIndex(w http.ResponseWriter, r *http.Request, incidentID, expires int64) {
	files, more, err := h.store.files(r.Context(), incidentID)
	if err != nil {
		h.fail(w, r, incidentID, err)
		return
	}
	published := false
	for i := range files {
		files[i].URL = h.fileURL(incidentID, files[i].Name, expires)
		published = published || files[i].Name == ManifestName
	}
	var page bytes.Buffer
	err = indexPage.Execute(&page, map[string]any{
		"Incident": incidentID, "Files": files, "More": more, "Published": published,
		"Report":   h.fileURL(incidentID, ReportName, expires),
		"Manifest": h.fileURL(incidentID, ManifestName, expires),
	})
	if err != nil {
		h.fail(w, r, incidentID, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	// Without allow-downloads a browser saves no file that this page links to.
	w.Header().Set("Content-Security-Policy", "sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(page.Bytes()) // the reader has gone; nobody is left to tell
}

// fileURL is a link from the list to one of its files, relative so that a
// proxy may put it under any path: one that works as long as the list's own,
// or a plain one for who needs no signature.
func (h *Handler) fileURL(incidentID int64, name string, expires int64) string {
	if expires == 0 {
		return name
	}
	return name + "?" + h.signer.Query(incidentID, name, expires)
}

// files lists a bundle's files, the derived ones first, with what the manifest
// says of them. The error is ErrNotFound where there are none.
func (s *Store) files(ctx context.Context, incidentID int64) (files []indexFile, more bool, err error) {
	prefix := Folder(incidentID) + "/"
	it := s.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false, fmt.Errorf("list evidence of incident %d: %w", incidentID, err)
		}
		name := strings.TrimPrefix(o.Key, prefix)
		if ValidateName(name) != nil || tempName.MatchString(name) {
			continue
		}
		if len(files) == maxIndex {
			more = true
			break
		}
		files = append(files, indexFile{Name: name, Size: o.Size})
	}
	if len(files) == 0 {
		return nil, false, fmt.Errorf("evidence of incident %d: %w", incidentID, ErrNotFound)
	}
	s.describe(ctx, incidentID, files)
	slices.SortStableFunc(files, func(a, b indexFile) int {
		return strings.Count(a.Name, "/") - strings.Count(b.Name, "/")
	})
	return files, more, nil
}

// describe adds what the manifest says. A list without it is still of use, so
// a manifest that is missing or broken is no error here; Verify speaks of it.
func (s *Store) describe(ctx context.Context, incidentID int64, files []indexFile) {
	body, size, err := s.Open(ctx, incidentID, ManifestName)
	if err != nil {
		return
	}
	defer func() { _ = body.Close() }() // it was only read
	var m Manifest
	if size > maxManifest || json.NewDecoder(io.LimitReader(body, maxManifest)).Decode(&m) != nil {
		return
	}
	said := make(map[string]indexFile, len(m.Evidence)+len(m.Derived))
	for _, e := range m.Evidence {
		said[e.Name] = indexFile{SHA256: e.SHA256, Source: e.Source}
	}
	for _, d := range m.Derived {
		said[d.Name] = indexFile{SHA256: d.SHA256, Source: "triagebot"}
	}
	for i, f := range files {
		files[i].SHA256, files[i].Source = said[f.Name].SHA256, said[f.Name].Source
	}
}
