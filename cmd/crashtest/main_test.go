// The program under test, and chance.

package crashtest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"triagebot/cmd/internal/program"
)

var binary program.Binary

func TestMain(m *testing.M) { os.Exit(binary.Run(m)) }

// chance is a test's source of random numbers, whose seed is printed.
func chance(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("TRIAGEBOT_CRASH_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("TRIAGEBOT_CRASH_SEED: %v", err)
		}
		seed = n
	}
	t.Logf("seed %d (TRIAGEBOT_CRASH_SEED)", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
