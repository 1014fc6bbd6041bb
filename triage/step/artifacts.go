// What steps keep as evidence, made the same way by every kind: how it is called,
// and how much of it is kept.

package step

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"triagebot/triage/playbook"
)

// maxKeptText is how much of a text artifact is kept, in bytes, in whole lines.
const maxKeptText = 2 << 20

// stem is the start of an artifact's name.
func stem(env *playbook.Env, fallback string) string {
	if env.Step != "" {
		return env.Step
	}
	return fallback
}

// jsonArtifact is a value as evidence, for people to read too.
func jsonArtifact(name, title, source string, v any) (playbook.Artifact, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return playbook.Artifact{}, fmt.Errorf("encode %s: %w", name, err)
	}
	return playbook.Artifact{Name: name, Title: title, MediaType: "application/json", Source: source, Data: buf.Bytes()}, nil
}

// textArtifact is what write writes, for people. A line at its end tells of what
// is left out.
func textArtifact(name, title, source string, write func(io.Writer) error) (playbook.Artifact, error) {
	text, cut, err := bounded(write)
	if err != nil {
		return playbook.Artifact{}, fmt.Errorf("write %s: %w", name, err)
	}
	if cut > 0 {
		text = fmt.Appendf(text, "[left out: %d lines, for the whole is longer than %d MiB]\n", cut, maxKeptText>>20)
	}
	return playbook.Artifact{Name: name, Title: title, MediaType: "text/plain", Source: source, Data: text}, nil
}

// linesArtifact is what write writes, a JSON object a line. Its title tells how
// many of all the lines are left out, lost among them already.
func linesArtifact(name, title, source string, lost, all int, write func(io.Writer) error) (playbook.Artifact, error) {
	lines, cut, err := bounded(write)
	if err != nil {
		return playbook.Artifact{}, fmt.Errorf("write %s: %w", name, err)
	}
	if cut += lost; cut > 0 {
		title += fmt.Sprintf(", without %d of its %d lines", cut, all)
	}
	return playbook.Artifact{Name: name, Title: title, MediaType: "application/x-ndjson", Source: source, Data: lines}, nil
}

// bounded keeps of what is written the lines that fit, and counts the others.
func bounded(write func(io.Writer) error) (kept []byte, cut int, err error) {
	var b boundedLines
	if err := write(&b); err != nil {
		return nil, 0, err
	}
	return b.kept.Bytes(), b.cut, nil
}

// boundedLines holds whole lines, up to maxKeptText bytes.
type boundedLines struct {
	kept  bytes.Buffer
	start int  // of the line that is being written
	over  bool // that line does not fit
	cut   int
}

func (b *boundedLines) Write(p []byte) (int, error) {
	for part := range bytes.Lines(p) {
		if !b.over && b.kept.Len()+len(part) > maxKeptText {
			b.kept.Truncate(b.start)
			b.over = true
		}
		if !b.over {
			b.kept.Write(part)
		}
		if part[len(part)-1] != '\n' {
			continue
		}
		if b.over {
			b.cut++
		}
		b.start, b.over = b.kept.Len(), false
	}
	return len(p), nil
}
