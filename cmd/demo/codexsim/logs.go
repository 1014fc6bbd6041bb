// The logs, bounded: a file that has grown to its limit becomes NAME.1,
// in place of the one before.

package codexsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stamp is the time that every log line begins with, UTC with milliseconds.
type stamp struct {
	TS string `json:"ts"`
}

func (s *stamp) setTime(t time.Time) { s.TS = t.UTC().Format("2006-01-02T15:04:05.000Z") }

// accessLine is a line of access.ndjson: one answered request.
type accessLine struct {
	stamp
	ReqID     string  `json:"req_id"`
	Method    string  `json:"method"`
	Route     string  `json:"route"`
	Status    int     `json:"status"`
	LatencyMS float64 `json:"latency_ms"`
	Worker    string  `json:"worker,omitempty"`
	QueueMS   float64 `json:"queue_ms,omitempty"` // of latency_ms, waited for a worker
	Error     string  `json:"error,omitempty"`
	ToolCall  bool    `json:"tool_call,omitempty"`
	RetryOf   string  `json:"retry_of,omitempty"` // the id of the request that this one repeats
}

// protoLine is a line of proto.ndjson: one message between app and worker.
type protoLine struct {
	stamp
	ReqID     string `json:"req_id"`
	Direction string `json:"direction"` // send or recv
	Method    string `json:"method"`
	Worker    string `json:"worker"`
	Seq       int    `json:"seq,omitempty"`    // of a chunk, from 1; of turn/completed one more than the last has
	Chunks    int    `json:"chunks,omitempty"` // received, of turn/completed
	Text      string `json:"text,omitempty"`   // of a chunk
	Error     string `json:"error,omitempty"`
}

// usageLine is a line of usage.ndjson: what one completion used.
type usageLine struct {
	stamp
	ReqID            string  `json:"req_id"`
	Model            string  `json:"model"`
	PromptTokens     int     `json:"prompt_tokens"`
	CompletionTokens int     `json:"completion_tokens"`
	LatencyMS        float64 `json:"latency_ms"`
}

// engineLine is a line of engine.ndjson: one event in a worker's life. Lines
// about no single request have no req_id.
type engineLine struct {
	stamp
	Level         string `json:"level"`
	Worker        string `json:"worker,omitempty"`
	Event         string `json:"event"`
	Detail        string `json:"detail,omitempty"`
	BackoffMS     int64  `json:"backoff_ms"`
	RestartStreak int    `json:"restart_streak"`
}

// changeLine is a line of changes.ndjson: something that somebody did to the app.
type changeLine struct {
	stamp
	What   string `json:"what"` // deploy or flag
	Detail string `json:"detail"`
	Who    string `json:"who"`
}

// plainLine is a line of engine.log, which is what the engine prints.
type plainLine struct {
	stamp
	level, worker, text string
}

func (l *plainLine) encode() ([]byte, error) {
	return fmt.Appendf(nil, "%s %-7s [%s] %s\n", l.TS, strings.ToUpper(l.level), l.worker, l.text), nil
}

type logs struct {
	access  logFile[accessLine, *accessLine]
	proto   logFile[protoLine, *protoLine]
	usage   logFile[usageLine, *usageLine]
	engine  logFile[engineLine, *engineLine]
	printed logFile[plainLine, *plainLine]
	changes logFile[changeLine, *changeLine]

	withheld atomic.Bool // no line is written
}

func openLogs(dir string, limit int64) (*logs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("simulated app: folder for logs: %w", err)
	}
	l := &logs{}
	type opener interface {
		open(path string, limit int64, withheld *atomic.Bool) error
	}
	open := func(name string, log opener) error {
		return log.open(filepath.Join(dir, name), limit, &l.withheld)
	}
	err := errors.Join(
		open("access.ndjson", &l.access),
		open("proto.ndjson", &l.proto),
		open("usage.ndjson", &l.usage),
		open("engine.ndjson", &l.engine),
		open("engine.log", &l.printed),
		open("changes.ndjson", &l.changes),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulated app: %w", err), l.Close())
	}
	return l, nil
}

func (l *logs) Close() error {
	return errors.Join(l.access.Close(), l.proto.Close(), l.usage.Close(), l.engine.Close(), l.printed.Close(), l.changes.Close())
}

// logLine is a pointer to a line that takes its time from the file, under the
// file's lock, so that lines stand in order of time.
type logLine[L any] interface {
	*L
	setTime(t time.Time)
}

// logFile is one log.
type logFile[L any, P logLine[L]] struct {
	path     string
	limit    int64 // bytes
	withheld *atomic.Bool

	mu   sync.Mutex
	file *os.File
	size int64
}

func (f *logFile[L, P]) open(path string, limit int64, withheld *atomic.Bool) error {
	f.path, f.limit, f.withheld = path, limit, withheld
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("open log: %w", err), file.Close())
	}
	f.file, f.size = file, info.Size()
	return nil
}

// write appends the line. A log that cannot be written loses lines, as a real
// server's would, and does not stop the server.
func (f *logFile[L, P]) write(line L) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.withheld.Load() {
		return
	}
	P(&line).setTime(time.Now())
	data, err := encode(P(&line))
	if err != nil || f.file == nil {
		return
	}
	if f.size > 0 && f.size+int64(len(data)) > f.limit {
		f.rotate()
		if f.file == nil {
			return
		}
	}
	n, _ := f.file.Write(data)
	f.size += int64(n)
}

// encode is the line as it is written, its end included: JSON, if it does not
// know better. A < stays a <, for people read these logs too.
func encode(line any) ([]byte, error) {
	if plain, ok := line.(*plainLine); ok {
		return plain.encode()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(line)
	return b.Bytes(), err
}

func (f *logFile[L, P]) rotate() {
	_ = f.file.Close()
	f.file, f.size = nil, 0
	_ = os.Rename(f.path, f.path+".1")
	if file, err := os.OpenFile(f.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644); err == nil {
		f.file = file
	}
}

func (f *logFile[L, P]) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	return err
}
