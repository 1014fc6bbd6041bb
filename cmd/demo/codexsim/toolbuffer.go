// Tool-call buffering: the proxy holds back a textual <use_tool> block until it
// is whole. A buffer that is aborted half way has truncated the block.

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
