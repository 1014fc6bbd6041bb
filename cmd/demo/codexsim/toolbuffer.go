// Tool-call buffering: the proxy holds back a textual <use_tool> block until it
// is whole. Where a turn's tool calls are not limited, buffers run over each
// other: every second block then loses, doubles or mixes up some of its text.

package codexsim

import (
	"fmt"
	"sync"
)

// anomalyWindow is how many of the last buffers codex_tool_buffer_anomaly speaks of.
const anomalyWindow = 20

type toolBuffers struct {
	metrics *metrics

	mu   sync.Mutex
	last [anomalyWindow]bool // a ring: was it anomalous?
	next int
}

// finish counts one buffer and brings the anomaly gauge up to date.
func (b *toolBuffers) finish(aborted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.metrics.started.Inc()
	if aborted {
		b.metrics.aborted.Inc()
	}
	b.last[b.next] = aborted
	b.next = (b.next + 1) % anomalyWindow
	anomalous := 0
	for _, bad := range b.last {
		if bad {
			anomalous++
		}
	}
	b.metrics.anomaly.Set(float64(anomalous))
}

// harm is what another buffer did to a tool call's text, as the log says it.
type harm string

const (
	unharmed    harm = ""
	loses       harm = "text lost in <use_tool> block"
	duplicates  harm = "duplicated text in <use_tool> block"
	truncates   harm = "truncated <use_tool> block"
	opensTwice  harm = "<use_tool> block opened twice"
	harmedChunk      = 2 // the one that is lost or doubled
)

// harmTo is what befalls the tool call of the n-th chat completion: where their
// number is not limited, every second is harmed, in each way by turns.
func (s Settings) harmTo(n uint64) harm {
	if s.ToolBlockMax > 0 {
		return unharmed
	}
	switch n / toolCallEvery % 8 {
	case 0:
		return loses
	case 2:
		return duplicates
	case 4:
		return truncates
	case 6:
		return opensTwice
	}
	return unharmed
}

// times is how often a chunk is received.
func (h harm) times(seq int) int {
	switch {
	case seq == harmedChunk && h == loses:
		return 0
	case seq == harmedChunk && h == duplicates:
		return 2
	}
	return 1
}

// method is the message with which the buffer ends.
func (h harm) method() string {
	if h == unharmed {
		return "tool_buffer/completed"
	}
	return "tool_buffer/aborted"
}

// chunksPerTurn is in how many chunks a turn is streamed. A real one has
// hundreds; a few are enough to see which of them is lost.
const chunksPerTurn = 3

// turnText is the text of a turn, chunk by chunk: some words, or a tool call
// whose block the chunks share.
func turnText(n uint64, tool bool, h harm) [chunksPerTurn]string {
	if !tool {
		return [...]string{"That function has ", fmt.Sprintf("%d callers", n%90+2), ", all of them tests."}
	}
	text := [...]string{
		"I will read it.\n<use_tool>\n<name>read_file</name>\n",
		fmt.Sprintf(`<args>{"path":"src/module%02d.go"}</args>`, n%90),
		"\n</use_tool>\n",
	}
	switch h {
	case truncates:
		text[2] = "\n</use_"
	case opensTwice:
		text[1] = "<use_tool>\n<name>list_files</name>\n" + text[1]
	}
	return text
}
