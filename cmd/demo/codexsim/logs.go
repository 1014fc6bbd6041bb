// The NDJSON logs, bounded: a file that has grown to its limit becomes NAME.1,
// in place of the one before.

package codexsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
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

type logs struct {
	access logFile[accessLine, *accessLine]
	proto  logFile[protoLine, *protoLine]
	usage  logFile[usageLine, *usageLine]
	engine logFile[engineLine, *engineLine]
}

func openLogs(dir string, limit int64) (*logs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("simulated app: folder for logs: %w", err)
	}
	l := &logs{}
	err := errors.Join(
		l.access.open(filepath.Join(dir, "access.ndjson"), limit),
		l.proto.open(filepath.Join(dir, "proto.ndjson"), limit),
		l.usage.open(filepath.Join(dir, "usage.ndjson"), limit),
		l.engine.open(filepath.Join(dir, "engine.ndjson"), limit),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("simulated app: %w", err), l.Close())
	}
	return l, nil
}

func (l *logs) Close() error {
	return errors.Join(l.access.Close(), l.proto.Close(), l.usage.Close(), l.engine.Close())
}

// logLine is a pointer to a line that takes its time from the file, under the
// file's lock, so that lines stand in order of time.
type logLine[L any] interface {
	*L
	setTime(t time.Time)
}

// logFile is one log.
type logFile[L any, P logLine[L]] struct {
	path  string
	limit int64 // bytes

	mu   sync.Mutex
	file *os.File
	size int64
}

func (f *logFile[L, P]) open(path string, limit int64) error {
	f.path, f.limit = path, limit
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
	P(&line).setTime(time.Now())
	data, err := json.Marshal(line)
	if err != nil || f.file == nil {
		return
	}
	data = append(data, '\n')
	if f.size > 0 && f.size+int64(len(data)) > f.limit {
		f.rotate()
		if f.file == nil {
			return
		}
	}
	n, _ := f.file.Write(data)
	f.size += int64(n)
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
