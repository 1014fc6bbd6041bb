// Tool-call buffering: the proxy holds back a textual <use_tool> block until it
// is whole. A buffer that is aborted has lost a chunk of the block, or has one
// twice.

package codexsim

import "sync"

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

// harm is what the fault does to a tool call's chunks, as the log says it.
type harm string

const (
	unharmed   harm = ""
	truncates  harm = "truncated <use_tool> block"
	duplicates harm = "duplicated text in <use_tool> block"
)

// harmOf is what befalls the n-th chat completion under the fault: of the tool
// calls every second is harmed, in either way by turns.
func harmOf(n uint64) harm {
	switch n / toolCallEvery % 4 {
	case 0:
		return truncates
	case 2:
		return duplicates
	}
	return unharmed
}

// harmedChunk is the one that is lost or doubled.
const harmedChunk = 2

// times is how often a chunk is received.
func (h harm) times(seq int) int {
	switch {
	case seq == harmedChunk && h == truncates:
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
