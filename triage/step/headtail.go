// Output within bounds: of what is long, how it began and how it ended.

package step

import (
	"bytes"
	"fmt"
)

// headTail keeps the beginning and the end of what is written to it, and the
// whole where that has at most max bytes.
type headTail struct {
	max     int
	head    []byte
	tail    []byte // up to twice as much as is kept of it
	written int64
}

func (h *headTail) Write(p []byte) (int, error) {
	n := len(p)
	h.written += int64(n)
	if room := h.max - h.most() - len(h.head); room > 0 {
		first := p[:min(room, len(p))]
		h.head = append(h.head, first...)
		p = p[len(first):]
	}
	h.tail = append(h.tail, p[max(0, len(p)-h.most()):]...)
	if len(h.tail) > 2*h.most() {
		h.tail = append(h.tail[:0], h.end()...)
	}
	return n, nil
}

// most is how many bytes are kept of the end.
func (h *headTail) most() int { return h.max / 2 }

func (h *headTail) end() []byte { return h.tail[max(0, len(h.tail)-h.most()):] }

// bytes are what was kept; where that is not all, a line says how much is left
// out. Lines are left out whole, unless one alone is too long: half of a secret
// is not known for one.
func (h *headTail) bytes() (kept []byte, left int64) {
	head, tail := h.head, h.end()
	if h.written == int64(len(head)+len(tail)) {
		return append(bytes.Clone(head), tail...), 0
	}
	if i := bytes.LastIndexByte(head, '\n'); i >= 0 {
		head = head[:i+1]
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)-1 {
		tail = tail[i+1:]
	}
	left = h.written - int64(len(head)+len(tail))
	kept = bytes.Clone(head)
	if len(kept) > 0 && kept[len(kept)-1] != '\n' {
		kept = append(kept, '\n')
	}
	kept = fmt.Appendf(kept, "[%d bytes left out]\n", left)
	return append(kept, tail...), left
}
