// How long the simulated backend takes: a fixed pattern rather than dice, so
// that the p95 of any few seconds is steady and a threshold of +5 % means
// something.

package codexsim

import (
	"math"
	"time"
)

// quantileAt is the n-th point of the golden-ratio sequence, in [0,1): any run
// of consecutive points is spread almost evenly.
func quantileAt(seed, n uint64) float64 {
	const golden = 0.6180339887498949
	offset := float64(seed%1000) / 1000
	_, fraction := math.Modf(offset + float64(n%(1<<40))*golden)
	return fraction
}

// chatLatency is the backend's time for a chat completion: 55–80 ms for three
// in ten, 110–190 ms for the rest. The histogram's bounds of 100 and 250 ms lie
// well clear of both, so that a busy machine does not move the quantiles: more
// than one request in twenty would have to be 60 ms late before the p95, which
// is interpolated between these bounds, rose by 5 %.
func chatLatency(quantile float64, slow bool) time.Duration {
	var ms float64
	if quantile < 0.30 {
		ms = 55 + 25*quantile/0.30
	} else {
		ms = 110 + 80*(quantile-0.30)/0.70
	}
	if slow {
		ms = 3*ms + 300
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// modelsLatency is the time for the list of models, which no backend is asked for.
const modelsLatency = 7 * time.Millisecond

// Of the chat requests, these fail or call a tool, counted by their number.
const (
	usualErrorEvery = 397 // a backend error now and then: 0.25 %
	faultErrorEvery = 5   // with a fault: 20 %
	toolCallEvery   = 4
	modelsEvery     = 5 // of all requests, one asks for the models
)
