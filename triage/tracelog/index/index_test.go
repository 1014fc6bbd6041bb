package index

import (
	"math/rand/v2"
	"testing"
)

func TestAnswersAreThoseOfReadingEveryLine(t *testing.T) {
	ids := someIDs()
	for seed := range uint64(8) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		x := open(t, t.TempDir(), Options{
			MaxSegment: int64(500 + g.IntN(8000)), Buffer: 1 + g.IntN(2000), MaxOpen: 1 + g.IntN(10),
		})
		log := newLog(t)
		for range 4 {
			write(t, log, g.text(g.IntN(120), ids))
			if g.IntN(2) == 0 {
				write(t, log, []byte(`{"req_id":"req_1","ms":`)) // unfinished
				update(t, x, log, testSpec)
				checkAnswers(t, x, log, testSpec, ids)
				write(t, log, []byte("12}\n"))
			}
			checkAnswers(t, x, log, testSpec, ids)
			done := update(t, x, log, testSpec)
			if size := int64(len(contents(t, log))); done.To != size || done.Damaged != 0 || done.Rewritten {
				t.Fatalf("seed %d: %d of %d bytes are indexed: %+v", seed, done.To, size, done)
			}
			checkAnswers(t, x, log, testSpec, ids)
		}
	}
}
