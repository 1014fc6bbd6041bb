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

// chatLatency is the backend's time for a chat completion: 60–90 ms for four
// in five, 120–200 ms for the rest but one in a hundred, which takes 300–400 ms.
// The values stay clear of the histogram's bounds, so that a few milliseconds
// of scheduling do not move the quantiles.
func chatLatency(quantile float64, slow bool) time.Duration {
	var ms float64
	switch {
	case quantile < 0.80:
		ms = 60 + 30*quantile/0.80
	case quantile < 0.99:
		ms = 120 + 80*(quantile-0.80)/0.19
	default:
		ms = 300 + 100*(quantile-0.99)/0.01
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
	faultErrorEvery = 5   // with the errors fault: 20 %
	toolCallEvery   = 4
	modelsEvery     = 5 // of all requests, one asks for the models
)
