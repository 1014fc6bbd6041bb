// A chat completion as it goes on between app and worker, message by message:
// sent, streamed in chunks, perhaps buffered as a tool call, and completed.

package codexsim

import (
	"context"
	"net/http"
	"time"
)

// exchange is what happened to one chat completion.
type exchange struct {
	id      string
	number  uint64 // of all chat completions
	worker  string
	failure string // reason, "" when it went well
	cause   string // what the backend said
	queued  time.Duration
	tool    bool
}

const (
	// mostSends is how often a turn is sent before it fails: again once, when
	// its worker exits.
	mostSends = 2
	// resendAfter is longer than the first restart of a worker takes, so that
	// the turn finds the pool settled.
	resendAfter = backoffFirst + 50*time.Millisecond
)

// failureClientGone is no answer: there is nobody to take one.
const failureClientGone = "client_gone"

// ending is how one sending of a turn ended.
type ending int

const (
	streamed ending = iota
	workerExited
	backendFailed
	clientGone
)

// complete does the work of a chat completion and returns its answer.
func (a *App) complete(ctx context.Context, call *exchange) (status int, body any) {
	if a.faults.is(Maintenance) {
		return http.StatusServiceUnavailable, a.fail(call, reasonMaintenance, "the app server is in maintenance mode")
	}
	until, ok := a.queue.place(time.Now())
	if !ok {
		return http.StatusServiceUnavailable, a.fail(call, reasonOverload, "too many chat completions wait")
	}
	call.queued = until
	if !a.queue.wait(ctx, until) {
		call.failure = failureClientGone
		return statusClientGone, nil
	}
	for range mostSends {
		worker, exited, ok := a.pool.take()
		if !ok {
			return http.StatusServiceUnavailable, a.fail(call, reasonNoWorker, "no worker is up")
		}
		call.worker = worker
		a.message(call, protoLine{Direction: "send", Method: "turn/start"})
		chunks, end := a.stream(ctx, call, exited)
		if end == workerExited && wait(ctx, resendAfter) {
			continue
		}
		switch end {
		case streamed:
			a.message(call, protoLine{Direction: "recv", Method: "turn/completed", Chunks: chunks, Seq: chunksPerTurn + 1})
			return http.StatusOK, map[string]any{"id": call.id, "object": "chat.completion", "model": "codex-sim", "chunks": chunks}
		case backendFailed:
			a.message(call, protoLine{Direction: "recv", Method: "error", Error: call.cause})
			return http.StatusBadGateway, a.fail(call, reasonBackend, call.cause)
		default:
			a.message(call, protoLine{Direction: "send", Method: "turn/interrupt"})
			call.failure = failureClientGone
			return statusClientGone, nil
		}
	}
	return http.StatusBadGateway, a.fail(call, reasonBackend, "the worker exited, and so did the next")
}

// stream waits for the worker's chunks and returns how many came. The first
// takes seven tenths of the whole time, as a model takes to begin. Each has its
// instant from the beginning on, so that a busy machine's delays do not add up.
func (a *App) stream(ctx context.Context, call *exchange, exited <-chan struct{}) (chunks int, end ending) {
	began := time.Now()
	whole := chatLatency(quantileAt(a.opts.Seed, call.number), a.faults.is(Slow))
	if call.cause = a.failureOf(call.number); call.cause != "" {
		if end := pause(ctx, exited, whole); end != streamed {
			return 0, end
		}
		return 0, backendFailed
	}
	call.tool = call.number%toolCallEvery == 0
	harm := unharmed
	if call.tool {
		harm = a.currentSettings().harmTo(call.number)
	}
	text := turnText(call.number, call.tool, harm)
	for seq := 1; seq <= chunksPerTurn; seq++ {
		due := began.Add(whole * time.Duration(11+3*seq) / 20)
		if end := pause(ctx, exited, time.Until(due)); end != streamed {
			return chunks, end
		}
		for range harm.times(seq) {
			chunks++
			a.message(call, protoLine{Direction: "recv", Method: "item/chunk", Seq: seq, Text: text[seq-1]})
		}
		if call.tool && seq == 1 {
			a.message(call, protoLine{Direction: "recv", Method: "tool_buffer/started"})
		}
	}
	if call.tool {
		a.buffers.finish(harm != unharmed)
		a.message(call, protoLine{Direction: "recv", Method: harm.method(), Error: string(harm)})
	}
	return chunks, streamed
}

// failureOf says why the backend fails the n-th chat completion; "" when it
// does not. A bad release and a bad backend fail different ones.
func (a *App) failureOf(n uint64) string {
	if n%usualErrorEvery == 0 || a.faults.is(Errors) && n%faultErrorEvery == 0 {
		return "backend: upstream connection reset"
	}
	if n%faultErrorEvery == 1 {
		return a.release().refused
	}
	return ""
}

// message logs a message of the call.
func (a *App) message(call *exchange, line protoLine) {
	line.ReqID, line.Worker = call.id, call.worker
	a.logs.proto.write(line)
}

// fail counts a failed chat completion and returns its answer.
func (a *App) fail(call *exchange, reason, text string) any {
	call.failure = reason
	a.metrics.errors.WithLabelValues(routeChat, reason).Inc()
	return map[string]any{"error": map[string]any{"type": reason, "message": text, "req_id": call.id}}
}

// pause returns streamed when d has passed, and what ended it when it has not.
func pause(ctx context.Context, exited <-chan struct{}, d time.Duration) ending {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return streamed
	case <-exited:
		return workerExited
	case <-ctx.Done():
		return clientGone
	}
}
