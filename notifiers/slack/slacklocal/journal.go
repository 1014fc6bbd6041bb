package slacklocal

// The journal: one JSON line per change, so that the channel survives a
// restart. A line is written before its call is answered; it is not forced to
// disk, for it need only outlive the process.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxJournal is how many bytes are appended before the journal is rewritten as
// what it amounts to.
const maxJournal = 64 << 20

type journal struct {
	path    string
	f       *os.File
	written int64 // bytes since the last rewrite
}

// openJournal reads the journal back, and begins it anew as a snapshot.
func (w *Workspace) openJournal(path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.replay(path); err != nil {
		return err
	}
	w.journal = &journal{path: path}
	return w.journal.rewrite(w.snapshot())
}

// replay makes the changes that the journal lists. A last line without its
// end was cut off by a crash and was never answered: it is left out.
func (w *Workspace) replay(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("line %d: %w; delete the file to begin with empty channels", n, err)
		}
		if err := w.replayable(e); err != nil {
			return fmt.Errorf("line %d: %w; delete the file to begin with empty channels", n, err)
		}
		w.change(e)
	}
}

// replayable checks what change takes for granted.
func (w *Workspace) replayable(e event) error {
	switch e.Op {
	case opPost, opUpdate, opDelete, opMark:
		if w.channels[e.Channel] == nil {
			return fmt.Errorf("%s in the unknown channel %q", e.Op, e.Channel)
		}
		if e.Message == nil && e.Op != opMark {
			return fmt.Errorf("%s without a message", e.Op)
		}
	case opChannel:
		if w.channels[e.Channel] != nil {
			return fmt.Errorf("channel %s is created twice", e.Channel)
		}
	case opFile:
		if e.File == nil {
			return errors.New("file without a file")
		}
	case opCount:
	default:
		return fmt.Errorf("unknown change %q", e.Op)
	}
	return nil
}

func (j *journal) full() bool { return j.written > maxJournal }

func (j *journal) append(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	n, err := j.f.Write(append(line, '\n'))
	j.written += int64(n)
	return err
}

// rewrite replaces the journal by the given changes, atomically.
func (j *journal) rewrite(events []event) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	next := j.path + ".new"
	if err := os.WriteFile(next, b.Bytes(), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, j.path); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if j.f != nil {
		_ = j.f.Close() // all of it stands in the new file
	}
	j.f, j.written = f, 0
	return nil
}

func (j *journal) close() error { return j.f.Close() }
