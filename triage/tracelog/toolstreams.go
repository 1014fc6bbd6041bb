// Tool-call streams: the chunks of a request in the order in which they came,
// and the <use_tool> blocks in them, by the events of the buffer that held them
// back and, where a log has it, by the text itself.

package tracelog

import (
	"math"
	"slices"
	"strings"
	"time"
)

// ToolStream is one stream of a request: from one message sent to the next.
type ToolStream struct {
	Stream
	Steps  []StreamStep `json:"steps"` // in order
	Blocks []ToolBlock  `json:"blocks,omitempty"`
	// Repeats are the numbers of chunks whose text came before them already,
	// under another number. A short text may well come twice and does not count.
	Repeats []int64 `json:"repeats,omitempty"`
	Text    bool    `json:"text,omitempty"`   // the chunks' text is known
	Resent  bool    `json:"resent,omitempty"` // another one began instead: what it left open was dropped
}

// StreamStep is a chunk, the mark at a stream's end, or an event of a block.
type StreamStep struct {
	Time  time.Time `json:"time,omitzero"`
	Seq   int64     `json:"seq"` // NoSeq for an event
	Chunk bool      `json:"chunk,omitempty"`
	Event string    `json:"event,omitempty"`
	Error string    `json:"error,omitempty"`
	Text  string    `json:"text,omitempty"` // its beginning
}

// NoSeq is the number of what has none.
const NoSeq = -1

// ToolBlock is one block of a stream.
type ToolBlock struct {
	Opened int64 `json:"opened"` // the chunk in which it was opened, or which came before that; NoSeq when it never was
	Closed int64 `json:"closed"` // likewise, of its end
	Twice  bool  `json:"opened_twice,omitempty"`
	// Aborted says that its buffer was given up; Error why.
	Aborted bool   `json:"aborted,omitempty"`
	Error   string `json:"error,omitempty"`
	// Torn says that chunks are missing within it.
	Torn bool `json:"torn,omitempty"`
}

// IsClosed says whether the block has an end.
func (b *ToolBlock) IsClosed() bool { return b.Closed != NoSeq || b.Aborted }

// ToolStreams are the streams of the request that was asked for.
func (t *Trace) ToolStreams() []ToolStream {
	parted := flows(t.subject(), func(r *Traced) (is, begins bool) {
		_, m, is := toolEvent(r)
		return is, m == opens
	})
	out := make([]ToolStream, 0, len(parted))
	for _, f := range parted {
		s := toolStream{numbers: newNumbers(f), last: NoSeq}
		s.out.Resent = f.resent
		for _, r := range f.records {
			s.take(r)
		}
		out = append(out, s.judged())
	}
	return out
}

// toolStream is a stream that is being read.
type toolStream struct {
	numbers numbers
	out     ToolStream
	tags    tagReader
	said    []ToolBlock // by its text
	evented []ToolBlock // by the events of its buffer
	last    int64       // chunk
	before  string      // its text
}

func (s *toolStream) take(r *Traced) {
	step := StreamStep{Time: r.Time, Seq: NoSeq, Event: kept(r.event()), Error: kept(r.failure())}
	n, numbered := r.seq()
	if !numbered {
		_, m, _ := toolEvent(r)
		s.event(step, m)
		return
	}
	step.Seq, step.Chunk = n, r.chunk()
	content, has := r.content()
	s.chunk(step, content, has)
}

// leastRepeated is how long a text is, in bytes, that does not come twice in a
// row by chance.
const leastRepeated = 16

func (s *toolStream) chunk(step StreamStep, content string, has bool) {
	s.numbers.add(step.Seq, step.Chunk)
	if !step.Chunk {
		s.out.Steps = append(s.out.Steps, step)
		return
	}
	step.Text = kept(content)
	s.out.Steps = append(s.out.Steps, step)
	if s.last != NoSeq && step.Seq > s.last+1 {
		s.tags.forget() // what was begun may not go on here
	}
	if has {
		s.out.Text = true
		if content == s.before && step.Seq != s.last && len(strings.TrimSpace(content)) >= leastRepeated {
			s.out.Repeats = append(s.out.Repeats, step.Seq)
		}
		s.before = content
		s.tags.read(content, step.Seq, func(at int64, closing bool) { s.said = tagged(s.said, at, step.Seq, closing) })
	}
	s.last = step.Seq
}

// tagged opens or closes a block at a tag that begins in one chunk and ends in
// another.
func tagged(blocks []ToolBlock, from, to int64, closing bool) []ToolBlock {
	open := len(blocks) > 0 && blocks[len(blocks)-1].Closed == NoSeq
	switch {
	case closing && open:
		blocks[len(blocks)-1].Closed = to
	case closing:
		blocks = append(blocks, ToolBlock{Opened: NoSeq, Closed: to})
	case open:
		blocks[len(blocks)-1].Twice = true
	default:
		blocks = append(blocks, ToolBlock{Opened: from, Closed: NoSeq})
	}
	return blocks
}

func (s *toolStream) event(step StreamStep, m moment) {
	s.out.Steps = append(s.out.Steps, step)
	n := len(s.evented)
	open := n > 0 && !s.evented[n-1].IsClosed()
	switch {
	case m == opens && open:
		s.evented[n-1].Twice = true
		return
	case m == opens:
		s.evented = append(s.evented, ToolBlock{Opened: max(s.last, 0), Closed: NoSeq})
		return
	case !open:
		s.evented = append(s.evented, ToolBlock{Opened: NoSeq, Closed: NoSeq})
		n++
	}
	b := &s.evented[n-1]
	b.Error = step.Error
	if m == aborts {
		b.Aborted = true
		return
	}
	b.Closed = max(s.last, 0)
}

// judged is the stream with its blocks: those that its text shows, and what the
// events of the buffer say of each, in order.
func (s *toolStream) judged() ToolStream {
	out := s.out
	if len(s.numbers.times) > 0 {
		out.Stream = s.numbers.judged()
	} else {
		out.Stream = s.numbers.Stream
	}
	out.Blocks = s.evented
	if out.Text {
		out.Blocks = merged(s.said, s.evented)
	}
	for i := range out.Blocks {
		b := &out.Blocks[i]
		end := b.Closed
		if end == NoSeq {
			end = math.MaxInt64
		}
		b.Torn = b.Opened != NoSeq && slices.ContainsFunc(out.Missing, func(r Range) bool { return r.From > b.Opened && r.From <= end })
	}
	return out
}

// merged are blocks as the text has them, with what events say beside it. A
// block of which there is no text is as its events say.
func merged(said, evented []ToolBlock) []ToolBlock {
	all := slices.Clone(said)
	for i, e := range evented {
		if i == len(all) {
			all = append(all, e)
			continue
		}
		b := &all[i]
		b.Twice = b.Twice || e.Twice
		b.Aborted, b.Error = e.Aborted, e.Error
		if b.Opened == NoSeq { // its opening tag is lost, but the buffer knew it
			b.Opened = e.Opened
		}
	}
	return all
}

// The tags of a textual tool call, as far as they are told from others.
const (
	openTag  = "<use_tool"
	closeTag = "</use_tool"
)

// tagReader finds tags in text that comes in pieces, which may be cut anywhere.
type tagReader struct {
	begun string // the beginning of what may become a tag
	at    int64  // the chunk in which that began
}

// read calls found for every tag that ends in the chunk, with the chunk in
// which it began.
func (t *tagReader) read(text string, seq int64, found func(at int64, closing bool)) {
	if t.begun == "" {
		t.at = seq
	}
	carried := len(t.begun)
	rest := t.begun + text
	t.begun = ""
	for {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			return
		}
		if carried -= i; carried <= 0 {
			t.at = seq
		}
		rest = rest[i:]
		tag, closing := openTag, false
		if strings.HasPrefix(rest, "</") {
			tag, closing = closeTag, true
		}
		switch {
		case len(rest) <= len(tag) && strings.HasPrefix(tag, rest):
			t.begun = strings.Clone(rest)
			return
		case strings.HasPrefix(rest, tag) && strings.IndexByte("> \t\r\n", rest[len(tag)]) >= 0:
			found(t.at, closing)
			rest = rest[len(tag):]
			carried -= len(tag)
		default:
			rest = rest[1:]
			carried--
		}
	}
}

// forget drops what was begun.
func (t *tagReader) forget() { t.begun = "" }
