// How lookups share the processor with whoever must answer a request.

package tracelog

import (
	"context"
	"runtime"
	"time"
)

// pace is how long a reader of logs rests after each chunk; 0 is not at all.
// Neither the copy nor the search of a chunk can be interrupted, and only a
// rest makes the runtime look for what has come in over the network meanwhile.
type pace time.Duration

// rest lets others have the processor. It ends, as the reading is to, with ctx,
// whose error it returns.
func (p pace) rest(ctx context.Context) error {
	if p <= 0 {
		runtime.Gosched()
		return ctx.Err()
	}
	timer := time.NewTimer(time.Duration(p))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
